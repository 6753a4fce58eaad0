"""align/coordination/functions/correlation.py: against scikit-learn and by brute force."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.functions.correlation import canonical_agreement, canonical_maps
from align.errors import ParameterError


def views(n=200, p=5, q=4, seed=0, noise=0.5):
    """Two views of three hidden causes."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 3))
    x = causes @ rng.normal(size=(3, p)) + noise * rng.normal(size=(n, p)) + 7.0
    y = causes @ rng.normal(size=(3, q)) + noise * rng.normal(size=(n, q)) - 3.0
    return x, y


def correlations_of(maps, x, y):
    a, b = maps.of_x(x), maps.of_y(y)
    return np.array([np.corrcoef(u, v)[0, 1] for u, v in zip(a.T, b.T, strict=True)])


@pytest.mark.parametrize("seed", range(3))
def test_it_is_scikit_learns(seed):
    from sklearn.cross_decomposition import CCA

    x, y = views(seed=seed)
    maps = canonical_maps(x, y, 3, regularisation=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = CCA(3, scale=False, max_iter=20_000, tol=1e-14).fit(x, y)
    a, b = theirs.transform(x, y)
    expected = [np.corrcoef(u, v)[0, 1] for u, v in zip(a.T, b.T, strict=True)]
    np.testing.assert_allclose(maps.correlations, expected, atol=1e-6)
    np.testing.assert_allclose(np.abs(np.corrcoef(maps.of_x(x)[:, 0], a[:, 0])[0, 1]), 1, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9999), st.sampled_from([0.0, 1e-2, 1.0]))
def test_coordinates_are_white_uncorrelated_across_but_in_pairs_and_correlate_as_said(p, q, seed, ridge):
    x, y = views(60, p, q, seed)
    maps = canonical_maps(x, y, regularisation=ridge)
    k = min(p, q)
    assert maps.correlations.shape == (k,) and (np.diff(maps.correlations) <= 1e-12).all()

    def metric(view):
        c = np.cov(view.T).reshape(view.shape[1], -1)
        return c + ridge * np.trace(c) / len(c) * np.eye(len(c))

    np.testing.assert_allclose(maps.maps_x.T @ metric(x) @ maps.maps_x, np.eye(k), atol=1e-8)
    np.testing.assert_allclose(maps.maps_y.T @ metric(y) @ maps.maps_y, np.eye(k), atol=1e-8)
    a, b = maps.of_x(x), maps.of_y(y)
    np.testing.assert_allclose(a.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(a.T @ b / 59, np.diag(maps.correlations), atol=1e-8)
    if ridge == 0:
        np.testing.assert_allclose(correlations_of(maps, x, y), maps.correlations, atol=1e-8)


def test_no_other_pair_of_directions_correlates_more():
    x, y = views(100, 3, 2, seed=4)
    maps = canonical_maps(x, y, regularisation=0.0)
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(3, 3000)), rng.normal(size=(2, 3000))
    a, b = (x - x.mean(0)) @ u, (y - y.mean(0)) @ v
    found = np.abs((a * b).sum(0)) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
    assert 0.98 * maps.correlations[0] < found.max() <= maps.correlations[0] + 1e-12


def test_any_linear_mixing_of_a_view_changes_no_correlation():
    x, y = views(seed=2)
    mixing = np.random.default_rng(1).normal(size=(5, 5))
    plain = canonical_maps(x, y, regularisation=0.0).correlations
    mixed = canonical_maps(1e4 * x @ mixing + 3, y, regularisation=0.0).correlations
    np.testing.assert_allclose(mixed, plain, atol=1e-8)
    ridged = canonical_maps(x, y, regularisation=0.1).correlations
    np.testing.assert_allclose(canonical_maps(1e4 * x, y, regularisation=0.1).correlations, ridged, atol=1e-8)
    assert (ridged <= plain + 1e-12).all() and ridged.sum() < plain.sum()


def test_swapping_the_views_swaps_the_maps():
    x, y = views(seed=3)
    there, back = canonical_maps(x, y, 2), canonical_maps(y, x, 2)
    np.testing.assert_allclose(there.correlations, back.correlations)
    np.testing.assert_allclose(np.abs(there.of_x(x)), np.abs(back.of_y(x)), atol=1e-8)


def test_one_view_twice_correlates_fully_and_noise_does_not():
    x, _ = views()
    np.testing.assert_allclose(
        canonical_maps(x, x @ np.diag([1, 2, 3, 4, 5.0]), regularisation=0).correlations, 1
    )
    rng = np.random.default_rng(0)
    noise = canonical_maps(rng.normal(size=(20_000, 3)), rng.normal(size=(20_000, 3)), regularisation=0)
    assert noise.correlations.max() < 0.05


def test_repeated_and_constant_columns_and_fewer_pairs_than_columns_are_no_trouble():
    x, y = views()
    plain = canonical_maps(x, y, 3, regularisation=0.0)
    wide = np.column_stack([x, x[:, 0], np.full(len(x), 1e6)])
    np.testing.assert_allclose(
        canonical_maps(wide, y, 3, regularisation=0.0).correlations, plain.correlations
    )
    few = canonical_maps(x[:4], y[:4], regularisation=0.0)
    np.testing.assert_allclose(few.correlations, 1)  # 4 pairs in 4 dimensions say nothing: see the ridge
    assert few.maps_x.shape[1] == 3
    assert canonical_maps(x[:4], y[:4], regularisation=10.0).correlations.max() < 0.5


def test_agreement_is_a_cosine_weighted_by_correlation_and_finds_the_pairs():
    x, y = views(400, noise=0.05)
    maps = canonical_maps(x[:200], y[:200], 3)
    agreement = canonical_agreement(maps, x[200:], y[200:])
    a, b, rho = maps.of_x(x[200:])[3], maps.of_y(y[200:])[5], maps.correlations
    expected = (rho * a * b).sum() / np.sqrt((rho * a * a).sum() * (rho * b * b).sum())
    assert agreement[3, 5] == pytest.approx(expected)
    assert np.abs(agreement).max() <= 1 + 1e-12
    assert (agreement.argmax(axis=1) == np.arange(200)).mean() > 0.5
    assert not canonical_agreement(maps, maps.mean_x[None], y).any()


def test_what_cannot_be_is_refused():
    x, y = views(10)
    for bad in (
        lambda: canonical_maps(x, y[:9]),
        lambda: canonical_maps(x[:1], y[:1]),
        lambda: canonical_maps(np.full((10, 2), 3.0), y),
        lambda: canonical_maps(np.where(x > 9, np.nan, x), y),
        lambda: canonical_maps(x, y, 0),
        lambda: canonical_maps(x, y, regularisation=-1.0),
        lambda: canonical_maps(x[:, 0], y),
    ):
        with pytest.raises(ParameterError):
            bad()
