"""Rates and clocks of live streams: a declared rate that is not kept, and two clocks that come apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import InputError, ParameterError
from align.monitor import Event, Monitor, StreamSettings

DECLARED = StreamSettings(rate=250.0, noise=1.0, lateness=0.0, horizon=256)
SLOW = StreamSettings(rate=0.1, noise=1.0, lateness=0.0, horizon=256)
START = 1.7e9


def rated(times: np.ndarray, settings: StreamSettings = DECLARED, cuts: object = ()) -> list[Event]:
    """What is said of a rate, rows coming in pieces and the monitor coming back between them."""
    monitor, events = Monitor(settings), []
    for part in np.split(times, cuts):
        events += monitor.push("w", part, np.zeros(len(part)))
        monitor = Monitor.from_bytes(monitor.as_bytes())
    return [e for e in events if e.why in ("W-RATE", "E-RATE")]


def ticks(n: int, rate: float) -> np.ndarray:
    return START + np.arange(n) / rate


@pytest.mark.parametrize(
    ("rate", "codes"),
    [
        (250.0, []),
        (250.004, []),  # 16 ppm: any crystal
        (249.98, ["W-RATE"]),
        (250.02, ["W-RATE"]),
        (249.0, ["E-RATE"]),
        (500.0, ["E-RATE"]),
        (100.0, ["E-RATE"]),
    ],
)
def test_T05_a_rate_that_is_not_the_declared_one_is_said_once_with_its_ppm(rate, codes) -> None:
    said = rated(ticks(40_000, rate))
    assert [e.why for e in said] == codes
    for event in said:
        assert event.event == "degraded" and event.stream == "w" and event.final
        assert event.ppm == pytest.approx((rate / 250.0 - 1.0) * 1e6, rel=0.02, abs=2.0)
        assert START <= event.start < event.end <= START + 40_000 / rate
        assert json.loads(json.dumps(event.as_dict()))["ppm"] == event.ppm


def test_T05_a_rate_that_gets_worse_is_said_again_as_an_error() -> None:
    times = np.concatenate(
        [[START], START + np.cumsum(np.repeat([1 / 249.9, 1 / 249.0], [5_000, 2_000_000]))]
    )
    said = rated(times, cuts=[600_000, 1_200_000])
    assert [e.why for e in said] == ["W-RATE", "E-RATE"]
    assert said[0].ppm == pytest.approx(-400.0, abs=5.0) and said[1].ppm < -1_000


@settings(max_examples=40)
@given(st.integers(0, 1_000), st.floats(0.0, 0.15), st.floats(0.0, 0.1), st.sampled_from([250.0, 249.98]))
def test_T05_jitter_lost_rows_and_gaps_are_no_other_rate(seed, jitter, loss, rate) -> None:
    rng = np.random.default_rng(seed)
    n = 9_000
    times = START + (np.arange(n) + rng.uniform(-jitter, jitter, n)) / rate
    times[n // 2 :] += 100.0
    times = times[rng.random(n) >= loss]
    said = rated(times)
    codes = [e.why for e in said]
    assert codes == [] if rate == 250.0 else codes in ([["W-RATE"]] if jitter < 0.02 else [[], ["W-RATE"]])
    feigned = 2e6 * jitter / 1_024  # by the scatter of the first and the last row of the first block
    assert all(abs(e.ppm + 80.0) < feigned + 5.0 for e in said)


def test_T05_where_lost_rows_and_a_slow_clock_look_the_same_nothing_is_said() -> None:
    rng = np.random.default_rng(0)
    times = START + (np.arange(9_000) + rng.uniform(-0.4, 0.4, 9_000)) / 249.0
    assert rated(times) == []
    assert rated(ticks(9_000, 249.0), StreamSettings(noise=1.0)) == []  # no rate was declared


@settings(max_examples=8)
@given(st.lists(st.integers(0, 4_200), max_size=6))
def test_T05_R01_R03_what_is_said_of_a_rate_does_not_depend_on_pushes_or_restarts(cuts) -> None:
    times = ticks(4_200, 249.98)
    times[2_500:] += 30.0
    times[4_120:] -= 1e6  # set back: measured anew
    assert rated(times, cuts=sorted(cuts)) == rated(times)
    assert len(rated(times)) == 1


# --- clocks of several streams


def hours(monitor: Monitor, stream: str, n: int, start: float = 0.0, step: int = 400) -> list[Event]:
    """So many hours of a stream with a row every ten seconds."""
    times = start + np.arange(0, n * 3_600, 10.0)
    parts = np.split(times, np.arange(step, len(times), step))
    return [e for part in parts for e in monitor.push(stream, part, np.zeros(len(part)))]


@pytest.mark.parametrize("step", [1, 7, 5_000])
def test_T06_two_clocks_without_anchors_are_not_correctable_and_the_bound_is_said(step) -> None:
    monitor = Monitor(SLOW)
    said = hours(monitor, "wrist", 6, step=step) + hours(monitor, "ankle", 6, start=1e6, step=step)
    said += hours(monitor, "ankle", 12, start=2e6)
    (event,) = [e for e in said if e.event == "degraded"]
    assert (event.stream, event.why, event.name) == ("", "W-CLOCK", "ankle/wrist")
    assert (event.ppm, event.within) == (50.0, 1.0)
    assert (event.start, event.end) == (1e6, 1e6 + 20_000.0)


def test_T06_one_stream_or_one_clock_for_all_has_nothing_to_drift_against() -> None:
    alone = Monitor(SLOW)
    assert not [e for e in hours(alone, "wrist", 20) if e.event == "degraded"]
    one = StreamSettings(rate=0.1, noise=1.0, lateness=0.0, horizon=256, clock="gateway")
    both = Monitor(one)
    assert not [e for e in hours(both, "wrist", 8) + hours(both, "ankle", 8) if e.event == "degraded"]


def test_T06_drift_is_estimated_from_anchors_and_the_residual_is_said() -> None:
    rng = np.random.default_rng(0)
    monitor, events = Monitor(SLOW), []
    assert monitor.anchor("ankle", 100.0, "wrist", 102.0) == []
    for at in np.linspace(600, 90_000, 40):
        shown = at + 2.0 + 50e-6 * at + rng.normal(0, 0.02)
        events += monitor.anchor("ankle", float(at), "wrist", float(shown))
        monitor = Monitor.from_bytes(monitor.as_bytes())
        assert monitor.anchor("ankle", float(at), "wrist", float(shown)) == []  # came twice
    assert {(e.event, e.stream, e.name, e.final) for e in events} == {("drift", "", "ankle/wrist", False)}
    assert [e.revises for e in events] == [None, *range(39)]
    assert events[0].ppm is None  # two anchors prove no pace
    last = events[-1]
    assert last.ppm == pytest.approx(50.0, abs=2.0) and last.offset == pytest.approx(2.0, abs=0.05)
    assert 0.01 < last.within < 0.03 and (last.start, last.end) == (100.0, 90_000.0)
    said = hours(monitor, "wrist", 8) + hours(monitor, "ankle", 8)
    assert not [e for e in said if e.why == "W-CLOCK"]


def test_T06_a_clock_over_one_percent_off_is_no_clock_and_many_anchors_take_no_more_room() -> None:
    monitor = Monitor(SLOW)
    at = np.arange(0.0, 20_000.0, 1_000.0)
    said = [e for t in at for e in monitor.anchor("a", float(t), "b", float(1.1 * t))]
    assert said[-1].event == "degraded" and said[-1].why == "E-CLOCK"
    sizes = []
    for k in range(300):
        monitor.anchor("a", 1e6 + 10.0 * k, "c", 1e6 + 10.0 * k + 1.0)
        sizes.append(len(monitor.as_bytes()))
    assert max(sizes) < 20_000


def test_T06_T07_a_clock_that_was_set_back_voids_its_anchors() -> None:
    monitor = Monitor(SLOW)
    hours(monitor, "a", 2, start=1e6)
    monitor.anchor("a", 1e6, "b", 1e6)
    assert [e.event for e in monitor.anchor("a", 1e6 + 500, "b", 1e6 + 500)] == ["drift"]
    said = hours(monitor, "a", 1)
    assert "clock" in {e.event for e in said}
    assert monitor.anchor("a", 50.0, "b", 1e6 + 900) == []


def test_an_anchor_that_means_nothing_is_refused() -> None:
    monitor = Monitor(SLOW)
    for wrong in (("a", 1.0, "a", 1.0), ("", 1.0, "a", 1.0)):
        with pytest.raises(ParameterError):
            monitor.anchor(*wrong)
    with pytest.raises(InputError, match="E-TIME"):
        monitor.anchor("a", np.nan, "b", 1.0)
