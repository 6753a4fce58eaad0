"""Learning from notes without spans: where could each note lie, and what do texts look like there, in turn.

1. Frames are whitened and pooled to about 20 a note. A text is a Gaussian that borrows from near texts
   (``gaussians.py``); how long it lasts is log-normal and borrows likewise.
2. E: the matching decoder's posterior of every note's span, from its written time (if any), the order of the
   notes, durations and densities. M: Gaussians, durations, and how written times lie, from those posteriors.
   From round to round the frames count for more (annealing), and the share of "nothing" is held, or it would
   take all or none.
3. What the network learns is the last posterior (``soft`` of the examples). Scoring the sessions once more by
   networks of the other half of the people and starting from that made it worse on real recordings, as did
   starting from a network.

With recordings whose spans are known, these start it and keep counting.

References: soft expectation-maximisation as for hidden semi-Markov models, Yu, Artificial Intelligence 174, 2010,
section 3; deterministic annealing, Rose, Proc. IEEE 86(11), 1998, section II.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.coordination.bundle import Coordination
from align.coordination.coarse import CoarseView
from align.coordination.durations import fit_durations
from align.coordination.examples import UNKNOWN, Example, Vocabulary
from align.coordination.gaussians import Counts, count_frames, fit_gaussians, kinship, whitened
from align.coordination.lags import signed_distance
from align.datatypes import Floats, Note
from align.matching import posterior_cover

__all__ = ["learn_weakly"]

NOTHING_SHARE = 0.3  # of the time, when neither the plan nor a labelled session tells
_DIMENSIONS = 20
_CELLS_A_NOTE = 20.0  # of the coarse grid
_P_NOTHING = 0.002  # training notes refer to their recording
_GAIN = 0.4  # step of the control of the share of "nothing", in spreads of the scores
_START_SD, _LEAST_SD, _SETTLED = 0.8, 0.2, 6  # of the log duration: at first, at last, from which round on
_TRUST = 2.0  # notes that the common duration counts for
_LABELLED_WEIGHT = 3.0
_LEAST_LAG_SD = 1.0  # s: nobody writes times to the frame
_LEAST_TIMES = 8  # exact times from which their lag is learned
_LEAST_SHARE = 0.02
Weak = Sequence[tuple[Example, Sequence[Note]]]


@dataclass(frozen=True, slots=True)
class _Regime:
    """Looks: as how many independent frames a note of usual length counts, in the first and the last round.

    ``tied``: see ``fit_gaussians``.
    """

    first_looks: float
    last_looks: float
    tied: float


# without times the order alone is a weak hold: start where the frames already count, with few free parameters
_TIMED, _ORDERED, _STARTED = _Regime(0.3, 9.5, 0.5), _Regime(1.9, 7.6, 0.9), _Regime(2.0, 8.0, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What stays the same from round to round: weak sessions on the coarse grid, and what is known for sure.

    ``share`` of "nothing"; ``spacing`` seconds a note; ``sure`` and ``known_log`` (log seconds), ``known_texts``:
    counts and durations of the labelled spans.
    """

    weak: Weak
    views: tuple[CoarseView, ...]
    frames: tuple[Floats, ...]
    kin: Floats
    share: float
    spacing: float
    sure: Counts
    known_texts: npt.NDArray[np.int64]
    known_log: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """What the posteriors say.

    ``durations`` (n_texts, 2) mean and deviation of the log seconds; ``lag``, ``lag_sd`` s; ``bias`` against
    "nothing", in spreads of the scores; ``soft`` per session (n_cells, n_notes + 1); ``moments`` (all notes, 4):
    middle, its variance, log duration, probability of being placed.
    """

    durations: Floats
    lag: float
    lag_sd: float
    bias: float = 0.0
    soft: tuple[Floats, ...] = ()
    moments: Floats = dataclasses.field(default_factory=lambda: np.zeros((0, 4)))


def learn_weakly(
    labelled: Sequence[Example], weak: Weak, vocabulary: Vocabulary, model: Coordination
) -> tuple[list[Example], Coordination]:
    """Soft targets for sessions whose spans are unknown.

    The share of "nothing" is the plan's ``nothing_share``, else that of the labelled examples, else 0.3: a guess
    that matters.

    Args:
        labelled: examples with spans; may be empty.
        weak: examples without spans and their notes, in order, timed or not.
        vocabulary: the training texts.
        model: with the durations of the labelled spans if there are any.

    Returns:
        All examples to train on, with soft targets, and the model with the durations and the lag of note times
        that the posteriors show.
    """
    known = [_certain(e) for e in labelled]
    scene = _scene(known, weak, vocabulary, _nothing_share(labelled, model.plan.nothing_share))
    durations = np.tile([np.log(scene.spacing * (1.0 - scene.share)), _START_SD], (len(scene.kin), 1))
    if known:
        durations = model.durations.of(vocabulary.vectors)
    belief = _Belief(durations, 0.0, scene.spacing)
    belief = _annealed(scene, belief, _regime(known, weak), model.plan.rounds)
    texts, log, weight = _lengths(scene, belief)
    model = model.with_durations(fit_durations(vocabulary.vectors[texts], np.exp(log), weight))
    if len(_exact_times(weak)[0]) >= _LEAST_TIMES:
        model = model.with_times(belief.lag, belief.lag_sd, reach=1.0)
    return [*known, *_targets(scene, belief)], model


def _scene(known: Sequence[Example], weak: Weak, vocabulary: Vocabulary, share: float) -> _Scene:
    frames_a_note = sum(len(e.inputs) for e, _ in weak) / sum(len(notes) for _, notes in weak)
    pool = max(1, round(frames_a_note / _CELLS_A_NOTE))
    examples = [*(e for e, _ in weak), *known]
    views = [CoarseView.of(e, pool) for e in examples]
    white = whitened([e.inputs for e in examples], _DIMENSIONS)
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
    return _Scene(
        weak,
        tuple(views[:n]),
        tuple(frames[:n]),
        kinship(vocabulary.vectors),
        share,
        frames_a_note * weak[0][0].table.hop,
        sure,
        texts[usable],
        np.log(lasted[usable]),
    )


def _regime(known: Sequence[Example], weak: Weak) -> _Regime:
    timed = np.mean([note.time is not None for _, notes in weak for note in notes])
    return _STARTED if known else _TIMED if timed >= 0.5 else _ORDERED


def _annealed(scene: _Scene, belief: _Belief, regime: _Regime, rounds: int) -> _Belief:
    """All rounds; the first without labelled spans sees the notes' order and times alone."""
    is_started = len(scene.known_texts) > 0
    gaussians = fit_gaussians(scene.sure, scene.kin, regime.tied) if is_started else None
    for round_ in range(rounds + 1):
        progress = max(0, round_ - 1) / max(1, rounds - 1)
        looks = regime.first_looks * (regime.last_looks / regime.first_looks) ** progress
        per_cell = looks * scene.views[0].hop / scene.spacing
        odds = [
            np.zeros((len(frames), len(notes)))
            if gaussians is None
            else per_cell * gaussians.log_odds(frames, example.notes)
            for frames, (example, notes) in zip(scene.frames, scene.weak, strict=True)
        ]
        belief = _expect(scene, belief, odds)
        open_sd = 0.0 if is_started else _START_SD * (1.0 - round_ / _SETTLED)
        belief = _learned(scene, belief, max(_LEAST_SD, open_sd))
        texts = [e.notes for e, _ in scene.weak]
        counts = count_frames(scene.frames, belief.soft, texts, scene.sure.first.shape)
        gaussians = fit_gaussians(counts.plus(scene.sure, _LABELLED_WEIGHT), scene.kin, regime.tied)
    return belief


def _expect(scene: _Scene, belief: _Belief, odds: Sequence[Floats]) -> _Belief:
    """E step: posteriors under the odds less the bias, and one step of the bias towards the share of "nothing"."""
    spread = float(np.std(np.concatenate([o.ravel() for o in odds])))
    soft, moments, nothing, seen = [], [], 0.0, 0.0
    for (example, notes), view, own in zip(scene.weak, scene.views, odds, strict=True):
        evidence = Evidence(
            log_odds=(own - belief.bias * spread).astype(np.float32),
            hop=view.hop,
            first=view.first,
            observed=view.observed,
            durations=belief.durations[example.notes],
            similarity=np.zeros((0, len(notes)), np.float32),
            method="contrastive",
            lag=belief.lag,
            lag_sd=belief.lag_sd,
        )
        cover, found = posterior_cover(evidence, notes, _P_NOTHING)
        rest = np.clip(1.0 - cover.sum(axis=0), 0.0, 1.0)
        both = np.vstack([cover, rest]).T
        soft.append(both / both.sum(axis=1, keepdims=True) * view.observed[:, None])
        moments.append(_with_variance(cover, found, evidence))
        nothing += float(rest[view.observed].sum())
        seen += float(view.observed.sum())
    step = _GAIN * (_logit(scene.share) - _logit(nothing / max(1.0, seen)))
    bias = belief.bias + (step if spread > 0 else 0.0)
    return dataclasses.replace(belief, bias=bias, soft=tuple(soft), moments=np.concatenate(moments))


def _logit(share: float) -> float:
    share = min(max(share, _LEAST_SHARE), 1.0 - _LEAST_SHARE)
    return float(np.log(share / (1.0 - share)))


def _with_variance(cover: Floats, moments: Floats, evidence: Evidence) -> Floats:
    """Columns middle, variance of the middle, log duration, probability of being placed.

    A frame that the note covers lies around the note's middle as in a uniform stretch, and with it: the
    variance of the middle is what remains of the covered frames' beyond ``duration^2 / 12``.
    """
    centres = (evidence.first + np.arange(cover.shape[1]) + 0.5) * evidence.hop
    weight = np.maximum(cover.sum(axis=1), 1e-9)
    spread = (cover * (centres - moments[:, :1]) ** 2).sum(axis=1) / weight
    variance = np.maximum(0.0, spread - np.exp(2.0 * moments[:, 1]) / 12.0)
    return np.column_stack([moments[:, 0], variance, moments[:, 1], moments[:, 2]])


def _lengths(scene: _Scene, belief: _Belief) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Text, log seconds and weight of every weak note, then of every known span."""
    texts = np.concatenate([*(e.notes for e, _ in scene.weak), scene.known_texts])
    log = np.concatenate([belief.moments[:, 2], scene.known_log])
    sure = np.full(len(scene.known_log), _LABELLED_WEIGHT)
    return texts, log, np.concatenate([np.maximum(belief.moments[:, 3], 1e-3), sure])


def _learned(scene: _Scene, belief: _Belief, within: float) -> _Belief:
    """M step of durations and note times; ``within``: deviation of a log duration that posteriors leave open."""
    texts, log, weight = _lengths(scene, belief)
    sums = np.zeros((len(scene.kin), 3))
    np.add.at(sums, texts, weight[:, None] * np.column_stack([np.ones_like(log), log, log**2 + within**2]))
    shared = scene.kin @ sums + _TRUST * sums.sum(axis=0) / sums[:, 0].sum()
    mean = shared[:, 1] / shared[:, 0]
    sd = np.sqrt(np.maximum(shared[:, 2] / shared[:, 0] - mean**2, _LEAST_SD**2))
    belief = dataclasses.replace(belief, durations=np.column_stack([mean, sd]))
    which, times = _exact_times(scene.weak)
    if len(which) < _LEAST_TIMES:
        return belief
    middle, variance, log_length, _ = belief.moments[which].T
    spans = middle[:, None] + 0.5 * np.exp(log_length)[:, None] * np.asarray([-1.0, 1.0])
    lag = float(np.median(middle - times))
    off = signed_distance(times + lag, spans)
    off = np.clip(off, *np.quantile(off, [0.05, 0.95]))  # gross errors must not widen the window
    lag_sd = float(np.sqrt(np.mean(off**2) + np.median(variance)))
    return dataclasses.replace(belief, lag=lag, lag_sd=max(lag_sd, _LEAST_LAG_SD))


def _exact_times(weak: Weak) -> tuple[npt.NDArray[np.int64], Floats]:
    """Which of all weak notes have an exact time, and those times."""
    notes = [note for _, own in weak for note in own]
    found = [(i, n.time.likely) for i, n in enumerate(notes) if n.time is not None and n.time.is_exact]
    return np.asarray([i for i, _ in found], np.int64), np.asarray([t for _, t in found])


def _targets(scene: _Scene, belief: _Belief) -> list[Example]:
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


def _nothing_share(labelled: Sequence[Example], wanted: float | None) -> float:
    if wanted is not None or not labelled:
        return NOTHING_SHARE if wanted is None else wanted
    frames = sum(int((e.target >= -1).sum()) for e in labelled)
    share = sum(int((e.target == -1).sum()) for e in labelled) / max(1, frames)
    return float(share)
