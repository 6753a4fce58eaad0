"""Laws of the time axis: the measured rate, the slots, the runs; time is never closed up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import InputError
from align.readers import slots
from align.readers.pace import Pace, measure_period, nominal_rate
from align.readers.policy import Policy
from align.readers.timeline import Timeline, runs_from_times

PERIOD = 10_000_000  # 100 Hz


def written(times: np.ndarray) -> np.ndarray:
    return np.floor(np.asarray(times, dtype=np.float64) + 0.5).astype(np.int64)


def line(times: np.ndarray, policy: Policy | None = None) -> Timeline:
    return runs_from_times(written(times), policy or Policy())


def slot_times(tl: Timeline) -> np.ndarray:
    """Nanoseconds of each kept row's slot."""
    run = np.searchsorted(tl.run_index, tl.slot, side="right") - 1
    return tl.run_start_ns[run] + (tl.slot - tl.run_index[run]) * 1e9 / tl.rate


def codes(tl: Timeline) -> dict[str, int]:
    return {f.code: f.count for f in tl.findings}


def check_invariants(tl: Timeline, times: np.ndarray) -> None:
    assert (np.diff(tl.slot) > 0).all() and tl.slot[-1] == tl.n_slots - 1 and tl.slot[0] == 0
    assert tl.run_index[0] == 0 and (np.diff(tl.run_index) > 0).all()
    assert np.isin(tl.run_index, tl.slot).all(), "a run begins with a sample"
    length = np.diff(np.append(tl.run_index, tl.n_slots)) * 1e9 / tl.rate
    assert (tl.run_start_ns[1:] >= tl.run_start_ns[:-1] + length[:-1] - 0.5e9 / tl.rate - 1).all()
    assert np.abs(np.diff(slot_times(tl))).min(initial=np.inf) > 0.4e9 / tl.rate


def test_regular_times_have_no_findings() -> None:
    tl = line(np.arange(1000) * PERIOD + 5)
    assert (tl.rate, tl.n_slots, tl.findings, tl.loss, tl.jitter) == (100.0, 1000, (), 0.0, 0.0)
    assert tl.run_start_ns.tolist() == [5]


@pytest.mark.parametrize(
    "rate", [0.01, 1 / 60, 0.5, 1.0, 12.5, 25.0, 60.0, 64.0, 100.0, 128.0, 250.0, 400.0, 8000.0]
)
def test_rates_in_whole_milliseconds_or_finer(rate: float) -> None:
    unit = 1_000_000 if rate < 300 else 1_000
    tl = line(np.floor(np.arange(3000) * 1e9 / rate / unit + 0.5) * unit)
    assert tl.rate == pytest.approx(rate, rel=1e-12) and tl.n_slots == 3000 and tl.run_index.size == 1


def test_a_clock_coarser_than_its_period() -> None:
    tl = line(np.floor(np.arange(3000) * 1.25 + 0.5) * 1_000_000)
    assert tl.rate == 800.0 and tl.loss == 0.0
    lossy = np.delete(np.arange(3000), np.arange(7, 3000, 13))
    tl = line(lossy * 1_000_000.0)
    assert tl.rate == 1000.0 and np.array_equal(tl.slot, lossy)


def test_rows_that_share_whole_seconds_are_spread() -> None:
    tl = line(np.repeat(np.arange(100), 32) * 1e9)
    assert tl.rate == 32.0 and tl.n_slots == 3200
    assert codes(tl)["W-COARSE"] == 3100


def test_T04_jitter_of_40_percent_is_measured_and_taken_off() -> None:
    rng = np.random.default_rng(1)
    tl = line((np.arange(5000) + rng.uniform(-0.4, 0.4, 5000)) * PERIOD)
    assert tl.rate == 100.0 and tl.loss == 0.0 and tl.run_index.size == 1
    assert tl.jitter == pytest.approx(0.8 / np.sqrt(12), rel=0.05)
    message = next(f.message for f in tl.findings if f.code == "W-JITTER")
    assert f"sd {tl.jitter:.1%}" in message and f"max {tl.jitter_max:.1%}" in message


def test_T04_dropped_samples_leave_rows_of_nan() -> None:
    rng = np.random.default_rng(2)
    true = np.flatnonzero(rng.random(5000) > 0.05)
    true -= true[0]
    tl = line((true + rng.uniform(-0.4, 0.4, true.size)) * PERIOD)
    assert tl.rate == 100.0
    assert tl.loss == pytest.approx(1 - true.size / (true[-1] + 1), abs=1e-4)
    assert (tl.slot != true).mean() < 0.01
    assert np.abs(slot_times(tl) - true * PERIOD).max() < PERIOD * 1.1
    grid = tl.place(true.astype(float)[:, None])
    assert grid.shape == (tl.n_slots, 1) and np.isnan(grid).sum() == codes(tl)["W-LOSS"]


def test_T04_late_batches_are_put_back() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(2000) * 9.76e6 + rng.uniform(0, 2e6, 2000)
    for begin in range(50, 1900, 60):
        times[begin : begin + 5] = times[begin + 5] - 1e6
    times = np.floor(np.maximum.accumulate(times) / 1e6) * 1e6
    tl = line(times)
    assert 1e9 / tl.rate == pytest.approx(9.76e6, rel=1e-4)
    assert tl.loss == 0.0 and tl.run_index.size == 1 and np.array_equal(tl.slot, np.arange(2000))
    assert "batches" in next(f.message for f in tl.findings if f.code == "W-JITTER")


@pytest.mark.parametrize("rate", [249.98, 250.01])
def test_T05_measured_rate_against_nominal(rate: float) -> None:
    tl = line(np.arange(200_000) * 1e9 / rate)
    assert tl.nominal == 250.0 and tl.rate == pytest.approx(rate, rel=1e-9)
    message = next(f.message for f in tl.findings if f.code == "W-RATE")
    assert f"{(rate / 250 - 1) * 1e6:+.0f} ppm" in message
    assert np.abs(slot_times(tl) - np.arange(200_000) * 1e9 / rate).max() < 0.05e9 / rate


def test_a_short_recording_uses_the_nominal_rate() -> None:
    tl = line(np.arange(500) * 1e9 / 249.98)
    assert tl.rate == 250.0 and tl.measured == pytest.approx(249.98, rel=1e-7)


def test_a_wandering_clock_is_cut_not_stretched() -> None:
    k = np.arange(50_000)
    times = (k + 3 * np.sin(2 * np.pi * k / k.size)) * PERIOD
    tl = line(times)
    check_invariants(tl, times)
    assert np.abs(slot_times(tl) - written(times)).max() < PERIOD
    assert tl.loss == 0.0 and codes(tl)["W-WANDER"] == tl.run_index.size - 1 > 0


def test_T03_a_pause_is_a_gap_and_keeps_its_length() -> None:
    k = np.arange(3000)
    times = k * PERIOD + (k >= 1000) * 1.2345e9 + (k >= 2000) * 5.05e7
    tl = line(times)
    assert tl.run_index.tolist() == [0, 1000, 2000]
    assert tl.run_start_ns.tolist() == written(times[[0, 1000, 2000]]).tolist()
    message = next(f.message for f in tl.findings if f.code == "W-GAP")
    assert message.startswith("2 gaps") and "1.2445 s" in message
    assert line(times, Policy(gap_factor=10.0)).run_index.tolist() == [0, 1000]


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(80, 600),
    jitter=st.floats(0.0, 0.4),
    loss=st.floats(0.0, 0.1),
    gap=st.floats(10.0, 1e6),
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([1.0, 50.0, 102.4, 999.0]),
)
def test_T04_law_time_is_never_closed_up(
    n: int, jitter: float, loss: float, gap: float, seed: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    true = np.arange(n, dtype=float)
    true[n // 2 :] += gap
    kept = rng.random(n) >= loss
    kept[0] = kept[-1] = True
    times = ((true + rng.uniform(-jitter, jitter, n)) * 1e9 / rate)[kept]
    tl = line(times)
    check_invariants(tl, times)
    if jitter <= 0.2 or n >= 300:  # fewer samples cannot tell jitter from loss
        assert tl.rate == pytest.approx(rate, rel=0.01)
    assert tl.keep.size == kept.sum() and tl.run_index.size >= 2
    assert np.abs(slot_times(tl) - written(times)).max() <= 1.0e9 / tl.rate + 1


@pytest.mark.parametrize("row", [1, 500, 999])
def test_T02_one_duplicate_is_refused_wherever_it_is(row: int) -> None:
    times = np.insert(np.arange(1000) * PERIOD, row, (row - 1) * PERIOD)
    with pytest.raises(InputError) as caught:
        runs_from_times(times, Policy(), file="a", lines=lambda i: i + 2)
    assert caught.value.code == "E-DUP-TIME" and caught.value.where["line"] == row + 2
    tl = line(times, Policy(dup="first"))
    assert np.array_equal(tl.keep, np.delete(np.arange(1001), row)) and codes(tl) == {"P-DUP-TIME": 1}


def test_T02_every_row_twice_is_refused() -> None:
    with pytest.raises(InputError, match="E-DUP-TIME"):
        line(np.repeat(np.arange(100), 2) * PERIOD)
    tl = line(np.repeat(np.arange(100), 2) * PERIOD, Policy(dup="first"))
    assert tl.rate == 100.0 and tl.n_slots == 100
    with pytest.raises(InputError, match="E-DUP-TIME"):
        line(np.zeros(5))
    assert line(np.zeros(5), Policy(dup="first")).n_slots == 1


def test_T01_lines_may_be_an_array() -> None:
    with pytest.raises(InputError) as caught:
        runs_from_times(np.array([0, 2, 1]), Policy(), lines=np.array([7, 9, 11]))
    assert (caught.value.code, caught.value.where["line"]) == ("E-UNSORTED", 11)


def test_F02_no_times() -> None:
    with pytest.raises(InputError, match="E-NO-SAMPLES"):
        line(np.array([]))


def test_T16_one_two_three_samples() -> None:
    assert (line(np.array([7])).rate, codes(line(np.array([7])))) == (1.0, {"W-RATE": 1})
    assert line(np.array([7, 7 + PERIOD])).rate == 100.0
    assert line(np.array([0, 1e9, 5e9])).slot.tolist() == [0, 1, 5]
    assert line(np.array([0, 1e9, 6e9])).run_index.tolist() == [0, 2]


def test_T17_indices_and_times_beyond_32_bits() -> None:
    start = 1_700_000_000 * 10**9
    tl = runs_from_times(start + np.array([0, 1, 2, 3 * 10**9, 3 * 10**9 + 1]) * 1000, Policy())
    assert tl.rate == 1e6 and tl.run_start_ns.tolist() == [start, start + 3 * 10**12]


@pytest.mark.parametrize(
    ("measured", "doubt", "expected"),
    [(49.998, 1e-6, 50.0), (99.98, 1e-9, 100.0), (102.46, 1e-5, np.nan), (103.0001, 1e-5, 103.0),
     (44101.0, 1e-9, 44100.0), (1 / 60.01, 1e-9, 1 / 60), (127.9, 1e-6, 128.0)],
)  # fmt: skip
def test_nominal_rate(measured: float, doubt: float, expected: float) -> None:
    found = nominal_rate(measured, doubt, Pace(1e9 / measured, 1, 1))
    assert found == expected or (np.isnan(found) and np.isnan(expected))


def test_measure_period_survives_loss_jitter_and_pauses() -> None:
    rng = np.random.default_rng(4)
    k = np.flatnonzero(rng.random(20_000) > 0.1)
    times = written((k + rng.uniform(-0.3, 0.3, k.size)) * PERIOD + (k > 5000) * 3.3e12)
    assert measure_period(times, 4.0).period == pytest.approx(PERIOD, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_runs_are_cut_where_the_phase_has_left_its_width(seed: int) -> None:
    rng = np.random.default_rng(seed)
    phase = rng.normal(0, 10.0 ** -rng.integers(1, 4), 6000).cumsum()
    first = np.sort(rng.choice(6000, 3, replace=False))
    first[0] = 0
    wanted = set(first.tolist())
    for begin, end in zip(first, np.append(first[1:], 6000), strict=True):
        low = high = phase[begin]
        for i in range(begin, end):
            low, high = min(low, phase[i]), max(high, phase[i])
            if high - low > slots._WANDER:
                wanted.add(i)
                low = high = phase[i]
    assert slots._cut_wander(first, phase).tolist() == sorted(wanted)


@pytest.mark.parametrize("part", [1, 7, 64])
def test_a_clock_looked_at_in_parts_is_the_clock_looked_at_whole(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(PERIOD + rng.normal(0, 200_000, 3000).astype(np.int64))[rng.random(3000) > 0.02]
    times[1500:] += 10**10
    whole = runs_from_times(times, Policy())
    monkeypatch.setattr(slots, "_PART", part)
    parts = runs_from_times(times, Policy())
    assert parts.findings == whole.findings and parts.rate == pytest.approx(whole.rate, rel=1e-13)
    assert parts.run_index.tolist() == whole.run_index.tolist()
    assert parts.slot.tolist() == whole.slot.tolist()
    assert parts.jitter == pytest.approx(whole.jitter, rel=1e-9) and parts.jitter_max == whole.jitter_max
