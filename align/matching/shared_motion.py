"""Two devices on one body feel the same movements: how one's clock lies against the other's, from that alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.errors import InputError, ParameterError
from align.features.kinds import groups
from align.matching.clock_fit import fit_clock
from align.matching.clocks import ClockRepair, drift_bound

__all__ = ["MotionAnchors", "clock_from_motion", "feels_motion", "motion_anchors"]

_RATE = 50.0  # Hz at which the two are compared
_SLOWEST = 10.0  # Hz below which steps and jolts cannot be told apart
_WINDOW_S = 60.0
_TREND_S = 1.0  # slower changes of acceleration are the device's tilt, which is each device's own
_NEAR_S = 0.25  # a peak this close belongs to the same moment
_SHARP = 1.3  # times as high as any other peak: a rhythm alone, which fits at every step, does not reach it
_CLEAR = 0.15  # correlation below which nothing is shared
_WEIGHTS = {"acceleration": 2.0, "rotation": 1.0}


@dataclass(frozen=True, slots=True, eq=False)
class MotionAnchors:
    """What the windows of a recording say of a device's clock.

    ``pairs`` (n, 2) device and reference seconds of windows with one clear peak; ``sharpness`` (n,) how many
    times their peak is as high as any other; ``n_windows`` how many were looked at, ``best`` the highest
    sharpness of all, clear or not.
    """

    pairs: Floats
    sharpness: Floats
    n_windows: int
    best: float


def feels_motion(stream: Stream) -> bool:
    """Whether a stream has an accelerometer or gyroscope of three axes, fast enough to be compared."""
    return stream.modality == "sensor" and stream.rate >= _SLOWEST and bool(_sensors(stream))


def clock_from_motion(
    reference: Stream,
    device: Stream,
    *,
    reach: float = 3.0,
    kind: Literal["auto", "offset", "linear", "piecewise"] = "auto",
) -> ClockRepair:
    """The map of a device's clock onto a reference's, from movements that both felt.

    Anchors are those of ``motion_anchors``, the map that of ``fit_clock``.

    Args:
        reference: a stream with a three-axis accelerometer or gyroscope (or both).
        device: another, worn by the same person; its clock is off by less than ``reach``.
        reach: seconds.
        kind: as ``fit_clock``.

    Raises:
        InputError: E-CLOCK, a stream that feels no motion, less than 5 s in common, or no window in which one
            shift fits clearly better than every other.
    """
    found = motion_anchors(reference, device, reach=reach)
    if not len(found.pairs):
        shared = min(reference.end, device.end) - max(reference.start, device.start)
        raise InputError(
            "E-CLOCK",
            f"the clock of {device.name} cannot be told from movements shared with {reference.name}: in none of "
            f"{found.n_windows} windows does one shift stand out (best {found.best:.2f} times the next; needed: "
            f"{_SHARP})",
            hint=f"it is not correctable without anchors; at 50 ppm it drifts by {drift_bound(shared):.2g} s here",
        )
    return fit_clock(
        found.pairs[:, 0],
        found.pairs[:, 1],
        kind=kind,
        breaks=device.run_start[1:],
        names=(device.name, reference.name),
    )


def motion_anchors(reference: Stream, device: Stream, *, reach: float = 3.0) -> MotionAnchors:
    """Moments known on both clocks, one for each window of a minute in which the two agree at one shift alone.

    In each window the lengths of the acceleration vectors, without what changes slower than a second, and of the
    angular rates are correlated at every shift up to ``reach``: Pearson's coefficient over the samples that both
    have, so a gap or the edge of a recording counts for nothing. The coefficients are averaged, acceleration
    counting twice. A window counts when its best shift stands out 1.3-fold over every other one that is more
    than 0.25 s away, which plain walking, alike at every step, does not. Whitened correlations (GCC-PHAT) are not
    used: on smooth envelopes they find the window's own edges, at shift 0.

    Args:
        reference: with an accelerometer or a gyroscope.
        device: likewise.
        reach: largest shift in seconds, > 0.

    Returns:
        The anchors and how clear they are.

    Raises:
        InputError: E-CLOCK, as ``clock_from_motion``.
    """
    if not 0 < reach < float("inf"):
        raise ParameterError("reach", reach, "seconds > 0")
    for stream in (reference, device):
        if not feels_motion(stream):
            raise InputError("E-CLOCK", f"{stream.name} has no three-axis accelerometer or gyroscope of 10 Hz or more",
                             hint="give anchors instead: moments known on both clocks")  # fmt: skip
    if not set(_sensors(reference)) & set(_sensors(device)):
        raise InputError("E-CLOCK", f"{reference.name} and {device.name} have no kind of sensor in common",
                         hint="give anchors instead: moments known on both clocks")  # fmt: skip
    start, end = max(reference.start, device.start), min(reference.end, device.end)
    if end - start < 5.0:
        raise InputError("E-CLOCK", f"{reference.name} and {device.name} share {max(0.0, end - start):.3g} s; "
                         "allowed: 5 s or more", hint="check the clocks")  # fmt: skip
    rate = min(_RATE, reference.rate, device.rate)
    window = max(_WINDOW_S, 4.0 * reach)
    n = max(1, round((end - start) / window))
    window = min(window, end - start) if n == 1 else (end - start) / n
    pairs, sharpness, best = [], [], 0.0
    for begin in start + window * np.arange(n):
        stop = begin + window if n > 1 else end
        lag, height, sharp = _shift(reference, device, (float(begin), float(stop)), rate, reach)
        best = max(best, sharp)
        if sharp >= _SHARP and height >= _CLEAR:
            middle = 0.5 * (begin + stop)
            pairs.append((middle + lag, middle))
            sharpness.append(sharp)
    return MotionAnchors(np.asarray(pairs).reshape(-1, 2), np.asarray(sharpness), n, best)


def _sensors(stream: Stream) -> dict[str, tuple[int, ...]]:
    """Columns of the first three-axis sensor of each kind."""
    found: dict[str, tuple[int, ...]] = {}
    for group in groups(stream):
        if group.kind in _WEIGHTS and len(group.columns) == 3:
            found.setdefault(group.kind, group.columns)
    return found


def _shift(
    reference: Stream, device: Stream, span: tuple[float, float], rate: float, reach: float
) -> tuple[float, float, float]:
    """Best shift of the device against the reference (s), its correlation, and how many times the next best."""
    ours, theirs = _sensors(reference), _sensors(device)
    kinds = [kind for kind in _WEIGHTS if kind in ours and kind in theirs]
    most = int(np.ceil(reach * rate))
    total = np.zeros(2 * most + 1)
    for kind in kinds:
        a = _felt(reference, ours[kind], kind, span, rate)
        b = _felt(device, theirs[kind], kind, (span[0] - most / rate, span[1] + most / rate), rate)
        total += _WEIGHTS[kind] * _correlation(a, b, most)
    total /= sum(_WEIGHTS[kind] for kind in kinds)
    lags = np.arange(-most, most + 1) / rate
    peak = int(total.argmax())
    rest = total[np.abs(lags - lags[peak]) > _NEAR_S]
    second = max(float(rest.max(initial=0.0)), 1e-3)
    return float(lags[peak] + _between(total, peak) / rate), float(total[peak]), float(total[peak]) / second


def _between(values: Floats, peak: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, in steps from the peak."""
    if not 0 < peak < values.size - 1:
        return 0.0
    left, middle, right = values[peak - 1 : peak + 2]
    bend = left - 2.0 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0


def _felt(
    stream: Stream, columns: Sequence[int], kind: str, span: tuple[float, float], rate: float
) -> Floats:
    """Length of a sensor's vector in cells of ``1 / rate`` s from ``span[0]`` on, NaN where it has no sample."""
    n = max(1, round((span[1] - span[0]) * rate))
    parts = [np.zeros(0, np.int64)]
    begun = int(np.searchsorted(stream.run_start, span[1]))
    for run in range(max(0, int(np.searchsorted(stream.run_start, span[0], side="right")) - 1), begun):
        low, high = int(stream.run_index[run]), int(stream.run_ends[run])
        since, until = ((t - stream.run_start[run]) * stream.rate for t in span)
        parts.append(np.arange(low + max(0, int(since) - 2), min(high, low + max(0, int(until) + 3))))
    index = np.concatenate(parts)
    length = np.linalg.norm(stream.values[index][:, list(columns)].astype(np.float64), axis=1)
    good = np.isfinite(length)
    return _in_cells(stream.times(index)[good], length[good], (span[0], n, rate), stream.rate, kind)


def _in_cells(times: Floats, length: Floats, grid: tuple[float, int, float], own: float, kind: str) -> Floats:
    """Interpolated at the cells' middles; cells over 1.5 samples away from any sample stay NaN."""
    start, n, rate = grid
    at = start + (np.arange(n) + 0.5) / rate
    if times.size < 2:
        return np.full(n, np.nan)
    after = np.clip(np.searchsorted(times, at), 1, times.size - 1)
    away = np.minimum(np.abs(at - times[after - 1]), np.abs(at - times[after]))
    felt = np.where(away <= 1.5 / min(own, rate), np.interp(at, times, length), np.nan)
    return felt if kind == "rotation" else felt - _moving_mean(felt, max(1, round(_TREND_S * rate)))


def _moving_mean(values: Floats, half: int) -> Floats:
    """Hann-weighted mean over ``half`` cells either way, of the cells that are there."""
    weights = np.hanning(2 * half + 1)
    there = np.isfinite(values)
    total = np.convolve(np.where(there, values, 0.0), weights)[half : half + values.size]
    return np.asarray(total / np.maximum(np.convolve(there, weights)[half : half + values.size], 1e-9))


def _correlation(a: Floats, b: Floats, most: int) -> Floats:
    """(2 most + 1,) Pearson's r of ``a`` with ``b`` at shifts of -most to most cells over the cells both have.

    ``b`` begins ``most`` cells before ``a``. Fewer common cells than ``a`` has count for less (square root of the
    share, none below a half), so that a shift at which little is compared does not win by chance.

    Reference: masked normalised cross-correlation by Fourier transforms (Padfield, 2012), eq. 8-11.
    """
    m, k = np.isfinite(a), np.isfinite(b)
    x, y = _standard(a, m), _standard(b, k)
    size = int(2 ** np.ceil(np.log2(a.size + b.size)))

    def slide(u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> Floats:
        product = np.conj(np.fft.rfft(u, size)) * np.fft.rfft(v, size)
        return np.asarray(np.fft.irfft(product, size)[: 2 * most + 1])

    mask, other = m.astype(np.float64), k.astype(np.float64)
    count = np.maximum(np.round(slide(mask, other)), 1.0)
    sx, sy = slide(x, other), slide(mask, y)
    vx, vy = slide(x * x, other) - sx * sx / count, slide(mask, y * y) - sy * sy / count
    spread = np.sqrt(np.maximum(vx, 0.0) * np.maximum(vy, 0.0))
    r = np.where(spread > 1e-6 * count, (slide(x, y) - sx * sy / count) / np.maximum(spread, 1e-12), 0.0)
    share = count / a.size
    return np.asarray(np.where(share >= 0.5, r * np.sqrt(np.minimum(1.0, share)), 0.0))


def _standard(values: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Mean 0 and deviation 1 over the cells that are there, 0 elsewhere."""
    if not there.any():
        return np.zeros(values.size)
    seen = values[there]
    deviation = float(seen.std())
    return np.where(there, (np.where(there, values, 0.0) - seen.mean()) / (deviation or 1.0), 0.0)
