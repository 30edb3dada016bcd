"""Answers for the owner's tests, and a model server for their graders, both on 127.0.0.1 and in our process.

promptfoo sends a test's variables as it rendered them, and a name for the prompt that they fill; the prompt itself
stays here, and is put into a grader's question where that name stands. A grader's question is answered by our own
model client, so it is on the budget and in the journal. What a grader cannot answer is marked, never judged.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.answers import Answer, Answers, Key
from connectors.embeddings import Embedder
from connectors.promptfoo.gateway import told
from connectors.promptfoo.loopback import Loopback
from connectors.promptfoo.owner.variables import placed
from connectors.promptfoo.results import UNJUDGED
from optimizer.errors import BadReply, Declined, OverBudget, Permanent, Transient
from optimizer.identity import Json, canonical, digest
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.template import fill
from optimizer.types import Arm, Case, CaseOrigin, Missing

GRADER_TOKENS = 4096
"""Enough for a verdict with its reason, and for the steps of a g-eval."""


class _Ask(BaseModel):
    model_config = ConfigDict(extra="ignore")

    arm: Arm
    case_id: str
    prompt: str = Field(pattern=r"^tracegrad-prompt-[0-9a-f]{32}$")
    variables: dict[str, str]


class _Said(BaseModel):
    role: str
    content: str | list[dict[str, Any]]


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str
    messages: tuple[_Said, ...] = Field(min_length=1)
    temperature: float = 0.0
    max_tokens: int = Field(default=GRADER_TOKENS, ge=1)


class _Text(BaseModel):
    model_config = ConfigDict(extra="ignore")

    input: str


class OwnerGateway:
    """Serves one run of the owner's tests. An async context manager; `url` is valid inside.

    Attributes:
        variants: ids of the answers of a test in each arm: several when promptfoo makes several of one test.
    """

    def __init__(
        self,
        arms: Mapping[Arm, PromptVersion],
        cases: Mapping[str, Case],
        answers: Answers,
        *,
        model: LanguageModel,
        embedder: Embedder | None,
        sample: int,
    ) -> None:
        self._bodies = [arms[arm].body for arm in Arm]
        self._arms = arms
        self._cases = cases
        self._answers = answers
        self._model = model
        self._embedder = embedder
        self._sample = sample
        self._prompts: dict[str, str] = {}
        self.variants: dict[Key, dict[str, None]] = {}
        self._loopback = Loopback(
            {
                "/answer": self._answer,
                "/v1/chat/completions": self._grade,
                "/v1/embeddings": self._embed,
            }
        )

    @property
    def url(self) -> str:
        """The root of everything that a run may ask."""
        return self._loopback.url

    async def __aenter__(self) -> Self:
        await self._loopback.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failure = await self._answers.close()
        await self._loopback.__aexit__(kind, error, traceback)
        if error is None and failure is not None:
            raise failure

    def answers(self, key: Key) -> list[Answer]:
        """What was said to a test, in the order in which promptfoo asked; unfinished ones are left out."""
        found = (self._answers.made(key[0], variant) for variant in self.variants.get(key, ()))
        return [answer for answer in found if answer is not None]

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            ask = _Ask.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest from error
        if ask.case_id not in self._cases:
            raise web.HTTPNotFound
        shown = placed(self._bodies, ask.variables)
        variant = f"{ask.case_id} {digest(canonical({**ask.variables}))}"
        case = Case(
            id=variant,
            origin=CaseOrigin.CONFIG,
            input=shown,
            reference=Missing.NO_REFERENCE,
            source_key=ask.case_id,
        )
        self._answers.cases.setdefault(variant, case)
        self.variants.setdefault((ask.arm, ask.case_id), {})[variant] = None
        self._prompts[ask.prompt] = _written(fill(self._arms[ask.arm].body, shown))
        answer = await self._answers.of(ask.arm, variant)
        return web.json_response({"error": "no answer"} if answer.failure is not None else told(answer))

    async def _grade(self, request: web.Request) -> web.Response:
        try:
            asked = _Question.model_validate_json(await request.read())
            messages = tuple(Message(role=said.role, content=self._unnamed(_plain(said))) for said in asked.messages)
        except ValueError:
            return _unjudged("the grader was asked something that is no text")
        if self._answers.broken:
            return _unjudged(self._answers.broken)
        question = ModelRequest(
            purpose="judge",
            model=asked.model,
            messages=messages,
            temperature=asked.temperature,
            max_tokens=asked.max_tokens,
            attempt=self._sample,
        )
        try:
            reply = await self._model.complete(question)
        except (BadReply, Transient, Declined) as error:
            return _unjudged(str(error))
        except (Permanent, OverBudget) as error:
            self._answers.stop(str(error))
            return _unjudged(str(error))
        message: Json = {"role": "assistant", "content": reply.text.encode("utf-8", "replace").decode("utf-8")}
        total = reply.usage.input_tokens + reply.usage.output_tokens
        usage: Json = {
            "prompt_tokens": reply.usage.input_tokens,
            "completion_tokens": reply.usage.output_tokens,
            "total_tokens": total,
        }
        return web.json_response(
            {
                "id": "chatcmpl-tracegrad",
                "object": "chat.completion",
                "created": 0,
                "model": asked.model,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            }
        )

    async def _embed(self, request: web.Request) -> web.Response:
        try:
            asked = _Text.model_validate_json(await request.read())
        except ValidationError:
            return _unjudged("one text at a time can be embedded")
        if self._embedder is None:
            return _unjudged("there is no embedding model")
        try:
            vector = await self._embedder.embed(self._unnamed(asked.input))
        except (Transient, Declined) as error:
            return _unjudged(str(error))
        except Permanent as error:
            self._answers.stop(str(error))
            return _unjudged(str(error))
        row: Json = {"object": "embedding", "index": 0, "embedding": list(vector)}
        usage: Json = {"prompt_tokens": 0, "total_tokens": 0}
        return web.json_response({"object": "list", "model": self._embedder.model, "data": [row], "usage": usage})

    def _unnamed(self, text: str) -> str:
        """A grader's text with the prompts that their names stand for."""
        if "tracegrad-prompt-" in text:
            for name, prompt in self._prompts.items():
                text = text.replace(name, prompt)
        return text


def _plain(said: _Said) -> str:
    if isinstance(said.content, str):
        return said.content
    if any(part.get("type") != "text" for part in said.content):
        raise ValueError
    return "\n".join(str(part.get("text", "")) for part in said.content)


def _written(messages: tuple[Message, ...]) -> str:
    """A filled prompt as promptfoo would show it to a grader: one message bare, several as JSON."""
    if len(messages) == 1:
        return messages[0].content
    return canonical([{"role": message.role, "content": message.content} for message in messages])


def _unjudged(why: str) -> web.Response:
    """An answer that promptfoo does not ask for again, and that results.py knows."""
    return web.json_response({"error": {"message": f"{UNJUDGED}: {why}", "type": "invalid_request_error"}}, status=400)
