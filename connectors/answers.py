"""What the arms of a comparison say to its cases: each answer is made once, however often it is asked for.

An arm is to blame for a refusal, a truncation, an empty or a malformed reply, and scores 0. It is never to blame for a
provider that fails.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.once import Once
from optimizer.errors import BadReply, Declined, OverBudget, Permanent, Transient
from optimizer.ports import LanguageModel, ModelReply, ModelRequest
from optimizer.prompts import PromptVersion
from optimizer.template import fill
from optimizer.types import Arm, Case, Missing, Scored, Unscored, Usage

Key = tuple[Arm, str]
Progress = Callable[[int, int], None]
"""Called with (answers made, answers to make)."""


def unwatched(_made: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an arm said to a case.

    Attributes:
        failure: set when there is no output to judge, and then it is the result: 0 when the arm is to blame.
        latency_s: seconds until the answer, with the waits for a place and between tries; missing for a failure, and
            for an answer out of a journal.
    """

    output: str = ""
    failure: Scored | Unscored | None = None
    usage: Usage = field(default_factory=Usage)
    latency_s: float | Missing = Missing.NOT_RECORDED


class Answers:
    """The answers of one run.

    Args:
        cases: with ids that are all different.
        sample: another sample draws the answers anew.

    Attributes:
        cases: by id.
        broken: why no further call can succeed (keys, budget); empty while all is well.
    """

    def __init__(
        self,
        arms: Mapping[Arm, PromptVersion],
        cases: Sequence[Case],
        *,
        model: LanguageModel,
        task_model: str,
        temperature: float = 0.0,
        max_tokens: int = 2048,
        sample: int = 0,
        progress: Progress = unwatched,
    ) -> None:
        self.cases = {case.id: case for case in cases}
        self.broken = ""
        self._arms = arms
        self._model = model
        self._task_model = task_model
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._sample = sample
        self._progress = progress
        self._once: Once[Key, Answer] = Once()
        self._done = 0

    def stop(self, why: str) -> None:
        """Let no further call be made; the first reason stays."""
        self.broken = self.broken or why

    def made(self, arm: Arm, case_id: str) -> Answer | None:
        """The answer, if it was asked for and made."""
        return self._once.made((arm, case_id))

    async def of(self, arm: Arm, case_id: str) -> Answer:
        """An arm's answer to one of the cases. Never raises for an answer."""
        return await self._once.get((arm, case_id), lambda: self._make(arm, self.cases[case_id]))

    async def close(self) -> Exception | None:
        """Call off what is in flight; see `Once`."""
        return await self._once.close()

    async def _make(self, arm: Arm, case: Case) -> Answer:
        try:
            return await self._ask(arm, case)
        finally:
            self._done += 1
            self._progress(self._done, len(self._arms) * len(self.cases))

    async def _ask(self, arm: Arm, case: Case) -> Answer:
        if self.broken:
            return Answer(failure=Unscored(reason=self.broken))
        started = time.monotonic()
        try:
            reply = await self._model.complete(self._request(arm, case))
        except BadReply as error:
            return Answer(failure=Scored(value=0.0, reason=f"no usable answer: {error}"), usage=error.usage)
        except (Transient, Declined) as error:  # of this one case: a stranger may have written what was declined
            return Answer(failure=Unscored(reason=str(error)))
        except (Permanent, OverBudget) as error:
            self.stop(str(error))
            return Answer(failure=Unscored(reason=self.broken))
        return _answer(reply, time.monotonic() - started)

    def _request(self, arm: Arm, case: Case) -> ModelRequest:
        return ModelRequest(
            purpose="task",
            model=self._task_model,
            messages=fill(self._arms[arm].body, case.input),
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            tools_json=case.input.tools_json,
            attempt=self._sample,
        )


def _answer(reply: ModelReply, waited_s: float) -> Answer:
    if not reply.text.strip():  # the model's port promises text; an arm that says nothing must not win by it
        return Answer(failure=Scored(value=0.0, reason="no usable answer: the reply holds no text"), usage=reply.usage)
    return Answer(
        # half a character cannot be written or sent on
        output=reply.text.encode("utf-8", "replace").decode("utf-8"),
        usage=reply.usage,
        latency_s=Missing.NOT_RECORDED if reply.replayed else waited_s,
    )
