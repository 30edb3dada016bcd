"""Rules that decide nothing, or everything, are refused."""

from typing import Any

import pytest

from gates.rules import GateRules
from optimizer.errors import BadSettings


@pytest.mark.parametrize(
    "senseless",
    [
        {"screen_z": 0.0},
        {"screen_z": float("nan")},
        {"enough_against": 1.0},
        {"min_cases": 1},
        {"min_cases": 401},
        {"claim_min_cases": 1},
        {"worthwhile_gain": 0.0},
        {"cost_margin": 0.9},
        {"latency_margin": 0.0},
        {"length_margin": float("-inf")},
        {"max_unscored": 1.5},
        {"slice_p": float("nan")},
        {"judge_floor": -0.1},
        {"tries": 2},
        {"forgiven": 3},
        {"second_veto_at": 11},
        {"second_tries": 5, "second_veto_at": 3},
        {"most_confirmed": 0},
    ],
)
def test_senseless_rules(senseless: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=r"; .+\.$"):
        GateRules(**senseless)


def test_the_rules_as_they_come_are_accepted() -> None:
    assert GateRules().tries == 5
