"""align/coordination/functions/kernel_correlation.py against the kernel itself and the dual problem solved whole."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.functions.kernel_correlation import kernel_agreement, kernel_maps, kernel_view
from align.errors import ParameterError


def gaussian(x, z, width):
    return np.array([[np.exp(-((u - v) ** 2).sum() / (2 * width**2)) for v in z] for u in x])


def bent(n=150, seed=0):
    """y turns with x: no linear map of one says anything of the other."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    return x, np.column_stack([x[:, 0] ** 2, np.cos(3 * x[:, 0])]) + 0.05 * rng.normal(size=(n, 2))


def test_with_all_rows_as_landmarks_it_is_the_kernel():
    x = np.random.default_rng(0).normal(size=(30, 3))
    view = kernel_view(x, 100, width=1.3)
    assert len(view.landmarks) == 30
    np.testing.assert_allclose(view.of(x) @ view.of(x).T, gaussian(x, x, 1.3), atol=1e-8)
    new = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(view.of(new) @ view.of(x).T, gaussian(new, x, 1.3), atol=1e-6)


def test_more_landmarks_leave_less_and_each_is_the_row_explained_worst():
    x = np.random.default_rng(2).normal(size=(80, 2))
    kernel, left, before = gaussian(x, x, 1.0), None, []
    for m in (1, 2, 5, 10, 20):
        view = kernel_view(x, m, width=1.0)
        if left is not None:
            worst = x[np.diag(left).argmax()]
            np.testing.assert_array_equal(view.landmarks[len(before)], worst)
        before = view.landmarks
        left = kernel - view.of(x) @ view.of(x).T
        assert np.linalg.eigvalsh(left).min() > -1e-8
        np.testing.assert_allclose(view.factor, np.tril(view.factor))
        np.testing.assert_allclose(view.factor @ view.factor.T, gaussian(before, before, 1.0), atol=1e-10)
    traces = [80 - np.square(kernel_view(x, m, 1.0).of(x)).sum() for m in range(1, 20)]
    assert (np.diff(traces) <= 1e-9).all() and traces[-1] < 0.2 * traces[0]


def test_repeated_rows_need_one_landmark_each():
    x = np.repeat(np.random.default_rng(3).normal(size=(4, 2)), 10, axis=0)
    assert len(kernel_view(x, 30, width=0.5).landmarks) == 4
    assert len(kernel_view(np.ones((9, 2))).landmarks) == 1


def test_correlations_are_those_of_the_dual_problem():
    """max a' Kx Ky b under a' (Kx^2 + k Kx) a = 1, with centred kernels, as a generalised eigenproblem."""
    x, y = bent(40)
    maps = kernel_maps(x, y, 3, regularisation=0.05, n_landmarks=40)
    halves = []
    for view, v in ((maps.view_x, x), (maps.view_y, y)):
        centring = np.eye(40) - 1 / 40
        kernel = centring @ gaussian(v, v, view.width) @ centring
        ridge = 0.05 * np.trace(kernel) / len(view.landmarks)
        values, vectors = np.linalg.eigh(kernel)
        values = values.clip(0)
        halves.append((vectors * (values / (values + ridge))) @ vectors.T)  # K (K + k I)^-1
    squared = np.linalg.eigvals(halves[0] @ halves[1])
    expected = np.sqrt(np.sort(squared.real)[::-1][:3])
    np.testing.assert_allclose(maps.maps.correlations, expected, atol=1e-4)


def test_it_finds_what_no_line_can_on_samples_not_seen():
    x, y = bent(400)
    maps = kernel_maps(x[:200], y[:200], 2, n_landmarks=30)
    a, b = maps.of_x(x[200:])[:, 0], maps.of_y(y[200:])[:, 0]
    assert abs(np.corrcoef(x[200:, 0], y[200:, 0])[0, 1]) < 0.2
    assert np.corrcoef(a, b)[0, 1] > 0.95
    agreement = kernel_agreement(maps, x[200:], y[200:])
    assert agreement.shape == (200, 200) and np.diag(agreement).mean() > agreement.mean() + 0.5


def test_few_landmarks_are_near_many():
    x, y = bent(300)
    few, many = (kernel_maps(x, y, 2, n_landmarks=m).maps.correlations for m in (40, 300))
    np.testing.assert_allclose(few, many, atol=0.03)


def test_what_cannot_be_is_refused():
    x, y = bent(20)
    for bad in (
        lambda: kernel_maps(x, y, regularisation=0.0),
        lambda: kernel_maps(x, y[:9]),
        lambda: kernel_view(x, 0),
        lambda: kernel_view(x, width=0.0),
        lambda: kernel_view(x * np.nan),
        lambda: kernel_view(x[:, 0]),
    ):
        with pytest.raises(ParameterError):
            bad()
