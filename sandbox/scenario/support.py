"""The simulated shop's support application: it gets its prompt from Langfuse and traces its calls, as programs do.

It speaks only Langfuse's and OpenAI's wire formats, and knows nothing of ideas, scores or the optimizer.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import httpx

from sandbox.scenario.otlp import Generated
from sandbox.scenario.project import LangfuseProject, LinkedPrompt

PROMPT_NAME = "support-assistant"
ENVIRONMENT = "production"
_IN_FLIGHT = 16


class NoPrompt(Exception):
    """The registry has no production version of the application's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a customer asked.

    Attributes:
        trace_id: 32 hexadecimal digits, chosen by the caller, so that history can be written twice without doubles.
    """

    trace_id: str
    text: str
    user: str
    session: str
    shop_name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question with the application's answer to it."""

    question: Question
    output: str
    prompt_version: int
    observation_id: str


class SupportApplication:
    """The application. An async context manager.

    Args:
        langfuse_url: like http://127.0.0.1:3000.
        model_url: an OpenAI base URL, up to and with /v1.
    """

    def __init__(
        self,
        langfuse_url: str,
        model_url: str,
        *,
        public_key: str = "pk-lf-sandbox",
        secret_key: str = "sk-lf-sandbox",
        model_key: str = "sk-sandbox",
        model: str = "sim-task",
    ) -> None:
        self.project = LangfuseProject(langfuse_url, public_key=public_key, secret_key=secret_key)
        self._model = model
        self._http = httpx.AsyncClient(base_url=model_url, headers={"authorization": f"Bearer {model_key}"}, timeout=60)
        self._turns = asyncio.Semaphore(_IN_FLIGHT)

    async def __aenter__(self) -> "SupportApplication":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.project.__aexit__(kind, error, trace)
        await self._http.aclose()

    async def answer(self, questions: Sequence[Question]) -> tuple[Answered, ...]:
        """Answer customers with the production prompt and trace every call. Raises NoPrompt.

        The prompt is read once for all of them.
        """
        prompt = await self.project.prompt(PROMPT_NAME)
        if prompt is None:
            raise NoPrompt(f"Langfuse has no production version of {PROMPT_NAME!r}: seed the sandbox first.")
        generated = await asyncio.gather(*(self._call(question, prompt) for question in questions))
        await self.project.record(generated)
        return tuple(
            Answered(
                question=question,
                output=one.output,
                prompt_version=one.prompt_version,
                observation_id=one.observation_id,
            )
            for question, one in zip(questions, generated, strict=True)
        )

    async def _call(self, question: Question, prompt: LinkedPrompt) -> Generated:
        system = prompt.text.replace("{{shop_name}}", question.shop_name)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question.text}]
        async with self._turns:
            answer = await self._http.post("chat/completions", json={"model": self._model, "messages": messages})
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return Generated(
            trace_id=question.trace_id,
            observation_id=question.trace_id[16:],
            at=question.at,
            duration=timedelta(milliseconds=900),
            user=question.user,
            session=question.session,
            environment=ENVIRONMENT,
            prompt_name=prompt.name,
            prompt_version=prompt.version,
            messages_json=json.dumps(messages, ensure_ascii=False),
            question=question.text,
            output=str(body["choices"][0]["message"]["content"]),
            model=str(body["model"]),
            input_tokens=int(body["usage"]["prompt_tokens"]),
            output_tokens=int(body["usage"]["completion_tokens"]),
        )
