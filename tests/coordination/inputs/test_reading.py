"""inputs/channels.py and reading.py: any channels, in any order, under other names and in other units."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.inputs.channels import devices, expected_channels, paired, statistic_of, unit_factor
from align.coordination.inputs.findings import layout_findings
from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.reading import inferred_units
from align.datatypes import Session, Stream
from align.features.frames import featurize, frame_table
from tests.coordination.sessions import made_session

HOP = 0.5
NAMES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z", "hr")


def values_of(seed=0, n=600):
    rng = np.random.default_rng(seed)
    move = rng.normal(size=(n, 6)) * np.array([0.2, 0.2, 0.2, 1.0, 1.0, 1.0]) + np.array([1.0, 0, 0, 0, 0, 0])
    return np.column_stack([move, 70 + rng.normal(size=n)])


def stream_of(names=NAMES, name="phone", values=None, units=(), rate=20.0):
    return Stream(values_of() if values is None else values, rate, name, channels=names, units=units)


def inputs_of(layout, *streams):
    return model_inputs(session_table(Session("s", streams), HOP, layout), layout)


@pytest.fixture(scope="module")
def layout():
    sessions = [Session("s", (stream_of(values=values_of(seed)),)) for seed in (0, 1)]
    return fit_layout([session_table(s, HOP) for s in sessions])


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(7)), st.booleans())
def test_the_order_of_channels_and_streams_does_not_matter(layout, order, swap):
    wanted = inputs_of(layout, stream_of())
    values = values_of()[:, list(order)]
    np.testing.assert_array_equal(
        inputs_of(layout, stream_of([NAMES[i] for i in order], values=values)), wanted
    )
    parts = [stream_of(NAMES[:3], "a", values_of()[:, :3]), stream_of(NAMES[3:], "b", values_of()[:, 3:])]
    np.testing.assert_array_equal(inputs_of(layout, *(parts[::-1] if swap else parts)), wanted)


@pytest.mark.parametrize(
    "names",
    [
        ("AccX", "AccY", "AccZ", "GyrX", "GyrY", "GyrZ", "heart rate"),
        ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro", "bpm"),
        (
            "waist_accelerometer_x",
            "waist_accelerometer_y",
            "waist_accelerometer_z",
            "gx",
            "gy",
            "gz",
            "pulse",
        ),
    ],
)
def test_other_names_for_the_same_channels(layout, names):
    np.testing.assert_array_equal(
        inputs_of(layout, stream_of(names, "device")), inputs_of(layout, stream_of())
    )
    (found,) = layout_findings(Session("s", (stream_of(names, "device"),)), layout)
    assert found.code == "W-MODEL-CHANNELS" and "read by likeness" in found.message


def test_other_units_are_converted_as_written_or_as_gravity_tells(layout):
    factor = np.array([9.80665] * 3 + [180 / np.pi] * 3 + [1.0])
    other = values_of() * factor
    names = ("AccX", "AccY", "AccZ", "GyrX", "GyrY", "GyrZ", "HR")
    wanted = inputs_of(layout, stream_of())
    told = stream_of(names, "watch", other, ("m/s2",) * 3 + ("deg/s",) * 3 + ("bpm",))
    np.testing.assert_allclose(inputs_of(layout, told), wanted, atol=2e-4)
    np.testing.assert_allclose(inputs_of(layout, stream_of(names, "watch", other)), wanted, atol=2e-4)
    under_its_name = stream_of(NAMES, "phone", other, ("m/s2",) * 3 + ("deg/s",) * 3 + ("",))
    np.testing.assert_allclose(inputs_of(layout, under_its_name), wanted, atol=2e-4)


def test_an_absent_channel_is_absent_and_leaves_the_others_alone(layout):
    whole = inputs_of(layout, stream_of())
    part = inputs_of(layout, stream_of(NAMES[:6], values=values_of()[:, :6]))
    (columns,) = layout.channels
    gone = np.array([c.startswith("hr") for c in columns])
    gone = np.concatenate([gone, gone, [False]])
    assert not part[:, gone].any() and whole[:, gone].any()
    np.testing.assert_array_equal(part[:, ~gone], whole[:, ~gone])


def test_a_lower_rate_lacks_the_upper_bands_alone(layout):
    (columns,) = layout.channels
    slow = inputs_of(layout, stream_of(values=values_of(n=120), rate=4.0))
    fed = slow[:, : len(columns)].any(axis=0)
    assert fed[columns.index("acc_x.0.6-1.2Hz")] and not fed[columns.index("acc_x.5-8Hz")]
    fast = inputs_of(layout, stream_of(values=values_of(n=3000), rate=100.0))
    assert fast[:, : len(columns)].any(axis=0).all()


def test_a_device_is_read_once_and_the_likest_first():
    model = [
        d for name in ("left wrist", "ankle") for d in devices(name, ("acc_x.mean", "acc_y.mean"), ("", ""))
    ]
    session = devices("wrist left", ("accX.mean", "accY.mean"), ("", ""))
    assert paired(model, session, alone=False) == [(0, 0)]
    both = [*devices("ankle right", ("ax.mean", "ay.mean"), ("", "")), *session]
    assert paired(model, both, alone=False) == [(0, 1), (1, 0)]


def test_unknown_kinds_meet_by_words_or_by_unit():
    model = devices("lab", ("gas flow.mean", "tidal volume.mean"), ("l/s", "l"))
    names = [d.slots[0].name for d in model]
    by_words = devices("rig", ("gas_flow_2.mean",), ("",))
    assert [names[i] for i, _ in paired(model, by_words, alone=False)] == ["gas flow"]
    by_unit = devices("rig", ("VT.mean",), ("l",))
    assert [names[i] for i, _ in paired(model, by_unit, alone=False)] == ["tidal volume"]
    assert paired(model, devices("rig", ("VT.mean",), ("",)), alone=False) == []
    assert paired(model, devices("rig", ("acc_x.mean",), ("",)), alone=False) == []


def test_two_of_a_kind_are_two_devices():
    found = devices("eeg", ("ecg lead 1.mean", "ecg lead 1 b.mean", "skin temp.mean"), ("mV", "mV", ""))
    assert len(found) == 3 and len({d.label for d in found}) == 3


def test_sound_is_one_device():
    sound = Stream(np.random.default_rng(0).normal(size=8000), 8000.0, "mic", modality="audio")
    (device,) = devices("mic", featurize(sound).channels, featurize(sound).units)
    assert device.kind == "sound" and len(device.slots) == 41
    (expected,) = devices("mic", expected_channels(sound), ("",))
    assert expected.kind == "sound"


@pytest.mark.parametrize(
    ("channel", "statistic"),
    [
        ("a.mean", "mean"),
        ("a.b.sd", "sd"),
        ("a.1.2-2Hz", "1.2-2Hz"),
        ("a", ""),
        ("x.raw03", "raw03"),
        ("mean", ""),
    ],
)
def test_statistics_of_columns(channel, statistic):
    assert statistic_of(channel) == statistic


def test_units_that_show():
    for scale, gyro, units in (
        (1.0, 1.0, ("g", "rad/s")),
        (9.8, 100.0, ("m/s2", "deg/s")),
        (0.1, 1.0, ("", "rad/s")),
    ):
        values = values_of() * np.array([scale] * 3 + [gyro] * 3 + [1.0])
        frames = featurize(stream_of(values=values), hop=HOP)
        found = inferred_units("phone", frames.channels, frames.units, frames.values)
        by_name = dict(zip(frames.channels, found, strict=True))
        assert (by_name["acc_y.sd"], by_name["gyro_*.mean"]) == units and by_name["hr.mean"] == ""
    assert unit_factor("acceleration", "mg", 1.0) == 1e-3


def test_the_training_layout_is_read_as_it_always_was(layout):
    """Bit for bit: the columns of the session itself, in its own order."""
    table = session_table(Session("s", (stream_of(),)), HOP, layout)
    inputs = model_inputs(table, layout)
    absolute = np.clip((table.blocks[0] - layout.shift) / layout.scale, -6, 6)
    np.testing.assert_array_equal(inputs[:, : len(layout.shift)], absolute)
    assert layout.units[0][0] == "g" and dataclasses.replace(layout, units=()).units[0][0] == ""


def test_a_model_reads_permuted_channels_and_says_what_it_lacks(trained):
    session = made_session(9)
    (stream,) = session.streams
    turned = dataclasses.replace(
        stream, values=stream.values[:, ::-1], channels=stream.channels[::-1], name="other"
    )
    wanted, found = (trained.evidence(dataclasses.replace(session, streams=(s,))) for s in (stream, turned))
    np.testing.assert_array_equal(found.log_odds, wanted.log_odds)
    assert trained.findings(session) == ()
    part = dataclasses.replace(stream, values=stream.values[:, :1], channels=("a",), units=())
    (said,) = trained.findings(dataclasses.replace(session, streams=(part,)))
    assert said.message == "the session lacks 'wrist/b'"
    assert np.isfinite(trained.evidence(dataclasses.replace(session, streams=(part,))).log_odds).all()


def test_sound_is_read_under_its_own_name_without_a_word():
    sound = Stream(values=np.zeros((4000, 1), np.float32), rate=8000.0, name="microphone", modality="audio")
    table = frame_table([sound], 0.1)
    named = Session("s", (sound,))
    assert layout_findings(named, fit_layout([table])) == ()
