"""The search: many steps with evaluations, from a seed prompt to the best one that evidence was found for.

    parent -> study (train) -> causes -> step -> rewrite -> study (train) and race (validation), at once -> decision

Gradients come from the training rows alone, choices from the validation rows alone. Everything is decided at declared
points, in the order of ids: the same arguments and the same replies make the same prompt, whatever the latencies. "No
change" is the default. Nothing here may read a holdout, a clock or a random generator of its own.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from optimizer.causes import group
from optimizer.document import Document
from optimizer.fence import Fence
from optimizer.identity import digest
from optimizer.ports import Judge, LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.search.budget import Budget, Purse
from optimizer.search.entrant import Entrant, mean, values
from optimizer.search.events import Event, Judged, Measured, Proposed, Stopped, silent
from optimizer.search.found import Found
from optimizer.search.front import draw, front
from optimizer.search.metered import Metered
from optimizer.search.plan import SearchPlan
from optimizer.search.sizes import Sizes, checked
from optimizer.search.study import Studies
from optimizer.search.tasks import together
from optimizer.search.trials import Trials
from optimizer.tgd import NoCandidate, RefusedEdit, Rewriter, step
from optimizer.types import Candidate, Case, RootCause, Usage


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
        BadInput: rows or budget that nothing can be found with; raised before anything is spent.
        Permanent, OverBudget: the model's or the judge's own.
    """
    sizes = checked(train, validation, plan)
    if not Document.of(prompt.body).lines:
        return _unchanged(prompt, "the prompt has no line that may change")
    return await _Search(prompt, train, validation, Metered(model), judge, plan, fence, watch, sizes).run()


def _unchanged(prompt: PromptVersion, reason: str) -> Found:
    return Found(
        best=NoCandidate(reason=reason),
        document=Document.of(prompt.body),
        seed_score=0.0,
        best_score=0.0,
        task_calls=0,
        rounds=0,
        rejected=(),
        usage=Usage(),
        stopped_because=reason,
    )


class _Search:
    """One search under way."""

    def __init__(
        self,
        prompt: PromptVersion,
        train: Sequence[Case],
        validation: Sequence[Case],
        model: Metered,
        judge: Judge,
        plan: SearchPlan,
        fence: Fence,
        watch: Callable[[Event], None],
        sizes: Sizes,
    ) -> None:
        self.prompt, self.plan, self.fence, self.watch, self.model, self.sizes = (
            prompt,
            plan,
            fence,
            watch,
            model,
            sizes,
        )
        self.budget = Budget.of(plan.max_task_calls)
        self.random = Random(f"{plan.seed}")
        self.studies = Studies(prompt, Trials(train, model, judge, plan), model, plan=plan, fence=fence)
        self.validation = Trials(validation, model, judge, plan)
        self.rows = sorted(self.studies.trials.cases, key=lambda case: digest("row", str(plan.seed), case.id))
        self.entrants: dict[str, Entrant] = {}
        self.rejected: list[RefusedEdit] = []
        self.seed = Entrant(document=Document.of(prompt.body), body=prompt.body)
        self.best = self.seed
        self.rounds = 0

    async def run(self) -> Found:
        """The whole search."""
        self.entrants[self.seed.id] = self.seed
        await self._measure([self.seed])
        seed_train = mean(values(self.studies.trials.known(self.seed.body)))
        self.watch(
            Measured(
                train=seed_train,
                validation=self._score(self.seed),
                task_calls=self.plan.max_task_calls - self.budget.left,
            )
        )
        idle, why = 0, ""
        while not why:
            why = self._over(idle)
            if why:
                break
            self.rounds += 1
            made, why = await self._proposed(self._parents()[0])
            if made is None:
                break
            await self._measure([made])
            idle = 0 if self._decide(made) else idle + 1
        self.watch(Stopped(reason=why, task_calls=self.plan.max_task_calls - self.budget.left))
        return self._found(why)

    def _over(self, idle: int) -> str:
        if self.rounds >= self.plan.max_rounds:
            return f"{self.rounds} rounds were made"
        if idle >= self.plan.patience:
            return f"{idle} rounds in a row brought nothing better"
        if self.budget.left < len(self.validation.cases):
            return f"the budget of {self.plan.max_task_calls} task calls is used up"
        return ""

    def _parents(self) -> list[Entrant]:
        scores = {one: values(self.validation.known(entrant.body)) for one, entrant in self.entrants.items()}
        return [self.entrants[one] for one in draw(scores, front(scores, margin=self.plan.margin), 1, self.random)]

    async def _proposed(self, parent: Entrant) -> tuple[Entrant | None, str]:
        plan = self.plan
        gradients = self.studies.gradients(parent)
        grouped = group(gradients, quorum=plan.quorum, per_source=plan.per_source)
        if not grouped.causes:
            return None, "no root cause with enough sources is left"
        version = replace(self.prompt, body=parent.body)
        stepped = await step(
            version,
            grouped.causes,
            self.model,
            rewriter=self._rewriter(),
            fence=self.fence,
            source_texts=self._source_texts(grouped.causes),
        )
        if isinstance(stepped.candidate, NoCandidate):
            return None, stepped.candidate.reason
        made = Entrant(
            document=Document.of(parent.body).apply(stepped.candidate.edits),
            body=stepped.candidate.body,
            edits=(*parent.edits, *stepped.candidate.edits),
            step=stepped.candidate.edits,
            parent=parent.id,
            round=self.rounds,
        )
        if made.id in self.entrants:
            return None, "the rewriter makes nothing new"
        self.entrants[made.id] = made
        self.watch(Proposed(round=self.rounds, body=made.body, edits=len(made.step)))
        return made, ""

    def _rewriter(self) -> Rewriter:
        plan = self.plan
        return Rewriter(
            model=plan.rewriter_model,
            attempts=plan.attempts,
            max_tokens=plan.rewriter_max_tokens,
            max_causes=plan.max_causes,
            causes_chars=plan.causes_chars,
            limits=plan.limits,
        )

    def _source_texts(self, causes: Sequence[RootCause]) -> tuple[str, ...]:
        texts = (
            text
            for cause in causes
            for g in cause.gradients
            for text in (g.loss.text, g.loss.trace.generation.input, g.loss.trace.generation.output)
        )
        return tuple(dict.fromkeys(texts))

    async def _measure(self, entrants: Sequence[Entrant]) -> None:
        """Study and validate, at once; what each may spend is set aside first."""
        work: list[Coroutine[Any, Any, object]] = []
        purses: list[Purse] = []
        for entrant in entrants:
            cases = self.validation.cases
            purses.append(self.budget.grant(self.validation.unpaid(entrant.body, cases) + _SPARE))
            work.append(self.validation.run(entrant.body, cases, purses[-1]))
        for entrant in entrants:
            rows = self._rows_for(entrant)
            purses.append(self.budget.grant(self.studies.trials.unpaid(entrant.body, rows) + _SPARE))
            work.append(self.studies.study(entrant, rows, purses[-1]))
        await together(work)
        for purse in purses:
            purse.close()

    def _rows_for(self, entrant: Entrant) -> list[Case]:
        """The rows that the parent fails, a few that it does not, and unseen ones as far as there is room."""
        if not entrant.parent:
            return self.rows[: self.sizes.train]
        parent = self.entrants[entrant.parent]
        known, failing = self.studies.trials.known(parent.body), set(self.studies.failing(parent))
        bad = [case for case in self.rows if case.id in failing]
        unseen = [case for case in self.rows if case.id not in known]
        good = [case for case in self.rows if case.id in known and case.id not in failing]
        start = len(good) * self.rounds // self.plan.max_rounds
        kept = (good[start:] + good[:start])[: self.sizes.regression]
        return [*bad, *kept, *unseen][: self.sizes.train]

    def _decide(self, made: Entrant) -> bool:
        """Is it the best so far, on the validation cases that both have answered?"""
        ours, theirs = values(self.validation.known(made.body)), values(self.validation.known(self.best.body))
        shared = [case for case in theirs if case in ours]
        gain = sum(ours[case] - theirs[case] for case in shared)
        accepted = len(shared) > 0 and gain >= 0
        reason = f"{gain:+.2f} on {len(shared)} validation cases"
        if accepted:
            self.best = made
        else:
            self.rejected += [RefusedEdit(edit=edit, reason=reason) for edit in made.step]
        self.watch(
            Judged(
                round=self.rounds,
                body=made.body,
                accepted=accepted,
                validation=self._score(made),
                task_calls=self.plan.max_task_calls - self.budget.left,
                reason=reason,
            )
        )
        return accepted

    def _score(self, entrant: Entrant) -> float:
        return mean(values(self.validation.known(entrant.body)))

    def _found(self, why: str) -> Found:
        seed, best = self._score(self.seed), self._score(self.best)
        won = best > seed
        chosen = self.best if won else self.seed
        candidate = Candidate(parent=self.prompt, edits=chosen.edits, body=chosen.body)
        return Found(
            best=candidate if won else NoCandidate(reason="nothing was better than the seed on the validation rows"),
            document=chosen.document,
            seed_score=seed,
            best_score=best if won else seed,
            task_calls=self.studies.trials.calls + self.validation.calls,
            rounds=self.rounds,
            rejected=tuple(self.rejected),
            usage=self.model.usage(),
            stopped_because=why,
        )


_SPARE = 3
"""Calls for second tries of trials that could not be scored."""
