"""What the report draws of a stream: few points, every extreme, no line over a gap."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from align.datatypes import Session, Stream
from pipelines.drawing import holes, stream_drawing, trace


def test_gap_breaks_the_line_and_is_a_hole() -> None:
    wrist = Stream(
        np.sin(np.arange(13_500)),
        25.0,
        "wrist",
        run_index=np.array([0, 5000]),
        run_start=np.array([0, 260.0]),
    )
    beats = np.full(580, 60.0)
    beats[100:110] = np.nan
    heart = Stream(beats, 1.0, "heart", run_start=np.array([20.0]))
    session = Session("s", (wrist, heart))
    t, y = trace(wrist, 0, points=400)
    (broken,) = np.flatnonzero(np.isnan(y))
    assert t[broken - 1] < 200 and t[broken + 1] == 260.0
    assert holes(wrist, session).tolist() == [[200.0, 260.0]]
    assert holes(heart, session).tolist() == [[0.0, 20.0]]
    _, drawn = trace(heart, 0)
    assert np.isnan(drawn).sum() == 1, "ten missing seconds break the line of one value a second"


def test_thinning_keeps_extremes_order_and_size() -> None:
    values = np.zeros(100_000)
    values[[41_234, 77_777]] = 5, -7
    t, y = trace(Stream(values, 100.0), 0, points=1_000)
    assert (y.max(), y.min()) == (5, -7)
    assert (np.diff(t) > 0).all()
    assert len(t) <= 1_001


def test_missing_cells_between_regular_values_do_not_break_the_line() -> None:
    values = np.full(500, np.nan)
    values[::50] = np.arange(10)  # one value a second in a table of 50 rows a second
    t, y = trace(Stream(values, 50.0), 0)
    assert t.tolist() == list(range(10))
    assert y.tolist() == list(range(10))


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e300, 8e307])
def test_any_scale_and_constant_values_can_be_drawn(scale: float) -> None:
    values = np.column_stack([np.linspace(-scale, scale, 50), np.full(50, scale), np.full(50, np.nan)])
    stream = Stream(values, 10.0, units=("a", "b", "c"))
    lanes = stream_drawing(stream, Session("s", (stream,)))["lanes"]
    assert all(lane["low"] < lane["high"] for lane in lanes)
    assert json.dumps(lanes, allow_nan=False)
    assert lanes[2]["traces"][0]["y"] == []


def test_channels_share_a_lane_by_unit_else_by_name_and_the_rest_is_counted() -> None:
    names = ("acc_x", "acc_y", "gyro_x", "gyro_y", "heart")
    stream = Stream(np.zeros((9, 5)), 10.0, channels=names)
    lanes = stream_drawing(stream, Session("s", (stream,)))["lanes"]
    assert [[t["name"] for t in lane["traces"]] for lane in lanes] == [
        ["acc_x", "acc_y"],
        ["gyro_x", "gyro_y"],
        ["heart"],
    ]
    wide = Stream(np.zeros((9, 1_000)), 10.0)
    drawing = stream_drawing(wide, Session("s", (wide,)))
    assert drawing["omitted"] + sum(len(lane["traces"]) for lane in drawing["lanes"]) == 1_000
    assert drawing["omitted"] == 1_000 - 128


def test_sound_envelope_and_spectrogram_show_where_it_is_loud() -> None:
    sound = 0.01 * np.random.default_rng(4).standard_normal(600 * 2000)
    for start in (100.0, 301.0, 303.5, 480.0):
        burst = slice(int(start * 2000), int(start * 2000) + 1600)
        sound[burst] += np.hanning(1600) * np.sin(2 * np.pi * (200 + start) * np.arange(1600) / 2000)
    stream = Stream(sound, 2000.0, "microphone", "audio")
    (lane,) = stream_drawing(stream, Session("s", (stream,)))["lanes"]
    (run,) = lane["runs"]
    high = np.array(run["high"])
    loud = run["start"] + run["step"] * np.flatnonzero(high > 500)
    apart = np.abs(loud[:, None] - [100.4, 301.4, 303.9, 480.4])
    assert apart.min(axis=1).max() < 0.4, "nothing is loud elsewhere"
    assert apart.min(axis=0).max() < 0.2, "all four are loud"
    assert high.max() <= 1_000
    (picture,) = lane["spectrogram"]
    levels = np.frombuffer(base64.b64decode(picture["bytes"]), np.uint8)
    levels = levels.reshape(picture["columns"], picture["bands"])
    column = int(480.4 / picture["step"])
    pitch = np.geomspace(60, 1000, picture["bands"] + 1)[levels[column - 1 : column + 2].max(axis=0).argmax()]
    assert 600 < pitch < 750, "a tone of 680 Hz"


def test_sound_with_a_gap_and_missing_samples_is_drawn_per_run() -> None:
    sound = np.ones(3_000)
    sound[200:400] = np.nan
    stream = Stream(
        sound, 1000.0, "m", "audio", run_index=np.array([0, 1000]), run_start=np.array([0.0, 5.0])
    )
    drawing = stream_drawing(stream, Session("s", (stream,)))
    (lane,) = drawing["lanes"]
    assert [(run["start"], len(run["low"])) for run in lane["runs"]] == [(0.0, 1000), (5.0, 2000)]
    assert lane["runs"][0]["high"][199:401] == [1000, *[None] * 200, 1000]
    assert [part["start"] for part in lane["spectrogram"]] == [0.0, 5.0]
    assert drawing["holes"] == [[1.0, 5.0]]


def test_only_the_longest_of_many_holes_are_kept() -> None:
    starts = np.arange(3_000) * 10.0 + np.where(np.arange(3_000) % 2, 1.0, 0.0)  # pauses of 10 and 8 s
    stream = Stream(np.zeros(3_000), 1.0, run_index=np.arange(3_000), run_start=starts)
    found = holes(stream, Session("s", (stream,)))
    assert len(found) == 2_000
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.round(found[:, 1] - found[:, 0]) == 10).sum() == 1_500
