"""align/coordination/functions/table.py: the laws of every coordination function."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from align.coordination import bundle_files, fit_coordination, load_coordination
from align.coordination.functions.table import (
    FUNCTIONS,
    OBJECTIVES,
    Cosine,
    Order,
    RadialKernel,
    coordination_function,
    training_objective,
)
from align.errors import ParameterError
from tests.coordination.sessions import TINY, made_session

KERNELS = ["linear", "polynomial", "exponential", "rbf"]
SYMMETRIC = ["cosine", "dot", *KERNELS]
TURNED = ["cosine", "polynomial", "exponential", "rbf"]  # a turn of both vectors changes nothing
every = pytest.mark.parametrize("name", list(FUNCTIONS))


def vectors(*shape, seed=0, unit=True, dtype=torch.float64):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)
    return F.normalize(x, dim=-1) if unit else x


def trained(name, d, seed=0, dtype=torch.float64):
    """A function whose parameters are not where they began."""
    function = coordination_function(name, d).to(dtype)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in function.parameters():
            parameter += torch.from_numpy(rng.normal(0, 0.5, tuple(parameter.shape))).to(dtype)
    return function


def by_loops(name, function, a, b):
    """The formula of each docstring on two lists of numbers."""
    p = {k: v.detach().numpy() for k, v in function.named_parameters()}
    a, b = a.numpy(), b.numpy()
    inner, apart = float(a @ b), float(((a - b) ** 2).sum())
    if name == "cosine":
        return inner
    if name == "dot":
        return math.exp(p["lengths"] @ a) * math.exp(p["lengths"] @ b) * inner
    if name == "linear":
        return sum(math.exp(w) * x * y for w, x, y in zip(p["log_weights"], a, b, strict=True))
    if name == "polynomial":
        c = math.exp(p["log_offset"])
        return ((inner + c) / (1 + c)) ** 3
    if name == "exponential":
        return math.exp(-(math.sqrt(apart + 1e-6) - 1e-3) / math.exp(p["log_width"]))
    if name == "rbf":
        return math.exp(-apart / (2 * math.exp(p["log_width"]) ** 2))
    at, bt = (np.abs(x) * math.exp(p["lengths"] @ x) for x in (a, b))
    return -2 * sum(max(0.0, y - x) ** 2 for x, y in zip(at, bt, strict=True))


@every
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.booleans(), st.integers(0, 9999))
def test_it_is_the_formula_for_every_pair(name, n, m, d, unit, seed):
    function = trained(name, d, seed)
    a, b = vectors(n, d, seed=seed, unit=unit), vectors(m, d, seed=seed + 1, unit=unit)
    found = function(a, b).detach()
    expected = [[by_loops(name, function, x, y) for y in b] for x in a]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-9)


@every
def test_batches_are_rows(name):
    function, a, b = trained(name, 5), vectors(2, 3, 4, 5), vectors(6, 5, seed=1)
    whole = function(a, b)
    assert whole.shape == (2, 3, 4, 6)
    torch.testing.assert_close(whole[1, 2], function(a[1, 2], b))
    assert function(a[:, :0], b).shape == (2, 0, 4, 6)
    assert function(a, b[:0]).shape == (2, 3, 4, 0)


def test_the_default_is_what_it_always_was_bit_for_bit():
    assert next(iter(FUNCTIONS)) == "cosine"
    a, b = vectors(3, 40, 64, dtype=torch.float32), vectors(7, 64, seed=1, dtype=torch.float32)
    assert torch.equal(coordination_function("cosine", 64)(a, b), a @ b.T)
    assert not list(Cosine(64).parameters())


@pytest.mark.parametrize("name", ["dot", "linear"])
def test_without_training_it_is_the_inner_product(name):
    a, b = vectors(5, 8, unit=False), vectors(4, 8, seed=1, unit=False)
    torch.testing.assert_close(coordination_function(name, 8).double()(a, b), a @ b.T)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_it_is_symmetric(name):
    function, a, b = trained(name, 6), vectors(5, 6), vectors(7, 6, seed=1)
    torch.testing.assert_close(function(a, b), function(b, a).T)


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(1, 4), st.booleans(), st.integers(0, 9999))
def test_a_kernel_is_positive_definite(name, n, d, unit, seed):
    x = vectors(n, d, seed=seed, unit=unit)
    x = torch.cat([x, x[:1], torch.zeros(1, d, dtype=x.dtype)])  # one twice, and none
    eigenvalues = torch.linalg.eigvalsh(trained(name, d, seed)(x, x).detach())
    assert float(eigenvalues.min()) >= -1e-9 * max(1.0, float(eigenvalues.max()))


@pytest.mark.parametrize("name", ["polynomial", "exponential", "rbf"])
def test_a_unit_vector_agrees_with_itself_fully_and_with_no_other_more(name):
    function, x = trained(name, 6), vectors(9, 6)
    agreement = function(x, x).detach()
    torch.testing.assert_close(agreement.diagonal(), torch.ones(9, dtype=x.dtype), atol=1e-6, rtol=0)
    assert float((agreement - torch.eye(9)).max()) < 1


@pytest.mark.parametrize("name", TURNED)
def test_a_turn_of_both_changes_nothing(name):
    function, a, b = trained(name, 5), vectors(4, 5), vectors(6, 5, seed=1)
    turn = torch.linalg.qr(vectors(5, 5, seed=2))[0]
    torch.testing.assert_close(function(a @ turn, b @ turn), function(a, b))


@pytest.mark.parametrize("name", ["exponential", "rbf"])
def test_a_shift_of_both_changes_nothing(name):
    function, a, b = trained(name, 5), vectors(4, 5), vectors(6, 5, seed=1)
    shift = vectors(5, seed=3, unit=False)
    torch.testing.assert_close(function(a + shift, b + shift), function(a, b))


@pytest.mark.parametrize("name", ["polynomial", "exponential", "rbf"])
def test_on_unit_vectors_it_ranks_as_the_cosine_does(name):
    function = coordination_function(name, 8).double()
    a, b = vectors(1, 8), vectors(30, 8, seed=1)
    order = (a @ b.T)[0].argsort()
    assert bool((function(a, b)[0].detach()[order].diff() > 0).all())


def test_rbf_on_unit_vectors_is_the_exponential_of_the_cosine():
    a, b = vectors(4, 6), vectors(5, 6, seed=1)
    torch.testing.assert_close(RadialKernel(6).double()(a, b), (a @ b.T - 1).exp())


@every
def test_gradients_are_finite_differences(name):
    function = trained(name, 3)
    a, b = vectors(4, 3).requires_grad_(), vectors(5, 3, seed=1).requires_grad_()
    parameters = tuple(function.parameters())
    assert torch.autograd.gradcheck(lambda a, b, *_: function(a, b), (a, b, *parameters), eps=1e-6)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vectors_of_zeros_and_equal_vectors_give_finite_numbers_and_gradients(name, dtype):
    function = trained(name, 4, dtype=dtype)
    a = torch.cat([torch.zeros(1, 4), vectors(2, 4, dtype=torch.float32)]).to(dtype).requires_grad_()
    b = a.detach().clone().requires_grad_()
    agreement = function(a, b)
    assert agreement.dtype == dtype and bool(torch.isfinite(agreement).all())
    agreement.sum().backward()
    for x in (a, b, *function.parameters()):
        assert bool(torch.isfinite(x.grad).all())


@pytest.mark.parametrize("name", ["cosine", "dot", "linear", "order"])
def test_a_text_of_zeros_agrees_0_with_everything(name):
    assert not trained(name, 4)(vectors(3, 4), torch.zeros(2, 4, dtype=torch.float64)).any()


@every
def test_single_precision_is_near_double(name):
    double, a, b = trained(name, 64), vectors(20, 64), vectors(30, 64, seed=1)
    single = trained(name, 64, dtype=torch.float32)
    torch.testing.assert_close(
        single(a.float(), b.float()), double(a, b).float(), atol=2e-5, rtol=1e-4, check_dtype=True
    )


@every
def test_under_autocast_it_is_near_what_it_is_without(name):
    function = trained(name, 16, dtype=torch.float32)
    a, b = vectors(6, 16, dtype=torch.float32).requires_grad_(), vectors(5, 16, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = function(a, b)
        found.float().sum().backward()
    assert bool(torch.isfinite(a.grad).all())
    torch.testing.assert_close(found.detach().float(), function(a, b).detach(), atol=0.2, rtol=0.05)


@every
def test_agreement_grows_as_a_vector_is_learned_towards_another(name):
    """What training needs: following the gradient brings a pair together and another apart."""
    function = coordination_function(name, 6)
    a, (near, far) = vectors(1, 6, dtype=torch.float32), vectors(2, 6, seed=1, dtype=torch.float32)
    a.requires_grad_()
    optimiser = torch.optim.SGD([a], 0.1)

    def margin():
        unit = F.normalize(a, dim=-1)
        return (function(unit, near[None]) - function(unit, far[None])).sum()

    before = float(margin().detach())
    for _ in range(60):
        optimiser.zero_grad()
        (-margin()).backward()
        optimiser.step()
    assert float(margin().detach()) > before + 0.1


# --- in a model


TRAINED = [*({"function": name} for name in FUNCTIONS), *({"objective": name} for name in OBJECTIVES)]


@pytest.fixture(scope="module")
def sessions():
    return [made_session(seed) for seed in range(4)]


@pytest.mark.parametrize("change", TRAINED, ids=lambda change: next(iter(change.values())))
def test_a_model_trained_with_it_is_the_same_when_it_is_read_again(change, sessions, tmp_path):
    model = fit_coordination(sessions, dataclasses.replace(TINY, epochs=2, **change))
    for name, content in bundle_files(model).items():
        (tmp_path / name).write_bytes(content)
    again = load_coordination(tmp_path)
    assert type(again.network.function) is FUNCTIONS[change.get("function", "cosine")]
    evidence = model.evidence(sessions[0])
    assert np.isfinite(evidence.log_odds).all()
    np.testing.assert_array_equal(again.evidence(sessions[0]).log_odds, evidence.log_odds)
    for name, parameter in again.network.function.named_parameters():
        begun = dict(coordination_function(change["function"], TINY.dimension).named_parameters())[name]
        assert not torch.equal(parameter, begun), f"{name} was not trained"


# --- the order


def rows(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


@torch.no_grad()
def test_order_is_a_partial_order():
    """Reflexive; two that imply each other are one; what is implied by the implied is implied."""
    order = Order(3).double()
    specific, general, most = rows([1.0, 2.0, 0.5]), rows([1.0, 0.5, 0.0]), rows([0.5, 0.0, 0.0])
    for x in (specific, general, most):
        assert float(order(x, x)) == 0
    assert float(order(specific, general)) == float(order(general, most)) == float(order(specific, most)) == 0
    assert float(order(general, specific)) == pytest.approx(-2 * (1.5**2 + 0.5**2))
    x = vectors(40, 2, seed=5, unit=False)
    implied = Order(2).double()(x, x) == 0
    assert not bool((implied & implied.T & ~torch.eye(40, dtype=torch.bool)).any())
    twice = (implied.double() @ implied.double()) > 0
    assert bool((implied | ~twice).all()) and int(implied.sum()) > 40


def test_order_tells_which_of_two_says_more_although_both_have_length_1():
    """'walked' is implied by 'walked downstairs', not the other way round, once lengths are learned."""
    walked, walked_down = rows([1.0, 0.0]), rows([2**-0.5, 2**-0.5])
    order = Order(2).double()
    with torch.no_grad():
        order.lengths[1] = math.log(2) * 2**0.5
    assert float(order(walked_down, walked).detach()) == 0.0 > float(order(walked, walked_down).detach())


def test_positions_have_no_negative_coordinate_and_keep_zero():
    order = trained("order", 4)
    x = torch.cat([vectors(6, 4), torch.zeros(1, 4, dtype=torch.float64)])
    assert bool((order.position(x) >= 0).all()) and not order.position(x)[-1].any()


def test_order_is_not_symmetric_and_both_ways_make_the_squared_distance():
    function, a, b = trained("order", 5), vectors(4, 5), vectors(6, 5, seed=1)
    there, back = function(a, b), function(b, a).T
    assert not torch.allclose(there, back)
    apart = torch.cdist(function.position(a), function.position(b)).square()
    torch.testing.assert_close(-(there + back) / 2, apart)


# --- the tables


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"allowed: one of cosine, dot, .*order"):
        coordination_function("cosin", 4)
    with pytest.raises(ParameterError, match=r"deep-cca.*or None"):
        training_objective("cca", 4, (3, 5))


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_an_objective_of_a_table_is_a_finite_scalar_with_gradients(name):
    objective = training_objective(name, 4, (3, 5))
    a, b = (vectors(9, 4, seed=s, dtype=torch.float32).requires_grad_() for s in (0, 1))
    x, y = vectors(9, 3, dtype=torch.float32), vectors(9, 5, dtype=torch.float32)
    value = objective(a, b, x, y)
    assert value.shape == () and bool(torch.isfinite(value))
    value.backward()
    assert bool(a.grad.any()) and bool(b.grad.any())
    for parameter in objective.parameters():
        assert bool(torch.isfinite(parameter.grad).all())


@pytest.mark.parametrize("name", list(OBJECTIVES))
@pytest.mark.parametrize("n", [0, 1, 2])
def test_T16_too_few_pairs_cost_nothing(name, n):
    a = vectors(n, 4, dtype=torch.float32).requires_grad_()
    value = training_objective(name, 4, (3, 5))(a, a, torch.zeros(n, 3), torch.zeros(n, 5))
    value.backward()
    assert float(value.detach()) == 0.0 and not a.grad.any()
