"""docs/canary.md says what the code does: thresholds, settings, and the figures of the benchmark."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploy.release_settings import CanarySettings, MetricSettings
from gates.canary.attribution import Cause
from gates.canary.margins import MOST
from gates.canary.maturity import ARRIVED, LEAST_DAYS, MOST_DAYS
from gates.canary.wealth import PRIOR_UNITS
from gates.error_budget import SHARE, YEAR_DAYS
from gates.statistics import GRID

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "canary.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "canary_figures.json").read_text(encoding="utf-8"))
SETTINGS = CanarySettings()
STAKE = SHARE * SETTINGS.budget
RULES = SETTINGS.rules(STAKE)


@pytest.mark.parametrize(
    "said",
    [
        f"With the budget of {SETTINGS.budget:g} the first stake of a year is {STAKE:.0%}.",
        f"**{RULES.first_share:.0%}** of the users get the new version.",
        f"When {RULES.first_units} users of the new version have had their time",
        f"**{RULES.full_share:.0%}** of the users get it.",
        f"After {SETTINGS.most_weeks:g} weeks without an answer the old version stays.",
        f"**{SETTINGS.holdback_share:.0%}** of the users keep the old version for {SETTINGS.holdback_weeks:g} weeks",
        f"other shares than were set? | {RULES.share_alarm:g} |",
        f"(scores as they arrive) | {RULES.harm:g} | taken back |",
        f"slower or dearer than tolerated? | {RULES.harm:g} | taken back |",
        f"Can a gain of {100 * RULES.gain:g} points be ruled out? | {RULES.futile:g} |",
        f"after {RULES.least_days:g} days and with {RULES.least_units} users of the new version? | 1 / stake "
        f"({1 / STAKE:g} at a stake of {STAKE:.0%}) |",
        f"Are {RULES.most_days / 7:g} weeks over?",
        f"(evidence of {RULES.harm:g} that its own mean is below what counts as healthy",
        f"{ARRIVED:.0%} of the scores of the past came, {LEAST_DAYS:g} to {MOST_DAYS:g} days.",
        f"the first {SETTINGS.settle_s / 60:g} minutes do not count",
        f"rules out a gain of {100 * CanarySettings(margin=0.01).rules(STAKE).gain:g} points instead of "
        f"{100 * RULES.gain:g}.",
        f"may sum to at most {100 * MOST:g} points in {YEAR_DAYS} ledger days",
        "0 for errors, a tenth of the scale for the others.",
        "(the prior mean counts as ten users)",
        f"g in {{{', '.join(f'{bet:g}'.lstrip('0') for bet in GRID)}}}",
    ],
)
def test_every_threshold_is_the_codes(said: str) -> None:
    assert said in FLAT


def test_numbers_in_words_are_the_codes() -> None:
    assert PRIOR_UNITS == 10.0
    assert (SETTINGS.failed_margin, SETTINGS.latency_margin, SETTINGS.cost_margin) == (0.0, 0.1, 0.1)
    assert SHARE == 0.1
    assert all(f"- *{cause.value}*: " in PAGE for cause in Cause)


def defaults(after: str) -> dict[str, str]:
    table = PAGE.split(after)[1].split("\n\n", 2)[1]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)?) \| ([^|]*) \|", table, re.MULTILINE)
    return {key: said.strip() for keys, said in rows for key in re.findall(r"`(\w+)`", keys)}


def test_every_setting_is_explained_with_its_default() -> None:
    table = PAGE.split("## Settings of `release.canary:`")[1].split("Of `metric`:")[0]
    said = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    assert list(said) == list(CanarySettings.model_fields)
    for key, field in CanarySettings.model_fields.items():
        if field.default is None:
            assert said[key].strip() == "none"
        elif isinstance(field.default, str):
            assert said[key].strip() == f"`{field.default}`"
        else:
            assert float(said[key]) == field.default


def test_every_key_of_the_metric_is_explained() -> None:
    said = defaults("Of `metric`:")
    assert list(said) == list(MetricSettings.model_fields)
    metric = MetricSettings(score="any")
    assert said["kind"] == f"`{metric.kind}`"
    assert said["low"] == f"{metric.low:g} and {metric.high:g}"
    assert said["good"] == f"`{metric.good[0]}`"
    assert said["sampled"] == str(metric.sampled).lower()


def test_the_tables_are_what_the_benchmark_printed() -> None:
    tables = runpy.run_path(str(ROOT / "benchmarks" / "canary_tables.py"))
    assert tables["written"](PAGE, FIGURES) == PAGE, "run benchmarks/canary_tables.py"
    assert set(re.findall(r"<!-- figures: (\w+) -->", PAGE)) == set(tables["TABLES"])


def test_the_recorded_run_held_all_that_it_claims() -> None:
    assert all(claim["holds"] for claim in FIGURES["claims"])
    assert FIGURES["stake"] == pytest.approx(STAKE)
    assert all(row["runs"] >= 2000 for row in FIGURES["cells"])
    assert len(FIGURES["traps"]) >= 8
    assert all(trap["caught"] for trap in FIGURES["traps"])


def test_the_sentences_about_the_figures_are_true() -> None:
    harmful = [row for row in FIGURES["cells"] if row["effect"] < 0]
    assert all(9.5 <= row["excess_bad"]["mean"] <= 25.5 for row in harmful), "some 10 to 25 more bad answers"
    assert all(row["ends"]["futile"] > row["ends"]["harm"] for row in harmful if row["effect"] > -5), "by futility"
    silenced = [row for row in FIGURES["counts"] if row["effect"] == 0]
    assert len(silenced) == 2
    assert all(row["counts"]["mean"] < STAKE < 0.6 < row["means"]["mean"] for row in silenced)
