"""align/coordination/functions/deep_correlation.py against the closed form, autograd and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from align.coordination.functions.correlation import canonical_maps
from align.coordination.functions.deep_correlation import (
    CorrelatedAutoencoders,
    DeepCorrelation,
    total_correlation,
)
from align.errors import ParameterError


def views(n=40, d=4, e=3, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 2))
    pair = [causes @ rng.normal(size=(2, k)) + noise * rng.normal(size=(n, k)) for k in (d, e)]
    return [torch.from_numpy(v) for v in pair]


def by_eigenvectors(a, b, ridge):
    """The definition, through autograd's own derivative of an eigendecomposition."""
    roots = []
    centred = [v - v.mean(0) for v in (a, b)]
    for v in centred:
        values, vectors = torch.linalg.eigh(v.T @ v / (len(v) - 1) + ridge * torch.eye(v.shape[1]).to(v))
        roots.append(vectors @ (vectors / values.sqrt()).T)
    across = centred[0].T @ centred[1] / (len(a) - 1)
    return torch.linalg.svdvals(roots[0] @ across @ roots[1]).sum()


def test_it_is_the_sum_of_the_closed_form():
    a, b = views(200)
    expected = canonical_maps(a.numpy(), b.numpy(), regularisation=0.0).correlations.sum()
    assert float(total_correlation(a, b, 1e-12)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 4, 3), (40, 3, 3), (12, 2, 5)])
def test_gradient_is_that_of_the_definition_and_of_finite_differences(shape):
    a, b = (v.requires_grad_() for v in views(*shape))
    expected = torch.autograd.grad(by_eigenvectors(a, b, 0.1), (a, b))
    value = total_correlation(a, b, 0.1)
    assert float(value.detach()) == pytest.approx(float(by_eigenvectors(a, b, 0.1).detach()))
    for found, wanted in zip(torch.autograd.grad(value, (a, b)), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert torch.autograd.gradcheck(lambda x, y: total_correlation(x, y, 0.1), (a, b))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_gradient_is_finite_where_eigenvalues_repeat(n):
    """Fewer pairs than dimensions, repeated rows, columns of zeros: that of an eigendecomposition is none."""
    a, b = (v.requires_grad_() for v in views(n, 8, 8))
    total_correlation(a, b).backward()
    assert bool(torch.isfinite(a.grad).all()) and bool(a.grad.any())
    same = torch.ones(n, 8, dtype=torch.float64, requires_grad=True)
    value = total_correlation(same, same)
    value.backward()
    assert float(value.detach()) == 0.0 and bool(torch.isfinite(same.grad).all())


def test_scales_and_turns_hardly_matter_and_noise_does():
    a, b = views(200)
    value = float(total_correlation(a, b, 1e-9))
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.manual_seed(0)))[0]
    assert float(total_correlation(100 * a @ turn + 3, b, 1e-9)) == pytest.approx(value, abs=1e-6)
    assert float(total_correlation(*views(200, noise=3.0), 1e-9)) < 0.7 * value


def test_single_precision_is_near_double():
    a, b = views()
    single = total_correlation(a.float(), b.float())
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(float(total_correlation(a, b)), abs=1e-5)


def test_the_objective_is_minus_the_mean():
    a, b = views(40, 4, 4)
    objective = DeepCorrelation(4, (1, 1))
    assert float(objective(a, b)) == pytest.approx(-float(total_correlation(a, b)) / 4)
    assert float(objective(a[:3], b[:3])) == pytest.approx(-float(total_correlation(a[:3], b[:3])) / 2)
    assert -1 <= float(objective(a, a)) < -0.99


def test_training_on_it_finds_what_no_line_can():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (300, 1))
    y = x**2 + 0.05 * rng.normal(size=x.shape)
    x, y = (torch.from_numpy(v).float() for v in (x, y))
    torch.manual_seed(0)
    nets = nn.ModuleList(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)) for _ in range(2))
    optimiser = torch.optim.Adam(nets.parameters(), 1e-2)
    linear = canonical_maps(x.numpy(), y.numpy()).correlations[0]
    for _ in range(150):
        loss = DeepCorrelation(1, (1, 1))(nets[0](x), nets[1](y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert linear < 0.2 and float(loss.detach()) < -0.9


def test_dccae_adds_what_the_decoders_miss():
    a, b = views(40, 4, 4)
    x, y = (torch.randn(40, n, dtype=torch.float64, generator=torch.manual_seed(n)) for n in (6, 5))
    torch.manual_seed(0)
    objective = CorrelatedAutoencoders(4, (6, 5)).double()
    missed = []
    for decode, seen, view in zip(objective.decoders, (a, b), (x, y), strict=True):
        error = ((decode(seen) - view) ** 2).mean()
        missed.append(float(error / ((view - view.mean(0)) ** 2).mean()))
    expected = -float(total_correlation(a, b)) / 4 + sum(missed) / 2
    assert float(objective(a, b, x, y)) == pytest.approx(expected)
    with torch.no_grad():
        for decoder in objective.decoders:
            decoder[2].weight.zero_()
            decoder[2].bias.zero_()
    none = objective(a, b, x - x.mean(0), y - y.mean(0))
    assert float(none) == pytest.approx(1 - float(total_correlation(a, b)) / 4)


def test_dccae_without_views_is_refused():
    a, b = views(10, 4, 4)
    with pytest.raises(ParameterError, match="views"):
        CorrelatedAutoencoders(4, (6, 5))(a, b)


def test_dccae_learns_to_tell_the_views_again():
    a, b = (v.float() for v in views(100, 4, 4))
    torch.manual_seed(0)
    objective = CorrelatedAutoencoders(4, (4, 4))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    first = float(objective(a, b, a, b).detach())
    for _ in range(100):
        loss = objective(a, b, a, b)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < first - 0.8
