"""Segments -> states: stretches of one stream that look alike share a label.

How it works. Every segment is sampled by windows at three lengths. A classifier learns, from four fifths of each
segment, which segment a window is from, and says so for the other fifth. Segments whose held-out windows it
cannot tell apart are merged, the worst pair first; of all numbers of states on that way the one is kept at which
the held-out answers agree with the labels most, beyond what chance would give.

Windows are described in ``window_features``, so that level, spread, rhythm and shape all count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError
from align.segmentation.window_features import Look, Windows, fitted_look, place_windows, seen

__all__ = ["label_states"]

Ints = npt.NDArray[np.int64]

_PARTS = (8, 12, 20)  # windows per median segment at each scale
_FOLDS = 5  # contiguous parts of each segment, each held out once
_MOST_WINDOWS = 1500  # per scale, over all segments
_MOST_SEGMENTS = 200  # that are compared with one another; the others join the states of these
_MOST_CELLS = 2**16  # of one window
_RIDGE = 0.1
_TIE = 1e-9  # difference of agreement that is rounding
_MARGIN = 1.0  # standard errors by which agreement must exceed chance before there are two states


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What one scale says: held-out ``score`` (n_windows, n_segments), and whose windows they are."""

    score: Floats
    weight: Floats
    segment: Ints


def label_states(
    stream: Stream, segmentation: Segmentation, *, n_states: int | None = None, seed: int = 0
) -> Ints:
    """Give segments that look alike the same label.

    Let C be the table of shares of window weight with label i (row) that the held-out classifier calls j, for
    segments merged into states. Starting from every segment as a state of its own, the two states are merged
    whose windows are told apart least (mean over both of the share with the higher score for their own), until
    one is left. The number of states is the one at which ``sum_i C_ii - sum_i (row sum_i)(column sum_i)`` is
    largest, the fewer where two are equal; one where that is within a standard error of 0. Windows of a segment
    weigh together as the root of their number. Nothing is fitted across a gap: windows lie within segments.

    Args:
        stream: what was cut; any rate, channels and runs. A missing cell counts as its window's mean.
        segmentation: of this stream.
        n_states: wanted number of states, 1 to the number of segments; None chooses.
        seed: of the random filters that describe windows.

    Returns:
        (n_segments,) i8 labels, 0, 1, ... in order of first appearance. Deterministic. Of more than 200 segments
        the 200 longest decide on the states, and each other one joins the state its windows look most like.

    Raises:
        ParameterError: a segmentation of another stream, or an ``n_states`` out of range.
        InputError: E-NONFINITE, an infinite value.

    Reference: Ermshaus, Schaefer and Leser 2025, CLaP - state detection from time series (merging by the
    confusion of a self-supervised classifier). Departures: contiguous folds, so that neighbours in time are
    never on both sides; kernel ridge regression, whose scores of merged segments add up, so that nothing is
    fitted again; agreement beyond chance (the numerator of Cohen's kappa) in place of the gain in macro F1.

    Change points are taken on trust: noise that was cut for no reason comes out as several states about every
    other time (a margin of two standard errors would halve that and merge weak states).

    Cost: at most 1,500 windows of at most 65,536 values per scale, whatever the length of the stream. Windows are
    an eighth to a twentieth of the median segment long: what differs only over a longer time is not seen.

    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> values = np.tile(np.repeat([0.0, 5.0], 100), 2) + noise
    >>> stream = Stream(values, rate=1.0)
    >>> label_states(stream, Segmentation.of(stream, [100, 200, 300])).tolist()
    [0, 1, 0, 1]
    """
    edges = segmentation.boundaries
    known = np.isin(stream.run_index, edges).all()
    if not known or edges[0] != 0 or edges[-1] != stream.n_samples:
        got = f"boundaries from {edges[0]} to {edges[-1]}"
        raise ParameterError("segmentation", got, f"one of this stream of {stream.n_samples} samples")
    n_segments = segmentation.n_segments
    if n_states is not None and not 1 <= n_states <= n_segments:
        raise ParameterError("n_states", n_states, f"1 to {n_segments}, the number of segments")
    compared = np.sort(np.argsort(-np.diff(edges), kind="stable")[:_MOST_SEGMENTS])
    scales = [_Scale.of(stream, edges, compared, parts, seed) for parts in _PARTS]
    wanted = None if n_states is None else min(n_states, compared.size)
    state = _merged([scale.view() for scale in scales], wanted)
    labels = np.full(n_segments, -1, np.int64)
    labels[compared] = state
    others = np.setdiff1d(np.arange(n_segments), compared)
    for some in np.array_split(others, max(1, -(-others.size // _MOST_SEGMENTS))):
        if some.size:
            labels[some] = _joined(scales, state, stream, edges, some)
    return _by_appearance(labels)


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """The windows of the compared segments at one length, as they look."""

    look: Look
    windows: Windows
    features: Floats
    weight: Floats
    n_segments: int

    @classmethod
    def of(cls, stream: Stream, edges: Ints, compared: Ints, parts: int, seed: int) -> _Scale:
        length = int(min(np.median(np.diff(edges)[compared]) / parts, _MOST_CELLS / stream.n_channels))
        most = max(_FOLDS, _MOST_WINDOWS // compared.size)
        windows = place_windows(edges[compared], edges[compared + 1], length, (_FOLDS, most))
        look, features = fitted_look(stream, windows, np.random.default_rng([seed, parts]))
        weight = np.bincount(windows.segment)[windows.segment] ** -0.5
        return cls(look, windows, features, weight / weight.mean(), compared.size)

    def view(self) -> _View:
        """Which segment each window is from, said by a classifier that has not seen that part of it."""
        segment = self.windows.segment
        fold = _folds(segment)
        kernel = _similar(self.features, self.features, self.width)
        score = np.zeros((segment.size, self.n_segments))
        for k in np.unique(fold):
            known, asked = fold != k, fold == k
            if known.any():
                score[asked] = kernel[np.ix_(asked, known)] @ self._fitted(
                    kernel[np.ix_(known, known)], known
                )
        return _View(score + self.prior, self.weight, segment)

    def scores_of(self, features: Floats) -> Floats:
        """(n, n_segments) scores of other windows, all compared windows being known."""
        known = np.ones(self.weight.size, np.bool_)
        rows = self._fitted(_similar(self.features, self.features, self.width), known)
        return np.asarray(_similar(features, self.features, self.width) @ rows + self.prior)

    def _fitted(self, kernel: Floats, known: npt.NDArray[np.bool_]) -> Floats:
        """Weighted kernel ridge regression of "is from segment s", less its prior, for all s at once."""
        target = np.eye(self.n_segments)[self.windows.segment[known]] - self.prior
        return np.asarray(np.linalg.solve(kernel + np.diag(_RIDGE / self.weight[known]), target))

    @property
    def prior(self) -> Floats:
        share = np.bincount(self.windows.segment, self.weight, self.n_segments)
        return np.asarray(share / share.sum())

    @property
    def width(self) -> float:
        """Median squared distance of two windows that differ."""
        apart = _distances(self.features, self.features)
        apart = apart[apart > 1e-9]
        return float(np.median(apart)) if apart.size else 1.0


def _folds(segment: Ints) -> Ints:
    """Contiguous fifths of each segment's windows; ``segment`` ascends."""
    count = np.bincount(segment)
    rank = np.arange(segment.size) - (np.cumsum(count) - count)[segment]
    return rank * _FOLDS // count[segment]


def _distances(a: Floats, b: Floats) -> Floats:
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def _similar(a: Floats, b: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-_distances(a, b) / width))


def _merged(views: list[_View], n_states: int | None) -> Ints:
    """(n_segments,) state of each segment; states in any order."""
    score = [view.score for view in views]
    state = np.arange(score[0].shape[1])
    best, best_gain, noise = state, -np.inf, 0.0
    while True:
        n_left = score[0].shape[1]
        truth = [state[view.segment] for view in views]
        if n_left == n_states:
            return state
        if n_left == 1:
            return best if best_gain > _MARGIN * noise else state
        gain, chance_error = _agreement(views, score, truth)
        if gain >= best_gain - _TIE:
            best, best_gain, noise = state, gain, chance_error
        told = sum(_told_apart(s, t, v.weight) for s, t, v in zip(score, truth, views, strict=True))
        first, second = np.sort(np.unravel_index(int(np.argmin(told)), (n_left, n_left)))
        # regression is linear in what it is fitted to: the score of a merged state is the sum of the two
        joined = [s[:, first] + s[:, second] for s in score]
        score = [np.delete(s, second, axis=1) for s in score]
        for s, column in zip(score, joined, strict=True):
            s[:, first] = column
        state = np.where(state == second, first, state - (state > second))


def _agreement(views: list[_View], score: list[Floats], truth: list[Ints]) -> tuple[float, float]:
    """Agreement of the held-out answers beyond chance, and the standard error of what chance gives."""
    n_left = score[0].shape[1]
    table = np.zeros((n_left, n_left))
    n_windows = 0.0
    for view, s, t in zip(views, score, truth, strict=True):
        np.add.at(table, (t, s.argmax(axis=1)), view.weight / view.weight.sum() / len(views))
        n_windows += float(view.weight.sum() ** 2 / (view.weight**2).sum()) / len(views)
    chance = float(table.sum(axis=0) @ table.sum(axis=1))
    return float(np.trace(table)) - chance, float(np.sqrt(max(0.0, chance * (1 - chance)) / n_windows))


def _told_apart(score: Floats, truth: Ints, weight: Floats) -> Floats:
    """(k, k) mean over both states of the share of their windows with the higher score for their own."""
    n_left = score.shape[1]
    own = score[np.arange(truth.size), truth][:, None]
    wins = (own > score) + 0.5 * (own == score)
    member = np.zeros((truth.size, n_left))
    member[np.arange(truth.size), truth] = weight
    share = member.T @ wins / member.sum(axis=0)[:, None]
    both = (share + share.T) / 2
    np.fill_diagonal(both, np.inf)
    return np.asarray(both)


def _joined(scales: list[_Scale], state: Ints, stream: Stream, edges: Ints, some: Ints) -> Ints:
    """The states that other segments look most like: largest mean score over scales and windows."""
    total = np.zeros((some.size, int(state.max()) + 1))
    for scale in scales:
        windows = place_windows(edges[some], edges[some + 1], scale.windows.longest, (1, _FOLDS))
        score = scale.scores_of(seen(scale.look, stream, windows))
        per_state = score @ np.eye(total.shape[1])[state]
        count = np.bincount(windows.segment)[windows.segment, None]
        np.add.at(total, windows.segment, per_state / count)
    return total.argmax(axis=1)


def _by_appearance(labels: Ints) -> Ints:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse]
