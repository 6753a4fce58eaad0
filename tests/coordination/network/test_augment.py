"""align/coordination/network/augment.py: each effect against its definition; exact where it says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.missing import device_columns
from align.coordination.network import augment
from align.coordination.plan import AUGMENTATIONS, TrainingPlan
from align.datatypes import Session, Stream
from align.features.windows import bands_at

HOP = 0.5
IMU = ("acc_x", "acc_y", "acc_z")


def session_of(factor=1.0, seed=0):
    rng = np.random.default_rng(seed)
    acc = rng.normal(size=(600, 3)) * np.array([0.3, 0.1, 0.2]) + np.array([0.2, 0.9, 0.3])
    hr = rng.normal(size=(40, 1)) + 60
    phone = Stream(factor * acc, 20.0, "phone", channels=IMU, units=("g",) * 3)
    return Session("s", (phone, Stream(hr, 2.0, "band", channels=("hr",), run_start=[5.0])))


@pytest.fixture(scope="module")
def made():
    table = session_table(session_of(), HOP, raw=True)
    layout = fit_layout([table])
    return layout, model_inputs(table, layout)


def rng(seed=0):
    return np.random.default_rng(seed)


def columns_of(layout, end, stream="phone"):
    k = layout.streams.index(stream)
    before = sum(len(c) for c in layout.channels[:k])
    return [before + i for i, c in enumerate(layout.channels[k]) if c.endswith(end)]


def test_the_table_of_names_is_the_plan_s():
    assert {*augment.EFFECTS, "time-warp"} == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", [n for n in augment.EFFECTS if n != "noise"])  # of sound: test_noise.py
def test_pure_and_reproducible_and_presence_only_falls(made, name):
    layout, inputs = made
    before, effect = inputs.copy(), augment.EFFECTS[name]
    first, again = effect(inputs, layout, rng(3)), effect(inputs, layout, rng(3))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(inputs, before)
    assert first.shape == inputs.shape and first.dtype == np.float32 and np.isfinite(first).all()
    assert any((effect(inputs, layout, rng(s)) != inputs).any() for s in range(40))
    assert set(np.unique(first[:, -2:])) <= {0.0, 1.0} and (first[:, -2:] <= inputs[:, -2:]).all()
    if name not in ("drop-streams", "drop-channels"):
        absent = inputs[:, layout.streams.index("band") - 2] == 0
        assert not first[absent][:, columns_of(layout, "mean", "band")].any()


def test_nothing_named_changes_nothing(made):
    layout, inputs = made
    assert augment.augmented(inputs, layout, rng(), TrainingPlan(augment=())) is inputs
    assert (augment.augmented(inputs, layout, rng(), TrainingPlan(augment=("jitter",))) != inputs).any()


def test_a_scaled_channel_is_the_scaled_signal(made, monkeypatch):
    layout, inputs = made
    factor = 1.25
    monkeypatch.setattr(augment, "_SCALE", np.log(factor))
    fixed = rng()
    fixed = type("One", (), {"normal": staticmethod(lambda mean, sd: sd)})()
    found = augment.scaled(inputs, layout, fixed)
    wide = dataclasses.replace(layout, units=())  # else the unit would be taken out again
    wanted = model_inputs(session_table(session_of(factor), HOP, layout), wide)
    own = columns_of(layout, "")
    inside = (np.abs(inputs[:, own]) < 6) & (np.abs(wanted[:, own]) < 6)  # clipping forgets
    assert inside.mean() > 0.95
    np.testing.assert_allclose(found[:, own][inside], wanted[:, own][inside], atol=1e-3)


def test_a_turned_sensor_is_the_turned_signal_in_levels_and_raw_patches(made):
    layout, inputs = made
    found = augment.rotated(inputs, layout, rng(1))
    turns = rng(1)
    for device in layout.sources.devices:
        turn = augment.random_rotation(turns, 0.5)
        if device.kind == "acceleration":
            break
    turned = augment.turned_session(session_of(), turn)
    wanted = model_inputs(session_table(turned, HOP, layout), layout)
    axes = [
        c for a in IMU for k in ("mean", "slope", "raw00", "raw07") for c in columns_of(layout, f"{a}.{k}")
    ]
    inside = (np.abs(inputs[:, axes]) < 6) & (np.abs(wanted[:, axes]) < 6)
    np.testing.assert_allclose(found[:, axes][inside], wanted[:, axes][inside], atol=2e-3)
    np.testing.assert_allclose(
        np.linalg.norm(turned.streams[0].values, axis=1),
        np.linalg.norm(session_of().streams[0].values, axis=1),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(turned.streams[1].values, session_of().streams[1].values)


def test_rotations_are_rotations():
    for seed in range(20):
        turn = augment.random_rotation(rng(seed))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1.0)
    angle = np.arccos((np.trace(augment.random_rotation(rng(1), 0.1)) - 1) / 2)
    assert 0 < angle <= 0.1


def test_jitter_has_its_size(made):
    layout, inputs = made
    moved = (augment.jittered(inputs, layout, rng()) - inputs)[:, columns_of(layout, "mean")]
    assert moved.std() == pytest.approx(0.1, rel=0.15)


def test_dropped_channels_are_as_if_absent(made):
    layout, inputs = made
    seen = set()
    half = len(layout.shift)
    for seed in range(60):
        found = augment.dropped_channels(inputs, layout, rng(seed))
        for device, columns in device_columns(layout):
            index = np.array([c for c, _ in columns])
            both = np.concatenate([index, index + half])
            gone = not found[:, both].any()
            seen.add((device.kind, gone))
            if not gone:
                np.testing.assert_array_equal(found[:, both], inputs[:, both])
    assert len(seen) == 4


def test_a_dropped_stream_is_marked_absent_and_one_stays(made):
    layout, inputs = made
    lost = 0
    for seed in range(40):
        found = augment.dropped_streams(inputs, layout, rng(seed))
        for k in range(2):
            own = np.append(columns_of(layout, "", layout.streams[k]), inputs.shape[1] - 2 + k)
            assert (found[:, own] == inputs[:, own]).all() or not found[:, own].any()
        assert found[:, -2:].any()
        lost += not found[:, -2:].any(axis=0).all()
    assert 1 < lost < 20
    alone = inputs.copy()
    alone[:, -2:] = [[0.0, 1.0]]
    for seed in range(20):
        assert augment.dropped_streams(alone, layout, rng(seed))[:, -1].all()


def test_dropped_bands_are_those_of_a_lower_rate(made):
    layout, inputs = made
    half, seen = len(layout.shift), {}
    for seed in range(200):
        found = augment.dropped_bands(inputs, layout, rng(seed))
        for stream, rate in (("phone", 20.0), ("band", 2.0)):
            for n_gone in range(4):
                names = bands_at(rate)
                index = [
                    c
                    for band in names[max(1, len(names) - n_gone) :]
                    for c in columns_of(layout, f".{band}", stream)
                ]
                own = columns_of(layout, "", stream)
                wanted = inputs.copy()
                wanted[:, index + [c + half for c in index]] = 0.0
                both = own + [c + half for c in own]
                if (found[:, both] == wanted[:, both]).all():
                    seen[stream, n_gone] = seen.get((stream, n_gone), 0) + 1
                    break
            else:
                raise AssertionError("other columns than the highest bands have changed")
    assert [seen["phone", n] for n in range(4)] == pytest.approx([150, 17, 17, 17], abs=14)
    assert seen["band", 1] == pytest.approx(50, abs=20) and ("band", 2) not in seen
    slow = Stream(session_of().streams[0].values[::2], 10.0, "phone", channels=IMU, units=("g",) * 3)
    of_slow = model_inputs(session_table(Session("s", (slow, session_of().streams[1])), HOP, layout), layout)
    lost = [c for c in columns_of(layout, "Hz") if not of_slow[:, c].any()]
    assert lost == sorted(
        c for band in bands_at(20.0)[len(bands_at(10.0)) :] for c in columns_of(layout, f".{band}")
    )


def test_masks_are_few_and_whole(made):
    layout, inputs = made
    found = augment.masked_times(np.ones_like(inputs), layout, rng())
    masked = (found[:, :-2] == 0).all(axis=1)
    assert (
        1 <= masked.sum() <= 0.05 * len(inputs) and (found[~masked] == 1).all() and (found[:, -2:] == 1).all()
    )


def test_bands_fall_together():
    sound = Stream(rng().normal(size=16000), 8000.0, "mic", modality="audio")
    layout = fit_layout([session_table(Session("s", (sound,)), 0.1)])
    ones = np.ones((20, layout.n_features), np.float32)
    found = np.stack([augment.masked_bands(ones, layout, rng(s))[0] for s in range(30)])
    mean, sd = found[:, :40], found[:, 40:80]
    np.testing.assert_array_equal(mean, sd)
    np.testing.assert_array_equal(found[:, :81], found[:, 81:162])
    assert found[:, 80].all() and found[:, -1].all()
    share = (mean == 0).mean(axis=1)
    assert 0.05 < share.mean() < 0.3 and share.max() <= 0.4


@pytest.mark.parametrize("n", [1, 2, 50, 700])
def test_a_warp_goes_forward_from_first_to_last(n):
    for seed in range(10):
        at = augment.time_warp(n, rng(seed))
        assert at[0] == 0 and at[-1] == n - 1 and (np.diff(at) >= 0).all()
        assert 0.6 * n - 2 <= len(at) <= 1.5 * n + 2
    if n == 700:
        paces = [np.bincount(augment.time_warp(n, rng(s)), minlength=n)[:100].sum() for s in range(10)]
        assert min(paces) < 95 and max(paces) > 105
