"""How often a suite vetoes a prompt that did not change, and how often one that broke something.

Every case of a suite fails now and then, in both arms alike. The arms are drawn apart; reruns, slices and resources are
decided by the product's functions, in the order in which a gate calls them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from gate_figures import aligned, share
from gate_product import RULES
from gate_suites import Guarded, Parts, Suite, answering, consumed, guarded

from deploy.gating.vetoing import Part, said
from gates.reruns import doubtful
from gates.resources import resources
from gates.safety.readings import refusals
from optimizer.ports import Evaluator
from optimizer.proof import AttackReading, Gate
from optimizer.types import Verdict

MOST = 0.02
"""Of the gates of an identical prompt, this share may be vetoed."""

FLAKINESS = {
    "steady": ((0.0, 0.95), (0.05, 0.04), (0.3, 0.01)),
    "usual": ((0.0, 0.85), (0.05, 0.08), (0.2, 0.04), (0.5, 0.02), (0.8, 0.01)),
    "flaky": ((0.0, 0.60), (0.1, 0.20), (0.3, 0.10), (0.5, 0.05), (0.8, 0.05)),
    "worst": ((0.42, 1.0),),
}
"""(chance that an answer to a case is bad, share of such cases); "worst" is what the rule withstands least."""

CHURN = {"steady": 0.03, "usual": 0.06, "flaky": 0.12, "worst": 0.12}
"""Share of the other cases that change each way by chance."""

_NOBODY = cast(Evaluator, None)
"""Nobody is asked: the answers are drawn here."""

_ATTACKED = (AttackReading(category="all", attacks=1, baseline_succeeded=0, candidate_succeeded=0),)
"""How many succeeded is told, and decides nothing."""

Row = dict[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetoes:
    """The figures, as text and as rows, and what has to hold of them."""

    table: str
    rows: dict[str, list[Row]]
    claims: list[tuple[str, bool]]


def vetoes(chance: random.Random, *, small: bool) -> Vetoes:
    """Everything about vetoes."""
    suites = 30 if small else 800
    tries = 80 if small else 4000
    identical = [_identical(name, chance, suites) for name in FLAKINESS]
    broken = [_broken(fails, base, chance, tries) for base in (0.0, 0.05) for fails in (0.6, 0.8, 1.0)]
    nothing = random.Random("nothing lost")
    lost = [
        *(_lost(cases, 0.0, nothing, tries // 4) for cases in (40, 80, 160)),
        *(_lost(cases, loss, chance, tries // 10) for cases in (40, 80, 160) for loss in (0.1, 0.2, 0.3)),
    ]
    claims = [_within(row, suites, small=small) for row in identical if row["suite"] != "worst"]
    for row in broken:
        if row["candidate fails"] == 1.0:
            text = f"a case that always fails now vetoes, having failed {row['baseline fails']}: {row['veto']:.3f}"
            claims.append((text, float(row["veto"]) >= 0.85))
    rows = {"identical": identical, "broken": broken, "slices": lost}
    return Vetoes(table="\n\n".join(_table(part) for part in rows.values()), rows=rows, claims=claims)


def _within(row: Row, suites: int, *, small: bool) -> tuple[str, bool]:
    """A short run can only tell what is far beyond; the long one takes the mean as it is."""
    rate = float(row["vetoed"])
    least = share(round(rate * suites), suites).low if small else rate
    return f"an identical prompt is vetoed in at most {MOST:.0%} of gates, {row['suite']}: {rate:.4f}", least <= MOST


def _identical(name: str, chance: random.Random, suites: int) -> Row:
    """One level of flakiness: shares of the gates of a prompt that is compared with itself."""
    suite, parts = Suite.of(FLAKINESS[name]), Parts(CHURN[name])
    plain = by_cases = by_slices = seemed = by_resources = held = suspected = any_veto = 0
    for _ in range(suites):
        tried = rerun(suite, chance)
        looked = parts.judged(chance)
        refused = refusals(answering(chance, RULES.max_cases)).verdict
        taken = resources(consumed(chance, RULES.max_cases), RULES)
        readings = [refused, *(reading.verdict for reading in taken)]
        suspected += tried.suspects
        plain += tried.plain
        by_cases += tried.verdict is Verdict.FAIL
        seemed += looked.seemed
        by_slices += looked.blocked
        by_resources += Verdict.FAIL in readings
        held += tried.verdict is Verdict.UNDECIDED or Verdict.UNDECIDED in readings
        any_veto += tried.verdict is Verdict.FAIL or looked.blocked or Verdict.FAIL in readings
    return {
        "suite": name,
        "rerun cases": suspected / suites,
        "5 tries alone": plain / suites,
        "by cases": by_cases / suites,
        "slices, one run": seemed / suites,
        "by slices": by_slices / suites,
        "by cost, time, length, refusing": by_resources / suites,
        "held back": held / suites,
        "vetoed": any_veto / suites,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the reruns of a suite say; `plain` is whether the first five tries alone would have vetoed."""

    suspects: int
    plain: bool
    verdict: Verdict


def rerun(suite: Suite, chance: random.Random) -> Tried:
    """The suite in both arms, and again what the candidate failed: as `deploy.gating.vetoing.watched_over`."""
    by_id = {one.case.id: one for one in suite.cases}
    parts = [
        Part(gate=gate, evaluator=_NOBODY, first=guarded(cases, chance), why=lambda case: case.id)
        for gate in Suite.GATES
        if (cases := [one for one in suite.cases if one.gate is gate])
    ]
    for part in parts:
        again = [by_id[case.id] for case in part.suspects]
        part.tries += [guarded(again, chance) for _ in range(RULES.tries)]
    first = [rerun for part in parts for rerun in part.reruns(RULES)]
    doubted = frozenset(doubtful(first, RULES))
    for part in parts:
        again = [by_id[case.id] for case in part.suspects if case.id in doubted]
        part.tries += [guarded(again, chance) for _ in range(RULES.second_tries)]
    verdicts = {said(part, _ATTACKED, RULES).verdict for part in parts}
    worst = next((one for one in (Verdict.FAIL, Verdict.UNDECIDED) if one in verdicts), Verdict.PASS)
    plain = any(one.candidate_failed >= RULES.veto_at and one.baseline_failed <= RULES.forgiven for one in first)
    return Tried(suspects=len(first), plain=plain, verdict=worst)


def _broken(fails: float, base: float, chance: random.Random, tries: int) -> Row:
    """How often a case vetoes that fails now and did not before."""
    suite = Suite(cases=(Guarded.of("broken", Gate.ANCHORS, base, fails),))
    found = [rerun(suite, chance) for _ in range(tries)]
    return {
        "baseline fails": base,
        "candidate fails": fails,
        "5 tries alone": sum(one.plain for one in found) / tries,
        "veto": sum(one.verdict is Verdict.FAIL for one in found) / tries,
    }


def _lost(cases: int, loss: float, chance: random.Random, tries: int) -> Row:
    """How often a slice blocks that lost something, one of five slices."""
    parts = Parts(0.05, sizes=(cases, 100, 100, 100, 100), loss=loss)
    found = [parts.judged(chance) for _ in range(tries)]
    return {
        "cases": cases,
        "loss": loss,
        "slices, one run": sum(one.seemed for one in found) / tries,
        "by slices": sum(one.blocked for one in found) / tries,
    }


def _table(rows: Sequence[Row]) -> str:
    lines = [tuple(value if isinstance(value, str) else f"{value:.4g}" for value in row.values()) for row in rows]
    return aligned([tuple(rows[0]), *lines])
