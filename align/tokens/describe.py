"""Segments of any length -> the same few numbers each: level, spread, trend, change and rhythm per channel.

Duration is left out on purpose: a code says what a stretch looks like, its span already says how long it
lasts, and a walk of ten seconds should be the same token as a walk of ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Segmentation, Stream
from align.errors import InputError, ParameterError
from align.tokens.long_segments import (
    DETRENDED,
    LEAST_SAMPLES,
    ROUNDING,
    describe_long,
    power_of,
    strongest,
    windows_of,
)
from align.tokens.shapes import describe_shapes, shape_names

__all__ = ["RHYTHM_RATE", "describe_segments", "feature_names"]

RHYTHM_RATE = 12.0  # Hz: below it the body's rhythms (up to about 4 Hz) are not sampled three times a cycle
_AT_ONCE = 1 << 17  # samples of a channel that are described together: they fit a cache

_STATISTICS = ("mean", "sd", "slope", "change")
_RHYTHMS = ("frequency", "rhythm", "crossings")


def feature_names(stream: Stream, shapes: int = 0) -> tuple[str, ...]:
    """The columns of ``describe_segments``: "<channel>.<statistic>", channel by channel, then those of shapes."""
    kinds = _STATISTICS + (_RHYTHMS if _has_rhythm(stream) else ())
    names = tuple(f"{channel}.{kind}" for channel in stream.channels for kind in kinds)
    return names + (shape_names(stream, shapes) if shapes else ())


def describe_segments(
    stream: Stream, segmentation: Segmentation, *, shapes: int = 0
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Describe every segment by a fixed number of features.

    Per channel, over the finite samples of the segment:

    - ``mean`` and ``sd`` (population), in the channel's unit;
    - ``slope``: least-squares trend, units per second; 0 with fewer than two samples;
    - ``change``: mean absolute difference of neighbouring samples times the rate, units per second;
    - sensors of at least 12 Hz only, after removing mean and trend: ``frequency`` of the highest peak of the
      averaged power spectrum in Hz and ``rhythm``, the share of power within one bin of it (0 to 1); both 0
      when that share is below 0.25 (no rhythm); ``crossings``: sign changes per second.

    A flat segment has zeros except for its mean, never 0/0.

    Args:
        stream: raw, or frames made from it: any ``Stream``.
        segmentation: cut from this stream or from one on the same samples.
        shapes: random convolutions per channel whose columns stand behind the others (``describe_shapes``), or 0.

    Returns:
        ``(features, names)``: float32 (n_segments, n_features) and one name per column. NaN marks a channel
        that has no finite sample in that segment, and nothing else.

    Raises:
        ParameterError: the segmentation does not tile this stream.
        InputError: E-RANGE, a feature does not fit float32.
    """
    _check_tiles(stream, segmentation)
    columns = [_describe_channel(stream, segmentation, c) for c in range(stream.n_channels)]
    with np.errstate(over="ignore"):
        features = np.concatenate(columns, axis=1).astype(np.float32)
    if np.isinf(features).any():
        row, column = (int(v[0]) for v in np.nonzero(np.isinf(features)))
        raise InputError(
            "E-RANGE",
            "a segment's feature is beyond the range of float32, about 3e38",
            hint="rescale the channel",
            channel=stream.channels[column // (features.shape[1] // stream.n_channels)],
            sample=int(segmentation.boundaries[row]),
        )
    if shapes:
        features = np.concatenate([features, describe_shapes(stream, segmentation, shapes)[0]], axis=1)
    return features, feature_names(stream, shapes)


def _has_rhythm(stream: Stream) -> bool:
    return stream.modality == "sensor" and stream.rate >= RHYTHM_RATE


def _check_tiles(stream: Stream, segmentation: Segmentation) -> None:
    first, last = int(segmentation.boundaries[0]), int(segmentation.boundaries[-1])
    same_rate = abs(segmentation.rate - stream.rate) <= 1e-6 * stream.rate
    if first != 0 or last != stream.n_samples or not same_rate:
        raise ParameterError(
            "segmentation",
            f"samples {first} to {last} at {segmentation.rate:g} Hz",
            f"samples 0 to {stream.n_samples} at {stream.rate:g} Hz, as in stream {stream.name!r}",
            hint="describe the stream that was cut",
        )


def _describe_channel(stream: Stream, segmentation: Segmentation, channel: int) -> Floats:
    """The features of one channel, (n_segments, 4 or 7); NaN rows where nothing is finite."""
    bounds, has_rhythm = segmentation.boundaries, _has_rhythm(stream)
    rows = []
    for low, high in _groups(bounds):
        values, ends = (
            stream.values[bounds[low] : bounds[high], channel],
            bounds[low : high + 1] - bounds[low],
        )
        if values.size > 2 * _AT_ONCE:  # one segment
            rows.append(describe_long(values, stream.rate, has_rhythm))
        else:
            rows.append(_describe_group(values.astype(np.float64), ends, stream.rate, has_rhythm))
    return np.concatenate(rows)


def _groups(bounds: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Stretches of segments with about ``_AT_ONCE`` samples; a longer segment alone."""
    low, n_segments = 0, bounds.size - 1
    while low < n_segments:
        high = int(np.searchsorted(bounds, bounds[low] + _AT_ONCE, side="right")) - 1
        high = min(max(high, low + 1), n_segments)
        yield low, high
        low = high


def _describe_group(x: Floats, bounds: npt.NDArray[np.int64], rate: float, has_rhythm: bool) -> Floats:
    """As ``_describe_channel``, of the segments between ``bounds`` (n + 1,), the first 0."""
    starts, lengths = bounds[:-1], np.diff(bounds)
    finite = np.isfinite(x)
    x[~finite] = np.nan
    count = np.add.reduceat(finite.astype(np.int64), starts)

    def average(values: Floats) -> Floats:
        return np.add.reduceat(np.where(finite, values, 0.0), starts) / np.maximum(count, 1)

    with np.errstate(over="ignore", invalid="ignore"):
        mean = average(x)
        deviation = np.where(finite, x - np.repeat(mean, lengths), 0.0)
        deviation[np.abs(deviation) <= ROUNDING * np.repeat(np.abs(mean), lengths)] = 0.0
        sd = np.sqrt(average(deviation**2))
        # The trend needs time centred on the finite samples of the segment, not on the whole of it.
        time = (np.arange(x.size) - np.repeat(starts, lengths)) / rate
        time = np.where(finite, time - np.repeat(average(time), lengths), 0.0)
        spread = average(time**2)
        slope = np.where(spread > 0, average(time * deviation) / np.where(spread > 0, spread, 1.0), 0.0)
        columns = [mean, sd, slope, _mean_change(x, starts, rate)]
        if has_rhythm:
            residual = deviation - time * np.repeat(slope, lengths)
            residual[np.abs(residual) <= DETRENDED * np.repeat(sd, lengths)] = 0.0
            columns += [*_rhythm(residual, bounds, rate), _crossings(residual, starts, rate)]
    out = np.column_stack(columns)
    out[count == 0] = np.nan
    return out


def _mean_change(x: Floats, starts: npt.NDArray[np.int64], rate: float) -> Floats:
    """Mean absolute difference of neighbours inside each segment, per second; 0 where there is no pair."""
    step = np.full(x.size, np.nan)
    step[1:] = np.abs(np.diff(x))
    step[starts] = np.nan  # the difference to the sample before belongs to no segment
    pair = ~np.isnan(step)
    total = np.add.reduceat(np.where(pair, step, 0.0), starts)
    return rate * total / np.maximum(np.add.reduceat(pair.astype(np.int64), starts), 1)


def _crossings(residual: Floats, starts: npt.NDArray[np.int64], rate: float) -> Floats:
    """Sign changes per second; an exact zero keeps the sign before it in the same segment."""
    sign = np.sign(residual)
    keeps = sign == 0
    keeps[starts] = False
    sign = sign[np.maximum.accumulate(np.where(keeps, 0, np.arange(sign.size)))]
    turned = np.zeros(sign.size)
    turned[1:] = sign[1:] * sign[:-1] < 0
    turned[starts] = 0.0
    lengths = np.diff(np.append(starts, residual.size))
    return rate * np.add.reduceat(turned, starts) / lengths


def _rhythm(residual: Floats, bounds: npt.NDArray[np.int64], rate: float) -> tuple[Floats, Floats]:
    """Frequency of the strongest rhythm and its share of the power; zeros where there is none."""
    n_segments = bounds.size - 1
    frequency, share = np.zeros(n_segments), np.zeros(n_segments)
    for i in range(n_segments):
        part = residual[bounds[i] : bounds[i + 1]]
        if part.size >= LEAST_SAMPLES and part.any():
            firsts, width = windows_of(part.size, rate)
            windows = np.lib.stride_tricks.sliding_window_view(part, width)[firsts]
            frequency[i], share[i] = strongest(power_of(windows), width, rate)
    return frequency, share
