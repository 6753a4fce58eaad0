"""Heartbeats: found where they are, and their columns say what the rhythm is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Stream
from align.features.frames import frame_table
from align.features.heartbeats import beat_columns, ecg_channels, find_beats

RATE = 250.0
DATA = Path(os.environ.get("ALIGN_DATA", "../shared/data"))


def ecg(intervals, wide=(), noise=0.02, seed=0):
    """A lead in millivolts with a beat after each interval (s); beats in ``wide`` are ectopic. And their times."""
    times = 1.0 + np.cumsum(intervals)
    t = np.arange(int((times[-1] + 2.0) * RATE)) / RATE
    x = np.random.default_rng(seed).normal(0, noise, t.size)
    for k, at in enumerate(times):
        if k in wide:
            x += -1.6 * np.exp(-(((t - at) / 0.045) ** 2)) + 0.9 * np.exp(-(((t - at - 0.1) / 0.05) ** 2))
        else:
            x += np.exp(-(((t - at) / 0.012) ** 2)) + 0.15 * np.exp(-(((t - at + 0.16) / 0.025) ** 2))
        x += 0.25 * np.exp(-(((t - at - 0.28) / 0.05) ** 2))
    return x, times


def stream(values, **more):
    fields = {"rate": RATE, "name": "chest", "modality": "sensor", "channels": ("MLII",), "units": ("mV",)}
    return Stream(values=np.asarray(values, np.float32).reshape(len(values), -1), **(fields | more))


def columns(x, centres, **more):
    table, names = beat_columns(stream(x, **more), np.asarray(centres, float))
    return {name.split(".")[1]: table[:, i] for i, name in enumerate(names)}


@pytest.mark.parametrize("gain", [1.0, 1e-3, -1.0, 250.0])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_beats_are_found_at_any_gain_polarity_and_offset(gain, offset):
    x, times = ecg(np.random.default_rng(1).uniform(0.5, 1.1, 80))
    found = find_beats(gain * x + offset * abs(gain), RATE) / RATE
    assert found.size == times.size and np.abs(found - times).max() < 0.03


def test_a_flat_line_and_a_short_one_have_no_beats():
    assert find_beats(np.full(5000, 3.0), RATE).size == 0 and find_beats(np.zeros(10), RATE).size == 0


def test_the_interval_is_the_log_of_seconds_between_beats():
    x, _ = ecg(np.full(60, 0.8))
    found = columns(x, [20.0, 30.0])
    assert np.allclose(np.exp(found["interval mean 8s"]), 0.8, atol=0.01)
    assert found["interval sd 8s"].max() < 0.02 and found["qrs alike 1 mean 8s"].min() > 0.95


@pytest.mark.parametrize("period", [2, 3])
def test_bigeminy_and_trigeminy_repeat_after_two_and_three_beats(period):
    wide = set(range(0, 90, period))
    x, _ = ecg([0.6 if k in wide else 0.9 for k in range(90)], wide)
    found = columns(x, [30.0])
    alike = {lag: found[f"qrs alike {lag} mean 20s"][0] for lag in (1, 2, 3)}
    assert alike[period] > 0.9 and all(v < 0.7 for lag, v in alike.items() if lag != period)
    assert found[f"interval change {period} mean 20s"][0] < 0.1 < found["interval change 1 mean 20s"][0]


def test_fibrillation_changes_every_interval():
    calm, _ = ecg(np.full(80, 0.8))
    wild, _ = ecg(np.random.default_rng(2).uniform(0.4, 1.2, 80))
    what = "interval change 1 mean 20s"
    assert columns(wild, [30.0])[what][0] > 5 * columns(calm, [30.0])[what][0]


def test_no_window_reaches_over_a_gap_or_a_missing_sample():
    x, _ = ecg(np.full(100, 0.8))
    n = len(x) // 2
    whole = columns(x[:n], [20.0, 30.0])
    gap = {"run_index": np.array([0, n]), "run_start": np.array([0.0, 1000.0])}
    holed = x.copy()
    holed[n : n + 5] = np.nan
    for found in (columns(x, [20.0, 30.0], **gap), columns(holed, [20.0, 30.0])):
        for name, column in whole.items():
            np.testing.assert_array_equal(found[name], column)
    assert all(np.isnan(c).all() for c in columns(holed, [(n + 2) / RATE]).values())


def test_leads_are_known_by_name_or_by_unit_and_need_a_rate():
    x = np.zeros((1000, 4))
    names, units = ("MLII", "V1", "acc_x", "ECG 1"), ("mV", "mV", "g", "")
    assert ecg_channels(stream(x, channels=names, units=units)) == (0, 1, 3)
    assert ecg_channels(stream(x, channels=names, units=units, rate=50.0)) == ()
    assert ecg_channels(stream(x[:, :1], channels=("V1",), units=("",))) == ()


def test_frames_of_a_model_carry_the_beats_behind_the_other_columns():
    x, _ = ecg(np.full(60, 0.8))
    table = frame_table([stream(x)], 1.0)
    assert len(table.channels[0]) == table.blocks[0].shape[1] == len(table.units[0])
    assert "MLII.mean" in table.channels[0] and "MLII.interval mean 8s" in table.channels[0]
    plain = frame_table([stream(x, channels=("tension",))], 1.0)
    assert not any("interval" in c for c in plain.channels[0])


@pytest.mark.data
def test_beats_of_real_records_are_the_cardiologists():
    wfdb = pytest.importorskip("wfdb")
    if not (DATA / "ecg").is_dir():
        pytest.skip("ALIGN_DATA has no ecg folder")
    beats = set("NLRBAaJSVrFejnE/fQ?!")
    hits = true_beats = extra = 0
    for head in sorted((DATA / "ecg").glob("*.hea")):
        record = wfdb.rdrecord(str(head.with_suffix("")))
        marks = wfdb.rdann(str(head.with_suffix("")), "atr")
        true = np.array([s for s, k in zip(marks.sample, marks.symbol, strict=True) if k in beats])
        found = find_beats(record.p_signal[:, 0].astype(float), record.fs)
        near = np.abs(true[:, None] - found[None, :]).min(axis=1) < 0.15 * record.fs
        hits, true_beats, extra = hits + near.sum(), true_beats + true.size, extra + found.size
    assert hits / true_beats > 0.98 and hits / extra > 0.98
