"""From a studied prompt to rewrites of it: root causes of what it answers badly, and one step for all of them.

A rewrite starts from the prompt without the edits that did not help. Before anybody pays for running it, it is asked
whether it answers its causes; the edits for those that it does not are made anew, once, and an edit whose cause is
answered without it is left out. Nothing here runs a prompt on a
case. A rewriter that fails makes no proposal and says why; what would fail for every request is raised.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from optimizer.causes.grouping import Grouped, group
from optimizer.documents.document import Document
from optimizer.errors import Declined, Transient
from optimizer.fence import Fence
from optimizer.ports import LanguageModel
from optimizer.search.credit import cases_of, credited
from optimizer.search.entrant import Entrant, without
from optimizer.search.memory import Memory
from optimizer.search.plan import SearchPlan
from optimizer.search.study import Studies
from optimizer.search.tasks import together
from optimizer.steps.critic import Critic
from optimizer.steps.history import PastStep
from optimizer.steps.tgd import NoCandidate, RefusedEdit, Rewriter, step
from optimizer.steps.verification import verify
from optimizer.types import Edit, Gradient, RootCause, Verdict

UNANSWERED = "before it was run, it was found not to answer its cause"
SPARE = "what stands before it answers its cause already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Rewrites of one prompt, or why there are none.

    Attributes:
        asked: root causes that they are because of.
        exhausted: no root cause is left, so that asking again would change nothing.
        refused: edits that fell out on the way. `spared` are the cases of those that were called needless.
    """

    entrants: tuple[Entrant, ...] = ()
    reason: str = ""
    asked: int = 0
    exhausted: bool = False
    refused: tuple[RefusedEdit, ...] = ()
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rewrite:
    """What one step came to: a document, or the reason why there is none; and the edits that fell out on the way."""

    document: Document | None = None
    reason: str = ""
    refused: tuple[RefusedEdit, ...] = ()
    spare: tuple[Edit, ...] = ()


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
        self._spared: set[str] = set()

    async def propose(self, parent: Entrant, *, count: int, causes: int, skipped: int, round_: int) -> Proposals:
        """Up to `count` different rewrites of a prompt, each because of up to so many root causes.

        Args:
            skipped: causes that stand back for the others, because rewrites for the first ones came to nothing.
        """
        await self._studies.settled(parent)
        base = without(parent.document, self.useless(parent))
        grouped = self.causes(parent)
        if not grouped.causes:
            return Proposals(reason=_no_cause(grouped), exhausted=True)
        first = self._asked.get(parent.id, 0)
        self._asked[parent.id] = first + count
        numbers = range(first, first + count)
        turned = skipped % len(grouped.causes)
        chosen = (*grouped.causes[turned:], *grouped.causes[:turned])[:causes]
        made = await together(self._rewrite(base, chosen, number) for number in numbers)
        entrants = [Entrant.of(one.document, parent=parent, round_=round_) for one in made if one.document]
        return Proposals(
            entrants=tuple({one.id: one for one in entrants}.values()),
            reason=next((one.reason for one in made if one.reason), ""),
            asked=len(chosen),
            refused=tuple(refused for one in made for refused in one.refused),
            spared=frozenset(case_id for one in made for edit in one.spare for case_id in cases_of(edit.cause)),
        )

    def remember(self, proposals: Sequence[Proposals]) -> None:
        """Keep what fell out of a round's proposals, in their order. Called when all of them are made: what one of
        them left out must not change what another one asks, or the order of arrival would."""
        for made in proposals:
            self._memory.not_admitted(made.refused)
            self._spared.update(made.spared)

    def causes(self, parent: Entrant) -> Grouped:
        """Why the prompt answers badly, best founded first.

        What was said about the prompts that it comes from counts too, where it answers the same row badly still; but a
        cause that nobody names any more is none. Causes with fewer sources than the quorum wait until no other is left.
        """
        fresh = {g.id: g for g in self._studies.gradients(parent) if g.warrants_change}
        rows = {g.loss.trace.generation.id for g in fresh.values()}
        said, older = dict(fresh), parent.parent
        while older is not None:
            said |= {g.id: g for g in self._studies.gradients(older) if g.loss.trace.generation.id in rows}
            older = older.parent
        founded = self._named(said.values(), fresh, self._plan.quorum)
        return founded if founded.causes else self._named(said.values(), fresh, self._plan.least_quorum)

    def _named(self, said: Iterable[Gradient], fresh: Container[str], quorum: int) -> Grouped:
        grouped = group(tuple(said), quorum=quorum, per_source=self._plan.per_source)
        named = [cause for cause in grouped.causes if any(g.id in fresh for g in cause.gradients)]
        return replace(grouped, causes=tuple(named))

    def useless(self, entrant: Entrant) -> tuple[Edit, ...]:
        """The edits of a studied prompt that fixed none of the cases that they were made for."""
        trials = self._studies.trials.known(entrant.body)
        found = credited(entrant.document.edits, trials, passing=self._plan.passing)
        return tuple(credit.edit for credit in found if credit.useless)

    async def _rewrite(self, base: Document, causes: Sequence[RootCause], sample: int) -> _Rewrite:
        made = await self._step(base, causes, self._memory.steps, sample)
        if made.document is None or not self._plan.verify:
            return made
        wrong, spare = await self._doubted(base, made.document, causes)
        refused = (*made.refused, *_dropped(spare, SPARE))
        document = without(made.document, spare)
        if wrong:
            missed = [edit.cause for edit in wrong]
            rest = without(document, wrong)
            history = [*self._memory.steps, PastStep.of(base, wrong, verdict=Verdict.FAIL, reason=UNANSWERED)]
            again = await self._step(rest, [cause for cause in causes if cause in missed], history, sample)
            refused = (*refused, *again.refused)
            if again.document is not None:  # or else the first edits stand: whoever doubts them may be mistaken
                refused, document = (*refused, *_dropped(wrong, UNANSWERED)), again.document
        if document.body == base.body:
            reason = "no edit that was proposed answers a cause that the prompt does not answer already"
            return _Rewrite(reason=reason, refused=refused, spare=tuple(spare))
        return _Rewrite(document=document, refused=refused, spare=tuple(spare))

    async def _doubted(
        self, base: Document, made: Document, causes: Sequence[RootCause]
    ) -> tuple[list[Edit], list[Edit]]:
        """The new edits that miss their cause, and those whose cause is answered before they are made.

        Of several edits that say the same, the first stays. What was left out once, and is missed by the same rows
        again, is needed whatever is said about it.
        """
        old = base.edits
        new = [edit for edit in made.edits if edit not in old]
        doubtful = [place for place, edit in enumerate(new) if self._spared.isdisjoint(cases_of(edit.cause))]
        missed, *answered = await together(
            [
                self._answers(made, causes, answered=False),
                *(self._answers(without(made, new[at:]), [new[at].cause], answered=True) for at in doubtful),
            ]
        )
        spare = [new[place] for place, found in zip(doubtful, answered, strict=True) if found]
        return [edit for edit in new if edit.cause in missed and edit not in spare], spare

    async def _answers(self, document: Document, causes: Sequence[RootCause], *, answered: bool) -> list[RootCause]:
        """The causes that the document is said to answer, or not to answer."""
        plan = self._plan
        critic = Critic(model=plan.critic_model, attempts=plan.attempts, max_tokens=plan.rewriter_max_tokens)
        said = await verify(document, causes, self._model, critic=critic, fence=self._fence)
        return [answer.cause for answer in said if answer.answered is answered]

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


def _dropped(edits: Sequence[Edit], reason: str) -> tuple[RefusedEdit, ...]:
    return tuple(RefusedEdit(edit=edit, reason=reason) for edit in edits)


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
