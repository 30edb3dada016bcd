"""docs/gates.md says what the code does: thresholds, settings, exit codes, and the figures of the benchmark."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import exits
from deploy.settings import GateSettings
from gates.error_budget import SHARE, YEAR_DAYS, next_stake
from gates.rules import GateRules
from gates.screen import LOOKS
from gates.statistics import GRID
from optimizer.proof import Gate

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "gate_figures.json").read_text(encoding="utf-8"))
RULES, SETTINGS = GateRules(), GateSettings()


def stakes(claims: int) -> list[float]:
    left, taken = SETTINGS.claim_budget, []
    for _ in range(claims):
        taken.append(next_stake(left))
        left -= taken[-1]
    return taken


def row_of(first: str) -> list[str]:
    """The cells of the one row of a table that begins so."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    "said",
    [
        f"Early looks only end what is hopeless: harm is shown, or a gain of {100 * RULES.worthwhile_gain:g} points is",
        f"has to be {RULES.screen_z:g} standard errors above none.".replace("0.", "."),
        f"The stake is {SHARE:.0%} of what is left of the budget.",
        f"With the budget of {SETTINGS.claim_budget:g} the first claim stakes .05 and needs 1 / .05 = 20 credits, the "
        "second stakes .045 and needs 22, and after a dozen claims it takes 70.",
        f"A stake stops counting after {YEAR_DAYS} **ledger days**",
        f"is tried {RULES.tries} more times in both versions. It counts when the candidate fails at least "
        f"{RULES.veto_at} of them and the current prompt at most {RULES.forgiven}; then {RULES.second_tries} fresh "
        f"tries have to confirm it (at least {RULES.second_veto_at}, and at most {RULES.forgiven}), of at most "
        f"{RULES.most_confirmed} cases.",
        f"more than {RULES.max_unscored:.0%} of the cases could not be judged",
        f"lost more than {100 * RULES.slice_loss:g} points with p < .10",
        f"A slice with {RULES.slice_cases} cases shows only disasters.",
        f"harm shown ({RULES.enough_against:g} credits)",
        f"at most {RULES.cost_margin:g}, {RULES.latency_margin:g} and {RULES.length_margin:g} times as large",
        f"agrees with people by less than {RULES.judge_floor:g} ".replace("0.", "."),
        f"once {RULES.judge_humans} answers are known",
    ],
)
def test_every_threshold_is_the_codes(said: str) -> None:
    assert said in FLAT


def test_the_looks_of_a_screen_are_the_codes() -> None:
    first = [str(look) for look in LOOKS if look <= RULES.max_cases]
    assert f"After {', '.join(first[:-1])} and {first[-1]} cases we look." in FLAT


def test_the_arithmetic_of_the_budget_is_the_codes() -> None:
    first, second, *_, thirteenth = stakes(13)
    assert first == pytest.approx(0.05)
    assert (round(1 / first), round(1 / second)) == (20, 22)
    assert round(1 / thirteenth, -1) == 70
    assert FIGURES["budget"] == SETTINGS.claim_budget
    assert FIGURES["first_stake"] == pytest.approx(first)


def test_the_bets_are_the_codes() -> None:
    shares = [f"{100 * share:g}" for share in GRID]
    assert f"seven gamblers who bet {', '.join(shares[:-1])} and {shares[-1]}% of what they hold" in FLAT
    assert len(GRID) == 7


def test_every_gate_is_explained() -> None:
    table = PAGE.split("## What each finding means")[1].split("\n\n**")[0]
    explained = re.findall(r"[a-z]+", " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    assert {gate.value for gate in Gate} <= set(explained)


@pytest.mark.parametrize("key", list(GateSettings.model_fields))
def test_every_setting_is_explained_with_its_default(key: str) -> None:
    default = GateSettings.model_fields[key].default
    _, said, _ = row_of(f"`{key}`")
    if key == "rubric":
        assert said == "a sentence"
    elif default in ((), "", None):
        assert said == "none"
    elif isinstance(default, bool):
        assert said == str(default).lower()
    elif isinstance(default, str):
        assert said == f"`{default}`"
    else:
        assert float(said) == default


def test_no_setting_is_explained_that_there_is_not() -> None:
    table = PAGE.split("## Settings of `gate:`")[1].split("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(GateSettings.model_fields)


def test_the_exit_codes_are_the_commands() -> None:
    codes = (exits.DONE, exits.REFUSED, exits.UNDECIDED, exits.COULD_NOT_RUN)
    table = PAGE.split("## Exit codes of `tracegrad gate`")[1].split("\n\n[")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(codes)


def test_the_tables_are_what_the_benchmark_printed() -> None:
    tables = runpy.run_path(str(ROOT / "benchmarks" / "gate_tables.py"))
    assert tables["written"](PAGE, FIGURES) == PAGE, "run benchmarks/gate_tables.py"
    assert set(re.findall(r"<!-- figures: (\w+) -->", PAGE)) == set(tables["TABLES"])


def test_the_drawing_is_of_what_the_benchmark_printed() -> None:
    plot = runpy.run_path(str(ROOT / "benchmarks" / "gate_plot.py"))
    drawing = (ROOT / "docs" / "gates.svg").read_text(encoding="utf-8")
    assert plot["drawn"](FIGURES) == drawing, "run benchmarks/gate_plot.py"
    assert "](gates.svg)" in PAGE


def test_the_drawing_shows_what_the_page_says_of_it() -> None:
    curves, needed = FIGURES["curves"], 1 / FIGURES["first_stake"]

    def crossed(curve: list[float]) -> int:
        return next(10 * place for place, credit in enumerate(curve) if credit >= needed)

    assert sum(max(curve) >= needed for curve in curves["null"]) == 1
    assert len(curves["null"]) == 20
    assert crossed(curves["+5"][0]) == pytest.approx(600, abs=30)
    assert crossed(curves["+10"][0]) == pytest.approx(120, abs=15)


def test_the_recorded_run_held_all_that_it_claims() -> None:
    assert all(claim["holds"] for claim in FIGURES["claims"])
    sound = [stream for stream in FIGURES["streams"] if not stream["broken"]]
    assert all(stream["false"]["high"] <= stream["staked"] for stream in sound if stream["years"] >= 100)
    assert len(FIGURES["streams"]) - len(sound) >= 5


def test_the_sentences_about_the_figures_are_true() -> None:
    by_name = {stream["name"]: stream for stream in FIGURES["streams"]}
    taste = by_name["a judge with a taste of its own"]
    assert f"lets {taste['misleading']:.0f} claims a year through that people" in FLAT
    assert f"ends with {by_name['one in five is 8 points better']['right']:.0f} true claims a year" in FLAT
    nulls = [row for row in FIGURES["power"] if row["gain"] == 0.0]
    assert all(0.4 <= row["mean_200"] <= 0.5 for row in nulls)  # "nearly half"
    assert all(0.15 <= row["screen"] <= 0.25 for row in nulls)  # "one in five"
