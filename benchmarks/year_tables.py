"""Writes what the benchmark of a year printed into `docs/year.md`, between its marks. Standard library only.

.venv/bin/python benchmarks/year_tables.py
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "year_figures.json"
PAGE = ROOT / "docs" / "year.md"

_MARKED = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_RULES = ("offline", "ab", "ours")
_OWN = (("canaries", 1), ("spent", 3), ("false", 3))
_SHORT = {"offline": "naive offline", "ab": "naive A/B", "ours": "ours"}

Figures = dict[str, Any]


def written(page: str, figures: Figures) -> str:
    """The page with the figures' tables between its marks. Raises KeyError for a mark that means nothing."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]](figures)}\n{found[3]}", page)


def _harm(figures: Figures) -> str:
    rows = [
        (
            one["name"],
            *(f"{one['means'][rule]['harm']['mean']:.1f}" for rule in _RULES),
            *(_ranged(one["harm_ratio"][rule]) for rule in _RULES[:2]),
        )
        for one in figures["scenarios"]
    ]
    return _table(("scenario", *_SHORT.values(), "ours to naive offline", "ours to naive A/B"), rows)


def _gain(figures: Figures) -> str:
    rows = []
    for one in figures["scenarios"]:
        gains = {rule: one["means"][rule]["gain"]["mean"] for rule in _RULES}
        best = _SHORT[max(gains, key=lambda rule: gains[rule])]
        ratios = (_ranged(one["gain_ratio"][rule]) for rule in _RULES[:2])
        rows.append((one["name"], *(_points(gain) for gain in gains.values()), *ratios, best))
    return _table(("scenario", *_SHORT.values(), "ours to naive offline", "ours to naive A/B", "best mean"), rows)


def _releases(figures: Figures) -> str:
    rows = []
    for one in figures["scenarios"]:
        for place, rule in enumerate(_RULES):
            found = {name: value["mean"] for name, value in one["means"][rule].items()}
            rows.append(
                (
                    "" if place else one["name"],
                    _SHORT[rule],
                    f"{found['releases']:.1f}",
                    f"{found['no_better']:.2f}",
                    f"{found['much_worse']:.4f}",
                    _points(found["final"]),
                    *(f"{found[name]:.{digits}f}" if name in found else "" for name, digits in _OWN),
                )
            )
    head = ("scenario", "rule", "releases", "no better", "worse by more than a point", "at the end of the year")
    return _table((*head, "canaries", "staked", "false promotions"), rows)


def _missed(figures: Figures) -> str:
    missed = [(claim["text"],) for claim in figures["claims"] if not claim["holds"]]
    held = len(figures["claims"]) - len(missed)
    return _table((f"{held} of {len(figures['claims'])} claims hold; these do not",), missed or [("none",)])


def _broken(figures: Figures) -> str:
    rows = [
        (
            one["name"],
            one["stream"],
            _ranged(one["false"]),
            _ranged(one["sound_false"]),
            f"{one['harm']['mean']:.1f}",
            f"{one['sound_harm']['mean']:.1f}",
        )
        for one in figures["broken"]
    ]
    return _table(("broken product", "candidates", "false promotions", "sound", "harm", "sound"), rows)


def _others(figures: Figures) -> str:
    rows = [
        (one["habit"], one["name"], _ranged(one["gain_ratio"]), _ranged(one["harm_ratio"])) for one in figures["others"]
    ]
    return _table(("if", "scenario", "gain to ours", "harm to ours"), rows)


def _ranged(found: Figures | None) -> str:
    if found is None:
        return "gains nothing"
    return f"{found['mean']:.3f} ({max(found['low'], 0.0):.3f} to {found['high']:.3f})"


def _points(value: float) -> str:
    return f"{100 * value + 0.0:+.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[Figures], str]] = {
    "harm": _harm,
    "gain": _gain,
    "releases": _releases,
    "missed": _missed,
    "broken": _broken,
    "others": _others,
}


if __name__ == "__main__":
    told = written(PAGE.read_text(encoding="utf-8"), json.loads(FIGURES.read_text(encoding="utf-8")))
    PAGE.write_text(told, encoding="utf-8")
