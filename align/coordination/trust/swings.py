"""How fast devices turn while their wearer moves: what tells a thigh from a trunk, whatever else is alike.

A trunk turns by 0.6 to 1.1 rad/s at every step, a thigh by 1.3 and more, a wrist by 1.3 to 3. Among the many columns
of a frame this hardly shows where the recordings of training are various; as one number of a recording it does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import Device, devices
from align.coordination.inputs.layout import Layout
from align.datatypes import Floats
from align.features.kinds import in_g, in_rad_per_s
from align.features.motion import LEAST_MOVING_S, MOVES_G

__all__ = ["swings"]

_AXES = ("x", "y", "z")
F4 = npt.NDArray[np.float32]
Columns = tuple[list[int], list[int], str]  # of means and of log standard deviations, three each; their unit


def swings(inputs: F4, layout: Layout) -> Floats:
    """(n_devices,) log of the rad/s by which each device turns, root mean square over a window, in the median window in
    which it moves by more than 0.15 g; NaN where it moves for less than 2 s or is not there.

    Args:
        inputs: of one session, (n_frames, n_features), from ``model_inputs``.
        layout: of the model. Devices are those with a gyroscope and an accelerometer of three axes each, in its order.
    """
    out = []
    for turns, forces in _devices(layout):
        there = np.all([inputs[:, own[0] + own[1]].any(axis=1) for own in (turns, forces)], axis=0)
        rate, rate_sd = _mean_and_sd(inputs, there, layout, turns)
        force, force_sd = _mean_and_sd(inputs, there, layout, forces)
        resting = float(np.median(np.linalg.norm(force, axis=1))) if len(force) else 0.0
        moves = np.linalg.norm(force_sd, axis=1) * (in_g(forces[2], resting) or 0.0) > MOVES_G
        if moves.sum() * layout.hop < LEAST_MOVING_S:
            out.append(np.nan)
            continue
        turned = np.sqrt((rate[moves] ** 2 + rate_sd[moves] ** 2).sum(axis=1))
        turned *= in_rad_per_s(turns[2], float(turned.max()))
        out.append(np.log(max(float(np.median(turned)), 1e-6)))
    return np.asarray(out, np.float64)


def _devices(layout: Layout) -> list[tuple[Columns, Columns]]:
    """Gyroscopes, each with the accelerometer of its stream that has the same words in its name, or the only one."""
    out, before = [], 0
    for name, channels, units in zip(layout.streams, layout.channels, layout.units, strict=True):
        known = [d for d in devices(name, channels, units) if {s.axis for s in d.slots} >= set(_AXES)]
        forces = [d for d in known if d.kind == "acceleration"]
        for device in known:
            own = [d for d in forces if d.words == device.words] or (forces if len(forces) == 1 else [])
            if device.kind == "rotation" and own:
                out.append((_columns(device, before), _columns(own[0], before)))
        before += len(channels)
    return out


def _columns(device: Device, before: int) -> Columns:
    slots = [slot for slot in device.slots if slot.axis in _AXES]
    mean, sd = ([before + slot.columns[name] for slot in slots] for name in ("mean", "sd"))
    return mean, sd, device.unit


def _mean_and_sd(
    inputs: F4, there: npt.NDArray[np.bool_], layout: Layout, columns: Columns
) -> tuple[Floats, Floats]:
    """(n, 3) each of the frames that are there, in the unit of the columns."""
    mean, sd = (
        layout.shift[own] + layout.scale[own] * inputs[:, own][there].astype(np.float64)
        for own in columns[:2]
    )
    return np.asarray(mean, np.float64), np.asarray(np.exp(sd), np.float64)
