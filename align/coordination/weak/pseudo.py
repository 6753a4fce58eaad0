"""Self-training: what a trained network is sure of in recordings that nobody described becomes something to learn from.

Reference: the teacher and student of Xie, Luong, Hovy, Le, "Self-training with Noisy Student", arXiv 1911.04252; the
noise is the training's own (dropout, augmentation). Here the teacher labels stretches, not frames: a frame's say is
smoothed by a chain that seldom changes its text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from align.coordination.inputs.examples import NOTHING, UNKNOWN, Example, Vocabulary, stretches
from align.coordination.network.encoders import Coordinator
from align.coordination.network.encoding import encode_frames
from align.datatypes import Floats

Integers = npt.NDArray[np.int64]

__all__ = ["SURE", "meanings", "pseudo_labelled", "text_posteriors"]

#: Mean posterior of a stretch from which it is learned from.
SURE = 0.9


def pseudo_labelled(
    network: Coordinator,
    undescribed: Sequence[Example],
    vocabulary: Vocabulary,
    durations: Floats,
    seed: int,
    *,
    soft: bool,
) -> list[Example]:
    """Examples whose frames have the texts that the network is sure of; all other frames do not count.

    A stretch is a longest run of frames whose most probable text stays; it is kept where its mean posterior is at least
    ``SURE``. Of texts that mean the same one is drawn.

    Args:
        network: trained, on the CPU, in evaluation mode.
        undescribed: examples without notes.
        vocabulary: the training texts.
        durations: (n_texts,) seconds that each text usually lasts, > 0.
        seed: of the draws.
        soft: as soft targets, as the examples have that these will stand beside?

    Returns:
        One example per undescribed one in which anything is sure, in order.
    """
    groups = meanings(vocabulary.same)
    usual = np.asarray([durations[groups == g].mean() for g in range(groups.max() + 1)])
    rng = np.random.default_rng(seed)
    out = []
    for example in undescribed:
        odds = _log_odds(network, example, vocabulary, groups)
        target = _sure_stretches(text_posteriors(odds, example.table.hop / usual))
        for start, end, meaning in stretches(target):
            if meaning >= 0:
                target[start:end] = rng.choice(np.flatnonzero(groups == meaning))
        target[~example.table.observed] = UNKNOWN
        if (target >= 0).any():
            out.append(_as_taught(dataclasses.replace(example, target=target), soft=soft))
    return out


def meanings(same: np.ndarray) -> Integers:
    """(n,) number of the meaning of each text: texts that mean the same, also by way of a third, share one.

    Args:
        same: bool (n, n), symmetric, True on its diagonal.
    """
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(same, directed=False)[1], np.int64)


def text_posteriors(log_odds: Floats, leave: Floats) -> Floats:
    """(n_frames, k + 1) posterior of every state of a chain, the last of which is "nothing".

    Forward-backward on the chain that leaves state j with probability ``leave[j]`` (at most a half) to any other alike;
    it leaves "nothing" with the mean of them. Reference: Rabiner 1989, section III, equations 19 to 27.

    Args:
        log_odds: (n_frames, k) of each text against "nothing".
        leave: (k,) probability per frame.
    """
    n, k = log_odds.shape
    leaving = np.minimum(0.5, np.append(leave, leave.mean()))
    logs = np.concatenate([log_odds, np.zeros((n, 1))], axis=1)
    seen = np.exp(logs - logs.max(axis=1, keepdims=True))
    forward, backward = np.empty((n, k + 1)), np.ones((n, k + 1))
    at = np.full(k + 1, 1.0 / (k + 1))
    for t in range(n):
        if t:
            out = leaving * at
            at = at - out + (out.sum() - out) / k
        at = at * seen[t]
        at = at / at.sum()
        forward[t] = at
    for t in range(n - 2, -1, -1):
        after = seen[t + 1] * backward[t + 1]
        back = (1.0 - leaving) * after + leaving * (after.sum() - after) / k
        backward[t] = back / back.sum()
    both = forward * backward
    return np.asarray(both / both.sum(axis=1, keepdims=True))


def _log_odds(network: Coordinator, example: Example, vocabulary: Vocabulary, groups: Integers) -> Floats:
    """(n_frames, n_meanings): of the best of the texts of each meaning; 0 where nothing was observed."""
    made = encode_frames(network.stream, example.inputs)
    with torch.inference_mode():
        texts = network.text(torch.from_numpy(vocabulary.vectors))
        odds = network.scale * network.function(torch.from_numpy(made.vectors), texts)
    every = odds.numpy().astype(np.float64) - made.nothing[:, None]
    best = np.stack([every[:, groups == g].max(axis=1) for g in range(groups.max() + 1)], axis=1)
    best[~example.table.observed] = 0.0
    return best


def _sure_stretches(posterior: Floats) -> Integers:
    choice = posterior.argmax(axis=1)
    target = np.full(len(choice), UNKNOWN, np.int64)
    for start, end, state in stretches(choice):
        if posterior[start:end, state].mean() >= SURE:
            target[start:end] = NOTHING if state == posterior.shape[1] - 1 else state
    return target


def _as_taught(example: Example, *, soft: bool) -> Example:
    """The example with its targets as certain soft ones, where those that it joins have soft ones."""
    if not soft:
        return example
    texts = np.unique(example.target[example.target >= 0])
    columns = np.append(texts, NOTHING)
    wanted = (example.target[:, None] == columns).astype(np.float32)
    unknown = np.full_like(example.target, UNKNOWN)
    return dataclasses.replace(example, notes=texts, target=unknown, soft=wanted)
