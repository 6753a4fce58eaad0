"""Channels recognised by name and unit."""

import numpy as np
import pytest

from align.datatypes import Stream
from align.features.kinds import groups, in_g, in_rad_per_s


def kinds(channels, units=()):
    stream = Stream(np.zeros((3, len(channels))), 1.0, channels=tuple(channels), units=tuple(units))
    return [(g.kind, g.place, g.columns, g.known) for g in groups(stream)]


@pytest.mark.parametrize(
    "names",
    [
        ("acc_x", "acc_y", "acc_z"),
        ("x_acc", "y_acc", "z_acc"),
        ("ax", "ay", "az"),
        ("AccX", "AccY", "AccZ"),
        ("accelerometer.x", "accelerometer.y", "accelerometer.z"),
    ],
)
def test_the_axes_of_one_accelerometer(names):
    assert kinds(names) == [("acceleration", "", (0, 1, 2), True)]


def test_two_devices_in_one_table_and_columns_out_of_order():
    names = ("left_wrist_gyro_z", "left_wrist_gyro_x", "left_wrist_gyro_y", "chest_acc_x", "chest_acc_y")
    assert kinds(names) == [
        ("rotation", "left wrist", (1, 2, 0), True),
        ("acceleration", "chest", (3, 4), True),
    ]


def test_units_decide_where_names_do_not():
    assert kinds(("a1", "w", "T_in"), ("m/s^2", "deg/s", "°C")) == [
        ("acceleration", "a1", (0,), True),
        ("rotation", "w", (1,), True),
        ("temperature", "t in", (2,), True),
    ]


def test_kinds_of_their_own_keep_their_name():
    assert kinds(("gas_flow", "heart_rate", "0")) == [
        ("gas flow", "", (0,), False),
        ("heart rate", "", (1,), True),
        ("0", "", (2,), False),
    ]


def test_gravity_tells_the_unit():
    assert in_g("", 9.7) == pytest.approx(1 / 9.80665)
    assert in_g("", 1.02) == 1.0
    assert in_g("", 990.0) == pytest.approx(1e-3)
    assert in_g("", 0.1) is None
    assert in_g("mg", 0.1) == 1e-3
    assert in_rad_per_s("", 200.0) == pytest.approx(np.pi / 180)
    assert in_rad_per_s("", 3.0) == 1.0
    assert in_rad_per_s("deg/s", 3.0) == pytest.approx(np.pi / 180)
