"""A model that answers from a script, a fence that is switched off, and short ways to write values down."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from optimizer.errors import TracegradError
from optimizer.fence import Fence
from optimizer.identity import Json
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import PromptVersion
from optimizer.types import Generation, Gradient, LossKind, Score, ScoreKind, TextLoss, Trace

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROMPT = PromptVersion(name="support", version=3, body="You are the assistant of {{shop}}.\nBe kind.\nBe short.")

Reply = str | TracegradError


@dataclass
class ScriptedModel:
    """Answers by a function of the request; yields to other tasks as often as `delay` says first."""

    script: Callable[[ModelRequest], Reply]
    delay: Callable[[ModelRequest], int] = lambda _: 0
    requests: list[ModelRequest] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        for _ in range(self.delay(request)):
            await asyncio.sleep(0)
        self.answered.append(request.key)
        reply = self.script(request)
        if isinstance(reply, TracegradError):
            raise reply
        return ModelReply(text=reply, model=request.model)


def in_order(*replies: Reply) -> Callable[[ModelRequest], Reply]:
    """The first reply for the first call, and so on; one call too many fails the test."""
    left = list(replies)
    return lambda _: left.pop(0)


class PlainFence(Fence):
    """No fence at all: `key: value` lines, as a careless author would write them."""

    def wrap(self, fields: Mapping[str, Json]) -> str:
        return "\n".join(f"{key}: {value}" for key, value in fields.items())


def generation(key: str, *, trace: str = "", prompt: str = "support", source: str = "", minutes: int = 0) -> Generation:
    return Generation(
        id=key,
        trace_id=trace or f"trace-{key}",
        prompt_name=prompt,
        prompt_version=3 if prompt else 0,
        environment="production",
        at=NOON + timedelta(minutes=minutes),
        input=f"question {key}",
        output=f"answer {key}",
        model="gpt",
        source_key=source,
    )


def score(
    key: str,
    value: float | bool | str,
    *,
    trace: str = "trace-g",
    observation: str = "",
    name: str = "user-feedback",
    kind: ScoreKind = ScoreKind.NUMERIC,
    comment: str = "",
    edited: int = 0,
) -> Score:
    return Score(
        id=key,
        name=name,
        kind=kind,
        value=value,
        comment=comment,
        trace_id=trace,
        observation_id=observation,
        environment="production",
        at=NOON,
        updated_at=NOON + timedelta(minutes=edited),
    )


def loss(
    key: str, text: str = "bad", *, source: str = "", kind: LossKind = LossKind.COMMENT, weight: float = 1.0
) -> TextLoss:
    trace = Trace(generation=generation(key, source=source), scores=(score(f"s-{key}", 0.0, trace=f"trace-{key}"),))
    return TextLoss(trace=trace, kind=kind, text=text, weight=weight)


def gradient(key: str, text: str, *, source: str = "", change: bool = True, weight: float = 1.0) -> Gradient:
    return Gradient(loss=loss(key, source=source, weight=weight), warrants_change=change, text=text)


def criticism(text: str, *, change: bool = True) -> str:
    return json.dumps({"change": change, "gradient": text})


def rewrite(*edits: tuple[str, str, str, str]) -> str:
    """A rewriter's reply: (op, line, text, cause) each."""
    return json.dumps(
        {
            "edits": [
                {"op": op, "line": line, "text": text, "cause": cause, "reason": f"because of {cause}"}
                for op, line, text, cause in edits
            ]
        }
    )
