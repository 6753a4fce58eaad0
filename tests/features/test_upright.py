"""align/features/upright.py: the same however a device sits; nothing where nothing says where down is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.coordination.network.augment import random_rotation, turned_session
from align.datatypes import Session, Stream
from align.errors import InputError
from align.features.frames import featurize, frame_table
from align.features.upright import upright_streams, vertical_of

RATE = 50.0
AXES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
VERTICAL = np.array([0.6, 0.0, 0.8])


def worn(seconds=20.0, channels=AXES, seed=0, **more) -> Stream:
    """Half standing still, leaning far back; half walking upright and turning about the vertical at 1 rad/s."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE)
    walks = np.arange(n) >= n // 2
    lean = np.array([0.8, 0.0, -0.6])  # at a right angle
    steps = 0.5 * np.sin(2 * np.pi * 2.0 * np.arange(n) / RATE)[:, None]
    acc = np.where(walks[:, None], VERTICAL * (1 + steps), lean) + rng.normal(0, 0.01, (n, 3))
    gyro = np.where(walks[:, None], VERTICAL, 0.0) + rng.normal(0, 0.01, (n, 3))
    return Stream(np.column_stack([acc, gyro]), RATE, "phone", channels=channels, **more)


def seen(*streams: Stream) -> list[Stream | None]:
    return upright_streams(streams)


def test_an_upright_wearer_is_seen_along_the_vertical_and_a_leaning_one_across_it():
    (found,) = seen(worn())
    assert found is not None
    assert found.channels == ("acc_*up", "acc_*level", "gyro_*up", "gyro_*level")
    n = found.n_samples // 2
    still, walking = found.values[:n].mean(axis=0), found.values[n:].mean(axis=0)
    np.testing.assert_allclose(still, [0.0, 1.0, 0.0, 0.0], atol=0.03)
    np.testing.assert_allclose(walking, [1.0, 0.0, 1.0, 0.0], atol=0.03)


def test_parts_are_those_of_the_definition():
    stream = worn(seed=3)
    (found,) = seen(stream)
    assert found is not None
    blocks = stream.values[:, :3].reshape(-1, 50, 3)
    moving = [b for b in blocks if np.sqrt(sum(np.var(b[:, i]) for i in range(3))) > 0.15]
    total = sum(b.mean(axis=0) / np.linalg.norm(b.mean(axis=0)) for b in moving)
    up = total / np.linalg.norm(total)
    for row, wanted in zip(stream.values[::97].astype(float), found.values[::97], strict=True):
        for k in (0, 1):
            part = row[3 * k : 3 * k + 3]
            along = float(np.dot(part, up))
            across = float(np.sqrt(max(np.dot(part, part) - along**2, 0.0)))
            np.testing.assert_allclose(wanted[2 * k : 2 * k + 2], [along, across], atol=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_however_a_device_was_put_on(seed):
    session = Session("s", (worn(),))
    turned = turned_session(session, random_rotation(np.random.default_rng(seed)))
    (a,), (b,) = seen(*session.streams), seen(*turned.streams)
    assert a is not None and b is not None
    np.testing.assert_allclose(a.values, b.values, atol=1e-4)


@given(st.floats(0.75, 1.25))
def test_a_larger_signal_is_larger_by_as_much(factor):
    stream = worn()
    larger = dataclasses.replace(stream, values=stream.values * np.float32(factor))
    (a,), (b,) = seen(stream), seen(larger)
    assert a is not None and b is not None
    np.testing.assert_allclose(b.values, a.values * factor, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("unit, factor", [("g", 1.0), ("mg", 1000.0), ("m/s2", 9.80665)])
def test_units_stay(unit, factor):
    stream = worn()
    values = stream.values * np.array([factor] * 3 + [1.0] * 3, np.float32)
    (found,) = seen(dataclasses.replace(stream, values=values, units=(unit,) * 3 + ("rad/s",) * 3))
    (plain,) = seen(stream)
    assert found is not None and plain is not None
    assert found.units == (unit, unit, "rad/s", "rad/s")
    np.testing.assert_allclose(
        found.values[:, :2], factor * plain.values[:, :2], rtol=1e-4, atol=factor * 1e-4
    )


def test_who_never_moves_has_the_direction_of_all_of_it():
    still = np.tile([0.0, 1.0, 0.0], (500, 1))
    np.testing.assert_allclose(vertical_of(still, 1.0, RATE, np.zeros(1, np.int64)), [0.0, 1.0, 0.0])
    still[100:200] = np.nan
    np.testing.assert_allclose(vertical_of(still, 1.0, RATE, np.zeros(1, np.int64)), [0.0, 1.0, 0.0])
    assert vertical_of(np.full((500, 3), np.nan), 1.0, RATE, np.zeros(1, np.int64)) is None
    assert vertical_of(np.zeros((500, 3)), 1.0, RATE, np.zeros(1, np.int64)) is None
    opposite = np.vstack([np.tile([0.0, 1.0, 0.0], (250, 1)), np.tile([0.0, -1.0, 0.0], (250, 1))])
    assert vertical_of(opposite, 1.0, RATE, np.zeros(1, np.int64)) is None


def test_blocks_end_with_their_run():
    values = np.tile([0.0, 0.0, 1.0], (130, 1))
    values[:65] = [1.0, 0.0, 0.0]
    up = vertical_of(values, 1.0, RATE, np.array([0, 65]))  # blocks of 50, 15, 50 and 15 samples, none mixed
    np.testing.assert_allclose(up, np.array([1.0, 0.0, 1.0]) / np.sqrt(2))


@pytest.mark.parametrize(
    "channels",
    [
        ("useracc_x", "useracc_y", "useracc_z", "a", "b", "c"),
        ("acc_x", "acc_y", "heart", "gyro_x", "gyro_y", "gyro_z"),
        ("a", "b", "c", "d", "e", "f"),
    ],
)
def test_nothing_where_no_accelerometer_of_three_axes_feels_gravity(channels):
    names = tuple(c.replace("useracc", "user_acc") for c in channels)
    assert seen(worn(channels=names)) == [None]


def test_gravity_may_be_a_channel_of_its_own():
    both = worn()
    (wanted,) = seen(both)
    gravity = np.zeros((both.n_samples, 3), np.float32)
    gravity[: both.n_samples // 2], gravity[both.n_samples // 2 :] = [0.8, 0.0, -0.6], VERTICAL
    names = ("user_acc_x", "user_acc_y", "user_acc_z", *AXES[3:], "gravity_x", "gravity_y", "gravity_z")
    freed = np.column_stack([both.values[:, :3] - gravity, both.values[:, 3:], gravity])
    (found,) = seen(Stream(freed, RATE, "phone", channels=names))
    assert wanted is not None and found is not None
    assert found.channels == ("user_acc_*up", "user_acc_*level", "gyro_*up", "gyro_*level")
    np.testing.assert_allclose(found.values[:, 2:], wanted.values[:, 2:], atol=1e-5)
    np.testing.assert_allclose(
        found.values[:, 0] + gravity @ VERTICAL.astype(np.float32), wanted.values[:, 0], atol=0.02
    )


def test_sound_has_no_vertical():
    sound = Stream(np.zeros(16000), 16000.0, "room", "audio")
    found = seen(sound, worn())
    assert found[0] is None and found[1] is not None


def test_a_gyroscope_of_its_own_file_takes_the_only_vertical():
    both = worn()
    (wanted,) = seen(both)
    force = Stream(both.values[:, :3], RATE, "force", channels=AXES[:3])
    rate = Stream(both.values[:, 3:], RATE, "rate", channels=AXES[3:])
    found = seen(rate, force)
    assert wanted is not None and found[0] is not None and found[1] is not None
    np.testing.assert_array_equal(found[0].values, wanted.values[:, 2:])
    np.testing.assert_array_equal(found[1].values, wanted.values[:, :2])
    watch = dataclasses.replace(worn(seed=1), name="watch")
    assert seen(rate, force, watch)[0] is None  # which of the two?


@pytest.mark.parametrize(
    ("one", "other", "one_device"),
    [
        ("gyro", "acc", True),
        ("phone_gyro", "phone_acc", True),
        ("gyro", "watch_acc", True),
        ("phone", "watch", False),
        ("leftWristGyro", "rightWristAcc", False),
    ],
)
def test_a_gyroscope_takes_no_vertical_of_another_device(one, other, one_device):
    both = worn()
    rate = Stream(both.values[:, 3:], RATE, one, channels=AXES[3:])
    force = Stream(both.values[:, :3], RATE, other, channels=AXES[:3])
    assert (seen(rate, force)[0] is not None) == one_device


def test_devices_of_one_file_keep_apart():
    chest, wrist = worn(), worn(seed=5)
    names = tuple(f"{where}_{c}" for where in ("chest", "wrist") for c in AXES)
    turned = turned_session(Session("s", (wrist,)), random_rotation(np.random.default_rng(2)))
    stream = Stream(np.column_stack([chest.values, turned.streams[0].values]), RATE, "both", channels=names)
    (found,) = seen(stream)
    assert found is not None
    for where, alone in (("chest", chest), ("wrist", turned.streams[0])):
        (wanted,) = seen(alone)
        assert wanted is not None
        for name, column in zip(wanted.channels, wanted.values.T, strict=True):
            np.testing.assert_allclose(
                found.values[:, found.channels.index(f"{where}_{name}")], column, atol=1e-6
            )


def test_missing_samples_are_missing():
    values = worn().values.copy()
    values[10:20, 1] = np.nan
    (found,) = seen(Stream(values, RATE, "phone", channels=AXES))
    assert found is not None
    assert np.isnan(found.values[10:20, :2]).all() and np.isfinite(found.values[10:20, 2:]).all()


@pytest.mark.filterwarnings("error")
def test_values_as_large_as_frames_allow():
    stream = worn()
    large = dataclasses.replace(stream, values=stream.values * np.float32(1e28), units=("g",) * 3 + ("",) * 3)
    (found,) = seen(large)
    assert found is not None and np.isfinite(found.values).all()
    assert np.isfinite(frame_table([large], 0.5).blocks[0]).any()
    values = stream.values.copy()
    values[3, 0] = np.inf
    with pytest.raises(InputError, match="E-RANGE"):
        frame_table([dataclasses.replace(stream, values=values)], 0.5)


def test_their_frames_stand_behind_those_of_the_channels():
    stream = worn(run_index=np.array([0, 400]), run_start=np.array([3.0, 30.0]))
    table, plain = frame_table([stream], 0.5), featurize(stream, hop=0.5)
    assert table.channels[0][: plain.n_channels] == plain.channels
    added = table.channels[0][plain.n_channels :]
    assert {c.split(".")[0] for c in added} == {"acc_*up", "acc_*level", "gyro_*up", "gyro_*level"}
    lead = table.blocks[0][:, table.channels[0].index("acc_*up.mean")]
    assert np.isfinite(lead[:10]).all() and np.isnan(lead[18:50]).all()
    assert lead[-6:].mean() == pytest.approx(1.0, abs=0.05)
