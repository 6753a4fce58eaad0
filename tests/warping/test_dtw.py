"""align/warping/dtw.py: the laws of the distance, the convention and the refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.errors import ParameterError, ResourceError
from align.warping import dtw_distance, dtw_path
from tests import naive

FLOATS = st.floats(-1e6, 1e6, width=32)


def series(channels):
    return st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, channels), elements=FLOATS))


PAIRS = st.integers(1, 3).flatmap(lambda channels: st.tuples(series(channels), series(channels)))


@given(PAIRS)
def test_symmetric(pair):
    a, b = pair
    assert dtw_distance(a, b) == dtw_distance(b, a)


@given(series(2))
def test_a_series_is_at_distance_0_from_itself(a):
    assert dtw_distance(a, a) == 0.0
    path, distance = dtw_path(a, a)
    assert distance == 0.0
    assert ((a[path[:, 0]] - a[path[:, 1]]) == 0).all()


@given(PAIRS)
def test_path_is_monotone_and_costs_the_distance(pair):
    a, b = pair
    path, distance = dtw_path(a, b)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [len(a) - 1, len(b) - 1]
    assert {tuple(step) for step in np.diff(path, axis=0).tolist()} <= {(1, 1), (1, 0), (0, 1)}
    squares = ((a[path[:, 0]] - b[path[:, 1]]) ** 2).sum()
    assert np.sqrt(squares) == pytest.approx(distance, rel=1e-9, abs=1e-9)
    assert distance == dtw_distance(a, b)


@given(PAIRS, st.integers(0, 11))
def test_holding_a_sample_costs_nothing(pair, at):
    a, b = pair
    held = np.insert(a, at % len(a), a[at % len(a)], axis=0)
    assert dtw_distance(held, a) == 0.0
    assert dtw_distance(a, b) <= np.sqrt(((a[:, None] - b[None]) ** 2).sum())


def test_the_convention_is_the_root_of_the_sum_of_squares():
    assert dtw_distance([0, 1, 2], [0, 1, 4]) == 2.0
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 3)), rng.normal(size=(31, 3))
    totals = naive.dtw_totals(((a[:, None] - b[None]) ** 2).sum(axis=2))
    assert dtw_distance(a, b) == pytest.approx(np.sqrt(totals[-1, -1]), rel=1e-9)


def test_V07_integers_are_promoted_before_arithmetic():
    a, b = np.array([-128, 127], np.int8), np.array([127, -128], np.int8)
    assert dtw_distance(a, b) == dtw_distance(a.astype(float), b.astype(float))


@pytest.mark.parametrize(
    ("a", "allowed"),
    [
        ([1.0, np.nan], "finite"),
        ([np.inf], "finite"),
        ([], "n >= 1"),
        (np.zeros((2, 0)), "n_channels >= 1"),
        (np.zeros((2, 2, 2)), "n_channels >= 1"),
        (np.zeros((2, 2)), "1, as many as a has"),
        ([1e200], r"up to 1e\+145"),
    ],
    ids=["nan", "inf", "no rows", "no channels", "cube", "channels differ", "overflow"],
)
def test_what_cannot_be_warped_is_refused(a, allowed):
    for function in (dtw_distance, dtw_path):
        with pytest.raises(ParameterError, match=allowed):
            function([0.0, 1.0], a)


def test_V15_other_types_are_refused_by_name():
    for wrong in ([True], [1j], ["1"]):
        with pytest.raises(TypeError, match=r"^b has dtype"):
            dtw_distance([0.0], np.asarray(wrong))


def test_X05_a_path_beyond_the_budget_is_refused_up_front():
    long = np.zeros(40_000)
    with pytest.raises(ResourceError, match=r"40000 x 40000 cells needs 1\.5 GiB"):
        dtw_path(long, long)
