"""Writes what the benchmark of the canary printed into `docs/canary.md`, between its marks. Standard library only.

.venv/bin/python benchmarks/canary_tables.py
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "canary_figures.json"
PAGE = ROOT / "docs" / "canary.md"

_MARKED = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Figures = dict[str, Any]


def written(page: str, figures: Figures) -> str:
    """The page with the figures' tables between its marks. Raises KeyError for a mark that means nothing."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]](figures)}\n{found[3]}", page)


def _found(figures: Figures) -> str:
    head = ("users a week", "true effect", "promoted (95%)", "by 2 weeks", "by 4 weeks", "days", "shown the new one")
    rows = [
        (
            f"{row['weekly']:,}",
            f"{row['effect']:+g}",
            _spread(row["promoted"]),
            *(f"{row[name]['mean']:.1%}" for name in ("by_2_weeks", "by_4_weeks")),
            f"{row['days']:.0f}",
            f"{row['units']:,.0f}",
            f"{row['excess_bad']['mean']:.0f}" if row["effect"] < 0 else "",
            *(f"{row['ends'][end]:.0%}" for end in ("harm", "futile", "too_late")),
        )
        for row in figures["cells"]
    ]
    return _table((*head, "more bad answers", "harm", "futile", "undecided"), rows)


def _others(figures: Figures) -> str:
    rows = [
        (
            row["name"],
            f"{row['weekly']:,}",
            f"{row['effect']:+g}",
            f"{100 * row['stake']:g}%",
            _spread(row["promoted"]),
            f"{row['days']:.0f}",
            f"{row['units']:,.0f}",
        )
        for row in figures["others"]
    ]
    head = ("world or setting", "users a week", "true effect", "stake", "promoted (95%)", "days", "shown the new one")
    return _table(head, rows)


def _traps(figures: Figures) -> str:
    rows = [
        (row["name"], f"{row['weekly']:,}", _spread(row["broken"]), _spread(row["sound"])) for row in figures["traps"]
    ]
    return _table(("a careless product", "users a week", "promotes what is no better (95%)", "the product"), rows)


def _counts(figures: Figures) -> str:
    rows = [
        (
            f"{row['weekly']:,}",
            f"{row['effect']:+g}",
            f"{row['silent']:.0%}",
            _spread(row["counts"]),
            _spread(row["means"]),
        )
        for row in figures["counts"]
    ]
    head = ("users a week", "true effect", "bad scores of the new version that never come", "two counts (95%)")
    return _table((*head, "mean of those who scored (95%)"), rows)


def _guards(figures: Figures) -> str:
    rows = [
        (row["name"], _spread(row["raised"]), f"{row['days']:.0f}" if row["raised"]["mean"] >= 0.5 else "")
        for row in figures["guards"]
    ]
    return _table(("old and new version", "alarm within 6 weeks (95%)", "days until then"), rows)


def _spread(found: Figures) -> str:
    return f"{found['mean']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[Figures], str]] = {
    "found": _found,
    "others": _others,
    "traps": _traps,
    "counts": _counts,
    "guards": _guards,
}


if __name__ == "__main__":
    told = written(PAGE.read_text(encoding="utf-8"), json.loads(FIGURES.read_text(encoding="utf-8")))
    PAGE.write_text(told, encoding="utf-8")
