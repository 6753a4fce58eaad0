"""Change points where a recurring pattern changes."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.errors import ParameterError
from align.metrics.segmentation import covering
from align.segmentation.shape import changes_shape
from align.segmentation.shape.choice import proposals, standardised
from align.segmentation.shape.evidence import NAMES
from align.segmentation.shape.widths import find_widths
from benchmarks.ranker.patterns import signal


def two_gaits(n=4000, change=2200, seed=0):
    """Steps of one form, then of another: same level, same strength, same rate."""
    random = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(1 / 40 * np.exp(0.05 * random.standard_normal(n)))
    second = np.where(np.arange(n) < change, np.sin(2 * phase), np.sin(3 * phase))
    return np.sin(phase) + 0.8 * second + 0.2 * random.standard_normal(n)


def test_finds_the_change_of_a_pattern_that_has_no_change_of_level():
    values = two_gaits()
    found = changes_shape(values[:, None])
    assert len(found) == 1 and abs(found[0] - 2200) < 100
    assert align.segment(Stream(values, rate=50.0), method="shape").changes.tolist() == found.tolist()


def test_one_pattern_stays_nearly_whole():
    """At most a small piece at an end is cut off."""
    for seed in range(4):
        found = changes_shape(two_gaits(change=4000, seed=seed)[:, None])
        assert covering([[]], found, 4000) > 0.9


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_unit_and_offset_change_nothing(factor):
    values = two_gaits()[:, None]
    moved = changes_shape(1e3 + factor * values if factor > 1 else factor * values)
    assert moved.tolist() == changes_shape(values).tolist()


def test_T16_V03_too_short_or_flat_is_one_segment():
    assert changes_shape(np.random.default_rng(0).standard_normal((199, 1))).size == 0
    assert changes_shape(np.full((5000, 2), 7.0)).size == 0
    with_flat = np.column_stack([two_gaits(), np.full(4000, 3.0)])
    assert changes_shape(with_flat).tolist() == changes_shape(with_flat[:, :1]).tolist()


def test_a_change_in_one_of_three_channels_is_found():
    random = np.random.default_rng(1)
    values = np.column_stack(
        [two_gaits(seed=2), two_gaits(change=4000, seed=3), random.standard_normal(4000)]
    )
    found = changes_shape(values)
    assert len(found) == 1 and abs(found[0] - 2200) < 150


def test_count_and_min_size_are_kept():
    values = two_gaits()[:, None]
    assert len(changes_shape(values, count=3)) == 3
    assert changes_shape(values, count=0).size == 0
    edges = np.concatenate([[0], changes_shape(values, min_size=900, count=4), [4000]])
    assert np.diff(edges).min() >= 900
    assert align.segment(Stream(values, rate=50.0), method="shape", n_segments=3).n_segments == 3


def test_a_long_run_is_looked_at_piece_by_piece():
    values = np.concatenate([two_gaits(30_000, 30_000), two_gaits(60_000, 0, seed=1)])
    found = changes_shape(values[:, None])
    assert covering([[30_000]], found, 90_000) > 0.9


def test_no_segment_crosses_a_gap():
    stream = Stream(
        np.concatenate([two_gaits(), two_gaits(change=0)]),
        rate=50.0,
        run_index=np.array([0, 4000]),
        run_start=np.array([0.0, 500.0]),
    )
    cut = align.segment(stream, method="shape")
    assert 4000 in cut.boundaries and 4000 not in cut.changes
    assert len(cut.changes) == 1 and abs(cut.changes[0] - 2200) < 100


def test_a_penalty_in_numbers_means_nothing_here():
    with pytest.raises(ParameterError, match=r'"auto" with method "shape"'):
        align.segment(Stream(two_gaits(), rate=50.0), method="shape", penalty=3.0)


def test_every_candidate_has_a_finite_number_for_every_name():
    standard = standardised(two_gaits()[:, None])
    found, numbers = proposals(standard, find_widths(standard))
    assert numbers.shape == (len(found), len(NAMES)) and np.isfinite(numbers).all()
    assert len({c.changes for c in found}) == len(found)


def test_unseen_synthetic_signals_are_covered_better_than_by_no_change():
    """Of seeds that the table was not trained on."""
    taken, none = [], []
    for seed in range(10**6, 10**6 + 12):
        _, values, truth = signal(seed)
        taken.append(covering([truth], changes_shape(values[:, None]), len(values)))
        none.append(covering([truth], [], len(values)))
    assert np.mean(taken) > np.mean(none) + 0.15
