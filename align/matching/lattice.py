"""Evidence and notes -> the arrays that the decoder (``programme.py``) reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Floats, Note
from align.matching.author_clocks import AuthorClock
from align.matching.duration_prior import LARGEST, NEVER, log_durations, log_places, thin_durations
from align.matching.meanings import Meant, by_column, meant_of
from align.matching.time_prior import time_windows

__all__ = ["Lattice", "build_lattice", "repriced"]

Indices = npt.NDArray[np.int64]
P_EDGE = (
    0.05  # share of the spans' edges that are expected on a change point; more misled where some are missed
)
_NEAR = 1  # frames from a change point that still count as on it
_HARDLY_DEARER = 0.05  # nats


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """What the decoder reads, one row per note; edges 0..n lie between the n frames.

    ``odds`` f4 (all notes, n_frames) log odds, 0 without data, and ``columns`` (n_notes,) which of its rows are meant;
    ``observed`` (n_frames,). ``durations`` (n_notes, longest + 1) log probability of each duration in frames, less the
    log width of the places that a note has; NEVER: barred. ``priors`` (n_notes, 5) as ``time_windows`` gives them;
    ``skip`` (n_notes,) log odds of leaving a note out; ``loose`` (n_notes,) what its time costs, placed or not, being
    looser than its place in the order; ``share`` (n_notes,) log odds that a note shares its span with
    the next row's, NEVER: cannot; ``gain`` (n + 1,) log weight of a span's edge at each edge. ``places`` (n_notes, 3):
    frames that each note usually lasts, log width of the places that its time allows (inf untimed) and that it pays.

    ``windows`` (n_notes, 4) int64: earliest and latest start, earliest and latest end, inclusive: where all spans
    are summed edge by edge. Outside them nothing is allowed where ``stride`` is 0; where it is g, every g-th
    edge stands for those around it. ``meanings``: what notes may mean besides what their words say, if
    anything. ``first``: edge 0 is that edge of the evidence's grid.
    """

    odds: npt.NDArray[np.float32]
    columns: Indices
    observed: npt.NDArray[np.bool_]
    durations: Floats
    priors: Floats
    skip: Floats
    loose: Floats
    share: Floats
    gain: Floats
    places: Floats
    windows: Indices
    stride: Indices
    meanings: Meant | None = None
    first: int = 0

    @property
    def n_frames(self) -> int:
        return len(self.observed)

    @property
    def stretches(self) -> Indices:
        """(n, 2) first and last edge of every unbroken stretch of data."""
        step = np.diff(np.concatenate([[False], self.observed, [False]]).astype(np.int8))
        return np.column_stack([np.flatnonzero(step == 1), np.flatnonzero(step == -1)]).astype(np.int64)

    def n_meanings(self, i: int) -> int:
        """How many things note i may mean, what its words say included."""
        return 1 if self.meanings is None else 1 + self.meanings.number(i)

    def prefixes(self, which: slice) -> Floats:
        """(rows, n + 1) prefix sums of the log odds of some rows."""
        columns = self.columns[which]
        out = np.zeros((len(columns), self.n_frames + 1))
        for row, column in zip(out, columns, strict=True):
            np.cumsum(self.odds[column], dtype=np.float64, out=row[1:])
        return out

    def rows(self, which: Sequence[int]) -> Lattice:
        """The same for some notes, in the given order; only rows that were neighbours may share a span."""
        index = np.asarray(which, np.int64)
        follows = np.zeros(len(index), np.bool_)
        follows[:-1] = np.diff(index) == 1
        return dataclasses.replace(
            self,
            columns=self.columns[index],
            durations=self.durations[index],
            priors=self.priors[index],
            skip=self.skip[index],
            loose=self.loose[index],
            places=self.places[index],
            share=np.where(follows, self.share[index], NEVER),
            windows=self.windows[index],
            stride=self.stride[index],
            meanings=self.meanings and self.meanings.rows(index),
        )

    def thinned(self, g: int) -> Lattice:
        """The same on every g-th edge, each standing for those around it; a frame is g frames, some with data."""
        n = self.n_frames // g
        whole = slice(0, n * g)
        sums = self.odds[:, whole].reshape(len(self.odds), n, g).sum(axis=2)
        near = np.logaddexp.reduceat(self.gain, np.maximum(0, np.arange(n + 1) * g - g // 2))
        return dataclasses.replace(
            self,
            odds=sums,
            observed=np.asarray(self.observed[whole].reshape(n, g).any(axis=1), np.bool_),
            durations=np.stack([thin_durations(row, g) for row in self.durations]),
            priors=self.priors / np.asarray([g, g, g, 1.0, 1.0]),
            gain=near - np.log(g),
            places=self.places / np.asarray([g, 1.0, 1.0]),
            windows=np.tile(np.asarray([0, n, 0, n], np.int64), (len(self.skip), 1)),
            stride=self.stride // g,
            meanings=self.meanings and self.meanings.thinned(g),
        )

    def frames(self, first: int, last: int) -> Lattice:
        """The same for the frames from edge ``first`` to edge ``last`` alone."""
        longest = max(1, min(self.durations.shape[1] - 1, last - first))
        priors = self.priors.copy()
        priors[:, 0] -= first
        return dataclasses.replace(
            self,
            odds=self.odds[:, first:last],
            observed=self.observed[first:last],
            durations=np.ascontiguousarray(self.durations[:, : longest + 1]),
            priors=priors,
            gain=self.gain[first : last + 1],
            windows=np.clip(self.windows - first, 0, last - first),
            meanings=self.meanings and self.meanings.frames(first, last),
            first=self.first + first,
        )


def build_lattice(
    evidence: Evidence,
    notes: Sequence[Note],
    p_nothing: float | None = None,
    *,
    clocks: Mapping[str, AuthorClock] | None = None,
) -> Lattice:
    """Duration and time priors, the price of leaving a note out and what a span's edges weigh.

    A placed note pays the log probability of its duration (log-normal, per text) and of its place: one of those that
    the order leaves it (``log_places``) when untimed, the height of its time window when timed and that is higher. A
    time that is looser than the place in the order is so whether its note is placed or not. A skipped one pays
    ``log(p_nothing / (1 - p_nothing))``. Every span may be anywhere: ``planned`` thins that out where it is much.

    Args:
        evidence: one column per note.
        notes: one per column, in the order in which they are placed.
        p_nothing: prior probability of "refers to nothing here", in (0, 1); default: the evidence's.
        clocks: how each author's times lie, as for ``time_windows``.
    """
    nothing = evidence.nothing if p_nothing is None else p_nothing
    n_frames, n_notes = evidence.log_odds.shape
    priors = time_windows(notes, evidence) if clocks is None else time_windows(notes, evidence, clocks)
    timed = priors[:, 2] > 0
    usual = np.exp(np.minimum(LARGEST, evidence.durations[:, 0])) / evidence.hop
    window = np.sqrt(2 * np.pi) * priors[:, 2] + 2 * priors[:, 1] + priors[:, 4] * usual
    widest = np.where(timed, np.log(np.maximum(window, 1.0)), np.inf)
    # the price of a place goes with the duration, which every placement pays once
    price = np.minimum(widest, log_places(usual, int(evidence.observed.sum())))
    durations = log_durations(evidence.durations, evidence.hop, n_frames, evidence.tails) - price[:, None]
    durations[durations < 0.5 * NEVER] = NEVER
    return Lattice(
        odds=by_column(evidence.log_odds, evidence.observed),
        columns=np.arange(n_notes),
        observed=evidence.observed,
        durations=durations,
        priors=priors,
        skip=np.full(n_notes, np.log(nothing / (1.0 - nothing))),
        loose=np.where(timed, widest - price, 0.0),
        share=np.full(n_notes, NEVER),
        gain=_edge_gain(evidence),
        places=np.column_stack([usual, widest, price]),
        windows=np.tile(np.asarray([0, n_frames, 0, n_frames], np.int64), (n_notes, 1)),
        stride=np.zeros(n_notes, np.int64),
        meanings=meant_of(evidence, price),
    )


def repriced(lattice: Lattice, is_placed: Floats) -> Lattice:
    """The same, each place at the price that it has where only these notes are placed, and within these frames.

    Notes that are about nothing here take no time from the others. A dearer place is as good as a cheaper "nothing":
    the difference goes to ``skip``. The lattice itself, where hardly anything would change.

    Args:
        lattice: frames that are not thinned.
        is_placed: (n_notes,) probability that each note has a place.
    """
    usual, widest, paid = lattice.places.T
    price = np.minimum(widest, log_places(usual, int(lattice.observed.sum()), is_placed))
    if np.abs(price - paid).max(initial=0.0) < _HARDLY_DEARER:
        return lattice
    places = np.column_stack([usual, widest, price])
    return dataclasses.replace(lattice, skip=lattice.skip + price - paid, places=places)


def _edge_gain(evidence: Evidence) -> Floats:
    """(n + 1,) log of how much likelier an edge is here than anywhere: change points take a share of all edges.

    ``log((1 - q) + q e(t) / mean(e))`` with q = ``P_EDGE`` and e(t) = 1 within a frame of a change point, else 0. Where
    the evidence brings its own gain, that.
    """
    if evidence.gain.size:
        return evidence.gain
    n = len(evidence.observed)
    on = np.zeros(n + 1)
    for off in range(-_NEAR, _NEAR + 1):
        at = np.asarray(evidence.edges, np.int64) + off
        on[at[(at >= 0) & (at <= n)]] = 1.0
    if not on.any():
        return np.zeros(n + 1)
    return np.log((1.0 - P_EDGE) + P_EDGE * on / on.mean())
