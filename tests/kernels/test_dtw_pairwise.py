"""align/kernels/dtw_pairwise.py: every lane has the bits of the definition."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels import dtw_pairwise as module
from align.kernels.dtw_pairwise import LANES, pair_totals
from tests import naive

AS_THEY_ARE = np.array([[0.0, 1.0]])
NO_BAND = np.empty((0, 2, 0), np.int64)


def sloped_band(n, m, radius):
    """Both ends non-decreasing, whatever the slope; always holds a path."""
    middle = np.arange(n) * (m - 1) // max(n - 1, 1)
    low = np.maximum(middle - radius, 0)
    high = np.minimum(np.append(middle[1:], m - 1) + radius + 1, m)
    return np.stack([low, high])


def collection(rng, lengths, d):
    series = [rng.standard_normal((n, d)).cumsum(axis=0) for n in lengths]
    return series, np.concatenate(series).ravel(), np.cumsum(lengths) - lengths


def some_pairs(rng, lengths, starts, count):
    i, j = rng.integers(len(lengths), size=(2, count))
    pairs = np.column_stack([starts[i], lengths[i], starts[j], lengths[j], np.arange(count)])
    return i, j, pairs


@pytest.mark.parametrize(
    ("longest", "d", "radius"), [(9, 1, None), (9, 1, 0), (12, 1, 2), (7, 3, None), (7, 2, 1)]
)
def test_ragged_lanes_equal_the_definition_bit_for_bit(longest, d, radius):
    rng = np.random.default_rng(longest + d)
    lengths = rng.integers(1, longest + 1, 12)
    series, flat, starts = collection(rng, lengths, d)
    i, j, pairs = some_pairs(rng, lengths, starts, LANES + 3)
    bands = [
        None if radius is None else sloped_band(len(series[p]), len(series[q]), radius)
        for p, q in zip(i, j, strict=True)
    ]
    ranges = NO_BAND
    if radius is not None:
        ranges = np.zeros((len(pairs), 2, longest), np.int64)
        for row, band in zip(ranges, bands, strict=True):
            row[:, : band.shape[1]] = band
    expected = [naive.band_total(series[p], series[q], band) for p, q, band in zip(i, j, bands, strict=True)]
    assert np.isfinite(expected).all()
    assert pair_totals(flat, flat, d, pairs, AS_THEY_ARE, ranges, np.inf).tolist() == expected


def test_a_pair_has_the_same_bits_in_every_tile_and_both_ways():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 10, 40)
    _, flat, starts = collection(rng, lengths, 1)
    _, _, pairs = some_pairs(rng, lengths, starts, 40)
    together = pair_totals(flat, flat, 1, pairs, AS_THEY_ARE, NO_BAND, np.inf)
    alone = [pair_totals(flat, flat, 1, pairs[p : p + 1], AS_THEY_ARE, NO_BAND, np.inf)[0] for p in range(5)]
    assert alone == together[:5].tolist()
    exchanged = pair_totals(flat, flat, 1, pairs[:, [2, 3, 0, 1, 4]].copy(), AS_THEY_ARE, NO_BAND, np.inf)
    assert exchanged.tolist() == together.tolist()


def test_norms_shift_and_scale_the_second_series():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 6))
    pairs = np.array([[0, 6, 0, 6, 0]] * 2)
    norms = np.array([[0.0, 1.0], [0.5, 2.0]])
    found = pair_totals(a, b, 1, pairs, norms, NO_BAND, np.inf)
    expected = [
        naive.band_total(a[:, None], b[:, None]),
        naive.band_total(a[:, None], ((b - 0.5) * 2.0)[:, None]),
    ]
    assert found.tolist() == expected


@given(st.integers(0, 2**32 - 1))
def test_what_is_abandoned_is_above_the_threshold(seed):
    rng = np.random.default_rng(seed)
    lengths = np.full(4, 20)
    _, flat, starts = collection(rng, lengths, 1)
    _, _, pairs = some_pairs(rng, lengths, starts, 4)
    exact = pair_totals(flat, flat, 1, pairs, AS_THEY_ARE, NO_BAND, np.inf)
    threshold = float(np.sort(exact)[rng.integers(4)]) * rng.random()
    found = pair_totals(flat, flat, 1, pairs, AS_THEY_ARE, NO_BAND, threshold)
    assert ((found == exact) | (np.isinf(found) & (exact > threshold))).all()


def test_hopeless_tiles_are_abandoned():
    flat = np.concatenate([np.zeros(24), np.ones(24)])
    found = pair_totals(flat, flat, 1, np.array([[0, 24, 24, 24, 0]]), AS_THEY_ARE, NO_BAND, 1.0)
    assert np.isinf(found[0])


def test_float32_stays_float32():
    flat = np.arange(6, dtype=np.float32)
    found = pair_totals(flat, flat, 1, np.array([[0, 3, 3, 3, 0]]), AS_THEY_ARE, NO_BAND, np.inf)
    assert found.dtype == np.float32
    assert found[0] == naive.band_total(flat[:3, None], flat[3:, None])


@pytest.mark.parametrize("name", ["_fill_columns", "_fill_edges"])
def test_lanes_are_vectors(name):
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT or numba.config.BOUNDSCHECK:
        pytest.skip("without compiled code, or with checks between the lanes")
    values, whole = numba.float64[::1], numba.int64
    tile = numba.types.UniTuple(values, 5)
    limits = () if name == "_fill_columns" else (numba.int64[::1],)
    compiled = numba.njit((tile, *limits, whole, whole, whole), nogil=True)(getattr(module, name).py_func)
    code = "".join(compiled.inspect_asm().values())
    assert re.search(r"vminpd.*%[yz]mm", code), "no vector minima"
    assert re.search(r"vmulpd.*%[yz]mm", code), "no vector products"
