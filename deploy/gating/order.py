"""What a gate is asked to prove, and what it works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deploy.gating.suite import Suite
from deploy.settings import GateSettings, PromptSettings
from gates.rules import GateRules
from gates.safety.attack import Attack
from optimizer.identity import digest
from optimizer.ports import Evaluator, Judge, PairJudge
from optimizer.prompts import Body, PromptVersion, body_json
from optimizer.proof import Finding, Proof
from optimizer.types import Arm, Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A candidate to be judged against its baseline.

    Attributes:
        id: of the gate: the cycle's, or one of the command's own. The same id never pays or stakes twice.
        by_person: a person wrote the candidate; then no size of a change is too large.
        source_texts: what strangers said of which the candidate was made; the guard compares.
        human: (person's score, judge's score) of the same answers, both in [0, 1].
        needs: what a pass takes: a screen before a canary, a proof for publishing on offline evidence alone.
    """

    id: str
    prompt: PromptSettings
    baseline: PromptVersion
    candidate: Body
    suite: Suite
    needs: Proof
    by_person: bool = False
    source_texts: Sequence[str] = ()
    human: Sequence[tuple[float, float]] = ()

    @property
    def arms(self) -> Mapping[Arm, PromptVersion]:
        """Both texts; the candidate is not published, so it has the baseline's number."""
        base = self.baseline
        draft = PromptVersion(name=base.name, version=base.version, body=self.candidate, config_json=base.config_json)
        return {Arm.BASELINE: base, Arm.CANDIDATE: draft}

    @property
    def rules(self) -> GateRules:
        """The thresholds, with the owner's own."""
        return rules_of(self.prompt.gate)

    @property
    def candidate_sha(self) -> str:
        """What a stake is opened for: text that changes afterwards needs another stake."""
        return sha_of(self.candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluators:
    """Who answers and judges the parts of a suite.

    Attributes:
        screen: judges a part of the answers twice, to learn about the judge's noise.
        plain: the same without repeats.
        alone: judges each answer by itself, where `judge` compares two: an anchor is not failed by being liked less.
        owner_names: what the owner calls his tests, by case id.
        owner: runs the tests of the owner's promptfoo configuration; None when there is none.
        told: what is known before anything runs, such as what of that configuration cannot be run as written.
        settings: what else decides a score, as text: models, rubric, assertions.
        safety: answers attacks and says whether they succeeded; None when the owner turned them off.
    """

    screen: Evaluator
    plain: Evaluator
    judge: Judge | PairJudge
    alone: Evaluator | None = None
    owner: Evaluator | None = None
    owner_cases: tuple[Case, ...] = ()
    owner_names: Mapping[str, str] = field(default_factory=dict)
    told: tuple[Finding, ...] = ()
    safety: Evaluator | None = None
    attacks: tuple[Attack, ...] = ()
    settings: str = ""

    @property
    def by_itself(self) -> Evaluator:
        """Who says whether one answer is good, whatever the other one is."""
        return self.alone or self.plain

    @property
    def fingerprint(self) -> str:
        """Who judges by which settings: evidence of one and of another must not be added up."""
        return digest(self.plain.name, self.judge.name, self.settings)


def sha_of(body: Body) -> str:
    """The hash that names a candidate's text in the ledger and in exports."""
    return digest(body_json(body))


def rules_of(gate: GateSettings) -> GateRules:
    """The rules of a gate, from the owner's settings."""
    return GateRules(
        min_cases=gate.min_cases,
        max_cases=gate.max_cases,
        claim_min_cases=gate.min_cases,
        cost_margin=gate.cost_margin,
        latency_margin=gate.latency_margin,
        length_margin=gate.length_margin,
        least_replayable=gate.least_replayable,
    )
