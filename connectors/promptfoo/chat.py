"""A chat endpoint for promptfoo's own OpenAI client, answered by our model client: on the budget, with our key.

What cannot be answered is marked, so that nobody takes it for an answer, and is never asked for again.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from connectors.promptfoo.results import UNJUDGED
from optimizer.errors import BadReply, Declined, OverBudget, Permanent, Transient
from optimizer.ports import LanguageModel, ModelReply, ModelRequest
from optimizer.prompts import Message

MAX_TOKENS = 4096
"""Enough for a verdict with its reason, for the steps of a g-eval, and for a list of attacks."""


class _Said(BaseModel):
    role: str
    content: str | list[dict[str, Any]]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        if any(part.get("type") != "text" for part in self.content):
            raise ValueError
        return "\n".join(str(part.get("text", "")) for part in self.content)


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str
    messages: tuple[_Said, ...] = Field(min_length=1)
    temperature: float = 0.0
    max_tokens: int = Field(default=MAX_TOKENS, ge=1)


class Chat:
    """The endpoint.

    Args:
        purpose: what the calls are for; see `ModelRequest`.
        sample: another sample asks anew.
        shown: what the model is to read instead of a text.

    Attributes:
        broken: why no further call can succeed; empty while all is well.
    """

    def __init__(
        self, model: LanguageModel, *, purpose: str, sample: int = 0, shown: Callable[[str], str] = str
    ) -> None:
        self.broken = ""
        self._model = model
        self._purpose = purpose
        self._sample = sample
        self._shown = shown

    async def serve(self, request: web.Request) -> web.Response:
        """POST /v1/chat/completions."""
        try:
            question = self._question(await request.read())
        except ValueError:
            return unanswered("only text can be asked")
        if self.broken:
            return unanswered(self.broken)
        try:
            return _answer(await self._model.complete(question))
        except (BadReply, Transient, Declined) as error:
            return unanswered(str(error))
        except (Permanent, OverBudget) as error:
            self.broken = str(error)
            return unanswered(self.broken)

    def _question(self, body: bytes) -> ModelRequest:
        """The request in our words. Raises ValueError."""
        asked = _Question.model_validate_json(body)
        return ModelRequest(
            purpose=self._purpose,
            model=asked.model,
            messages=tuple(Message(role=said.role, content=self._shown(said.text)) for said in asked.messages),
            temperature=asked.temperature,
            max_tokens=asked.max_tokens,
            attempt=self._sample,
        )


def unanswered(why: str) -> web.Response:
    """An error that promptfoo does not try again, and that `results` knows."""
    return web.json_response({"error": {"message": f"{UNJUDGED}: {why}", "type": "invalid_request_error"}}, status=400)


def _answer(reply: ModelReply) -> web.Response:
    text = reply.text.encode("utf-8", "replace").decode("utf-8")  # half a character cannot be sent on
    asked, said = reply.usage.input_tokens, reply.usage.output_tokens
    return web.json_response(
        {
            "id": "chatcmpl-tracegrad",
            "object": "chat.completion",
            "created": 0,
            "model": reply.model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
        }
    )
