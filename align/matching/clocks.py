"""Device clock repair: a map from a device's seconds to the session's, and a stream moved by it and back.

A device's clock starts wrong, runs a few millionths fast or slow, now and then changes its pace (warm, cold) and
sometimes is set. ``align.matching.clock_fit`` finds such a map from anchors: moments known on both clocks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Floats, Stream, frozen_array, set_fields
from align.errors import InputError, ParameterError

__all__ = ["ClockRepair", "Kind", "drift_bound", "repair_stream", "unrepair_stream"]

Kind = Literal["offset", "linear", "piecewise"]
TYPICAL_PPM = 50.0  # two ordinary crystals, each within 20 ppm and some for the cold, differ by less
WORST_RATE = 0.01  # a clock that is off by more than 1 % is no clock
_OVERLAP = 0.45  # of a sample that a run may begin early; a Stream allows half
_MATTERS = 0.01  # seconds of doubt beyond the anchors that are worth a word
_SAME = 1e-6  # seconds within which two device times are one


def drift_bound(seconds: float, ppm: float = TYPICAL_PPM) -> float:
    """Seconds that two clocks may come apart over a recording when nothing tells how they run.

    Args:
        seconds: length of the recording.
        ppm: by how many millionths their pace may differ.

    >>> round(drift_bound(7 * 86400), 1)
    30.2
    """
    return seconds * ppm * 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ClockRepair:
    """A map from device seconds to session seconds, and the anchors that it was fitted to.

    Attributes:
        stream: whose clock it is; ``reference``: against which clock.
        kind: "offset", "linear" (one pace), "piecewise" (several paces, or a clock that was set).
        pieces: (k, 3) f8 ascending by the first column: from device second ``begin`` on, session second =
            ``at`` + ``pace`` x (device second - ``begin``). The first piece also holds before its begin, the last
            one to the end. Two pieces meet, or the clock was set where they do not.
        anchors: (n, 2) f8 device and reference seconds, by device second.
        used: (n,) False where an anchor was left out as wrong.
        pace_sd: standard error of the pace at either end, the larger one; NaN where it is not known.
    """

    stream: str
    reference: str
    kind: Kind
    pieces: Floats
    anchors: Floats
    used: npt.NDArray[np.bool_]
    pace_sd: float = float("nan")

    def __post_init__(self) -> None:
        pieces = frozen_array(self.pieces, np.float64)
        if pieces.ndim != 2 or pieces.shape[1] != 3 or not len(pieces) or not np.isfinite(pieces).all():
            raise ParameterError("pieces", pieces.shape, "(k >= 1, 3) finite numbers")
        if (np.diff(pieces[:, 0]) <= 0).any() or (np.abs(pieces[:, 2] - 1.0) > WORST_RATE).any():
            raise ParameterError("pieces", pieces.tolist()[:2], "ascending begins, paces within 1 % of 1")
        anchors, used = frozen_array(self.anchors, np.float64), frozen_array(self.used, np.bool_)
        if (
            anchors.ndim != 2
            or anchors.shape[1:] != (2,)
            or used.shape != anchors.shape[:1]
            or not used.any()
        ):
            raise ParameterError("anchors, used", (anchors.shape, used.shape), "(n, 2) and (n,), one used")
        set_fields(self, pieces=pieces, anchors=anchors, used=used)

    def session_seconds(self, device: npt.ArrayLike) -> Floats:
        """Session seconds of device seconds, any shape; beyond the anchors the last pace goes on."""
        at = np.asarray(device, np.float64)
        which = np.maximum(np.searchsorted(self.pieces[:, 0], at, side="right") - 1, 0)
        begin, value, pace = self.pieces[which].reshape(*at.shape, 3).transpose(-1, *range(at.ndim))
        return np.asarray(value + pace * (at - begin), np.float64)

    def device_seconds(self, session: npt.ArrayLike) -> Floats:
        """The original device seconds of session seconds: the inverse of ``session_seconds`` on all samples."""
        at = np.asarray(session, np.float64)
        # of two pieces that overlap (a clock set forward) the later one has the samples
        begun = np.maximum.accumulate(self.pieces[:, 1])
        which = np.maximum(np.searchsorted(begun, at + 1e-9, side="right") - 1, 0)
        begin, value, pace = self.pieces[which].reshape(*at.shape, 3).transpose(-1, *range(at.ndim))
        return np.asarray(begin + (at - value) / pace, np.float64)

    @property
    def covered(self) -> tuple[float, float]:
        """Device seconds of the first and the last anchor in use: outside them the map is a continuation."""
        inside = self.anchors[self.used, 0]
        return float(inside[0]), float(inside[-1])

    @property
    def residuals(self) -> Floats:
        """(n,) seconds by which each anchor lies behind the map."""
        return self.anchors[:, 1] - self.session_seconds(self.anchors[:, 0])

    @property
    def rms(self) -> float:
        """Root mean square residual in seconds of the anchors in use."""
        return float(np.sqrt(np.mean(self.residuals[self.used] ** 2)))

    @property
    def offset(self) -> float:
        """Seconds to be added to the device's time at its first anchor."""
        first = self.covered[0]
        return float(self.session_seconds(first)) - first

    @property
    def ppm(self) -> float:
        """Mean drift in millionths over the anchors, settings of the clock left out; positive: the device is slow."""
        first, last = self.covered
        edges = np.clip(np.append(self.pieces[:, 0], last), first, last)
        edges[0] = first
        lengths = np.diff(edges)
        total = lengths.sum()
        mean = (lengths * (self.pieces[:, 2] - 1.0)).sum() / total if total > 0 else self.pieces[0, 2] - 1.0
        return float(1e6 * mean)

    @property
    def knots(self) -> Floats:
        """(k, 2) device and session seconds between which the map is straight; two rows where the clock was set."""
        first, last = self.covered
        rows = [(first, float(self.session_seconds(first)))]
        for before, (begin, at, _) in itertools.pairwise(self.pieces):
            if first < begin < last:
                rows += [(begin, before[1] + before[2] * (begin - before[0])), (begin, at)]
        rows.append((last, float(self.session_seconds(last))))
        kept = [rows[0]] + [b for a, b in itertools.pairwise(rows) if math.dist(a, b) > _SAME]
        return np.asarray(kept)

    def as_dict(self) -> dict[str, object]:
        """The map in plain values, for the run's record: enough to make the same repair again."""
        return {
            "stream": self.stream,
            "reference": self.reference,
            "kind": self.kind,
            "offset_s": round(self.offset, 6),
            "drift_ppm": round(self.ppm, 3),
            "rms_s": round(self.rms, 6),
            "covered_s": list(self.covered),
            "pieces": self.pieces.tolist(),
            "anchors": [[*pair, bool(kept)] for pair, kept in zip(self.anchors.tolist(), self.used, strict=True)],
        }  # fmt: skip


def repair_stream(stream: Stream, repair: ClockRepair) -> Stream:
    """The same samples on the session clock: other run starts and another rate, no value touched.

    An offset or a linear drift is exact: run starts are mapped, and the rate is divided by the pace. A Stream has
    one rate, so where the pace changes within a run the run is cut: every piece begins at its own mapped time.
    The common rate is that of the slowest piece, so a piece never ends before the next begins: no gap is made,
    a cut run overlaps the next by less than half a sample (``Stream.run_spans`` ends it there), and no sample is
    off by more than that. Where the clock was set back, the time that passed meanwhile is a gap: there was one.

    Args:
        stream: with device seconds as its times.
        repair: of its clock.

    Returns:
        The stream with a counted finding P-CLOCK, and W-CLOCK-BEYOND where it reaches beyond the
        anchors so far that its time there is in doubt.

    Raises:
        InputError: E-CLOCK, samples would come to lie on top of one another.
    """
    pace = float(repair.pieces[:, 2].max())
    rate = stream.rate / pace
    cuts = [np.asarray(list(_cuts(stream, run, repair, pace)), np.int64) for run in range(stream.n_runs)]
    index = np.concatenate(cuts)
    start = repair.session_seconds(stream.times(index))
    lengths = np.diff(np.append(index, stream.n_samples))
    early = start[:-1] + lengths[:-1] / rate - start[1:]
    if early.size and early.max() > 0.5 / rate:
        worst = int(early.argmax()) + 1
        raise InputError(
            "E-CLOCK",
            f"repairing the clock of {stream.name} would put {early.max():.3g} s of samples on top of others",
            hint="check the anchors around that time",
            sample=int(index[worst]),
            time=float(stream.times(index[worst])),
        )
    findings = (*stream.findings, *_said(stream, repair))
    return replace(stream, run_index=index, run_start=start, rate=rate, findings=findings)


def _cuts(stream: Stream, run: int, repair: ClockRepair, pace: float) -> Iterator[int]:
    """Samples of a run at which a piece begins: its first, those after a knot, and between, as often as needed."""
    first, last = int(stream.run_index[run]), int(stream.run_ends[run])
    start = float(stream.run_start[run])
    after = np.ceil((repair.pieces[1:, 0] - start) * stream.rate - _SAME).astype(np.int64)
    edges = [first, *(first + after[(after > 0) & (after < last - first)]).tolist(), last]
    for begin, end in itertools.pairwise(edges):
        if begin == end:
            continue
        slower = 1.0 - _pace_at(repair, float(stream.times(begin))) / pace
        parts = max(1, math.ceil((end - begin) * slower / _OVERLAP))
        yield from (begin + (end - begin) * part // parts for part in range(parts))


def _pace_at(repair: ClockRepair, device: float) -> float:
    which = max(0, int(np.searchsorted(repair.pieces[:, 0], device + _SAME, side="right")) - 1)
    return float(repair.pieces[which, 2])


def _said(stream: Stream, repair: ClockRepair) -> Iterator[Finding]:
    used, wrong = int(repair.used.sum()), int((~repair.used).sum())
    drift = "" if repair.kind == "offset" else f" and {repair.ppm:+.1f} ppm"
    anchors = f"{used} anchor{'' if used == 1 else 's'}" + (f", {wrong} left out" if wrong else "")
    yield Finding(
        "P-CLOCK",
        f"clock moved by {repair.offset:+.3f} s{drift} onto that of {repair.reference} "
        f"({repair.kind}, {anchors}, rms {repair.rms:.3f} s); run.json keeps the way back",
    )
    first, last = repair.covered
    beyond = max(0.0, first - stream.start, stream.end - last)
    if repair.kind == "offset":
        unknown = drift_bound(beyond)
    else:
        unknown = 2.0 * beyond * (0.0 if math.isnan(repair.pace_sd) else repair.pace_sd)
    if unknown > max(_MATTERS, 0.5 / stream.rate):
        yield Finding(
            "W-CLOCK-BEYOND",
            f"reaches {beyond:.3g} s beyond the anchors of its clock; its time there is known to {unknown:.2g} s",
        )


def unrepair_stream(stream: Stream, repair: ClockRepair) -> Stream:
    """The stream on its device's clock again: ``unrepair_stream(repair_stream(s, r), r)`` has the times of ``s``.

    Pieces that the repair cut out of one run are joined; so are runs that followed each other without a pause.
    The findings of the repair are taken away.

    Args:
        stream: as ``repair_stream`` gave it.
        repair: the same.
    """
    rate = stream.rate * float(repair.pieces[:, 2].max())
    # a run begins at a sample: half a sample later says the same piece without the rounding of its edge
    half = 0.25 / stream.rate
    pace = np.array([_pace_at(repair, float(t)) for t in repair.device_seconds(stream.run_start + half)])
    start = repair.device_seconds(stream.run_start + half) - half / pace
    ends = start + (stream.run_ends - stream.run_index) / rate
    kept = np.append(True, np.abs(start[1:] - ends[:-1]) > _SAME)
    rest = tuple(f for f in stream.findings if f.code not in ("P-CLOCK", "W-CLOCK-BEYOND"))
    return replace(stream, run_index=stream.run_index[kept], run_start=start[kept], rate=rate, findings=rest)
