"""A model whose answers say what it was asked, so that a table can list every request and every gradient of a graph."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

from optimizer.autodiff.losses import feedback
from optimizer.autodiff.node import Node
from optimizer.autodiff.variable import Variable
from optimizer.errors import TracegradError
from optimizer.meta import chain
from optimizer.ports import ModelReply, ModelRequest

Reply = str | TracegradError | None


class EchoModel:
    """The task model says `system(user)`; the critic says `text < complaint`, both from the request alone.

    Args:
        replies: what is said to a request instead; None for the echo. It may wait.
        latency: how many times another task comes first, by the request.
    """

    def __init__(
        self,
        replies: Callable[[ModelRequest], Any] = lambda _: None,
        latency: Callable[[ModelRequest], int] = lambda _: 0,
    ) -> None:
        self.requests: list[ModelRequest] = []
        self._replies = replies
        self._latency = latency

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        for _ in range(self._latency(request)):
            await asyncio.sleep(0)
        said = self._replies(request)
        reply = await said if asyncio.iscoroutine(said) else said
        if isinstance(reply, Exception):
            raise reply
        return ModelReply(text=echo(request) if reply is None else reply, model=request.model)

    @property
    def asked(self) -> list[str]:
        """Every request in a few words, in the order in which they came."""
        return [in_words(request) for request in self.requests]


def echo(request: ModelRequest) -> str:
    if request.purpose == "task":
        *system, user = request.messages
        return f"{system[0].content if system else ''}({one_line(user.content)})"
    return criticism(f"{text_under_prompt(request)} < {one_line(block(request)['complaint'])}")


def one_line(text: str) -> str:
    return text.replace("\n", "+")


def criticism(text: str, *, change: bool = True) -> str:
    return json.dumps({"change": change, "gradient": text})


def text_under_prompt(request: ModelRequest) -> str:
    shown = next(line for line in request.messages[1].content.split("\n") if line.startswith('{"lines"'))
    lines = json.loads(shown)["lines"]
    return "\n".join(line["text"] for line in lines)


def block(request: ModelRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.messages[1].content.split("\n")[-2])
    return found


def in_words(request: ModelRequest) -> str:
    if request.purpose == "task":
        return f"task {echo(request)}"
    data = block(request)
    edge = "chain" if request.messages[0].content.startswith(chain.SYSTEM) else "prompt"
    given = data["input"] if isinstance(data["input"], str) else ",".join(part["text"] for part in data["input"])
    said = f"{data['kind']}: {one_line(data['complaint'])}"
    return f"{edge} {text_under_prompt(request)} | {given} -> {data['output']} | {said}"


def prompt(text: str) -> Variable:
    return Variable(text, role=f"prompt {text}", requires_grad=True)


def question(text: str, *, source: str = "") -> Variable:
    return Variable(text, role="question", source=source)


def bad(answer: Variable, words: str = "bad") -> Variable:
    """A loss that costs nothing."""
    return feedback(answer, words)


def said(variable: Node) -> list[str]:
    """The gradients of a variable: source, path and words."""
    return [f"{'>'.join(gradient.path)} {gradient.text}".strip() for gradient in variable.gradients]


def shuffled(seed: int) -> Callable[[ModelRequest], int]:
    """Latencies that differ from request to request and from seed to seed."""
    return lambda request: hashlib.sha256(f"{seed}{request.key}".encode()).digest()[0] % 17
