"""One clock: seconds <-> samples <-> UTC nanoseconds. The only rounding in the project lives here.

Seconds are float64 on the session clock; second 0 is ``epoch`` (int64 nanoseconds UTC) when the clock is
absolute. Spans are half-open. The frame grid of hop ``h`` has cells ``[k h, (k + 1) h)`` on the session
clock, so frames of all streams of a session share their edges.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import numpy.typing as npt

from align.errors import InputError

__all__ = [
    "NS",
    "frame_cells",
    "iso_from_ns",
    "nearest_sample",
    "ns_from_iso",
    "ns_from_seconds",
    "sample_count",
    "samples_in",
    "seconds_from_ns",
    "seconds_of_samples",
    "span_iou",
]

NS = 1_000_000_000
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_SLACK = 1e-6  # share of a sample period within which a time counts as being on the sample
_EPSILON = (
    4 * 2.0**-52
)  # relative error of a time after the few operations that lead to and from a sample index
_ISO = re.compile(
    r"^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?$",
    re.ASCII,
)


def seconds_of_samples(index: npt.ArrayLike, start: float, rate: float) -> npt.NDArray[np.float64]:
    """Seconds of samples of one run: ``start + index / rate``.

    Args:
        index: sample numbers within the run, any shape.
        start: seconds of sample 0.
        rate: samples per second, > 0.
    """
    return start + np.asarray(index, dtype=np.float64) / rate


def nearest_sample(seconds: float, start: float, rate: float) -> int:
    """Index of the sample nearest to a time (ties go up); may lie outside the run.

    Args:
        seconds: the time.
        start: seconds of sample 0.
        rate: samples per second, > 0.
    """
    return math.floor((seconds - start) * rate + 0.5)


def samples_in(begin: float, end: float, start: float, rate: float) -> tuple[int, int]:
    """Half-open range of the samples whose times lie in ``[begin, end)``; not clipped to the run.

    A time that float64 cannot tell from a sample's own is on that sample, so that the span of samples
    ``i`` to ``j`` gives back ``(i, j)``, and consecutive spans share no sample and leave none out.

    Args:
        begin: seconds, included.
        end: seconds, excluded.
        start: seconds of sample 0.
        rate: samples per second, > 0.

    >>> samples_in(0.5, 1.0, 0.0, 50.0)
    (25, 50)
    """
    first, last = _first_sample(begin, start, rate), _first_sample(end, start, rate)
    return first, max(first, last)


def _first_sample(seconds: float, start: float, rate: float) -> int:
    slack = _SLACK + _EPSILON * max(abs(seconds), abs(start)) * rate
    return math.ceil((seconds - start) * rate - min(slack, 0.5))


def sample_count(seconds: float, rate: float) -> int:
    """How many samples a duration holds, at least one: ``max(1, round(seconds * rate))``.

    Args:
        seconds: the duration.
        rate: samples per second, > 0.
    """
    return max(1, math.floor(seconds * rate + 0.5))


def frame_cells(start: float, end: float, hop: float) -> tuple[int, int]:
    """Half-open range of grid cells whose centres lie in ``[start, end)``; consecutive spans share no cell.

    Args:
        start: seconds, included.
        end: seconds, excluded.
        hop: width of a cell in seconds, > 0; cell k is ``[k hop, (k + 1) hop)``.

    >>> frame_cells(0.0, 1.0, 0.25)
    (0, 4)
    """
    first = math.ceil(start / hop - 0.5 - _SLACK)
    last = math.ceil(end / hop - 0.5 - _SLACK)
    return first, max(first, last)


def seconds_from_ns(ns: int, epoch: int) -> float:
    """Seconds on the session clock of an absolute time, correctly rounded.

    Args:
        ns: UTC nanoseconds.
        epoch: UTC nanoseconds of second 0.
    """
    return (int(ns) - int(epoch)) / NS


def ns_from_seconds(seconds: float, epoch: int) -> int:
    """UTC nanoseconds of a time on the session clock, rounded to the nearest.

    Args:
        seconds: on the session clock.
        epoch: UTC nanoseconds of second 0.
    """
    whole = math.floor(seconds)
    return int(epoch) + whole * NS + math.floor((seconds - whole) * NS + 0.5)


def ns_from_iso(text: str) -> tuple[int, int | None]:
    """UTC nanoseconds and the written offset in minutes (None when none was written, taken as UTC).

    Exact to the nanosecond. Second 60 (a leap second) folds onto second 59.

    Args:
        text: ISO 8601 date and time, with up to nine decimals of a second.

    Raises:
        ValueError: not an ISO 8601 date and time, or a field out of range.

    >>> ns_from_iso("1970-01-01T02:00:00.000000001+02:00")
    (1, 120)
    """
    match = _ISO.match(text.strip())
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    year, month, day, hour, minute = (int(match[i]) for i in range(1, 6))
    second = min(int(match[6] or 0), 59)
    if int(match[6] or 0) > 60:
        raise ValueError("second out of range")
    fraction = int((match[7] or "0").ljust(9, "0"))
    offset = _offset_minutes(match[8])
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _UNIX
    return (local.days * 86400 + local.seconds - 60 * (offset or 0)) * NS + fraction, offset


def _offset_minutes(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "Z":
        return 0
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:4])
    if hours > 23 or minutes > 59:
        raise ValueError("offset out of range")
    return sign * (hours * 60 + minutes)


def iso_from_ns(ns: int, offset: int = 0) -> str:
    """ISO 8601 with milliseconds (the nearest; ties go up) and the offset.

    Args:
        ns: UTC nanoseconds.
        offset: minutes east of UTC, within a day.

    Raises:
        InputError: E-TIME-RANGE, outside the years 1 to 9999.

    >>> iso_from_ns(0, 120)
    '1970-01-01T02:00:00.000+02:00'
    """
    milliseconds = (int(ns) + 500_000) // 1_000_000
    try:
        moment = _UNIX + timedelta(milliseconds=milliseconds)
        local = moment.astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError as error:
        raise InputError("E-TIME-RANGE", f"{ns} ns is outside the years 1 to 9999") from error
    return local.isoformat(timespec="milliseconds")


def span_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union of half-open spans, row by row; 0 where one is not finite or both are empty.

    Args:
        a: (n, 2) seconds.
        b: (n, 2) seconds.

    >>> span_iou([[0.0, 2.0]], [[1.0, 3.0]]).round(3).tolist()
    [0.333]
    """
    a = np.asarray(a, dtype=np.float64).reshape(-1, 2)
    b = np.asarray(b, dtype=np.float64).reshape(-1, 2)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        overlap = np.clip(np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0]), 0.0, None)
        union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - overlap
        iou = np.where(union > 0, overlap / union, 0.0)
    return np.where(np.isfinite(iou), iou, 0.0)
