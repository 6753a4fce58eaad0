"""The stability of a segmentation as one SVG: segments by penalty, and how long each boundary stays."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from align.datatypes import Floats
from align.segmentation.stability import Stability

__all__ = ["stability_svg"]

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT = 64, 16
_TOP, _FLOOR = 44, 186  # of the panel with the number of segments
_STRIP_TOP, _STRIP_FLOOR = 222, 270  # of the strip with the boundaries
_MOST_TICKS = 2_000  # boundaries drawn, the most persistent of each stretch
_INK, _MUTED, _LINE = "var(--ink, #1b2027)", "var(--muted, #5b6570)", "var(--line, #dde1e6)"
_ACCENT, _BAND = "var(--accent, #1f5fd0)", "var(--band, #eef2f8)"


def stability_svg(found: Stability) -> str:
    """One drawing without scripts; its colours are those of the page around it (dark or light).

    Above, the number of segments by penalty, both on logarithmic scales: a long step is an answer that does
    not hang on the exact penalty. The band is the step that was chosen. Below, the boundaries in time, each
    as tall as the share of the range of penalties over which it stays.

    Args:
        found: from ``align.segmentation.stability.stability``.

    Returns:
        an ``<svg>`` element; ASCII only.
    """
    count = f"{found.chosen} segment{'' if found.chosen == 1 else 's'}"
    title = f"Stability of the segments of {found.stream}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'width="100%" style="max-width:{_WIDTH}px;font:12px system-ui,sans-serif" '
        f'aria-label="{escape(title)}: {count}">',
        _text(_LEFT, 18, f"{found.stream}: {count}", _INK, "start", 600),
        _text(_LEFT, 34, _words(found), _MUTED),
        *_steps(found),
        *_strip(found),
        "</svg>",
    ]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _words(found: Stability) -> str:
    factor = found.steady
    if factor >= 2:
        return f"the number stays the same while the penalty changes by a factor of {_number(factor)}"
    if factor < 1.25:
        return "the number changes with nearly every change of the penalty: other answers are as good"
    return f"the number changes when the penalty does by a factor of {_number(factor)}: other answers are as good"


def _steps(found: Stability) -> list[str]:
    penalties, counts = found.penalties, found.n_segments
    low, high = math.log(penalties[0]), math.log(penalties[-1])
    top = math.log(max(2.0, float(counts.max())))

    def x(penalty: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log(penalty) - low) / (high - low)

    def y(count: float) -> float:
        return _FLOOR - (_FLOOR - _TOP) * math.log(count) / top

    at = int(np.searchsorted(penalties[1:-1], found.penalty, "right"))
    left, right = x(float(penalties[at])), x(float(penalties[at + 1]))
    points = [
        f"{x(float(p)):.1f},{y(float(n)):.1f}"
        for i, n in enumerate(counts)
        for p in (penalties[i], penalties[i + 1])
    ]
    chosen_x, chosen_y = x(found.penalty), y(float(found.chosen))
    drawn = [
        f'<rect x="{left:.1f}" y="{_TOP}" width="{max(1.0, right - left):.1f}" height="{_FLOOR - _TOP}" '
        f'fill="{_BAND}"/>'
    ]
    for value in _ticks(1.0, float(counts.max())):
        drawn.append(_rule(_LEFT, y(value), _WIDTH - _RIGHT, y(value), _LINE))
        drawn.append(_text(_LEFT - 8, y(value) + 4, _number(value), _MUTED, "end"))
    for value in _ticks(float(penalties[0]), float(penalties[-1])):
        if x(value) < _WIDTH - _RIGHT - 64:  # the axis' name stands there
            drawn.append(_text(x(value), _FLOOR + 16, _number(value), _MUTED, "middle"))
    drawn += [
        _rule(chosen_x, _TOP, chosen_x, _FLOOR, _ACCENT, "4 3"),
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{_INK}" stroke-width="1.5"/>',
        f'<circle cx="{chosen_x:.1f}" cy="{chosen_y:.1f}" r="4" fill="{_ACCENT}"/>',
        _text(14, (_TOP + _FLOOR) / 2, "segments", _MUTED, "middle", turned=True),
        _text(_WIDTH - _RIGHT, _FLOOR + 16, "penalty", _MUTED, "end"),
    ]
    return drawn


def _strip(found: Stability) -> list[str]:
    begin, end = found.span
    width = _WIDTH - _LEFT - _RIGHT
    times, shares = _thinned(found.boundaries, found.persistence)
    drawn = [_rule(_LEFT, _STRIP_FLOOR, _WIDTH - _RIGHT, _STRIP_FLOOR, _LINE)]
    for time, share in zip(times.tolist(), shares.tolist(), strict=True):
        x = _LEFT + width * (time - begin) / max(end - begin, 1e-9)
        y = _STRIP_FLOOR - share * (_STRIP_FLOOR - _STRIP_TOP)
        drawn.append(_rule(x, y, x, _STRIP_FLOOR, _ACCENT))
    drawn += [
        _text(14, (_STRIP_TOP + _STRIP_FLOOR) / 2, "stays", _MUTED, "middle", turned=True),
        _text(_LEFT - 8, _STRIP_TOP + 8, "all", _MUTED, "end"),
        _text(_LEFT, _STRIP_FLOOR + 16, f"{_number(begin)} s", _MUTED),
        _text(_WIDTH - _RIGHT, _STRIP_FLOOR + 16, f"{_number(end)} s", _MUTED, "end"),
    ]
    return drawn


def _thinned(times: Floats, shares: Floats) -> tuple[Floats, Floats]:
    if len(times) <= _MOST_TICKS:
        return times, shares
    part = np.arange(len(times)) * _MOST_TICKS // len(times)
    order = np.lexsort((-shares, part))
    kept = np.sort(order[np.searchsorted(part[order], np.arange(_MOST_TICKS))])
    return times[kept], shares[kept]


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers, with their doubles and fives where those are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [s * 10.0**k for k in range(first, last + 1) for s in steps if low <= s * 10.0**k <= high]


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="1.25"{dashed}/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    colour: str,
    anchor: str = "start",
    weight: int = 400,
    *,
    turned: bool = False,
) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}"{turn}>{escape(words)}</text>'
    )
