"""align/coordination/inputs/missing.py: inputs without a device are those of a session that lacks it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.missing import device_columns, without_devices
from align.datatypes import Session, Stream

HOP = 0.5
DEVICES = ("phone", "watch")
ACC, GYRO = ("acc_x", "acc_y", "acc_z"), ("gyro_x", "gyro_y", "gyro_z")


def worn(seed: int) -> Session:
    """A phone with both sensors, a gyroscope in a file of its own, a heart rate."""
    rng = np.random.default_rng(seed)
    acc = rng.normal(size=(600, 3)) * 0.4 + np.array([0.2, 0.9, 0.3])
    turns = rng.normal(size=(600, 6))
    phone = Stream(
        np.hstack([acc, turns[:, :3]]), 20.0, "phone", channels=ACC + GYRO, units=("g",) * 3 + ("rad/s",) * 3
    )
    rate = Stream(turns[:, 3:], 20.0, "rate", channels=GYRO, units=("rad/s",) * 3)
    band = Stream(rng.normal(size=(60, 1)) + 60, 2.0, "band", channels=("hr",))
    return Session(f"s{seed}", (phone, rate, band))


def lacking(session: Session, stream: str, kind: str) -> Session:
    """The session without the channels of a stream whose names begin so."""
    left = []
    for own in session.streams:
        kept = [i for i, c in enumerate(own.channels) if own.name != stream or not c.startswith(kind)]
        if kept:
            channels, units = (tuple(part[i] for i in kept) for part in (own.channels, own.units))
            left.append(dataclasses.replace(own, values=own.values[:, kept], channels=channels, units=units))
    return dataclasses.replace(session, streams=tuple(left))


@pytest.fixture(scope="module")
def layout():
    return fit_layout([session_table(worn(seed), HOP) for seed in range(3)])


@pytest.mark.parametrize(
    ("stream", "kind"), [("phone", "acc"), ("phone", "gyro"), ("rate", "gyro"), ("band", "hr")]
)
def test_the_inputs_are_those_of_a_session_that_lacks_the_device(layout, stream, kind) -> None:
    kinds = {"acc": "acceleration", "gyro": "rotation"}
    devices = layout.sources.devices
    gone = np.array([d.stream == stream and d.kind == kinds.get(kind, d.kind) for d in devices])
    assert gone.sum() == 1
    whole = model_inputs(session_table(worn(0), HOP, layout), layout)
    before = whole.copy()
    found = without_devices(whole, layout, gone)
    wanted = model_inputs(session_table(lacking(worn(0), stream, kind), HOP, layout), layout)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_array_equal(whole, before)
    assert (found != whole).any()


@pytest.mark.parametrize("stream", ["phone", "watch"])
def test_the_vertical_of_a_watch_is_not_that_of_a_phone(stream) -> None:
    sessions = [
        Session(
            "s", tuple(dataclasses.replace(worn(2 * i + k).streams[0], name=n) for k, n in enumerate(DEVICES))
        )
        for i in range(3)
    ]
    layout = fit_layout([session_table(session, HOP) for session in sessions])
    gone = np.array([d.stream == stream and d.kind == "acceleration" for d in layout.sources.devices])
    whole = model_inputs(session_table(sessions[0], HOP, layout), layout)
    wanted = model_inputs(session_table(lacking(sessions[0], stream, "acc"), HOP, layout), layout)
    np.testing.assert_allclose(without_devices(whole, layout, gone), wanted, atol=1e-5)


def test_with_the_last_accelerometer_every_gyroscope_loses_its_vertical(layout) -> None:
    whole = model_inputs(session_table(worn(0), HOP, layout), layout)
    gone = np.array([d.kind == "acceleration" for d in layout.sources.devices])
    found = without_devices(whole, layout, gone)
    for (device, columns), is_gone in zip(device_columns(layout), gone, strict=True):
        names = [slot.axis for slot in device.slots for _ in slot.columns]
        for (column, _), axis in zip(columns, names, strict=True):
            lost = is_gone or axis in ("*up", "*level")
            assert found[:, column].any() == (whole[:, column].any() and not lost)


def test_without_anything_gone_nothing_changes(layout) -> None:
    whole = model_inputs(session_table(worn(1), HOP, layout), layout)
    none = np.zeros(len(layout.sources.devices), bool)
    np.testing.assert_array_equal(without_devices(whole, layout, none), whole)
