"""align/coordination/functions/relational.py against loops, and what may change without changing them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from align.coordination.functions.relational import NeighbourMatch, SimilarityMatch

BOTH = [SimilarityMatch, NeighbourMatch]
both = pytest.mark.parametrize("kind", BOTH)


def unit(n, d=4, seed=0):
    return F.normalize(torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d))), dim=1)


def test_similarity_match_is_one_minus_pearsons():
    a, b = unit(7), unit(7, 5, seed=1)
    pairs = [(i, j) for i in range(7) for j in range(i)]
    alike = [[float(v[i] @ v[j]) for i, j in pairs] for v in (a, b)]
    assert float(SimilarityMatch(4, (1, 1))(a, b)) == pytest.approx(1 - np.corrcoef(alike)[0, 1])


def test_neighbour_match_is_the_formula():
    a, b = unit(5), unit(5, seed=1)
    total = 0.0
    for i in range(5):
        chosen = []
        for v in (a, b):
            e = {j: math.exp(float(v[i] @ v[j]) / 0.1) for j in range(5) if j != i}
            chosen.append({j: x / sum(e.values()) for j, x in e.items()})
        p, q = chosen
        total += sum(p[j] * math.log(p[j] / q[j]) + q[j] * math.log(q[j] / p[j]) for j in p) / 2
    assert float(NeighbourMatch(4, (1, 1))(a, b)) == pytest.approx(total / 5)


@both
def test_the_same_relations_cost_nothing_and_others_do(kind):
    objective, a, b = kind(4, (1, 1)), unit(9), unit(9, seed=1)
    turn = torch.linalg.qr(unit(4, seed=3))[0]
    assert float(objective(a, a @ turn)) == pytest.approx(0, abs=1e-9)
    assert float(objective(a, b)) > 0.1
    assert float(objective(a, b)) == pytest.approx(float(objective(b, a)))


@both
def test_the_order_of_pairs_does_not_matter_and_the_pairing_does(kind):
    objective, a, b = kind(4, (1, 1)), unit(9), unit(9) + 0.1 * unit(9, seed=1)
    shuffled = torch.randperm(9, generator=torch.manual_seed(1))
    assert float(objective(a[shuffled], b[shuffled])) == pytest.approx(float(objective(a, b)))
    assert float(objective(a[shuffled], b)) > 3 * float(objective(a, b))


def test_similarity_match_does_not_mind_levels_and_spreads():
    a = unit(8)
    common = torch.cat([0.5 * a, torch.full((8, 1), 0.8, dtype=a.dtype)], dim=1)  # everything is rather alike
    assert float(SimilarityMatch(4, (1, 1))(a, common)) == pytest.approx(0, abs=1e-9)
    assert float(NeighbourMatch(4, (1, 1))(a, common)) > 0.1


@both
def test_gradients_are_finite_differences(kind):
    a, b = unit(5).requires_grad_(), unit(5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(kind(4, (1, 1)), (a, b))


@both
def test_equal_vectors_have_no_relations_to_match(kind):
    a = torch.ones(6, 4, dtype=torch.float64, requires_grad=True)
    value = kind(4, (1, 1))(a, a)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-12) and bool(torch.isfinite(a.grad).all())


@both
def test_training_on_it_makes_relations_alike(kind):
    b, a = unit(12).float(), unit(12, seed=1).float().requires_grad_()
    objective, optimiser = kind(4, (1, 1)), torch.optim.Adam([a], 0.05)
    first = float(objective(F.normalize(a, dim=1), b).detach())
    for _ in range(100):
        loss = objective(F.normalize(a, dim=1), b)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.3 * first
