"""Which streams and channels a model reads, and how a session's frames become its input columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Session, Stream
from align.errors import InputError, ParameterError
from align.features.frames import FrameTable, frame_table
from align.features.scaling import robust_location_scale, robust_scaled

__all__ = ["Layout", "fit_layout", "model_inputs", "session_table"]

_LIMIT = 6.0  # robust standard deviations kept of a column
_SAMPLED = 200_000  # frames that fix the scaling


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The model's view of a session.

    ``streams`` names and ``channels`` their frame channels, in column order; ``shift`` and ``scale`` f4 per
    feature column; ``hop`` seconds per frame. A stream that a session lacks is fed as zeros and marked absent.

    Raises:
        ParameterError: parts that do not fit together, or a scale that is not > 0.
    """

    hop: float
    streams: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    shift: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if not self.streams or len(self.streams) != len(self.channels):
            raise ParameterError("channels", len(self.channels), f"{len(self.streams)}: one tuple per stream")
        n_columns = sum(len(c) for c in self.channels)
        if not self.shift.shape == self.scale.shape == (n_columns,):
            raise ParameterError("shift, scale", (self.shift.shape, self.scale.shape), f"({n_columns},)")
        if not (np.isfinite(self.shift).all() and np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise ParameterError("shift, scale", "NaN, infinite or scale <= 0", "finite numbers, scale > 0")

    @property
    def n_features(self) -> int:
        """Columns of ``model_inputs``: every feature on two scales, and one presence flag a stream."""
        return 2 * sum(len(c) for c in self.channels) + len(self.streams)


def session_table(session: Session, hop: float, layout: Layout | None = None) -> FrameTable:
    """A session's frames on one grid; with a layout, only the streams that it knows.

    Args:
        session: with streams.
        hop: seconds per frame, > 0.
        layout: of a model, or None for all streams.

    Raises:
        InputError: E-MODEL-STREAMS, the session has none of the model's streams; E-MODEL-CHANNELS, a stream
            of the right name has other channels.
    """
    if layout is None:
        return frame_table(session.streams, hop)
    known = [s for s in session.streams if s.name in layout.streams]
    if not known and len(session.streams) == len(layout.streams) == 1:
        # one stream on both sides: the name of the file does not matter, the channels do
        known = [_renamed(session.streams[0], layout.streams[0])]
    if not known:
        raise InputError(
            "E-MODEL-STREAMS",
            f"session {session.name!r} has streams {sorted(s.name for s in session.streams)}; the model reads"
            f" {sorted(layout.streams)}",
            hint="name the files as in training, or train on such sessions",
        )
    table = frame_table(known, hop)
    for name, channels in zip(table.names, table.channels, strict=True):
        wanted = layout.channels[layout.streams.index(name)]
        if channels != wanted:
            found = sorted({c.split(".")[0] for c in channels} ^ {c.split(".")[0] for c in wanted})
            raise InputError(
                "E-MODEL-CHANNELS",
                f"stream {name!r} and the model differ in their channels or in the bands that their rates allow:"
                f" {found or 'other frequency bands'}",
                hint="use the channels and about the rate of training",
            )
    return table


def _renamed(stream: Stream, name: str) -> Stream:
    return replace(stream, name=name)


def fit_layout(tables: Sequence[FrameTable]) -> Layout:
    """The union of the tables' streams, and the robust scale of each column over all of them.

    Args:
        tables: at least one, all of one hop.

    Raises:
        InputError: E-MODEL-CHANNELS, one stream name with different channels in two sessions.
    """
    channels: dict[str, tuple[str, ...]] = {}
    blocks: dict[str, list[npt.NDArray[np.float32]]] = {}
    for table in tables:
        for name, columns, block in zip(table.names, table.channels, table.blocks, strict=True):
            if channels.setdefault(name, columns) != columns:
                raise InputError(
                    "E-MODEL-CHANNELS",
                    f"stream {name!r} has different channels or rates in two sessions",
                    hint="train on sessions of one layout, or rename the stream of one of them",
                )
            blocks.setdefault(name, []).append(block)
    names = tuple(sorted(channels))
    shifts, scales = [], []
    for name in names:
        rows = np.concatenate(blocks[name])
        shift, scale = robust_location_scale(rows[:: 1 + len(rows) // _SAMPLED])
        shifts.append(shift)
        scales.append(scale)
    return Layout(
        tables[0].hop,
        names,
        tuple(channels[n] for n in names),
        np.concatenate(shifts).astype(np.float32),
        np.concatenate(scales).astype(np.float32),
    )


def model_inputs(table: FrameTable, layout: Layout) -> npt.NDArray[np.float32]:
    """(n_frames, layout.n_features): columns on the training scale, on the session's own scale, presence flags.

    The session's own scale takes out how a device sits on this person; the training scale keeps absolute
    levels such as gravity. Missing cells are 0, which is the median on either scale.

    Args:
        table: a session's frames; every stream of it is in the layout.
        layout: of the model.
    """
    absolute, relative, present = [], [], []
    column = 0
    for name, channels in zip(layout.streams, layout.channels, strict=True):
        width = len(channels)
        shift, scale = layout.shift[column : column + width], layout.scale[column : column + width]
        column += width
        if name in table.names:
            block = table.blocks[table.names.index(name)]
        else:
            block = np.full((table.n_frames, width), np.nan, np.float32)
        absolute.append(np.clip((block - shift) / scale, -_LIMIT, _LIMIT))
        relative.append(robust_scaled(block, _LIMIT, 0.1 * scale))
        present.append(np.isfinite(block).any(axis=1, keepdims=True).astype(np.float32))
    columns = np.concatenate([*absolute, *relative, *present], axis=1)
    return np.where(np.isfinite(columns), columns, 0.0).astype(np.float32)
