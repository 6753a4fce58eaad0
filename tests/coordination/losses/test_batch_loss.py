"""align/coordination/losses/batch_loss.py against loops: what every part of the loss is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.coordination.inputs.examples import Vocabulary
from align.coordination.inputs.layout import Layout
from align.coordination.loop.distributed import World
from align.coordination.losses.batch_loss import BatchLoss
from align.coordination.losses.table import multi_positive_nce, symmetric_nce
from align.coordination.saved.bundle import new_coordinator
from tests.coordination.sessions import TINY

N_TEXTS, DIMENSION = 4, 6
PLAN = dataclasses.replace(TINY, edges=False)


def unit(rng, *shape):
    rows = rng.normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Learned:
    """Stands for an example: only its soft targets and columns are asked for."""

    def __init__(self, inputs, notes, soft=None):
        self.inputs, self.notes, self.soft = inputs, notes, soft


@pytest.fixture
def made():
    """A loss of random networks, two texts of one meaning, and two pieces of different lengths."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    layout = Layout(0.5, ("s",), (("x",),), np.zeros(1, np.float32), np.ones(1, np.float32))
    same = np.eye(N_TEXTS, dtype=bool)
    same[0, 1] = same[1, 0] = True
    vocabulary = Vocabulary(tuple("abcd"), unit(rng, N_TEXTS, DIMENSION), same)
    pieces = []
    for target in ([-1, 0, 0, -2, 2, 2, 2, -1], [3, 3, -1, 1]):
        inputs = rng.normal(size=(len(target), layout.n_features)).astype(np.float32)
        pieces.append((inputs, np.asarray(target), None, np.asarray([0])))
    coordinator = new_coordinator(layout, PLAN, DIMENSION)
    examples = [Learned(x, notes) for x, _, _, notes in pieces]
    return BatchLoss(coordinator, vocabulary, examples, PLAN, World()).eval(), pieces, vocabulary


def test_frames_choose_among_all_texts_and_nothing(made):
    loss, pieces, vocabulary = made
    rows, positive = [], []
    padded = np.zeros((2, 8, pieces[0][0].shape[1]), np.float32)
    for i, (inputs, *_) in enumerate(pieces):
        padded[i, : len(inputs)] = inputs
    logits = loss.coordinator(torch.from_numpy(padded), loss.texts)[0]
    for i, (_, target, _, _) in enumerate(pieces):
        for k, text in enumerate(target):
            if text > -2:
                rows.append(logits[i, k])
                row = [text >= 0 and bool(vocabulary.same[text, j]) for j in range(N_TEXTS)]
                positive.append([*row, text == -1])
    wanted = multi_positive_nce(torch.stack(rows), torch.tensor(positive))
    assert float(loss(pieces)["frames"]) == pytest.approx(float(wanted), rel=1e-5)


def test_spans_are_pooled_and_compared_with_the_texts_of_all_spans(made):
    loss, pieces, vocabulary = made
    padded = np.zeros((2, 8, pieces[0][0].shape[1]), np.float32)
    for i, (inputs, *_) in enumerate(pieces):
        padded[i, : len(inputs)] = inputs
    embedded = loss.coordinator(torch.from_numpy(padded), loss.texts)[1]
    spans = [(0, 1, 3, 0), (0, 4, 7, 2), (1, 0, 2, 3), (1, 3, 4, 1)]
    pooled = torch.stack([embedded[i, a:b].mean(0) for i, a, b, _ in spans])
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    texts = [text for *_, text in spans]
    same = torch.from_numpy(vocabulary.same[np.ix_(texts, texts)])
    named = loss.coordinator.text(loss.texts)[texts]
    wanted = 0.5 * symmetric_nce(pooled, named, same, loss.coordinator.scale)
    assert float(loss(pieces)["spans"]) == pytest.approx(float(wanted), rel=1e-5)


def test_soft_targets_are_the_cross_entropy_of_a_posterior(made):
    """With as much of each text as usual, logits and log shares make the prediction."""
    loss, pieces, vocabulary = made
    rng = np.random.default_rng(1)
    inputs, notes = pieces[1][0], np.asarray([2, 3])
    soft = rng.dirichlet(np.ones(3), len(inputs)).astype(np.float32)
    unknown = np.full(len(inputs), -2)
    weak = BatchLoss(loss.coordinator, vocabulary, [Learned(inputs, notes, soft)], PLAN, World()).eval()
    shares = np.ones(N_TEXTS + 1)
    np.add.at(shares, [2, 3, 4], soft.sum(axis=0, dtype=np.float64))
    logits = loss.coordinator(torch.from_numpy(inputs[None]), loss.texts)[0][0].detach().numpy()
    scores = logits + np.log(shares / shares.sum())
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    wanted = -(soft * log_p[:, [2, 3, 4]]).sum(axis=1).mean()
    parts = weak([(inputs, unknown, soft, notes)])
    assert float(parts["soft"]) == pytest.approx(wanted, rel=1e-4)
    assert float(parts["frames"]) == 0.0 and "spans" not in parts


def test_frames_that_nobody_knows_teach_nothing_and_still_have_a_gradient(made):
    loss, pieces, _ = made
    unknown = [(x, np.full(len(y), -2), None, notes) for x, y, _, notes in pieces]
    parts = loss(unknown)
    total = torch.stack(list(parts.values())).sum()
    total.backward()
    assert float(total.detach()) == 0.0
    assert all(p.grad is None or not p.grad.any() for p in loss.parameters())


def test_a_process_without_a_session_takes_part_with_nothing(made):
    total = torch.stack(list(made[0]([]).values())).sum()
    total.backward()
    assert float(total.detach()) == 0.0


def test_edges_are_learned_from_spans_and_from_posteriors_alike(made):
    _, pieces, vocabulary = made
    plan = dataclasses.replace(PLAN, edges=True)
    layout = Layout(0.5, ("s",), (("x",),), np.zeros(1, np.float32), np.ones(1, np.float32))
    inputs, target = pieces[1][0], np.asarray([3, 3, -1, -1])
    soft = np.asarray([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    coordinator = new_coordinator(layout, plan, DIMENSION)
    notes = np.asarray([3])
    loss = BatchLoss(coordinator, vocabulary, [Learned(inputs, notes, soft)], plan, World()).eval()
    certain = loss([(inputs, target, None, notes)])["edges"]
    posterior = loss([(inputs, np.full(4, -2), soft, notes)])["edges"]
    assert float(certain.detach()) > 0.1
    assert float(posterior.detach()) == pytest.approx(float(certain.detach()), rel=1e-5)
