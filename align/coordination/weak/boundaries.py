"""How far rounds are off where spans begin and end, learned where that is known, and taken from all.

What a note refers to begins for its writer where it begins, and in frames, which look around themselves, a little
earlier or later: a walk grows by some 0.3 s on either side. So the notes of sessions with true spans are placed as if
nobody had labelled these, and what the posteriors are off by, on average for texts whose frames look alike, is taken
from those of the other sessions.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from align.clock import span_iou
from align.coordination.weak.gaussians import count_frames, fit_gaussians
from align.coordination.weak.restarts import part_of
from align.coordination.weak.rounds import (
    LABELLED_WEIGHT,
    Belief,
    Regime,
    Scene,
    expected,
    frame_odds,
    gaussians_of,
)
from align.coordination.weak.sharp import narrow_window
from align.datatypes import Floats

__all__ = ["corrected", "moved", "usual_errors"]

_ALIKE_POWER = 4.0  # of the overlap of two texts' Gaussians: how much one's errors say of the other's
_PRIOR = 2.0  # notes without an error that every text starts from
_FOUND = 0.5  # intersection over union from which a note was placed rightly, so that its edges say something
_MOST_SESSIONS = 24  # that are placed, evenly picked
_ROUNDS = 3  # in which a known session's notes are placed, as those of the others were
_LEAST_LEFT = 0.5  # of a span's length


def corrected(scene: Scene, belief: Belief, regime: Regime) -> Belief:
    """The belief with every span's start and end moved by what those of its text are usually off.

    Args:
        scene: with ``known`` sessions; without any, or where none of their notes is found, nothing moves.
        belief: after the last round.
        regime: of the rounds.
    """
    if scene.known is None:
        return belief
    texts, errors = _known_errors(scene, scene.known, belief, regime)
    alike = gaussians_of(scene, belief, regime.tied).overlap()[:-1, :-1]
    usual = usual_errors(alike**_ALIKE_POWER, texts, errors)
    hop = scene.views[0].hop
    soft, moments, done = [], belief.moments.copy(), 0
    for (example, _), view, own in zip(scene.weak, scene.views, belief.soft, strict=True):
        rows = slice(done, done + len(example.notes))
        before = _spans(belief.moments[rows])
        after = _shortened_at_most(before, before - usual[example.notes])
        in_cells = (np.stack([before, after]) / hop) - view.first
        cover = np.column_stack([moved(c, a, b) for c, a, b in zip(own.T[:-1], *in_cells, strict=True)])
        rest = np.clip(1.0 - cover.sum(axis=1, keepdims=True), 0.0, 1.0)
        both = np.column_stack([cover, rest])
        soft.append(both / both.sum(axis=1, keepdims=True) * view.observed[:, None])
        moments[rows, 0] = after.mean(axis=1)
        moments[rows, 2] = np.log(after[:, 1] - after[:, 0])
        done = rows.stop
    return dataclasses.replace(belief, soft=tuple(soft), moments=moments)


def _known_errors(
    scene: Scene, known: Scene, belief: Belief, regime: Regime
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Text, and seconds that start and end are off by, of every known note that is found where it is: each session is
    placed by what the weak ones and the other known ones say."""
    texts, errors, shape = [], [], scene.sure.first.shape
    weak = count_frames(scene.frames, belief.soft, [e.notes for e, _ in scene.weak], shape)
    every = math.ceil(len(known.weak) / _MOST_SESSIONS)
    for i in range(0, len(known.weak), every):
        one = part_of(known, [i])
        example = one.weak[0][0]
        sure = [one.views[0].pooled(np.asarray(example.soft, np.float64))]
        own = count_frames(one.frames, sure, [example.notes], shape)
        rest = weak.plus(scene.sure.plus(own, -1.0), LABELLED_WEIGHT)
        seen = rest
        for _ in range(_ROUNDS):
            gaussians = fit_gaussians(seen, scene.kin, regime.tied)
            placed = expected(one, belief, frame_odds(one, gaussians, regime.last_looks))
            seen = rest.plus(count_frames(one.frames, placed.soft, [example.notes], shape), 1.0)
        spans = _spans(placed.moments)
        truth = (example.table.first + example.spans) * example.table.hop
        is_found = span_iou(spans, truth) >= _FOUND
        texts.append(example.notes[is_found])
        blurred = 0.5 * narrow_window(example.table.hop)  # no frame looks further: more is another place
        errors.append(np.clip(spans - truth, -blurred, blurred)[is_found])
    return np.concatenate(texts), np.concatenate(errors)


def usual_errors(alike: Floats, texts: npt.NDArray[np.int64], errors: Floats) -> Floats:
    """(n_texts, 2) what start and end of each text are off by: the weighted mean of the errors and two without any.

    Args:
        alike: (n_texts, n_texts) in [0, 1]: how much one text's errors count for another.
        texts: (n,) of the notes whose errors are known.
        errors: (n, 2) of their starts and ends, s.
    """
    weights = alike[:, texts]
    return np.asarray((weights @ errors) / (weights.sum(axis=1, keepdims=True) + _PRIOR))


def moved(cover: Floats, before: Floats, after: Floats) -> Floats:
    """How much a note covers each cell, as if its span ran from ``after[0]`` to ``after[1]``, with edges as blurred.

    Args:
        cover: (n_cells,) in [0, 1].
        before: start and end of its span, in cells.
        after: where they are to be; start < end.
    """
    centres = np.arange(len(cover)) + 0.5
    known = np.array([after[0] - 1.0, *after, after[1] + 1.0])
    came = np.array([before[0] - 1.0, *before, before[1] + 1.0])
    source = np.interp(centres, known, came)
    source += np.minimum(centres - known[0], 0.0) + np.maximum(centres - known[-1], 0.0)
    return np.interp(source, centres, cover, left=0.0, right=0.0)


def _spans(moments: Floats) -> Floats:
    """(n, 2) seconds, from middle and log duration."""
    return np.asarray(moments[:, :1] + 0.5 * np.exp(moments[:, 2:3]) * np.array([-1.0, 1.0]))


def _shortened_at_most(before: Floats, after: Floats) -> Floats:
    """(n, 2) the spans ``after``, or where that leaves less than half of one, its share of the way there."""
    length, left = before[:, 1] - before[:, 0], after[:, 1] - after[:, 0]
    lost = np.maximum(length - left, 1e-12)
    share = np.minimum(1.0, (1.0 - _LEAST_LEFT) * length / lost)
    return np.asarray(before + share[:, None] * (after - before))
