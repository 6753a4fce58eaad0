"""What a worn device measures along the vertical of its upright wearer and across it, however it sits.

A phone on a belt slides around the waist, and in a pocket it lies as it fell: its axes say something else from person
to person. Whoever moves about is upright, though, so the mean direction of gravity while a device moves is its
wearer's vertical in the device's own axes. The part of acceleration and of angular rate along it, and the length of
what is left, are the same however the device was turned when it was put on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.features.kinds import Group, groups, in_g, name_words
from align.features.motion import LEAST_MOVING_S, MOVES_G, is_freed, where_worn
from align.features.windows import split_axis

__all__ = ["may_share_a_vertical", "upright_streams", "vertical_of"]

_BLOCK_S = 1.0
_TINY = 1e-9
#: words of streams' names that tell devices of one wearer apart
_WORN = frozenset(
    name_words(
        "phone watch band ring glasses patch strap head ear neck chest trunk torso back waist belt hip arm elbow wrist"
        " hand finger thigh pocket trousers knee leg shank ankle foot shoe left right upper lower"
    )
)


def upright_streams(streams: Sequence[Stream]) -> list[Stream | None]:
    """Accelerometers and gyroscopes of three axes as seen by an upright wearer: two channels each.

    A triple ``acc_x, acc_y, acc_z`` gives ``acc_*up``, the part along the vertical, and ``acc_*level``, the length of
    the rest, in its own unit; NaN where an axis is missing. A gyroscope takes the vertical of the accelerometer of its
    stream that is worn in the same place, or of the only one, in its stream or in all.

    Args:
        streams: of one session.

    Returns:
        For each stream one of the same samples, or None where nothing has a vertical: sound, other sensors, and
        accelerometers that have lost gravity, unless it is a channel of its own.
    """
    triples = [
        [g for g in groups(s) if len(g.columns) == 3] if s.modality == "sensor" else [] for s in streams
    ]
    verticals = [_verticals(s, own) for s, own in zip(streams, triples, strict=True)]
    only = [(s.name, v) for s, own in zip(streams, verticals, strict=True) for v in own.values()]
    out = []
    for stream, groups_of_3, own in zip(streams, triples, verticals, strict=True):
        near = list(own.values())
        if not near and len(only) == 1 and may_share_a_vertical(stream.name, only[0][0]):
            near = [only[0][1]]
        shared = {"rotation": near[0]} if len(near) == 1 else {}
        ups = [own.get(where_worn(g), shared.get(g.kind)) for g in groups_of_3]
        seen = [
            (g, up)
            for g, up in zip(groups_of_3, ups, strict=True)
            if up is not None and g.kind in ("acceleration", "rotation")
        ]
        out.append(_seen_upright(stream, seen))
    return out


def may_share_a_vertical(one: str, other: str) -> bool:
    """Whether two streams may be of one device: no, where their names say where both are worn and do not agree.

    Args:
        one, other: names of streams.

    >>> may_share_a_vertical("gyro", "acc"), may_share_a_vertical("gyro", "watch_acc")
    (True, True)
    >>> may_share_a_vertical("phone", "watch"), may_share_a_vertical("wrist_left_gyro", "wrist_right_acc")
    (False, False)
    """
    first, second = _WORN & set(name_words(one)), _WORN & set(name_words(other))
    return not first or not second or first == second


def _seen_upright(stream: Stream, seen: Sequence[tuple[Group, Floats]]) -> Stream | None:
    columns, names, units = [], [], []
    for group, up in seen:
        found = split_axis(stream.channels[group.columns[0]])
        if found is None:
            continue
        values = stream.values[:, list(group.columns)]
        along = values @ up.astype(values.dtype)
        values -= along[:, None] * up.astype(values.dtype)
        columns += [along, _lengths(values).astype(values.dtype)]
        names += [found[0].replace("*", "*up"), found[0].replace("*", "*level")]
        units += 2 * [group.unit]
    if not columns:
        return None
    return replace(
        stream,
        values=np.column_stack(columns),
        channels=tuple(names),
        units=tuple(units),
    )


def _lengths(values: npt.NDArray[np.floating[Any]]) -> Floats:
    return np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))


def _verticals(stream: Stream, triples: Sequence[Group]) -> dict[str, Floats]:
    """The vertical of each accelerometer of a stream, by where it is worn."""
    weights = {where_worn(g): g for g in triples if g.kind == "gravity"}
    out = {}
    for group in triples:
        where = where_worn(group)
        if group.kind != "acceleration" or (is_freed(group) and where not in weights):
            continue
        values = stream.values[:, list(group.columns)]
        if is_freed(group):
            values += stream.values[:, list(weights[where].columns)]
        length = _lengths(values)
        known = np.isfinite(length)
        factor = in_g(group.unit, float(np.median(length[known]))) if known.any() else None
        up = None if factor is None else vertical_of(values, factor, stream.rate, stream.run_index)
        if up is not None:
            out[where] = up
    return out


def vertical_of(
    values: npt.NDArray[np.floating[Any]], factor: float, rate: float, run_index: npt.NDArray[np.int64]
) -> Floats | None:
    """(3,) the direction of gravity while its wearer moves, of length 1; None where there is none.

    The mean of the directions of the mean acceleration in blocks of 1 s in which its standard deviation exceeds 0.15 g;
    of all blocks where that is less than 2 s.

    Args:
        values: (n_samples, 3) acceleration; a row with NaN does not count.
        factor: from its unit to g.
        rate: Hz.
        run_index: (n_runs,) first sample of each contiguous run; a block ends with its run.
    """
    size = max(1, round(_BLOCK_S * rate))
    ends = [*run_index[1:].tolist(), len(values)]
    starts = np.concatenate([np.arange(a, b, size) for a, b in zip(run_index.tolist(), ends, strict=True)])
    known = np.isfinite(values).all(axis=1, keepdims=True)
    values = np.where(known, values, 0.0)
    count = np.add.reduceat(known, starts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = factor * np.add.reduceat(values, starts, dtype=np.float64) / count
        variance = factor**2 * np.add.reduceat(np.square(values, dtype=np.float64), starts) / count - mean**2
        directions = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        spread = np.sqrt(np.maximum(variance, 0.0).sum(axis=1))
    used = np.flatnonzero(np.isfinite(directions).all(axis=1))
    moving = used[spread[used] > MOVES_G]
    total = directions[moving if moving.size * _BLOCK_S >= LEAST_MOVING_S else used].sum(axis=0)
    length = float(np.linalg.norm(total))
    return total / length if length > _TINY else None
