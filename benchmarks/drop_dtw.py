"""Drop-DTW, a comparison: dynamic time warping in which elements of both sequences may be dropped at a price.

Written from the paper (Dvornik, Hadji, Derpanis, Garg & Jepson, Drop-DTW: Aligning common signal between sequences
while dropping outliers, NeurIPS 2021, section 3 and the variant of its appendix that drops from both sides). Its
authors announce a patent application, so it stays here and is no part of the product.

For costs ``C[i, j]`` of matching, ``x[i]`` and ``z[j]`` of dropping, it is the least sum over all choices of kept
rows and columns of the warping cost of what is kept and the price of what is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from align.answers import Alignment, Evidence, Link
from align.datatypes import Note
from align.matching.placeable import split_notes
from align.warping.baseline import Pieces, checked_spans, cut_at_gaps, place_pieces

__all__ = ["drop_dtw", "drop_dtw_evidence"]

Array = np.ndarray[Any, Any]
PERCENTILE = 0.3  # of all costs of matching: the paper's price of dropping
BOTH, ROW, COLUMN, NONE = range(4)  # which of row i and column j are kept in the state at (i, j)


@njit(cache=True)
def _tables(cost: Array, row_price: Array, column_price: Array) -> Array:
    """(4, n + 1, m + 1) least totals of the first i rows and j columns, by what is kept of the last two."""
    n, m = cost.shape
    total = np.full((4, n + 1, m + 1), np.inf)
    total[NONE, 0, 0] = 0.0
    for i in range(n + 1):
        for j in range(m + 1):
            if i and j:
                least = min(total[BOTH, i, j - 1], total[ROW, i, j - 1])  # row i goes on
                least = min(least, total[BOTH, i - 1, j], total[COLUMN, i - 1, j])  # column j goes on
                for state in range(4):
                    least = min(least, total[state, i - 1, j - 1])
                total[BOTH, i, j] = cost[i - 1, j - 1] + least
            if i:
                price = row_price[i - 1]
                total[COLUMN, i, j] = price + min(total[BOTH, i - 1, j], total[COLUMN, i - 1, j])
                total[NONE, i, j] = min(
                    total[NONE, i, j], price + min(total[ROW, i - 1, j], total[NONE, i - 1, j])
                )
            if j:
                price = column_price[j - 1]
                total[ROW, i, j] = price + min(total[BOTH, i, j - 1], total[ROW, i, j - 1])
                total[NONE, i, j] = min(
                    total[NONE, i, j], price + min(total[COLUMN, i, j - 1], total[NONE, i, j - 1])
                )
    return total


def drop_dtw(cost: Array, row_price: Array, column_price: Array) -> tuple[Array, float]:
    """The matched pairs (k, 2) in order, and the total.

    Args:
        cost: (n, m) of matching, n and m at least 1.
        row_price: (n,) of dropping a row.
        column_price: (m,) of dropping a column.
    """
    total = _tables(cost, row_price, column_price)
    i, j = cost.shape
    state = int(np.argmin(total[:, i, j]))
    reached = float(total[state, i, j])
    pairs: list[tuple[int, int]] = []
    while i or j:
        if state == BOTH:
            pairs.append((i - 1, j - 1))
        i, j, state = _before(total, (row_price, column_price), i, j, state)
    return np.array(pairs[::-1], np.int64).reshape(-1, 2), reached


def _before(total: Array, prices: tuple[Array, Array], i: int, j: int, state: int) -> tuple[int, int, int]:
    """The state from which the one at (i, j) was reached at least cost."""
    ways: list[tuple[float, tuple[int, int, int]]] = []

    def way(row: int, column: int, states: tuple[int, ...], price: float = 0.0) -> None:
        if row >= 0 and column >= 0:
            ways.extend((float(total[s, row, column]) + price, (row, column, s)) for s in states)

    row_price = float(prices[0][i - 1]) if i else np.inf
    column_price = float(prices[1][j - 1]) if j else np.inf
    if state == BOTH:
        way(i - 1, j - 1, (BOTH, ROW, COLUMN, NONE))
        way(i, j - 1, (BOTH, ROW))
        way(i - 1, j, (BOTH, COLUMN))
    elif state == COLUMN:
        way(i - 1, j, (BOTH, COLUMN), row_price)
    elif state == ROW:
        way(i, j - 1, (BOTH, ROW), column_price)
    else:
        way(i - 1, j, (ROW, NONE), row_price)
        way(i, j - 1, (COLUMN, NONE), column_price)
    return min(ways)[1]


def drop_dtw_evidence(evidence: Evidence, notes: tuple[Note, ...], segments: Any) -> Alignment:
    """Drop-DTW of segments against notes, on the evidence of the DTW baseline (``warp_evidence``).

    With p the softmax of a segment's mean log odds over the notes and "nothing" (0), a match costs -log p(note) times
    the segment's seconds, and a dropped segment -log p(nothing) times its seconds: the evidence says itself what
    fits nothing (the paper's percentile, one price for all, where there is no such). A dropped note costs the paper's
    percentile of the matches' costs per second, times a mean segment's seconds. It is "unmatched"; the probability
    of that is 1 less its largest p in any segment.
    """
    n_notes = evidence.log_odds.shape[1]
    start, end = evidence.first * evidence.hop, (evidence.first + len(evidence.observed)) * evidence.hop
    placeable, links = split_notes(notes, start, end)
    pieces = cut_at_gaps(checked_spans(segments), evidence)
    path = np.empty((0, 2), np.int64)
    if placeable and len(pieces.segment):
        odds, seconds = pieces.log_odds[:, placeable], np.diff(pieces.spans, axis=1)
        nothing = np.logaddexp(0.0, np.logaddexp.reduce(odds, axis=1, keepdims=True))
        cost = nothing - odds
        price = float(np.quantile(cost, PERCENTILE) * seconds.mean())
        path, _total = drop_dtw(cost * seconds, nothing[:, 0] * seconds[:, 0], np.full(len(placeable), price))
        links.update(_links(pieces, placeable, path, evidence.streams))
    for index in placeable:
        links.setdefault(index, Link("unmatched", None, 0.0))
    return Alignment(notes, tuple(links[i] for i in range(n_notes)), "drop-dtw", path=path)


def _links(pieces: Pieces, placeable: list[int], pairs: Array, streams: tuple[str, ...]) -> dict[int, Link]:
    """Kept notes with the union of their segments, dropped ones unmatched."""
    odds = np.column_stack([pieces.log_odds[:, placeable], np.zeros(len(pieces.segment))])
    share = np.exp(odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)).max(axis=0)
    links = {
        index: Link("unmatched", None, float(1.0 - share[position]), streams=streams)
        for position, index in enumerate(placeable)
    }
    if len(pairs):
        kept, positions = np.unique(pairs[:, 1], return_inverse=True)
        steps = np.column_stack([pairs[:, 0], positions])
        links |= place_pieces(pieces, [placeable[k] for k in kept], steps, streams)
    return links
