"""The search: many steps with evaluations, from a seed prompt to the best one that evidence was found for.

    parent -> study (train) -> causes -> step -> rewrite -> study (train) and validation, at once -> decision

Gradients come from the training rows alone, choices from the validation rows alone. Everything is decided at declared
points, in the order of ids: the same arguments and the same replies make the same prompt, whatever the latencies. "No
change" is the default. Nothing here may read a holdout, a clock or a random generator of its own.
"""

from collections.abc import Callable, Sequence
from random import Random

from optimizer.documents.document import Document
from optimizer.errors import OverBudget
from optimizer.fence import Fence
from optimizer.ports import Judge, LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.search.ablation import ablated
from optimizer.search.appetite import Appetite
from optimizer.search.budget import Budget
from optimizer.search.choice import gain, is_better, length_cost
from optimizer.search.contest import Contest
from optimizer.search.entrant import Entrant, mean, values
from optimizer.search.events import Event, Judged, Measured, Proposed, Stopped, silent
from optimizer.search.found import Found
from optimizer.search.front import draw, front
from optimizer.search.memory import Memory
from optimizer.search.metered import Metered
from optimizer.search.plan import SearchPlan
from optimizer.search.proposing import Proposals, Proposer
from optimizer.search.rows import Rows
from optimizer.search.sizes import Sizes, breadth, checked
from optimizer.search.study import Studies
from optimizer.search.tasks import nursery, together
from optimizer.search.trials import Trials
from optimizer.steps.tgd import NoCandidate
from optimizer.types import Candidate, Case


async def search(
    prompt: PromptVersion,
    *,
    train: Sequence[Case],
    validation: Sequence[Case],
    model: LanguageModel,
    judge: Judge,
    plan: SearchPlan,
    fence: Fence,
    watch: Callable[[Event], None] = silent,
) -> Found:
    """Look for a better prompt within a budget of task calls.

    Args:
        train: rows that gradients are made of. `validation`: rows that prompts are chosen by. No source is in both.
        judge: scores answers and says in words what is wrong with them.
        watch: told at every declared point; it must not raise.

    Raises:
        BadInput: rows or a budget that nothing can be found with; raised before anything is spent.
        Permanent, OverBudget: the model's or the judge's own.
    """
    return await _Search(
        prompt, train, validation, model, judge, plan, fence, watch, checked(prompt, train, validation, plan)
    ).run()


_VALIDATED = 0.9
"""Share of the seed's validation cases that a prompt must have been scored on to become a parent, or the best."""
_VAIN = 4
"""Steps in a row without a new prompt before the search gives up; each asks for less than the one before."""
_OLD = "it was tried before"


class _Search:
    """One search under way."""

    def __init__(
        self,
        prompt: PromptVersion,
        train: Sequence[Case],
        validation: Sequence[Case],
        model: LanguageModel,
        judge: Judge,
        plan: SearchPlan,
        fence: Fence,
        watch: Callable[[Event], None],
        sizes: Sizes,
    ) -> None:
        self.prompt, self.plan, self.watch, self.sizes = prompt, plan, watch, sizes
        self.model = Metered(model)
        self.random = Random(f"search:{plan.seed}")
        self.budget = Budget.of(plan.max_task_calls)
        self.memory = Memory()
        self.studies = Studies(prompt, Trials(train, self.model, judge, plan), self.model, plan=plan, fence=fence)
        self.validation = Trials(validation, self.model, judge, plan)
        self.rows = Rows(self.studies, sizes, seed=plan.seed)
        self.contest = Contest(self.budget, self.studies, self.validation, self.rows, plan=plan)
        self.proposer = Proposer(self.studies, self.memory, self.model, plan=plan, fence=fence)
        self.appetite = Appetite.of(plan.max_causes)
        self.seed = self.best = Entrant.of(Document.of(prompt.body))
        self.entrants = {self.seed.id: self.seed}
        self.rounds = self.idle = self.vain = self.asked = 0

    async def run(self) -> Found:
        """The whole search."""
        try:
            async with nursery() as self.studies.critics:
                why = await self._improve()
        except OverBudget as error:
            why = f"the model's own budget is used up: {error}"
        self.watch(Stopped(reason=why, task_calls=self._calls()))
        return self._found(why)

    async def _improve(self) -> str:
        """Round after round; returns why there is no further one."""
        await self.contest.measure(self.seed, self.rows.of_seed())
        train = mean(values(self.studies.trials.known(self.seed.body)))
        self.watch(Measured(train=train, validation=self._score(self.seed), task_calls=self._calls()))
        why = self._headroom()
        while not why:
            why = self._over() or await self._round()
        await self._simplify()
        return why

    def _headroom(self) -> str:
        """Why there is nothing to win with this seed; empty when there is."""
        if not values(self.validation.known(self.seed.body)) or not values(self.studies.trials.known(self.seed.body)):
            return "no answer of the seed prompt could be scored"
        if not self.studies.failing(self.seed):
            return f"nothing is to be won: the seed answers all {len(self.rows.of_seed())} training rows well"
        return ""

    def _over(self) -> str:
        """Why there is no further round; empty when there is one."""
        if self.rounds >= self.plan.max_rounds:
            return f"{self.rounds} rounds were made"
        if self.idle >= self.plan.patience:
            return f"{self.idle} rounds in a row brought nothing better"
        if self.budget.left < len(self.validation.cases):
            return self._spent()
        return ""

    def _spent(self) -> str:
        return f"the budget of {self.plan.max_task_calls} task calls is used up"

    async def _round(self) -> str:
        """One round; returns why it is the last, or nothing."""
        self.rounds += 1
        parents, edits = breadth(self.plan, self.budget.left, self.sizes.train + len(self.validation.cases))
        drawn = self._parents(parents)
        proposals = await together(
            self.proposer.propose(
                parent,
                count=edits,
                causes=self.appetite.size,
                skipped=self.vain,
                round_=self.rounds,
            )
            for parent in drawn
        )
        self.proposer.remember(proposals)
        self.asked = max(made.asked for made in proposals)
        fresh = [one for made in proposals for one in made.entrants if one.id not in self.entrants]
        if not fresh:
            return self._in_vain(proposals[0])
        self.vain = 0
        for one in fresh:
            self._announce(one)
        self._decide(await self.contest.winner(fresh, self.rounds, self._announce))
        return ""

    def _in_vain(self, proposals: Proposals) -> str:
        """Nothing was made of the best prompt: why that is the end, or nothing when a smaller step may work."""
        self.vain += 1
        self.appetite = self.appetite.after(kept=False, asked=self.asked)
        if proposals.exhausted:
            return proposals.reason
        if self.vain > _VAIN:
            return f"{self.vain} steps in a row made no new prompt, the last because {proposals.reason or _OLD}"
        return ""

    async def _simplify(self) -> None:
        """Once, at the end: take out what the best prompt does not need, if it is as good without."""
        needed = len(self.validation.cases)
        shorter = await ablated(self.best, self.studies.trials, self.budget, reserve=needed, round_=self.rounds + 1)
        if shorter is not None and shorter.id not in self.entrants:
            self.rounds += 1
            self._announce(shorter)
            await self.contest.measure(shorter, [])
            self._decide(shorter)

    def _announce(self, one: Entrant) -> None:
        self.entrants[one.id] = one
        self.watch(Proposed(round=self.rounds, body=one.body, edits=len(one.new_edits)))

    def _parents(self, count: int) -> list[Entrant]:
        """The best so far, and others of the front."""
        full = len(values(self.validation.known(self.seed.body)))
        order = [self.best, *(one for one in self.entrants.values() if one.id != self.best.id)]
        scores = {one.id: values(self.validation.known(one.body)) for one in order}
        scores = {key: found for key, found in scores.items() if len(found) >= full * _VALIDATED}
        members = front(scores, margin=self.plan.margin)
        return [self.entrants[one] for one in draw(scores, members, self.best.id, count, self.random)]

    def _decide(self, made: Entrant) -> None:
        """Is it the best so far?"""
        known = self.studies.trials.known
        won = gain(values(self.validation.known(made.body)), values(self.validation.known(self.best.body)))
        train = gain(values(known(made.body)), values(known(self.best.body)))
        full = len(values(self.validation.known(self.seed.body))) * _VALIDATED
        accepted = won.cases >= full and is_better(
            won, train, length_cost(made.chars, self.best.chars, self.plan.length_penalty)
        )
        reason = f"{won.total:+.2f} on {won.cases} validation cases, {train.total:+.2f} on {train.cases} training rows"
        self._remember(made, accepted, reason)
        if accepted:
            self.best = made
        self._learn(kept=accepted)
        self.watch(
            Judged(
                round=self.rounds,
                body=made.body,
                accepted=accepted,
                validation=self._score(made),
                task_calls=self._calls(),
                reason=reason,
            )
        )

    def _remember(self, made: Entrant, accepted: bool, reason: str) -> None:
        """What became of every edit: those that fixed nothing failed, whatever became of the others."""
        before = made.parent.document if made.parent else made.document
        useless = self.proposer.useless(made)
        others = [edit for edit in made.new_edits if edit not in useless]
        (self.memory.kept if accepted else self.memory.undecided)(before, others, reason)
        self.memory.failed(before, useless, "it fixed none of the cases that it was made for")

    def _learn(self, *, kept: bool) -> None:
        self.idle = 0 if kept else self.idle + 1
        self.appetite = self.appetite.after(kept=kept, asked=self.asked)

    def _score(self, entrant: Entrant) -> float:
        return mean(values(self.validation.known(entrant.body)))

    def _calls(self) -> int:
        return self.studies.trials.calls + self.validation.calls

    def _found(self, why: str) -> Found:
        won = gain(values(self.validation.known(self.best.body)), values(self.validation.known(self.seed.body)))
        chosen = self.best if won.proven else self.seed
        if won.proven:
            best: Candidate | NoCandidate = Candidate(parent=self.prompt, edits=chosen.document.edits, body=chosen.body)
        elif self.best is self.seed:
            best = NoCandidate(reason=why)
        else:
            best = NoCandidate(
                reason=f"the best rewrite gains {won.total:.2f} on {won.cases} validation cases, which may be chance"
            )
        return Found(
            best=best,
            document=chosen.document,
            seed_score=self._score(self.seed),
            best_score=self._score(chosen),
            task_calls=self._calls(),
            rounds=self.rounds,
            rejected=self.memory.rejected,
            usage=self.model.usage(),
            stopped_because=why,
        )
