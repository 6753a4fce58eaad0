"""align/coordination/losses/sequence_loss.py against loops, finite differences and its purpose."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from align.coordination.losses.sequence_loss import order_contrast, order_costs, order_hinge, other_orders
from align.errors import ParameterError
from tests import naive


def drawn(n, m, seed=0):
    return torch.randn(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def by_loops(costs, gamma):
    return naive.soft_dtw(costs.numpy(), gamma)[0] / len(costs)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.floats(0.05, 2.0), st.integers(0, 1000))
def test_costs_of_orders_are_soft_dtw_of_the_columns_in_that_order(n, m, gamma, seed):
    costs, orders = drawn(n, m, seed), torch.tensor(list(permutations(range(m))))
    expected = [by_loops(costs[:, order], gamma) for order in orders]
    assert order_costs(costs, orders, gamma=gamma).tolist() == pytest.approx(expected, abs=1e-9)


def test_both_losses_are_their_formulas():
    costs, orders = drawn(9, 4), other_orders(range(4), 5, seeded())
    written = by_loops(costs, 0.3)
    others = [by_loops(costs[:, order], 0.3) for order in orders]
    hinge = sum(max(0.0, 0.2 + written - c) for c in others) / 5
    assert float(order_hinge(costs, orders, gamma=0.3, margin=0.2)) == pytest.approx(hinge)
    odds = [math.exp(-c / 0.5) for c in (written, *others)]
    contrast = -math.log(odds[0] / sum(odds))
    assert float(order_contrast(costs, orders, gamma=0.3, temperature=0.5)) == pytest.approx(contrast)


def test_nothing_stands_before_between_and_after_the_notes():
    costs, nothing = drawn(7, 2), drawn(7, 1, seed=1)[:, 0]
    columns = torch.stack([nothing, costs[:, 1], nothing, costs[:, 0], nothing], dim=1)
    found = order_costs(costs, torch.tensor([[1, 0]]), nothing=nothing, gamma=0.3)
    assert float(found[0]) == pytest.approx(by_loops(columns, 0.3))


def test_frames_of_nothing_need_no_note():
    """Two notes far from each other; what lies between fits neither."""
    costs = torch.ones(12, 2, dtype=torch.float64)
    costs[1:3, 0] = costs[9:11, 1] = 0.0
    nothing = costs.amin(1).ceil().logical_not().double()  # free wherever no note fits
    orders = other_orders([0, 1], 1, seeded())
    written, swapped = order_costs(
        costs, torch.cat([torch.tensor([[0, 1]]), orders]), nothing=nothing, gamma=0.01
    )
    assert float(written) < 0.1 < 0.2 < float(swapped)
    assert float(order_costs(costs, torch.tensor([[0, 1]]), gamma=0.01)[0]) > 0.5


@pytest.mark.parametrize("loss", [order_hinge, order_contrast])
def test_gradients_are_finite_differences(loss):
    costs, orders = drawn(6, 3).requires_grad_(), torch.tensor([[1, 0, 2], [2, 1, 0], [0, 2, 1]])
    assert torch.autograd.gradcheck(lambda c: loss(c, orders, gamma=0.4), (costs,))
    nothing = drawn(6, 1, seed=1)[:, 0].requires_grad_()
    both = (costs, nothing)
    assert torch.autograd.gradcheck(lambda c, o: loss(c, orders, nothing=o, gamma=0.4), both)


@pytest.mark.parametrize("loss", [order_hinge, order_contrast])
def test_the_right_order_costs_less_than_a_wrong_one(loss):
    """Notes that fit their thirds of the stream, and the same stream backwards."""
    costs = 1.0 - torch.eye(3, dtype=torch.float64).repeat_interleave(5, dim=0)
    orders = other_orders(range(3), 4, seeded())
    assert float(loss(costs, orders)) < 0.1 < 0.3 < float(loss(costs.flip(0), orders))


@pytest.mark.parametrize("loss", [order_hinge, order_contrast])
def test_order_alone_teaches_which_frame_is_which_note(loss):
    """Frames of three kinds in a known order, no times: a linear map finds the kinds."""
    generator = seeded(5)
    kinds = torch.eye(3, 6)
    weights = (0.1 * torch.randn(6, 3, generator=generator)).requires_grad_()
    for _ in range(60):
        order = torch.randperm(3, generator=generator)
        frames = kinds[order].repeat_interleave(4, dim=0) + 0.1 * torch.randn(12, 6, generator=generator)
        costs = -F.log_softmax(4.0 * F.normalize(frames @ weights, dim=1), dim=1)[:, order]
        (slope,) = torch.autograd.grad(loss(costs, other_orders(range(3), 5, generator)), weights)
        weights = (weights - slope).detach().requires_grad_()
    assert (kinds @ weights).argmax(1).tolist() == [0, 1, 2]


def test_N04_swapping_notes_that_say_the_same_is_no_wrong_order():
    assert other_orders([7, 7, 7], 10).shape == (0, 3)
    orders = other_orders([7, 7, 3], 50, seeded())
    reads = {tuple([7, 7, 3][i] for i in order) for order in orders.tolist()}
    assert reads == {(7, 3, 7), (3, 7, 7)}
    assert len(orders) == len(reads)  # no two read the same


def test_other_orders_are_permutations_as_many_as_asked():
    orders = other_orders(range(8), 20, seeded(1))
    assert orders.shape == (20, 8)
    assert torch.equal(orders.sort(1).values, torch.arange(8).expand(20, 8))
    assert len({tuple(o) for o in orders.tolist()} | {tuple(range(8))}) == 21
    assert torch.equal(orders, other_orders(range(8), 20, seeded(1)))
    assert other_orders(range(8), 0).shape == (0, 8)
    assert other_orders([], 3).shape == (0, 0)


@pytest.mark.parametrize("loss", [order_hinge, order_contrast])
def test_without_another_order_there_is_nothing_to_learn(loss):
    costs = drawn(4, 1).requires_grad_()
    value = loss(costs, other_orders([0], 3))
    value.backward()
    assert float(value.detach()) == 0.0
    assert not costs.grad.any()


def test_what_does_not_fit_is_refused():
    costs, orders = drawn(4, 2), torch.tensor([[1, 0]])
    for call, name in (
        (lambda: order_costs(costs[0], orders), "costs"),
        (lambda: order_costs(costs.half(), orders), "costs"),
        (lambda: order_costs(costs, orders[:, :1]), "orders"),
        (lambda: order_costs(costs, orders.double()), "orders"),
        (lambda: order_costs(costs, orders, nothing=costs), "nothing"),
        (lambda: order_costs(costs, orders, nothing=costs[:, 0].float()), "nothing"),
        (lambda: order_costs(costs, orders, gamma=0.0), "gamma"),
        (lambda: order_hinge(costs, orders, margin=-1.0), "margin"),
        (lambda: order_contrast(costs, orders, temperature=0.0), "temperature"),
        (lambda: other_orders([0, 1], -1), "number"),
    ):
        with pytest.raises(ParameterError) as refused:
            call()
        assert refused.value.name == name
