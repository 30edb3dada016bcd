"""How far the judge agrees with people: both scored the same recorded answers.

People score answers of production under a name that the owner gives (`gate.human_score`). At every gate the judge
scores some of the same answers, and is never told what the person said. What it said once is kept, so that the
agreement grows with little cost.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeGuard, cast

from deploy.collecting import SETTLE
from deploy.gating.order import Evaluators
from deploy.gating.suite import case_id, replayed
from deploy.settings import PromptSettings
from deploy.store.agreements import AgreementRow
from deploy.wiring import House
from optimizer.errors import OverBudget, Permanent
from optimizer.identity import digest
from optimizer.ports import Judge, PairJudge
from optimizer.rules import BooleanRule, CategoryRule, Direction, EveryScore, NumericRule, ScoreRule
from optimizer.types import Case, CaseOrigin, Generation, Score, Scored, ScoreKind, Unscored, Window

COUNTED = 200
"""Pairs that the agreement is computed of, the newest: a judge model may change behind its name."""

AT_ONCE = 40
"""Answers that one gate has judged for this, at most."""

MOST_READ = 1000
"""Human scores read at one gate, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a person thought of a recorded answer: the score, and its worth in [0, 1]."""

    score: Score
    worth: float
    about: Generation


async def agreement(house: House, prompt: PromptSettings, tools: Evaluators) -> tuple[tuple[float, float], ...]:
    """(person's score, judge's score) of the same answers, the newest.

    Empty when the owner names no human score, and for a judge of pairs: nobody scored answers beside each other.

    Args:
        tools: their judge's calls are journalled, so that a gate that is repeated after a crash does not pay again.

    Raises:
        Transient, Permanent: Langfuse's own, from reading the scores.
    """
    judge = tools.judge
    if not prompt.gate.human_score or not judges_one(judge):
        return ()
    ledgers = house.store.ledgers
    prompt_id = await asyncio.to_thread(ledgers.prompt_id, prompt.name, formerly=prompt.formerly)
    # another rubric is another judge
    name = f"{judge.name} {digest(prompt.gate.rubric)[:12]}"
    agreements = house.store.agreements
    known = await asyncio.to_thread(agreements.known, prompt_id, name)
    fresh = [one for one in await opinions(house, prompt) if one.score.id not in known]
    rows = await compared(judge, await judgeable(house, fresh))
    await asyncio.to_thread(agreements.save, prompt_id, name, rows)
    return await asyncio.to_thread(agreements.pairs, prompt_id, name, limit=COUNTED)


def judges_one(judge: Judge | PairJudge) -> TypeGuard[Judge]:
    """Whether it scores an answer by itself."""
    return hasattr(judge, "judge")


async def compared(judge: Judge, cases: Sequence[tuple[Opinion, Case]]) -> list[AgreementRow]:
    """The judge's word on answers that people scored, each answer once; those it cannot judge are left out."""
    answers = {case.id: case for _, case in cases}
    judged = await asyncio.gather(*(one_judgement(judge, case) for case in answers.values()))
    results = dict(zip(answers, judged, strict=True))
    return [
        AgreementRow(score_id=one.score.id, human=one.worth, judged=result.value, at=one.score.at)
        for one, case in cases
        if isinstance(result := results[case.id], Scored)
    ]


async def one_judgement(judge: Judge, case: Case) -> Scored | Unscored:
    """The judge's word on a recorded answer. No money or no judge ends this, and not the gate."""
    try:
        return await judge.judge(case, case.recorded_output)
    except (Permanent, OverBudget) as error:
        return Unscored(reason=type(error).__name__)


async def opinions(house: House, prompt: PromptSettings) -> tuple[Opinion, ...]:
    """Recorded answers of the prompt that people scored, the newest first."""
    now = house.clock.now()
    window = Window(start=now - timedelta(days=prompt.lookback_days), end=now - SETTLE)
    latest: dict[str, Score] = {}
    walk = house.traces.scores(window, (EveryScore(name=prompt.gate.human_score),))
    async with aclosing(cast(AsyncGenerator[Score, None], walk)) as scores:
        async for score in scores:
            kept = latest.setdefault(score.id, score)
            if score.updated_at > kept.updated_at:
                latest[score.id] = score
            if len(latest) == MOST_READ:
                break
    trace_ids = sorted({score.trace_id for score in latest.values()})
    about = [g async for g in house.traces.generations(trace_ids, [prompt.name], window.start)]
    return joined(latest.values(), about, prompt.score_rules)


def joined(
    scores: Iterable[Score], generations: Iterable[Generation], rules: Sequence[ScoreRule]
) -> tuple[Opinion, ...]:
    """Each score with the answer it is about.

    A score about a whole trace is about an answer only when the trace holds no other answer of this prompt.
    """
    by_id = {generation.id: generation for generation in generations}
    by_trace: dict[str, list[Generation]] = defaultdict(list)
    for generation in by_id.values():
        by_trace[generation.trace_id].append(generation)
    found = []
    for score in scores:
        alone = by_trace[score.trace_id]
        about = by_id.get(score.observation_id) or (alone[0] if len(alone) == 1 else None)
        value = worth(score, rules)
        if about is not None and value is not None:
            found.append(Opinion(score=score, worth=value, about=about))
    return tuple(sorted(found, key=lambda one: (-one.score.at.timestamp(), one.score.id)))


def worth(score: Score, rules: Sequence[ScoreRule]) -> float | None:
    """A person's score in [0, 1]: by the owner's rule for that name, else as it stands; None when nobody can say."""
    rule = next((rule for rule in rules if getattr(rule, "name", "") == score.name), None)
    match score.kind, rule:
        case ScoreKind.NUMERIC, NumericRule():
            value, limit = float(score.value), rule.threshold
            return float(value >= limit if rule.direction is Direction.HIGHER_IS_BETTER else value <= limit)
        case ScoreKind.NUMERIC, _:
            return float(score.value) if 0.0 <= float(score.value) <= 1.0 else None
        case ScoreKind.BOOLEAN, BooleanRule():
            return float(bool(score.value) is not rule.bad)
        case ScoreKind.BOOLEAN, _:
            return float(bool(score.value))
        case ScoreKind.CATEGORICAL, CategoryRule():
            return float(score.value not in rule.bad)
        case _:
            return None


async def judgeable(house: House, found: Sequence[Opinion]) -> list[tuple[Opinion, Case]]:
    """Some answers whose input can be rebuilt: a judge must see what was asked. Nobody's opinion is shown to it."""
    rebuilt = {case.id: case for case in await replayed(house.registry, [one.about for one in found], ())}
    cases = [(one, rebuilt.get(case_id(CaseOrigin.REPLAY, one.about))) for one in found]
    return [(one, case) for one, case in cases if case is not None][:AT_ONCE]
