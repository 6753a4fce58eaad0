"""Windows of a stream -> a few hundred numbers each: statistics, and how often random filters respond.

Random filters say of a shape or rhythm what no list of statistics foresees; the share of time in which a filter's
output exceeds a threshold does not depend on where in the window the pattern begins.

Reference: Dempster, Petitjean and Webb 2020, ROCKET, Data Mining and Knowledge Discovery 34 (random filters and
the proportion of positive values). Departures: four thresholds per filter, at quantiles of its output over the
stream; statistics beside; half of the filters keep their mean, so that levels count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.errors import InputError
from align.features.scaling import robust_location_scale

__all__ = ["Look", "Windows", "fitted_look", "place_windows", "seen"]

Ints = npt.NDArray[np.int64]

_SHORTEST = 4  # samples of a window, where the segment has them
_RESOLUTION = 256  # values of a window that the filters see; longer windows are averaged down to that
_TAPS = 9
_FILTERS = 64
_LEVELS = 4  # thresholds per filter
_MOST_CHANNELS = 3  # that one filter sees
_LIMIT = 8.0  # robust standard deviations beyond which values are cut off
_STILL = 0.02  # the same; spread below which a window counts as still
_LOOKED_AT = 100_000  # samples from which location and scale are taken
_LEVELLED = 300  # windows from whose outputs the thresholds are taken
_STATISTICS = 5  # per channel
_ROUNDING = 1e-9  # spread of a feature that is rounding, not signal
_BATCH_CELLS = 2**21


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows ``[start, start + length)`` of samples, in the order of their ``segment`` (an index from 0)."""

    start: Ints
    length: Ints
    segment: Ints
    longest: int


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How windows are described: fitted once, then applied to any window of the same stream.

    ``location``, ``scale`` (n_channels,); ``step`` samples averaged to one before filtering; ``taps``
    (n_filters, 9), ``spacing`` (n_filters,) and ``mix`` (n_filters, n_channels) are the filters, ``levels``
    (n_filters, 4) their thresholds; ``shift``, ``weight`` (n_features,) standardise the outcome.
    """

    location: Floats
    scale: Floats
    step: int
    taps: Floats
    spacing: Ints
    mix: Floats
    levels: Floats
    shift: Floats
    weight: Floats


def place_windows(begin: Ints, end: Ints, length: int, count: tuple[int, int]) -> Windows:
    """Spread windows that do not overlap evenly over segments.

    Args:
        begin, end: (n_segments,) sample indices.
        length: wanted samples per window; halved in a segment until the least number fits.
        count: least (where the segment has enough samples) and most windows per segment.
    """
    least, most = count
    length = max(_SHORTEST, length)
    starts, lengths = [], []
    for a, b in zip(begin.tolist(), end.tolist(), strict=True):
        own = length
        while own > _SHORTEST and own * least > b - a:
            own = max(_SHORTEST, own // 2)
        own = min(own, b - a)
        n = min(max((b - a) // own, 1), most)
        free = b - a - n * own
        starts.append(a + np.arange(n) * own + (np.arange(n) * 2 + 1) * free // (2 * n))
        lengths.append(np.full(n, own))
    segment = np.repeat(np.arange(len(starts)), [s.size for s in starts])
    return Windows(np.concatenate(starts), np.concatenate(lengths), segment, length)


def fitted_look(stream: Stream, windows: Windows, rng: np.random.Generator) -> tuple[Look, Floats]:
    """Draw filters, set their thresholds on these windows, and describe the windows.

    Args:
        stream: any stream.
        windows: of this stream.
        rng: draws the filters.

    Returns:
        the look, and the (n_windows, n_features) features: statistics and filters weigh alike together, each
        column has mean 0, and a column without spread is 0.

    Raises:
        InputError: E-NONFINITE, an infinite value within a window.
    """
    n_channels, longest = stream.n_channels, windows.longest
    step = -(-longest // _RESOLUTION)
    # a filter reaches over at most half a window, so that it answers at many places in it
    reach = np.log2(max(1.0, (longest / step - 1) / (_TAPS - 1) / 2))
    taps = rng.normal(size=(_FILTERS, _TAPS))
    taps[1::2] -= taps[1::2].mean(axis=1, keepdims=True)
    mix = np.zeros((_FILTERS, n_channels))
    for row in mix:
        chosen = rng.permutation(n_channels)[: rng.integers(1, _MOST_CHANNELS + 1)]
        row[chosen] = rng.choice([-1.0, 1.0], size=chosen.size)
    location, scale = robust_location_scale(stream.values[:: max(1, stream.n_samples // _LOOKED_AT)])
    look = Look(
        location=location,
        scale=scale,
        step=step,
        taps=taps / np.sqrt((taps**2).sum(axis=1, keepdims=True)),
        spacing=(2.0 ** rng.uniform(0.0, reach, _FILTERS)).astype(np.int64),
        mix=mix,
        levels=np.zeros((_FILTERS, _LEVELS)),
        shift=np.zeros(1),
        weight=np.ones(1),
    )
    look = replace(look, levels=_levels(look, stream, windows))
    raw = seen(look, stream, windows)
    spread = raw.std(axis=0)
    n_filtered = _FILTERS * _LEVELS
    n_alike = np.full(raw.shape[1], n_filtered)
    n_alike[:-n_filtered] = raw.shape[1] - n_filtered
    weight = np.where(spread > _ROUNDING, 1.0 / np.maximum(spread, _ROUNDING), 0.0) / np.sqrt(n_alike)
    look = replace(look, shift=raw.mean(axis=0), weight=weight)
    return look, (raw - look.shift) * look.weight


def seen(look: Look, stream: Stream, windows: Windows) -> Floats:
    """(n_windows, n_features) features of windows, as ``fitted_look`` describes its own.

    Args:
        look: fitted on this stream.
        stream: the same.
        windows: any of it.

    Raises:
        InputError: E-NONFINITE, an infinite value within a window.
    """
    n_statistics = _STATISTICS * stream.n_channels
    out = np.empty((windows.start.size, n_statistics + _FILTERS * _LEVELS))
    for index, values in _batches(look, stream, windows):
        coarse = _averaged(values, look.step)
        out[index, :n_statistics] = _statistics(values, coarse)
        for f in range(_FILTERS):
            output = _filtered(look, coarse, f)
            first = n_statistics + f * _LEVELS
            for level in range(_LEVELS):
                out[index, first + level] = (output > look.levels[f, level]).mean(axis=1)
    return np.asarray((out - look.shift) * look.weight)


def _levels(look: Look, stream: Stream, windows: Windows) -> Floats:
    """(n_filters, 4) quantiles of each filter's output over some of the windows."""
    some = np.arange(0, windows.start.size, max(1, windows.start.size // _LEVELLED))
    chosen = Windows(windows.start[some], windows.length[some], windows.segment[some], windows.longest)
    coarse = [_averaged(values, look.step) for _, values in _batches(look, stream, chosen)]
    at = (np.arange(_LEVELS) + 0.5) / _LEVELS
    rows = [np.concatenate([_filtered(look, c, f).ravel() for c in coarse]) for f in range(_FILTERS)]
    return np.array([np.quantile(row, at) for row in rows])


def _batches(look: Look, stream: Stream, windows: Windows) -> Iterator[tuple[Ints, Floats]]:
    """Windows of one length at a time, scaled and without missing cells: index, (m, length, n_channels)."""
    for length in np.unique(windows.length):
        same = np.flatnonzero(windows.length == length)
        at_once = max(1, _BATCH_CELLS // (int(length) * stream.n_channels))
        for index in np.split(same, range(at_once, same.size, at_once)):
            cells = windows.start[index, None] + np.arange(length)
            yield index, _scaled(look, stream, cells)


def _scaled(look: Look, stream: Stream, cells: Ints) -> Floats:
    values = stream.values[cells].astype(np.float64)
    if np.isinf(values).any():
        row, offset, channel = np.argwhere(np.isinf(values))[0]
        sample = int(cells[row, offset])
        raise InputError(
            "E-NONFINITE",
            "an infinite value; allowed: finite numbers, NaN for a missing cell",
            hint="replace it, or read the file with --on-nan gap",
            channel=stream.channels[channel],
            sample=sample,
            time=float(stream.times([sample])[0]),
        )
    with np.errstate(over="ignore"):
        values = np.clip((values - look.location) / look.scale, -_LIMIT, _LIMIT)
    missing = np.isnan(values)
    if missing.any():
        known = np.maximum((~missing).sum(axis=1, keepdims=True), 1)
        mean = np.where(missing, 0.0, values).sum(axis=1, keepdims=True) / known
        values = np.where(missing, mean, values)
    return np.asarray(values)


def _statistics(values: Floats, coarse: Floats) -> Floats:
    """Mean, log spread, log spread of steps and two quantiles of each channel: (m, 5 n_channels)."""
    steps = np.diff(values, axis=1) if values.shape[1] > 1 else np.zeros_like(values)
    low, high = np.quantile(coarse, [0.1, 0.9], axis=1)
    spread, jitter = np.log(values.std(axis=1) + _STILL), np.log(steps.std(axis=1) + _STILL)
    return np.concatenate([values.mean(axis=1), spread, jitter, low, high], axis=1)


def _averaged(values: Floats, step: int) -> Floats:
    """Means over ``step`` samples; at least as many as a filter has taps, the last one repeated."""
    own = min(step, values.shape[1])
    n = values.shape[1] // own
    coarse = values[:, : n * own].reshape(len(values), n, own, -1).mean(axis=2)
    return np.pad(coarse, ((0, 0), (0, max(0, _TAPS - n)), (0, 0)), mode="edge")


def _filtered(look: Look, coarse: Floats, f: int) -> Floats:
    """(m, n) output of one filter, spaced closer where a window is too short for it."""
    signal = coarse @ look.mix[f]
    spacing = min(int(look.spacing[f]), (signal.shape[1] - 1) // (_TAPS - 1))
    n = signal.shape[1] - (_TAPS - 1) * spacing
    output = np.zeros((len(signal), n))
    for k, tap in enumerate(look.taps[f]):
        output += tap * signal[:, k * spacing : k * spacing + n]
    return output
