"""Writes what the benchmark of the gates printed into `docs/gates.md`, between its marks. Standard library only.

.venv/bin/python benchmarks/gate_tables.py
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "gate_figures.json"
PAGE = ROOT / "docs" / "gates.md"

_MARKED = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Figures = dict[str, Any]


def written(page: str, figures: Figures) -> str:
    """The page with the figures' tables between its marks. Raises KeyError for a mark that means nothing."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]](figures)}\n{found[3]}", page)


def _sound(figures: Figures) -> str:
    return _streams([stream for stream in figures["streams"] if not stream["broken"]])


def _broken(figures: Figures) -> str:
    return _streams([stream for stream in figures["streams"] if stream["broken"]])


def _streams(streams: Sequence[Figures]) -> str:
    rows = [
        (
            stream["name"],
            f"{stream['screened']:.0%}",
            f"{stream['claims']:.1f}",
            f"{stream['false']['mean']:.3f} ({max(stream['false']['low'], 0.0):.3f} to {stream['false']['high']:.3f})",
            f"{stream['staked']:.2f}",
        )
        for stream in streams
    ]
    return _table(("a year of", "screened", "claims", "false claims (95%)", "staked"), rows)


def _power(figures: Figures) -> str:
    rows = [
        (
            f"{100 * row['churn']:.0f}%",
            f"{100 * row['gain']:+.0f}",
            _share(row["screen"]),
            _share(row["claim"]),
            f"{row['claim_cases']:.0f}",
            _share(row["claim_400"]),
            _share(row["mcnemar_200"]),
            _share(row["mcnemar_400"]),
            _share(row["mean_200"]),
        )
        for row in figures["power"]
    ]
    head = ("churn", "true gain", "screen", "claim", "cases", "claim, 400", "McNemar, 200", "McNemar, 400")
    return _table((*head, "mean higher, 200"), rows)


def _identical(figures: Figures) -> str:
    rows = [
        (
            row["suite"],
            f"{row['rerun cases']:.0f}",
            *(
                f"{row[name]:.1%}"
                for name in (
                    "5 tries alone",
                    "by cases",
                    "slices, one run",
                    "by slices",
                    "by cost, time, length, refusing",
                    "vetoed",
                )
            ),
        )
        for row in figures["vetoes"]["identical"]
    ]
    head = ("suite", "cases tried again", "5 tries alone would veto", "vetoed by cases", "slices, one run")
    return _table((*head, "vetoed by slices", "by cost, time, length, refusals", "vetoed in all"), rows)


def _failing(figures: Figures) -> str:
    rows = [
        (
            f"{row['baseline fails']:.0%}",
            f"{row['candidate fails']:.0%}",
            _share(row["5 tries alone"]),
            _share(row["veto"]),
        )
        for row in figures["vetoes"]["broken"]
    ]
    return _table(("the current prompt fails it", "the candidate", "5 tries alone", "veto"), rows)


def _slices(figures: Figures) -> str:
    rows = [
        (f"{row['cases']:.0f}", f"{100 * row['loss']:.0f}", _share(row["slices, one run"]), _share(row["by slices"]))
        for row in figures["vetoes"]["slices"]
    ]
    return _table(("cases of the slice", "points lost", "seen in one run", "vetoed"), rows)


def _missing(figures: Figures) -> str:
    rows = [
        (f"{row['stake']:.0%}", f"{row['hidden']:.0%}", f"{row['claim']:.1%}", f"{row['high']:.1%}")
        for row in figures["missing"]
    ]
    return _table(("stake", "failures that nobody judged", "claim passes", "at most"), rows)


def _share(value: float) -> str:
    return f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[Figures], str]] = {
    "sound": _sound,
    "broken": _broken,
    "power": _power,
    "identical": _identical,
    "failing": _failing,
    "slices": _slices,
    "missing": _missing,
}


if __name__ == "__main__":
    told = written(PAGE.read_text(encoding="utf-8"), json.loads(FIGURES.read_text(encoding="utf-8")))
    PAGE.write_text(told, encoding="utf-8")
