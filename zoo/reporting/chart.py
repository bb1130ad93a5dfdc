"""Line charts as SVG, to stand in a page."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

_COLOURS = ("#2457a6", "#c2410c", "#15803d", "#7e22ce", "#0e7490", "#b91c1c", "#4d7c0f")
_WIDTH, _HEIGHT, _MARGIN = 460, 240, 44
_LETTER = 6.5
# Beyond this ratio of the largest to the smallest value a line on a plain scale shows its first points alone.
_LOGARITHMIC_FROM = 100


def chart(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a line a series over steps; from zero, or logarithmic where positive values span two decades.

    Colours other than the lines' are ``currentColor``, so that the page decides.
    """
    points = [point for line in lines.values() for point in line]
    last = max((step for step, _ in points), default=1) or 1
    height, low, high, scale = _scale([value for _, value in points])

    def at(step: float, value: float) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * step / last
        y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * height(value)
        return f"{x:.1f},{y:.1f}"

    bottom, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    shown = html.escape(f"{title}{scale}")
    drawn = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' font-size='12' fill='currentColor'>",
        f"<title>{shown}</title><text x='{_MARGIN}' y='20' font-size='14'>{shown}</text>",
        f"<path d='M{_MARGIN},{_MARGIN} V{bottom} H{right}' fill='none' stroke='currentColor' opacity='.4'/>",
        f"<text x='{_MARGIN - 6}' y='{_MARGIN + 4}' text-anchor='end'>{high:.3g}</text>",
        f"<text x='{_MARGIN - 6}' y='{bottom + 4}' text-anchor='end'>{low:.3g}</text>",
        f"<text x='{right}' y='{bottom + 18}' text-anchor='end'>step {last:g}</text>",
    ]
    left = float(_MARGIN)
    for place, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        route = " ".join(at(step, value) for step, value in line)
        dashes = " stroke-dasharray='5 4'" if name == "chance" else ""
        drawn.append(f"<polyline points='{route}' fill='none' stroke='{colour}' stroke-width='2'{dashes}/>")
        drawn.append(f"<text x='{left:.0f}' y='{_HEIGHT - 8}' fill='{colour}'>{html.escape(name)}</text>")
        left += _LETTER * len(name) + 16
    return "".join([*drawn, "</svg>"])


def _scale(values: Sequence[float]) -> tuple[Callable[[float], float], float, float, str]:
    """Return how high a value stands, from 0 to 1, the values at both ends, and a note for the title."""
    least, most = min(values, default=0.0), max(values, default=1.0)
    if least > 0 and most / least > _LOGARITHMIC_FROM:
        span = math.log(most / least)
        return lambda value: math.log(value / least) / span, least, most, ", logarithmic"
    low, high = min(0.0, least * 1.05), max(0.0, most * 1.05)
    width = (high - low) or 1.0
    return lambda value: (value - low) / width, low, high, ""
