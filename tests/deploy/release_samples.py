"""Releases in every state, put into the store as ticks would, and a command line over them."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from store_samples import candidate, gradient, report

from deploy.cli import main
from deploy.lifecycle import ReleaseState
from deploy.store.facade import Store
from deploy.store.releases import ReleaseRow
from optimizer.identity import Json
from optimizer.proof import Finding, Gate, GateReport
from optimizer.rollouts import Alarm, CanaryPlan, CanaryRules, Decision, Look, Metric, Reading
from optimizer.types import Arm, Candidate, Missing, ScoreKind, Verdict

R = ReleaseState
PATHS: dict[ReleaseState, tuple[ReleaseState, ...]] = {
    R.PROPOSED: (),
    R.APPROVED: (R.APPROVED,),
    R.PUBLISHED: (R.APPROVED, R.PUBLISHED),
    R.PROGRESSING: (R.APPROVED, R.PUBLISHED, R.PROGRESSING),
    R.PROMOTED: (R.APPROVED, R.PUBLISHED, R.PROGRESSING, R.PROMOTED),
    R.HALTED: (R.APPROVED, R.PUBLISHED, R.PROGRESSING, R.HALTED),
    R.ROLLED_BACK: (R.APPROVED, R.PUBLISHED, R.PROGRESSING, R.ROLLED_BACK),
    R.RETIRED: (R.APPROVED, R.PUBLISHED, R.PROGRESSING, R.RETIRED),
    R.REJECTED: (R.REJECTED,),
    R.EXPIRED: (R.EXPIRED,),
    R.SUPERSEDED: (R.SUPERSEDED,),
}
"""How a release comes to each state."""

EVIDENCE: dict[ReleaseState, dict[str, Json]] = {R.PROGRESSING: {"share": 0.1}, R.PROMOTED: {"holdback": 0.1}}


def cycle_with(store: Store, slot: str, *, at: datetime, prompt: str = "support", said: str = "hello") -> Candidate:
    """A cycle that found a candidate."""
    made = candidate(gradient(1, said=said), gradient(2, said=said))
    row = store.cycles.open(prompt, slot, at=at)
    gradients = [g for edit in made.edits for g in edit.cause.gradients]
    store.lineage.save(row.id, gradients=gradients, causes=(), candidate=made, at=at)
    store.cycles.note(row.id, candidate_id=made.id)
    return made


def released(
    store: Store,
    state: ReleaseState,
    *,
    at: datetime,
    slot: str = "s1",
    prompt: str = "support",
    said: str = "hello",
    reason: str = "because",
    actor: str = "tracegrad",
) -> ReleaseRow:
    """A release that came to a state, an hour a move."""
    made, id_ = cycle_with(store, slot, at=at, prompt=prompt, said=said), f"{prompt}@{slot}"
    row = store.releases.propose(
        id_,
        cycle_id=id_,
        prompt=prompt,
        candidate_id=made.id,
        base_version=3,
        expires_at=at + timedelta(days=14),
        at=at,
    )
    for number, to in enumerate(PATHS[state], start=1):
        if to is R.PROGRESSING:
            store.releases.fix_plan(id_, plan())
        row = store.releases.advance(
            id_,
            to,
            at=at + timedelta(hours=number),
            reason=f"{reason} {to}",
            actor=actor,
            version=4 if to is R.PUBLISHED else None,
            evidence=EVIDENCE.get(to),
        )
    return row


def judged(verdict: Verdict, *, veto: bool = False) -> GateReport:
    """A gate's report with this verdict; with a veto, something fails although that does not count."""
    said = Finding(gate=Gate.SLICES, verdict=Verdict.FAIL, sentence="German answers got worse")
    findings = tuple(replace(f, verdict=Verdict.UNDECIDED) for f in report().findings)
    return replace(report(), verdict=verdict, findings=(*findings, said) if veto else findings)


def plan() -> CanaryPlan:
    """A canary's plan."""
    return CanaryPlan(
        candidate="c" * 64,
        version=4,
        base_version=3,
        salt="salt",
        metric=Metric(score="helpful", kind=ScoreKind.NUMERIC, sampled=True),
        maturity_days=2.0,
        settle_s=120.0,
        prior=0.7,
        healthy=0.6,
        rules=CanaryRules(stake=0.02),
    )


def look(at: datetime, *, decision: Decision = Decision.WAIT, promote: float = 12.0, scored: bool = True) -> Look:
    """One look at production."""
    return Look(
        at=at,
        candidate=Reading(
            arm=Arm.CANDIDATE, exposed=130, scored=90, matured=70, mean=0.82 if scored else Missing.NOT_RECORDED
        ),
        control=Reading(
            arm=Arm.BASELINE, exposed=1200, scored=800, matured=650, mean=0.76 if scored else Missing.NOT_RECORDED
        ),
        promote=promote,
        harm=0.2,
        futile=0.4,
        share=1.1,
        effect=0.06 if scored else Missing.NOT_RECORDED,
        interval=(-0.01, 0.13) if scored else Missing.NOT_RECORDED,
        decision=decision,
        sentence="The candidate looks better; the evidence is 12 of 50.",
        alarms=(Alarm(name="latency", e_value=0.5, limit=10.0),),
        late_scores=2,
    )


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one document of `--json`."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one complaint, which says what to do."""
        [said] = [line for line in self.err.splitlines() if line.startswith("tracegrad: ")]
        assert said.endswith("."), said
        assert "this is a bug" not in said
        return said.removeprefix("tracegrad: ")


Command = Callable[..., Ended]


def commands(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `tracegrad` in this process, in a folder of its own."""
    monkeypatch.chdir(folder)

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["tracegrad", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in said.err
        return Ended(code=ended.value.code, out=said.out, err=said.err)

    return run


def settle(folder: Path, **settings: Any) -> None:
    """A settings file of a proposer, beside the database that the store fixture made."""
    given = {"prompts": [{"name": "support"}, {"name": "sales"}], "state_dir": str(folder), "role": "proposer"}
    (folder / "tracegrad.yaml").write_text(yaml.safe_dump({**given, **settings}))
