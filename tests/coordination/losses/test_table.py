"""align/coordination/losses/table.py against loops, closed forms and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from align.coordination.losses.hinges import hardest_hinge, triplet_hinge
from align.coordination.losses.table import (
    LOSSES,
    both_ways,
    mil_nce,
    multi_positive_nce,
    pair_loss,
    pairwise_sigmoid,
    soft_frame_loss,
    soft_targets,
    symmetric_nce,
)
from align.errors import ParameterError


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


# --- the table of losses


def drawn(n, m, seed):
    """Logits, and positives of which some rows have none and some all."""
    rng = np.random.default_rng(seed)
    positive = rng.random((n, m)) < rng.choice([0.0, 0.3, 0.6, 1.0], size=(n, 1))
    return torch.from_numpy(3 * rng.normal(size=(n, m))), torch.from_numpy(positive)


def log1pexp(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def by_loops(name, logits, weights):
    """Every loss of the table for one row, as its docstring says."""
    right = [j for j, w in enumerate(weights) if w > 0]
    wrong = [j for j, w in enumerate(weights) if w == 0]
    if name == "nce":
        outside = sum(math.exp(logits[k]) for k in wrong)
        return np.mean([-math.log(math.exp(logits[j]) / (math.exp(logits[j]) + outside)) for j in right])
    if name == "mil-nce":
        bag = sum(weights[j] * math.exp(logits[j]) for j in right)
        return -math.log(bag / (bag + sum(math.exp(logits[k]) for k in wrong)))
    if name == "triplet":
        return np.mean([max(0.0, 2.0 - logits[j] + logits[k]) for j in right for k in wrong] or [0.0])
    if name == "vse++":
        return np.mean([max([0.0, *(2.0 - logits[j] + logits[k] for k in wrong)]) for j in right])
    if name == "siglip":  # under a bias of 0.7
        return sum(
            w * log1pexp(-x - 0.7) + (1 - w) * log1pexp(x + 0.7) for x, w in zip(logits, weights, strict=True)
        )
    total = math.log(sum(math.exp(x) for x in logits))
    return -sum(w / sum(weights) * (x - total) for x, w in zip(logits, weights, strict=True))


def with_bias(name):
    return (lambda x, p: pairwise_sigmoid(x, p, bias=0.7)) if name == "siglip" else pair_loss(name)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10_000))
def test_every_loss_is_its_formula(name, n, m, seed):
    logits, positive = drawn(n, m, seed)
    rows = [
        by_loops(name, x, [float(p) for p in marks])
        for x, marks in zip(logits.tolist(), positive.tolist(), strict=True)
        if any(marks)
    ]
    expected = float(np.mean(rows)) if rows else 0.0
    assert float(with_bias(name)(logits, positive)) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("name", ["siglip", "mil-nce", "soft"])
def test_weights_instead_of_marks(name):
    logits, positive = drawn(6, 5, 3)
    weights = positive * torch.from_numpy(np.random.default_rng(4).random((6, 5)))
    rows = [by_loops(name, x, w) for x, w in zip(logits.tolist(), weights.tolist(), strict=True) if any(w)]
    assert float(with_bias(name)(logits, weights)) == pytest.approx(float(np.mean(rows)), rel=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_every_loss(name):
    logits, positive = drawn(6, 5, 8)
    assert positive.any(1).sum() < 6  # a row without a positive is among them
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: with_bias(name)(x, positive), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_N04_a_paraphrase_is_never_pushed_away(name):
    """However near a second right text is, no loss pushes it away; the wrong one is pushed by all."""
    logits = torch.tensor([[3.0, 2.5, 2.9]], requires_grad=True)
    with_bias(name)(logits, torch.tensor([[True, True, False]])).backward()
    assert logits.grad[0, 1] <= 0.0 < logits.grad[0, 2]


@pytest.mark.parametrize("name", LOSSES)
def test_no_positive_at_all_costs_nothing_and_has_a_gradient(name):
    logits = random(3, 4).requires_grad_()
    loss = pair_loss(name)(logits, torch.zeros(3, 4, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_large_logits_stay_finite_in_every_loss(name):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    positive = torch.tensor([[False, True, False], [True, False, True]])
    loss = pair_loss(name)(logits, positive)
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert bool(torch.isfinite(logits.grad).all())


def test_the_losses_learn():
    """A few steps down any of them rank the right column first."""
    for name, loss in LOSSES.items():
        logits, positive = random(5, 5, seed=2).requires_grad_(), torch.eye(5, dtype=torch.bool)
        for _ in range(100):
            (slope,) = torch.autograd.grad(loss(logits, positive), logits)
            logits = (logits - slope).detach().requires_grad_()
        assert logits.argmax(1).tolist() == list(range(5)), name


def test_a_bag_needs_one_right_member_and_infonce_all():
    logits = torch.tensor([[9.0, -9.0, 0.0]])
    positive = torch.tensor([[True, True, False]])
    assert float(mil_nce(logits, positive)) < 1e-3 < 4.0 < float(multi_positive_nce(logits, positive))


def test_the_margin_ends_the_pull():
    positive = torch.tensor([[True, False, False]])
    for loss in (triplet_hinge, hardest_hinge):
        assert float(loss(torch.tensor([[3.0, 1.0, 0.9]]), positive)) == 0.0
        assert float(loss(torch.tensor([[3.0, 1.0, 0.9]]), positive, margin=3.0)) > 0.0


def test_sigmoid_without_a_bias_takes_the_share_of_positives():
    logits, positive = random(4, 8), torch.eye(4, 8, dtype=torch.bool)
    expected = pairwise_sigmoid(logits, positive, bias=math.log(1 / 7))
    assert float(pairwise_sigmoid(logits, positive)) == pytest.approx(float(expected))
    bias = torch.tensor(-1.0, requires_grad=True)
    pairwise_sigmoid(logits, positive, bias).backward()
    assert float(bias.grad) != 0.0


def test_soft_targets_of_a_posterior_is_the_frame_loss():
    logits, weights = random(6, 4), torch.softmax(random(6, 4, seed=1), 1)
    assert float(soft_targets(logits, 3.0 * weights)) == pytest.approx(
        float(soft_frame_loss(logits, weights))
    )


def test_both_ways_is_the_symmetric_loss():
    a, b, same = unit(5, 3), unit(5, 3, seed=1), torch.eye(5, dtype=torch.bool)
    logits = 7.0 * (a @ b.T)
    assert torch.equal(
        both_ways(multi_positive_nce, logits, same), symmetric_nce(a, b, same, torch.tensor(7.0).double())
    )


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"nce, siglip, triplet, vse\+\+, mil-nce, soft"):
        pair_loss("clip")
