"""One stream to events: segments and their revisions, gaps, what is learned from the warm-up."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.segmentation.live import LiveStream
from align.segmentation.live_events import StreamSettings

KNOWN = StreamSettings(rate=10.0, noise=1.0, lateness=0.0)


def made(n: int, every: int = 100, seed: int = 0, d: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    levels = 5.0 * (np.arange(n // every + 1) % 2)
    return rng.standard_normal((n, d)) + np.repeat(levels, every)[:n, None]


def events(live: LiveStream, times, values) -> list:
    return [*live.push(np.asarray(times), np.asarray(values)), *live.close()]


def test_every_provisional_segment_is_revised_or_withdrawn() -> None:
    said = events(LiveStream("w", 2, KNOWN), np.arange(1_000) / 10, made(1_000))
    assert [e.seq for e in said] == list(range(len(said)))
    open_ones: set[int] = set()
    for e in said:
        if e.revises is not None:
            open_ones.remove(e.revises)
        if not e.final:
            open_ones.add(e.seq)
    assert open_ones == set()
    final = [e for e in said if e.final and e.event == "segment"]
    assert [(e.start, e.end) for e in final] == [(10.0 * k, 10.0 * k + 10.0) for k in range(10)]
    assert [e.watermark for e in final] == [e.end for e in final]


def test_T03_no_segment_crosses_a_gap() -> None:
    times = np.concatenate([np.arange(50) / 10, 20.0 + np.arange(50) / 10])
    said = events(LiveStream("w", 1, KNOWN), times, np.zeros((100, 1)))
    assert [(e.event, e.start, e.end) for e in said] == [
        ("segment", 0.0, pytest.approx(5.0)), ("gap", pytest.approx(5.0), 20.0), ("segment", 20.0, 25.0),
    ]  # fmt: skip


def test_T04_jitter_and_single_lost_rows_are_no_gap() -> None:
    rng = np.random.default_rng(0)
    times = (np.arange(2_000) + rng.uniform(-0.4, 0.4, 2_000)) / 10
    kept = np.sort(rng.permutation(2_000)[:1_800])
    said = events(LiveStream("w", 1, StreamSettings()), times[kept], np.zeros((1_800, 1)))
    assert [e.event for e in said] == ["segment"]


def test_R06_a_gap_row_by_row_and_a_gap_first_in_a_push_are_the_same() -> None:
    times = np.concatenate([np.arange(40) / 10, 30.0 + np.arange(40) / 10])
    values = made(80, 20)
    single = LiveStream("w", 2, KNOWN)
    said = [e for i in range(80) for e in single.push(times[i : i + 1], values[i : i + 1])]
    assert [*said, *single.close()] == events(LiveStream("w", 2, KNOWN), times, values)


def test_the_warm_up_gives_the_period_and_the_noise_whatever_the_units() -> None:
    values, times = made(3_000, 250), np.arange(3_000) / 40
    spans = [
        [(e.start, e.end) for e in events(LiveStream("w", 2, StreamSettings()), times, values * s) if e.final]
        for s in (1.0, 1e-6, 1e6)
    ]
    assert len(spans[0]) == 12
    assert spans[0] == spans[1] == spans[2]


def test_nothing_is_said_before_the_warm_up_is_over_but_a_short_stream_is_cut_at_its_end() -> None:
    live = LiveStream("w", 2, StreamSettings())
    assert list(live.push(np.arange(300) / 10, made(300))) == []
    assert [(e.start, e.end) for e in live.close() if e.final] == [(0, 10), (10, 20), (20, pytest.approx(30))]
    lone = LiveStream("w", 1, StreamSettings())
    assert [(e.start, e.end) for e in events(lone, [5.0], [[1.0]])] == [(5.0, 6.0)]


def test_a_channel_that_wakes_up_late_is_learned_then() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4_000, 2))
    values[:1_500, 1] = 0.25
    values[3_000:, 1] += 6.0
    said = events(LiveStream("w", 2, StreamSettings()), np.arange(4_000) / 10, values)
    ends = [e.end for e in said if e.final]
    assert 300.0 in ends


def test_missing_cells_are_no_change() -> None:
    values = made(1_200, 400)
    values[100:250, 0] = np.nan
    values[:, 1] = np.nan
    said = events(LiveStream("w", 2, StreamSettings()), np.arange(1_200) / 10, values)
    assert [(e.start, e.end) for e in said if e.final] == [(0, 40), (40, 80), (80, pytest.approx(120))]


def test_min_duration_holds() -> None:
    values = made(600, 200, d=1)
    values[50:53] += 40.0
    settings = StreamSettings(rate=10.0, noise=1.0, min_duration=2.0)
    said = events(LiveStream("w", 1, settings), np.arange(600) / 10, values)
    assert min(e.end - e.start for e in said if e.final) >= 2.0 - 1e-9


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"noise": -1.0}, {"warm_up": 3}, {"lateness": -1.0}, {"horizon": 10}, {"gap_factor": 1.0}]
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong) -> None:
    with pytest.raises(ParameterError):
        StreamSettings(**wrong)
