"""align/tokens/shapes.py: random convolutions of segments, against a plain loop; gaps, flat lines and scales."""

from __future__ import annotations

import numpy as np
import pytest

import align.tokens.shapes as module
from align.datatypes import Segmentation, Stream
from align.errors import ParameterError
from align.tokens.describe import describe_segments, feature_names
from align.tokens.shapes import describe_shapes, shape_kernels, shape_names


def naive_shapes(segment: np.ndarray, n_kernels: int) -> list[float]:
    """The definition, sample by sample."""
    kernels = shape_kernels(n_kernels)
    known = np.isfinite(segment)
    if not known.any():
        return [np.nan] * n_kernels
    mean, sd = segment[known].mean(), segment[known].std()
    if sd <= 1e-12 * abs(mean):
        return [0.0] * n_kernels
    x = np.where(known, (segment - mean) / sd, 0.0)
    out = []
    for triple, dilation, threshold in zip(
        kernels.triples, kernels.dilations, kernels.thresholds, strict=True
    ):
        exceeds = 0
        for i in np.flatnonzero(known):
            total = 0.0
            for k in range(9):
                at = i + (k - 4) * dilation
                if 0 <= at < len(x):
                    total += (2.0 if k in triple else -1.0) * x[at]
            exceeds += total > threshold
        out.append(exceeds / known.sum())
    return out


def made(seed: int = 0) -> tuple[Stream, Segmentation]:
    random = np.random.default_rng(seed)
    values = np.cumsum(random.normal(size=(400, 2)), axis=0)
    values[50:60, 0] = np.nan
    values[100:180, 1] = np.nan
    values[180:220] = 3.25
    return Stream(values, rate=25.0, channels=("x", "y")), Segmentation.of(
        Stream(values, rate=25.0), [3, 40, 100, 180, 220, 221, 300]
    )


@pytest.mark.parametrize("at_once", [1 << 17, 37])
def test_shares_are_those_of_a_plain_loop_whatever_is_done_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    stream, cut = made()
    found, names = describe_shapes(stream, cut, 12)
    assert found.shape == (cut.n_segments, 24)
    assert len(names) == 24
    for s in range(cut.n_segments):
        rows = stream.values[cut.boundaries[s] : cut.boundaries[s + 1]].astype(float)
        wanted = naive_shapes(rows[:, 0], 12) + naive_shapes(rows[:, 1], 12)
        assert np.allclose(found[s], wanted, atol=0.06, equal_nan=True), s  # a tie may fall the other way
        assert np.mean(np.isclose(found[s], wanted, equal_nan=True)) > 0.9


def test_gaps_and_flat_lines_are_never_divided_by_zero() -> None:
    stream, cut = made()
    with np.errstate(all="raise", under="ignore"):
        found, _ = describe_shapes(stream, cut, 5)
    assert np.isnan(found[3, 5:]).all(), "nothing finite in channel y there"
    assert np.isfinite(found[3, :5]).all()
    assert (found[4] == 0.0).all(), "flat"
    assert (found[5] == 0.0).all(), "one sample"
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()


@pytest.mark.parametrize(("scale", "offset"), [(1e-12, 0.0), (7.5, 1e5), (1e200, 0.0), (1e-200, 0.0)])
def test_scale_and_level_say_nothing(scale: float, offset: float) -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(90, 1))
    plain, moved = Stream(values, rate=10.0), Stream(values * scale + offset, rate=10.0)
    cut = Segmentation.of(plain, [30])
    assert np.allclose(describe_shapes(plain, cut)[0], describe_shapes(moved, cut)[0], atol=0.07)


def test_a_segment_is_described_without_its_neighbours_and_across_no_gap() -> None:
    random = np.random.default_rng(2)
    own = random.normal(size=60)
    found = []
    for seed in (3, 4):
        others = np.random.default_rng(seed).normal(size=(2, 50)) * 100
        stream = Stream(np.concatenate([others[0], own, others[1]]), rate=10.0)
        found.append(describe_shapes(stream, Segmentation.of(stream, [50, 110]))[0][1])
    gapped = Stream(np.concatenate([own, own]), rate=10.0, run_index=[0, 60], run_start=[0.0, 100.0])
    both = describe_shapes(gapped, Segmentation.of(gapped, []))[0]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(both[0], both[1])
    assert np.array_equal(both[0], found[0])


def test_shapes_tell_a_movement_from_its_reverse_which_statistics_do_not() -> None:
    saw = np.tile(np.linspace(-1, 1, 20), 8)
    stream = Stream(np.concatenate([saw, saw[::-1]]), rate=20.0, channels=("x",))
    cut = Segmentation.of(stream, [160])
    plain, _ = describe_segments(stream, cut)
    shaped, names = describe_segments(stream, cut, shapes=15)
    assert np.allclose(np.delete(plain[0], 2), np.delete(plain[1], 2), atol=1e-5)  # all but the trend
    assert np.abs(shaped[0, 7:] - shaped[1, 7:]).max() > 0.2
    assert names == feature_names(stream, 15)
    assert len(names) == shaped.shape[1] == 22
    assert np.array_equal(shaped[:, :7], plain)


def test_more_kernels_begin_with_the_fewer_and_never_repeat() -> None:
    many, few = shape_kernels(420), shape_kernels(7)
    assert many.triples[:7] == few.triples
    assert many.thresholds[:7] == few.thresholds
    assert len(set(zip(many.triples, many.dilations, strict=True))) == 420
    assert {sum(d == want for d in many.dilations) for want in (1, 2, 4, 8, 16)} == {84}


def test_names_say_the_reach_so_that_rates_do_not_mix() -> None:
    slow, fast = (Stream(np.zeros(9), rate=r, channels=("x",)) for r in (25.0, 50.0))
    assert shape_names(slow, 2) == ("x.shape0 320 ms", "x.shape1 640 ms")
    assert not set(shape_names(slow, 5)) & set(shape_names(fast, 5))
    assert shape_names(Stream(np.zeros(9), rate=25.003, channels=("x",)), 2) == shape_names(slow, 2)


def test_numbers_out_of_range_are_refused() -> None:
    stream, cut = made()
    for n_kernels in (0, 421):
        with pytest.raises(ParameterError, match="n_kernels"):
            describe_shapes(stream, cut, n_kernels)
    with pytest.raises(ParameterError, match="segmentation"):
        describe_shapes(Stream(np.zeros(7), rate=1.0), cut)
