"""How much a frame's log odds count: neighbouring frames say much the same, so their sum overstates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from align.coordination.bundle import Coordination
from align.coordination.encoders import Coordinator
from align.coordination.examples import Example, Vocabulary
from align.datatypes import Note
from align.matching import span_mass

__all__ = ["choose_sharpness", "usual_sharpness"]

CANDIDATES = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
_LEAST_SESSIONS = 8  # below that nothing is held out
_HELD_OUT = 0.25
_LOOKS = 4.0  # independent looks at a span of usual length
_WORST = 1e-3  # a probability below it costs no more: one gross error must not decide


def usual_sharpness(frames_per_note: float) -> float:
    """The value without evidence: a span of usual length counts as four independent looks, at most 1."""
    return float(min(1.0, _LOOKS / max(1.0, frames_per_note)))


def choose_sharpness(
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    model: Coordination,
    train: Callable[[Sequence[Example], int], Coordinator],
) -> float:
    """The sharpness under which people who were held out are aligned with the best calibrated probabilities.

    A quarter of the groups (session names up to the first "_") is held out, a network trained on the rest, and
    the candidate taken with the highest mean log posterior mass of the true spans. With fewer than 8 labelled
    sessions, or one group, the usual value.

    Args:
        examples: of training; those without spans are not held out.
        vocabulary: the training texts.
        model: layout and durations.
        train: examples, seed -> network.
    """
    labelled = [e for e in examples if np.isfinite(e.spans).all() and len(e.spans)]
    groups = sorted({e.group for e in labelled})
    frames = np.mean([len(e.inputs) / max(1, len(e.notes)) for e in examples])
    n_out = max(1, round(_HELD_OUT * len(groups)))
    if len(labelled) < _LEAST_SESSIONS or len(groups) < 2:
        return usual_sharpness(float(frames))
    out = set(np.random.default_rng(model.plan.seed).permutation(groups)[:n_out].tolist())
    held = [e for e in labelled if e.group in out]
    network = train([e for e in examples if e.group not in out], model.plan.seed)
    scores = {}
    for sharpness in CANDIDATES:
        candidate = model.with_network(network, sharpness)
        masses = np.concatenate([_masses(candidate, e, vocabulary) for e in held])
        scores[sharpness] = float(np.log(np.maximum(masses, _WORST)).mean())
    return max(scores, key=lambda s: scores[s])


def _masses(model: Coordination, example: Example, vocabulary: Vocabulary) -> np.ndarray:
    evidence = model.evidence_of(example.table, example.inputs, vocabulary.vectors[example.notes])
    notes = [Note(vocabulary.texts[i]) for i in example.notes]
    return span_mass(evidence, notes, example.spans)
