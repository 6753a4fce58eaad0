"""Statistics per text: against the formulas written out, and what sharing does."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.weak.gaussians import TextGaussians, count_frames, fit_gaussians, kinship, whitened


def counted(frames, soft, texts, n_texts):
    return count_frames([frames], [soft], [np.asarray(texts)], (n_texts + 1, frames.shape[1]))


def test_whitened_components_have_unit_variance_and_no_correlation():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5))).astype(np.float32)
    (z,) = whitened([x], 3)
    assert z.shape == (4000, 3)
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=0.02)


def test_whitened_drops_components_without_variance_and_clips():
    x = np.zeros((300, 4), np.float32)
    x[:, 0] = np.arange(300) % 2
    x[0, 0] = 100.0
    (z,) = whitened([x], 3)
    assert z.shape == (300, 1)
    assert np.abs(z).max() == 6.0


def test_kinship_is_one_on_the_diagonal_and_falls_with_the_angle():
    kin = kinship(np.eye(3, dtype=np.float32)[[0, 0, 1, 2]])
    np.testing.assert_array_equal(np.diag(kin), 1.0)
    assert kin[0, 1] == 1.0
    assert kin[0, 2] < 0.1


def test_an_empty_vector_is_its_own_text():
    assert kinship(np.zeros((2, 4), np.float32))[1, 1] == 1.0


def test_a_gaussian_is_that_of_the_frames_of_its_text():
    rng = np.random.default_rng(1)
    frames = np.concatenate([rng.normal(2.0, 1.0, (500, 2)), rng.normal(-2.0, 0.5, (500, 2))])
    soft = np.zeros((1000, 2))
    soft[:500, 0] = soft[500:, 1] = 1.0
    fitted = fit_gaussians(counted(frames, soft, [0], 1), np.eye(1), tied=0.0)
    np.testing.assert_allclose(fitted.means[0], frames[:500].mean(axis=0))
    covariance = np.cov(frames[:500].T, bias=True) + 0.05 * np.eye(2)
    np.testing.assert_allclose(fitted.factors[0] @ fitted.factors[0].T, covariance)


def test_log_odds_are_those_of_the_densities():
    rng = np.random.default_rng(2)
    frames, soft = rng.normal(size=(60, 2)), rng.dirichlet([1, 1, 1], 60)
    fitted = fit_gaussians(counted(frames, soft, [0, 1], 2), np.eye(2), tied=0.5)

    def density(k):
        covariance = fitted.factors[k] @ fitted.factors[k].T
        off = frames - fitted.means[k]
        return -0.5 * np.einsum("ti,ij,tj->t", off, np.linalg.inv(covariance), off) - 0.5 * np.log(
            np.linalg.det(covariance)
        )

    odds = fitted.log_odds(frames, np.array([1, 0, 1]))
    np.testing.assert_allclose(odds[:, 0], density(1) - density(2))
    np.testing.assert_allclose(odds[:, 1], density(0) - density(2))
    np.testing.assert_array_equal(odds[:, 0], odds[:, 2])


def test_a_text_without_frames_looks_like_its_kin():
    frames = np.concatenate([np.full((50, 1), 3.0), np.full((50, 1), -1.0)])
    soft = np.repeat(np.eye(2), 50, axis=0)
    kin = np.array([[1.0, 0.3], [0.3, 1.0]])
    fitted = fit_gaussians(counted(frames, soft, [0], 2), kin, tied=0.5)
    assert fitted.means[1] == pytest.approx(3.0)


def test_counts_add_up():
    rng = np.random.default_rng(3)
    frames, soft = rng.normal(size=(40, 2)), rng.dirichlet([1, 1], 40)
    whole = counted(frames, soft, [0], 1)
    halves = counted(frames[:20], soft[:20], [0], 1).plus(counted(frames[20:], soft[20:], [0], 1), 1.0)
    np.testing.assert_allclose(halves.second, whole.second)
    np.testing.assert_allclose(whole.weight, soft.sum(axis=0))


def test_overlap_is_the_bhattacharyya_coefficient():
    g = TextGaussians(np.array([[0.0], [2.0], [0.0]]), np.array([[[1.0]], [[1.0]], [[3.0]]]))
    found = g.overlap()
    x = np.linspace(-40, 40, 80_001)

    def density(mean, sd):
        return np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))

    rows = [density(0, 1), density(2, 1), density(0, 3)]
    wanted = [[np.sqrt(a * b).sum() * (x[1] - x[0]) for b in rows] for a in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_likelihood_counts_every_frame_by_what_covers_it():
    g = TextGaussians(np.array([[0.0], [3.0]]), np.array([[[1.0]], [[2.0]]]))
    frames = np.array([[1.0], [5.0]])
    soft = np.array([[1.0, 0.0], [0.25, 0.75]])
    total, weight = g.log_likelihood(frames, np.array([0]), soft)
    own = [-0.5, 0.25 * -12.5 + 0.75 * (-0.5 - np.log(2.0))]
    assert total == pytest.approx(sum(own))
    assert weight == 2.0
