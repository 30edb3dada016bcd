"""From a studied prompt to rewrites of it: root causes of what it answers badly, and one step for all of them.

A rewrite starts from the prompt without the edits that did not help. Before anybody pays for running it, it is asked
whether it answers its causes; the edits for those that it does not are made anew, once. Nothing here runs a prompt on a
case. A rewriter that fails makes no proposal and says why; what would fail for every request is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.causes import Grouped, group
from optimizer.critic import Critic
from optimizer.document import Document
from optimizer.errors import Declined, Transient
from optimizer.fence import Fence
from optimizer.history import PastStep
from optimizer.ports import LanguageModel
from optimizer.search.credit import credited
from optimizer.search.entrant import Entrant, without
from optimizer.search.memory import Memory
from optimizer.search.plan import SearchPlan
from optimizer.search.study import Studies
from optimizer.search.tasks import together
from optimizer.tgd import NoCandidate, RefusedEdit, Rewriter, step
from optimizer.types import Edit, Gradient, RootCause, Verdict
from optimizer.verification import verify

UNANSWERED = "before it was run, it was found not to answer its cause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Rewrites of one prompt, or why there are none.

    Attributes:
        exhausted: no root cause is left, so that asking again would change nothing.
    """

    entrants: tuple[Entrant, ...] = ()
    reason: str = ""
    exhausted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rewrite:
    """What one step came to: a document, or the reason why there is none; and the edits that fell out on the way."""

    document: Document | None = None
    reason: str = ""
    refused: tuple[RefusedEdit, ...] = ()


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
        self._asked: dict[str, int] = {}

    async def propose(self, parent: Entrant, *, count: int, causes: int, round_: int) -> Proposals:
        """Up to `count` different rewrites of a prompt, each because of up to so many root causes."""
        useless = {edit.id for edit in self.useless(parent)}
        base = without(parent.document, useless)
        grouped = self.causes(parent)
        if not grouped.causes:
            tidied = (Entrant.of(base, parent=parent, round_=round_),) if useless else ()
            return Proposals(entrants=tidied, reason=_no_cause(grouped), exhausted=not useless)
        first = self._asked.get(parent.id, 0)
        self._asked[parent.id] = first + count
        numbers = range(first, first + count)
        made = await together(self._rewrite(base, grouped.causes[:causes], number) for number in numbers)
        for one in made:
            self._memory.not_admitted(one.refused)
        entrants = [Entrant.of(one.document, parent=parent, round_=round_) for one in made if one.document]
        return Proposals(
            entrants=tuple({one.id: one for one in entrants}.values()),
            reason=next((one.reason for one in made if one.reason), ""),
        )

    def causes(self, parent: Entrant) -> Grouped:
        """Why the prompt answers badly, best founded first."""
        return group(self._gradients(parent), quorum=self._plan.quorum, per_source=self._plan.per_source)

    def useless(self, entrant: Entrant) -> tuple[Edit, ...]:
        """The edits of a studied prompt that fixed none of the cases that they were made for."""
        trials = self._studies.trials.known(entrant.body)
        found = credited(entrant.document.edits, trials, passing=self._plan.passing)
        return tuple(credit.edit for credit in found if credit.useless)

    def _gradients(self, parent: Entrant) -> tuple[Gradient, ...]:
        """What was said about the prompt, and about those it comes from where it still answers as badly."""
        said = {g.id: g for g in self._studies.gradients(parent)}
        open_cases = {g.loss.trace.generation.id for g in said.values() if g.warrants_change}
        older = parent.parent
        while older is not None:
            said |= {g.id: g for g in self._studies.gradients(older) if g.loss.trace.generation.id in open_cases}
            older = older.parent
        return tuple(said.values())

    async def _rewrite(self, base: Document, causes: Sequence[RootCause], sample: int) -> _Rewrite:
        made = await self._step(base, causes, self._memory.steps, sample)
        if made.document is None or not self._plan.verify:
            return made
        missed = await self._missed(made.document, causes)
        if not missed:
            return made
        old = {edit.id for edit in base.edits}
        wrong = [edit for edit in made.document.edits if edit.cause.id in missed and edit.id not in old]
        rest = without(made.document, {edit.id for edit in wrong})
        history = [*self._memory.steps, PastStep.of(base, wrong, verdict=Verdict.FAIL, reason=UNANSWERED)]
        again = await self._step(rest, [cause for cause in causes if cause.id in missed], history, sample)
        refused = (*made.refused, *again.refused)
        if again.document is not None:
            dropped = tuple(RefusedEdit(edit=edit, reason=UNANSWERED) for edit in wrong)
            return _Rewrite(document=again.document, refused=(*refused, *dropped))
        if missed.issuperset(edit.cause.id for edit in made.document.edits if edit.id not in old):
            return _Rewrite(reason="no rewrite answers its causes", refused=refused)
        return _Rewrite(document=made.document, refused=refused)

    async def _missed(self, document: Document, causes: Sequence[RootCause]) -> set[str]:
        """The causes, by id, that the document is said not to answer."""
        plan = self._plan
        critic = Critic(model=plan.critic_model, attempts=plan.attempts, max_tokens=plan.rewriter_max_tokens)
        answers = await verify(document, causes, self._model, critic=critic, fence=self._fence)
        return {answer.cause.id for answer in answers if answer.answered is False}

    async def _step(
        self, document: Document, causes: Sequence[RootCause], history: Sequence[PastStep], sample: int
    ) -> _Rewrite:
        plan = self._plan
        rewriter = Rewriter(
            model=plan.rewriter_model,
            attempts=plan.attempts,
            max_tokens=plan.rewriter_max_tokens,
            max_causes=plan.max_causes,
            causes_chars=plan.causes_chars,
            limits=plan.limits,
        )
        try:
            made = await step(
                document,
                causes,
                self._model,
                rewriter=rewriter,
                fence=self._fence,
                source_texts=_source_texts(causes),
                history=history,
                sample=sample,
            )
        except (Transient, Declined) as error:
            return _Rewrite(reason=f"the rewriter could not be asked ({type(error).__name__})")
        if isinstance(made.candidate, NoCandidate):
            return _Rewrite(reason=made.candidate.reason, refused=made.refused)
        return _Rewrite(document=made.document, refused=made.refused)


def _source_texts(causes: Sequence[RootCause]) -> tuple[str, ...]:
    """What strangers wrote in the rows behind the causes: the guard lets no run of their words in."""
    runs = [g.loss.trace.generation for cause in causes for g in cause.gradients]
    said = [g.loss.text for cause in causes for g in cause.gradients]
    return tuple(dict.fromkeys([*said, *(text for run in runs for text in (run.input, run.output))]))


def _no_cause(grouped: Grouped) -> str:
    if not grouped.refused:
        return "no criticism calls for a change of the prompt any more"
    reasons = ", ".join(sorted({refusal.reason for refusal in grouped.refused}))
    return f"no root cause stands any more: {reasons}"
