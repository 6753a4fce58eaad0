"""What each text looks like: one Gaussian over whitened frames per text, sharing statistics with near texts.

The M step of ``weak.py``. A network would fit whatever it is shown; a Gaussian per text has so little freedom
that frames which do not belong pull it hardly at all, which is what learning from doubtful spans needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["Counts", "TextGaussians", "count_frames", "fit_gaussians", "kinship", "whitened"]

_CLIP = 6.0  # standard deviations of a whitened column
_RIDGE = 0.05  # of unit variance, added to every covariance
_SHARPNESS = 0.5  # of the kernel between texts, in spreads of their cosines
_LEAST_SPREAD = 0.02
_LEAST_COUNT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Weighted sums over frames, a row per text and last "nothing": 1, frame, frame frame'."""

    weight: Floats
    first: Floats
    second: Floats

    def plus(self, other: Counts, times: float) -> Counts:
        """The sums of both, the other's ``times`` over."""
        return Counts(
            self.weight + times * other.weight,
            self.first + times * other.first,
            self.second + times * other.second,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextGaussians:
    """A Gaussian per text and, last, of "nothing": ``means`` (n + 1, d), ``factors`` (n + 1, d, d) lower Cholesky."""

    means: Floats
    factors: Floats

    def log_odds(self, frames: Floats, texts: npt.NDArray[np.int64]) -> Floats:
        """(n_frames, len(texts)) log density of each frame under each text less that under "nothing"."""
        own = {k: self._log_density(frames, k) for k in {*texts.tolist(), len(self.means) - 1}}
        return np.column_stack([own[k] for k in texts.tolist()]) - own[len(self.means) - 1][:, None]

    def log_likelihood(
        self, frames: Floats, texts: npt.NDArray[np.int64], soft: Floats
    ) -> tuple[float, float]:
        """Sum over frames of the expected log density under what covers them, "nothing" included; weight of the sum.

        Args:
            frames: (n_frames, d).
            texts: (n_notes,).
            soft: (n_frames, n_notes + 1) how much each note, and last "nothing", covers each frame.
        """
        total = 0.0
        for k, share in zip([*texts.tolist(), len(self.means) - 1], soft.T, strict=True):
            used = share > _LEAST_COUNT
            if used.any():
                total += float(share[used] @ self._log_density(frames[used], k))
        return total, float(soft.sum())

    def overlap(self) -> Floats:
        """(n + 1, n + 1) Bhattacharyya coefficient of every two Gaussians, in (0, 1], 1 on the diagonal.

        Reference: Bhattacharyya, Bull. Calcutta Math. Soc. 35, 1943; for Gaussians Fukunaga, Introduction to
        Statistical Pattern Recognition, 1990, equation 3.152.
        """
        n = len(self.means)
        covariances = self.factors @ self.factors.transpose(0, 2, 1)
        halves = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        out = np.ones((n, n))
        for i in range(n):
            factor = np.linalg.cholesky(0.5 * (covariances[i] + covariances))
            z = np.linalg.solve(factor, (self.means - self.means[i])[:, :, None])[:, :, 0]
            middle = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
            out[i] = np.exp(-0.125 * (z * z).sum(axis=1) - (middle - 0.5 * (halves[i] + halves)))
        return out

    def _log_density(self, frames: Floats, k: int) -> Floats:
        """Up to the constant that all share."""
        z = np.linalg.solve(self.factors[k], (frames - self.means[k]).T)
        return np.asarray(-0.5 * (z * z).sum(axis=0) - np.log(np.diag(self.factors[k])).sum())


def whitened(inputs: Sequence[npt.NDArray[np.float32]], dimensions: int) -> list[Floats]:
    """All sessions' frames in their leading principal components, unit variance each, clipped to 6 deviations.

    Args:
        inputs: (n_frames, n_features) per session.
        dimensions: components to keep; fewer where the frames have fewer.
    """
    frames = np.concatenate(inputs).astype(np.float64)
    centre = frames.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov((frames - centre).T).reshape(frames.shape[1], -1))
    keep = np.argsort(-variance, kind="stable")[:dimensions]
    keep = keep[variance[keep] > 1e-6 * variance.max()]
    turn = axes[:, keep] / np.sqrt(variance[keep])
    return [np.clip((x - centre) @ turn, -_CLIP, _CLIP) for x in inputs]


def kinship(vectors: npt.NDArray[np.float32]) -> Floats:
    """(n, n) how much the frames of one text count for another: ``exp((cosine - 1) / T)``, 1 on the diagonal.

    T is half the spread of the cosines between different texts, so it suits any encoder.
    """
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    others = cosines[~np.eye(len(cosines), dtype=np.bool_)]
    temperature = _SHARPNESS * max(_LEAST_SPREAD, float(others.std()) if others.size else 0.0)
    kin = np.exp((np.minimum(cosines, 1.0) - 1.0) / temperature)
    np.fill_diagonal(kin, 1.0)  # an empty vector is still its own text
    return np.asarray(kin)


def count_frames(
    frames: Sequence[Floats],
    soft: Sequence[Floats],
    texts: Sequence[npt.NDArray[np.int64]],
    shape: tuple[int, ...],
) -> Counts:
    """Sums over all sessions.

    Args:
        frames: (n_frames, d) per session.
        soft: (n_frames, n_notes + 1) per session: how much each note, and last "nothing", covers each frame.
        texts: (n_notes,) per session: which text each note is.
        shape: (n_texts + 1, d).
    """
    weight, first, second = np.zeros(shape[0]), np.zeros(shape), np.zeros((*shape, shape[1]))
    for x, shares, notes in zip(frames, soft, texts, strict=True):
        for text, share in zip(np.append(notes, shape[0] - 1), shares.T, strict=True):
            weighted = share[:, None] * x
            weight[text] += share.sum()
            first[text] += weighted.sum(axis=0)
            second[text] += weighted.T @ x
    return Counts(weight, first, second)


def fit_gaussians(counts: Counts, kin: Floats, tied: float) -> TextGaussians:
    """Gaussians from counts, each text's joined with its kin's, its covariance drawn to the one that all share.

    ``C_k = (1 - tied) C_k + tied W + 0.05 I`` with W the mean covariance within texts; for "nothing", which may
    be anything, W is the covariance of all frames.

    Args:
        counts: of all sessions.
        kin: (n_texts, n_texts), see ``kinship``.
        tied: share of the common covariance, in [0, 1].

    Reference: regularised discriminant analysis, Friedman, JASA 84, 1989, equation 18 without its second term.
    """
    weight, first, second = counts.weight.copy(), counts.first.copy(), counts.second.copy()
    weight[:-1] = kin @ weight[:-1]
    first[:-1] = kin @ first[:-1]
    second[:-1] = np.tensordot(kin, second[:-1], 1)
    weight = np.maximum(weight, _LEAST_COUNT)
    means = first / weight[:, None]
    covariances = second / weight[:, None, None] - means[:, :, None] * means[:, None, :]
    own = np.maximum(counts.weight[:-1], _LEAST_COUNT)
    within = np.average(covariances[:-1], axis=0, weights=own)
    total = max(float(counts.weight.sum()), _LEAST_COUNT)
    centre = counts.first.sum(axis=0) / total
    everything = counts.second.sum(axis=0) / total - np.outer(centre, centre)
    common = np.concatenate([np.repeat(within[None], len(own), axis=0), everything[None]])
    mixed = (1.0 - tied) * covariances + tied * common + _RIDGE * np.eye(means.shape[1])
    return TextGaussians(means, np.linalg.cholesky(mixed).astype(np.float64))
