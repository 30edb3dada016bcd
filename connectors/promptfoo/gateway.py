"""The only thing a promptfoo run can talk to: a small HTTP server on 127.0.0.1, inside our own process.

promptfoo asks for an answer by arm and case id, and asks for a judgement by the same; all texts and all keys stay on
this side. The verdict is made from what was answered and judged on this side: promptfoo's copy of a text is never read
back. Never binds to another address.
"""

import hmac
import secrets
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.answers import Answers, Key
from connectors.grades import Grades
from optimizer.types import Arm, Missing, Scored, Unscored


class _Ask(BaseModel):
    model_config = ConfigDict(extra="ignore")

    arm: Arm
    case_id: str


class _Vars(BaseModel):
    case_id: str


class _Context(BaseModel):
    prompt: Arm
    vars: _Vars


class _Judge(BaseModel):
    output: Any
    context: _Context


class Gateway:
    """Serves one run's answers and judgements. An async context manager; `url` is valid inside.

    Leaving it calls off what is in flight.
    """

    def __init__(self, answers: Answers, grades: Grades) -> None:
        self._answers = answers
        self._grades = grades
        self._changed: set[Key] = set()
        self._token = secrets.token_urlsafe(32)
        self.url = ""
        app = web.Application()
        app.router.add_post("/{token}/answer", self._serve_answer)
        app.router.add_post("/{token}/grade", self._serve_grade)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0)

    async def __aenter__(self) -> "Gateway":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/{self._token}"
        return self

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        failures = [await self._grades.close(), await self._answers.close()]
        await self._runner.cleanup()
        for failure in failures:  # a bug, or a cycle that belongs to another worker by now: not for us to swallow
            if error is None and failure is not None:
                raise failure

    def grade(self, key: Key) -> Scored | Unscored | None:
        """The judgement, if it was asked for and made."""
        if key in self._changed:  # then the owner's assertions judge something else than the answer
            return Unscored(reason="promptfoo changed the answer before judging it")
        return self._grades.made(*key)

    async def _serve_answer(self, request: web.Request) -> web.Response:
        self._admit(request)
        try:
            ask = _Ask.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest from error
        answer = await self._answers.of(*self._known((ask.arm, ask.case_id)))
        if answer.failure is not None:
            return web.json_response({"error": "no answer"})
        cost = answer.usage.cost_usd
        return web.json_response(
            {
                "output": answer.output,
                "cost": None if isinstance(cost, Missing) else cost,
                "tokenUsage": {
                    "total": answer.usage.input_tokens + answer.usage.output_tokens,
                    "prompt": answer.usage.input_tokens,
                    "completion": answer.usage.output_tokens,
                },
            }
        )

    async def _serve_grade(self, request: web.Request) -> web.Response:
        self._admit(request)
        try:
            asked = _Judge.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest from error
        key = self._known((asked.context.prompt, asked.context.vars.case_id))
        if asked.output != (await self._answers.of(*key)).output:
            self._changed.add(key)
            raise web.HTTPServiceUnavailable
        grade = await self._grades.of(*key)
        if isinstance(grade, Unscored):
            raise web.HTTPServiceUnavailable
        return web.json_response({"pass": grade.value >= 0.5, "score": grade.value, "reason": "judged by Tracegrad"})

    def _admit(self, request: web.Request) -> None:
        if not hmac.compare_digest(request.match_info["token"].encode(), self._token.encode()):
            raise web.HTTPForbidden

    def _known(self, key: Key) -> Key:
        if key[1] not in self._answers.cases:
            raise web.HTTPNotFound
        return key
