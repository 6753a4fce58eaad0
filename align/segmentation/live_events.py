"""What a monitor says, and how it is told to cut a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from align.errors import ParameterError
from align.segmentation.incremental import HORIZON

__all__ = ["Event", "StreamSettings"]

_Modality = Literal["sensor", "audio"]
_OFTEN_EMPTY = ("code", "name", "probability", "note", "status", "ppm", "offset", "within")


@dataclass(frozen=True, slots=True)
class Event:
    """Something a monitor says; its identity is ``(stream, seq)``.

    Attributes:
        seq: 0, 1, 2, .. per stream.
        event: "segment"; "token", a final segment's code; "gap", no rows; "late", a row left out; "clock", a clock
            set back from ``start`` to ``end``; "note", "link", "match"; "withdrawn", a provisional event is none any
            more; "degraded" and "restored"; "drift", what anchors prove of two clocks; of rules "alert", "cleared" and
            "acknowledged".
        stream: its name; "" of what is about all streams: notes, links, matches and what rules say of them.
        start, end: seconds, half-open but for "clock"; of a link without a span, the note's time.
        final: never revised.
        revises: seq of the provisional event in whose place this stands, or None.
        watermark: seconds before which all segments of the stream are final, of links and matches before which
            those are; None before the first row.
        why: "horizon" where that made it final or cut it, the number of a note, what is degraded, else "".
        code: a token's code.
        name: of a token's code, a watched phrase, a rule or a channel.
        probability: of a link or a match, 0 to 1.
        note: a link's note, by its number.
        status: a link's (``answers.Link``).
        ppm: by how many millionths a rate is above the declared one, or a clock slow against another.
        offset: seconds to add to a clock's time to have another's.
        within: seconds by which two clocks are apart beside that, or may be.
    """

    seq: int
    event: str
    stream: str
    start: float
    end: float
    final: bool
    revises: int | None
    watermark: float | None
    why: str = ""
    code: int | None = None
    name: str = ""
    probability: float | None = None
    note: int | None = None
    status: str = ""
    ppm: float | None = None
    offset: float | None = None
    within: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The event as plain JSON values; from ``code`` on only the fields that say something."""
        every = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: v for name, v in every if name not in _OFTEN_EMPTY or v not in (None, "")}


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a stream is read and cut while it comes in.

    Args:
        rate: samples per second, > 0; None: one over the median step of the warm-up.
        noise: sd of every channel's noise, > 0; None: the long-run sd of the warm-up's noise (``noise.noise_sd``).
        penalty: price of a change point in units of the noise's variance, > 0; None: what splitting ``horizon``
            samples of pure noise hardly ever earns (``noise.noise_bound``).
        warm_up: rows from which the rate and the noise are learned, >= 16; then they stay. Nothing is said
            before. With rate and noise given there is none.
        min_duration: seconds, > 0, None: one sample.
        lateness: seconds that a row may come after a later one, >= 0.
        gap_factor: a pause longer than this many sample periods is a gap, >= 1.5.
        horizon: rows kept at most (``RunSegmenter``), >= 256.
        method: "level": where the mean changes (``RunSegmenter``), exactly; "shape": where a recurring pattern does
            (``online_shape.ShapeSegmenter``), which wants a horizon of 32,768 or so, >= 1,024.
        missing_after: seconds without a valid cell after which a channel is said to be missing, > 0; None: never.
        channels: their names, which codebooks and models know them by; default "0", "1", ...
        units: one per channel, where known.
        modality: "sensor" or "audio".
        clock: what stamps its times; streams that name the same clock do not drift against each other. "": its own.

    Raises:
        ParameterError: a value outside what is said here.
    """

    rate: float | None = None
    noise: float | None = None
    penalty: float | None = None
    warm_up: int = 512
    min_duration: float | None = None
    lateness: float = 1.0
    gap_factor: float = 4.0
    horizon: int = HORIZON
    method: Literal["level", "shape"] = "level"
    missing_after: float | None = 10.0
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    modality: _Modality = "sensor"
    clock: str = ""

    def __post_init__(self) -> None:
        for name in ("rate", "noise", "penalty", "min_duration", "missing_after"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ParameterError(name, value, "a finite number > 0, or None")
        least = {"warm_up": 16, "lateness": 0.0, "gap_factor": 1.5, "horizon": 256}
        for name, low in least.items():
            if not low <= getattr(self, name) < math.inf:
                raise ParameterError(name, getattr(self, name), f"a finite number >= {low}")
        if self.method not in ("level", "shape"):
            raise ParameterError("method", self.method, '"level" or "shape"')
        if self.method == "shape" and self.horizon < 1_024:
            raise ParameterError("horizon", self.horizon, 'at least 1024 with method "shape"')
        if not isinstance(self.clock, str):
            raise ParameterError("clock", type(self.clock).__name__, "a name")
        for name in ("channels", "units"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ParameterError(name, "one text", "a list of names")
            object.__setattr__(self, name, tuple(given))  # JSON has lists only
        if len(set(self.channels)) != len(self.channels):
            raise ParameterError("channels", self.channels, "distinct names")
        if self.units and self.channels and len(self.units) != len(self.channels):
            raise ParameterError("units", self.units, f"{len(self.channels)}, one per channel")
        if self.modality not in get_args(_Modality):
            raise ParameterError("modality", self.modality, '"sensor" or "audio"')
