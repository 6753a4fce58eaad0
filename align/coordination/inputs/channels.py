"""Which channel of a session is which channel of a model: by name, else by kind, unit, axis and place in words.

An encoder's entry layer is linear in the features of a channel, one learned weight matrix a channel. A channel that
the model never saw is read through the matrix of the known channel that is likest to it, judged by what its name and
unit say: that is the same as putting its features where the known channel's would be, which is all that happens
here. So the order of channels and streams cannot matter, a channel that is not there is not there, and one that
nothing in the model resembles is left unread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from align.datatypes import Stream
from align.features.heartbeats import beat_names
from align.features.kinds import in_g, in_rad_per_s, judge_channel, name_words
from align.features.windows import bands_at
from align.text.hashed import HashedEncoder

__all__ = [
    "Device",
    "Slot",
    "channel_of",
    "devices",
    "expected_channels",
    "paired",
    "statistic_of",
    "unit_factor",
]

MAGNITUDE = "*"  # the axis of the length of an x, y, z triple; "*up" and "*level" are those of ``features/upright.py``
_EXACT, _SAME = 4.0, 2.0  # likeness of the same stream and name; of the same kind or the same words
_UNIT = 0.5  # the same unit, and nothing else known
_WORDS = 0.5  # least likeness of the words of two channels
_BAND_NAMES = "|".join(re.escape(name) for name in bands_at(np.inf))
_OF_ALL_AXES = re.compile(r"\*(?:up|level)?")
_STATISTIC = re.compile(rf"\.(mean|sd|min|max|slope|step|raw\d+|{_BAND_NAMES})$")


@dataclass(frozen=True, slots=True)
class Slot:
    """One raw channel as frames show it: its ``axis`` within its device, and columns by statistic ("mean", ...)."""

    name: str
    unit: str
    axis: str
    columns: Mapping[str, int]

    @property
    def measured(self) -> bool:
        """Whether it is a channel of the source, not made of several."""
        return not self.axis.startswith(MAGNITUDE)


@dataclass(frozen=True, slots=True)
class Device:
    """Channels of one stream that belong together: the axes of one sensor, all bands of a sound, or one channel.

    ``kind`` is "" where name and unit do not say; ``words`` are those of the name that say neither kind nor axis.
    """

    stream: str
    kind: str
    words: str
    slots: tuple[Slot, ...]

    @property
    def unit(self) -> str:
        return self.slots[0].unit

    @property
    def label(self) -> str:
        """Stream and channel for a message."""
        named = next((s for s in self.slots if s.measured), self.slots[0])
        return f"{self.stream}/{named.name}"


def devices(stream: str, channels: Sequence[str], units: Sequence[str]) -> list[Device]:
    """The devices in the frame channels ("acc_x.mean", "mel03.sd", ...) of one stream, sorted by kind and words.

    Args:
        stream: its name.
        channels: of its frames, one a column.
        units: of the raw channels that the columns describe, one a column.
    """
    names: dict[str, dict[str, int]] = {}
    for column, channel in enumerate(channels):
        names.setdefault(channel_of(channel), {})[statistic_of(channel)] = column
    found: dict[tuple[str, str], list[Slot]] = {}
    for name, columns in names.items():
        unit = units[next(iter(columns.values()))]
        kind, words, axis = _described(name, unit)
        key = (kind, words)
        if any(slot.axis == axis for slot in found.get(key, ())):
            key = (kind, f"{words} {name}")  # two of a kind are told apart by their names
        found.setdefault(key, []).append(Slot(name, unit, axis, columns))
    return [
        Device(stream, kind, words, tuple(sorted(slots, key=lambda slot: slot.axis)))
        for (kind, words), slots in sorted(found.items())
    ]


def _described(name: str, unit: str) -> tuple[str, str, str]:
    """Kind, other words, axis."""
    if name == "loudness" or (name.startswith("mel") and name[3:].isdigit()):
        return "sound", "", name
    kind, words, axis = judge_channel(_OF_ALL_AXES.sub("x", name), unit)
    if kind is None:
        return "", " ".join(name_words(name)) or name, ""
    made = _OF_ALL_AXES.search(name)
    return kind, words, made[0] if made else axis


def channel_of(channel: str) -> str:
    """The channel of the source that a column of frames describes.

    Args:
        channel: name of the column.

    >>> channel_of("acc_x.0.25-0.6Hz"), channel_of("loudness")
    ('acc_x', 'loudness')
    """
    found = _STATISTIC.search(channel)
    return channel[: found.start()] if found else channel


def statistic_of(channel: str) -> str:
    """What a column of frames says of its channel: "mean", "sd", "0.25-0.6Hz", "raw03"; "" when it is all of it.

    Args:
        channel: name of the column.

    >>> statistic_of("acc_x.0.25-0.6Hz"), statistic_of("loudness")
    ('0.25-0.6Hz', '')
    """
    found = _STATISTIC.search(channel)
    return found[1] if found else ""


def expected_channels(stream: Stream) -> tuple[str, ...]:
    """Enough of the columns that a stream's frames will have to tell which devices it holds.

    Args:
        stream: raw.
    """
    if stream.modality == "audio":
        return ("loudness",)
    return (
        *(f"{c}.{k}" for c in stream.channels for k in ("mean", *bands_at(stream.rate))),
        *beat_names(stream),
    )


def paired(model: Sequence[Device], session: Sequence[Device], alone: bool) -> list[tuple[int, int]]:
    """(model device, session device): the likest pairs first, every device at most once.

    Ties fall by name, so the order in which devices are given does not matter.

    Args:
        model: devices of all streams of the model.
        session: of all streams of a session.
        alone: both have one stream, so that its name says nothing.

    Returns:
        Ascending by the model's device.
    """
    likeness = [
        (-_likeness(a, b, alone), a.label, b.label, i, j)
        for i, a in enumerate(model)
        for j, b in enumerate(session)
    ]
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    out = []
    for negative, _, _, i, j in sorted(likeness):
        if negative < 0 and i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            out.append((i, j))
    return sorted(out)


def _likeness(a: Device, b: Device, alone: bool) -> float:
    """0: cannot stand for each other."""
    if not _share_bands(a, b):
        return 0.0
    same_stream = alone or a.stream == b.stream
    names_a, names_b = {s.name for s in a.slots}, {s.name for s in b.slots}
    if same_stream and (names_a <= names_b or names_b <= names_a):
        return _EXACT
    if (a.kind or b.kind) and a.kind != b.kind:
        return 0.0
    place = 1.0 if same_stream else _cosine(f"{a.stream} {a.words}", f"{b.stream} {b.words}")
    if a.kind:
        return _SAME + place if {s.axis for s in a.slots} & {s.axis for s in b.slots} else 0.0
    if a.words == b.words and not a.words.replace(" ", "").isdigit():
        return _SAME + place
    words = _cosine(f"{a.words} {a.unit}", f"{b.words} {b.unit}")
    if words >= _WORDS and not a.words.replace(" ", "").isdigit():
        return words + 1e-3 * place
    return _UNIT * (1.0 + 1e-3 * place) if a.unit and a.unit.lower() == b.unit.lower() else 0.0


def _share_bands(a: Device, b: Device) -> bool:
    """False where the model knows frequency bands of a device and the session's rate allows none of them."""
    known = {k for s in a.slots for k in s.columns if k.endswith("Hz")}
    there = {k for s in b.slots for k in s.columns if k.endswith("Hz")}
    return not known or bool(known & there)


def _cosine(a: str, b: str) -> float:
    return float(max(0.0, _vector(a) @ _vector(b)))


@lru_cache(maxsize=4096)
def _vector(text: str) -> np.ndarray:
    return HashedEncoder(256).encode([" ".join(name_words(text))])[0].astype(np.float64)


def unit_factor(kind: str, unit: str, level: float) -> float:
    """What a value of a device must be multiplied by to be in the unit of its kind (g, rad/s); 1 where none is known.

    Args:
        kind: of the device.
        unit: as written; "" leaves it to ``level``.
        level: of an accelerometer the median length of the vector, of a gyroscope the largest value.

    >>> round(unit_factor("acceleration", "", 9.7), 3), unit_factor("light", "lx", 100.0)
    (0.102, 1.0)
    """
    if kind == "acceleration":
        return in_g(unit, level) or 1.0
    return in_rad_per_s(unit, level) if kind == "rotation" else 1.0
