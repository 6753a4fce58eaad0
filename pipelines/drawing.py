"""Streams -> what the report draws: few points, gaps kept open, audio as envelope and spectrogram."""

from __future__ import annotations

import base64
import itertools
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Session, Stream

__all__ = ["MAX_POINTS", "holes", "stream_drawing", "trace"]

MAX_POINTS = 4_000  # per channel: a screen has fewer pixels
_BINS = 8_000  # of the envelope of a sound: its events are short
_ALL_POINTS = 150_000  # in the whole report
_PER_LANE = 8  # channels over each other: more cannot be told apart
_MAX_LANES = 16  # per stream
_MAX_HOLES = 2_000
_COLUMNS, _BANDS, _WINDOWS = 1_000, 40, 4  # spectrogram: columns, bands, windows averaged per column
_LOWEST_HZ = 60.0
_HUGE = 1e300  # beyond it the distance of two values overflows
# "acc_x", "gyro-y", "Accel Z", "lead2" -> what is left when the axis is taken off
_AXIS = re.compile(r"(?:[\s_.\-]*[xyzXYZ]|[\s_.\-]*\d+)$")


def stream_drawing(stream: Stream, session: Session) -> dict[str, Any]:
    """One stream as plain JSON values: its lanes, its holes, and how many channels were left out.

    Channels with the same unit share a lane (without a unit: with the same name but for x, y, z or a number).
    """
    drawing: dict[str, Any] = {
        "name": stream.name,
        "modality": stream.modality,
        "rate": stream.rate,
        "holes": _rounded(holes(stream, session), 3).tolist(),
        "omitted": 0,
    }
    if stream.modality == "audio":
        drawing["lanes"] = [_audio_lane(stream)]
        return drawing
    groups = _groups(stream)[:_MAX_LANES]
    drawn = sum(len(group) for group in groups)
    drawing["omitted"] = stream.n_channels - drawn
    total = max(1, sum(min(s.n_channels, _MAX_LANES * _PER_LANE) for s in session.streams))
    points = max(100, min(MAX_POINTS, _ALL_POINTS // total))
    drawing["lanes"] = [_sensor_lane(stream, group, points) for group in groups]
    return drawing


def holes(stream: Stream, session: Session) -> Floats:
    """(n, 2) seconds of the session in which the stream has no samples: gaps, late start, early end.

    Of more than 2,000 only the longest are returned.
    """
    spans = stream.run_spans
    edges = np.concatenate([[session.start], spans.reshape(-1), [session.end]]).reshape(-1, 2)
    found: Floats = edges[edges[:, 1] - edges[:, 0] > 1.5 / stream.rate]
    if len(found) > _MAX_HOLES:
        longest = np.argsort(found[:, 0] - found[:, 1], kind="stable")[:_MAX_HOLES]
        found = found[np.sort(longest)]
    return found


def _groups(stream: Stream) -> list[list[int]]:
    groups: dict[tuple[str, str], list[list[int]]] = {}
    for index, (channel, unit) in enumerate(zip(stream.channels, stream.units, strict=True)):
        stem = "" if unit else _AXIS.sub("", channel)
        chunks = groups.setdefault((unit, stem), [[]])
        if len(chunks[-1]) == _PER_LANE:
            chunks.append([])
        chunks[-1].append(index)
    return [chunk for chunks in groups.values() for chunk in chunks]


def _sensor_lane(stream: Stream, channels: list[int], points: int) -> dict[str, Any]:
    traces = [trace(stream, channel, points) for channel in channels]
    low, high = _limits([y for _, y in traces])
    y_digits = min(300, 4 - math.floor(math.log10(high - low)))
    t_digits = max(1, min(6, math.ceil(math.log10(stream.rate)) + 1))
    return {
        "kind": "sensor",
        "unit": stream.units[channels[0]],
        "low": low,
        "high": high,
        "traces": [
            {
                "name": stream.channels[channel],
                "t": _rounded(t, t_digits).tolist(),
                "y": [None if math.isnan(v) else v for v in _rounded(y, y_digits).tolist()],
            }
            for channel, (t, y) in zip(channels, traces, strict=True)
        ],
    }


def _rounded(values: Floats, digits: int) -> Floats:
    return np.round(values, digits) + 0.0  # no "-0.0"


def _limits(traces: list[Floats]) -> tuple[float, float]:
    """Lowest and highest value drawn; a lone spike far from the rest does not flatten the rest."""
    seen = np.concatenate([*traces, np.zeros(0)])
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return 0.0, 1.0
    low, high = float(seen.min()), float(seen.max())
    inner_low, inner_high = (float(q) for q in np.quantile(seen, [0.005, 0.995]))
    spread = inner_high - inner_low
    if 0 < spread < (high - low) / 8:
        low, high = max(low, inner_low - spread), min(high, inner_high + spread)
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-300):
        half = max(abs(high) * 0.05, 0.5)
        low, high = low - half, high + half
    return low, high


def trace(stream: Stream, channel: int, points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """One channel as at most about ``points`` points: split at gaps, missing cells removed, extremes kept.

    Args:
        stream: any stream.
        channel: column.
        points: about how many points, >= 4; a break costs one more.

    Returns:
        times (m,) s ascending and values (m,); a NaN value breaks the line there (a gap, or cells missing for
        longer than four times the usual distance of this channel's values).

    References:
        MinMaxLTTB (Van Der Donckt et al., 2023), per piece, as tsdownsample computes it.
    """
    kept = np.flatnonzero(np.isfinite(stream.values[:, channel]))
    if not kept.size:
        return np.zeros(0), np.zeros(0)
    t = stream.times(kept)
    y = np.clip(stream.values[kept, channel].astype(np.float64), -_HUGE, _HUGE)
    pieces = _pieces(stream, kept, t, most=max(1, points // 4))
    times, values = [], []
    for first, last in pieces:
        share = max(4, round(points * (last - first) / kept.size))
        chosen = first + _thinned(t[first:last], y[first:last], share)
        times += [t[chosen], t[chosen[-1:]]]
        values += [y[chosen], [np.nan]]
    return np.concatenate(times[:-1]), np.concatenate(values[:-1])


def _pieces(stream: Stream, kept: npt.NDArray[np.int64], t: Floats, most: int) -> list[tuple[int, int]]:
    """Half-open index ranges of ``kept`` between which the line is broken: at the ``most`` longest pauses."""
    pause = np.diff(t)
    usual = float(np.median(pause)) if pause.size else 0.0
    breaks = np.flatnonzero((np.diff(stream.run_of(kept)) > 0) | (pause > 4 * usual))
    if breaks.size > most:
        breaks = np.sort(breaks[np.argsort(-pause[breaks], kind="stable")[:most]])
    edges = [0, *(breaks + 1).tolist(), kept.size]
    return list(itertools.pairwise(edges))


def _thinned(t: Floats, y: Floats, points: int) -> npt.NDArray[np.int64]:
    if len(t) <= points:
        return np.arange(len(t))
    from tsdownsample import MinMaxLTTBDownsampler

    return np.asarray(MinMaxLTTBDownsampler().downsample(t, y, n_out=points), dtype=np.int64)


def _audio_lane(stream: Stream) -> dict[str, Any]:
    seconds = float((stream.run_ends - stream.run_index).sum()) / stream.rate
    envelopes = [_envelope(stream, run, seconds / _BINS) for run in range(stream.n_runs)]
    peak = max((float(np.nanmax(np.abs(part))) for part in envelopes if np.isfinite(part).any()), default=0.0)
    runs = []
    for run, part in enumerate(envelopes):
        begin, end = stream.run_spans[run]
        levels = np.round(part / (peak or 1.0) * 1000) + 0.0
        low, high = ([None if math.isnan(v) else int(v) for v in column] for column in levels.T.tolist())
        runs.append({"start": float(begin), "step": float(end - begin) / len(part), "low": low, "high": high})
    return {
        "kind": "audio",
        "unit": stream.units[0],
        "peak": peak,
        "channels": list(stream.channels[:_PER_LANE]),
        "runs": runs,
        "spectrogram": _spectrogram(stream, seconds / _COLUMNS),
    }


def _envelope(stream: Stream, run: int, step: float) -> Floats:
    """(n_bins, 2) lowest and highest value of all channels per bin of about ``step`` s."""
    first, last = int(stream.run_index[run]), int(stream.run_ends[run])
    bins = max(1, min(last - first, round((last - first) / stream.rate / step)))
    edges = np.arange(bins) * (last - first) // bins
    values = stream.values[first:last]
    low = np.fmin.reduce(np.fmin.reduceat(values, edges, axis=0), axis=1)
    high = np.fmax.reduce(np.fmax.reduceat(values, edges, axis=0), axis=1)
    return np.column_stack([low, high]).astype(np.float64)


def _spectrogram(stream: Stream, step: float) -> list[dict[str, Any]]:
    """Per run: power in ``_BANDS`` bands from low to high, in columns of about ``step`` s, as base64 bytes.

    A byte is the level in dB between the 40 % quantile (0) and the maximum (255) of the whole stream: enough
    to see where something sounds and whether it is deep or bright, not a measurement.
    """
    width = 2 ** round(math.log2(max(64.0, stream.rate * 0.032)))
    every = ((run, _levels(stream, run, step, width)) for run in range(stream.n_runs))
    parts = {run: levels for run, levels in every if levels is not None}
    if not parts:
        return []
    seen = np.concatenate([levels.reshape(-1) for levels in parts.values()])
    floor, top = float(np.quantile(seen, 0.4)), float(seen.max())
    pictures = []
    for run, levels in parts.items():
        begin, end = stream.run_spans[run]
        scaled = np.clip((levels - floor) / max(top - floor, 1e-9), 0, 1)
        picture = np.round(255 * scaled).astype(np.uint8)
        pictures.append(
            {
                "start": float(begin),
                "step": float(end - begin) / len(picture),
                "bands": _BANDS,
                "columns": len(picture),
                "bytes": base64.b64encode(picture.tobytes()).decode("ascii"),
            }
        )
    return pictures


def _levels(stream: Stream, run: int, step: float, width: int) -> Floats | None:
    """(n_columns, n_bands) dB of one run; None where it is shorter than a window of ``width`` samples."""
    first, last = int(stream.run_index[run]), int(stream.run_ends[run])
    if last - first < width:
        return None
    columns = max(1, min(_COLUMNS, round((last - first) / stream.rate / step)))
    starts = np.linspace(first, last - width, columns * _WINDOWS).astype(np.int64)
    edges = np.geomspace(min(_LOWEST_HZ, stream.rate / 8), stream.rate / 2, _BANDS + 1) / stream.rate * width
    lower = np.minimum(edges[:-1].astype(np.int64), width // 2 - 1)
    window = np.hanning(width)
    levels = np.empty((columns, _BANDS))
    for column in range(columns):
        rows = starts[column * _WINDOWS : (column + 1) * _WINDOWS, None] + np.arange(width)
        cut = np.nan_to_num(stream.values[rows].mean(axis=2, dtype=np.float64))
        power = (np.abs(np.fft.rfft(cut * window, axis=1)) ** 2).mean(axis=0)
        levels[column] = np.add.reduceat(power, lower) / np.maximum(np.diff(np.append(lower, width // 2)), 1)
    return 10 * np.log10(levels + 1e-12)
