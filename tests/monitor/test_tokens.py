"""Final segments as tokens: the codes that the batch gives, from the rows kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

import align
from align.datatypes import Segmentation, Stream
from align.monitor import Monitor, StreamSettings

PLAIN = StreamSettings(rate=50.0, noise=1.0, lateness=0.0, horizon=256, channels=("level", "other"))


def made(seed: int, n: int = 1_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = (
        rng.standard_normal((n, 2))
        + np.repeat(rng.choice([0.0, 8.0, -8.0], (n // 100 + 1, 2)), 100, axis=0)[:n]
    )
    values[rng.random((n, 2)) < 0.02] = np.nan
    times = np.arange(n) / 50.0
    times[n // 2 :] += 5.0
    return times, values


def book(values: np.ndarray) -> align.Codebook:
    stream = Stream(values, 50.0, channels=("level", "other"))
    return align.fit_codebook([(stream, align.segment(stream))], n_codes=6)


def as_bytes(events: list[align.monitor.Event]) -> bytes:
    return "\n".join(json.dumps(e.as_dict()) for e in events).encode()


def test_tokens_are_those_of_the_batch_on_the_same_segments() -> None:
    times, values = made(0)
    codebook = book(values)
    monitor = Monitor(PLAIN, codebook=codebook)
    events = monitor.push("wrist", times, values) + monitor.close()
    segments = [e for e in events if e.event == "segment" and e.final]
    tokens = [e for e in events if e.event == "token"]
    assert [(t.start, t.end) for t in tokens] == [(s.start, s.end) for s in segments]
    assert len({t.code for t in tokens}) > 2
    half = len(times) // 2
    stream = Stream(
        values, 50.0, channels=("level", "other"), run_index=[0, half], run_start=[0.0, times[half]]
    )
    cuts = np.searchsorted(times, [s.start for s in segments])
    known = align.tokenize(stream, Segmentation.of(stream, cuts), codebook)
    assert [t.code for t in tokens] == known.codes.tolist()
    assert [t.name for t in tokens] == [codebook.names[c] for c in known.codes]
    assert tokens[0].as_dict()["code"] == tokens[0].code and "note" not in tokens[0].as_dict()


@pytest.mark.parametrize("seed", range(2))
def test_R01_R03_tokens_do_not_depend_on_pushes_or_restarts(seed) -> None:
    times, values = made(seed)
    codebook = book(values)
    monitor = Monitor(PLAIN, codebook=codebook)
    whole = as_bytes(monitor.push("wrist", times, values) + monitor.close())
    for size in (3, 333):
        monitor, events = Monitor(PLAIN, codebook=codebook), []
        for i in range(0, len(times), size):
            if i % (3 * size) == 0:
                monitor = Monitor.from_bytes(monitor.as_bytes(), codebook=codebook)
            events += monitor.push("wrist", times[i : i + size], values[i : i + size])
        assert as_bytes(events + monitor.close()) == whole


def test_a_segment_longer_than_the_horizon_is_marked() -> None:
    codebook = book(made(1)[1])
    flat = np.random.default_rng(3).standard_normal((2_000, 2))
    flat[1_900:] += 9.0
    said = {}
    for size in (2_000, 13):
        monitor, events = Monitor(PLAIN, codebook=codebook), []
        for i in range(0, 2_000, size):
            events += monitor.push("wrist", np.arange(i, min(2_000, i + size)) / 50, flat[i : i + size])
        said[size] = [e for e in events + monitor.close() if e.event == "token"]
    assert as_bytes(said[2_000]) == as_bytes(said[13])
    assert [(t.start, t.why) for t in said[13]] == [(0.0, "horizon"), (38.0, "")]


def test_a_stream_that_the_codebook_does_not_know_is_said_once() -> None:
    times, values = made(2)
    other = StreamSettings(rate=50.0, noise=1.0, lateness=0.0, horizon=256)
    monitor = Monitor(other, {"wrist": PLAIN}, codebook={"wrist": book(values), "ankle": book(values)})
    events = monitor.push("ankle", times, values) + monitor.push("wrist", times, values)
    events += monitor.push("heart", times, values) + monitor.close()
    assert [e.why for e in events if e.event == "degraded" and e.stream == "ankle"] == ["codebook"]
    assert {e.stream for e in events if e.event == "token"} == {"wrist"}


def test_R15_names_of_another_number_of_channels_are_refused() -> None:
    monitor = Monitor(PLAIN)
    before = monitor.as_bytes()
    with pytest.raises(align.AlignError, match="E-SCHEMA-CHANGE"):
        monitor.push("wrist", [0.0], [[1.0, 2.0, 3.0]])
    assert monitor.as_bytes() == before


def test_R12_a_state_wants_its_codebook_back() -> None:
    _, values = made(0)
    codebook = book(values)
    data = Monitor(PLAIN, codebook=codebook).as_bytes()
    with pytest.raises(align.AlignError, match="codebook was there, is not there") as raised:
        Monitor.from_bytes(data)
    assert raised.value.code == "E-STATE-MISMATCH"
    with pytest.raises(align.AlignError, match="codebook was another one"):
        Monitor.from_bytes(data, codebook=book(made(5)[1]))
