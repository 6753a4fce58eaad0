"""A run as rows of features in which its patterns differ: convolution signs, levels, whole cycles, windows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.shape.widths import Widths

__all__ = ["Rows", "convolutions", "cycle_rows", "grouped", "level_rows", "neighbours", "unit", "whitened"]

Ints = npt.NDArray[np.int64]

_TRIPLES = np.array(list(itertools.combinations(range(9), 3)), np.int64)
_GOLDEN = (np.sqrt(5) - 1) / 2
_MOST_FEATURES = 768  # convolutions over all channels
_SAMPLES_FOR_THRESHOLDS = 256
_MOST_ROWS = 1000  # the exact programme is quadratic in them
_LEAST_ROWS = 16
_MOST_WINDOWS = 1500
_NEIGHBOURS = 3
_CYCLE_POINTS = 48


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """``values`` (n_rows, d), in units of about one noise; row j describes samples j * size to (j + 1) * size."""

    values: Floats
    size: int
    clearness: (
        Floats  # of whitened rows: how much each column varies over how much neighbours differ, largest first
    )


def convolutions(values: Floats, width: int, offset: float) -> Rows:
    """Share of each half width's samples at which each of some 250 convolutions is high.

    Receptive fields of about half, one and two widths; thresholds at quantiles from 0.1 to 0.9 of the output,
    spread by the golden ratio.

    Args:
        values: (n, d) standardised.
        width: samples.
        offset: shifts the quantiles: other thresholds, so another look at the same signal.
    """
    from align.kernels.patterns import convolution_quantiles, sign_counts

    n, n_channels = values.shape
    hop = max(1, width // 2)
    reach = np.unique(np.maximum(1, np.round(np.array([width / 2, width, 2 * width]) / 8))).astype(np.int64)
    step = max(1, int(np.ceil(n_channels * len(reach) * len(_TRIPLES) / _MOST_FEATURES)))
    at = np.linspace(0, n - 1, min(n, _SAMPLES_FOR_THRESHOLDS)).astype(np.int64)
    columns = []
    for c in range(n_channels):
        triples = _TRIPLES[c % step :: step]
        quantiles = 0.1 + 0.8 * (((np.arange(len(reach) * len(triples)) + 1) * _GOLDEN + offset) % 1.0)
        channel = np.ascontiguousarray(values[:, c])
        thresholds = convolution_quantiles(channel, reach, triples, at, quantiles)
        columns.append(sign_counts(channel, reach, triples, thresholds, hop))
    return Rows(np.concatenate(columns, axis=1), hop, np.empty(0))


def grouped(rows: Rows, wanted: int) -> Rows:
    """Means of ``wanted`` neighbouring rows; of more where that gives over 1,000 rows, of fewer under 16.

    Args:
        rows: any.
        wanted: rows, >= 1.
    """
    n = len(rows.values)
    group = max(1, int(np.ceil(n / _MOST_ROWS)), min(wanted, n // _LEAST_ROWS))
    values = rows.values[: n // group * group].reshape(n // group, group, -1).mean(axis=1)
    return Rows(values, rows.size * group, rows.clearness)


def level_rows(values: Floats, width: int) -> Rows:
    """Mean, log strength and log roughness of each channel in each row, over the noise of each.

    Args:
        values: (n, d) standardised.
        width: samples; a row is two widths long.
    """
    size = 2 * width * max(1, int(np.ceil(len(values) / (2 * width) / _MOST_ROWS)))
    cut = values[: len(values) // size * size].reshape(-1, size, values.shape[1])
    roughness = np.abs(np.diff(cut, axis=1)).mean(axis=1)
    rows = np.concatenate(
        [cut.mean(axis=1), np.log(cut.std(axis=1) + 0.02), np.log(roughness + 0.01)], axis=1
    )
    steps = np.diff(rows, axis=0) ** 2
    noise = np.minimum(steps, np.quantile(steps, 0.95, axis=0)).mean(axis=0) / 2
    scaled = (rows - rows.mean(axis=0)) / np.maximum(np.sqrt(noise), 1e-3)
    return Rows(np.ascontiguousarray(scaled), size, np.empty(0))


def cycle_rows(values: Floats, widths: Widths) -> Rows:
    """Each cycle of the signal as it is, standardised and whitened; spectra of stretches where it has none.

    Args:
        values: (n, d) standardised.
        widths: its widths.
    """
    n = len(values)
    size = widths.cycle or 2 * widths.wide
    if n // size < 12:
        size = max(4, n // 24)
    size *= max(1, int(np.ceil(n / size / _MOST_ROWS)))
    parts = []
    for column in values.T:
        cut = column[: n // size * size].reshape(-1, size)
        cut = cut - cut.mean(axis=1, keepdims=True)
        cut = cut / np.maximum(cut.std(axis=1, keepdims=True), 0.05)
        if widths.cycle is None:
            cut = np.abs(np.fft.rfft(cut, axis=1))[:, 1:]
        if cut.shape[1] > _CYCLE_POINTS:
            edges = np.linspace(0, cut.shape[1], _CYCLE_POINTS + 1).astype(np.int64)
            cut = np.add.reduceat(cut, edges[:-1], axis=1) / np.diff(edges)
        parts.append(cut)
    return whitened(Rows(np.concatenate(parts, axis=1), size, np.empty(0)))


def neighbours(values: Floats, width: int) -> tuple[Ints, Ints]:
    """The three most similar windows of each window, itself and its overlapping ones left out.

    Args:
        values: (n, d) standardised.
        width: samples of a window; each is standardised per channel (Pearson correlation, mean over channels).

    Returns:
        (m, 3) rows of the neighbours; (m,) samples in the middle of each window. m <= 1,500.
    """
    from align.kernels.patterns import nearest

    stride = max(1, int(np.ceil((len(values) - width) / _MOST_WINDOWS)))
    starts = np.arange(0, len(values) - width + 1, stride)
    parts = []
    for column in values.T:
        windows = np.lib.stride_tricks.sliding_window_view(column, width)[starts]
        windows = windows - windows.mean(axis=1, keepdims=True)
        windows /= np.maximum(windows.std(axis=1, keepdims=True), 1e-3)
        parts.append(windows.astype(np.float32))
    flat = np.concatenate(parts, axis=1)
    similarity = flat @ flat.T
    return nearest(similarity, max(1, int(np.ceil(width / stride))), _NEIGHBOURS), starts + width // 2


def whitened(rows: Rows, most: int = 16, ridge: float = 0.2) -> Rows:
    """The directions in which rows vary most against how neighbouring rows differ, those differences at unit size.

    Discriminant directions without labels: neighbours mostly lie in the same segment. Maximises
    ``v' T v / v' W v`` with T the covariance of the rows and W half that of their differences (the largest 5 %
    left out), shrunk towards a multiple of the identity.

    Args:
        rows: n of them, d columns.
        most: columns returned at most.
        ridge: part of the mean variance that is added to W.

    Returns:
        (n, k) rows, with the ratios as ``clearness``.

    Reference: Switzer & Green 1984, minimum/maximum autocorrelation factors, Stanford TR 6, with shrinkage.
    """
    centred = unit(rows).values
    n, d = centred.shape
    if d == 0:
        return Rows(np.zeros((n, 1)), rows.size, np.ones(1))
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    rank = min(len(strength), 64)
    scores = left[:, :rank] * strength[:rank]
    steps = np.diff(scores, axis=0)
    square = (steps * steps).sum(axis=1)
    steps = steps[square <= np.quantile(square, 0.95)]
    within = steps.T @ steps / max(len(steps), 1) / 2
    within += (ridge * np.trace(within) / rank + 1e-9) * np.eye(rank)
    inverse = np.linalg.inv(np.linalg.cholesky(within))
    ratios, directions = np.linalg.eigh(inverse @ (scores.T @ scores / n) @ inverse.T)
    kept = min(most, rank)
    projected = scores @ (inverse.T @ directions[:, ::-1][:, :kept])
    return Rows(np.ascontiguousarray(projected), rows.size, ratios[::-1][:kept])


def unit(rows: Rows) -> Rows:
    """Columns centred and at unit variance, constant ones left out.

    Args:
        rows: any.
    """
    centred = rows.values - rows.values.mean(axis=0)
    spread = centred.std(axis=0)
    return Rows(centred[:, spread > 1e-9] / spread[spread > 1e-9], rows.size, rows.clearness)
