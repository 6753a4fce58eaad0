"""Penalised segmentation: never worse than dynamic programming without pruning, on any signal."""

from __future__ import annotations

import itertools
import os
import platform
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align.kernels.lazy_lanes as lanes_module
from align.kernels.functional import functional_pruning
from align.kernels.lazy_bounds import BACK, front_for, lazy_bounds
from align.kernels.pelt import backtrack, misfit, pelt, prefix_sums
from tests.naive import least_penalised_cost, penalised_cost

EXAMPLES = int(os.environ.get("ALIGN_TEST_EXAMPLES", "60"))
compiled_plainly = pytest.mark.skipif(
    "1" in (os.environ.get("NUMBA_DISABLE_JIT"), os.environ.get("NUMBA_BOUNDSCHECK")), reason="other code"
)
compiled_only = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
SOLVERS = {"pelt": pelt, "lazy_bounds": lazy_bounds}


def solve(values, penalty, min_size, solver="pelt"):
    """Change points by the kernels, as the segmentation stage calls them."""
    n, d = values.shape
    front = front_for(min_size)
    sums = prefix_sums(values, values.mean(axis=0), np.ones(d), front, BACK)
    price = SOLVERS[solver](sums, front, n, penalty, min_size)
    return backtrack(sums, price, front, n, penalty, min_size)


def signal(kind: str, n: int, d: int, seed: int):
    """Signals that pruning rules get wrong: steps, ties, flat lines, drifts, far offsets, spikes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, d))
    ramp = np.linspace(0, rng.uniform(-10, 10), n)[:, None]
    steps = np.repeat(rng.normal(0, 4, (n // 20 + 1, d)), 20, axis=0)[:n]
    return {
        "noise": noise,
        "steps": steps + noise,
        "exact steps": steps,
        "integers": rng.integers(-2, 3, (n, d)).astype(float),
        "flat": np.zeros((n, d)),
        "ramp": ramp + 0.3 * noise,
        "walk": noise.cumsum(axis=0),
        "offset": 1e8 + steps + noise,
        "spikes": noise + 50.0 * (rng.random((n, d)) < 0.02),
    }[kind]


KINDS = ("noise", "steps", "exact steps", "integers", "flat", "ramp", "walk", "offset", "spikes")


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 400),
    d=st.sampled_from([1, 9]),  # compiled for 1 and for 8 channels, the latter with one more
    min_size=st.integers(1, 39),
    penalty=st.sampled_from([0.0, 0.3, 3.0, 12.0, 60.0]),
    seed=st.integers(0, 10_000),
)
def test_never_worse_than_dynamic_programming(solver, kind, n, d, min_size, penalty, seed):
    if n < min_size:
        n = min_size
    values = signal(kind, n, d, seed)
    changes = solve(values, penalty, min_size, solver)
    edges = np.concatenate([[0], changes, [n]])
    assert (np.diff(edges) >= min_size).all()
    least = least_penalised_cost(values, penalty, min_size)
    assert penalised_cost(values, changes, penalty) == pytest.approx(least, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("min_size", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_naive_twin_is_the_minimum_over_all_segmentations(min_size, seed):
    values = np.random.default_rng(seed).integers(0, 4, (8, 2)).astype(float)
    every = []
    for k in range(8):
        for changes in itertools.combinations(range(1, 8), k):
            if (np.diff([0, *changes, 8]) >= min_size).all():
                every.append(penalised_cost(values, changes, 1.5))
    assert least_penalised_cost(values, 1.5, min_size) == pytest.approx(min(every))


def test_prefix_sums_on_a_far_offset_over_several_blocks():
    """200,000 samples of noise on an offset 1e8 times as large: the sums keep the noise's digits."""
    noise = np.random.default_rng(0).normal(size=(200_000, 2))
    values = noise + 1e8
    shift = values.mean(axis=0)
    exact = (values.astype(np.longdouble) - shift).cumsum(axis=0)
    sums = prefix_sums(values, shift, np.ones(2), 3, 2)
    assert sums.shape == (2, 200_006)
    assert (sums[:, :4] == 0).all() and (sums[:, -3:] == sums[:, [-3]]).all()
    assert np.abs(sums[:, 4:-2].T - exact).max() < 1e-9


def test_prefix_sums_scale_and_read_float32():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    sums = prefix_sums(values, np.array([1.0, 2.0]), np.array([2.0, -1.0]), 0, 0)
    np.testing.assert_allclose(sums[:, 1:], ((values - [1.0, 2.0]) * [2.0, -1.0]).cumsum(axis=0).T)


def test_misfit_is_the_definition_whatever_the_offset():
    values = signal("steps", 300, 3, 1)
    changes = np.array([40, 41, 200])
    expected = penalised_cost(values * [1.0, 2.0, 0.0], changes, 0.0)
    edges = np.concatenate([[0], changes, [300]])
    for offset in (0.0, 1e7):
        assert misfit(values + offset, np.array([1.0, 2.0, 0.0]), edges) == pytest.approx(expected, rel=1e-6)


@compiled_only
def test_solvers_agree_on_a_long_signal_with_deep_bounds():
    """12,000 samples: three levels of the tree, and more than any twin could check."""
    for kind in ("noise", "steps", "ramp"):
        values = signal(kind, 12_000, 2, 7)
        penalty = 4 * np.log(len(values))
        found = [solve(values, penalty, 2, solver).tolist() for solver in SOLVERS]
        assert found[0] == found[1]


@compiled_only
@pytest.mark.parametrize("slope", [0.2, 2.0, 20.0])
def test_slow_drifts_leave_few_candidates_and_the_optimum(slope):
    """Where functional pruning shines: most candidates of opened leaves are dropped for good, none wrongly."""
    values = np.random.default_rng(3).normal(size=(20_000, 1)) + slope * np.linspace(0, 1, 20_000)[:, None]
    penalty = 2 * np.log(len(values))
    front = front_for(1)
    sums = prefix_sums(values, values.mean(axis=0), np.ones(1), front, BACK)
    price = lazy_bounds(sums, front, len(values), penalty, 1)
    expected = functional_pruning(sums, front, len(values), penalty, 1)
    np.testing.assert_allclose(price[front : front + 20_001], expected[front:], rtol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 1023, 1024, 1025, 4_099])
def test_prefix_sums_of_any_length(n):
    values = np.random.default_rng(n).normal(size=(n, 3))
    sums = prefix_sums(values, np.array([0.5, 0.0, -2.0]), np.array([1.0, 3.0, -1.0]), 2, 1)
    expected = ((values - [0.5, 0.0, -2.0]) * [1.0, 3.0, -1.0]).cumsum(axis=0).T
    np.testing.assert_allclose(sums[:, 3:-1], expected, rtol=1e-9, atol=1e-9)
    assert (sums[:, :3] == 0).all() and (sums[:, -1] == sums[:, -2]).all()


@pytest.mark.parametrize("front", [0, 5, 40])
def test_backtrack_reads_nothing_before_the_first_position(front):
    values = np.repeat([0.0, 3.0, 1.0, 9.0], [40, 3, 50, 7])[:, None]
    sums = prefix_sums(values, values.mean(axis=0), np.ones(1), front, 0)
    price = pelt(sums, front, 100, 0.5, 1)
    assert backtrack(sums, price, front, 100, 0.5, 1).tolist() == [40, 43, 93]


def _avx() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " avx " in file.read()
    except OSError:
        return False


@pytest.mark.skipif(platform.machine() != "x86_64" or not _avx(), reason="looks for AVX instructions")
@compiled_plainly
@pytest.mark.parametrize("name", ["newborn_wins", "push", "leaf_values", "count_awake", "sieve"])
def test_the_hot_loops_are_vectorised(name):
    """A numba or LLVM that silently went back to scalars would be several times slower."""
    numba = pytest.importorskip("numba")
    floats, table, whole, real = numba.float64[::1], numba.float64[:, ::1], numba.int64, numba.float64
    tree = numba.types.Tuple((table, numba.int64[::1], numba.uint8[::1]))
    block = numba.types.Tuple((table, numba.int64[::1]))
    width = numba.types.UniTuple(numba.types.Tuple(()), 1)
    signature = {
        "newborn_wins": (table, floats, whole, whole, table, width),
        "push": (table, floats, whole, whole, block, width),
        "leaf_values": (table, floats, tree, whole, block, width),
        "count_awake": (table, whole, table, whole, real, table, width),
        "sieve": (table, floats, tree, whole, whole, whole, table),
    }[name]
    compiled = numba.njit(signature, **lanes_module.OPTIONS)(getattr(lanes_module, name).py_func)
    code = "".join(compiled.inspect_asm().values())
    assert re.search(r"v\w*subpd.*%[yz]mm", code), "no vector differences"
    assert re.search(r"v(\w*mul|fn?m)\w*pd.*%[yz]mm", code), "no vector products"
    assert not re.search(r"lock|NRT_incref", code), "reference counts are back"
    assert name != "push" or not re.search(r"vmovup[ds]\s+%[yz]mm\d+,.*\{%k", code), (
        "a store under a mask, awaited by the next load"
    )
