"""Line charts as SVG, for use in a page."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

_COLOURS = ("#3b76c9", "#d9622b", "#1f9d4d", "#9a5bd0", "#0e8fab", "#d04545", "#6a8f1f")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 460, 250, 50, 34, 14, 52
_LETTER = 6.5
# Beyond this ratio of the largest to the smallest value, a linear scale would show only the first points.
_LOGARITHMIC_FROM = 100
_MOST_DECADES = 5
# A line of at most so many points shows each as a dot.
_FEW = 12


def chart(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a chart, one line per series, over steps; from zero, or logarithmic if positive values span two decades.

    Colours other than the lines' are ``currentColor``, so that the page decides.
    """
    points = [point for line in lines.values() for point in line]
    last = max((step for step, _ in points), default=1) or 1
    height, ticks, scale = _scale([value for _, value in points])
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def at(step: float, value: float) -> tuple[float, float]:
        return _LEFT + (right - _LEFT) * step / last, bottom - (bottom - _TOP) * height(value)

    shown = html.escape(f"{title}{scale}")
    drawn = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' font-size='12' fill='currentColor'>",
        f"<title>{shown}</title><text x='{_LEFT}' y='18' font-size='14'>{shown}</text>",
    ]
    for tick in ticks:
        y = at(0, tick)[1]
        drawn.append(f"<path d='M{_LEFT},{y:.1f} H{right}' stroke='currentColor' opacity='.15'/>")
        drawn.append(f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{tick:g}</text>")
    for tick in _round_numbers(0, last):
        x, anchor = _LEFT + (right - _LEFT) * tick / last, "end" if tick == last else "middle"
        drawn.append(f"<text x='{x:.1f}' y='{bottom + 16}' text-anchor='{anchor}'>{tick:g}</text>")
    drawn.append(f"<text x='{right}' y='{bottom + 32}' text-anchor='end' opacity='.7'>step</text>")
    left = float(_LEFT)
    for place, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        drawn.append(_line([at(step, value) for step, value in line], colour, dashed=name == "chance"))
        if len(lines) > 1:
            drawn.append(f"<text x='{left:.0f}' y='{_HEIGHT - 8}' fill='{colour}'>{html.escape(name)}</text>")
            left += _LETTER * len(name) + 16
    return "".join([*drawn, "</svg>"])


def _line(places: Sequence[tuple[float, float]], colour: str, *, dashed: bool) -> str:
    route = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = " stroke-dasharray='5 4'" if dashed else ""
    dots = places if len(places) <= _FEW and not dashed else []
    return f"<polyline points='{route}' fill='none' stroke='{colour}' stroke-width='2'{dashes}/>" + "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in dots
    )


def _scale(values: Sequence[float]) -> tuple[Callable[[float], float], Sequence[float], str]:
    """Return the height of a value as a fraction, the values to label at the side, and a note for the title."""
    least, most = min(values, default=0.0), max(values, default=1.0)
    if least > 0 and most / least > _LOGARITHMIC_FROM:
        span = math.log(most / least)
        decades = range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1)
        ticks = [10.0**decade for decade in decades[:: math.ceil(len(decades) / _MOST_DECADES)]]
        return lambda value: math.log(value / least) / span, ticks, ", logarithmic"
    low, high = min(0.0, least * 1.05), max(0.0, most * 1.05)
    width = (high - low) or 1.0
    return lambda value: (value - low) / width, _round_numbers(low, high), ""


def _round_numbers(low: float, high: float) -> list[float]:
    """Return three to seven multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``."""
    if not high > low:
        return [low]
    unit = 10.0 ** math.floor(math.log10((high - low) / 2.5))
    step = next(unit * factor for factor in (5, 2, 1) if (high - low) / (unit * factor) >= 2.5)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
