"""align/coordination/inputs/layout.py: which columns a model reads, on which scale, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.findings import layout_findings
from align.coordination.inputs.layout import Layout, fit_layout, model_inputs, session_table
from align.datatypes import Session, Stream
from align.errors import InputError, ParameterError
from align.features.scaling import robust_location_scale

HOP = 0.5


IMU = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def stream_of(name, *, seconds=20.0, rate=10.0, n_channels=2, start=0.0, seed=0, names=()):
    values = np.random.default_rng(seed).normal(size=(round(seconds * rate), len(names) or n_channels))
    return Stream(values, rate, name, channels=names, run_start=np.array([start]))


def session_of(*streams):
    return Session("s", streams)


def table_of(*streams, layout=None):
    return session_table(session_of(*streams), HOP, layout)


def test_the_layout_is_the_union_of_the_streams_in_order_of_name():
    layout = fit_layout([table_of(stream_of("wrist")), table_of(stream_of("ankle", n_channels=1))])
    assert layout.streams == ("ankle", "wrist") and layout.hop == HOP
    assert layout.shift.shape == layout.scale.shape == (sum(len(c) for c in layout.channels),)
    assert layout.n_features == 2 * layout.shift.size + 2


def test_the_scale_is_robust_over_all_sessions():
    tables = [table_of(stream_of("wrist", seed=seed)) for seed in (1, 2)]
    layout = fit_layout(tables)
    shift, scale = robust_location_scale(np.concatenate([t.blocks[0] for t in tables]))
    np.testing.assert_allclose(layout.shift, shift, rtol=1e-6)
    np.testing.assert_allclose(layout.scale, scale, rtol=1e-6)


def test_inputs_are_both_scales_and_a_flag_a_stream():
    table = table_of(stream_of("wrist"), stream_of("ankle", seconds=10.0, start=5.0))
    layout = fit_layout([table])
    inputs = model_inputs(table, layout)
    assert inputs.shape == (40, layout.n_features) and inputs.dtype == np.float32
    assert np.isfinite(inputs).all() and np.abs(inputs).max() <= 6.0
    ankle, wrist = inputs[:, -2], inputs[:, -1]
    assert ankle.tolist() == [0.0] * 10 + [1.0] * 20 + [0.0] * 10 and (wrist == 1).all()
    absent = inputs[ankle == 0]
    width = len(layout.channels[0])
    n = layout.shift.size
    assert not absent[:, :width].any() and not absent[:, n : n + width].any()  # missing is the median: 0
    block = table.blocks[table.names.index("wrist")]
    expected = np.clip((block - layout.shift[width:]) / layout.scale[width:], -6, 6)
    np.testing.assert_allclose(inputs[:, width:n], expected, rtol=1e-5)


def test_a_stream_that_a_session_lacks_is_zeros_marked_absent():
    layout = fit_layout([table_of(stream_of("wrist"), stream_of("ankle"))])
    inputs = model_inputs(table_of(stream_of("wrist"), layout=layout), layout)
    assert inputs[:, -2:].tolist() == [[0.0, 1.0]] * 40
    with pytest.raises(InputError, match="E-MODEL-STREAMS"):
        table_of(stream_of("hip"), stream_of("chest"), layout=layout)


def test_streams_that_the_model_does_not_know_are_left_out():
    layout = fit_layout([table_of(stream_of("wrist"))])
    table = table_of(stream_of("wrist"), stream_of("hip", start=-100.0), layout=layout)
    assert table.names == ("wrist",) and table.first == 0


def test_one_stream_on_both_sides_needs_no_common_name():
    layout = fit_layout([table_of(stream_of("wrist"))])
    assert table_of(stream_of("recording17"), layout=layout).names == ("recording17",)
    np.testing.assert_array_equal(
        model_inputs(table_of(stream_of("recording17")), layout),
        model_inputs(table_of(stream_of("wrist")), layout),
    )


def test_M05_a_rate_that_allows_no_band_of_the_model_is_refused():
    layout = fit_layout([table_of(stream_of("wrist"))])
    with pytest.raises(InputError, match="E-MODEL-CHANNELS") as caught:
        table_of(stream_of("wrist", rate=1.0), layout=layout)
    assert caught.value.exit_code == 3 and "'wrist'" in str(caught.value)
    with pytest.raises(InputError, match="E-MODEL-CHANNELS"):
        model_inputs(table_of(stream_of("wrist", rate=1.0)), layout)


def test_M05_channels_that_are_alike_in_nothing_are_refused():
    layout = fit_layout([table_of(stream_of("wrist", names=("heart rate", "light")))])
    with pytest.raises(InputError, match="E-MODEL-CHANNELS"):
        table_of(stream_of("wrist", names=("acc_x", "gyro_x")), layout=layout)
    with pytest.raises(InputError, match="E-MODEL-STREAMS"):
        table_of(stream_of("hip", names=("acc_x", "a")), stream_of("arm", names=("b", "c")), layout=layout)


def test_what_the_model_does_not_know_is_left_unread_and_said():
    layout = fit_layout([table_of(stream_of("wrist"))])
    more = session_of(stream_of("wrist", n_channels=3))
    np.testing.assert_array_equal(
        model_inputs(session_table(more, HOP, layout), layout)[:, -1], np.ones(40, np.float32)
    )
    (found,) = layout_findings(more, layout)
    assert (found.code, found.count) == ("W-MODEL-CHANNELS", 1) and "'wrist/2'" in found.message
    assert layout_findings(session_of(stream_of("wrist")), layout) == ()


def test_sessions_of_one_stream_name_may_differ_in_channels_and_rates():
    fast, slow = stream_of("wrist", names=IMU, rate=50.0), stream_of("wrist", names=("AccX", "hr"), rate=10.0)
    tables = [table_of(fast), table_of(slow)]
    layout = fit_layout(tables)
    (columns,) = layout.channels
    assert set(tables[0].channels[0]) < set(columns) and "hr.mean" in columns and "AccX.mean" not in columns
    inputs = model_inputs(tables[1], layout)
    fed = inputs[:, : len(columns)].any(axis=0)
    assert fed[columns.index("acc_x.sd")] and fed[columns.index("hr.sd")]
    assert not fed[columns.index("acc_y.sd")] and not fed[columns.index("acc_x.8-14Hz")]


def test_V03_a_flat_or_missing_channel_gives_finite_inputs():
    values = np.column_stack(
        [np.full(200, 9.81), np.full(200, np.nan), np.random.default_rng(0).normal(size=200)]
    )
    table = table_of(Stream(values, 10.0, "wrist"))
    inputs = model_inputs(table, fit_layout([table]))
    assert np.isfinite(inputs).all() and inputs.any()


def test_the_noise_of_a_still_session_is_not_blown_up():
    layout = fit_layout([table_of(stream_of("wrist"))])
    still = stream_of("wrist", seed=5)
    still = dataclasses.replace(still, values=1e-4 * still.values)
    table = table_of(still, layout=layout)
    mean = table.channels[0].index("0.mean")
    assert np.abs(model_inputs(table, layout)[:, layout.shift.size + mean]).max() < 0.05


def test_V09_a_channel_a_million_times_larger_counts_no_more():
    small, large = stream_of("wrist"), stream_of("wrist")
    large = dataclasses.replace(large, values=large.values * np.array([1.0, 1e6]))
    inputs = [model_inputs(t, fit_layout([t])) for t in (table_of(small), table_of(large))]
    np.testing.assert_allclose(inputs[0], inputs[1], atol=1e-2)


def sound_of(noise, *, name="mic", seed=0):
    """8 s with noise of that share of a burst from 4 to 5 s."""
    rng = np.random.default_rng(seed)
    values = noise * rng.normal(0, 0.1, 16000)
    values[8000:10000] += rng.normal(0, 0.1, 2000)
    return Stream(values, 2000.0, name, modality="audio")


def test_the_floor_of_a_sound_is_its_noisiest_recording():
    tables = [table_of(sound_of(noise), stream_of("wrist", seconds=8.0)) for noise in (0.003, 0.01)]
    layout = fit_layout(tables)
    assert layout.streams == ("mic", "wrist")
    assert layout.floors == pytest.approx((-40.0, 0.0), abs=2.0) and layout.floors[1] == 0.0
    for table, noise in zip(tables, (0.003, 0.01), strict=True):  # what was learned from is read as it was
        again = table_of(sound_of(noise), stream_of("wrist", seconds=8.0), layout=layout)
        for block, same in zip(table.blocks, again.blocks, strict=True):
            np.testing.assert_array_equal(block, same)


@pytest.mark.parametrize("name", ["mic", "another"])  # alone a stream needs no name
def test_noise_louder_than_in_training_is_brought_down_and_said(name):
    layout = fit_layout([table_of(sound_of(0.003))])
    noisy = session_of(sound_of(0.1, name=name, seed=1))
    before, after = session_table(noisy, HOP), session_table(noisy, HOP, layout)
    quiet = [float(np.nanquantile(table.blocks[0][:, -1], 0.05)) for table in (before, after)]
    assert quiet == pytest.approx([-20.0, layout.floors[0]], abs=4.0)
    (found,) = layout_findings(noisy, layout)
    assert found.code == "W-MODEL-NOISE" and f"{name!r} is 20 dB below" in found.message
    assert "it was taken down to that" in found.message
    assert f"in training it was {-layout.floors[0]:.0f} dB" in found.message
    alike = session_of(sound_of(0.004, seed=1))
    assert layout_findings(alike, layout) == ()


def test_noise_that_is_all_there_is_to_hear_is_left_and_said():
    layout = fit_layout([table_of(sound_of(0.003))])
    rain = session_of(sound_of(3.0, seed=1))
    plain, read = session_table(rain, HOP), session_table(rain, HOP, layout)
    np.testing.assert_array_equal(plain.blocks[0], read.blocks[0])
    (found,) = layout_findings(rain, layout)
    assert found.code == "W-MODEL-NOISE" and found.message.endswith("left, as it may be what was recorded")


def test_a_model_that_knows_no_floor_reads_sound_as_it_is():
    layout = dataclasses.replace(fit_layout([table_of(sound_of(0.003))]), floors=())
    noisy = session_of(sound_of(0.1, seed=1))
    plain, read = session_table(noisy, HOP), session_table(noisy, HOP, layout)
    np.testing.assert_array_equal(plain.blocks[0], read.blocks[0])
    assert layout.floors == (0.0,) and layout_findings(noisy, layout) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"streams": ()},
        {"streams": ("a", "b")},
        {"shift": np.zeros(1, np.float32)},
        {"scale": np.array([1.0, 0.0], np.float32)},
        {"units": (("g",),)},
        {"floors": (-40.0, -40.0)},
        {"floors": (1.0,)},
        {"floors": (np.nan,)},
        {"falls": np.zeros((3, 8), np.float32)},
        {"falls": np.full((2, 8), np.nan, np.float32)},
        {"shift": np.array([1.0, np.nan], np.float32)},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    fits = {"hop": 1.0, "streams": ("a",), "channels": (("x", "y"),)}
    fits |= {"shift": np.zeros(2, np.float32), "scale": np.ones(2, np.float32)}
    assert Layout(**fits).n_features == 5
    with pytest.raises(ParameterError):
        Layout(**(fits | change))
