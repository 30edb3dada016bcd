"""Answers and judgements for a promptfoo run over our own cases.

promptfoo asks for an answer by arm and case id, and gets what the answer is worth along with it; all keys and the texts
of cases and prompts stay on this side. The verdict is made from what was answered and judged on this side.
"""

from types import TracebackType
from typing import Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.answers import Answer, Answers
from connectors.grades import Grades
from connectors.promptfoo.loopback import Loopback
from optimizer.identity import Json
from optimizer.types import Arm, Missing, Unscored


class _Ask(BaseModel):
    model_config = ConfigDict(extra="ignore")

    arm: Arm
    case_id: str


class Gateway:
    """Serves one run. An async context manager; `url` is valid inside. Leaving it calls off what is in flight."""

    def __init__(self, answers: Answers, grades: Grades) -> None:
        self._answers = answers
        self._grades = grades
        self._loopback = Loopback({"/answer": self._serve})

    @property
    def url(self) -> str:
        """Where answers are asked for."""
        return f"{self._loopback.url}/answer"

    async def __aenter__(self) -> Self:
        await self._loopback.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failures = [await self._grades.close(), await self._answers.close()]
        await self._loopback.__aexit__(kind, error, traceback)
        for failure in failures:  # a bug, or a cycle that belongs to another worker by now: not for us to swallow
            if error is None and failure is not None:
                raise failure

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            ask = _Ask.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest from error
        if ask.case_id not in self._answers.cases:
            raise web.HTTPNotFound
        answer = await self._answers.of(ask.arm, ask.case_id)
        if answer.failure is not None:
            return web.json_response({"error": "no answer"})
        grade = await self._grades.of(ask.arm, ask.case_id)
        if isinstance(grade, Unscored):
            return web.json_response({"error": "no judgement"})
        worth: Json = {"pass": grade.value >= 0.5, "score": grade.value, "reason": "judged by Tracegrad"}
        return web.json_response({**told(answer), "metadata": {"grade": worth}})


def told(answer: Answer) -> dict[str, Json]:
    """An answer as promptfoo's providers give it."""
    usage = answer.usage
    reply: dict[str, Json] = {
        "output": answer.output,
        "tokenUsage": {
            "total": usage.input_tokens + usage.output_tokens,
            "prompt": usage.input_tokens,
            "completion": usage.output_tokens,
        },
    }
    if not isinstance(usage.cost_usd, Missing):
        reply["cost"] = usage.cost_usd
    if not isinstance(answer.latency_s, Missing):  # what the owner's `latency` judges: not our own way to the model
        reply["latencyMs"] = answer.latency_s * 1000
    return reply
