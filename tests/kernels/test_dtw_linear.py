"""align/kernels/dtw_linear.py: the strips against the plain table, bit for bit, and their machine code."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest

import align.kernels.dtw_linear as module
from align.kernels.dtw import accumulate, local_costs
from align.kernels.dtw_linear import ROWS, sweep
from tests import naive

compiled_plainly = pytest.mark.skipif(
    "1" in (os.environ.get("NUMBA_DISABLE_JIT"), os.environ.get("NUMBA_BOUNDSCHECK")), reason="other code"
)
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
LENGTHS = [(5, 3)] if INTERPRETED else [(1, 1), (1, 9), (9, 1), (4, 700), (511, 64), (512, 130), (1030, 517)]
NONE = np.empty((2, 0), np.int64)


def walk(seed, n, d):
    """Whole steps, so that ties are common."""
    return np.random.default_rng(seed).integers(-2, 3, size=(n, d)).cumsum(axis=0).astype(float)


def swept(a, b, limits=NONE, weights=None, every=1):
    """Run the kernel on a whole table: last row, kept rows and columns, path."""
    row, col = np.full(len(b) + 1, np.inf), np.full(len(a), np.inf)
    row[0] = 0.0
    rows = np.full((-(-len(a) // ROWS), len(b) + 1), np.inf)
    columns = np.full((-(-len(b) // every), len(a)), np.inf)
    weights = np.empty(0) if weights is None else weights
    path = np.empty((len(a) + len(b), 2), np.int64)
    length, i, j = sweep(a, b, (row, col), limits, weights, every, (rows, columns), path)
    assert (i, j) == (-1, -1)
    return row, rows, columns, path[:length][::-1]


NO_PATH = np.empty((0, 2), np.int64)


def nothing(a, b):
    return np.empty((0, len(b) + 1), a.dtype), np.empty((0, len(a)), a.dtype)


def corridor(n, m, radius):
    middle = np.arange(n) * m // n
    return np.array([np.maximum(middle - radius, 0), np.minimum(middle + radius + 1, m)])


def costs(a, b, limits=NONE):
    cost = local_costs(a, b)
    if limits.shape[1]:
        j = np.arange(len(b))
        cost[(j < limits[0][:, None]) | (j >= limits[1][:, None])] = np.inf
    return cost


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("radius", [None, 40])
@pytest.mark.parametrize(("n", "m"), LENGTHS)
def test_last_row_and_kept_rows_and_columns_are_the_tables(n, m, radius, d):
    a, b = walk(1, n, d), walk(2, m, d)
    limits = NONE if radius is None or n < m / 9 else corridor(n, m, radius)
    table = accumulate(costs(a, b, limits))
    row, rows, columns, _ = swept(a, b, limits, every=max(1, m // 2))
    window = slice(0, m) if not limits.shape[1] else slice(limits[0, -1], limits[1, -1])
    assert (row[1:][window] == table[-1][window]).all()
    kept = [min((k + 1) * max(1, m // 2), m) - 1 for k in range(len(columns))]
    assert (columns == table[:, kept].T).all()
    for k in range(1, len(rows)):
        i = k * ROWS
        reached = (
            slice(0, m) if not limits.shape[1] else slice(limits[0, i], limits[1, i])
        )  # by the row below
        assert (rows[k, 1:][reached] == table[i - 1][reached]).all()


def test_the_plain_table_is_the_definition():
    a, b = walk(3, 6, 1), walk(4, 9, 1)
    row, *_ = swept(a, b)
    assert (row[1:] == naive.dtw_totals((a - b.T) ** 2)[-1]).all()


def test_weights_multiply_the_cost_by_distance_in_time():
    n, m = (4, 3) if INTERPRETED else (600, 90)
    a, b = walk(5, n, 1), walk(6, m, 1)
    weights = np.random.default_rng(0).random(n + m - 1)
    i, j = np.indices((n, m))
    table = accumulate(costs(a, b) * weights[i - j + m - 1])
    row, *_ = swept(a, b, NONE, weights)
    assert (row[1:] == table[-1]).all()


@pytest.mark.parametrize(("n", "m"), LENGTHS[:1] + LENGTHS[3:])
def test_a_block_continues_from_any_edges(n, m):
    """Rows and columns of totals in, rows of totals out: the lower right quarter of a table."""
    a, b = walk(7, n + 3, 1), walk(8, m + 2, 1)
    table = accumulate(costs(a, b))
    row, col = table[2, 1:].copy(), table[3:, 1].copy()
    sweep(a[3:], b[2:], (row, col), NONE, np.empty(0), 1, nothing(a[3:], b[2:]), NO_PATH)
    assert (row == table[-1, 1:]).all()


@pytest.mark.parametrize("radius", [None, 40])
@pytest.mark.parametrize("every", [1, 100, 2000])
def test_traced_path_is_the_naive_one(every, radius):
    for n, m in LENGTHS[:1] + LENGTHS[4:]:
        a, b = walk(9, n, 1), walk(10, m, 1)
        limits = NONE if radius is None or n > 9 * m else corridor(n, m, radius)
        path = swept(a, b, limits, every=every)[-1]
        assert path.tolist() == naive.dtw_path_of(costs(a, b, limits))


def test_float32_stays_float32():
    a, b = walk(1, 30, 1).astype(np.float32), walk(2, 20, 1).astype(np.float32)
    row, col = np.full(21, np.inf, np.float32), np.full(30, np.inf, np.float32)
    row[0] = 0
    sweep(a, b, (row, col), NONE, np.empty(0, np.float32), 1, nothing(a, b), NO_PATH)
    assert row[-1] == accumulate(costs(a.astype(float), b.astype(float)))[-1, -1]  # whole numbers: exact


def wide() -> bool:
    file = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and file.exists() and " avx " in file.read_text("utf-8")


@pytest.mark.skipif(not wide(), reason="looks for AVX instructions")
@compiled_plainly
@pytest.mark.parametrize("name", ["plain_step", "band_step", "local_step"])
def test_the_steps_are_vectorised(name):
    """A numba or LLVM that silently went back to scalars would be several times slower."""
    numba = pytest.importorskip("numba")
    floats, whole = numba.float64[::1], numba.int64[::1]
    place = numba.types.UniTuple(numba.uint64, 4)
    signature = {
        "plain_step": (*[floats] * 6, place),
        "band_step": (*[floats] * 6, whole, place),
        "local_step": (*[floats] * 5, place),
    }[name]
    options = {"error_model": "numpy", "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
    compiled = numba.njit(signature, **options)(getattr(module, name).py_func)
    code = "".join(compiled.inspect_asm().values())
    assert len(re.findall(r"vminpd.*%[yz]mm", code)) >= 8, "no vector minima"
    assert re.search(r"vaddpd.*%[yz]mm", code), "no vector sums"
    assert not re.search(r"lock|NRT_incref", code), "reference counts are back"
