"""An interval as a small drawing around "no difference". SVG attributes alone: a strict page forbids inline styles."""

from gates.rendering.numbers import points_between
from gates.rendering.story import Difference
from gates.words import points
from optimizer.types import Missing

WIDTH, HEIGHT = 144, 14
SCALES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""How far a drawing may reach to either side, in shares of the score."""


def scale_for(differences: list[Difference]) -> float:
    """One scale for drawings that stand under each other: twice the largest difference fits.

    Intervals of a handful of cases reach far beyond; they are cut, and the numbers beside them say how far they go.
    """
    values = [abs(shown.value) for shown in differences if not isinstance(shown.value, Missing)]
    return next((scale for scale in SCALES if scale >= 2 * max(values, default=0.0)), SCALES[-1])


def drawn(shown: Difference, scale: float) -> str:
    """The drawing, empty when there is nothing to draw."""
    if isinstance(shown.value, Missing) or isinstance(shown.interval, Missing):
        return ""
    low, high = shown.interval
    kind = "better" if low > 0 else "worse" if high < 0 else "open"
    start, mean, end = (_place(value, scale) for value in (low, shown.value, high))
    middle, centre = HEIGHT / 2, WIDTH / 2
    label = f"{points(shown.value)} points, between {points_between(shown.interval)}"
    return (
        f'<svg class="span {kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'<line class="axis" x1="0" y1="{middle}" x2="{WIDTH}" y2="{middle}"/>'
        f'<line class="zero" x1="{centre}" y1="0" x2="{centre}" y2="{HEIGHT}"/>'
        f'<line class="reach" x1="{start}" y1="{middle}" x2="{end}" y2="{middle}"/>'
        f'<circle class="mean" cx="{mean}" cy="{middle}" r="3.5"/></svg>'
    )


def _place(value: float, scale: float) -> float:
    inside = max(-scale, min(scale, value))
    return round(WIDTH / 2 * (1 + inside / scale), 1)
