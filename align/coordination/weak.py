"""Learning from notes without spans: expectation-maximisation with the matching decoder.

E: where could each note lie, given its written time (if any), the order of the notes, how long such things last
and what the network sees. M: train the network on those posteriors as soft targets. Each round the evidence
counts for more, and the share of "nothing" is held near its expected value, or the posteriors collapse into it.
Every session is scored by a network that was not trained on its group, or errors would confirm themselves.

Reference: soft expectation-maximisation as for hidden semi-Markov models, Yu, Artificial Intelligence 174, 2010,
section 3; deterministic annealing, Rose, Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from align.coordination.bundle import Coordination
from align.coordination.durations import fit_durations
from align.coordination.encoders import Coordinator
from align.coordination.examples import Example, Vocabulary
from align.coordination.sharpness import usual_sharpness
from align.datatypes import Note
from align.matching import posterior_cover

__all__ = ["learn_weakly"]

NOTHING_SHARE = 0.3  # of the time, when no labelled session tells
_START_SD = 0.8  # of the log duration before anything is known
_P_NOTHING = 0.02
_BISECTIONS = 5
Train = Callable[[Sequence[Example], int], Coordinator]


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """Where the weak notes are thought to lie: examples with soft targets, and what follows from them."""

    examples: list[Example]
    model: Coordination


def learn_weakly(
    labelled: Sequence[Example],
    weak: Sequence[tuple[Example, Sequence[Note]]],
    vocabulary: Vocabulary,
    model: Coordination,
    train: Train,
) -> tuple[list[Example], Coordination]:
    """Soft targets for sessions whose spans are unknown.

    Args:
        labelled: examples with spans, kept as they are; may be empty.
        weak: examples without spans and their notes, in order, timed or not.
        vocabulary: the training texts.
        model: with the durations of the labelled spans if there are any.
        train: examples, seed -> network.

    Returns:
        All examples to train on, and the model with durations and note lag learned from the posteriors.
    """
    share = _nothing_share(labelled)
    frames = float(np.mean([len(e.inputs) / max(1, len(e.notes)) for e, _ in weak]))
    spacing = frames * model.layout.hop
    model = model.with_times(0.0, spacing, 0.0)
    if not labelled:
        start = model.durations
        flat = dataclasses.replace(start, mean=float(np.log(spacing * (1 - share))), sd=_START_SD)
        model = model.with_durations(flat)
    belief = _expect(weak, vocabulary, model, share, None)
    rounds = model.plan.rounds
    for round_ in range(rounds):
        model = belief.model if not labelled else belief.model.with_durations(model.durations)
        # the first look at labelled recordings alone is worth more than at a belief from times
        known = list(labelled) if labelled and round_ == 0 else [*labelled, *belief.examples]
        networks = _crossfit(known, weak, train, model.plan.seed + round_)
        sharpness = usual_sharpness(frames) * (round_ + 1) / rounds
        belief = _expect(weak, vocabulary, model, share, (networks, sharpness))
    return [*labelled, *belief.examples], belief.model


def _nothing_share(labelled: Sequence[Example]) -> float:
    if not labelled:
        return NOTHING_SHARE
    frames = sum(int((e.target >= -1).sum()) for e in labelled)
    return float(sum(int((e.target == -1).sum()) for e in labelled) / max(1, frames))


def _crossfit(
    known: Sequence[Example], weak: Sequence[tuple[Example, Sequence[Note]]], train: Train, seed: int
) -> Callable[[Example], Coordinator]:
    """Two networks, each trained without half of the weak groups; an example gets the one that never saw it."""
    groups = sorted({e.group for e, _ in weak})
    if len(groups) < 2:
        network = train(known, seed)
        return lambda example: network
    first = set(np.random.default_rng(seed).permutation(groups)[: len(groups) // 2].tolist())
    weak_groups = set(groups)
    halves = [
        train([e for e in known if e.soft is None or (e.group in first) != unseen], seed)
        for unseen in (True, False)
    ]
    return lambda example: halves[0] if example.group in first & weak_groups else halves[1]


def _expect(
    weak: Sequence[tuple[Example, Sequence[Note]]],
    vocabulary: Vocabulary,
    model: Coordination,
    share: float,
    scored_by: tuple[Callable[[Example], Coordinator], float] | None,
) -> _Belief:
    """One E step: posteriors, then durations and the lag of note times from them."""
    evidences = []
    for example, _ in weak:
        seen = model if scored_by is None else model.with_network(scored_by[0](example), scored_by[1])
        evidences.append(seen.evidence_of(example.table, example.inputs, vocabulary.vectors[example.notes]))
    spread = float(np.std(np.concatenate([e.log_odds.ravel() for e in evidences]))) or 1.0
    low, high = -4.0 * spread, 4.0 * spread
    covers: list[np.ndarray] = []
    moments: list[np.ndarray] = []
    for _ in range(_BISECTIONS):
        offset = 0.5 * (low + high)
        posteriors = [
            posterior_cover(
                dataclasses.replace(e, log_odds=e.log_odds + np.float32(offset)), notes, _P_NOTHING
            )
            for e, (_, notes) in zip(evidences, weak, strict=True)
        ]
        covers, moments = [p[0] for p in posteriors], [p[1] for p in posteriors]
        nothing = np.mean([1.0 - c.sum(0).clip(0, 1).mean() for c in covers])
        low, high = (offset, high) if nothing > share else (low, offset)
        if scored_by is None:
            break  # no evidence yet: nothing to balance
    return _Belief(_soft_examples(weak, covers), _learned(model, weak, moments, vocabulary))


def _soft_examples(
    weak: Sequence[tuple[Example, Sequence[Note]]], covers: Sequence[np.ndarray]
) -> list[Example]:
    examples = []
    for (example, _), cover in zip(weak, covers, strict=True):
        rest = np.clip(1.0 - cover.sum(0), 0.0, 1.0)
        soft = np.vstack([cover, rest]).T
        soft /= soft.sum(1, keepdims=True)
        soft[~example.table.observed] = 0.0
        examples.append(dataclasses.replace(example, soft=soft.astype(np.float32)))
    return examples


def _learned(
    model: Coordination,
    weak: Sequence[tuple[Example, Sequence[Note]]],
    moments: Sequence[np.ndarray],
    vocabulary: Vocabulary,
) -> Coordination:
    """Durations per text, and the lag of exact note times, from the posteriors."""
    notes = np.concatenate([e.notes for e, _ in weak])
    table = np.concatenate(moments)
    durations = fit_durations(vocabulary.vectors[notes], np.exp(table[:, 1]), np.maximum(table[:, 2], 1e-3))
    written = [
        n.time.likely if n.time is not None and n.time.is_exact else np.nan for _, ns in weak for n in ns
    ]
    off = table[:, 0] - np.asarray(written)
    timed = np.isfinite(off)
    if timed.sum() < 2:
        return model.with_durations(durations)
    lag = float(np.median(off[timed]))
    # robust: a tenth of gross errors must not widen the window
    lag_sd = float(1.4826 * np.median(np.abs(off[timed] - lag)))
    return model.with_durations(durations).with_times(lag, max(lag_sd, model.layout.hop), 0.0)
