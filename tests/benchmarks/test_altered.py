"""benchmarks/altered.py: what is done to test sessions is what the options say."""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import pytest

from align.datatypes import Session, Stream
from benchmarks.altered import add_options, altered, dropped, hissing, lacking, rustling, slower, smoothed

RATE = 50.0


def swinging(*hertz, gap=False):
    """A session of a wrist that swings at these frequencies, one a channel, and a sound."""
    t = np.arange(round(40 * RATE)) / RATE
    values = np.stack([np.sin(2 * np.pi * f * t) for f in hertz], axis=1)
    runs = {"run_index": np.array([0, 1000]), "run_start": np.array([0.0, 25.0])} if gap else {}
    sound = Stream(np.zeros(16000), 400.0, "mic", modality="audio")
    return Session("p1", (Stream(values, RATE, "wrist", **runs), sound))


def strengths(session):
    return np.nanstd(session.streams[0].values, axis=0) * np.sqrt(2.0)


def test_without_options_a_session_is_as_it_was():
    parser = argparse.ArgumentParser()
    add_options(parser)
    session = swinging(1.0, 8.0)
    found = altered(session, parser.parse_args([]))
    for before, after in zip(session.streams, found.streams, strict=True):
        np.testing.assert_array_equal(before.values, after.values)
    options = parser.parse_args(["--rate", "25", "--smoothed", "5", "--dropped", "2", "--without", "mic"])
    (wrist,) = altered(session, options).streams
    assert (
        wrist.rate == 25.0 and np.isnan(wrist.values).any() and strengths(altered(session, options))[1] < 0.3
    )


@pytest.mark.parametrize("gap", [False, True])
def test_a_slower_sensor_keeps_what_is_slow_and_when_it_was(gap):
    session = swinging(1.0, 3.0, 15.0, gap=gap)
    found = slower(session, 12.5)
    wrist = found.streams[0]
    assert wrist.rate == 12.5 and found.streams[1] is session.streams[1]
    assert strengths(found) == pytest.approx([1.0, 1.0, 0.0], abs=0.1)
    assert wrist.run_start.tolist() == session.streams[0].run_start.tolist()
    assert wrist.end == pytest.approx(session.streams[0].end, abs=0.1)
    inner = wrist.run_of(np.arange(wrist.n_samples)) == 0
    t = wrist.times()[inner][10:-10]
    np.testing.assert_allclose(wrist.values[inner, 0][10:-10], np.sin(2 * np.pi * t), atol=0.02)
    assert slower(session, 100.0).streams[0] is session.streams[0]


def test_a_smoothed_sensor_has_half_its_power_twice_over_at_the_edge():
    assert strengths(smoothed(swinging(0.5, 5.0, 20.0), 5.0)) == pytest.approx([1.0, 0.5, 0.0], abs=0.05)


def test_samples_that_were_missing_stay_so():
    session = swinging(1.0)
    values = session.streams[0].values.copy()
    values[100:200] = np.nan
    session = dataclasses.replace(
        session, streams=(dataclasses.replace(session.streams[0], values=values), session.streams[1])
    )
    assert np.flatnonzero(np.isnan(smoothed(session, 5.0).streams[0].values)).tolist() == list(
        range(100, 200)
    )
    assert np.flatnonzero(np.isnan(slower(session, 25.0).streams[0].values)).tolist() == list(range(50, 100))


def test_a_tenth_is_dropped_from_all_streams_alike():
    found = dropped(swinging(1.0, 2.0), 1.0)
    wrist, sound = (np.isnan(s.values).any(axis=1) for s in found.streams)
    assert 0.06 < wrist.mean() <= 0.1
    assert (wrist ^ sound[::8]).mean() < 0.01
    edges = np.flatnonzero(np.diff(wrist.astype(int)))
    assert all(b - a >= 49 for a, b in zip(edges[::2], edges[1::2], strict=False))


def test_streams_and_channels_that_are_named_are_left_out():
    values = np.arange(12.0).reshape(3, 4)
    phone = Stream(
        values, 1.0, "phone", channels=("acc_x", "gyro_x", "acc_y", "gyro_y"), units=("g", "", "g", "")
    )
    watch = Stream(values[:, :1], 1.0, "watch", channels=("gyro_z",))
    found = lacking(Session("p1", (phone, watch), ()), ["gyro"])
    (kept,) = found.streams
    assert kept.channels == ("acc_x", "acc_y") and kept.units == ("g", "g")
    np.testing.assert_array_equal(kept.values, values[:, ::2])
    assert [s.name for s in lacking(Session("p1", (phone, watch), ()), ["phone"]).streams] == ["watch"]
    assert lacking(Session("p1", (phone, watch), ()), []).streams[0].channels == phone.channels


def test_hiss_lies_so_far_below_the_loudest_moment_of_sound_alone() -> None:
    t = np.arange(32000) / 16000.0
    sound = Stream((0.5 * np.sin(2 * np.pi * 440 * t) * (t < 1.0)), 16000.0, "mic", modality="audio")
    wrist = Stream(np.ones((50, 1)), 25.0, "wrist", channels=("hr",))
    session = Session("p1", (sound, wrist), ())
    found = hissing(session, 20.0)
    added = found.streams[0].values - sound.values
    loudest = np.mean((0.5 * np.sin(2 * np.pi * 440 * t[:800])) ** 2)
    assert 10 * np.log10(np.mean(added**2) / loudest) == pytest.approx(-20.0, abs=0.2)
    np.testing.assert_array_equal(found.streams[1].values, wrist.values)


def test_noise_in_sensors_is_a_share_of_each_channel_s_deviation_and_the_same_every_time() -> None:
    t = np.arange(4000) / 50.0
    values = np.stack([np.sin(t), 60.0 + 5.0 * np.sin(t), np.ones(4000)], axis=1)
    values[100:200] = np.nan
    sound = Stream(np.ones(1000), 400.0, "mic", modality="audio")
    session = Session("p1", (Stream(values, 50.0, "wrist", channels=("acc_x", "hr", "flat")), sound), ())
    found = rustling(session, 0.2)
    added = found.streams[0].values - values
    assert np.nanstd(added, axis=0) / np.nanstd(values, axis=0)[[0, 1, 0]] == pytest.approx(
        [0.2, 0.2, 0.0], abs=0.01
    )
    assert abs(np.corrcoef(added[200:, 0], added[200:, 1])[0, 1]) < 0.05
    np.testing.assert_array_equal(np.isnan(added), np.isnan(values))
    np.testing.assert_array_equal(found.streams[1].values, sound.values)
    np.testing.assert_array_equal(rustling(session, 0.2).streams[0].values, found.streams[0].values)
    parser = argparse.ArgumentParser()
    add_options(parser)
    asked = altered(session, parser.parse_args(["--noise", "0.2"]))
    np.testing.assert_array_equal(asked.streams[0].values, found.streams[0].values)
