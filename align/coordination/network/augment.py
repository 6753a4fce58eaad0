"""What is done to inputs in training so that a network does not learn a recording by heart: pure functions.

They act on the columns of ``layout.model_inputs`` (frames, and raw patches where there are any) of one piece of one
session. Frames are statistics, so only what can be said of statistics is done to them: a channel that is scaled
moves its levels and the logs of its amplitudes exactly; a rotated sensor turns the levels, slopes and raw patches of
its three axes exactly, while spreads and band energies, which would need the axes' covariance, stay as they are.
For a rotation that is exact in all columns turn the recording itself (``turned_session``) and take its frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import statistic_of
from align.coordination.inputs.layout import Layout
from align.coordination.inputs.missing import device_columns, first_columns, without_devices
from align.coordination.inputs.raw import RAW
from align.coordination.network.noise import noisy, shaken
from align.coordination.plan import TrainingPlan
from align.datatypes import Floats, Session
from align.features.kinds import groups

__all__ = [
    "EFFECTS",
    "augmented",
    "dropped_bands",
    "dropped_channels",
    "dropped_streams",
    "jittered",
    "masked_bands",
    "masked_times",
    "random_rotation",
    "rotated",
    "rotation",
    "scaled",
    "time_warp",
    "turned_session",
]

Inputs = npt.NDArray[np.float32]
Rng = np.random.Generator

_JITTER = 0.1  # robust standard deviations
_SCALE = 0.15  # standard deviation of the log amplitude
_DROP_CHANNEL, _DROP_STREAM, _DROP_BANDS = 0.1, 0.2, 0.25  # probabilities
_HIGHEST_BANDS = 3  # that may be dropped: what is left of 10 Hz
_TIME_SHARE, _LONGEST_MASK = 0.05, 20  # of the frames that are masked; frames of one mask
_BAND_MASKS = 2
_WARP, _KNOTS = 0.2, 6  # standard deviation of the log pace; stretches of a piece with a pace of their own
_LINEAR = ("mean", "min", "max", "slope")
_TURNED = ("mean", "slope")


def augmented(inputs: Inputs, layout: Layout, rng: Rng, plan: TrainingPlan) -> Inputs:
    """The inputs of a training piece after all of ``plan.augment`` but "time-warp", which moves targets as well.

    Args:
        inputs: (n_frames, n_features) f4; not changed.
        layout: of the model.
        rng: where chance comes from.
        plan: ``augment`` names the effects; without any the inputs come back as they are.
    """
    for name, effect in EFFECTS.items():
        if name in plan.augment:
            inputs = effect(inputs, layout, rng)
    return inputs


def jittered(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Noise on every column of a stream that is there; presence stays.

    Args:
        inputs, layout, rng: as for ``augmented``.
    """
    noise = rng.normal(0.0, _JITTER, inputs.shape).astype(np.float32)
    noise[:, -len(layout.streams) :] = 0.0
    return np.asarray(inputs + noise * _is_there(inputs, layout), np.float32)


def scaled(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Every device as if its signal were a random factor larger: exact, on the training scale.

    Levels are multiplied, log amplitudes and log powers move by one and two times its logarithm. The columns on
    the session's own scale do not change: they do not know the unit.

    Args:
        inputs, layout, rng: as for ``augmented``.
    """
    out = inputs.copy()
    there = _is_there(inputs, layout)
    for device, columns in device_columns(layout):
        log_factor = rng.normal(0.0, _SCALE)
        if device.kind == "sound":
            continue  # decibels below the loudest frame
        for column, statistic in columns:
            shift, scale = float(layout.shift[column]), float(layout.scale[column])
            x = inputs[:, column]
            if statistic in _LINEAR or statistic.startswith(RAW):
                moved = x * np.exp(log_factor) + shift * np.expm1(log_factor) / scale
            elif statistic:
                moved = x + (2.0 if statistic.endswith("Hz") else 1.0) * log_factor / scale
            else:
                continue
            out[:, column] = np.where(there[:, column] > 0, moved, x)
    return out


def rotated(inputs: Inputs, layout: Layout, rng: Rng, largest: float = 0.5) -> Inputs:
    """Every 3-axis sensor as if it sat turned by up to ``largest`` radians about a random axis.

    On the training scale, in means, slopes and raw patches, exactly; the other columns stay.

    Args:
        inputs, layout, rng: as for ``augmented``.
        largest: angle, radians.
    """
    out = inputs.copy()
    there = _is_there(inputs, layout)
    for device, _ in device_columns(layout):
        axes = {slot.axis: slot.columns for slot in device.slots if slot.axis in ("x", "y", "z")}
        turn = random_rotation(rng, largest)
        if len(axes) < 3:
            continue
        first = first_columns(layout)[device.stream]
        for statistic in axes["x"]:
            if statistic not in _TURNED and not statistic.startswith(RAW):
                continue
            columns = [first + axes[a][statistic] for a in "xyz" if statistic in axes[a]]
            if len(columns) == 3:
                levels = inputs[:, columns] * layout.scale[columns] + layout.shift[columns]
                moved = (levels @ turn.T - layout.shift[columns]) / layout.scale[columns]
                out[:, columns] = np.where(there[:, columns] > 0, moved, inputs[:, columns])
    return out


def dropped_channels(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Some devices are not there: their columns are 0, as ``model_inputs`` has them. One always stays.

    Args:
        inputs, layout, rng: as for ``augmented``.
    """
    found = layout.sources.devices
    gone = rng.random(len(found)) < _DROP_CHANNEL
    gone[int(rng.integers(len(found)))] = False
    return without_devices(inputs, layout, gone)


def dropped_streams(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Some streams are not there, nor marked present. One that was there always stays.

    Args:
        inputs, layout, rng: as for ``augmented``.
    """
    n = len(layout.streams)
    present = np.flatnonzero(inputs[:, -n:].any(axis=0))
    gone = rng.random(n) < _DROP_STREAM
    if not present.size:
        return inputs
    gone[int(rng.choice(present))] = False
    lost = {name for name, is_gone in zip(layout.streams, gone, strict=True) if is_gone}
    return without_devices(inputs, layout, np.asarray([d.stream in lost for d in layout.sources.devices]))


def dropped_bands(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Sensors as if recorded at a lower rate, or filtered: one to three of a stream's highest bands are not there.

    In bands, that is; deviations, extremes and steps stay.

    Args:
        inputs, layout, rng: as for ``augmented``.
    """
    out, half = inputs.copy(), len(layout.shift)
    for first, bands in _bands(layout):
        hertz = [columns for band, columns in bands.items() if band.endswith("Hz")]
        if hertz and rng.random() < _DROP_BANDS:
            for columns in hertz[1:][-int(rng.integers(1, _HIGHEST_BANDS + 1)) :]:
                index = first + np.array(columns)
                out[:, index] = 0.0
                out[:, index + half] = 0.0
    return out


def masked_times(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """A few short stretches show the median of everything: what happens must be told from what lies around.

    Args:
        inputs, layout, rng: as for ``augmented``.

    References:
        SpecAugment, Park et al., arXiv 1904.08779, section 2 (time masking).
    """
    out = inputs.copy()
    n, n_streams = len(inputs), len(layout.streams)
    left = int(_TIME_SHARE * n)
    while left > 0:
        length = int(rng.integers(1, min(left, _LONGEST_MASK) + 1))
        start = int(rng.integers(0, n - length + 1))
        out[start : start + length, :-n_streams] = 0.0
        left -= length
    return out


def masked_bands(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """A run of frequency bands of a stream shows its median: mel bands of sound, bands in hertz of a sensor.

    Args:
        inputs, layout, rng: as for ``augmented``.

    References:
        SpecAugment, Park et al., arXiv 1904.08779, section 2 (frequency masking).
    """
    out = inputs.copy()
    half = len(layout.shift)
    for first, bands in _bands(layout):
        for _ in range(_BAND_MASKS):
            width = int(rng.integers(0, max(1, len(bands) // 5) + 1))
            start = int(rng.integers(0, len(bands) - width + 1))
            for columns in list(bands.values())[start : start + width]:
                index = first + np.array(columns)
                out[:, index] = 0.0
                out[:, index + half] = 0.0
    return out


#: name in ``plan.augment`` -> what it does to the inputs, in this order
EFFECTS: Mapping[str, Callable[[Inputs, Layout, Rng], Inputs]] = {
    "rotate": rotated,
    "scale": scaled,
    "jitter": jittered,
    "sensor-noise": shaken,
    "drop-channels": dropped_channels,
    "drop-streams": dropped_streams,
    "drop-bands": dropped_bands,
    "noise": noisy,
    "mask-bands": masked_bands,
    "mask-times": masked_times,
}


def time_warp(n_frames: int, rng: Rng) -> npt.NDArray[np.int64]:
    """(n,) which frame is seen at each step when parts of a piece pass faster or slower: take inputs and targets by it.

    Never backwards, first and last frame kept, n between about 0.7 and 1.4 times ``n_frames``.

    Args:
        n_frames: of the piece, >= 1.
        rng: where chance comes from.
    """
    pace = np.exp(rng.normal(0.0, _WARP, _KNOTS).clip(-1.7 * _WARP, 1.7 * _WARP))
    edges = np.linspace(0.0, n_frames - 1.0, _KNOTS + 1)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(edges) / pace)])
    n = max(1, round(float(passed[-1])) + 1)
    steps = np.linspace(0.0, passed[-1], n)
    return np.rint(np.interp(steps, passed, edges)).astype(np.int64)


def random_rotation(rng: Rng, largest: float = np.pi) -> Floats:
    """(3, 3) rotation about a uniformly random axis by a uniformly random angle.

    Args:
        rng: where chance comes from.
        largest: angle, radians.
    """
    return rotation(rng.normal(size=3), rng.uniform(-largest, largest))


def rotation(axis: Floats, angle: float) -> Floats:
    """(3, 3) rotation about an axis.

    Args:
        axis: (3,) of any length > 0.
        angle: radians.

    References:
        Rodrigues' formula.
    """
    x, y, z = axis / max(float(np.linalg.norm(axis)), 1e-12)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)


def turned_session(session: Session, turn: Floats) -> Session:
    """The session as if every 3-axis sensor had sat turned: exact in all that is computed from it.

    Args:
        session: with streams.
        turn: (3, 3) rotation, the same for the sensors of all devices.
    """
    streams = []
    for stream in session.streams:
        triples = [g for g in groups(stream) if g.known and len(g.columns) == 3]
        values = stream.values.copy()
        for group in triples if stream.modality == "sensor" else []:
            columns = list(group.columns)
            values[:, columns] = values[:, columns] @ turn.T.astype(values.dtype)
        streams.append(dataclasses.replace(stream, values=values))
    return dataclasses.replace(session, streams=tuple(streams))


def _stream_of_columns(layout: Layout) -> npt.NDArray[np.int64]:
    """(n_features,) which stream each input column is of."""
    widths = [len(c) for c in layout.channels]
    numbers = np.arange(len(widths))
    return np.concatenate([np.repeat(numbers, widths), np.repeat(numbers, widths), numbers])


def _is_there(inputs: Inputs, layout: Layout) -> Inputs:
    """(n_frames, n_features) 1 where a column's stream is present and the column holds anything at all."""
    flags = inputs[:, -len(layout.streams) :]
    return np.asarray(flags[:, _stream_of_columns(layout)] * inputs.any(axis=0), np.float32)


def _bands(layout: Layout) -> list[tuple[int, dict[str, list[int]]]]:
    """Per stream its first column, and for each of its bands in ascending order the columns that show it."""
    out = []
    for name, channels in zip(layout.streams, layout.channels, strict=True):
        found: dict[str, list[int]] = {}
        for column, channel in enumerate(channels):
            statistic = statistic_of(channel)
            band = statistic if statistic.endswith("Hz") else channel.rpartition(".")[0]
            if statistic.endswith("Hz") or band[:3] == "mel":
                found.setdefault(band, []).append(column)
        if found:
            ordered = sorted(
                found, key=lambda b: float(b.split("-")[0]) if b.endswith("Hz") else float(b[3:])
            )
            out.append((first_columns(layout)[name], {b: found[b] for b in ordered}))
    return out
