"""A judge of pairs that asks a language model in both orders: the port `PairJudge`.

The model sees the texts fenced and is never told whose answer is whose. A preference that changes with the order is
none: a judge that always likes the first place ends in ties, and shows itself in the swaps.
"""

import asyncio
from dataclasses import dataclass

from connectors.judges.asking import MAX_TOKENS, asked, input_text, reason_in
from optimizer.errors import Garbled
from optimizer.fence import Fence
from optimizer.meta import pairwise as meta
from optimizer.ports import LanguageModel, ModelRequest, Preference
from optimizer.prompts import Message
from optimizer.replies import JsonObject
from optimizer.types import Case, Missing, Scored, Shown, Swap, Unscored


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opinion:
    better: Shown
    reason: str


class PairwiseJudge:
    """Prefers one of two answers to the same input.

    Args:
        judge_model: name of the model that judges.
        fence_secret: the run's secret, so that the same run sends the same bytes again.
    """

    def __init__(self, model: LanguageModel, judge_model: str, *, fence_secret: bytes) -> None:
        self._model = model
        self._judge_model = judge_model
        self._fence_secret = fence_secret

    @property
    def name(self) -> str:
        """The model and its meta-prompt, for reports."""
        return f"{self._judge_model}, pairwise in both orders (judge v{meta.VERSION})"

    async def prefer(self, case: Case, baseline: str, candidate: str) -> Preference:
        """Compare two answers; see the port. Raises Permanent and OverBudget: those end the whole run.

        Equal answers are a tie that nobody is asked about.
        """
        if baseline == candidate:
            return _both(Scored(value=0.5, reason="both answers are the same"))
        forward, backward = await asyncio.gather(
            self._asked(case, baseline, candidate), self._asked(case, candidate, baseline)
        )
        if isinstance(forward, Unscored):
            return _both(forward)
        if isinstance(backward, Unscored):
            return _both(backward)
        swap = Swap(case_id=case.id, forward=forward.better, backward=backward.better)
        return _weighed(swap, forward.reason, backward.reason)

    async def _asked(self, case: Case, first: str, second: str) -> _Opinion | Unscored:
        question, reference = input_text(case.input), None if isinstance(case.reference, Missing) else case.reference
        texts = (question, first, second, reference or "", case.complaint, case.recorded_output)
        block = Fence.of(self._fence_secret, *texts).wrap(
            {
                "input": question,
                "first": first,
                "second": second,
                "reference": reference,
                "complaint": case.complaint,
                "earlier": case.recorded_output if case.complaint else "",
            }
        )
        request = ModelRequest(
            purpose="judge",
            model=self._judge_model,
            messages=(Message(role="system", content=meta.SYSTEM), Message(role="user", content=block)),
            reply_schema=meta.SCHEMA,
            reply_name=meta.REPLY_NAME,
            max_tokens=MAX_TOKENS,
        )
        return await asked(self._model, request, _read)


def _read(fields: JsonObject) -> _Opinion:
    better = fields.get("better")
    if better not in tuple(Shown):
        raise Garbled('"better" must be "first", "second" or "neither"')
    return _Opinion(better=Shown(better), reason=reason_in(fields))


def _weighed(swap: Swap, forward: str, backward: str) -> Preference:
    """1 and 0 when the same answer wins in both places; `forward` and `backward` are the reasons given."""
    if (swap.forward, swap.backward) == (Shown.FIRST, Shown.SECOND):
        baseline, words = 1.0, "the baseline's answer is better in both orders"
    elif (swap.forward, swap.backward) == (Shown.SECOND, Shown.FIRST):
        baseline, words = 0.0, "the candidate's answer is better in both orders"
    elif swap.forward is swap.backward is Shown.NEITHER:
        baseline, words = 0.5, "neither answer is better"
    else:
        baseline, words = 0.5, f"the order decided: {swap.forward}, then {swap.backward}"
    reason = f"{words}; baseline shown first: {forward or '-'}; candidate shown first: {backward or '-'}"
    return Preference(
        baseline=Scored(value=baseline, reason=reason),
        candidate=Scored(value=1.0 - baseline, reason=reason),
        swap=swap,
    )


def _both(result: Scored | Unscored) -> Preference:
    return Preference(baseline=result, candidate=result)
