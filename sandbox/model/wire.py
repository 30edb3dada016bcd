"""The OpenAI wire format as far as the simulated model speaks it: requests in, completions and errors out.

It must not decide what is answered.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

MODELS = ("sim-task", "sim-critic", "sim-judge")
EMBEDDER = "sim-embed"
"""Makes vectors and no replies."""
SCHEMA_NOTE = "Reply with one JSON object that follows this JSON schema:"
"""After these words the schema stands in the system message, for servers without structured replies."""

_GRADED = ("<Rubric>", "[Criterion]:", "<expert_answer>")
"""What promptfoo's own graders have in their requests."""


class Refusal(Exception):
    """An error answer in OpenAI's shape."""

    def __init__(self, *, status: int, message: str, code: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        kind = "invalid_request_error" if self.status < 429 else "server_error" if self.status >= 500 else "requests"
        body = {"error": {"message": str(self), "type": kind, "param": None, "code": self.code}}
        return JSONResponse(body, self.status, {"retry-after": self.retry_after} if self.retry_after else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One chat request.

    Attributes:
        kind: the reply name (gradient, edits, judgement, preference, answers); without one, free for the critic's
            model, graded for a judge that is asked as promptfoo asks, and task for the others.
        sample: the request's sampling seed as text, empty when it has none.
        digest: of the whole body; equal requests have equal digests.
        max_tokens: 0 for no limit.
    """

    kind: str
    model: str
    system: str
    user: tuple[str, ...]
    sample: str
    digest: str
    max_tokens: int


def read_call(body: Any, *, structured: bool) -> Call:
    """Check a request body and take it apart. Raises Refusal."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise Refusal(status=400, message="'messages' is a required property.", code="missing_messages")
    if body.get("model") not in MODELS:
        raise Refusal(status=404, message=f"The model '{body.get('model')}' does not exist.", code="model_not_found")
    if body.get("stream"):
        raise Refusal(status=400, message="The simulated model does not stream.", code="unsupported_value")
    by_role: dict[str, list[str]] = {}
    for message in body["messages"]:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal(status=400, message="Each message is an object with a role.", code="invalid_message")
        by_role.setdefault(message["role"], []).append(_content(message.get("content")))
    system = "\n".join([*by_role.get("system", []), *by_role.get("developer", [])])
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    user = tuple(by_role.get("user", []))
    return Call(
        kind=_structured_kind(body, structured=structured)
        or _described_kind(system)
        or _unnamed_kind(body["model"], "\n".join((system, *user))),
        model=body["model"],
        system=system,
        user=user,
        sample="" if body.get("seed") is None else str(body["seed"]),
        digest=hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(),
        max_tokens=limit if isinstance(limit, int) else 0,
    )


def _unnamed_kind(model: str, said: str) -> str:
    if model == "sim-critic":
        return "free"
    return "graded" if model == "sim-judge" and any(words in said for words in _GRADED) else "task"


def completion(call: Call, text: str) -> dict[str, Any]:
    """The answer's body; cut off at the request's token limit, at four characters a token."""
    cut = bool(call.max_tokens) and len(text) > call.max_tokens * 4
    said = text[: call.max_tokens * 4] if cut else text
    asked = tokens(call.system) + sum(tokens(message) for message in call.user)
    return {
        "id": f"chatcmpl-sim-{call.digest[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": call.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said, "refusal": None},
                "finish_reason": "length" if cut else "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": tokens(said), "total_tokens": asked + tokens(said)},
    }


def tokens(text: str) -> int:
    """About four characters a token."""
    return -(-len(text) // 4)


def garbled(text: str, chance: float) -> str:
    """The same reply as a careless model gives it: cut, wrapped in prose, or with a key missing."""
    if chance < 1 / 3:
        return text[: max(1, len(text) * 2 // 3)]
    if chance < 2 / 3:
        return f"Sure, here is the JSON that you asked for:\n\n```json\n{text}\n```\n\nTell me if I can do more!"
    value = json.loads(text)
    value.pop(next(iter(value)))
    return json.dumps(value, ensure_ascii=False)


def _content(content: Any) -> str:
    """A message's text; content parts are joined."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _structured_kind(body: dict[str, Any], *, structured: bool) -> str:
    """The reply name of a json_schema request."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return ""
    if not structured:
        message = "'response_format' of type 'json_schema' is not supported with this model."
        raise Refusal(status=400, message=message, code="unsupported_value")
    schema = wanted.get("json_schema")
    return str(schema.get("name", "")) if isinstance(schema, dict) else ""


def _described_kind(system: str) -> str:
    """The title of a schema that stands in the system message."""
    _, found, rest = system.partition(SCHEMA_NOTE)
    if not found:
        return ""
    try:
        schema, _ = json.JSONDecoder().raw_decode(rest.lstrip())
    except ValueError:
        return ""
    return str(schema.get("title", "")) if isinstance(schema, dict) else ""
