"""align/warping/soft.py: against the definition, finite differences, tslearn, hard DTW; CUDA in the simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError, ResourceError
from align.warping import soft
from align.warping.soft import soft_dtw, soft_dtw_alignment, soft_dtw_divergence, soft_dtw_of_costs
from tests import naive

ROOT = Path(__file__).parent.parent.parent


def normal(*shape, seed=0, dtype=torch.float64, grad=False):
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.tensor(values, dtype=dtype, requires_grad=grad)


def costs_of(x, y):
    return ((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1)


def test_value_is_the_twins_and_tslearns():
    from tslearn.metrics import soft_dtw as tslearns

    x, y = normal(3, 14, 2, seed=1), normal(3, 11, 2, seed=2)
    losses = soft_dtw(x, y, gamma=0.6)  # tslearn's numba way compiles for a minute
    for k in range(3):
        assert float(losses[k]) == pytest.approx(
            naive.soft_dtw(costs_of(x[k], y[k]).numpy(), 0.6)[0], rel=1e-12
        )
        assert float(losses[k]) == pytest.approx(
            float(tslearns(x[k], y[k], gamma=0.6, be="pytorch")), rel=1e-9
        )


@pytest.mark.parametrize("sizes", [((3, 5), (2, 4)), ((9, 10), (9, 3)), ((10, 8), (1, 8))])
def test_gradients_equal_finite_differences(sizes):
    (n, m), short = sizes
    x, y = normal(2, n, 2, seed=3, grad=True), normal(2, m, 2, seed=4, grad=True)
    lengths = {"lengths_x": torch.tensor([n, short[0]]), "lengths_y": torch.tensor([m, short[1]])}
    for function in (soft_dtw, soft_dtw_divergence):
        assert torch.autograd.gradcheck(lambda a, b, f=function: f(a, b, gamma=0.8, **lengths), (x, y))
    costs = normal(2, n, m, seed=5, grad=True)
    both = torch.tensor([[n, m], list(short)])
    assert torch.autograd.gradcheck(lambda c: soft_dtw_of_costs(c, gamma=0.8, lengths=both), (costs,))


@pytest.mark.parametrize("d", [1, 5])
def test_gradients_equal_those_through_the_costs(d):
    x, y = normal(4, 70, d, seed=6, grad=True), normal(4, 90, d, seed=7, grad=True)
    weights = torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64)
    direct = torch.autograd.grad((weights * soft_dtw(x, y)).sum(), (x, y))
    through = torch.autograd.grad((weights * soft_dtw_of_costs(costs_of(x, y))).sum(), (x, y))
    for a, b in zip(direct, through, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)
    assert not direct[0][2].any()


def test_float32_in_is_float32_out_computed_in_float64():
    x, y = normal(2, 40, 1, seed=8), normal(2, 50, 1, seed=9)
    single = [t.float().requires_grad_() for t in (x, y)]
    double = [t.detach().double().requires_grad_() for t in single]
    losses = [soft_dtw(*pair) for pair in (single, double)]
    assert losses[0].dtype == torch.float32
    torch.testing.assert_close(losses[0], losses[1].float(), atol=0, rtol=0)
    grads = [
        torch.autograd.grad(loss.sum(), pair)[0] for loss, pair in zip(losses, (single, double), strict=True)
    ]
    torch.testing.assert_close(grads[0], grads[1].float(), atol=0, rtol=0)


def test_padding_may_hold_anything_and_gets_no_gradient():
    x, y = normal(2, 9, 2, seed=10), normal(2, 7, 2, seed=11)
    alone = soft_dtw(x[1:, :4], y[1:, :5])
    x[1, 4:], y[1, 5:] = float("nan"), float("inf")
    assert float(soft_dtw(x, y, lengths_x=torch.tensor([9, 4]), lengths_y=torch.tensor([7, 5]))[1]) == float(
        alone
    )
    x.requires_grad_()
    losses = soft_dtw(x, y, lengths_x=torch.tensor([9, 4]), lengths_y=torch.tensor([7, 5]))
    losses.sum().backward()
    assert bool(x.grad.isfinite().all()) and not x.grad[1, 4:].any()


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.floats(-4, 2))
def test_law_soft_is_never_above_hard(seed, n, m, log_gamma):
    x, y = normal(n, 2, seed=seed), normal(m, 2, seed=seed + 1)
    hard = naive.dtw_totals(costs_of(x, y).numpy())[-1, -1]
    assert float(soft_dtw(x, y, gamma=10.0**log_gamma)) <= hard * (1 + 1e-12) + 1e-12


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_law_hard_is_the_limit(seed, n, m):
    x, y = normal(n, 1, seed=seed), normal(m, 1, seed=seed + 1)
    hard = naive.dtw_totals(costs_of(x, y).numpy())[-1, -1]
    assert float(soft_dtw(x, y, gamma=1e-9)) == pytest.approx(hard, rel=1e-6, abs=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9))
def test_law_divergence_is_at_least_zero_symmetric_and_zero_at_equality(seed, n, m):
    x, y = normal(1, n, 1, seed=seed), normal(1, m, 1, seed=seed + 1)
    there = float(soft_dtw_divergence(x, y, gamma=0.5))
    assert there >= -1e-12
    assert float(soft_dtw_divergence(y, x, gamma=0.5)) == pytest.approx(there, rel=1e-10, abs=1e-12)
    assert float(soft_dtw_divergence(x, x.clone(), gamma=0.5)) == pytest.approx(0.0, abs=1e-12)


def test_alignment_is_the_gradient_and_tends_to_the_path():
    costs = normal(2, 12, 15, seed=12, grad=True)
    (gradient,) = torch.autograd.grad(soft_dtw_of_costs(costs, gamma=0.3).sum(), costs)
    torch.testing.assert_close(soft_dtw_alignment(costs, gamma=0.3), gradient, atol=0, rtol=0)
    sharp = soft_dtw_alignment(costs[0], gamma=1e-6)
    assert sharp.shape == (12, 15)
    assert set(sharp.round(decimals=9).unique().tolist()) == {0.0, 1.0}
    assert float((sharp * costs[0].detach()).sum()) == pytest.approx(
        float(soft_dtw_of_costs(costs[0], gamma=1e-6))
    )


def test_a_loss_falls_when_followed():
    target, x = normal(1, 20, 1, seed=13), normal(1, 20, 1, seed=14, grad=True)
    optimizer = torch.optim.SGD([x], lr=0.03)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = soft_dtw_divergence(x, target).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_a_second_derivative_is_refused():
    x, y = normal(1, 4, 1, grad=True), normal(1, 5, 1, seed=1)
    for loss in (soft_dtw(x, y), soft_dtw_of_costs(costs_of(x, y))):
        with pytest.raises(ParameterError, match="create_graph is True; allowed: False"):
            torch.autograd.grad(loss.sum(), x, create_graph=True)


def test_threads_never_change_a_bit(monkeypatch):
    x, y = normal(7, 30, 2, seed=15, grad=True), normal(7, 40, 2, seed=16)
    want = torch.autograd.grad(soft_dtw(x, y).sum(), x)[0]
    monkeypatch.setattr(soft, "_SMALL", 0)
    for threads in (2, 3, 16):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=threads: n)
        torch.testing.assert_close(torch.autograd.grad(soft_dtw(x, y).sum(), x)[0], want, atol=0, rtol=0)


X = torch.zeros(2, 3, 1)
BAD = [
    (lambda: soft_dtw(X, X, gamma=0.0), "gamma is 0.0"),
    (lambda: soft_dtw(X, X, gamma=float("nan")), "gamma is nan"),
    (lambda: soft_dtw(X.int(), X), "torch.int32"),
    (lambda: soft_dtw(X, X.double()), "torch.float64 on cpu"),
    (lambda: soft_dtw(X, torch.zeros(2, 3, 2)), "channels of x"),
    (lambda: soft_dtw(X, torch.zeros(3, 3, 1)), "batch"),
    (lambda: soft_dtw(X, torch.zeros(2, 0, 1)), "no side of 0"),
    (lambda: soft_dtw(X[0, 0], X), "shape"),
    (lambda: soft_dtw(X, X + float("nan")), "y is 'NaN, infinite or huge values'"),
    (lambda: soft_dtw(X, X, lengths_x=torch.tensor([0, 3])), "1 to 3"),
    (lambda: soft_dtw(X, X, lengths_y=torch.tensor([4, 3])), "1 to 3"),
    (lambda: soft_dtw(X, X, lengths_x=torch.tensor([1.0, 3.0])), "integers of shape"),
    (lambda: soft_dtw(X.to("meta"), X.to("meta")), "on meta"),
    (lambda: soft_dtw_of_costs(X, lengths=torch.tensor([3, 1])), "rows, columns"),
    (lambda: soft_dtw_alignment(X.double() * 1e70 + 1e70), "finite numbers up to 1e\\+60"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_a_pair_beyond_the_budget_is_refused():
    with pytest.raises(ResourceError, match="E-MEMORY"):
        soft_dtw(torch.zeros(1, 20_000, 1), torch.zeros(1, 20_000, 1))


SIMULATED = """
import types, numpy as np, torch
import align.kernels.cuda_soft_dtw as cuda_soft_dtw
from align.kernels.cuda_soft_dtw import SoftKernels, soft_kernels
from align.warping import soft

class OverNumpy:  # the simulator takes numpy's arrays; these share the tensors' memory
    def __init__(self, kernel):
        self.kernel = kernel
    def __getitem__(self, launch):
        def run(*inputs):
            self.kernel[launch](*(t.numpy() if isinstance(t, torch.Tensor) else t for t in inputs))
        return run

cuda_soft_dtw.soft_kernels = lambda real: SoftKernels(*map(OverNumpy, soft_kernels(real)))
cuda_soft_dtw.MOST_THREADS = 2  # strips of two rows
torch.cuda.current_stream = lambda: types.SimpleNamespace(cuda_stream=0)
generator = torch.Generator().manual_seed(0)
for dtype, off in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
    x = torch.randn(2, 5, 2, dtype=dtype, generator=generator) + 100.0
    y = torch.randn(2, 6, 2, dtype=dtype, generator=generator) + 100.0
    costs, sizes = torch.randn(2, 5, 6, dtype=dtype, generator=generator), torch.tensor([[5, 6], [3, 2]])
    turn = dtype == torch.float64
    a, b, c, s = (y, x, costs.mT, sizes.flip(1)) if turn else (x, y, costs, sizes)
    a, b = soft._without_padding(a, s[:, 0]), soft._without_padding(b, s[:, 1])
    pairs = [(soft._series_loss(a, b, s, 0.7, True), soft._series_on_card(a, b, s, 0.7, True))]
    if turn:
        pairs.append((soft._cost_loss(c, s, 0.7, True), soft._costs_on_card(c, s, 0.7, True)))
    else:
        pairs.append((pairs[0][0][:1], soft._series_on_card(a, b, s, 0.7, False)[:1]))
    for want, got in pairs:
        for u, v in zip(want, got, strict=True):
            assert u.shape == v.shape and u.dtype == v.dtype
            assert float((u - v).abs().max()) <= off * 20, (dtype, float((u - v).abs().max()))
print("as on the CPU")
"""


def test_the_cuda_kernels_give_the_cpus_answers_in_numbas_simulator():
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")}
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED],
        env=environment | {"NUMBA_ENABLE_CUDASIM": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout.strip() == "as on the CPU", done.stderr[-3000:]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card that torch sees")
@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
@pytest.mark.parametrize(
    ("n", "m", "d"), [(1, 1, 1), (40, 33, 3), (512, 512, 64), (1500, 1100, 2), (64, 3000, 1)]
)
def test_a_card_gives_the_cpus_answers(n, m, d, dtype, off):
    cpu = [(normal(3, rows, d, seed=rows) / d**0.5).to(dtype).requires_grad_() for rows in (n, m)]
    card = [t.detach().cuda().requires_grad_() for t in cpu]
    lengths = {"lengths_x": torch.tensor([n, n, 1 + n // 2]), "lengths_y": torch.tensor([m, 1 + m // 3, m])}
    found = []
    for pair in (cpu, card):
        losses = soft_dtw(*pair, gamma=0.5, **lengths)
        found.append([losses.detach(), *torch.autograd.grad(losses.sum(), pair)])
    for u, v in zip(*found, strict=True):
        torch.testing.assert_close(v.cpu(), u, rtol=off, atol=off)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card that torch sees")
def test_a_card_gives_the_cpus_alignments():
    costs = normal(3, 130, 90, seed=17)
    torch.testing.assert_close(
        soft_dtw_alignment(costs.cuda()).cpu(), soft_dtw_alignment(costs), rtol=0, atol=1e-9
    )
