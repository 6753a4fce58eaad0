"""align/warping/batched.py: each pair as ``dtw_distance`` has it; CUDA in the simulator and on a card, if any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from align.errors import ParameterError, ResourceError
from align.kernels.cuda_dtw import has_card
from align.warping import batched
from align.warping.batched import dtw_batch
from tests import naive

ROOT = Path(__file__).parent.parent.parent
SIZES = [(1, 1), (5, 3), (2, 9), (40, 33), (7, 7)]


def pairs_of(sizes, d, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) for n, _ in sizes], [rng.normal(size=(m, d)) for _, m in sizes]


def expected_of(a, b):
    squares = [((x[:, None] - y[None]) ** 2).sum(axis=2) for x, y in zip(a, b, strict=True)]
    return np.sqrt([naive.dtw_totals(cost)[-1, -1] for cost in squares])


@pytest.mark.parametrize("d", [1, 3])
def test_each_pair_has_its_own_distance(d):
    a, b = pairs_of(SIZES, d)
    np.testing.assert_allclose(dtw_batch(a, b), expected_of(a, b), rtol=1e-12)
    np.testing.assert_allclose(dtw_batch(a, b, dtype=np.float32), expected_of(a, b), rtol=1e-5)


def test_threads_never_change_a_bit(monkeypatch):
    a, b = np.random.default_rng(1).normal(size=(2, 70, 12))
    want = dtw_batch(a, b, device="cpu")
    monkeypatch.setattr(batched, "_SMALL", 0)
    for threads in (1, 2, 5):
        np.testing.assert_array_equal(dtw_batch(a, b, device="cpu", threads=threads), want)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": "cuda:x"}, "device is 'cuda:x'"),
        ({"threads": 0}, "threads is 0"),
        ({"dtype": np.int32}, "float64 or float32"),
        ({"b": np.zeros((2, 4))}, "b is '2 series'; allowed: 3"),
        ({"b": np.zeros((3, 4, 2))}, "channels"),
        ({"b": np.full((3, 4), np.nan)}, "NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        dtw_batch(**({"a": np.zeros((3, 4)), "b": np.zeros((3, 4))} | arguments))


@pytest.mark.skipif(has_card(), reason="there is a CUDA card")
def test_a_card_that_is_not_there_is_an_error_and_auto_takes_the_cpu(monkeypatch):
    a, b = pairs_of(SIZES, 1)
    for name in ("cuda", "cuda:3"):
        with pytest.raises(ResourceError, match=f"E-DEVICE {name} was asked for"):
            dtw_batch(a, b, device=name)
    monkeypatch.setattr(batched, "_SMALL", 0)
    np.testing.assert_allclose(dtw_batch(a, b, device="auto"), expected_of(a, b), rtol=1e-12)


def test_importing_the_stage_loads_neither_torch_nor_cuda():
    code = "import sys, align.warping; print('torch' in sys.modules, 'numba.cuda' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


SIMULATED = """
import numpy as np
import align.kernels.cuda_dtw as cuda_dtw
from align.warping import batched
from tests.warping.test_batched import expected_of, pairs_of

assert cuda_dtw.card_name() == "the simulator"
cuda_dtw.MOST_THREADS = 2  # strips of eight rows
batched._BUDGET = 200  # several parts
a, b = pairs_of([(1, 1), (5, 3), (2, 9), (19, 11), (12, 13)], 2)
for dtype, off in ((np.float64, 1e-14), (np.float32, 1e-5)):
    found = batched.dtw_batch(a, b, device="cuda", dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected_of(a, b), rtol=off)
print("as on the CPU")
"""


def test_the_cuda_kernel_gives_the_cpus_answers_in_numbas_simulator():
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")}
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED],
        env=environment | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout.strip() == "as on the CPU", done.stderr[-3000:]


@pytest.mark.skipif(not has_card(), reason="needs a CUDA card that numba sees")
@pytest.mark.parametrize(("dtype", "off"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("sizes", [SIZES, [(128, 128)] * 1000, [(3000, 2500), (20, 2500)]])
def test_a_card_gives_the_cpus_answers(sizes, dtype, off):
    for d in (1, 5):
        a, b = pairs_of(sizes, d)
        np.testing.assert_allclose(
            dtw_batch(a, b, device="cuda", dtype=dtype), dtw_batch(a, b, device="cpu"), rtol=off
        )
