"""The only thing a promptfoo run can talk to: a small HTTP server on 127.0.0.1, inside our own process.

promptfoo asks for an answer by arm and case id, and asks for a judgement by the same; all texts and all keys stay on
this side. What was answered and judged is remembered here, and the verdict is made from that memory: promptfoo's copy
of a text is never read back. Each answer is made once, however often promptfoo asks. Never binds to another address.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.model_judge import Grade
from connectors.promptfoo.grading import Grader
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadReply, Declined, OverBudget, Permanent, Transient
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import PromptVersion
from optimizer.template import fill
from optimizer.types import Arm, Case, Missing, Scored, Unscored, Usage

Key = tuple[Arm, str]
Progress = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an arm said to a case.

    Attributes:
        failure: set when there is no output to judge, and then it is the result: 0 when the arm is to blame.
    """

    output: str = ""
    failure: Scored | Unscored | None = None
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0


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
    """An async context manager; `url` is valid inside.

    Attributes:
        broken: why no further call can succeed (keys, budget); empty while all is well.
    """

    def __init__(
        self,
        arms: Mapping[Arm, PromptVersion],
        cases: Sequence[Case],
        *,
        model: LanguageModel,
        grader: Grader,
        settings: EvaluatorSettings,
        progress: Progress,
    ) -> None:
        self._arms = arms
        self._cases = {case.id: case for case in cases}
        self._model = model
        self._grader = grader
        self._settings = settings
        self._progress = progress
        self._token = secrets.token_urlsafe(32)
        self._answers: dict[Key, asyncio.Task[Answer]] = {}
        self._grades: dict[Key, asyncio.Task[Grade]] = {}
        self._done = 0
        self.broken = ""
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
        tasks = [*self._answers.values(), *self._grades.values()]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner.cleanup()
        for outcome in ended:  # a bug, or a cycle that belongs to another worker by now: not for us to swallow
            if error is None and isinstance(outcome, Exception):
                raise outcome

    def answer(self, key: Key) -> Answer | None:
        """The answer, if it was asked for and made."""
        return _finished(self._answers.get(key))

    def grade(self, key: Key) -> Grade | None:
        """The judgement, if it was asked for and made."""
        return _finished(self._grades.get(key))

    async def _serve_answer(self, request: web.Request) -> web.Response:
        self._admit(request)
        try:
            ask = _Ask.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest from error
        answer = await self._answered((ask.arm, ask.case_id))
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
        key = (asked.context.prompt, asked.context.vars.case_id)
        answer = await self._answered(key)
        grade = await _once(self._grades, key, lambda: self._judge(key, answer.output, asked.output))
        if isinstance(grade.result, Unscored):
            raise web.HTTPServiceUnavailable
        return web.json_response(
            {"pass": grade.result.value >= 0.5, "score": grade.result.value, "reason": "judged by Tracegrad"}
        )

    def _admit(self, request: web.Request) -> None:
        if not hmac.compare_digest(request.match_info["token"].encode(), self._token.encode()):
            raise web.HTTPForbidden

    async def _answered(self, key: Key) -> Answer:
        if key[1] not in self._cases:
            raise web.HTTPNotFound
        return await _once(self._answers, key, lambda: self._ask(key))

    async def _ask(self, key: Key) -> Answer:
        started = time.monotonic()
        try:
            answer = await self._complete(key)
        finally:
            self._done += 1
            self._progress(self._done, len(self._arms) * len(self._cases))
        return Answer(
            output=answer.output, failure=answer.failure, usage=answer.usage, latency_s=time.monotonic() - started
        )

    async def _complete(self, key: Key) -> Answer:
        arm, case = key[0], self._cases[key[1]]
        if self.broken:
            return Answer(failure=Unscored(reason=self.broken))
        request = ModelRequest(
            purpose="task",
            model=self._settings.task_model,
            messages=fill(self._arms[arm].body, case.input),
            max_tokens=self._settings.max_tokens,
            tools_json=case.input.tools_json,
        )
        try:
            reply = await self._model.complete(request)
        except BadReply as error:
            return Answer(failure=Scored(value=0.0, reason=f"no usable answer: {error}"), usage=error.usage)
        except (Transient, Declined) as error:  # of this one case: a stranger may have written what was declined
            return Answer(failure=Unscored(reason=str(error)))
        except (Permanent, OverBudget) as error:
            self.broken = str(error)
            return Answer(failure=Unscored(reason=self.broken))
        # half a character would make promptfoo's whole results file unreadable
        return Answer(output=reply.text.encode("utf-8", "replace").decode("utf-8"), usage=reply.usage)

    async def _judge(self, key: Key, output: str, seen: object) -> Grade:
        if self.broken:
            return Grade(result=Unscored(reason=self.broken))
        if seen != output:  # then the owner's assertions judge something else than the answer
            return Grade(result=Unscored(reason="promptfoo changed the answer before judging it"))
        try:
            return await self._grader.grade(self._cases[key[1]], output)
        except (Permanent, OverBudget) as error:
            self.broken = str(error)
            return Grade(result=Unscored(reason=self.broken))


async def _once(tasks: dict[Key, asyncio.Task[T]], key: Key, start: Callable[[], Awaitable[T]]) -> T:
    """The same piece of work for everybody who asks; it goes on when one of them hangs up."""
    if key not in tasks:
        tasks[key] = asyncio.ensure_future(_run(start))
    return await asyncio.shield(tasks[key])


async def _run(start: Callable[[], Awaitable[T]]) -> T:
    return await start()


def _finished(task: asyncio.Task[T] | None) -> T | None:
    done = task is not None and task.done() and not task.cancelled() and task.exception() is None
    return task.result() if done and task is not None else None
