"""Windows and their features: where they lie, and each feature against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.datatypes import Stream
from align.segmentation.window_features import Windows, fitted_look, place_windows, seen

lengths = st.lists(st.integers(1, 120), min_size=1, max_size=6)


@given(lengths, st.integers(1, 50), st.integers(1, 6), st.integers(0, 20))
def test_windows_lie_in_their_segments_and_never_overlap(sizes, length, least, more):
    edges = np.cumsum([0, *sizes])
    windows = place_windows(edges[:-1], edges[1:], length, (least, least + more))
    end = windows.start + windows.length
    assert (windows.start >= edges[windows.segment]).all() and (end <= edges[windows.segment + 1]).all()
    assert (windows.start[1:] >= end[:-1]).all() and (windows.length >= 1).all()
    count = np.bincount(windows.segment, minlength=len(sizes))
    for size, n in zip(sizes, count, strict=True):
        assert min(least, max(1, size // 4)) <= n <= least + more


def looked(values, start, length, seed=0):
    stream = Stream(values, rate=1.0)
    start = np.asarray(start)
    windows = Windows(
        start, np.broadcast_to(length, start.shape), np.zeros(start.size, np.int64), max(length)
    )
    return (stream, windows, *fitted_look(stream, windows, np.random.default_rng(seed)))


@pytest.mark.parametrize("length", [60, 700])  # filtered as they are; averaged over 3 samples first
def test_features_equal_their_definition(length):
    values = np.random.default_rng(0).normal(size=(3000, 2)).cumsum(axis=0)
    start = np.arange(0, 2000, 300)
    stream, _, look, features = looked(values, start, [length] * start.size)
    assert look.step == (1 if length == 60 else 3)
    raw = np.divide(features, look.weight, where=look.weight > 0, out=np.zeros_like(features)) + look.shift
    for row, a in enumerate(start):
        window = np.clip((stream.values[a : a + length] - look.location) / look.scale, -8, 8)
        assert raw[row, :2] == pytest.approx(window.mean(axis=0), abs=1e-6)
        assert raw[row, 2:4] == pytest.approx(np.log(window.std(axis=0) + 0.02), abs=1e-6)
        n = length // look.step
        coarse = window[: n * look.step].reshape(n, look.step, 2).mean(axis=1)
        assert raw[row, 8:10] == pytest.approx(np.quantile(coarse, 0.9, axis=0), abs=1e-6)
        for f in range(0, 64, 7):
            mixed, gap = coarse @ look.mix[f], look.spacing[f]
            spread = np.zeros(8 * gap + 1)
            spread[::gap] = look.taps[f]
            output = np.convolve(mixed, spread[::-1], mode="valid")
            shares = [(output > level).mean() for level in look.levels[f]]
            assert raw[row, 10 + 4 * f : 14 + 4 * f] == pytest.approx(shares, abs=1.01 / output.size)


def test_features_are_standardised_and_a_flat_line_has_none():
    rng = np.random.default_rng(1)
    features = looked(rng.normal(size=2000), np.arange(0, 1900, 50), [50] * 38)[3]
    assert features.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    sizes = (features[:, :5] ** 2).sum() / 38, (features[:, 5:] ** 2).sum() / 38
    assert sizes == pytest.approx((1.0, 1.0), abs=0.05)  # statistics and filters weigh alike
    assert not looked(np.full(500, 7.3), np.arange(0, 400, 50), [50] * 8)[3].any()


def test_a_window_looks_the_same_alone_and_among_others():
    values = np.random.default_rng(2).normal(size=1000)
    stream, windows, look, features = looked(values, [0, 100, 300, 500, 720], [100, 50, 100, 25, 3])
    for i in range(5):
        one = Windows(windows.start[[i]], windows.length[[i]], np.zeros(1, np.int64), 100)
        assert seen(look, stream, one)[0] == pytest.approx(features[i], abs=1e-9)


def test_the_level_of_a_channel_does_not_drown_its_shape():
    values = np.sin(np.arange(2000.0))
    plain = looked(values, np.arange(0, 1900, 50), [50] * 38)[3]
    offset = looked(1e6 + values, np.arange(0, 1900, 50), [50] * 38)[3]
    assert offset == pytest.approx(plain, abs=0.1)
