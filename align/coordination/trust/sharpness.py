"""How sure a model may be: measured on people held out, with their own notes and with foreign ones planted.

Neighbouring frames say much the same, so their sum overstates: ``sharpness`` says how much a frame counts.
``nothing`` is the prior probability that a note is about something else; ``calibration`` what the posteriors that
follow turned out to be worth.
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
from align.coordination.trust.looks import looks_at_a_frame
from align.coordination.trust.trials import Trial, make_trials
from align.datatypes import Floats
from align.matching import place_notes, posterior_cover, span_mass
from align.matching.calibration import Answers, fit_calibration

__all__ = ["Confidence", "fit_confidence", "usual_sharpness"]

CANDIDATES = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
USUAL_NOTHING = 0.02
NOTHING_CANDIDATES = (USUAL_NOTHING, 2e-3, 2e-4, 2e-5, 0.1)  # the first of equals is taken
_LEAST_SESSIONS = 8  # below that nothing is held out
_HELD_OUT = 0.25
_MOST_TRIALS = 32  # sessions on which candidates are compared, spread over the people held out
_HALF_LEARNED = 20.0  # notes after which a network is believed half
_HALF = 0.5  # overlap from which a span is right
_WORST = 1e-3  # a probability below it costs no more: one gross error must not decide

Seen = tuple[Trial, Evidence]  # its evidence with sharpness 1


@dataclass(frozen=True, slots=True)
class Confidence:
    """``sharpness`` > 0, ``nothing`` in (0, 1), the captions' weight in [0, 1], and the calibration of posteriors under
    them, if it was measured."""

    sharpness: float
    nothing: float = USUAL_NOTHING
    calibration: Calibration | None = None
    captions: float = 0.0


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
    true span, or of "nothing" for a note without one) where foreign notes are planted. The calibration compares
    the answers that the decoder then gives with the truth, with and without planted notes. With fewer than 8
    labelled sessions, or one group, the usual values and no calibration.

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
    frames = np.mean([len(e.inputs) / max(1, len(e.notes)) for e in examples])
    n_out = max(1, round(_HELD_OUT * len(groups)))
    if len(labelled) < _LEAST_SESSIONS or len(groups) < 2:
        n_notes, was_weak = sum(len(e.notes) for e in examples), any(e.soft is not None for e in examples)
        return Confidence(usual_sharpness(float(frames), n_notes), captions=0.0 if was_weak else 1.0)
    out = set(np.random.default_rng(model.plan.seed).permutation(groups)[:n_out].tolist())
    network = train([e for e in examples if e.group not in out], model.plan.seed)
    held = [e for e in labelled if e.group in out]
    candidate = model.with_network(network, 1.0)
    plain, planted = make_trials(held, vocabulary, model.encoder, model.plan.seed)
    seen = [(trial, trial.evidence(candidate)) for trial in (*planted, *plain)]
    step = math.ceil(len(planted) / _MOST_TRIALS)
    sharpness, nothing = _most_truthful(seen[: len(planted) : step])
    return Confidence(sharpness, nothing, _calibration(seen, sharpness, nothing))


def _most_truthful(seen: Sequence[Seen]) -> tuple[float, float]:
    """Sharpness and prior of "nothing" under which the truth is most probable.

    Both at once: the surer the frames are, the more a note of a new person that fits badly needs a low prior.
    Then the prior goes back towards the usual one as far as the truth allows: while what it costs is within one
    standard error, a few notes decided it.
    """
    logs = {(s, p): _log_of_truth(seen, s, p) for s in CANDIDATES for p in NOTHING_CANDIDATES}
    best = max(logs, key=lambda pair: float(logs[pair].mean()))
    for nothing in NOTHING_CANDIDATES:
        cost = logs[best] - logs[best[0], nothing]
        if cost.mean() <= cost.std() / np.sqrt(cost.size):
            return best[0], nothing
    return best


def _log_of_truth(seen: Sequence[Seen], sharpness: float, nothing: float) -> Floats:
    """(all notes,) log posterior of the truth: near the true span, or of "nothing" where there is none."""
    masses = []
    for trial, evidence in seen:
        is_foreign = np.isnan(trial.spans[:, 0])
        spans = np.where(is_foreign[:, None], 0.0, trial.spans)
        own = _sharpened(evidence, sharpness, nothing)
        mass = span_mass(own, trial.notes, spans)
        if is_foreign.any():
            _, moments = posterior_cover(own, trial.notes, nothing)
            mass = np.where(is_foreign, 1.0 - moments[:, 2], mass)
        masses.append(mass)
    return np.asarray(np.log(np.maximum(np.concatenate(masses), _WORST)))


def _sharpened(evidence: Evidence, sharpness: float, nothing: float) -> Evidence:
    return dataclasses.replace(evidence, log_odds=np.float32(sharpness) * evidence.log_odds, nothing=nothing)


def _calibration(seen: Sequence[Seen], sharpness: float, nothing: float) -> Calibration | None:
    """From all answers that the decoder gives, with a span and without."""
    placed: list[tuple[float, bool, str]] = []
    unmatched: list[tuple[float, bool, str]] = []
    for trial, evidence in seen:
        answer = place_notes(_sharpened(evidence, sharpness, nothing), trial.notes)
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
