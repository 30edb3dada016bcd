"""The quality benchmark's figures: paired intervals, claims that can fail, and equal jobs for every system."""

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox.model.families import FIRST_REPORTED, Kind

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def quality() -> Iterator[dict[str, ModuleType]]:
    names = ("quality_runs", "quality_report", "quality")
    sys.path.insert(0, BENCHMARKS)
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(BENCHMARKS)
        for name in names:
            sys.modules.pop(name, None)


def outcome(quality: dict[str, ModuleType], system: str, right: int, *, seed: int = 1, **other: Any) -> Any:
    """A run that answers the first `right` of 100 rows; the oracle answers 90, the seed prompt 20."""
    runs = quality["quality_runs"]
    job = runs.Job(
        system=system,
        family=runs.Family(kind=Kind.PLAIN, seed=FIRST_REPORTED),
        seed=seed,
        latency_s=0.0,
        control=other.pop("control", runs.PLAIN),
    )

    def hits(count: int) -> tuple[int, ...]:
        return tuple(int(row < count) for row in range(100))

    return runs.Outcome(
        job=job,
        prompt="p",
        hits=hits(right),
        seed_hits=hits(20),
        oracle_hits=hits(90),
        near_s=other.get("near_s", 2.0),
        near_from_start_s=3.0,
        near_task_calls=100,
        wall_s=4.0,
        span_s=3.0,
        calls={"task": other.get("task", 400), "faults": 0},
        tokens=1000,
    )


def failing(quality: dict[str, ModuleType], *outcomes: Any) -> list[str]:
    report = quality["quality_report"]
    results = report.Results(outcomes=outcomes)
    assert report.tables(results)
    return [claim.text for claim in report.claims(results) if not claim.holds]


def test_the_interval_is_paired_by_seed_and_row(quality: dict[str, ModuleType]) -> None:
    paired = quality["quality_report"].paired
    ours = [outcome(quality, "ours", 80 + seed, seed=seed) for seed in range(4)]
    same = paired(ours, [outcome(quality, "gepa", 80 + seed, seed=seed) for seed in range(4)], random.Random(1))
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    less = paired(ours, [outcome(quality, "gepa", 70 + seed, seed=seed) for seed in range(4)], random.Random(1))
    assert less.mean == pytest.approx(0.10)
    assert 0.02 < less.low < 0.10 < less.high < 0.18


def test_claims_hold_for_a_good_run_and_fail_for_a_bad_one(quality: dict[str, ModuleType]) -> None:
    peer = outcome(quality, "gepa", 85, near_s=5.0)
    assert failing(quality, outcome(quality, "ours", 90), peer) == []
    texts = " ".join(failing(quality, outcome(quality, "ours", 10, near_s=None), peer))
    for claim in ("0.97 of", "0.90 of", "never worse", "not significantly below", "above gepa", "sooner"):
        assert claim in texts


def test_a_control_that_keeps_the_gain_fails(quality: dict[str, ModuleType]) -> None:
    control = quality["quality_runs"].CONTROLS[0]
    plain = outcome(quality, "ours", 90)
    assert failing(quality, plain, outcome(quality, "ours", 21, control=control)) == []
    assert len(failing(quality, plain, outcome(quality, "ours", 60, control=control))) == 1


def test_overdrawn_budgets_are_counted(quality: dict[str, ModuleType]) -> None:
    assert outcome(quality, "gepa", 80, task=431).overdrawn == 31
    assert outcome(quality, "gepa", 80, task=399).overdrawn == 0


def test_every_system_gets_the_same_families_and_seeds(quality: dict[str, ModuleType]) -> None:
    jobs = quality["quality"].jobs(5, families=6, seeds=3, peers=("gepa", "textgrad"), controls=1)
    plain = [job for job in jobs if not job.control.name]
    for system in ("ours", "gepa", "textgrad"):
        assert len({(job.family, job.seed) for job in plain if job.system == system}) == 18
    assert {job.family.kind for job in jobs} == set(Kind)
    assert min(job.family.seed for job in jobs) >= FIRST_REPORTED
    assert len(jobs) - len(plain) == 6 * 3
