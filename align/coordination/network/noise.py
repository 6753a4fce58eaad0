"""Noise added to inputs in training, as statistics of frames have it: a hiss in sound, white noise in sensors.

A recorder, a room and a distance give every recording a background of its own; a network that saw a few of them takes
those for a part of what it is to tell. Pure functions of the columns of ``layout.model_inputs``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.bandwidth import SENSOR_BANDS
from align.coordination.inputs.channels import Device, Slot
from align.coordination.inputs.layout import Layout, on_both_scales
from align.coordination.inputs.missing import first_columns
from align.datatypes import Floats
from align.features.audio import RANGE_DB
from align.features.windows import POWER_RATE

__all__ = ["noisy", "shaken", "with_noise", "with_sensor_noise"]

Inputs = npt.NDArray[np.float32]
Rng = np.random.Generator

_NOISY, _NOISE_DB = 0.7, (-75.0, -20.0)  # share of the pieces with noise; its level in the middle band
_TILT_DB, _RIPPLE_DB = (-15.0, 5.0), 2.0  # from the lowest band to the highest; deviation of a band
_SHAKEN = 0.25  # share of the pieces in which a sensor is noisy
_ABOVE = (0.0, 6.0)  # nepers of power, up to 26 dB: its noise above the median of the sensor's highest band
_WIDEST = 4.0  # of the log by which extremes grow with the deviation
_STEP = np.log(4.0 / np.pi)  # of the square of white noise's mean absolute step, against its variance


def noisy(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Most sounds as if something hissed or hummed all along, 20 to 75 dB below the loudest frame.

    A microphone, a room and a distance give a recording its background, and a network that heard a few of them
    takes those for a part of the words.

    Args:
        inputs, layout, rng: as for ``augmented``.

    References:
        Yin et al., Noisy training for deep neural networks in speech recognition, EURASIP J. Audio Speech Music
        Process. 2015:2. Departure: made-up noise, added to the mel powers of frames.
    """
    for name, channels in zip(layout.streams, layout.channels, strict=True):
        n_bands = sum(c.startswith("mel") and c.endswith(".mean") for c in channels)
        if n_bands and "loudness" in channels and rng.random() < _NOISY:
            slope = np.linspace(-0.5, 0.5, n_bands) * rng.uniform(*_TILT_DB)
            noise = rng.uniform(*_NOISE_DB) + slope + rng.normal(0.0, _RIPPLE_DB, n_bands)
            inputs = with_noise(inputs, layout, name, noise)
    return inputs


def with_noise(inputs: Inputs, layout: Layout, stream: str, noise: Floats) -> Inputs:
    """The inputs as if a steady noise had been added to one stream of sound; where it is absent it stays so.

    Args:
        inputs: (n_frames, n_features) f4 of a whole session, or much of one: they are put on its own scale again.
        layout: of the model.
        stream: name of a stream of ``mel_frames``.
        noise: (n_bands,) dB a band, below the loudest frame.
    """
    k = layout.streams.index(stream)
    channels = layout.channels[k]
    bands = sorted(c.removesuffix(".mean") for c in channels if c.startswith("mel") and c.endswith(".mean"))
    names = [*(f"{b}.mean" for b in bands), *(f"{b}.sd" for b in bands), "loudness"]
    columns = first_columns(layout)[stream] + np.array([channels.index(c) for c in names])
    rows = np.flatnonzero(inputs[:, k - len(layout.streams)] > 0)
    if not rows.size:
        return inputs
    shift, scale = layout.shift[columns], layout.scale[columns]
    table = (inputs[np.ix_(rows, columns)] * scale + shift).astype(np.float64)
    mean, sd = table[:, : len(bands)], table[:, len(bands) : -1]
    heard = 10.0 * np.logaddexp(mean / 10.0 * np.log(10), noise / 10.0 * np.log(10)) / np.log(10)
    share = 10.0 ** ((mean - heard) / 10.0)  # of the power that is not noise: decibels move by as much less
    loudness = 10.0 * np.log10((10.0 ** (heard / 10.0)).sum(axis=1, keepdims=True))
    top = loudness.max()
    table = np.hstack([np.maximum(heard - top, -RANGE_DB), share * sd, np.maximum(loudness - top, -RANGE_DB)])
    out = inputs.copy()
    both = on_both_scales(table.astype(np.float32), shift, scale)
    out[np.ix_(rows, columns)], out[np.ix_(rows, columns + len(layout.shift))] = both
    return out


def shaken(inputs: Inputs, layout: Layout, rng: Rng) -> Inputs:
    """Some sensors with white noise of their own, up to 26 dB above what is usual in their highest band.

    A cheaper chip, a loose strap, a coarser scale: all frames of a device have as much more in all bands, and a network
    that never saw any takes it for shaking.

    Args:
        inputs, layout, rng: as for ``augment.augmented``.
    """
    first = first_columns(layout)
    for device in layout.sources.devices:
        tops = [
            first[device.stream] + slot.columns[_bands(slot)[-1]] for slot in device.slots if _is_heard(slot)
        ]
        if tops and rng.random() < _SHAKEN:
            density = float(layout.shift[tops].mean()) + rng.uniform(*_ABOVE)
            inputs = with_sensor_noise(inputs, layout, device, density)
    return inputs


def with_sensor_noise(inputs: Inputs, layout: Layout, device: Device, density: float) -> Inputs:
    """The inputs as if white noise had been added to all channels of a sensor; what is absent stays so.

    Powers add up, in bands and in deviations, and nearly so in steps; extremes grow as the deviation does. Levels and
    slopes stay, and so do raw patches. A magnitude gets as much noise as an axis, which is what it gets of axes that
    gravity holds.

    Args:
        inputs: (n_frames, n_features) f4 of a whole session, or much of one: they are put on its own scale again.
        layout: of the model.
        device: one of ``layout.sources.devices``, not of sound.
        density: natural logarithm of the variance that the noise would have at 50 Hz, in units of the layout.
    """
    half, first = len(layout.shift), first_columns(layout)[device.stream]
    present = inputs[:, layout.streams.index(device.stream) - len(layout.streams)] > 0
    columns, made = [], []
    for slot in device.slots:
        bands = _bands(slot)
        if not bands:
            continue
        places = {k: first + column for k, column in slot.columns.items()}
        level = {k: inputs[:, c] * layout.scale[c] + layout.shift[c] for k, c in places.items()}
        rate = 2.0 * float(bands[-1].removesuffix("Hz").split("-")[1])
        power = density + np.log(rate / POWER_RATE)
        wider = 0.5 * np.logaddexp(2.0 * level["sd"], power)
        step = 0.5 * np.logaddexp(2.0 * level["step"], power + _STEP + 2.0 * np.log(rate))
        growth = np.exp(np.minimum(wider - level["sd"], _WIDEST))
        heard = {"sd": wider, "step": step, "min": level["min"] * growth, "max": level["max"] * growth}
        heard |= {band: np.logaddexp(level[band], density) for band in bands}
        columns += [places[k] for k in heard]
        made += list(heard.values())
    if not columns:
        return inputs
    own = np.array(columns)
    known = present[:, None] & ((inputs[:, own] != 0) | (inputs[:, own + half] != 0))
    table = np.where(known, np.stack(made, axis=1), np.nan).astype(np.float32)
    out = inputs.copy()
    for at, scaled in zip(
        (own, own + half), on_both_scales(table, layout.shift[own], layout.scale[own]), strict=True
    ):
        out[:, at] = np.where(known, scaled, 0.0)
    return out


def _bands(slot: Slot) -> list[str]:
    """The slot's bands in hertz, the lowest first."""
    return [band for band in SENSOR_BANDS if band in slot.columns]


def _is_heard(slot: Slot) -> bool:
    return slot.measured and bool(_bands(slot))
