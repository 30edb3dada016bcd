"""From a studied prompt to rewrites of it: root causes of what it answers badly, and one step for all of them.

Nothing here runs a prompt on a case. A rewriter that fails makes no proposal and says why; what would fail for every
request is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.causes import Grouped, group
from optimizer.errors import Declined, Transient
from optimizer.fence import Fence
from optimizer.ports import LanguageModel
from optimizer.search.entrant import Entrant
from optimizer.search.memory import Memory
from optimizer.search.plan import SearchPlan
from optimizer.search.study import Studies
from optimizer.search.tasks import together
from optimizer.tgd import NoCandidate, Rewriter, Step, step
from optimizer.types import RootCause


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Rewrites of one prompt, or why there are none.

    Attributes:
        exhausted: no root cause is left, so that asking again would change nothing.
    """

    entrants: tuple[Entrant, ...] = ()
    reason: str = ""
    exhausted: bool = False


class Proposer:
    """Makes rewrites of studied prompts."""

    def __init__(
        self, studies: Studies, memory: Memory, model: LanguageModel, *, plan: SearchPlan, fence: Fence
    ) -> None:
        self._studies = studies
        self._memory = memory
        self._model = model
        self._plan = plan
        self._fence = fence

    async def propose(self, parent: Entrant, *, count: int, causes: int, sample: int, round_: int) -> Proposals:
        """Up to `count` different rewrites of a prompt, each because of up to so many root causes.

        Args:
            sample: the number of the first rewrite; another number is another answer.
        """
        grouped = self.causes(parent)
        if not grouped.causes:
            return Proposals(reason=_no_cause(grouped), exhausted=True)
        tried = range(sample, sample + count)
        steps = await together(self._step(parent, grouped.causes[:causes], n) for n in tried)
        entrants: dict[str, Entrant] = {}
        refusals: list[str] = []
        for stepped in steps:
            if isinstance(stepped, str):
                refusals.append(stepped)
                continue
            self._memory.not_admitted(stepped.refused)
            if isinstance(stepped.candidate, NoCandidate) or stepped.document is None:
                refusals.append(getattr(stepped.candidate, "reason", ""))
                continue
            one = Entrant(
                document=stepped.document,
                body=stepped.document.body,
                edits=(*parent.edits, *stepped.edits),
                step=stepped.edits,
                parent=parent.id,
                round=round_,
            )
            entrants[one.id] = one
        return Proposals(entrants=tuple(entrants.values()), reason=refusals[0] if refusals else "")

    def causes(self, parent: Entrant) -> Grouped:
        """Why the prompt answers badly, best founded first."""
        gradients = self._studies.gradients(parent)
        return group(gradients, quorum=self._plan.quorum, per_source=self._plan.per_source)

    async def _step(self, parent: Entrant, causes: Sequence[RootCause], sample: int) -> Step | str:
        """One step, or why the rewriter could not be asked."""
        try:
            return await step(
                parent.document,
                causes,
                self._model,
                rewriter=self._rewriter(),
                fence=self._fence,
                source_texts=_source_texts(causes),
                history=self._memory.steps,
                sample=sample,
            )
        except (Transient, Declined) as error:
            return f"the rewriter could not be asked: {type(error).__name__}"

    def _rewriter(self) -> Rewriter:
        plan = self._plan
        return Rewriter(
            model=plan.rewriter_model,
            attempts=plan.attempts,
            max_tokens=plan.rewriter_max_tokens,
            max_causes=plan.max_causes,
            causes_chars=plan.causes_chars,
            limits=plan.limits,
        )


def _source_texts(causes: Sequence[RootCause]) -> tuple[str, ...]:
    """What strangers wrote in the rows behind the causes: the guard lets no run of their words in."""
    runs = (g.loss.trace.generation for cause in causes for g in cause.gradients)
    said = (g.loss.text for cause in causes for g in cause.gradients)
    return tuple(dict.fromkeys([*said, *(text for run in runs for text in (run.input, run.output))]))


def _no_cause(grouped: Grouped) -> str:
    if not grouped.refused:
        return "no criticism calls for a change of the prompt any more"
    reasons = ", ".join(sorted({refusal.reason for refusal in grouped.refused}))
    return f"no root cause stands any more: {reasons}"
