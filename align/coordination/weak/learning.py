"""Learning from notes without spans: where could each note lie, and what do texts look like there, in turn.

1. Frames of narrow windows (``sharp.py``) are whitened and pooled to about 40 a note. A text is a Gaussian that
   borrows from near texts (``gaussians.py``); how long it lasts is log-normal and borrows likewise.
2. Expectation-maximisation (``rounds.py``) holds the share of the time of which no note speaks. That share is
   given, or that of five or more sessions whose spans are known, or found: the one that leaves least open of how
   long notes of a text last and of what the frames are, between those that are tried. With too small a share spans
   swallow what lies between them, with too large a one notes find no room.
3. Captions say in general what a text may look like (``hints.py``): they count in the first round, and from round to
   round less. Where they have no words for the notes, and there are neither times nor a labelled session, much
   depends on where one starts: several starts, the best kept (``restarts.py``).
4. A last round on a grid twice as fine says where spans begin and end; what labelled sessions show it to be off is
   taken from that (``boundaries.py``).
5. What the network learns are the last posteriors, as soft targets; texts that look alike by then mean the
   same (not from order alone without captions: there texts that trade places look alike, too).

Sessions whose spans are known start it and keep counting. Notes of all kinds may be mixed: exact, noisy or vague
times, or none.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from align.coordination.inputs.coarse import CoarseView
from align.coordination.inputs.examples import NOTHING, UNKNOWN, Example, Vocabulary
from align.coordination.saved.bundle import Coordination
from align.coordination.trust.durations import fit_durations
from align.coordination.weak.boundaries import corrected
from align.coordination.weak.gaussians import count_frames, kinship, whitened
from align.coordination.weak.restarts import best_of_starts, part_of
from align.coordination.weak.rounds import (
    LEAST_TIMES,
    START_SD,
    Belief,
    Regime,
    Scene,
    Weak,
    annealed,
    exact_times,
    gaussians_of,
    lengths,
)
from align.datatypes import Floats, Note
from align.errors import InputError

__all__ = ["learn_weakly", "lowest_of_three"]

_SHARES = (0.03, 0.06, *np.arange(0.1, 0.71, 0.05).round(2).tolist())  # of "nothing"
_FIRST_SHARE, _STRIDES = 6, (2, 1)  # tried from 0.3 on, every second one first
_DIMENSIONS = 20
_CELLS_A_NOTE, _FINE_CELLS = 40.0, 80.0
_ROUGH_CELLS, _ROUGH_SESSIONS = 20.0, 12  # where shares are tried
_MOST_SESSIONS = 40  # on which the best and its neighbours are compared
_ENOUGH_LABELLED = 5  # sessions that say how much time goes to no note; one may lie a fifth off
_ALIKE_LENGTHS = 0.01  # deviation of a log duration below which nothing is gained
_ALIKE = 0.75  # overlap of two texts' Gaussians from which they mean the same
_COLLAPSED, _LEAST_PLACED = (
    0.97,
    0.3,
)  # share of "nothing", mean probability of being placed: nothing was learned
_FAR_OFF = 0.15  # between the share of "nothing" that was to be held and that found
# without times the order alone is a weak hold: start where the frames already count, with few free parameters
_TIMED, _ORDERED, _STARTED = Regime(0.3, 9.5, 0.5), Regime(1.9, 7.6, 0.9), Regime(2.0, 8.0, 0.5)
_HINTED = Regime(2.0, 8.0, 0.5, hint=1.0)
_STILL_PLACED = 0.9  # of the notes, after the round on the finer grid
_TELLING = 1.0  # nats that a span of usual length gains in a fitting place, from which captions are a start


Progress = Callable[[str, int, int], None]


def learn_weakly(
    labelled: Sequence[Example],
    weak: Weak,
    vocabulary: Vocabulary,
    model: Coordination,
    progress: Progress | None = None,
) -> tuple[list[Example], Vocabulary, Coordination]:
    """Soft targets for sessions whose spans are unknown.

    Args:
        labelled: examples with spans; may be empty.
        weak: examples without spans and their notes, in order, timed or not; at least one with notes.
        vocabulary: the training texts.
        model: its plan gives ``rounds`` and ``nothing_share``; with the durations of the labelled spans if there
            are any.
        progress: called as ``progress(stage, done, total)`` after each round.

    Returns:
        All examples to train on, with soft targets; the vocabulary, in which texts that turned out to look alike
        mean the same; the model with the durations and the lag of note times that the posteriors show.

    Raises:
        InputError: E-WEAK-COLLAPSE, the posteriors place hardly any note.

    Warns:
        UserWarning: W-WEAK-SHARE, the share of "nothing" that was to be held was not reached.
    """
    tell = progress or _silent
    known = [_certain(e) for e in labelled]
    share, rounds = model.plan.nothing_share, model.plan.rounds
    scene = _scene(known, weak, vocabulary, _CELLS_A_NOTE)
    regime = _regime(known, scene)
    if share is None and labelled and (regime is _STARTED or len(labelled) >= _ENOUGH_LABELLED):
        share = _nothing_share(labelled)
    if share is None:
        share = _most_settled(_rough(weak, vocabulary), _some(scene, _MOST_SESSIONS), regime, rounds, tell)
    start = _start(scene, share, model.durations.of(vocabulary.vectors) if known else None)
    if regime is _ORDERED:
        belief = best_of_starts(scene, start, regime, rounds, model.plan.seed, tell)
    else:
        belief = annealed(scene, start, regime, rounds, lambda *at: tell("placing notes", *at))
    scene, belief = _refined(scene, belief, _scene(known, weak, vocabulary, _FINE_CELLS), regime)
    _check(belief)
    belief = corrected(scene, belief, regime)
    texts, log, weight = lengths(scene, belief)
    model = model.with_durations(fit_durations(vocabulary.vectors[texts], np.exp(log), weight))
    if len(exact_times(weak)[0]) >= LEAST_TIMES:
        model = model.with_times(belief.lag, belief.lag_sd, reach=1.0)
    if regime is not _ORDERED:  # there texts that trade places look alike, too
        overlap = gaussians_of(scene, belief, regime.tied).overlap()[:-1, :-1]
        vocabulary = dataclasses.replace(vocabulary, same=vocabulary.same | (overlap >= _ALIKE))
    return [*known, *_targets(scene, belief)], vocabulary, model


def _refined(scene: Scene, belief: Belief, fine: Scene, regime: Regime) -> tuple[Scene, Belief]:
    """One more round on a finer grid, if there is one; not taken where it loses sight of notes."""
    if fine.views[0].hop == scene.views[0].hop:
        return scene, belief
    last = Regime(regime.last_looks, regime.last_looks, regime.tied)
    seen = gaussians_of(scene, belief, regime.tied)
    refined = annealed(fine, dataclasses.replace(belief, soft=()), last, 1, gaussians=seen)
    return (fine, refined) if refined.placed >= _STILL_PLACED * belief.placed else (scene, belief)


def _check(belief: Belief) -> None:
    """Say so when the posteriors say nothing, or not what was asked for."""
    if belief.nothing >= _COLLAPSED or belief.placed < _LEAST_PLACED:
        raise InputError(
            "E-WEAK-COLLAPSE",
            f"learning without spans came to nothing: {belief.nothing:.0%} of the time is left to no note, and a"
            f" note is placed with probability {belief.placed:.2f}",
            hint="label one session with true spans, give times, or set training.nothing_share",
        )
    if abs(belief.nothing - belief.share) > _FAR_OFF:
        warnings.warn(
            f"W-WEAK-SHARE: {belief.share:.0%} of the time was to be left to no note, and {belief.nothing:.0%} is;"
            " check training.nothing_share, or label one session",
            UserWarning,
            stacklevel=3,
        )


def _most_settled(rough: Scene, scene: Scene, regime: Regime, rounds: int, tell: Progress) -> float:
    """The share of "nothing" under which the rounds leave least open.

    On the rough scene from share to neighbouring share; then between that one's neighbours, where a parabola through
    what the three leave open on the scene itself is lowest.
    """

    def left_open(scene: Scene, share: float) -> float:
        stage = f"trying {share:.0%} of nothing"
        found = annealed(scene, _start(scene, share, None), regime, rounds, lambda *at: tell(stage, *at))
        return _open_nats(scene, found, regime)

    @cache
    def roughly(k: int) -> float:
        return left_open(rough, _SHARES[k]) if 0 <= k < len(_SHARES) else np.inf

    best = _FIRST_SHARE
    for stride in _STRIDES:
        while roughly(better := min((best - stride, best + stride), key=roughly)) < roughly(best):
            best = better
    if not 0 < best < len(_SHARES) - 1:
        return _SHARES[best]
    near = _SHARES[best - 1 : best + 2]
    return lowest_of_three(near, [left_open(scene, share) for share in near])


def lowest_of_three(x: Sequence[float], y: Sequence[float]) -> float:
    """Where the parabola through three points is lowest between the first and the last.

    Args:
        x: ascending.
        y: a value at each.

    >>> round(lowest_of_three([0.0, 1.0, 3.0], [1.0, 0.0, 4.0]), 3)
    1.0
    """
    bent, slope, _ = np.polyfit(np.subtract(x, x[1]), y, 2)
    if bent <= 0.0:
        return x[int(np.argmin(y))]
    return float(np.clip(x[1] - 0.5 * slope / bent, x[0], x[2]))


def _open_nats(scene: Scene, belief: Belief, regime: Regime) -> float:
    """Entropy a note, up to a constant, of how long it lasts given its text, and of what its frames are.

    With too little of "nothing" some notes of a text take what lies between the others and last far longer; with too
    much, or too little, the frames at the edges go either way.
    """
    from scipy.special import xlogy

    texts, log, weight = lengths(scene, belief)
    off = log - belief.durations[texts, 0]
    spread = 0.5 * np.log(max(np.average(off**2, weights=weight), _ALIKE_LENGTHS**2))
    frames = [-xlogy(soft, soft).sum(axis=1)[soft.any(axis=1)] for soft in belief.soft]
    return float(spread + regime.last_looks * np.concatenate(frames).mean())


def _rough(weak: Weak, vocabulary: Vocabulary) -> Scene:
    """Some sessions on a coarser grid: enough to see under which share notes are placed surely."""
    return _some(_scene([], weak, vocabulary, _ROUGH_CELLS), _ROUGH_SESSIONS)


def _some(scene: Scene, most: int) -> Scene:
    n = len(scene.weak)
    return part_of(scene, np.linspace(0, n - 1, min(most, n)).round().astype(int).tolist())


def _start(scene: Scene, share: float, durations: Floats | None) -> Belief:
    """Every text as long as the notes' spacing leaves room for, unless durations are known."""
    if durations is None:
        durations = np.tile([np.log(scene.spacing * (1.0 - share)), START_SD], (len(scene.kin), 1))
    return Belief(durations, 0.0, scene.spacing, share)


def _scene(known: Sequence[Example], weak: Weak, vocabulary: Vocabulary, cells_a_note: float) -> Scene:
    frames_a_note = sum(len(e.inputs) for e, _ in weak) / sum(len(notes) for _, notes in weak)
    pool = max(1, round(frames_a_note / cells_a_note))
    examples = [*(e for e, _ in weak), *known]
    views = [CoarseView.of(e, pool) for e in examples]
    white = whitened([e.inputs if e.sharp is None else e.sharp for e in examples], _DIMENSIONS)
    frames = [view.pooled(x) for view, x in zip(views, white, strict=True)]
    n = len(weak)
    softs = [view.pooled(e.soft) for view, e in zip(views[n:], known, strict=True) if e.soft is not None]
    sure = count_frames(
        frames[n:], softs, [e.notes for e in known], (len(vocabulary.texts) + 1, frames[0].shape[1])
    )
    seconds = [(e.spans[:, 1] - e.spans[:, 0]) * e.table.hop for e in known]
    lasted = np.concatenate([np.zeros(0), *seconds])
    texts = np.concatenate([np.zeros(0, np.int64), *(e.notes for e in known)])
    usable = np.isfinite(lasted) & (lasted > 0)
    hints = [
        np.zeros((len(view.observed), len(e.notes))) if e.hint is None else pool * view.pooled(e.hint)
        for view, e in zip(views, examples, strict=True)
    ]
    scene = Scene(
        weak,
        tuple(views[:n]),
        tuple(frames[:n]),
        kinship(vocabulary.vectors),
        frames_a_note * weak[0][0].table.hop,
        sure,
        texts[usable],
        np.log(lasted[usable]),
        tuple(hints[:n]),
    )
    if not known:
        return scene
    untimed = [(e, [Note("labelled")] * len(e.notes)) for e in known]
    as_weak = dataclasses.replace(
        scene, weak=untimed, views=tuple(views[n:]), frames=tuple(frames[n:]), hints=tuple(hints[n:])
    )
    return dataclasses.replace(scene, known=as_weak)


def _regime(known: Sequence[Example], scene: Scene) -> Regime:
    if _told_by_captions(scene) >= _TELLING:
        return _HINTED
    timed = np.mean([note.time is not None for _, notes in scene.weak for note in notes])
    return _STARTED if known else _TIMED if timed >= 0.5 else _ORDERED


def _told_by_captions(scene: Scene) -> float:
    """Log odds that a span of usual length gains by one standard deviation of its note's hint, mean over notes."""
    spread = np.concatenate([said.std(axis=0) for said in scene.hints])
    return float(spread.mean()) * scene.spacing / scene.views[0].hop


def _targets(scene: Scene, belief: Belief) -> list[Example]:
    """The weak examples with their posteriors as soft targets, on the fine grid."""
    out = []
    for (example, _), view, soft in zip(scene.weak, scene.views, belief.soft, strict=True):
        fine = soft[view.cell] * example.table.observed[:, None]
        out.append(dataclasses.replace(example, soft=fine.astype(np.float32)))
    return out


def _certain(example: Example) -> Example:
    """A labelled example with its spans as soft targets: one loss for all."""
    soft = np.zeros((len(example.target), len(example.notes) + 1), np.float32)
    centres = np.arange(len(soft)) + 0.5
    for i, (start, end) in enumerate(example.spans):
        soft[(centres >= start) & (centres < end), i] = 1.0
    soft[:, -1] = soft[:, :-1].sum(axis=1) == 0
    soft /= soft.sum(axis=1, keepdims=True)
    unknown = np.full_like(example.target, UNKNOWN)  # or these frames would count twice
    return dataclasses.replace(example, target=unknown, soft=soft * example.table.observed[:, None])


def _nothing_share(labelled: Sequence[Example]) -> float:
    frames = sum(int((e.target >= NOTHING).sum()) for e in labelled)
    return sum(int((e.target == NOTHING).sum()) for e in labelled) / max(1, frames)


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
