"""The codes of a codebook as one SVG, or as a page: name, share of the time and what the typical segment looks like."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from align.errors import escape_controls
from align.tokens.saved import Book
from pipelines.tokens import channel_ranges

__all__ = ["book_page", "book_svg"]

_WIDTH, _ROW, _HEAD = 960, 62, 66
_NAME, _PICTURE, _RIGHT = 16, 400, 16  # left edges of the columns
_BAR = 200  # a share of 1
_NAME_LETTERS = 50
_MOST_CHANNELS = 8  # over each other: more cannot be told apart
_INK, _MUTED, _LINE = "var(--ink, #1b2027)", "var(--muted, #5b6570)", "var(--line, #dde1e6)"
_ACCENT, _BAND = "var(--accent, #1f5fd0)", "var(--band, #f4f6f9)"
_COLOURS = ("#1f5fd0", "#c2571a", "#1a8a5a", "#8d4fc0", "#b3362b", "#5f6a12", "#0f8096", "#a23d76")


def book_svg(books: Sequence[Book]) -> str:
    """One drawing without scripts; its colours are those of the page around it (dark or light).

    A row per code, the most time first within each kind of stream: its name, how many segments and how much of the
    time, where its medoid is, and the middle of the medoid, all channels over each other. A channel has the same
    scale in every row, the one that its range in all of them gives.

    Args:
        books: of one file.

    Returns:
        an ``<svg>`` element; ASCII only.
    """
    parts: list[str] = []
    top = 0.0
    for book in books:
        parts += _head(book, top)
        top += _HEAD
        low, high = channel_ranges(book)
        order = np.argsort(-book.seconds, kind="stable")
        for i, code in enumerate(order.tolist()):
            parts += _row(book, code, top, i % 2 == 0, (low, high))
            top += _ROW
    n = sum(len(book.counts) for book in books)
    opened = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 8:g}" role="img" width="100%" '
        f'style="max-width:{_WIDTH}px;font:12px system-ui,sans-serif" aria-label="{n} codes">'
    )
    return "\n".join([opened, *parts, "</svg>"]).encode("ascii", "xmlcharrefreplace").decode("ascii")


def book_page(books: Sequence[Book]) -> str:
    """``book_svg`` as a page of its own, dark where the reader's screen is.

    Args:
        books: of one file.
    """
    style = (
        ":root{--ink:#1b2027;--muted:#5b6570;--line:#dde1e6;--accent:#1f5fd0;--band:#f4f6f9;background:#fff}"
        "@media(prefers-color-scheme:dark){:root{--ink:#e8ebef;--muted:#9aa4b0;--line:#343b45;--accent:#7aa5f0;"
        "--band:#1c2128;background:#14181d}}body{margin:24px}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Codebook</title>'
        f"<style>{style}</style></head>\n<body>\n{book_svg(books)}\n</body></html>\n"
    )


def _head(book: Book, top: float) -> list[str]:
    about = (
        f"{len(book.counts)} codes, {int(book.counts.sum()):,} segments, {_lasting(float(book.seconds.sum()))}, "
        f"version {book.version}, {book.hash[:12]}"
    )
    parts = [
        _text(_NAME, top + 26, book.stream, _INK, "start", 700, 15),
        _text(_NAME, top + 44, about, _MUTED),
    ]
    return parts + _legend(book, top)


def _legend(book: Book, top: float) -> list[str]:
    """The channels that are drawn; the unit behind the last of those that share it."""
    shown = book.channels[:_MOST_CHANNELS]
    units = (*(book.units or ("",) * len(shown))[: len(shown)], None)
    parts, x = [], float(_PICTURE)
    for i, channel in enumerate(shown):
        words = channel[:20] + (f" [{units[i]}]" if units[i] and units[i] != units[i + 1] else "")
        at = f'y1="{top + 40:.0f}" y2="{top + 40:.0f}" stroke="{_COLOURS[i]}" stroke-width="3"'
        parts.append(f'<line x1="{x:.0f}" x2="{x + 14:.0f}" {at}/>')
        parts.append(_text(x + 18, top + 44, words, _MUTED))
        x += 28 + 6.4 * len(words)
        if x > _WIDTH - 70 and i + 1 < len(shown):
            parts.append(_text(x, top + 44, f"+{len(shown) - i - 1}", _MUTED))
            break
    return parts


def _lasting(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _row(book: Book, code: int, top: float, banded: bool, ranges: tuple[np.ndarray, np.ndarray]) -> list[str]:
    name, medoid, share = book.codebook.names[code], book.medoids[code], float(book.shares[code])
    count = int(book.counts[code])
    where = "" if medoid is None else f"{medoid.recording}, {medoid.start:.2f}-{medoid.end:.2f} s"
    parts = []
    if banded:
        parts.append(f'<rect x="0" y="{top:g}" width="{_WIDTH}" height="{_ROW}" fill="{_BAND}"/>')
    parts += [
        f"<g><title>{escape(escape_controls(name))}</title>",
        _text(_NAME, top + 17, _cut(name), _INK, weight=600),
        _text(
            _NAME, top + 33, f"{count:,} segment{'' if count == 1 else 's'}, {share:.1%} of the time", _MUTED
        ),
        f'<rect x="{_NAME}" y="{top + 38:g}" width="{_BAR}" height="4" fill="{_LINE}"/>',
        f'<rect x="{_NAME}" y="{top + 38:g}" width="{_BAR * share:.1f}" height="4" fill="{_ACCENT}"/>',
        _text(_NAME, top + 56, _cut(where), _MUTED, size=11),
        "</g>",
        *_picture(book, code, top, ranges),
    ]
    return parts


def _cut(words: str) -> str:
    return words if len(words) <= _NAME_LETTERS else words[: _NAME_LETTERS - 1] + "…"


def _picture(book: Book, code: int, top: float, ranges: tuple[np.ndarray, np.ndarray]) -> list[str]:
    shown = book.excerpts[code].astype(np.float64)
    shown = shown[np.isfinite(shown).any(axis=1)]
    if not len(shown):
        return [_text(_PICTURE, top + 34, "not seen", _MUTED)]
    width, height = _WIDTH - _PICTURE - _RIGHT - 48, _ROW - 12
    x = _PICTURE + width * (np.arange(len(shown)) + 0.5) / len(shown)
    scaled = np.clip((shown - ranges[0]) / (ranges[1] - ranges[0]), -0.1, 1.1)
    y = top + 6 + height * (1.0 - scaled)
    parts = []
    for channel in range(min(_MOST_CHANNELS, shown.shape[1])):
        known = np.isfinite(y[:, channel])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[known], y[known, channel], strict=True))
        if known.sum() == 1:  # a line of one point is not seen
            at = points.split(",")
            parts.append(f'<circle cx="{at[0]}" cy="{at[1]}" r="2" fill="{_COLOURS[channel]}"/>')
        elif known.any():
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{_COLOURS[channel]}" stroke-width="1.2" '
                'stroke-linejoin="round"/>'
            )
    shown_for = _lasting(float(book.excerpt_seconds[code]))
    parts.append(_text(_WIDTH - _RIGHT, top + 34, shown_for, _MUTED, "end", size=11))
    return parts


def _text(
    x: float, y: float, words: str, colour: str, anchor: str = "start", weight: int = 400, size: int = 12
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}">{escape(escape_controls(words))}</text>'
    )
