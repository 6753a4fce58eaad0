"""align/coordination/inputs/bandwidth.py: bands that a filter has emptied are read as missing, and others are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from align.coordination.inputs.bandwidth import ANY_FALL, SENSOR_BANDS, band_falls, is_lost
from align.coordination.inputs.channels import statistic_of
from align.coordination.inputs.findings import layout_findings
from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.datatypes import Session, Stream

HOP, RATE, SECONDS = 0.25, 50.0, 60.0
AXES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def worn(seed=0, *, still=0.3, cut=None, factor=1.0):
    """Somebody who walks, and for a share of the time sits: harmonics of two steps a second, and a device's noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(SECONDS * RATE)) / RATE
    steps = sum(
        rng.uniform(0.8, 1.25, 6) / k**1.5 * np.sin(2 * np.pi * 1.8 * k * t[:, None] + rng.uniform(0, 6, 6))
        for k in range(1, 12)
    )
    values = steps * (t > still * SECONDS)[:, None] + rng.normal(0, 0.05, (len(t), 6)) + [0, 0, 9.8, 0, 0, 0]
    if cut is not None:
        values = signal.sosfiltfilt(signal.butter(2, cut, fs=RATE, output="sos"), values, axis=0)
    return Session("s", (Stream(factor * values, RATE, "wrist", channels=AXES),))


def table_of(session, layout=None):
    return session_table(session, HOP, layout)


@pytest.fixture(scope="module")
def layout():
    return fit_layout([table_of(worn(seed)) for seed in range(4)])


def columns_of(layout, bands):
    names = [c for channels in layout.channels for c in channels]
    found = np.array([i for i, c in enumerate(names) if statistic_of(c) in bands])
    return np.concatenate([found, found + len(names)])


def test_falls_are_the_quantile_of_each_axis_then_their_mean():
    table = table_of(worn())
    layout = fit_layout([table])
    acc, gyro = layout.sources.devices
    names, block = list(layout.channels[0]), table.blocks[0].astype(float)
    for device, axes in ((acc, AXES[:3]), (gyro, AXES[3:])):
        found = band_falls(device, table.blocks[0])
        assert np.isnan(found[: SENSOR_BANDS.index("1.2-2Hz") + 1]).all()
        for k in range(SENSOR_BANDS.index("2-3.2Hz"), len(SENSOR_BANDS)):
            own = []
            for axis in axes:
                fall = (
                    block[:, names.index(f"{axis}.{SENSOR_BANDS[k]}")]
                    - block[:, names.index(f"{axis}.1.2-2Hz")]
                )
                own.append(np.quantile(fall, 0.1))
            assert found[k] == pytest.approx(np.mean(own), abs=1e-5)


def test_the_layout_keeps_the_steepest_of_training(layout):
    tables = [table_of(worn(seed)) for seed in range(4)]
    for device, steepest in zip(layout.sources.devices, layout.falls, strict=True):
        own = np.min([band_falls(device, t.blocks[0]) for t in tables], axis=0)
        np.testing.assert_allclose(steepest[3:], own[3:], rtol=1e-6)
        assert (steepest[:3] == ANY_FALL).all()


@pytest.mark.parametrize(("cut", "lost"), [(10.0, SENSOR_BANDS[7:]), (4.0, SENSOR_BANDS[5:])])
def test_bands_that_a_filter_emptied_are_missing_and_said(layout, cut, lost):
    session = worn(7, cut=cut)
    inputs = model_inputs(table_of(session, layout), layout)
    assert not inputs[:, columns_of(layout, lost)].any()
    kept = [band for band in SENSOR_BANDS if band not in lost]
    assert inputs[:, columns_of(layout, kept)].any(axis=0).all()
    found = layout_findings(session, layout)
    assert [f.code for f in found] == ["W-MODEL-BANDS"] * 2
    assert f"above {lost[0].split('-')[0]} Hz" in found[0].message and "wrist/acc_x" in found[0].message


@pytest.mark.parametrize("still", [0.0, 0.3, 0.9, 1.0])
def test_who_is_still_or_walks_all_day_has_not_lost_a_band(layout, still):
    session = worn(8, still=still)
    assert layout_findings(session, layout) == ()
    inputs = model_inputs(table_of(session, layout), layout)
    assert inputs[:, columns_of(layout, SENSOR_BANDS)].any(axis=0).all()


def test_a_model_that_saw_such_a_device_reads_all_of_it():
    layout = fit_layout([table_of(worn(0)), table_of(worn(1, cut=10.0))])
    session = worn(7, cut=10.0)
    assert layout_findings(session, layout) == ()
    assert (
        model_inputs(table_of(session, layout), layout)[:, columns_of(layout, SENSOR_BANDS)].any(axis=0).all()
    )


def test_a_model_that_knows_no_falls_reads_all(layout):
    older = dataclasses.replace(layout, falls=np.zeros((0, len(SENSOR_BANDS)), np.float32))
    session = worn(7, cut=4.0)
    assert (older.falls == ANY_FALL).all() and layout_findings(session, older) == ()
    assert model_inputs(table_of(session, older), older)[:, columns_of(older, SENSOR_BANDS)].any(axis=0).all()


def test_a_few_frames_say_nothing(layout):
    session = worn(7, cut=4.0)
    short = dataclasses.replace(session.streams[0], values=session.streams[0].values[-200:])
    table = table_of(Session("s", (short,)), layout)
    assert table.n_frames < 20
    assert all(np.isnan(band_falls(d, table.blocks[0])).all() for d in layout.sources.devices)


@given(st.floats(0.01, 100.0), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_falls_do_not_depend_on_the_unit(factor, seed):
    one, other = table_of(worn(seed)), table_of(worn(seed, factor=factor))
    for device in fit_layout([one]).sources.devices:
        np.testing.assert_allclose(
            band_falls(device, other.blocks[0]), band_falls(device, one.blocks[0]), atol=2e-3
        )


@given(st.lists(st.floats(-20.0, 0.0), min_size=8, max_size=8), st.floats(-10.0, 0.0))
def test_above_a_lost_band_all_are_lost(falls, least):
    lost = is_lost(np.array(falls), np.full(8, least))
    assert (np.diff(lost.astype(int)) >= 0).all()
    assert lost.any() == (min(falls) < least - 1.5)
