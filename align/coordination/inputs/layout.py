"""Which streams and channels a model reads, and how a session's frames become its input columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.bandwidth import (
    ANY_FALL,
    SENSOR_BANDS,
    band_falls,
    without_lost_bands,
)
from align.coordination.inputs.channels import Device, devices, expected_channels, paired, statistic_of
from align.coordination.inputs.raw import RAW, with_raw_patches
from align.coordination.inputs.reading import (
    Sources,
    inferred_units,
    read_blocks,
    sources_of,
)
from align.datatypes import Session, Stream, set_fields
from align.errors import InputError, ParameterError
from align.features.audio import RANGE_DB, steady_noise
from align.features.foreground import mel_bands
from align.features.frames import FrameTable, frame_table
from align.features.scaling import robust_location_scale, robust_scaled
from align.features.windows import POWER_RATE

__all__ = [
    "Layout",
    "are_alone",
    "expected_sources",
    "feeding_floors",
    "fit_layout",
    "model_inputs",
    "on_both_scales",
    "session_table",
]

_LIMIT = 6.0  # robust standard deviations kept of a column
_SAMPLED = 200_000  # frames that fix the scaling
_AT_ONCE = 12  # columns scaled at once


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The model's view of a session.

    ``streams`` names and ``channels`` their frame channels, in column order; ``shift`` and ``scale`` f4 per
    feature column; ``hop`` seconds per frame; ``units`` of the raw channels behind the columns, like ``channels``
    (written, or inferred from the training data; "": unknown); ``floors`` dB of each stream, the steady noise of the
    noisiest recording against its loudest frame, 0 where it is no sound or not known: noise of a session that is
    louder is brought down to that; ``per_hertz`` whether the powers of bands are densities, which do not hang on
    the rate (not those of older models); ``falls`` f4 (n_devices, n_bands), how steeply spectra fell in training at
    the most (``bandwidth.py``): bands that a filter has emptied are taken to be missing. What a session lacks is fed
    as zeros; a stream of which it has nothing is marked absent.

    Raises:
        ParameterError: parts that do not fit together, or a scale that is not > 0.
    """

    hop: float
    streams: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    shift: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    units: tuple[tuple[str, ...], ...] = ()
    floors: tuple[float, ...] = ()
    per_hertz: bool = True
    falls: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, len(SENSOR_BANDS)), np.float32)
    )

    def __post_init__(self) -> None:
        if not self.streams or len(self.streams) != len(self.channels):
            raise ParameterError("channels", len(self.channels), f"{len(self.streams)}: one tuple per stream")
        widths = [len(c) for c in self.channels]
        if not self.shift.shape == self.scale.shape == (sum(widths),):
            raise ParameterError("shift, scale", (self.shift.shape, self.scale.shape), f"({sum(widths)},)")
        if not (np.isfinite(self.shift).all() and np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise ParameterError("shift, scale", "NaN, infinite or scale <= 0", "finite numbers, scale > 0")
        units = self.units or tuple(("",) * width for width in widths)
        if [len(u) for u in units] != widths:
            raise ParameterError("units", [len(u) for u in units], f"{widths}: one per column")
        floors = self.floors or (0.0,) * len(widths)
        if len(floors) != len(widths) or not all(-RANGE_DB <= floor <= 0.0 for floor in floors):
            raise ParameterError("floors", floors, f"{len(widths)} decibels, -{RANGE_DB:g} to 0")
        set_fields(self, units=units, floors=floors)
        shape = len(self.sources.devices), len(SENSOR_BANDS)
        falls = self.falls if len(self.falls) else np.full(shape, ANY_FALL, np.float32)
        if falls.shape != shape or not np.isfinite(falls).all():
            raise ParameterError("falls", falls.shape, f"{shape}, finite: devices, bands")
        set_fields(self, falls=falls)

    @property
    def n_features(self) -> int:
        """Columns of ``model_inputs``: every feature on two scales, and one presence flag a stream."""
        return 2 * sum(len(c) for c in self.channels) + len(self.streams)

    @property
    def raw_columns(self) -> tuple[tuple[int, int], ...]:
        """(first, last) of each stretch of columns of ``model_inputs`` that hold raw patches (``raw.py``)."""
        is_raw = [statistic_of(c).startswith(RAW) for channels in self.channels for c in channels]
        edges = np.diff(np.array([0, *is_raw, *is_raw, *[0] * (len(self.streams) + 1)], np.int8))
        return tuple(
            zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
        )

    @property
    def sources(self) -> Sources:
        """Streams, channels and units: what columns are matched by."""
        return Sources(self.streams, self.channels, self.units)


def session_table(
    session: Session, hop: float, layout: Layout | None = None, *, raw: bool = False
) -> FrameTable:
    """A session's frames on one grid; with a layout, only the streams that feed it.

    Args:
        session: with streams.
        hop: seconds per frame, > 0.
        layout: of a model, or None for all streams.
        raw: raw patches beside the frames; with a layout, that says.

    Raises:
        InputError: E-MODEL-STREAMS, nothing in the session resembles anything that the model reads;
            E-MODEL-CHANNELS, a stream of the right name does not, or at its rate has no frequency band of it.
    """
    if layout is None:
        table = frame_table(session.streams, hop)
        return with_raw_patches(table, session.streams) if raw else table
    floors = feeding_floors(session, layout)
    known = [s for s in session.streams if s.name in floors]
    if not known:
        raise _nothing_in_common(session, layout)
    table = frame_table(known, hop, floors)
    if not layout.per_hertz:
        table = _with_powers_by_sample(table, known)
    return with_raw_patches(table, known) if layout.raw_columns else table


def _with_powers_by_sample(table: FrameTable, streams: Sequence[Stream]) -> FrameTable:
    """The powers of bands as older models know them: the variance that white noise would have at the stream's rate."""
    blocks = []
    for columns, block, stream in zip(table.channels, table.blocks, streams, strict=True):
        is_band = np.array([statistic_of(column).endswith("Hz") for column in columns])
        blocks.append((block + is_band * np.log(stream.rate / POWER_RATE)).astype(np.float32))
    return replace(table, blocks=tuple(blocks))


def feeding_floors(session: Session, layout: Layout) -> dict[str, float]:
    """The streams that feed the model, by name, and the floors of those that they feed.

    Args:
        session: with streams.
        layout: of the model.
    """
    model, expected = layout.sources, expected_sources(session)
    known = dict(zip(layout.streams, layout.floors, strict=True))
    ours, theirs = model.devices, expected.devices
    pairs = paired(ours, theirs, are_alone(session, layout))
    return {theirs[j].stream: known[ours[i].stream] for i, j in pairs}


def are_alone(session: Session, layout: Layout) -> bool:
    """Whether the model reads one stream and the session has one: it needs no name then.

    Args:
        session: with streams.
        layout: of the model.
    """
    return len(layout.streams) == len(session.streams) == 1


def expected_sources(session: Session) -> Sources:
    """What a session's frames can be matched by, without making them.

    Args:
        session: with streams.
    """
    channels = tuple(expected_channels(s) for s in session.streams)
    units = tuple(
        tuple(_unit_behind(column, stream) for column in columns)
        for stream, columns in zip(session.streams, channels, strict=True)
    )
    return Sources(tuple(s.name for s in session.streams), channels, units)


def _unit_behind(column: str, stream: Stream) -> str:
    """The unit of the raw channel that a column of frames describes; "" for those of sound."""
    units = dict(zip(stream.channels, stream.units, strict=True))
    named = [name for name in units if column.startswith(f"{name}.")]
    return units[max(named, key=len)] if named else ""


def _nothing_in_common(session: Session, layout: Layout) -> InputError:
    names = {s.name for s in session.streams}
    shared = sorted(names & set(layout.streams)) or (sorted(names) if are_alone(session, layout) else [])
    if not shared:
        return InputError(
            "E-MODEL-STREAMS",
            f"session {session.name!r} has streams {sorted(names)}; the model reads {sorted(layout.streams)}, and no"
            " channel is alike in name, kind or unit",
            hint="name files and channels as in training, or train on such sessions",
        )
    return InputError(
        "E-MODEL-CHANNELS",
        f"no channel of stream {shared[0]!r} is alike in name, kind or unit to one that the model reads, or its rate"
        " allows none of the frequency bands",
        hint="use the channels and about the rate of training",
    )


def fit_layout(tables: Sequence[FrameTable]) -> Layout:
    """The union of the tables' streams and channels, and the robust scale of each column over all of them.

    Streams of one name may differ in channels and rates: devices that are alike (``channels.py``) share their
    columns, others get their own.

    Args:
        tables: at least one, all of one hop; looked at one after another, several times, and not kept.
    """
    model = _union(tables)
    steps = [1 + n // _SAMPLED for n in _fed_rows(tables, model)]
    shifts, scales = [], []
    for rows in _sampled_rows(tables, model, steps):
        for own in _column_groups(rows.shape[1]):
            shift, scale = robust_location_scale(rows[:, own])
            shifts.append(shift)
            scales.append(scale)
    return Layout(
        tables[0].hop,
        model.streams,
        model.channels,
        np.concatenate(shifts).astype(np.float32),
        np.concatenate(scales).astype(np.float32),
        model.units,
        _noisiest(tables, model),
        falls=_steepest(tables, model),
    )


def _noisiest(tables: Sequence[FrameTable], model: Sources) -> tuple[float, ...]:
    """The floors of the streams."""
    noise: dict[str, float] = {}
    for table in tables if any(mel_bands(columns) for columns in model.channels) else ():
        for name, columns, block in zip(table.names, table.channels, table.blocks, strict=True):
            if mel_bands(columns):
                noise[name] = max(noise.get(name, -RANGE_DB), steady_noise(block))
    return tuple(noise.get(name, 0.0) for name in model.streams)


def _steepest(tables: Sequence[FrameTable], model: Sources) -> npt.NDArray[np.float32]:
    """The falls of the devices' bands."""
    least = np.full((len(model.devices), len(SENSOR_BANDS)), np.inf)
    for table in tables:
        blocks = read_blocks(table, model).blocks
        for device, own in zip(model.devices, least, strict=True):
            np.fmin(own, band_falls(device, blocks[model.streams.index(device.stream)]), out=own)
    return np.where(np.isfinite(least), least, ANY_FALL).astype(np.float32)


def _fed_rows(tables: Sequence[FrameTable], model: Sources) -> list[int]:
    """How many rows of all tables feed each stream of the model."""
    counts = [0] * len(model.streams)
    for table in tables:
        for k, is_fed in enumerate(read_blocks(table, model).fed):
            counts[k] += table.n_frames * is_fed
    return counts


def _sampled_rows(
    tables: Sequence[FrameTable], model: Sources, steps: Sequence[int]
) -> list[npt.NDArray[np.float32]]:
    """Of each stream every so-manieth row that feeds it, counted over all tables."""
    taken: list[list[npt.NDArray[np.float32]]] = [[] for _ in steps]
    passed = [0] * len(steps)
    for table in tables:
        reading = read_blocks(table, model)
        for k, step in enumerate(steps):
            if reading.fed[k]:
                taken[k].append(reading.blocks[k][-passed[k] % step :: step].copy())
                passed[k] += table.n_frames
    return [np.concatenate(rows) for rows in taken]


def _union(tables: Sequence[FrameTable]) -> Sources:
    """Streams in order of name; the columns of the first table that has the stream, then what others add."""
    found: dict[str, dict[str, str]] = {}  # stream -> column -> unit
    for table in tables:
        own = sources_of(table)
        for name, channels, units, block in zip(
            own.streams, own.channels, own.units, table.blocks, strict=True
        ):
            known = found.setdefault(name, {})
            units = inferred_units(name, channels, units, block)
            if not known:
                known.update(zip(channels, units, strict=True))
            elif tuple(known) != channels:
                _add(
                    known, devices(name, tuple(known), tuple(known.values())), devices(name, channels, units)
                )
    names = tuple(sorted(found))
    return Sources(
        names, tuple(tuple(found[n]) for n in names), tuple(tuple(found[n].values()) for n in names)
    )


def _add(known: dict[str, str], ours: Sequence[Device], theirs: Sequence[Device]) -> None:
    """What devices of another session of the same stream have beyond those that are known."""
    partner = {j: i for i, j in paired(ours, theirs, alone=True)}
    for j, device in enumerate(theirs):
        like = {s.axis: s.name for s in ours[partner[j]].slots} if j in partner else {}
        for slot in device.slots:
            for statistic in slot.columns:
                name = like.get(slot.axis, slot.name)
                known.setdefault(f"{name}.{statistic}" if statistic else name, device.unit)


def model_inputs(table: FrameTable, layout: Layout) -> npt.NDArray[np.float32]:
    """(n_frames, layout.n_features): columns on the training scale, on the session's own scale, presence flags.

    The session's own scale takes out how a device sits on this person; the training scale keeps absolute
    levels such as gravity. Missing cells are 0, which is the median on either scale.

    Args:
        table: a session's frames.
        layout: of the model.

    Raises:
        InputError: E-MODEL-CHANNELS, nothing in the table feeds the model.
    """
    reading = read_blocks(table, layout.sources)
    if not any(reading.fed):
        raise InputError(
            "E-MODEL-CHANNELS",
            f"no channel of streams {sorted(table.names)} is alike in name, kind or unit to one that the model reads",
            hint="use the channels and about the rate of training",
        )
    total, column = len(layout.shift), 0
    out = np.empty((table.n_frames, layout.n_features), np.float32)
    blocks = without_lost_bands(reading.blocks, layout.streams, layout.sources.devices, layout.falls)
    for k, block in enumerate(blocks):
        for own in _column_groups(block.shape[1]):
            at = slice(column + own.start, column + own.stop)
            behind = slice(total + at.start, total + at.stop)
            out[:, at], out[:, behind] = on_both_scales(block[:, own], layout.shift[at], layout.scale[at])
        out[:, 2 * total + k] = np.isfinite(block).any(axis=1)
        column += block.shape[1]
    out[~np.isfinite(out)] = 0.0
    return out


def on_both_scales(
    values: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], scale: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Columns on the training scale, and on their own: clipped at 6 robust standard deviations, NaN stays NaN.

    Args:
        values: (n_frames, k) a session's.
        shift, scale: (k,) of the layout.
    """
    return np.clip((values - shift) / scale, -_LIMIT, _LIMIT), robust_scaled(values, _LIMIT, 0.1 * scale)


def _column_groups(width: int) -> list[slice]:
    """Columns some at a time, evenly: the scaling is in float64, and a day's columns are many. None is alone:
    numpy adds a lone column up in another order, so in other last bits."""
    edges = np.linspace(0, width, max(1, width // _AT_ONCE) + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges) if a < b]
