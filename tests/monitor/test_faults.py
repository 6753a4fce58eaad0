"""Time and transport at their worst: what arrives late, twice, in reverse, with jitter, behind jumps of the clock."""

from __future__ import annotations

import json

import numpy as np
import pytest

from align.monitor import Event, Monitor, StreamSettings
from align.segmentation import arrivals
from align.segmentation.incremental import RunSegmenter

SETTINGS = StreamSettings(rate=50.0, noise=1.0, lateness=1.0, horizon=256)


def stepped(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.arange(n) / 50.0, rng.standard_normal(n) + 9.0 * (np.arange(n) // 100 % 2)


def lines(events: list[Event]) -> list[str]:
    return [json.dumps(e.as_dict(), allow_nan=False) for e in events]


def cut(events: list[Event]) -> list[tuple[float, float]]:
    return [(e.start, e.end) for e in events if e.event == "segment" and e.final]


def test_T01_R04_rows_out_of_order_within_the_lateness_are_as_if_in_order() -> None:
    times, values = stepped(400)
    monitor = Monitor(SETTINGS)
    whole = lines(monitor.push("w", times, values) + monitor.close())
    swapped = np.arange(400)
    swapped[[57, 58]] = 58, 57
    turned = np.concatenate([np.arange(400)[i : i + 40][::-1] for i in range(0, 400, 40)])
    for order in (swapped, turned):
        monitor = Monitor(SETTINGS)
        assert lines(monitor.push("w", times[order], values[order]) + monitor.close()) == whole
        assert monitor.counts()["w"] == {"late": 0, "duplicates": 0, "lost": 0}


def test_T02_a_time_that_comes_twice_counts_once_whatever_its_value() -> None:
    times, values = stepped(300)
    alone, both = Monitor(SETTINGS), Monitor(SETTINGS)
    whole = lines(alone.push("w", times, values) + alone.close())
    twice = np.repeat(times, 2), np.column_stack([values, values + 5.0]).ravel()
    assert lines(both.push("w", *twice) + both.close()) == whole
    assert both.counts()["w"]["duplicates"] == 300


def test_T03_no_segment_and_no_token_crosses_a_gap() -> None:
    times, values = stepped(300)
    times[150:] += 20.0
    monitor = Monitor(SETTINGS)
    events = monitor.push("w", times, values) + monitor.close()
    (gap,) = [e for e in events if e.event == "gap"]
    assert (gap.start, gap.end) == (pytest.approx(3.0), 23.0)
    assert all(end <= gap.start or start >= gap.end for start, end in cut(events))


def test_T04_jitter_and_lost_rows_are_no_gaps_and_move_no_cut() -> None:
    times, values = stepped(400)
    rng = np.random.default_rng(1)
    kept = np.sort(rng.choice(400, 380, replace=False))
    moved = (times + rng.uniform(-0.4, 0.4, 400) / 50)[kept]
    monitor = Monitor(SETTINGS)
    events = monitor.push("w", moved, values[kept]) + monitor.close()
    assert not [e for e in events if e.event == "gap"]
    ends = [end for _, end in cut(events)]
    assert len(ends) == 4 and np.allclose(ends[:3], [2.0, 4.0, 6.0], atol=0.06)


@pytest.mark.parametrize("jump", [365 * 86_400.0, -365 * 86_400.0, -1.7e9])
def test_T07_R10_a_jump_of_the_clock_ends_the_run_and_no_duration_is_negative(jump) -> None:
    times, values = stepped(200)
    monitor = Monitor(SETTINGS)
    events = monitor.push("w", 1.7e9 + times, values)
    events += monitor.push("w", 1.7e9 + jump + 4.0 + times, values) + monitor.close()
    said = {e.event for e in events}
    assert ("gap" in said) == (jump > 0) and ("clock" in said) == (jump < 0)
    assert len(cut(events)) == 4 and all(start < end for start, end in cut(events))
    assert not [e for e in events if e.event in ("gap", "segment") and e.end <= e.start]


@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_R09_weeks_of_nothing_keep_the_state_small(kind) -> None:
    rng, sizes = np.random.default_rng(0), []
    monitor = Monitor(SETTINGS)
    for k in range(30):
        values = np.full(2_000, 3.0) if kind == "flat" else rng.standard_normal(2_000)
        monitor.push("w", (k * 2_000 + np.arange(2_000)) / 50, values)
        sizes.append(len(monitor.as_bytes()))
    assert max(sizes) < 60_000


@pytest.mark.parametrize("first", [2**31 - 3, 2**53 - 3])
def test_R14_counters_pass_the_ends_of_their_types(first) -> None:
    _, values = stepped(600)
    plain, late = RunSegmenter(np.ones(1), 30.0, horizon=256), RunSegmenter(np.ones(1), 30.0, horizon=256)
    numbers, arrays = late.state()
    late.restore(numbers | {"first": first}, arrays)
    rows = values[:, None]
    expected = [
        (u.at + first, tuple(c + first for c in u.final), tuple(c + first for c in u.provisional))
        for u in plain.push(rows)
    ]
    assert [(u.at, u.final, u.provisional) for u in late.push(rows)] == expected and len(expected) > 5


def test_R14_sequence_numbers_pass_2_to_the_53() -> None:
    times, values = stepped(100)
    monitor = Monitor(SETTINGS)
    monitor.push("w", times[:50], values[:50], sequence=2**53 - 10)
    monitor = Monitor.from_bytes(monitor.as_bytes())
    monitor.push("w", times[40:], values[40:], sequence=2**53 + 30)
    assert monitor.counts()["w"] == {"late": 0, "duplicates": 10, "lost": 0}


@pytest.mark.parametrize("size", [400, 1, 37])
def test_R08_a_full_buffer_is_said_and_eases(monkeypatch, size) -> None:
    monkeypatch.setattr(arrivals, "_MOST_HELD", 30)
    times, values = stepped(400)
    times[100:300] = times[100] + np.arange(200) / 1_000  # a burst: 20 times as many rows as usual
    times[300:] = times[299] + (1 + np.arange(100)) / 50
    settings = StreamSettings(rate=50.0, noise=1.0, lateness=0.1, horizon=256)
    monitor, events = Monitor(settings), []
    for i in range(0, 400, size):
        events += monitor.push("w", times[i : i + size], values[i : i + size])
    said = [(e.event, e.start) for e in events if e.why == "buffer"]
    assert [kind for kind, _ in said] == ["degraded", "restored"]
    assert said[0][1] >= times[90] and said[1][1] <= times[310]
    again = Monitor(settings)
    assert lines(again.push("w", times, values)) == lines(events)
