"""A clock's repair as one SVG: how far the device's time was off, when, and how well the anchors say so."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

import numpy as np

from align.datatypes import Floats
from align.matching.clocks import ClockRepair

__all__ = ["clock_svg"]

_WIDTH, _HEIGHT = 720, 310
_LEFT, _RIGHT = 104, 16
_TOP, _FLOOR = 48, 190  # of the panel with the curve
_REST_TOP, _REST_FLOOR = 210, 270  # of the panel with the residuals
_MOST = 1_500  # anchors drawn
_INK, _MUTED, _LINE = "var(--ink, #1b2027)", "var(--muted, #5b6570)", "var(--line, #dde1e6)"
_ACCENT, _BAD = "var(--accent, #1f5fd0)", "var(--bad, #b3362b)"


def clock_svg(repair: ClockRepair) -> str:
    """One drawing without scripts; its colours are those of the page around it (dark or light).

    Above, the seconds added to the device's time, over that time: the curve, and a dot per anchor (a cross where
    it was left out as wrong). Below, what is left between the anchors and the curve. The original times are the
    horizontal axis.

    Args:
        repair: from ``align.matching.clock_fit.fit_clock``.

    Returns:
        an ``<svg>`` element; ASCII only.
    """
    title = f"Clock of {repair.stream}, repaired against {repair.reference}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'width="100%" style="max-width:{_WIDTH}px;font:12px system-ui,sans-serif" aria-label="{escape(title)}">',
        _text(_LEFT, 18, f"{repair.stream} onto the clock of {repair.reference}", _INK, weight=600),
        _text(_LEFT, 34, _words(repair), _MUTED),
        *_curve(repair),
        *_rest(repair),
        "</svg>",
    ]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _words(repair: ClockRepair) -> str:
    used, wrong = int(repair.used.sum()), int((~repair.used).sum())
    anchors = f"{used} anchor{'' if used == 1 else 's'}" + (f", {wrong} left out" if wrong else "")
    drift = "" if repair.kind == "offset" else f", then {repair.ppm:+.1f} ppm"
    return f"{_seconds(repair.offset)} at first{drift}; {anchors}, rms {_seconds(repair.rms, sign=False)}"


def _range(repair: ClockRepair) -> tuple[float, float]:
    """Device seconds from the first to the last anchor, widened when there is but one."""
    low, high = float(repair.anchors[0, 0]), float(repair.anchors[-1, 0])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _x(seconds: float, span: tuple[float, float]) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (seconds - span[0]) / (span[1] - span[0])


def _curve(repair: ClockRepair) -> list[str]:
    span = _range(repair)
    device, session = repair.knots.T
    device, added = np.append(device, span), np.append(session - device, repair.session_seconds(span) - span)
    order = np.argsort(device, kind="stable")
    known = (repair.anchors[:, 1] - repair.anchors[:, 0])[repair.used]
    low, high = float(min(added.min(), known.min())), float(max(added.max(), known.max()))
    low, high = (low, high) if high - low > 1e-3 else (low - 5e-4, high + 5e-4)

    def y(value: float) -> float:
        return _FLOOR - (_FLOOR - _TOP) * (min(max(value, low), high) - low) / (high - low)

    drawn = []
    for value in _ticks(low, high):
        drawn.append(_rule(_LEFT, y(value), _WIDTH - _RIGHT, y(value)))
        drawn.append(_text(_LEFT - 8, y(value) + 4, _seconds(value), _MUTED, "end"))
    points = [
        f"{_x(float(d), span):.1f},{y(float(a)):.1f}"
        for d, a in zip(device[order], added[order], strict=True)
    ]
    drawn += _marks(repair, span, repair.anchors[:, 1] - repair.anchors[:, 0], y)
    drawn.append(
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{_ACCENT}" stroke-width="1.75"/>'
    )
    drawn.append(_text(14, (_TOP + _FLOOR) / 2, "added", _MUTED, "middle", turned=True))
    return drawn


def _rest(repair: ClockRepair) -> list[str]:
    span, rest = _range(repair), repair.residuals
    most = max(1e-3, float(np.abs(rest[repair.used]).max()))
    middle = 0.5 * (_REST_TOP + _REST_FLOOR)

    def y(value: float) -> float:
        return middle - (middle - _REST_TOP) * min(max(value / most, -1.0), 1.0)

    return [
        _rule(_LEFT, middle, _WIDTH - _RIGHT, middle),
        *_marks(repair, span, rest, y),
        _text(_LEFT - 8, _REST_TOP + 8, _seconds(most), _MUTED, "end"),
        _text(_LEFT - 8, _REST_FLOOR, _seconds(-most), _MUTED, "end"),
        _text(14, middle, "left", _MUTED, "middle", turned=True),
        _text(_LEFT, _REST_FLOOR + 22, f"{span[0]:,.1f} s on the device's own clock", _MUTED),
        _text(_WIDTH - _RIGHT, _REST_FLOOR + 22, f"{span[1]:,.1f} s", _MUTED, "end"),
    ]


def _marks(
    repair: ClockRepair, span: tuple[float, float], values: Floats, y: Callable[[float], float]
) -> list[str]:
    """A dot for each anchor in use, a cross for each that is not; of many, evenly chosen ones."""
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST)).round().astype(np.int64))
    drawn = []
    for i in kept.tolist():
        across, down = _x(float(repair.anchors[i, 0]), span), y(float(values[i]))
        if repair.used[i]:
            drawn.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="2" fill="{_MUTED}"/>')
        else:
            path = f"M{across - 3:.1f} {down - 3:.1f}l6 6m0 -6l-6 6"
            drawn.append(f'<path d="{path}" stroke="{_BAD}" stroke-width="1.5" fill="none"/>')
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers between two."""
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step *= next(factor for factor in (5, 2, 1) if (high - low) / (factor * step) >= 2)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _seconds(value: float, *, sign: bool = True) -> str:
    """Seconds or milliseconds with a sign.

    >>> _seconds(0.0292)
    '+29.2 ms'
    """
    plus = "+" if sign else ""
    if abs(value) < 5e-5:
        return "0 ms"
    if abs(value) < 0.1:
        return f"{1000 * value:{plus}.3g} ms"
    return f"{value:{plus},.2f} s" if abs(value) < 100 else f"{value:{plus},.1f} s"


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_LINE}" stroke-width="1.25"/>'


def _text(
    x: float, y: float, words: str, colour: str, anchor: str = "start", *, weight: int = 400, turned: bool = False
) -> str:  # fmt: skip
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}"{turn}>{escape(words)}</text>'
    )
