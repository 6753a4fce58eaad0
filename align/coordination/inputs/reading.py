"""A session's frames as a model reads them: its devices' columns put where the likest known device has its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import MAGNITUDE, Device, devices, paired, unit_factor
from align.datatypes import Finding
from align.features.frames import FrameTable

__all__ = ["Reading", "Sources", "inferred_units", "read_blocks", "reading_findings", "sources_of"]

_LOG_OF = {"sd": 1.0, "step": 1.0}  # powers of the channel whose logs the columns hold; bands: 2
_NAMED = {"acceleration": {1.0: "g", 1e-3: "mg"}, "rotation": {1.0: "rad/s"}}
_OTHERWISE = {"acceleration": "m/s2", "rotation": "deg/s"}
_SAID = 6  # devices that a message names


@dataclass(frozen=True, slots=True)
class Sources:
    """Streams with the channels of their frames, one a column, and the units of the raw channels behind these."""

    streams: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    units: tuple[tuple[str, ...], ...]

    @property
    def devices(self) -> list[Device]:
        rows = zip(self.streams, self.channels, self.units, strict=True)
        return [device for row in rows for device in devices(*row)]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """``blocks`` (n_frames, width) f4 per stream of the model, NaN where nothing feeds a column; ``fed`` per stream."""

    blocks: tuple[npt.NDArray[np.float32], ...]
    fed: tuple[bool, ...]


def sources_of(table: FrameTable) -> Sources:
    """What a table's columns can be matched by.

    Args:
        table: of any session.
    """
    units = table.units or tuple(("",) * len(c) for c in table.channels)
    return Sources(table.names, table.channels, units)


def read_blocks(table: FrameTable, model: Sources) -> Reading:
    """The table's columns in the order of the model's, in the units of the model's.

    A device of the same stream and channel names is taken as it is, unless it says that it has another unit.

    Args:
        table: a session's frames.
        model: what the model's columns are.
    """
    session = sources_of(table)
    ours, theirs = model.devices, session.devices
    row = {name: k for k, name in enumerate(model.streams)}
    blocks = [np.full((table.n_frames, len(c)), np.nan, np.float32) for c in model.channels]
    fed = [False] * len(blocks)
    for i, j in paired(ours, theirs, len(model.streams) == len(session.streams) == 1):
        a, b = ours[i], theirs[j]
        source = table.blocks[session.streams.index(b.stream)]
        factor = _factor(a, b, source)
        target = blocks[row[a.stream]]
        fed[row[a.stream]] = True
        there = {slot.axis: slot.columns for slot in b.slots}
        for slot in a.slots:
            for statistic, column in slot.columns.items():
                if statistic in there.get(slot.axis, {}):
                    values = source[:, there[slot.axis][statistic]]
                    target[:, column] = _converted(values, statistic, factor)
    return Reading(tuple(blocks), tuple(fed))


def _factor(a: Device, b: Device, block: npt.NDArray[np.float32]) -> float:
    """From the unit of b to that of a."""
    by_name = {s.name for s in a.slots} & {s.name for s in b.slots}
    unit = b.unit or (a.unit if by_name else inferred_unit(b, block))
    if not unit or not a.unit or unit == a.unit:
        return 1.0
    return unit_factor(b.kind, unit, np.nan) / unit_factor(a.kind, a.unit, np.nan)


def _converted(values: npt.NDArray[np.float32], statistic: str, factor: float) -> npt.NDArray[np.float32]:
    """A column of frames as it would be had the channel been multiplied by ``factor``."""
    if factor == 1.0 or not statistic:
        return values
    power = 2.0 if statistic.endswith("Hz") else _LOG_OF.get(statistic, 0.0)
    return np.asarray(values + power * np.log(factor) if power else values * factor, np.float32)


def inferred_unit(device: Device, block: npt.NDArray[np.float32]) -> str:
    """The unit that gravity or the reach of gyroscopes gives away, as written where it is; "" where nothing does.

    Args:
        device: of a table.
        block: (n_frames, n_columns) of its stream.
    """
    if device.unit or device.kind not in _NAMED:
        return device.unit
    if device.kind == "acceleration":
        lengths = [s.columns["mean"] for s in device.slots if s.axis == MAGNITUDE and "mean" in s.columns]
        level = float(np.nanmedian(block[:, lengths[0]])) if lengths and block.size else np.nan
    else:
        tops = [
            block[:, s.columns["mean"]] + block[:, s.columns["max"]] for s in device.slots if _full(s.columns)
        ]
        level = float(np.nanmax(np.abs(tops), initial=0.0)) if tops else np.nan
    factor = unit_factor(device.kind, "", level)
    if not np.isfinite(level) or (device.kind == "acceleration" and factor == 1.0 and not 0.7 < level < 1.3):
        return ""
    return _NAMED[device.kind].get(factor, _OTHERWISE[device.kind])


def _full(columns: Mapping[str, int]) -> bool:
    return "mean" in columns and "max" in columns


def inferred_units(
    stream: str, channels: Sequence[str], units: Sequence[str], block: npt.NDArray[np.float32]
) -> tuple[str, ...]:
    """Units, one a column, with those that can be told filled in.

    Args:
        stream: its name.
        channels, units: of its columns.
        block: (n_frames, n_columns).
    """
    out = list(units)
    for device in devices(stream, channels, units):
        found = inferred_unit(device, block)
        for slot in device.slots:
            for column in slot.columns.values():
                out[column] = out[column] or found
    return tuple(out)


def reading_findings(session: Sources, model: Sources) -> tuple[Finding, ...]:
    """W-MODEL-CHANNELS: what is read in place of something else, what is missing, and what is left unread.

    Args:
        session: streams and channels of a session.
        model: those of a model.
    """
    ours, theirs = model.devices, session.devices
    pairs = paired(ours, theirs, len(model.streams) == len(session.streams) == 1)
    renamed = [(ours[i].label, theirs[j].label) for i, j in pairs if not _same(ours[i], theirs[j])]
    absent = [ours[i].label for i in sorted(set(range(len(ours))) - {i for i, _ in pairs})]
    unread = [theirs[j].label for j in sorted(set(range(len(theirs))) - {j for _, j in pairs})]
    parts = []
    if renamed:
        parts.append("read by likeness: " + _listed([f"{b!r} as {a!r}" for a, b in renamed]))
    if absent:
        parts.append("the session lacks " + _listed([repr(a) for a in absent]))
    if unread:
        parts.append("the model does not read " + _listed([repr(b) for b in unread]))
    count = len(renamed) + len(absent) + len(unread)
    return (Finding("W-MODEL-CHANNELS", "; ".join(parts), count),) if parts else ()


def _same(a: Device, b: Device) -> bool:
    """Under the same channel names; where a stream is alone, its name does not count. Sound has but one set."""
    if a.kind == b.kind == "sound":
        return True
    raw_a = {s.name for s in a.slots if s.measured}
    return raw_a == {s.name for s in b.slots if s.measured}


def _listed(items: Sequence[str]) -> str:
    more = len(items) - _SAID
    return ", ".join(items[:_SAID]) + (f" and {more} more" if more > 0 else "")
