"""The heart's rhythms by formula: made-up leads show what they were made to show, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.datatypes import Session, Stream
from align.features.captions import caption, describe
from align.features.cells import Cells
from align.features.heart import heart_strengths, measure_heart
from tests.features.test_heartbeats import RATE, ecg, stream

DATA = Path(os.environ.get("ALIGN_DATA", "../shared/data"))


def shown(x, seconds=None, **more):
    """Mean strength of every rhythm over the lead, or between two seconds of it."""
    cells = Cells(0, int(len(x) / RATE), 1.0)
    found = measure_heart(stream(x, **more), cells)
    low, high = seconds or (5, cells.n - 5)
    return {key: float(strength[low:high].mean()) for key, strength in heart_strengths(found).items()}


def largest(strengths):
    return max(strengths, key=strengths.get)


def every(period, n=90, short=0.6, long=0.95):
    """Intervals and ectopic beats of bigeminy (2) or trigeminy (3)."""
    wide = set(range(0, n, period))
    return [short if k in wide else long for k in range(n)], wide


def test_even_beats_are_a_sinus_rhythm():
    strengths = shown(ecg(np.random.default_rng(0).normal(0.85, 0.01, 90))[0])
    assert strengths.pop("sinus") > 0.95 and max(strengths.values()) < 0.05


def test_slow_beats_are_said_to_be_slow_too():
    strengths = shown(ecg(np.full(60, 1.3))[0])
    assert strengths["slow"] > 0.95 and strengths["sinus"] > 0.95


def test_fast_even_beats_of_the_usual_shape_come_from_above():
    assert largest(shown(ecg(np.full(150, 0.45))[0])) == "tachycardia"


@pytest.mark.parametrize("period, name", [(2, "bigeminy"), (3, "trigeminy")])
def test_patterns_of_ectopic_beats(period, name):
    strengths = shown(ecg(*every(period))[0])
    assert strengths.pop(name) > 0.9 and max(strengths.values()) < 0.1


def test_early_beats_in_turns_are_bigeminy_even_where_all_look_alike():
    intervals, _ = every(2)
    assert largest(shown(ecg(intervals)[0])) == "bigeminy"


def test_one_ectopic_beat_among_ten_is_no_pattern_and_no_fibrillation():
    wide = set(range(0, 90, 10))
    intervals = [0.6 if k in wide else 1.1 if k - 1 in wide else 0.85 for k in range(90)]
    strengths = shown(ecg(intervals, wide)[0])
    assert strengths.pop("sinus") > 0.9 and max(strengths.values()) < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_intervals_that_never_repeat_are_fibrillation(seed):
    assert largest(shown(ecg(np.random.default_rng(seed).uniform(0.5, 1.1, 90))[0])) == "fibrillation"


@pytest.mark.parametrize("interval, name", [(0.42, "ventricular tachycardia"), (1.4, "escape rhythm")])
def test_a_run_of_other_beats_is_fast_or_slow(interval, name):
    intervals = [0.85] * 60 + [interval] * 20 + [0.85] * 60
    x, times = ecg(intervals, set(range(60, 80)))
    inside = shown(x, (int(times[62]), int(times[77])))
    assert largest(inside) == name and inside[name] > 0.7
    assert shown(x, (5, 45))["sinus"] > 0.9


def test_broad_beats_behind_a_spike_are_paced():
    x, times = ecg(np.full(80, 0.9), set(range(80)), noise=0.002)
    for at in times:
        x[int((at - 0.06) * RATE)] += 1.5
    assert largest(shown(x)) == "paced"


def test_a_wave_without_complexes_amid_beats_is_flutter():
    x, _ = ecg(np.full(100, 0.85))
    t = np.arange(len(x)) / RATE
    inside = (t > 40) & (t < 55)
    x[inside] = 1.2 * np.sin(2 * np.pi * 4.0 * t[inside])
    assert largest(shown(x, (43, 52))) == "ventricular flutter"


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    period=st.sampled_from([1, 2, 3]),
    gain=st.sampled_from([1e-3, -1.0, 40.0]),
    offset=st.sampled_from([0.0, 5.0]),
)
def test_strengths_lie_between_0_and_1_whatever_gain_polarity_and_offset(seed, period, gain, offset):
    rng = np.random.default_rng(seed)
    intervals, wide = every(period, 40) if period > 1 else (rng.uniform(0.4, 1.4, 40), set())
    x, _ = ecg(intervals, wide, seed=seed)
    one, other = shown(x), shown(gain * (x + offset))
    assert all(0.0 <= v <= 1.0 for v in one.values())
    assert one == pytest.approx(other, abs=0.02)


def test_the_cleaner_of_two_leads_is_read():
    x, _ = ecg(*every(2))
    dirty = x + np.random.default_rng(0).normal(0, 1.0, len(x))
    both = np.column_stack([dirty, x])
    named = {"channels": ("V1", "MLII"), "units": ("mV", "mV")}
    assert shown(both, **named)["bigeminy"] == pytest.approx(shown(x)["bigeminy"], abs=1e-6)


def test_nothing_is_said_across_a_gap_or_without_beats():
    assert measure_heart(stream(np.zeros(5000)), Cells(0, 20, 1.0)) is None
    assert measure_heart(stream(np.zeros(5000), channels=("acc_x",), units=("g",)), Cells(0, 20, 1.0)) is None
    x, _ = ecg(np.full(60, 0.85))
    x[6000:7500] = np.nan
    found = measure_heart(stream(x), Cells(0, int(len(x) / RATE), 1.0))
    assert not found.known[25:29].any() and found.known[:23].all() and found.known[31:].all()


def test_a_caption_says_the_rhythm_and_its_rate():
    x, _ = ecg(np.full(80, 0.8))
    lead = Stream(
        values=x.astype(np.float32)[:, None],
        rate=RATE,
        name="chest",
        modality="sensor",
        channels=("MLII",),
        units=("mV",),
    )
    assert "even heartbeats near 75 a minute" in caption(Session("p", (lead,)), (10.0, 40.0))


def test_a_long_cell_shows_all_of_its_beats():
    x, _ = ecg(*every(2, 40))
    calm, _ = ecg(np.full(40, 0.85))
    session = Session("p", (stream(np.concatenate([x, calm])),))
    half = len(x) / RATE
    fine, coarse = describe(session, 1.0), describe(session, half)
    column = [phrase.said for phrase in coarse.phrases].index("every second heartbeat ectopic")
    assert coarse.strengths[0, column] > 0.85 and coarse.strengths[1, column] < 0.15
    assert coarse.strengths[0, column] == pytest.approx(fine.strengths[: int(half), column].mean(), abs=0.05)


@pytest.mark.data
def test_real_bigeminy_and_trigeminy_stand_out():
    wfdb = pytest.importorskip("wfdb")
    head = DATA / "ecg" / "119.hea"
    if not head.is_file():
        pytest.skip("ALIGN_DATA has no ecg folder")
    record = wfdb.rdrecord(str(head.with_suffix("")))
    marks = wfdb.rdann(str(head.with_suffix("")), "atr")
    lead = Stream(
        values=record.p_signal[:, :1].astype(np.float32),
        rate=float(record.fs),
        name="ecg",
        modality="sensor",
        channels=(record.sig_name[0],),
        units=("mV",),
    )
    strengths = heart_strengths(measure_heart(lead, Cells(0, 1800, 1.0)))
    marked = zip(marks.sample, marks.aux_note, strict=True)
    begins = [(sample / record.fs, text.strip("\x00")) for sample, text in marked if text.startswith("(")]
    for code, name in (("(B", "bigeminy"), ("(T", "trigeminy")):
        inside = np.zeros(1800, bool)
        for (start, text), (end, _) in zip(begins, [*begins[1:], (1800.0, "")], strict=True):
            if text == code and end - start >= 5:
                inside[int(start) + 1 : int(end) - 1] = True
        assert strengths[name][inside].mean() > 0.8 > 0.3 > strengths[name][~inside].mean()
