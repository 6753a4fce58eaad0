"""align/coordination/layout.py: which columns a model reads, on which scale, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.layout import Layout, fit_layout, model_inputs, session_table
from align.datatypes import Session, Stream
from align.errors import InputError, ParameterError
from align.features.scaling import robust_location_scale

HOP = 0.5


def stream_of(name, *, seconds=20.0, rate=10.0, n_channels=2, start=0.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(round(seconds * rate), n_channels))
    return Stream(values, rate, name, run_start=np.array([start]))


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
    assert table_of(stream_of("recording17"), layout=layout).names == ("wrist",)


@pytest.mark.parametrize("other", [{"n_channels": 3}, {"rate": 1.0}])
def test_M05_other_channels_or_rates_are_refused(other):
    layout = fit_layout([table_of(stream_of("wrist"))])
    with pytest.raises(InputError, match="E-MODEL-CHANNELS") as caught:
        table_of(stream_of("wrist", **other), layout=layout)
    assert caught.value.exit_code == 3 and "'wrist'" in str(caught.value)
    with pytest.raises(InputError, match="E-MODEL-CHANNELS"):
        fit_layout([table_of(stream_of("wrist")), table_of(stream_of("wrist", **other))])


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


@pytest.mark.parametrize(
    "change",
    [
        {"streams": ()},
        {"streams": ("a", "b")},
        {"shift": np.zeros(1, np.float32)},
        {"scale": np.array([1.0, 0.0], np.float32)},
        {"shift": np.array([1.0, np.nan], np.float32)},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    fits = {"hop": 1.0, "streams": ("a",), "channels": (("x", "y"),)}
    fits |= {"shift": np.zeros(2, np.float32), "scale": np.ones(2, np.float32)}
    assert Layout(**fits).n_features == 5
    with pytest.raises(ParameterError):
        Layout(**(fits | change))
