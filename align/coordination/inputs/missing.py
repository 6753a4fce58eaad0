"""A layout's devices, and a session's inputs as if some of them had not been there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import Device
from align.coordination.inputs.layout import Layout
from align.features.upright import may_share_a_vertical

__all__ = ["device_columns", "first_columns", "without_devices"]

F4 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_VERTICAL = ("*up", "*level")


def first_columns(layout: Layout) -> dict[str, int]:
    """Where each stream's columns begin on the training scale.

    Args:
        layout: of a model.
    """
    widths = [len(c) for c in layout.channels]
    return dict(zip(layout.streams, np.cumsum([0, *widths[:-1]]).tolist(), strict=True))


def device_columns(layout: Layout) -> list[tuple[Device, list[tuple[int, str]]]]:
    """Every device with its columns on the training scale, and what they say.

    Args:
        layout: of a model.
    """
    first = first_columns(layout)
    return [
        (d, [(first[d.stream] + column, k) for slot in d.slots for k, column in slot.columns.items()])
        for d in layout.sources.devices
    ]


def without_devices(inputs: F4, layout: Layout, gone: Bools) -> F4:
    """The inputs as ``model_inputs`` has them of a session without some devices.

    Their columns are 0, and so are those along and across the vertical of gyroscopes that had it of these
    accelerometers (``features.upright``). A stream of which nothing stays is marked absent.

    Args:
        inputs: (n_frames, n_features) f4; not changed.
        layout: of the model.
        gone: (n_devices,) which of ``layout.sources.devices``.
    """
    out, found = inputs.copy(), device_columns(layout)
    lost = [column for is_gone, (_, own) in zip(gone, found, strict=True) if is_gone for column, _ in own]
    lost += _without_vertical(layout, gone)
    out[:, lost] = 0.0
    out[:, [column + len(layout.shift) for column in lost]] = 0.0
    staying = {device.stream for is_gone, (device, _) in zip(gone, found, strict=True) if not is_gone}
    absent = [k - len(layout.streams) for k, name in enumerate(layout.streams) if name not in staying]
    out[:, absent] = 0.0
    return out


def _without_vertical(layout: Layout, gone: Bools) -> list[int]:
    """Columns along and across a vertical of gyroscopes whose accelerometers are gone: all those of their stream, or,
    where it has none, all whose vertical they may share."""
    forces = [
        (device.stream, is_gone)
        for device, is_gone in zip(layout.sources.devices, gone, strict=True)
        if device.kind == "acceleration"
    ]
    had, has = {stream for stream, _ in forces}, {stream for stream, is_gone in forces if not is_gone}
    first, lost = first_columns(layout), []
    for device in layout.sources.devices:
        lenders = {stream for stream in had if may_share_a_vertical(device.stream, stream)}
        near = {device.stream} if device.stream in had else lenders
        if device.kind == "rotation" and not near & has:
            slots = [slot for slot in device.slots if slot.axis in _VERTICAL]
            lost += [first[device.stream] + column for slot in slots for column in slot.columns.values()]
    return lost
