"""align/warping/bands.py: the definition, tslearn's masks, and bands that leave no path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.warping import Band, column_ranges, dtw_cost_matrix, dtw_distance, dtw_path


def allowed(n, m, band):
    low, high = column_ranges(n, m, band)
    j = np.arange(m)
    return (j >= low[:, None]) & (j < high[:, None])


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 12))
def test_sakoe_chiba_is_its_definition(n, m, radius):
    i, j = np.indices((n, m))
    expected = (i - j <= radius + max(n - m, 0)) & (j - i <= radius + max(m - n, 0))
    assert (allowed(n, m, Band("sakoe-chiba", radius)) == expected).all()


@pytest.mark.parametrize(("n", "m"), [(20, 20), (30, 20), (20, 30)])
def test_sakoe_chiba_is_tslearns_also_for_unequal_lengths(n, m):
    from tslearn.metrics import compute_mask

    for radius in (0, 1, 5, 40):
        mask = compute_mask(n, m, global_constraint=2, sakoe_chiba_radius=radius, be="pytorch")
        assert (allowed(n, m, Band("sakoe-chiba", radius)) == np.asarray(mask)).all()


@pytest.mark.parametrize("n", [5, 20, 33])
def test_itakura_is_tslearns_for_equal_lengths(n):
    from tslearn.metrics import compute_mask

    for slope in (1.5, 2.0, 3.0):
        mask = compute_mask(n, n, global_constraint=1, itakura_max_slope=slope, be="pytorch")
        assert (allowed(n, n, Band("itakura", slope)) == np.asarray(mask)).all()


@pytest.mark.parametrize(("kind", "size"), [("sakoe_chiba", 3), ("itakura", 2.0)])
def test_banded_distance_and_path_are_tslearns(kind, size):
    from tslearn.metrics import dtw_path as theirs

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 2)).cumsum(axis=0), rng.normal(size=(40, 2)).cumsum(axis=0)
    name = "sakoe_chiba_radius" if kind == "sakoe_chiba" else "itakura_max_slope"
    steps, distance = theirs(a, b, global_constraint=kind, be="pytorch", **{name: size})
    path, ours = dtw_path(a, b, band=Band(kind.replace("_", "-"), size))
    assert ours == pytest.approx(float(distance), rel=1e-9)
    assert path.tolist() == [list(pair) for pair in steps]


def test_a_share_is_of_the_longer_series():
    assert (
        allowed(10, 50, Band("sakoe-chiba", 0.1)).tolist() == allowed(10, 50, Band("sakoe-chiba", 5)).tolist()
    )


@given(st.integers(1, 40), st.integers(1, 40), st.floats(1.0, 4.0))
def test_itakura_lies_between_its_lines_or_is_refused(n, m, slope):
    try:
        cells = allowed(n, m, Band("itakura", slope))
    except ParameterError as error:
        assert error.code == "E-BAND"
        return
    assert cells[0, 0] and cells[-1, -1]
    i, j = np.indices((n, m))
    scale = (m - 1) / max(n - 1, 1)
    if n > 1:
        inside = (j <= slope * scale * i + 1e-6) & (m - 1 - j <= slope * scale * (n - 1 - i) + 1e-6)
        assert inside[cells].all()
    # a path really fits
    assert np.isfinite(dtw_cost_matrix(np.zeros(n), np.zeros(m), band=Band("itakura", slope))[-1, -1])


@settings(max_examples=30)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 6), st.integers(0, 99))
def test_wider_bands_never_cost_more_and_the_widest_is_none(n, m, radius, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=m)
    distances = [dtw_distance(a, b, band=Band("sakoe-chiba", r)) for r in (radius, radius + 1, n + m)]
    assert distances[0] >= distances[1] >= distances[2] == dtw_distance(a, b)


def test_a_band_of_radius_0_compares_row_by_row():
    a, b = np.random.default_rng(1).normal(size=(2, 700))
    assert dtw_distance(a, b, band=Band("sakoe-chiba", 0)) == pytest.approx(np.linalg.norm(a - b))


@pytest.mark.parametrize("band", [Band("itakura", 1.01), Band("itakura", 1.0)])
def test_no_path_is_an_error_and_never_a_number(band):
    for function in (dtw_distance, dtw_path, dtw_cost_matrix):
        with pytest.raises(ParameterError, match=r"E-BAND.*12 x 3 rows"):
            function(np.zeros(12), np.zeros(3), band=band)


@pytest.mark.parametrize(
    ("kind", "size"),
    [("square", 1), ("sakoe-chiba", -1), ("sakoe-chiba", 1.5), ("sakoe-chiba", True), ("itakura", 0.5),
     ("itakura", float("nan")), ("sakoe-chiba", "3")],
)  # fmt: skip
def test_senseless_bands_are_refused(kind, size):
    with pytest.raises(ParameterError):
        Band(kind, size)
