"""The settings of releases: every fault is one sentence that names its key, and what follows from others is derived."""

from pathlib import Path

import pytest

from deploy.settings import Settings, load
from optimizer.errors import BadSettings
from optimizer.rollouts import Metric
from optimizer.types import ScoreKind


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "tracegrad.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def of_prompt(release: str) -> str:
    return f"prompts: [{{name: p, release: {{{release}}}}}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (of_prompt("policy: ship"), "prompts.0.release.policy: Input should be 'observe', 'propose' or 'canary'"),
        (of_prompt("polcy: canary"), "prompts.0.release.polcy: unknown key"),
        (
            of_prompt("ask: pull-request"),
            "prompts.0.release: `ask: pull-request` needs `path`, the prompt's file in the repository",
        ),
        (of_prompt("expires_days: 0"), "prompts.0.release.expires_days: Input should be greater than 0"),
        (
            of_prompt("canary: {metric: {score: s, low: 5, high: 5}}"),
            "prompts.0.release.canary.metric: `low` and `high` must differ",
        ),
        (
            of_prompt("canary: {metric: {score: s, kind: categorical, good: []}}"),
            "prompts.0.release.canary.metric: `good` must name at least one value",
        ),
        (
            of_prompt("canary: {first_share: 0.4, full_share: 0.2}"),
            "prompts.0.release.canary: `full_share` must not be below `first_share`",
        ),
        (
            of_prompt("canary: {holdback_share: 0.6}"),
            "prompts.0.release.canary: `holdback_share` must leave the candidate to all who have it: "
            "at most 1 - `full_share`",
        ),
        (
            of_prompt("canary: {least_days: 15, most_weeks: 2}"),
            "prompts.0.release.canary: `least_days` must end before `most_weeks` do",
        ),
        (
            of_prompt("canary: {margin: 0.05}"),
            "prompts.0.release.canary.margin: Input should be less than or equal to 0.03",
        ),
        (of_prompt("canary: {full_share: 1}"), "prompts.0.release.canary.full_share: Input should be less than 1"),
        (
            "prompts: [{name: p, gate: {claim: false}}]",
            "prompts.0: `gate.claim: false` would release unproven versions to everybody; "
            "leave `claim` on, or set `release.then: canary`",
        ),
        ("forge: {kind: github, repository: owner}", "forge: `kind: github` needs `repository`, as in `owner/name`"),
        ("forge: {kind: git}", "forge: `kind: git` needs `remote`, what `git push` is given"),
        ("notify: [{kind: signed, url: 'https://example.com'}]", "notify.0: `kind: signed` needs `secret`"),
        ("notify: [{kind: slack}]", "notify.0.url: is missing"),
        ("ofrep: {host: 0.0.0.0}", "ofrep: `host` can be reached from other machines, so set `token` as well"),
        ("role: janitor", "role: Input should be 'all', 'proposer' or 'publisher'"),
        ("tend_minutes: 0", "tend_minutes: Input should be greater than 0"),
    ],
)
def test_every_fault_is_named_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        loaded(tmp_path, text)
    assert caught.value.what == f"{tmp_path / 'tracegrad.yaml'}: {said}"
    assert caught.value.fix == "correct it; docs/cli.md lists every key"


def test_faults_never_quote_a_secret(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        loaded(tmp_path, "forge: {kind: git, token: s3cret}\nlaunchdarkly: {token: s3cret, timeout_s: 0}")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("release", "watched", "claims"),
    [
        ("policy: observe", False, True),
        ("policy: propose", False, True),
        ("policy: propose, then: canary", True, False),
        ("policy: canary", True, False),
        ("policy: observe, then: canary", False, True),
    ],
)
def test_what_production_decides_needs_no_proof_offline(
    tmp_path: Path, release: str, watched: bool, claims: bool
) -> None:
    prompt = loaded(tmp_path, of_prompt(release)).prompt("p")
    assert (prompt.release.watched, prompt.claims) == (watched, claims)


def test_the_rules_of_a_canary_are_the_owners(tmp_path: Path) -> None:
    given = (
        "canary: {first_share: 0.05, full_share: 0.4, first_units: 30, least_days: 3, least_units: 60, most_weeks: 4}"
    )
    rules = loaded(tmp_path, of_prompt(given)).prompt("p").release.canary.rules(0.02)
    assert (rules.stake, rules.first_share, rules.full_share) == (0.02, 0.05, 0.4)
    assert (rules.first_units, rules.least_days, rules.least_units, rules.most_days) == (30, 3.0, 60, 28.0)
    assert (rules.margin, rules.gain) == (0.0, 0.03)


def test_a_margin_asks_less_of_the_gain(tmp_path: Path) -> None:
    rules = loaded(tmp_path, of_prompt("canary: {margin: 0.02}")).prompt("p").release.canary.rules(0.02)
    assert (rules.margin, rules.gain) == (0.02, 0.02)


def test_a_metric_of_the_owners(tmp_path: Path) -> None:
    metric = "canary: {metric: {score: stars, low: 1, high: 5, sampled: true}}"
    given = loaded(tmp_path, of_prompt(metric)).prompt("p").release.canary.metric
    assert given is not None
    assert given.value() == Metric(score="stars", kind=ScoreKind.NUMERIC, low=1.0, high=5.0, sampled=True)
