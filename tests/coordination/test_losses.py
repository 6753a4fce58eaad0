"""align/coordination/losses.py against loops, closed forms and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from align.coordination.losses import multi_positive_nce, soft_frame_loss, symmetric_nce


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def unit(*shape, seed=0):
    return F.normalize(random(*shape, seed=seed), dim=-1)


def nce_by_loops(logits, positive):
    rows = []
    for i, row in enumerate(logits.tolist()):
        wrong = sum(math.exp(x) for x, p in zip(row, positive[i].tolist(), strict=True) if not p)
        right = [math.exp(x) for x, p in zip(row, positive[i].tolist(), strict=True) if p]
        if right:
            rows.append(np.mean([-math.log(r / (r + wrong)) for r in right]))
    return float(np.mean(rows)) if rows else 0.0


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_nce_is_the_formula(n, m, seed):
    logits = 3 * random(n, m, seed=seed)
    positive = torch.from_numpy(np.random.default_rng(seed + 1).random((n, m)) < 0.4)
    assert float(multi_positive_nce(logits, positive)) == pytest.approx(
        nce_by_loops(logits, positive), abs=1e-9
    )


def test_one_positive_a_row_is_cross_entropy():
    logits, index = random(6, 4), torch.tensor([0, 3, 2, 2, 1, 0])
    positive = F.one_hot(index, 4).bool()
    assert float(multi_positive_nce(logits, positive)) == pytest.approx(float(F.cross_entropy(logits, index)))


def test_equal_logits_cost_the_log_of_one_plus_the_wrong_ones():
    positive = torch.tensor([[True, True, False, False, False]])
    assert float(multi_positive_nce(torch.zeros(1, 5), positive)) == pytest.approx(math.log(4))


def test_N04_a_duplicate_of_the_right_text_is_never_a_negative():
    logits = torch.tensor([[5.0, -2.0, 1.0]], requires_grad=True)
    positive = torch.tensor([[True, True, False]])
    multi_positive_nce(logits, positive).backward()
    assert logits.grad[0, 0] < 0 and logits.grad[0, 1] < 0 < logits.grad[0, 2]


def test_rows_without_a_positive_do_not_count():
    logits, positive = random(3, 4), torch.zeros(3, 4, dtype=torch.bool)
    assert float(multi_positive_nce(logits, positive)) == 0.0
    positive[1, 2] = True
    assert float(multi_positive_nce(logits, positive)) == float(
        multi_positive_nce(logits[1:2], positive[1:2])
    )


def test_only_positives_cost_nothing():
    assert float(multi_positive_nce(random(2, 3), torch.ones(2, 3, dtype=torch.bool))) == 0.0


def test_large_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    wrong = torch.tensor([[False, True], [True, False]])
    assert float(multi_positive_nce(logits, ~wrong)) == 0.0
    assert float(multi_positive_nce(logits, wrong)) == pytest.approx(2e4)


def test_symmetric_nce_is_both_directions():
    a, b, scale = unit(5, 3), unit(5, 3, seed=1), torch.tensor(7.0, dtype=torch.float64)
    same = torch.eye(5, dtype=torch.bool)
    same[0, 3] = same[3, 0] = True
    logits = 7.0 * (a @ b.T)
    expected = 0.5 * (nce_by_loops(logits, same) + nce_by_loops(logits.T, same))
    assert float(symmetric_nce(a, b, same, scale)) == pytest.approx(expected)
    assert float(symmetric_nce(b, a, same, scale)) == pytest.approx(expected)
    apart = torch.eye(5, dtype=torch.bool)
    assert float(symmetric_nce(a, a, apart, 100 * scale)) < 1e-6 < float(symmetric_nce(a, b, apart, scale))


def test_soft_loss_is_the_formula_and_least_at_its_target():
    logits, target = random(6, 4), torch.softmax(random(6, 4, seed=1), 1)
    p = torch.softmax(logits, 1)
    by_loops = -np.mean(
        [
            sum(t * math.log(q) for t, q in zip(*rows, strict=True))
            for rows in zip(target.tolist(), p.tolist(), strict=True)
        ]
    )
    assert float(soft_frame_loss(logits, target)) == pytest.approx(by_loops)
    entropy = -float((target * target.log()).sum(1).mean())
    assert float(soft_frame_loss(target.log(), target)) == pytest.approx(entropy)
    assert float(soft_frame_loss(logits, target)) > entropy
    one = F.one_hot(torch.tensor([1, 0, 3, 3, 2, 1]), 4).double()
    assert float(soft_frame_loss(logits, one)) == pytest.approx(float(F.cross_entropy(logits, one.argmax(1))))


@pytest.mark.parametrize("loss", ["nce", "symmetric", "soft"])
def test_gradients_are_finite_differences(loss):
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    functions = {
        "nce": lambda x: multi_positive_nce(x, same),
        "symmetric": lambda x: symmetric_nce(x, unit(4, 4, seed=2), same, torch.tensor(5.0)),
        "soft": lambda x: soft_frame_loss(x, torch.softmax(random(4, 4, seed=3), 1)),
    }
    x = random(4, 4).requires_grad_()
    functions[loss](x).backward()
    step = 1e-6
    for i, j in [(0, 0), (1, 3), (2, 1)]:
        moved = x.detach().clone()
        moved[i, j] += step
        up = float(functions[loss](moved))
        moved[i, j] -= 2 * step
        assert float(x.grad[i, j]) == pytest.approx(
            (up - float(functions[loss](moved))) / (2 * step), abs=1e-7
        )
