"""How sure a model may be: measured on people held out, with their own notes and with foreign ones planted.

Neighbouring frames say much the same, so their sum overstates: ``sharpness`` says how much a frame counts.
``nothing`` is the prior probability that a note is about something else; ``foreground`` says how much it counts that
a sound stands out; ``calibration`` what the posteriors that follow turned out to be worth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from align.answers import Calibration, Evidence
from align.clock import span_iou
from align.coordination.inputs.examples import Example, Vocabulary
from align.coordination.network.encoders import Coordinator
from align.coordination.saved.bundle import Coordination
from align.coordination.trust.foreground import fit_foreground
from align.coordination.trust.looks import looks_at_a_frame
from align.coordination.trust.trials import Trial, make_trials
from align.datatypes import Floats
from align.features.foreground import foreground_of
from align.matching import place_notes, posterior_cover, span_mass
from align.matching.calibration import Answers, fit_calibration
from align.matching.foreground import Foreground, noted_frames
from align.matching.gains import joint_gain

__all__ = ["Confidence", "fit_confidence", "usual_sharpness"]

CANDIDATES = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)  # ascending
USUAL_NOTHING = 0.02
FOREGROUND_CANDIDATES = (1.0, 0.5, 0.25, 0.0, 2.0)  # times the usual weight; the first of equals is taken
NOTHING_CANDIDATES = (0.03, 2e-3, 2e-4, 2e-5, 0.1)  # measured: the first that the truth allows is taken
_LEAST_SESSIONS = 8  # below that nothing is held out
_HELD_OUT = 0.25
_MOST_TRIALS = 32  # sessions on which candidates are compared, spread over the people held out
_HALF_LEARNED = 20.0  # notes after which a network is believed half
_FOREGROUND = 5.0  # looks at a frame: the background is told apart frame by frame
_HALF = 0.5  # overlap from which a span is right
_CLEARLY = 2.0  # standard errors
_WORST = 1e-3  # a probability below it costs no more: one gross error must not decide


@dataclass(frozen=True, slots=True)
class Confidence:
    """``sharpness`` > 0, ``nothing`` in (0, 1), the captions' weight in [0, 1], what the foreground of sound says, and
    the calibration of posteriors under them, if it was measured."""

    sharpness: float
    nothing: float = USUAL_NOTHING
    calibration: Calibration | None = None
    captions: float = 0.0
    foreground: Foreground | None = None


def usual_sharpness(frames_per_note: float, n_notes: int) -> float:
    """The value without evidence: a span of usual length counts as four independent looks, at most 1.

    Times ``n / (n + 20)`` after n notes: a network that has seen five is sure of what it cannot know.

    >>> usual_sharpness(40.0, 20)
    0.05
    """
    return n_notes / (n_notes + _HALF_LEARNED) * looks_at_a_frame(frames_per_note)


def fit_confidence(
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    model: Coordination,
    train: Callable[[Sequence[Example], int], Coordinator],
) -> Confidence:
    """The confidence under which people who were held out are aligned with the best calibrated probabilities.

    A quarter of the groups (session names up to the first "_") is held out and a network trained on the rest. Its
    sharpness and prior of "nothing" are those with the highest mean log posterior of the truth (mass near the
    true span, or of "nothing" for a note without one) where foreign notes are planted, or ones that count the network
    for less and are hardly worse, beside the usual weight of the foreground where there is sound; then that weight is
    chosen, and the two again beside it. The calibration compares the answers that the decoder then gives with the
    truth, with and without planted notes. With fewer than 8 labelled sessions, or one group, the usual values and no
    calibration.

    Captions count where nobody is held out: of so few sessions they tell more than a network can have learned. Not
    where notes were placed without spans: that began with what they say.

    Args:
        examples: of training; those without spans are not held out.
        vocabulary: the training texts.
        model: layout and durations.
        train: examples, seed -> network.
    """
    labelled = [e for e in examples if np.isfinite(e.spans).any()]
    groups = sorted({e.group for e in labelled})
    n_out = max(1, round(_HELD_OUT * len(groups)))
    if len(labelled) < _LEAST_SESSIONS or len(groups) < 2:
        return _usual_confidence(examples)
    out = set(np.random.default_rng(model.plan.seed).permutation(groups)[:n_out].tolist())
    learned = [e for e in examples if e.group not in out]
    candidate = model.with_network(train(learned, model.plan.seed), 1.0)
    foreground = _usual_foreground(learned)
    held = [e for e in labelled if e.group in out]
    plain, planted = make_trials(held, vocabulary, model.encoder, model.plan.seed)
    seen = [_seen(trial, candidate, foreground) for trial in (*planted, *plain)]
    every = math.ceil(len(planted) / _MOST_TRIALS)
    sharpness, nothing = _most_truthful(seen[: len(planted) : every])
    if foreground is not None:
        foreground = _worth(foreground, seen[: len(planted) : every], sharpness, nothing)
        seen = [dataclasses.replace(one, foreground=foreground) for one in seen]
        sharpness, nothing = _most_truthful(seen[: len(planted) : every])
    return Confidence(sharpness, nothing, _calibration(seen, sharpness, nothing), foreground=foreground)


def _usual_confidence(examples: Sequence[Example]) -> Confidence:
    n_notes, was_weak = sum(len(e.notes) for e in examples), any(e.soft is not None for e in examples)
    sharpness, captions = usual_sharpness(_frames_per_note(examples), n_notes), 0.0 if was_weak else 1.0
    return Confidence(sharpness, captions=captions, foreground=_usual_foreground(examples))


def _usual_foreground(examples: Sequence[Example]) -> Foreground | None:
    found = fit_foreground(examples)
    weight = min(1.0, _FOREGROUND * looks_at_a_frame(_frames_per_note(examples)))
    return None if found is None else found.weighted(weight)


def _frames_per_note(examples: Sequence[Example]) -> float:
    return float(np.mean([len(e.inputs) / max(1, len(e.notes)) for e in examples]))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to be seen of a trial: the network's evidence with sharpness 1, and its foreground
    (``foreground_of``)."""

    trial: Trial
    network: Evidence
    foreground: Foreground | None
    share: Floats

    def evidence(self, sharpness: float, nothing: float) -> Evidence:
        log_odds, gain = np.float32(sharpness) * self.network.log_odds, self.network.gain
        if self.foreground is not None:
            noted = noted_frames(self.network.durations, self.network.hop)
            log_odds = log_odds + self.foreground.log_odds(self.share, noted)[:, None]
            gain = joint_gain(gain, self.foreground.gain(self.share))
        return dataclasses.replace(self.network, log_odds=log_odds, gain=gain, nothing=nothing)


def _seen(trial: Trial, model: Coordination, foreground: Foreground | None) -> _Seen:
    share = np.zeros(0) if foreground is None else foreground_of(trial.example.table)
    return _Seen(trial, trial.evidence(model), foreground, share)


def _worth(usual: Foreground, seen: Sequence[_Seen], sharpness: float, nothing: float) -> Foreground:
    """With the weight under which the truth is most probable; the usual one, while what it costs is within one
    standard error."""
    tried = [usual.weighted(min(1.0, times * usual.weight)) for times in FOREGROUND_CANDIDATES]
    logs = [
        _log_of_truth([dataclasses.replace(one, foreground=own) for one in seen], sharpness, nothing)
        for own in tried
    ]
    best = int(np.argmax([own.mean() for own in logs]))
    return usual if _allowed(logs[best] - logs[0], 1.0) else tried[best]


def _most_truthful(seen: Sequence[_Seen]) -> tuple[float, float]:
    """Sharpness and prior of "nothing" under which the truth is most probable, unless a few notes decided it.

    Both at once: the surer the frames are, the more a note of a new person that fits badly needs a low prior.
    Then the sharpness is the least, and the prior the first of its candidates, that the truth allows: while what it
    costs is within two standard errors. For a network that counts for less than it knows costs little, one that
    counts for more sends notes anywhere.
    """
    logs = {(s, p): _log_of_truth(seen, s, p) for s in CANDIDATES for p in NOTHING_CANDIDATES}
    best = {s: max(NOTHING_CANDIDATES, key=lambda p: float(logs[s, p].mean())) for s in CANDIDATES}
    top = max(best.items(), key=lambda pair: float(logs[pair].mean()))
    sharpness = next(s for s in CANDIDATES if _allowed(logs[top] - logs[s, best[s]], _CLEARLY))
    own = logs[sharpness, best[sharpness]]
    nothing = next(p for p in NOTHING_CANDIDATES if _allowed(own - logs[sharpness, p], _CLEARLY))
    return sharpness, nothing


def _allowed(cost: Floats, errors: float) -> bool:
    """Is the mean of what each note costs within so many standard errors of 0?"""
    return bool(cost.mean() <= errors * cost.std() / np.sqrt(cost.size))


def _log_of_truth(seen: Sequence[_Seen], sharpness: float, nothing: float) -> Floats:
    """(all notes,) log posterior of the truth: near the true span, or of "nothing" where there is none."""
    masses = []
    for one in seen:
        trial, own = one.trial, one.evidence(sharpness, nothing)
        is_foreign = np.isnan(trial.spans[:, 0])
        spans = np.where(is_foreign[:, None], 0.0, trial.spans)
        mass = span_mass(own, trial.notes, spans)
        if is_foreign.any():
            _, moments = posterior_cover(own, trial.notes, nothing)
            mass = np.where(is_foreign, 1.0 - moments[:, 2], mass)
        masses.append(mass)
    return np.asarray(np.log(np.maximum(np.concatenate(masses), _WORST)))


def _calibration(seen: Sequence[_Seen], sharpness: float, nothing: float) -> Calibration | None:
    """From all answers that the decoder gives, with a span and without."""
    placed: list[tuple[float, bool, str]] = []
    unmatched: list[tuple[float, bool, str]] = []
    for one in seen:
        trial, evidence = one.trial, one.evidence(sharpness, nothing)
        answer = place_notes(evidence, trial.notes)
        wanted = (trial.spans + evidence.first) * evidence.hop
        iou = span_iou(answer.spans, wanted)
        for link, overlap, start in zip(answer.links, iou, wanted[:, 0], strict=True):
            if link.status in ("aligned", "ambiguous"):
                placed.append((link.probability, bool(overlap >= _HALF), trial.example.group))
            elif link.status == "unmatched":
                unmatched.append((link.probability, bool(np.isnan(start)), trial.example.group))
    return fit_calibration(_columns(placed), _columns(unmatched))


def _columns(rows: Sequence[tuple[float, bool, str]]) -> Answers:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
