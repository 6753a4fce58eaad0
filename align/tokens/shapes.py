"""The shape of segments: how often random convolutions of the segment, brought to one scale, exceed a threshold.

What level, spread and rhythm do not say: which way a movement goes, sharp or round, before or after. The convolutions
are MiniRocket's (nine taps, three of weight 2, the others -1), some of them, with thresholds that no data decides, so
that a segment's numbers depend on the segment alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError

__all__ = ["ShapeKernels", "describe_shapes", "shape_kernels", "shape_names"]

Ints = npt.NDArray[np.int64]

_TAPS = 9
_TRIPLES = tuple(combinations(range(_TAPS), 3))
_DILATIONS = (1, 2, 4, 8, 16)  # samples between taps
_MOST = len(_TRIPLES) * len(_DILATIONS)
_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_SPREAD = 2.0  # of the thresholds: about half the standard deviation of what white noise gives
_SEED = 20_200_816  # of which convolutions there are
_ROUNDING = 1e-12  # a deviation below this share of the segment's mean is the mean's rounding
_AT_ONCE = 1 << 17  # samples


@dataclass(frozen=True, slots=True)
class ShapeKernels:
    """Convolutions: ``triples`` (k, 3) taps of weight 2, ``dilations`` (k,) samples, ``thresholds`` (k,)."""

    triples: tuple[tuple[int, int, int], ...]
    dilations: tuple[int, ...]
    thresholds: tuple[float, ...]


def shape_kernels(n_kernels: int) -> ShapeKernels:
    """The first so many convolutions of a fixed random order; a larger number has those of a smaller one.

    Args:
        n_kernels: 1 to 420.

    Raises:
        ParameterError: a number out of range.
    """
    if not 1 <= n_kernels <= _MOST:
        raise ParameterError("n_kernels", n_kernels, f"1 to {_MOST}")
    order = np.random.default_rng(_SEED).permutation(_MOST).tolist()
    # every dilation gets its turn before one comes again
    by_dilation = [
        [i // len(_DILATIONS) for i in order if i % len(_DILATIONS) == d] for d in range(len(_DILATIONS))
    ]
    chosen = [
        (by_dilation[f % len(_DILATIONS)][f // len(_DILATIONS)], f % len(_DILATIONS))
        for f in range(n_kernels)
    ]
    normal = NormalDist()
    thresholds = (_SPREAD * normal.inv_cdf(0.1 + 0.8 * ((f + 1) * _GOLDEN % 1.0)) for f in range(n_kernels))
    return ShapeKernels(
        tuple(_TRIPLES[t] for t, _ in chosen), tuple(_DILATIONS[d] for _, d in chosen), tuple(thresholds)
    )


def shape_names(stream: Stream, n_kernels: int) -> tuple[str, ...]:
    """The columns of ``describe_shapes``: "<channel>.shape<number> <reach> ms", channel by channel.

    The reach, from the first tap to the last, stands in the name, so that streams of different rates do not pass for
    alike.

    Args:
        stream: gives channels and rate.
        n_kernels: as of ``shape_kernels``.
    """
    kernels = shape_kernels(n_kernels)
    reach = [f"{float(f'{1000 * (_TAPS - 1) * d / stream.rate:.2g}'):g}" for d in kernels.dilations]
    return tuple(f"{channel}.shape{f} {reach[f]} ms" for channel in stream.channels for f in range(n_kernels))


def describe_shapes(
    stream: Stream, segmentation: Segmentation, n_kernels: int = 15
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Describe the shape of every segment: the share of its samples at which each convolution exceeds its threshold.

    Each channel of a segment is brought to mean 0 and standard deviation 1 over its finite samples. With
    ``w_k = 2`` for three taps k of nine and -1 for the others, the convolution at sample i is
    ``sum_k w_k x[i + (k - 4) dilation]``, where samples that are missing or beyond the segment count as its mean.

    Args:
        stream: raw, or frames; any rate, channels and runs.
        segmentation: of this stream's samples.
        n_kernels: convolutions per channel, 1 to 420; reaches of 8 to 128 samples take turns.

    Returns:
        ``(features, names)``: float32 (n_segments, n_channels * n_kernels) in [0, 1]; zeros where a channel is flat in
        a segment (never 0/0), NaN where it has no finite sample there.

    Raises:
        ParameterError: a number out of range, or a segmentation that does not end where the stream does.

    Reference: Dempster, Schmidt & Webb 2021, MiniRocket, KDD, section 3. Departures: some of the kernels; thresholds
    by a golden-ratio sequence of normal quantiles and not from the data; the scale is the segment's own. Time
    O(n n_kernels) a channel, memory bounded.

    >>> from align.datatypes import Segmentation, Stream
    >>> stream = Stream([0.0] * 9 + [1.0, 2.0, 3.0] * 3, rate=1.0)
    >>> describe_shapes(stream, Segmentation.of(stream, [9]), 2)[0][0].tolist()
    [0.0, 0.0]
    """
    names = shape_names(stream, n_kernels)
    edges = segmentation.boundaries
    if edges[0] != 0 or edges[-1] != stream.n_samples:
        raise ParameterError("segmentation", f"samples to {edges[-1]}", f"samples 0 to {stream.n_samples}")
    kernels = shape_kernels(n_kernels)
    columns = [_of_channel(stream.values[:, c], edges, kernels) for c in range(stream.n_channels)]
    return np.concatenate(columns, axis=1).astype(np.float32), names


def _of_channel(values: npt.NDArray[np.floating], edges: Ints, kernels: ShapeKernels) -> Floats:
    """(n_segments, n_kernels) shares, stretch by stretch of the channel."""
    n_segments, n_kernels = edges.size - 1, len(kernels.triples)
    mean, sd, count = _scale(values, edges)
    above = np.zeros((n_segments, n_kernels))
    halo = (_TAPS // 2) * max(kernels.dilations)
    for low, high in _stretches(len(values)):
        first, last = max(0, low - halo), min(len(values), high + halo)
        segment = _segments(edges, first, last)
        x, finite = _known(values[first:last])
        flat = sd[segment] <= 0.0
        x = np.where(finite & ~flat, (x - mean[segment]) / np.where(flat, 1.0, sd[segment]), 0.0)
        here = slice(low - first, high - first)
        for dilation in sorted(set(kernels.dilations)):
            taps = [_shifted(x, segment, (k - _TAPS // 2) * dilation)[here] for k in range(_TAPS)]
            total = np.sum(taps, axis=0)
            for f in np.flatnonzero(np.array(kernels.dilations) == dilation):
                a, b, c = kernels.triples[f]
                exceeds = (3.0 * (taps[a] + taps[b] + taps[c]) - total > kernels.thresholds[f]) & finite[here]
                above[:, f] += np.bincount(segment[here], exceeds, n_segments)
    shares = above / np.maximum(count, 1)[:, None]
    shares[sd <= 0.0] = 0.0
    shares[count == 0] = np.nan
    return np.asarray(shares)


def _scale(values: npt.NDArray[np.floating], edges: Ints) -> tuple[Floats, Floats, Ints]:
    """Mean, standard deviation (0 where it is rounding) and number of the finite samples of every segment."""
    n_segments = edges.size - 1
    sums, count, largest = np.zeros(n_segments), np.zeros(n_segments, np.int64), np.zeros(n_segments)
    for low, high in _stretches(len(values)):
        segment = _segments(edges, low, high)
        x, finite = _known(values[low:high])
        count += np.bincount(segment, finite, n_segments).astype(np.int64)
        np.maximum.at(largest, segment, np.abs(x))
    # a power of two takes out magnitudes whose squares would overflow
    size = 2.0 ** np.ceil(np.log2(np.where(largest > 0, largest, 1.0)))
    for low, high in _stretches(len(values)):
        segment = _segments(edges, low, high)
        sums += np.bincount(segment, _known(values[low:high])[0] / size[segment], n_segments)
    mean, squares = sums / np.maximum(count, 1), np.zeros(n_segments)
    for low, high in _stretches(len(values)):
        segment = _segments(edges, low, high)
        x, finite = _known(values[low:high])
        off = np.where(finite, x / size[segment] - mean[segment], 0.0)
        squares += np.bincount(segment, off * off, n_segments)
    sd = np.sqrt(squares / np.maximum(count, 1))
    sd[sd <= _ROUNDING * np.abs(mean)] = 0.0
    return mean * size, sd * size, count


def _known(values: npt.NDArray[np.floating]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """As float64 with 0 in place of what is missing, and what is not."""
    x = values.astype(np.float64)
    finite = np.isfinite(x)
    return np.where(finite, x, 0.0), finite


def _segments(edges: Ints, low: int, high: int) -> Ints:
    """The segment of each sample from ``low`` to ``high - 1``."""
    return np.searchsorted(edges, np.arange(low, high), side="right") - 1


def _shifted(x: Floats, segment: Ints, by: int) -> Floats:
    """``x[i + by]`` where that is in the segment of i, else 0."""
    out = np.zeros(x.size)
    if abs(by) >= x.size:
        return out
    to, source = (slice(0, x.size - by), slice(by, None)) if by >= 0 else (slice(-by, None), slice(0, by))
    out[to] = np.where(segment[to] == segment[source], x[source], 0.0)
    return out


def _stretches(n: int) -> Iterator[tuple[int, int]]:
    for low in range(0, n, _AT_ONCE):
        yield low, min(n, low + _AT_ONCE)
