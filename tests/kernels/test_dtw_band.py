"""align/kernels/dtw_band.py: bands of any shape against the plain table, bit for bit, and its machine code."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import align.kernels.dtw_band as module
from align.kernels.dtw import accumulate, local_costs
from align.kernels.dtw_band import band_total
from align.warping import Band
from align.warping.bands import column_ranges

compiled_plainly = pytest.mark.skipif(
    "1" in (os.environ.get("NUMBA_DISABLE_JIT"), os.environ.get("NUMBA_BOUNDSCHECK")), reason="other code"
)


def of_table(a, b, limits):
    cost = local_costs(a[:, None], b[:, None])
    j = np.arange(len(b))
    cost[(j < limits[0][:, None]) | (j >= limits[1][:, None])] = np.inf
    return accumulate(cost)[-1, -1]


def any_band(rng, n, m):
    """Random ends around a random path: steps of 0 to 3 columns, every row joined to the one before."""
    low, high = np.zeros(n, np.int64), np.full(n, m, np.int64)
    high[0] = rng.integers(1, m + 1)
    for i in range(1, n):
        high[i] = min(m, high[i - 1] + rng.integers(0, 4))
        low[i] = min(low[i - 1] + rng.integers(0, 3), high[i - 1], high[i] - 1)
    high[-1] = m
    if n > 1:
        low[-1] = min(low[-1], high[-2])
    return np.stack([low, high])


@given(st.integers(0, 2**32 - 1))
def test_any_band_gives_the_total_of_the_table(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 40, 2)
    limits = any_band(rng, n, m)
    a, b = (rng.integers(-3, 4, k).astype(float) for k in (n, m))
    assert band_total(a, b, limits) == of_table(a, b, limits)


@pytest.mark.parametrize("band", [Band("sakoe-chiba", 0), Band("sakoe-chiba", 9), Band("itakura", 2.0)])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (60, 60), (61, 60), (90, 70), (70, 90)])
def test_named_bands_give_the_total_of_the_table(n, m, band):
    rng = np.random.default_rng(n)
    limits = np.stack(column_ranges(n, m, band))
    a, b = rng.standard_normal(n), rng.standard_normal(m)
    assert band_total(a, b, limits) == of_table(a, b, limits)


def test_float32_stays_float32():
    a, b = np.array([0.1, 0.2, 0.4], np.float32), np.array([0.1, 0.3, 0.4], np.float32)
    total = band_total(a, b, np.array([[0, 0, 1], [2, 3, 3]]))
    near = [(x - y) * (x - y) for x, y in zip(a, b, strict=True)]
    assert np.float32(total) == near[1] + near[0] + near[2]


def wide() -> bool:
    file = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and file.exists() and " avx " in file.read_text("utf-8")


@compiled_plainly
@pytest.mark.skipif(not wide(), reason="looks for AVX instructions")
def test_the_loop_is_vectorised():
    numba = pytest.importorskip("numba")
    signature = (*[numba.float64[::1]] * 4, numba.types.UniTuple(numba.int64, 4), numba.int64)
    options = {"error_model": "numpy", "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
    compiled = numba.njit(signature, **options)(module.advance.py_func)
    code = "".join(compiled.inspect_asm().values())
    assert len(re.findall(r"vminpd.*%[yz]mm", code)) >= 2, "no vector minima"
    assert not re.search(r"lock|NRT_incref", code), "reference counts are back"
