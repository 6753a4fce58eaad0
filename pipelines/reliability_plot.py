"""What a model's probabilities turned out to be worth, as one SVG: posterior against the share that came true."""

from __future__ import annotations

import math
from html import escape

from align.answers import Calibration
from align.datatypes import Floats

__all__ = ["reliability_svg"]

_SIDE, _TOP, _LEFT, _APART = 220, 54, 58, 96  # pixels of one square panel and of what is around it
_HEIGHT = _TOP + _SIDE + 44
_LEAST_DOT, _LARGEST_DOT = 2.5, 9.0
_INK, _MUTED, _LINE = "var(--ink, #1b2027)", "var(--muted, #5b6570)", "var(--line, #dde1e6)"
_ACCENT = "var(--accent, #1f5fd0)"


def reliability_svg(found: Calibration) -> str:
    """One drawing without scripts; its colours are those of the page around it (dark or light).

    One panel for placed notes and one for unmatched ones: a dot for every tenth of the posteriors that held-out
    notes had, as large as they are many, at the share of them that came true. The dashed diagonal is where a
    posterior needs no correction, the line what the model takes a posterior for: the probability it states.

    Args:
        found: of a model.

    Returns:
        an ``<svg>`` element; ASCII only.
    """
    panels = [
        ("placed notes: the span was right", found.spans, found.spans_seen),
        ("unmatched notes: nothing fitted", found.nothing, found.nothing_seen),
    ]
    width = _LEFT + len(panels) * _SIDE + _APART + 16
    title = f"Reliability on {found.n_notes} answers about people held out in training"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" role="img" '
        f'width="100%" style="max-width:{width}px;font:12px system-ui,sans-serif" aria-label="{escape(title)}">',
        _text(_LEFT, 18, title, _INK, weight=600),
    ]
    for k, (name, points, seen) in enumerate(panels):
        parts += _panel(_LEFT + k * (_SIDE + _APART), name, points, seen)
    return "\n".join([*parts, "</svg>"]).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _panel(left: float, name: str, points: Floats, seen: Floats) -> list[str]:
    floor = _TOP + _SIDE

    def at(posterior: float, share: float) -> tuple[float, float]:
        return left + _SIDE * posterior, floor - _SIDE * share

    n_answers = int(seen[:, 2].sum())
    line = " ".join("{:.1f},{:.1f}".format(*at(p, q)) for p, q in points.tolist())
    drawn = [
        _text(left, _TOP - 12, f"{name} ({n_answers})", _MUTED),
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_LINE}"/>',
        _line(*at(0, 0), *at(1, 1), _MUTED),
    ]
    for value in (0.0, 0.5, 1.0):
        x, y = at(value, value)
        drawn.append(_text(x, floor + 16, f"{value:g}", _MUTED, "middle"))
        drawn.append(_text(left - 8, y + 4, f"{value:g}", _MUTED, "end"))
    drawn.append(f'<polyline points="{line}" fill="none" stroke="{_ACCENT}" stroke-width="1.75"/>')
    most = max(seen[:, 2].tolist(), default=1.0)
    for posterior, share, count in seen.tolist():
        x, y = at(posterior, share)
        radius = max(_LEAST_DOT, _LARGEST_DOT * math.sqrt(count / most))
        words = f"{count:.0f} answers with posteriors near {posterior:.2f}: {share:.0%} came true"
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_INK}" fill-opacity="0.55">'
            f"<title>{escape(words)}</title></circle>"
        )
    middle = left + _SIDE / 2
    drawn.append(_text(middle, floor + 34, "posterior of the decoder", _MUTED, "middle"))
    turned = f' transform="rotate(-90 {left - 38} {floor - _SIDE / 2})"'
    drawn.append(_text(left - 38, floor - _SIDE / 2, "came true", _MUTED, "middle", extra=turned))
    return drawn


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="1.25" stroke-dasharray="4 3"/>'
    )


def _text(
    x: float, y: float, words: str, colour: str, anchor: str = "start", weight: int = 400, extra: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"{extra}>'
        f"{escape(words)}</text>"
    )
