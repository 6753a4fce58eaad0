"""The rounds of expectation-maximisation behind ``weak.py``: posteriors of spans, and what follows from them.

E: the matching decoder's posterior of every note's span, from its written time (if any), the order of the notes,
how long its text lasts and how its text looks. M: Gaussians, durations and how written times lie, from those.
From round to round the frames count for more (annealing), and the share of "nothing" is held, or it would take
all or none.

References: soft expectation-maximisation as for hidden semi-Markov models, Yu, Artificial Intelligence 174, 2010,
section 3; deterministic annealing, Rose, Proc. IEEE 86(11), 1998, section II.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.coordination.inputs.coarse import CoarseView
from align.coordination.inputs.examples import Example
from align.coordination.weak.gaussians import Counts, TextGaussians, count_frames, fit_gaussians
from align.coordination.weak.lags import likeliest_lag
from align.datatypes import Floats, Note
from align.matching import posterior_cover

__all__ = [
    "LABELLED_WEIGHT",
    "LEAST_TIMES",
    "START_SD",
    "Belief",
    "Regime",
    "Scene",
    "Tell",
    "Weak",
    "annealed",
    "exact_times",
    "expected",
    "frame_odds",
    "gaussians_of",
    "lengths",
]

Weak = Sequence[tuple[Example, Sequence[Note]]]
Tell = Callable[[int, int], None]
START_SD = 0.8  # of the log duration before anything is known
_LEAST_SD, _SETTLED = 0.2, 6  # what it comes down to, from which round on
LEAST_TIMES = 8  # exact times from which their lag is learned
_P_NOTHING = 0.002  # training notes refer to their recording
_GAIN = 0.4  # step of the control of the share of "nothing", in spreads of the scores
_TRUST = 2.0  # notes that the common duration counts for
LABELLED_WEIGHT = 3.0  # of a frame whose note is known
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Regime:
    """Looks: as how many independent frames a note of usual length counts, in the first and the last round.

    ``tied``: see ``fit_gaussians``. ``hint``: how much captions count in the first round; in the last they do not.
    """

    first_looks: float
    last_looks: float
    tied: float
    hint: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What stays the same from round to round: weak sessions on the coarse grid, and what is known for sure.

    ``spacing`` seconds a note; ``sure``, ``known_texts`` and ``known_log`` (log seconds): counts and durations of
    the labelled spans. ``hints`` per session (n_cells, n_notes) log odds that captions give, 0 without any. ``known``:
    the labelled sessions, as if they were weak; None without any.
    """

    weak: Weak
    views: tuple[CoarseView, ...]
    frames: tuple[Floats, ...]
    kin: Floats
    spacing: float
    sure: Counts
    known_texts: npt.NDArray[np.int64]
    known_log: Floats
    hints: tuple[Floats, ...]
    known: Scene | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What the posteriors say.

    ``durations`` (n_texts, 2) mean and deviation of the log seconds; ``lag``, ``lag_sd`` s; ``share`` of
    "nothing" to hold; ``bias`` against "nothing", in spreads of the scores; ``soft`` per session (n_cells,
    n_notes + 1); ``moments`` (all notes, 4): middle, its variance, log duration, probability of being placed.
    """

    durations: Floats
    lag: float
    lag_sd: float
    share: float
    bias: float = 0.0
    soft: tuple[Floats, ...] = ()
    moments: Floats = dataclasses.field(default_factory=lambda: np.zeros((0, 4)))

    @property
    def nothing(self) -> float:
        """Share of the time that the posteriors give to "nothing"."""
        total = sum(float(s.sum()) for s in self.soft)
        return sum(float(s[:, -1].sum()) for s in self.soft) / max(total, 1.0)

    @property
    def placed(self) -> float:
        """Mean probability of a note of being placed."""
        return float(self.moments[:, 3].mean()) if len(self.moments) else 0.0


def annealed(
    scene: Scene,
    belief: Belief,
    regime: Regime,
    rounds: int,
    tell: Tell | None = None,
    gaussians: TextGaussians | None = None,
) -> Belief:
    """All rounds; the first without labelled spans or Gaussians sees the notes' order, times and captions alone.

    Args:
        scene: sessions and what is known for sure.
        belief: to start from.
        regime: how much frames count.
        rounds: after the first, >= 1.
        tell: called as ``tell(done, total)`` after each.
        gaussians: how texts look, where that is known already.
    """
    is_started = len(scene.known_texts) > 0 or gaussians is not None
    if gaussians is None and is_started:
        gaussians = gaussians_of(scene, belief, regime.tied)
    for round_ in range(rounds + 1):
        progress = max(0, round_ - 1) / max(1, rounds - 1)
        looks = regime.first_looks * (regime.last_looks / regime.first_looks) ** progress
        hint = regime.hint * (1.0 - progress)
        odds = [hint * said for said in scene.hints]
        if gaussians is not None:
            seen = frame_odds(scene, gaussians, looks)
            odds = [own + said for own, said in zip(seen, odds, strict=True)]
        belief = expected(scene, belief, odds)
        open_sd = 0.0 if is_started else START_SD * (1.0 - round_ / _SETTLED)
        belief = _learned(scene, belief, max(_LEAST_SD, open_sd))
        gaussians = gaussians_of(scene, belief, regime.tied)
        if tell is not None:
            tell(round_ + 1, rounds + 1)
    return belief


def gaussians_of(scene: Scene, belief: Belief, tied: float) -> TextGaussians:
    """How texts look under a belief's posteriors and the labelled spans.

    Args:
        scene, belief: as for ``annealed``.
        tied: see ``fit_gaussians``.
    """
    counts = scene.sure
    if belief.soft:
        texts = [e.notes for e, _ in scene.weak]
        seen = count_frames(scene.frames, belief.soft, texts, scene.sure.first.shape)
        counts = seen.plus(scene.sure, LABELLED_WEIGHT)
    return fit_gaussians(counts, scene.kin, tied)


def frame_odds(scene: Scene, gaussians: TextGaussians, looks: float) -> list[Floats]:
    """Per weak session (n_cells, n_notes) log odds of its notes against "nothing".

    Args:
        scene, gaussians: as for ``annealed``.
        looks: as how many independent frames a note of usual length counts.
    """
    per_cell = looks * scene.views[0].hop / scene.spacing
    return [
        per_cell * gaussians.log_odds(frames, example.notes)
        for frames, (example, _) in zip(scene.frames, scene.weak, strict=True)
    ]


def expected(scene: Scene, belief: Belief, odds: Sequence[Floats]) -> Belief:
    """E step: posteriors under the odds less the bias, and one step of the bias towards the share of "nothing".

    Args:
        scene, belief: as for ``annealed``.
        odds: per weak session (n_cells, n_notes) log odds of its notes against "nothing".
    """
    spread = float(np.std(np.concatenate([o.ravel() for o in odds])))
    soft, moments, nothing, seen = [], [], 0.0, 0.0
    for (example, notes), view, own in zip(scene.weak, scene.views, odds, strict=True):
        evidence = Evidence(
            log_odds=(own - belief.bias * spread).astype(np.float32),
            hop=view.hop,
            first=view.first,
            observed=view.observed,
            durations=belief.durations[example.notes],
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
    step = _GAIN * (_logit(belief.share) - _logit(nothing / max(1.0, seen)))
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


def lengths(scene: Scene, belief: Belief) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Text, log seconds and weight of every weak note, then of every known span."""
    texts = np.concatenate([*(e.notes for e, _ in scene.weak), scene.known_texts])
    log = np.concatenate([belief.moments[:, 2], scene.known_log])
    sure = np.full(len(scene.known_log), LABELLED_WEIGHT)
    return texts, log, np.concatenate([np.maximum(belief.moments[:, 3], 1e-3), sure])


def _learned(scene: Scene, belief: Belief, within: float) -> Belief:
    """M step of durations and note times; ``within``: deviation of a log duration that posteriors leave open."""
    texts, log, weight = lengths(scene, belief)
    sums = np.zeros((len(scene.kin), 3))
    np.add.at(sums, texts, weight[:, None] * np.column_stack([np.ones_like(log), log, log**2 + within**2]))
    shared = scene.kin @ sums + _TRUST * sums.sum(axis=0) / sums[:, 0].sum()
    mean = shared[:, 1] / shared[:, 0]
    sd = np.sqrt(np.maximum(shared[:, 2] / shared[:, 0] - mean**2, _LEAST_SD**2))
    belief = dataclasses.replace(belief, durations=np.column_stack([mean, sd]))
    which, times = exact_times(scene.weak)
    if len(which) < LEAST_TIMES:
        return belief
    middle, variance, log_length, _ = belief.moments[which].T
    spans = middle[:, None] + 0.5 * np.exp(log_length)[:, None] * np.asarray([-1.0, 1.0])
    lag, lag_sd = likeliest_lag(times, spans)
    return dataclasses.replace(belief, lag=lag, lag_sd=float(np.hypot(lag_sd, np.sqrt(np.median(variance)))))


def exact_times(weak: Weak) -> tuple[npt.NDArray[np.int64], Floats]:
    """Which of all weak notes have an exact time, and those times."""
    notes = [note for _, own in weak for note in own]
    found = [(i, n.time.likely) for i, n in enumerate(notes) if n.time is not None and n.time.is_exact]
    return np.asarray([i for i, _ in found], np.int64), np.asarray([t for _, t in found])
