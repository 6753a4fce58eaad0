"""The records that travel through the house: frozen, read-only arrays, time on axis 0.

What comes in (Stream, Note, Session) and where it was cut (Segmentation); what later stages make of it is in
``align.answers``. A gap is the time between two runs of a stream. It is never closed, never filled, and no
segment crosses it.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from align.errors import InputError, ParameterError

__all__ = [
    "Finding",
    "Note",
    "NoteTime",
    "Segmentation",
    "Session",
    "Span",
    "Stream",
]

Floats = npt.NDArray[np.float64]
Modality = Literal["sensor", "audio"]


_INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode categories: controls, formats and spaces
_BLANK = "\u034f\u115f\u1160\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))  # seen as nothing


def frozen_array(array: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A C-contiguous array of ``dtype`` that cannot be written; copied unless it already is that."""
    out = np.ascontiguousarray(array, dtype=dtype)
    if out.flags.writeable:
        out = out.copy() if out is array or out.base is not None else out
        out.flags.writeable = False
    return out


def set_fields(record: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, value)


def _compact(values: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """float32 where that keeps the signal, float64 where an offset would swallow it."""
    if values.dtype == np.float32 or values.dtype == np.float16:
        return values.astype(np.float32, copy=False)
    wide = values.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = wide.astype(np.float32)
        error = np.abs(wide - narrow)
        error = np.max(error, axis=0, where=np.isfinite(wide), initial=0.0)
        steps = np.abs(np.diff(wide, axis=0))
        step = np.sum(steps, axis=0, where=np.isfinite(steps)) / max(1, len(wide) - 1)
    return wide if (error > 1e-3 * step).any() else narrow


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a reader noticed or repaired: counted, never silent.

    ``code`` starts with ``W-`` (noticed) or ``P-`` (a policy was used: the item is degraded).
    """

    code: str
    message: str
    count: int = 1

    def as_dict(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "count": self.count}


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One series of one modality, cut into contiguous runs.

    Args:
        values: (n_samples, n_channels) or (n_samples,) numbers; NaN marks a missing cell. Kept as float32,
            or as float64 where float32 would swallow the signal (a small signal on a large offset).
        rate: nominal samples per second, > 0.
        name: unique within a session.
        modality: "sensor" or "audio".
        channels: one name per column; default "0", "1", ...
        units: one unit per column as written by the source; default "" (unknown).
        run_index: (n_runs,) first sample of each contiguous run; default (0,).
        run_start: (n_runs,) seconds of those samples on the session clock; default (0.0,).
        epoch: UTC nanoseconds of second 0, or None when the clock is relative.
        findings: what the reader noticed (rate, jitter, loss, repairs).

    Raises:
        TypeError: values are boolean, complex, text or objects.
        ParameterError: a shape, rate or run that breaks the invariants.
    """

    values: npt.NDArray[np.floating[Any]]
    rate: float
    name: str = "stream"
    modality: Modality = "sensor"
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    run_index: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    run_start: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    epoch: int | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.dtype.kind not in "fiu":
            raise TypeError(f"values has dtype {values.dtype}; allowed: integers or real floats")
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or 0 in values.shape:
            raise ParameterError("values", f"shape {values.shape}", "(n_samples >= 1, n_channels >= 1)")
        n_samples, n_channels = values.shape
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ParameterError("rate", self.rate, "a finite number of hertz > 0")
        if self.modality not in ("sensor", "audio"):
            raise ParameterError("modality", self.modality, '"sensor" or "audio"')
        channels = tuple(self.channels) or tuple(str(i) for i in range(n_channels))
        units = tuple(self.units) or ("",) * n_channels
        if len(channels) != n_channels or len(set(channels)) != n_channels:
            raise ParameterError("channels", channels, f"{n_channels} distinct names")
        if len(units) != n_channels:
            raise ParameterError("units", units, f"{n_channels} names, one per channel")
        run_index, run_start = (
            frozen_array(self.run_index, np.int64),
            frozen_array(self.run_start, np.float64),
        )
        self._check_runs(run_index, run_start, n_samples)
        kept = _compact(values)
        set_fields(
            self, values=frozen_array(kept, kept.dtype), rate=float(self.rate), channels=channels, units=units
        )
        set_fields(self, run_index=run_index, run_start=run_start)

    def _check_runs(self, index: npt.NDArray[np.int64], start: Floats, n_samples: int) -> None:
        if index.ndim != 1 or index.shape != start.shape or index.size == 0 or index[0] != 0:
            raise ParameterError("run_index", index.tolist()[:5], "one index per run_start, the first 0")
        lengths = np.diff(np.append(index, n_samples))
        if (lengths <= 0).any():
            raise ParameterError("run_index", index.tolist()[:5], f"ascending and below {n_samples}")
        if not np.isfinite(start).all():
            raise ParameterError("run_start", start.tolist()[:5], "finite seconds")
        ends = start + lengths / self.rate
        if (start[1:] < ends[:-1] - 0.5 / self.rate).any():
            raise ParameterError("run_start", start.tolist()[:5], "runs that ascend and do not overlap")

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_channels(self) -> int:
        return int(self.values.shape[1])

    @property
    def n_runs(self) -> int:
        return int(self.run_index.size)

    @property
    def run_ends(self) -> npt.NDArray[np.int64]:
        """(n_runs,) index just past the last sample of each run."""
        return np.append(self.run_index[1:], self.n_samples)

    @property
    def run_spans(self) -> Floats:
        """(n_runs, 2) seconds, half-open: from the first sample to just past the last; they never overlap.

        A run may begin up to half a sample early (clocks jitter); the one before it then ends there.
        """
        ends = self.run_start + (self.run_ends - self.run_index) / self.rate
        ends[:-1] = np.minimum(ends[:-1], self.run_start[1:])
        return np.column_stack([self.run_start, ends])

    @property
    def start(self) -> float:
        return float(self.run_start[0])

    @property
    def end(self) -> float:
        return float(self.run_spans[-1, 1])

    @property
    def gaps(self) -> Floats:
        """(n_runs - 1, 2) seconds without samples."""
        spans = self.run_spans
        return np.column_stack([spans[:-1, 1], spans[1:, 0]])

    def run_of(self, samples: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The run that holds each of ``samples``, indices in [0, n_samples)."""
        return np.searchsorted(self.run_index, np.asarray(samples, np.int64), side="right") - 1

    def times(self, samples: npt.ArrayLike | None = None) -> Floats:
        """Seconds of ``samples``, indices in [0, n_samples); default: all."""
        index = np.arange(self.n_samples) if samples is None else np.asarray(samples, np.int64)
        run = self.run_of(index)
        return self.run_start[run] + (index - self.run_index[run]) / self.rate


@dataclass(frozen=True, slots=True)
class NoteTime:
    """When a note says its event was: earliest <= likely <= latest, seconds on the session clock."""

    earliest: float
    likely: float
    latest: float

    def __post_init__(self) -> None:
        if not -math.inf < self.earliest <= self.likely <= self.latest < math.inf:
            raise ParameterError(
                "time", (self.earliest, self.likely, self.latest), "earliest <= likely <= latest, finite"
            )

    @property
    def is_exact(self) -> bool:
        """One instant was written: how far off it is must be learned or assumed."""
        return self.earliest == self.latest


@dataclass(frozen=True, slots=True)
class Note:
    """One free-text remark, exactly as written. ``time`` is None when none was given ("untimed")."""

    text: str
    time: NoteTime | None = None
    author: str = ""
    file: str = ""
    line: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing visible: white space, zero-width, filler and control characters only."""
        return all(unicodedata.category(c) in _INVISIBLE or c in _BLANK for c in self.text)


@dataclass(frozen=True, slots=True)
class Span:
    """One row of truth: what happened from ``start`` to ``end`` seconds."""

    start: float
    end: float
    label: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Streams at their own rates and the notes about them, on one clock.

    ``epoch`` is UTC ns of second 0 or None; ``timezone`` the offset that was written, as "+02:00", or "".
    """

    name: str
    streams: tuple[Stream, ...]
    notes: tuple[Note, ...] = ()
    epoch: int | None = None
    timezone: str = ""
    truth: tuple[Span, ...] | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        names = [s.name for s in self.streams]
        if len(set(names)) != len(names):
            raise ParameterError("streams", names, "distinct stream names")
        if not self.streams:
            raise InputError("E-NO-STREAMS", "the session has no stream", hint="add a sensor or audio file")
        set_fields(self, streams=tuple(self.streams), notes=tuple(self.notes))

    @property
    def start(self) -> float:
        return min(s.start for s in self.streams)

    @property
    def end(self) -> float:
        return max(s.end for s in self.streams)


def _distinct(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Ascending, each once: np.unique without its hash table, which costs more than cutting a stream does."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] > ordered[:-1])] if ordered.size else ordered


def _held(wanted: npt.NDArray[np.int64], ascending: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of ``wanted`` are in ``ascending``."""
    if not ascending.size:
        return np.zeros(wanted.size, bool)
    return ascending[np.minimum(np.searchsorted(ascending, wanted), ascending.size - 1)] == wanted


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Where a stream was cut.

    ``boundaries`` (n_segments + 1,) are sample indices with every run's edges among them: segment i is the
    half-open sample range [boundaries[i], boundaries[i + 1]). ``changes`` are the boundaries that are change
    points: first samples of new segments inside a run, never 0 or n.
    """

    stream: str
    rate: float
    boundaries: npt.NDArray[np.int64]
    changes: npt.NDArray[np.int64]
    spans: Floats
    method: str = ""
    penalty: float = float("nan")
    cost: float = float("nan")

    def __post_init__(self) -> None:
        boundaries, changes = frozen_array(self.boundaries, np.int64), frozen_array(self.changes, np.int64)
        spans = frozen_array(self.spans, np.float64)
        if boundaries.size < 2 or (np.diff(boundaries) <= 0).any():
            raise ParameterError("boundaries", boundaries.tolist()[:5], "at least two, strictly ascending")
        if spans.shape != (boundaries.size - 1, 2):
            raise ParameterError("spans", spans.shape, f"({boundaries.size - 1}, 2)")
        if boundaries[0] < 0 or (spans[:, 1] < spans[:, 0]).any() or (spans[1:, 0] < spans[:-1, 1]).any():
            raise ParameterError("spans", spans.tolist()[:2], "rows that ascend and never overlap")
        if not _held(changes, boundaries[1:-1]).all():
            raise ParameterError("changes", changes.tolist()[:5], "inner boundaries")
        set_fields(self, boundaries=boundaries, changes=changes, spans=spans)

    @classmethod
    def of(cls, stream: Stream, changes: npt.ArrayLike, **about: Any) -> Segmentation:
        """Build from change points; the runs' edges are added.

        Args:
            stream: what was cut.
            changes: sample indices in [0, n_samples], any order; those on the edge of a run are no changes.
            **about: method, penalty and cost, where known.

        Raises:
            ParameterError: a change that is no sample index of the stream.
        """
        given = np.asarray(changes).reshape(-1)
        changes = _distinct(given.astype(np.int64)) if given.dtype.kind in "iu" or not given.size else given
        if changes.dtype != np.int64 or (changes < 0).any() or (changes > stream.n_samples).any():
            raise ParameterError(
                "changes", given.tolist()[:5], f"sample indices from 0 to {stream.n_samples}"
            )
        edges = np.append(stream.run_index, stream.n_samples)
        changes = changes[~_held(changes, edges)]
        boundaries = _distinct(np.concatenate([changes, edges]))
        first, last = boundaries[:-1], boundaries[1:]
        begins = stream.times(first)
        ends = begins + (last - first) / stream.rate
        inside = _held(boundaries[1:-1], changes)  # neighbours in a run share their edge to the last bit
        ends[:-1] = np.where(inside, begins[1:], np.minimum(ends[:-1], begins[1:]))
        spans = np.column_stack([begins, ends])
        return cls(stream.name, stream.rate, boundaries, changes, spans, **about)

    @property
    def n_segments(self) -> int:
        return int(self.boundaries.size - 1)
