"""A chat completions server that answers what a test scripted, and remembers what it was asked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optimizer.ports import ModelRequest
from optimizer.prompts import Message

Script = Callable[[dict[str, Any], int], Response | Awaitable[Response]]


def completion(
    content: Any = "Good day.", *, finish: str = "stop", usage: dict[str, Any] | None = None, **message: Any
) -> Response:
    """An answer in the shape of the protocol."""
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny-2026-01-01",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100} if usage is None else usage,
    }
    return Response(json.dumps(value), media_type="application/json")


def failure(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Response:
    """An error in the shape of the protocol."""
    body = json.dumps({"error": {"message": message, **error}})
    return Response(body, status, headers, media_type="application/json")


def in_turn(*answers: Response) -> Script:
    """The n-th call gets the n-th answer; calls after the last one get the last one."""
    return lambda _, call: answers[min(call, len(answers) - 1)]


class ScriptedChat:
    """The server: `bodies` and `headers` of every call, and how many calls it had in flight at once at most."""

    def __init__(self, script: Script) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.gone = asyncio.Event()
        self._script = script
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = await request.json()
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            answer = self._script(body, len(self.bodies) - 1)
            return answer if isinstance(answer, Response) else await answer
        finally:
            self.in_flight -= 1


def ask(**fields: Any) -> ModelRequest:
    """A request; fields replace its own."""
    messages = (
        Message(role="system", content="Answer customers kindly."),
        Message(role="user", content="Where is my parcel, the one with the green ribbon?"),
    )
    return ModelRequest(**{"purpose": "task", "model": "tiny", "messages": messages, **fields})
