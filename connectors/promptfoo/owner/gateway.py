"""Answers for the owner's tests, and a model server for their graders, both on 127.0.0.1 and in our process.

promptfoo sends a test's variables as it rendered them, and a name for the prompt that they fill; the prompt itself
stays here, and is put into a grader's question where that name stands. A grader's question is answered by our own
model client, so it is on the budget and in the journal. What a grader cannot answer is marked, never judged.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.answers import Answer, Answers, Key
from connectors.embeddings import Embedder
from connectors.promptfoo.chat import Chat, unanswered
from connectors.promptfoo.gateway import told
from connectors.promptfoo.loopback import Loopback
from connectors.promptfoo.owner.variables import placed
from optimizer.errors import Declined, Permanent, Transient
from optimizer.identity import Json, canonical, digest
from optimizer.ports import LanguageModel
from optimizer.prompts import Message, PromptVersion
from optimizer.template import fill
from optimizer.types import Arm, Case, CaseOrigin, Missing


class _Ask(BaseModel):
    model_config = ConfigDict(extra="ignore")

    arm: Arm
    case_id: str
    prompt: str = Field(pattern=r"^tracegrad-prompt-[0-9a-f]{32}$")
    variables: dict[str, str]


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
        self._embedder = embedder
        self._graders = Chat(model, purpose="judge", sample=sample, shown=self._unnamed)
        self._prompts: dict[str, str] = {}
        self.variants: dict[Key, dict[str, None]] = {}
        self._loopback = Loopback(
            {
                "/answer": self._answer,
                "/v1/chat/completions": self._graders.serve,
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

    @property
    def broken(self) -> str:
        """Why no further call can succeed, of answers or of graders; empty while all is well."""
        return self._answers.broken or self._graders.broken

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
        if self._graders.broken:  # what cannot be judged need not be paid for
            self._answers.stop(self._graders.broken)
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

    async def _embed(self, request: web.Request) -> web.Response:
        try:
            asked = _Text.model_validate_json(await request.read())
        except ValidationError:
            return unanswered("one text at a time can be embedded")
        if self._graders.broken:
            return unanswered(self._graders.broken)
        if self._embedder is None:
            return unanswered("there is no embedding model")
        try:
            vector = await self._embedder.embed(self._unnamed(asked.input))
        except (Transient, Declined) as error:
            return unanswered(str(error))
        except Permanent as error:
            self._graders.broken = str(error)
            return unanswered(str(error))
        row: Json = {"object": "embedding", "index": 0, "embedding": list(vector)}
        usage: Json = {"prompt_tokens": 0, "total_tokens": 0}
        return web.json_response({"object": "list", "model": self._embedder.model, "data": [row], "usage": usage})

    def _unnamed(self, text: str) -> str:
        """A grader's text with the prompts that their names stand for."""
        if "tracegrad-prompt-" in text:
            for name, prompt in self._prompts.items():
                text = text.replace(name, prompt)
        return text


def _written(messages: tuple[Message, ...]) -> str:
    """A filled prompt as promptfoo would show it to a grader: one message bare, several as JSON."""
    if len(messages) == 1:
        return messages[0].content
    return canonical([{"role": message.role, "content": message.content} for message in messages])
