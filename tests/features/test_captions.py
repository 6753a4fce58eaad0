"""Captions of made-up signals whose physics is known; units, gaps and broken cells."""

import numpy as np
import pytest

from align.datatypes import Session, Stream
from align.errors import ParameterError
from align.features.captions import caption, caption_segments, describe
from align.features.cells import Cells, ramp, sample_ranges, session_cells, span_cells, window_mean
from align.features.motion import measure_motion
from align.features.phrases import SOMETHING, TABLE

RATE = 50.0
ACC, GYRO = ("acc_x", "acc_y", "acc_z"), ("gyro_x", "gyro_y", "gyro_z")


def body():
    """60 s at the waist: stand 0-10, walk 10-25, turn at 25-27, stand, sit down 33-35, sit to 45, lie down
    45-48, lie to 60. Acceleration in g, gyroscope in rad/s."""
    t = np.arange(0, 60, 1 / RATE)
    tilt = np.interp(t, [0, 33, 35, 45, 48, 60], np.radians([0, 0, 30, 30, 90, 90]))
    acc = np.column_stack([np.cos(tilt), np.zeros_like(t), np.sin(tilt)])
    walking = (t >= 10) & (t < 25)
    acc[:, 0] += walking * (0.35 * np.sin(2 * np.pi * 1.8 * t) + 0.1 * np.sin(2 * np.pi * 3.6 * t))
    moving = ((t >= 33) & (t < 35)) | ((t >= 45) & (t < 48))
    rng = np.random.default_rng(0)
    acc += rng.normal(0, 0.004, acc.shape) + moving[:, None] * rng.normal(0, 0.1, acc.shape)
    gyro = rng.normal(0, 0.01, acc.shape)
    gyro[:, 0] += 1.6 * ((t >= 25) & (t < 27))
    gyro[:, 1] += 0.5 * moving
    return np.hstack([acc, gyro])


def session(values, channels=ACC + GYRO, units=("",) * 6, name="imu", rate=RATE):
    return Session("s", (Stream(values, rate, name, channels=channels, units=units),))


TIMES = {
    (1.0, 9.0): "upright at rest",
    (12.0, 23.0): "rhythmic steps near 1.8 Hz",
    (25.2, 26.8): "turning about the vertical",
    (28.0, 32.0): "upright at rest",
    (33.5, 34.5): "from upright to leaning",
    (37.0, 43.0): "leaning at rest",
    (46.0, 47.0): "from leaning to lying",
    (50.0, 59.0): "lying at rest",
}


def test_a_body_in_words():
    said = caption_segments(session(body()), list(TIMES))
    for words, (span, expected) in zip(said, TIMES.items(), strict=True):
        assert expected in words.split("; "), (span, words)
    assert "no movement" in said[0] and "no movement" not in said[1]


def test_units_do_not_change_the_words():
    plain = caption_segments(session(body()), list(TIMES))
    scale = np.array([9.80665] * 3 + [180 / np.pi] * 3)
    units = ("m/s^2",) * 3 + ("deg/s",) * 3
    assert caption_segments(session(body() * scale, units=units), list(TIMES)) == plain
    assert caption_segments(session(body() * scale), list(TIMES)) == plain  # read off the numbers


def test_a_device_turned_in_its_pocket_says_the_same():
    """Posture is relative to the wearer's own walking, so the mounting of the device does not matter."""
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    turned = np.hstack([body()[:, :3] @ turn, body()[:, 3:] @ turn])
    assert caption_segments(session(turned), list(TIMES)) == caption_segments(session(body()), list(TIMES))


def test_a_wrist_says_nothing_about_posture():
    said = "; ".join(caption_segments(session(body(), name="left_wrist"), list(TIMES)))
    assert "at rest" not in said and "rhythmic steps near 1.8 Hz" in said


def thigh():
    """40 s in a trouser pocket: sit 0-10, stand up by 12, walk to 24, stand to 30, sit down by 32, sit on."""
    t = np.arange(0, 40, 1 / RATE)
    tilt = np.interp(t, [0, 10, 12, 30, 32, 40], np.radians([80, 80, 0, 0, 80, 80]))
    walking = (t >= 12) & (t < 24)
    stride = 2 * np.pi * 0.9
    tilt += walking * 0.35 * np.sin(stride * t)
    rng = np.random.default_rng(0)
    acc = np.column_stack([np.cos(tilt), np.zeros_like(t), np.sin(tilt)]) + rng.normal(0, 0.004, (t.size, 3))
    acc[:, 0] += walking * (0.35 * np.sin(2 * stride * t) + 0.3 * np.sin(4 * stride * t + 1))
    acc += ((abs(t - 11) < 1) | (abs(t - 31) < 1))[:, None] * rng.normal(0, 0.1, acc.shape)
    gyro = rng.normal(0, 0.01, acc.shape)
    gyro[:, 1] += np.gradient(tilt, 1 / RATE)
    return np.hstack([acc, gyro])


THIGH = {
    (2.0, 8.0): "leaning at rest",
    (10.5, 11.5): "from leaning to upright",
    (14.0, 22.0): "rhythmic steps near 1.8 Hz",
    (25.5, 29.0): "upright at rest",
    (30.5, 31.5): "from upright to leaning",
    (34.0, 39.0): "leaning at rest",
}


def test_a_device_that_swings_is_worn_on_a_thigh():
    said = caption_segments(session(thigh()), list(THIGH))
    for words, (span, expected) in zip(said, THIGH.items(), strict=True):
        assert expected in words.split("; "), (span, words)
    assert not any("lying" in words for words in said)


def test_gravity_that_was_taken_out_is_put_back_where_it_is_a_channel():
    values = thigh()
    tilt = np.linalg.norm(values[:, :3], axis=1, keepdims=True)
    gravity = values[:, :3] / tilt
    split = np.hstack([values[:, :3] - gravity, gravity, values[:, 3:]])
    names = [f"{kind}.{axis}" for kind in ("userAcceleration", "gravity", "rotationRate") for axis in "xyz"]
    whole = caption_segments(session(values), list(THIGH))
    assert caption_segments(session(split, names, ("",) * 9), list(THIGH)) == whole
    freed = "; ".join(caption_segments(session(split[:, :3], names[:3], ("g",) * 3), list(THIGH)))
    assert "upright" not in freed and "leaning" not in freed and "rhythmic steps" in freed
    weight = "; ".join(caption_segments(session(split[:, 3:6], names[3:6], ("g",) * 3), list(THIGH)))
    assert "orientation changes" in weight


def test_a_pocket_needs_no_gyroscope():
    named = Session("s", (Stream(thigh()[:, :3], RATE, "pocket", channels=ACC, units=("g",) * 3),))
    assert [m.worn for m in measure_motion(named.streams[0], session_cells(named, 0.25))] == ["thigh"]
    plain = session(body())
    assert [m.worn for m in measure_motion(plain.streams[0], session_cells(plain, 0.25))] == ["trunk"]


def test_without_walking_there_is_no_upright():
    still = body()[int(28 * RATE) :]
    assert "upright" not in caption(session(still), (0.0, 4.0))


def test_a_gyroscope_alone_still_turns():
    said = caption(session(body()[:, 3:], GYRO, ("rad/s",) * 3), (25.2, 26.8))
    assert said.startswith("turning about the vertical")


def sounds():
    """Seven stretches of 3 s with 2 s of near silence before each: voice, call, hum, noise, knock, clicks."""
    rate, rng = 16_000.0, np.random.default_rng(1)
    t = np.arange(0, 3, 1 / rate)
    syllables = np.clip(np.sin(2 * np.pi * 2.0 * t), 0, 1)
    harmonics = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    call = sum(np.sin(2 * np.pi * 700 * k * t) / k for k in range(1, 5))
    hum = sum(np.sin(2 * np.pi * 90 * k * t) / k**2 for k in range(1, 5))
    knock = np.exp(-np.clip(t - 1.5, 0, None) * 30) * (t >= 1.5) * rng.normal(size=t.size)
    clicks = ((t % 0.25) < 0.004) * rng.normal(size=t.size)
    parts = [
        0.2 * syllables * harmonics,
        0.2 * syllables * call,
        0.3 * hum,
        0.1 * rng.normal(size=t.size),
        0.5 * knock,
        0.5 * clicks,
    ]
    silence = np.zeros(int(2 * rate))
    track = np.concatenate([x for part in parts for x in (silence, part)])
    return Session("s", (Stream(track + rng.normal(0, 1e-4, track.size), rate, "mic", "audio"),))


def test_sounds_in_words():
    heard = describe(sounds(), 0.1)
    keys = ("voice", "cry", "hum", "noise", "burst", "clicks")
    columns = [heard.phrases.index(TABLE[key]) for key in keys]
    # the knock is short: only its own half second is looked at
    spans = [(2.3, 4.7), (7.3, 9.7), (12.3, 14.7), (17.3, 19.7), (23.4, 23.8), (27.3, 29.7)]
    table = heard.over(spans)[:, columns]
    assert [keys[i] for i in table.argmax(axis=1)] == list(keys)
    assert heard.over([(0.3, 1.7)])[0, heard.phrases.index(TABLE["quiet"])] > 0.9
    assert "voice-like near 140 Hz" in caption(sounds(), (2.3, 4.7))


def test_named_channels_relative_to_their_session():
    t = np.arange(600.0)
    pulse = 60 + 50 * ((t > 300) & (t < 400)) + np.random.default_rng(0).normal(0, 1, t.size)
    flow = np.interp(t, [0, 250, 350, 600], [1.0, 1.0, 9.0, 9.0])
    made = Session("s", (Stream(np.column_stack([pulse, flow]), 1.0, channels=("heart_rate", "gas_flow")),))
    assert "heart rate high" in caption(made, (310, 390))
    assert "gas flow rising" in caption(made, (270, 330)) and "gas flow rising" not in caption(
        made, (10, 200)
    )


def test_a_gap_is_nothing_recorded_and_missing_cells_are_skipped():
    values = body()
    values[int(3 * RATE) : int(4 * RATE), 0] = np.nan
    cut = int(30 * RATE)
    stream = Stream(
        values,
        RATE,
        "imu",
        channels=ACC + GYRO,
        run_index=np.array([0, cut]),
        run_start=np.array([0.0, 100.0]),
    )
    made = Session("s", (stream,))
    assert caption(made, (40.0, 90.0)) == "nothing recorded"
    assert "upright at rest" in caption(made, (1.0, 9.0))
    heard = describe(made)
    assert not heard.observed[heard.cells.centres > 30.0][:270].any()
    assert (
        np.isfinite(heard.strengths).all() and (heard.strengths >= 0).all() and (heard.strengths <= 1).all()
    )


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("modality", ["sensor", "audio"])
@pytest.mark.filterwarnings("error")
def test_T16_V02_V03_few_constant_or_missing_samples(n, modality):
    for value in (0.0, 1.0, np.nan):
        stream = Stream(np.full((n, 3), value), 10.0, modality=modality, channels=ACC)
        made = describe(Session("s", (stream,)))
        assert np.isfinite(made.strengths).all()
        assert isinstance(caption(Session("s", (stream,)), (0.0, n / 10)), str)


def test_something_is_never_said():
    made = describe(session(body()))
    assert SOMETHING in made.phrases
    assert all("something" not in words for words in caption_segments(session(body()), list(TIMES), made))
    with pytest.raises(ParameterError, match="hop"):
        describe(session(body()), 0.0)


def test_windows_stay_in_their_run_and_means_skip_missing_cells():
    stream = Stream(
        np.array([1.0, np.nan, 3.0, 50.0]), 1.0, run_index=np.array([0, 3]), run_start=np.array([0.0, 10.0])
    )
    cells = session_cells(Session("s", (stream,)), 1.0)
    ranges = sample_ranges(stream, cells, 4.0)
    assert ranges[[0, 2, 5, 10]].tolist() == [[0, 3], [1, 3], [0, 0], [3, 4]]
    mean = window_mean(stream.values, ranges)[:, 0]
    assert mean[0] == 2.0 and mean[2] == 3.0 and np.isnan(mean[5]) and mean[10] == 50.0


def test_cells_of_spans():
    cells = Cells(first=4, n=10, hop=0.5)  # 2.0 s to 7.0 s
    assert span_cells(cells, (2.0, 3.0)) == (0, 2)
    assert span_cells(cells, (3.3, 3.4)) == (2, 3)
    assert span_cells(cells, (0.0, 99.0)) == (0, 10)
    assert ramp([np.nan, 5.0], 1.0, 2.0).tolist() == [0.0, 1.0]
    assert ramp(0.25, 1.0, 0.0) == 0.75
