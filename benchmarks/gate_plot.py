"""Draws `docs/gates.svg` from what the benchmark of the gates printed. Standard library only; asks nothing and nobody.

.venv/bin/python benchmarks/gate_plot.py
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "gate_figures.json"
DRAWING = ROOT / "docs" / "gates.svg"

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 30, 52
_CASES, _STEP = 800, 10
_LEAST, _MOST = 1e-2, 1e5
_LOOKS = (50, 100, 200, 400, 800)
_INK, _NULL, _FIVE, _TEN, _NEEDED = "#808690", "#808690", "#3f8ae0", "#d9822b", "#d1495b"
"""Middling colours: they can be read on white and on black."""


def drawn(figures: dict[str, Any]) -> str:
    """The credits of bets over the cases, and what is needed."""
    needed = 1.0 / figures["first_stake"]
    curves = figures["curves"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{_INK}">',
        "<title>Credits of a bet that the candidate is better, over the cases that were scored</title>",
        *_axes(),
        *(_line(curve, _NULL, 1.0, 0.45) for curve in curves["null"]),
        *(_line(curve, _FIVE, 2.2, 1.0) for curve in curves["+5"]),
        *(_line(curve, _TEN, 2.2, 1.0) for curve in curves["+10"]),
        _rule(needed),
        _words(_x(440), _y(needed) - 7, f"{needed:g} credits: proven", _NEEDED, "start"),
        _words(_x(360), _y(2e4), "10 points better", _TEN, "end"),
        _words(_x(_CASES) - 4, _y(260), "5 points better", _FIVE, "end"),
        _words(_x(_CASES) - 4, _y(2.4e-2), "20 candidates that are no better", _NULL, "end"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes() -> list[str]:
    parts = []
    for power in range(round(math.log10(_LEAST)), round(math.log10(_MOST)) + 1):
        y = _y(10.0**power)
        label = f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"
        parts.append(_segment(_x(0), y, _x(_CASES), y, 0.18))
        parts.append(_words(_LEFT - 8, y + 4, label, _INK, "end"))
    for look in _LOOKS:
        parts.append(_segment(_x(look), _y(_LEAST), _x(look), _y(_LEAST) + 5, 0.8))
        parts.append(_words(_x(look), _y(_LEAST) + 20, str(look), _INK, "middle"))
    parts.append(_words(_x(_CASES / 2), _HEIGHT - 8, "cases scored (the marks are the looks)", _INK, "middle"))
    parts.append(_words(_LEFT - 8, _TOP - 14, "credits", _INK, "end"))
    return parts


def _rule(value: float) -> str:
    y = _y(value)
    dashes = 'stroke-width="1.6" stroke-dasharray="7 5"'
    return f'<path d="M{_x(0):.1f} {y:.1f}H{_x(_CASES):.1f}" stroke="{_NEEDED}" {dashes}/>'


def _line(credits: Sequence[float], colour: str, width: float, opacity: float) -> str:
    """A curve as far as it stays on the drawing; what leaves it at the top has won."""
    points = []
    for place, credit in enumerate(credits):
        points.append(f"{_x(place * _STEP):.1f},{_y(credit):.1f}")
        if credit >= _MOST:
            break
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}" stroke-linejoin="round"/>'
    )


def _segment(x1: float, y1: float, x2: float, y2: float, opacity: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{_INK}" stroke-opacity="{opacity}"/>'


def _words(x: float, y: float, words: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def _x(cases: float) -> float:
    return _LEFT + cases / _CASES * (_WIDTH - _LEFT - _RIGHT)


def _y(credit: float) -> float:
    shown = min(max(credit, _LEAST), _MOST)
    above = math.log(shown / _LEAST) / math.log(_MOST / _LEAST)
    return _HEIGHT - _BOTTOM - above * (_HEIGHT - _TOP - _BOTTOM)


if __name__ == "__main__":
    DRAWING.write_text(drawn(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")
