"""align/warping/dtw.py: the laws of the distance, the convention and the refusals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.errors import ParameterError, ResourceError
from align.kernels.dtw import local_costs, warping_path
from align.warping import Band, dtw_cost_matrix, dtw_distance, dtw_path, linear
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


def test_X05_a_table_beyond_the_budget_is_refused_up_front():
    long = np.zeros(40_000)
    with pytest.raises(ResourceError, match=r"40000 x 40000 cells needs 1\.5 GiB"):
        dtw_cost_matrix(long, long)


@pytest.mark.parametrize("band", [None, Band("sakoe-chiba", 0.2), Band("itakura", 2.5)])
@pytest.mark.parametrize("most_cells", [1 << 27, 1 << 20])
@pytest.mark.parametrize(("n", "m", "d"), [(1300, 900, 1), (600, 1100, 1), (1100, 1100, 2)])
def test_paths_of_many_blocks_are_the_plain_tables(n, m, d, band, monkeypatch, most_cells):
    """Whole numbers, so that ties are common: the same path, step by step; also of tables taken as too large."""
    monkeypatch.setattr(linear, "_MOST_CELLS", most_cells)
    monkeypatch.setattr(linear, "_SPLITS", 2)
    rng = np.random.default_rng(n)
    a, b = (rng.integers(-1, 2, size=(k, d)).cumsum(axis=0).astype(float) for k in (n, m))
    cost = np.where(np.isfinite(dtw_cost_matrix(a, b, band=band)), local_costs(a, b), np.inf)
    total, expected = warping_path(cost)
    path, distance = dtw_path(a, b, band=band)
    assert (path == expected).all()
    assert distance == np.sqrt(total) == dtw_distance(a, b, band=band) == dtw_distance(b, a, band=band)


def test_a_path_of_many_cells_takes_little_memory():
    """One byte per cell would be 144 MB: the most that the process ever held, kernels included, grows by far less."""
    code = """if True:
        import resource
        import numpy as np
        from align.warping import dtw_distance, dtw_path
        a, b = np.random.default_rng(0).normal(size=(2, 12_000)).cumsum(axis=1)
        dtw_distance(a[:30], b[:30]), dtw_path(a[:30], b[:30])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path, distance = dtw_path(a, b)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert distance == dtw_distance(a, b)
        assert abs(((a[path[:, 0]] - b[path[:, 1]]) ** 2).sum() / distance**2 - 1) < 1e-9
        assert more < 20_000, more
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@given(PAIRS)
def test_reversing_both_series_changes_nothing(pair):
    a, b = pair
    assert dtw_distance(a[::-1], b[::-1]) == pytest.approx(dtw_distance(a, b), rel=1e-9, abs=1e-9)


@given(PAIRS)
def test_cost_matrix_ends_in_the_distance(pair):
    a, b = pair
    table = dtw_cost_matrix(a, b)
    assert table.shape == (len(a), len(b))
    np.testing.assert_allclose(table, naive.dtw_totals(((a[:, None] - b[None]) ** 2).sum(axis=2)), rtol=1e-9)
    assert np.sqrt(table[-1, -1]) == dtw_distance(a, b)


def test_float32_is_near_and_its_overflow_refused():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 800)).cumsum(axis=1)
    exact = dtw_distance(a, b)
    assert dtw_distance(a, b, dtype=np.float32) == pytest.approx(exact, rel=1e-4)
    path, distance = dtw_path(a, b, dtype=np.float32)
    assert distance == dtw_distance(a, b, dtype=np.float32) == dtw_distance(b, a, dtype=np.float32)
    assert np.linalg.norm(a[path[:, 0]] - b[path[:, 1]]) == pytest.approx(exact, rel=1e-4)
    with pytest.raises(ParameterError, match=r"up to 1e\+14"):
        dtw_distance([1e20], [0.0], dtype=np.float32)
    with pytest.raises(ParameterError, match="float64 or float32"):
        dtw_distance([1.0], [0.0], dtype=np.int32)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (2, 30, 1), (40, 25, 3), (64, 64, 6)])
def test_path_and_distance_equal_tslearns(n, m, d):
    from tslearn.metrics import dtw_path as theirs

    rng = np.random.default_rng(n + m)
    a, b = rng.standard_normal((n, d)).cumsum(axis=0), rng.standard_normal((m, d)).cumsum(axis=0)
    reference, expected = theirs(a, b, be="pytorch")  # its numba path compiles for 12 s
    path, distance = dtw_path(a, b)
    assert path.tolist() == [list(pair) for pair in reference]
    assert distance == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
