"""Segments of any length -> the same few numbers each: level, spread, trend, change and rhythm per channel.

Duration is left out on purpose: a code says what a stretch looks like, its span already says how long it
lasts, and a walk of ten seconds should be the same token as a walk of ten minutes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Segmentation, Stream
from align.errors import InputError, ParameterError

__all__ = ["RHYTHM_RATE", "describe_segments", "feature_names"]

RHYTHM_RATE = 12.0  # Hz: below it the body's rhythms (up to about 4 Hz) are not sampled three times a cycle
_WINDOW = 8.0  # s: spectra are averaged over stretches of this length, so a peak is known to 1/8 Hz
_LEAST_SAMPLES = 8  # a shorter segment has no rhythm
_LEAST_SHARE = 0.25  # of the power near the peak; under it the peak's frequency is chance
_ROUNDING = 1e-12  # a deviation below this share of the segment's mean is the mean's rounding, not signal
_DETRENDED = 1e-6  # what is left of a straight ramp, as a share of its standard deviation, is rounding too

_STATISTICS = ("mean", "sd", "slope", "change")
_RHYTHMS = ("frequency", "rhythm", "crossings")


def feature_names(stream: Stream) -> tuple[str, ...]:
    """The columns of ``describe_segments``: "<channel>.<statistic>", channel by channel."""
    kinds = _STATISTICS + (_RHYTHMS if _has_rhythm(stream) else ())
    return tuple(f"{channel}.{kind}" for channel in stream.channels for kind in kinds)


def describe_segments(
    stream: Stream, segmentation: Segmentation
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
    return features, feature_names(stream)


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
    bounds = segmentation.boundaries
    starts, lengths = bounds[:-1], np.diff(bounds)
    x = stream.values[:, channel].astype(np.float64)
    finite = np.isfinite(x)
    x[~finite] = np.nan
    count = np.add.reduceat(finite.astype(np.int64), starts)

    def average(values: Floats) -> Floats:
        return np.add.reduceat(np.where(finite, values, 0.0), starts) / np.maximum(count, 1)

    with np.errstate(over="ignore", invalid="ignore"):
        mean = average(x)
        deviation = np.where(finite, x - np.repeat(mean, lengths), 0.0)
        deviation[np.abs(deviation) <= _ROUNDING * np.repeat(np.abs(mean), lengths)] = 0.0
        sd = np.sqrt(average(deviation**2))
        # The trend needs time centred on the finite samples of the segment, not on the whole of it.
        time = (np.arange(x.size) - np.repeat(starts, lengths)) / stream.rate
        time = np.where(finite, time - np.repeat(average(time), lengths), 0.0)
        spread = average(time**2)
        slope = np.where(spread > 0, average(time * deviation) / np.where(spread > 0, spread, 1.0), 0.0)
        columns = [mean, sd, slope, _mean_change(x, starts, stream.rate)]
        if _has_rhythm(stream):
            residual = deviation - time * np.repeat(slope, lengths)
            residual[np.abs(residual) <= _DETRENDED * np.repeat(sd, lengths)] = 0.0
            columns += [*_rhythm(residual, bounds, stream.rate), _crossings(residual, starts, stream.rate)]
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
    window = max(_LEAST_SAMPLES, int(_WINDOW * rate))
    for i in range(n_segments):
        part = residual[bounds[i] : bounds[i + 1]]
        if part.size < _LEAST_SAMPLES or not part.any():
            continue
        width = min(window, part.size)
        # Evenly spread windows that cover the whole segment and overlap as little as its length allows.
        firsts = np.linspace(0, part.size - width, -(-part.size // width)).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(part, width)[firsts]
        power = (np.abs(np.fft.rfft(windows, axis=1)) ** 2).sum(axis=0)
        power[0] = 0.0
        total, peak = power.sum(), int(power.argmax())
        near = power[max(1, peak - 1) : peak + 2].sum()
        if total > 0 and near >= _LEAST_SHARE * total:
            frequency[i], share[i] = peak * rate / width, near / total
    return frequency, share
