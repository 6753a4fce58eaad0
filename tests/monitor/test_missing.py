"""Channels that go missing and come back: against a plain loop, and the same for any pushes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from align.monitor import Monitor, StreamSettings
from align.monitor.missing import Missing


def plainly(after: float, times: np.ndarray, values: np.ndarray) -> list[tuple[int, str, int, float]]:
    """Row by row."""
    seen, gone, said = np.full(values.shape[1], times[0]), [False] * values.shape[1], []
    for i, t in enumerate(times):
        for c, x in enumerate(values[i]):
            if np.isnan(x) and not gone[c] and t > seen[c] + after:
                gone[c] = True
                said.append((i, "degraded", c, seen[c]))
            elif not np.isnan(x):
                if gone[c]:
                    said.append((i, "restored", c, seen[c]))
                gone[c], seen[c] = False, t
    return said


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 200), max_size=8))
def test_R03_notices_are_those_of_a_plain_loop_for_any_pushes(seed, cuts) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.choice([0.5, 1.0, 30.0], 200, p=[0.5, 0.48, 0.02]))
    values = rng.standard_normal((200, 3))
    for _ in range(6):
        at, c = int(rng.integers(0, 200)), int(rng.integers(0, 3))
        values[at : at + int(rng.integers(1, 60)), c] = np.nan
    missing, said, first = Missing(8.0, 3), [], 0
    for t, v in zip(np.split(times, sorted(cuts)), np.split(values, sorted(cuts)), strict=True):
        for end, notices in missing.pieces(t, v):
            said += [(first + end - 1, n.kind, n.channel, n.since) for n in notices]
        first += len(t)
    assert said == plainly(8.0, times, values)


def test_R15_a_channel_that_vanishes_is_said_and_the_others_go_on() -> None:
    monitor = Monitor(
        StreamSettings(rate=10.0, noise=1.0, lateness=0.0, missing_after=5.0, channels=("a", "b"))
    )
    values = np.random.default_rng(0).standard_normal((400, 2))
    values[100:250, 1] = np.nan
    values[200:, 0] += 9.0
    events = monitor.push("wrist", np.arange(400) / 10, values) + monitor.close()
    (gone, back) = [e for e in events if e.event in ("degraded", "restored")]
    assert (gone.event, gone.why, gone.name, gone.start, gone.end) == ("degraded", "missing", "b", 9.9, 15.0)
    assert (back.event, back.name, back.end) == ("restored", "b", 25.0)
    assert [e.start for e in events if e.event == "segment" and e.final] == [0.0, 20.0]
    assert [e.seq for e in events] == list(range(len(events)))
