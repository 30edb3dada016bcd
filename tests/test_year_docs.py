"""docs/year.md says what the benchmark printed, and what the product does."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploy.release_settings import CanarySettings
from gates.error_budget import SHARE
from gates.rules import GateRules

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "year.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "year_figures.json").read_text(encoding="utf-8"))
CANARY, RULES = CanarySettings(), GateRules()
BY_KEY: dict[str, dict[str, Any]] = {one["key"]: one for one in FIGURES["scenarios"]}


def gain(one: dict[str, Any], rule: str) -> float:
    return float(one["means"][rule]["gain"]["mean"])


@pytest.mark.parametrize(
    "said",
    [
        f"the screen ({RULES.screen_z:g} standard errors on {RULES.max_cases} cases)".replace("0.", "."),
        f"{CANARY.first_share:.0%} of the users until {CANARY.first_units} matured units, then {CANARY.full_share:.0%}",
        f"Its stake is {SHARE:.0%} of what is left of the year's budget of {CANARY.budget:g}.",
        f"After a promotion {CANARY.holdback_share:.0%} keep the old version for {CANARY.holdback_weeks:g} weeks.",
        f"{FIGURES['prompts']} prompts, 52 weeks, each scenario {FIGURES['years']} times: "
        f"{FIGURES['prompts'] * FIGURES['years']:,} prompt-years.",
    ],
)
def test_what_was_simulated_is_the_product(said: str) -> None:
    assert said in FLAT


def test_the_tables_are_what_the_benchmark_printed() -> None:
    tables = runpy.run_path(str(ROOT / "benchmarks" / "year_tables.py"))
    assert tables["written"](PAGE, FIGURES) == PAGE, "run benchmarks/year_tables.py"
    assert set(re.findall(r"<!-- figures: (\w+) -->", PAGE)) == set(tables["TABLES"])


def test_every_scenario_was_run_as_often_as_the_page_says() -> None:
    assert len(BY_KEY) == 28
    assert {one["prompt_years"] for one in BY_KEY.values()} == {FIGURES["prompts"] * FIGURES["years"]}


def test_every_claim_that_does_not_hold_is_on_the_page() -> None:
    missed = [claim["text"] for claim in FIGURES["claims"] if not claim["holds"]]
    assert all(f"| {text} |" in PAGE for text in missed)
    assert all(one["caught"] for one in FIGURES["broken"])


def test_the_sentences_about_the_figures_are_true() -> None:
    hostile = [one for key, one in BY_KEY.items() if key.startswith("3-")]
    naive_best = [one for one in BY_KEY.values() if max(gain(one, "offline"), gain(one, "ab")) > gain(one, "ours")]
    assert f"a naive rule has the better average: in {len(naive_best)} of {len(BY_KEY)} scenarios" in FLAT
    assert {one["key"] for one in naive_best} == set(BY_KEY) - {one["key"] for one in hostile}
    assert all(max(gain(one, "offline"), gain(one, "ab")) < gain(one, "ours") for one in hostile)
    assert all(abs(one["means"]["ours"]["final"]["mean"]) < 0.0005 for one in hostile)
