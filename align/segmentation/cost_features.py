"""Costs that are squared misfit after a change of the values: ranks, and the features of a Gaussian kernel.

Cost of a segment: the sum of squared distances of its features from their mean.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.cost_tables import check_memory

__all__ = ["kernel_features", "rank_features"]

Values = npt.NDArray[np.floating[Any]]

_SAMPLE = 512  # samples whose distances give the bandwidth, evenly spread
_LOG_TOLERANCE = math.log(1e4)  # of one over the largest error of the kernel's series
_MOST_TERMS = 100  # of the series; each is two features
_FREQUENCIES = 64  # for several channels; each is two features
_CHUNK = 65_536  # rows made at a time
_FLAT = 1e-9  # share of the largest variance of a combination of ranks below which it is a copy of others


def rank_features(values: Values, scale: Floats) -> Floats:
    """Ranks of each channel, ties averaged, centred and whitened by their covariance.

    Args:
        values: (n, d).
        scale: (d,); a channel whose scale is 0 is ignored, other scales make no difference.

    Returns:
        (n, d') f8, d' <= d: combinations of ranks of variance 1, without those that others determine.

    Reference: Lung-Yut-Fong, Levy-Leduc & Cappe 2015, J. Soc. Fr. Statistique 156(4), section 2.
    """
    ranks = np.empty((len(values), np.count_nonzero(scale)))
    for k, c in enumerate(np.flatnonzero(scale)):
        _, which, repeats = np.unique(values[:, c], return_inverse=True, return_counts=True)
        ranks[:, k] = (np.cumsum(repeats) - (repeats - 1) / 2)[which.ravel()]
    ranks -= (len(values) + 1) / 2
    power, directions = np.linalg.eigh(ranks.T @ ranks / len(values))
    kept = power > _FLAT * max(power.max(initial=0.0), 1e-300)
    return ranks @ (directions[:, kept] / np.sqrt(power[kept]))


def kernel_features(values: Values, scale: Floats) -> npt.NDArray[np.float32]:
    """Features whose inner products are exp(-g |x - y|^2), up to a constant, with the bandwidth from the data.

    g is one over the median squared distance of up to 512 samples. One channel: the Fourier series of the
    kernel on a circle so long that its ends do not see each other, off by at most 1e-4; g is halved until 100
    terms suffice. Several channels: 64 frequencies, always the same; the kernel is off by about 0.05 (root mean
    square) for a pair of samples, by 0.01 on average over pairs.

    Args:
        values: (n, d).
        scale: (d,) what values are multiplied by.

    Returns:
        (n, n_features) f4, at most 200 features.

    Reference: Garreau & Arlot 2018, EJS 12(2), section 2 (cost); Rahimi & Recht 2007, NIPS 20, section 3
    (features), with frequencies that are not drawn.
    """
    used = np.flatnonzero(scale)
    points = (values[:, used] - values[:, used].mean(axis=0, dtype=np.float64)) * scale[used]
    gamma = _inverse_bandwidth(points)
    if gamma == 0.0:
        return np.zeros((len(values), 1), np.float32)
    if len(used) == 1:
        return _series(points[:, 0], gamma)
    check_memory(12 * len(points) * 2 * _FREQUENCIES, "features")
    frequencies = _normal_directions(len(used)) * math.sqrt(2 * gamma)
    out = np.empty((len(points), 2 * _FREQUENCIES), np.float32)
    for begin in range(0, len(points), _CHUNK):
        angles = points[begin : begin + _CHUNK] @ frequencies
        out[begin : begin + _CHUNK, ::2] = np.cos(angles) / math.sqrt(_FREQUENCIES)
        out[begin : begin + _CHUNK, 1::2] = np.sin(angles) / math.sqrt(_FREQUENCIES)
    return out


def _normal_directions(d: int) -> Floats:
    """(d, 64) columns that stand for draws from the standard normal distribution in d dimensions.

    They are the normal quantiles of a sequence that fills the unit cube evenly (multiples of powers of 1 / g,
    modulo 1, with g^(d + 1) = g + 1), made orthogonal in blocks of d: half the error of random ones, measured.
    """
    g = 2.0
    for _ in range(60):
        g = (1 + g) ** (1 / (d + 1))
    steps = np.arange(1, _FREQUENCIES + 1)[:, None] * g ** -np.arange(1.0, d + 1)
    quantile = NormalDist().inv_cdf
    columns = np.array(
        [[quantile(min(max(u, 1e-12), 1 - 1e-12)) for u in row] for row in (0.5 + steps) % 1]
    ).T
    blocks = [columns[:, k : k + d] for k in range(0, _FREQUENCIES, d)]
    return np.concatenate([np.linalg.qr(b)[0] * np.linalg.norm(b, axis=0) for b in blocks], axis=1)


def _inverse_bandwidth(points: Floats) -> float:
    """One over the median squared distance, over the mean where most are 0; 0 where all are."""
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), _SAMPLE)).astype(np.int64))
    sample = points[rows]
    squares = (sample * sample).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * sample @ sample.T
    distances = np.maximum(distances[np.triu_indices(len(sample), 1)], 0.0)
    if distances.size == 0:
        return 0.0
    typical = float(np.median(distances)) or float(distances.mean())
    return 1.0 / typical if typical > 1e-300 else 0.0


def _series(x: Floats, gamma: float) -> npt.NDArray[np.float32]:
    """sqrt(c_j) (cos, sin)(w_j x) for k(d) = c_0 + sum c_j cos(w_j d), w_j = 2 pi j / P; c_0 telescopes.

    Beyond ``reach`` the kernel is below the tolerance, and so is what P = range + reach lets through from the
    other end. A gap in the values wider than ``reach`` is narrowed to that: no kernel value notices.
    """
    distinct, which = np.unique(x, return_inverse=True)
    gaps = np.diff(distinct, prepend=distinct[0])
    while True:
        reach = math.sqrt(_LOG_TOLERANCE / gamma)
        places = np.cumsum(np.minimum(gaps, reach))
        period = float(places[-1]) + reach
        n_terms = math.ceil(period * math.sqrt(gamma * _LOG_TOLERANCE) / math.pi)
        if n_terms <= _MOST_TERMS:
            break
        gamma /= 2
    check_memory(12 * len(x) * 2 * n_terms, "features")
    angle = 2 * math.pi / period
    weights = 2 * math.sqrt(math.pi / gamma) / period
    power = weights * np.exp(-((angle * np.arange(1, n_terms + 1)) ** 2) / (4 * gamma))
    out = np.empty((len(x), 2 * n_terms), np.float32)
    for begin in range(0, len(x), _CHUNK):
        turn = np.exp(1j * angle * places[which[begin : begin + _CHUNK].ravel()])
        term = np.ones_like(turn)
        for j in range(n_terms):
            term *= turn
            out[begin : begin + _CHUNK, 2 * j] = math.sqrt(power[j]) * term.real
            out[begin : begin + _CHUNK, 2 * j + 1] = math.sqrt(power[j]) * term.imag
    return out
