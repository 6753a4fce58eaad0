"""The live engine: the same bytes whatever the pushes and wherever it was killed; nothing lost, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align
from align.errors import AlignError, InputError, ParameterError
from align.monitor import Event, Monitor, StreamSettings
from align.sealed import opened, sealed

QUICK = StreamSettings(rate=50.0, noise=1.0, lateness=0.1, horizon=256)


def made(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps in noise with missing cells, a gap, rows out of order, twice and late."""
    rng = np.random.default_rng(seed)
    every = int(rng.integers(40, 200))
    values = rng.standard_normal((n, d)) + np.repeat(rng.normal(0, 4, (n // every + 1, d)), every, axis=0)[:n]
    values[rng.random((n, d)) < 0.02] = np.nan
    values[: n // 3, 0] = 1.0  # a channel that wakes up late
    times = np.arange(n) / 50.0
    times[int(rng.integers(0, n)) :] += rng.choice([0.0, 3.0, 86_400.0])
    order = np.argsort(np.arange(n) + rng.uniform(0, 4, n), kind="stable")
    order = np.insert(order, rng.integers(0, n, n // 20), rng.integers(0, n, n // 20))
    return times[order], values[order]


def as_bytes(events: list[Event]) -> bytes:
    return "\n".join(json.dumps(event.as_dict()) for event in events).encode()


def run(monitor: Monitor, times: np.ndarray, values: np.ndarray, cuts: object = ()) -> bytes:
    parts = zip(np.split(times, cuts), np.split(values, cuts), strict=True)
    return as_bytes([e for t, v in parts for e in monitor.push("wrist", t, v)] + monitor.close())


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([None, QUICK]), st.data())
def test_R03_pushes_of_any_size_give_the_same_bytes(seed, chosen, data) -> None:
    n, d = 500, 1 + seed % 3
    times, values = made(seed, n, d)
    whole = run(Monitor(chosen), times, values)
    assert b'"segment"' in whole
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=20)))
    assert run(Monitor(chosen), times, values, cuts) == whole
    for size in (1, 2, 7, 101):
        assert run(Monitor(chosen), times, values, np.arange(size, len(times), size)) == whole


@pytest.mark.parametrize("chosen", [QUICK, StreamSettings(warm_up=64, lateness=0.1, horizon=256)])
def test_R01_restored_at_every_sample_gives_the_same_bytes(chosen) -> None:
    times, values = made(1, 400, 8)
    whole = run(Monitor(chosen), times, values)
    monitor, events = Monitor(chosen), []
    for i in range(len(times)):
        monitor = Monitor.from_bytes(monitor.as_bytes())
        events += monitor.push("wrist", times[i], values[i])
    assert as_bytes(events + monitor.close()) == whole


def test_a_snapshot_says_what_closing_would_and_changes_nothing() -> None:
    times, values = made(2, 500, 2)
    monitor = Monitor(QUICK)
    monitor.push("wrist", times, values)
    before = monitor.as_bytes()
    seen = monitor.snapshot()
    assert monitor.as_bytes() == before
    closed = monitor.close()
    assert seen and not any(e.final for e in seen)
    assert [(e.event, e.start, e.end) for e in seen] == [(e.event, e.start, e.end) for e in closed]
    assert monitor.snapshot() == [] == monitor.close()


def test_streams_do_not_wait_for_each_other() -> None:
    times, values = made(3, 400, 2)
    alone = run(Monitor(QUICK), times, values)
    monitor, events = Monitor(QUICK, {"slow": StreamSettings(rate=1.0, noise=1.0)}), []
    monitor.push("slow", [0.0], [1.0])
    for i in range(0, len(times), 50):
        events += monitor.push("wrist", times[i : i + 50], values[i : i + 50])
    events += [e for e in monitor.close() if e.stream == "wrist"]
    assert as_bytes(events) == alone


def test_R05_a_redelivered_push_says_nothing() -> None:
    monitor = Monitor(QUICK)
    times, values = np.arange(300) / 50, np.zeros((300, 1))
    monitor.push("wrist", times, values)
    assert monitor.push("wrist", times[100:], values[100:]) == []
    assert monitor.counts() == {"wrist": {"late": 0, "duplicates": 200, "lost": 0}}


def test_R04_a_late_row_is_said() -> None:
    monitor = Monitor(QUICK)
    monitor.push("wrist", np.arange(0, 300, 2) / 50, np.zeros(150))
    (late,) = monitor.push("wrist", [1.02], [0.0])
    assert (late.event, late.start, late.final) == ("late", 1.02, True)
    assert monitor.counts()["wrist"]["late"] == 1


def test_R06_a_silent_stream_is_ended_by_a_heartbeat() -> None:
    monitor = Monitor(QUICK)
    monitor.push("wrist", np.arange(100) / 50, np.zeros(100))
    assert monitor.heartbeat("wrist", 2.05) == []
    (segment,) = monitor.heartbeat("wrist", 60.0)
    assert (segment.event, segment.start, segment.final) == ("segment", 0.0, True)
    assert monitor.watermark("wrist") == segment.end == pytest.approx(2.0)
    assert monitor.heartbeat("ankle", 60.0) == [] and monitor.watermark("ankle") is None
    (gap,) = monitor.push("wrist", [99.0, 100.0], [0.0, 0.0])
    assert (gap.event, gap.start, gap.end) == ("gap", segment.end, 99.0)


def test_T07_R10_a_clock_set_back_ends_the_run() -> None:
    monitor = Monitor(QUICK)
    monitor.push("wrist", 1e9 + np.arange(100) / 50, np.zeros(100))
    said = monitor.push("wrist", np.arange(200) / 50, np.zeros(200)) + monitor.close()
    kinds = [e.event for e in said]
    assert kinds == ["late"] * 32 + ["segment", "clock", "segment"]
    assert [(said[32].start, said[33].start, said[33].end, said[34].start)] == [
        (1e9, pytest.approx(1e9 + 1.98), 0.0, 0.0)
    ]
    assert all(e.start <= e.end for e in said if e.event == "segment")


@pytest.mark.parametrize(
    ("code", "times", "values"),
    [
        ("E-SCHEMA-CHANGE", [9.0], [[1.0]]),
        ("E-TIME", [np.nan], [[1.0, 2.0]]),
        ("E-NONFINITE", [9.0], [[1.0, np.inf]]),
        ("E-RANGE", [9.0], [[1.0, 1e200]]),
    ],
)
def test_R15_a_push_that_is_refused_changes_nothing(code, times, values) -> None:
    monitor = Monitor(QUICK)
    monitor.push("wrist", [0.0, 0.02], [[1.0, 2.0], [1.0, 2.0]])
    before = monitor.as_bytes()
    with pytest.raises(InputError) as raised:
        monitor.push("wrist", times, values)
    assert raised.value.code == code
    assert monitor.as_bytes() == before
    monitor.push("wrist", [9.0], [[1.0, np.nan]])
    monitor.push("other", [9.0], [[1.0]])


def test_an_empty_push_is_nothing() -> None:
    monitor = Monitor(QUICK)
    assert monitor.push("wrist", [], np.empty((0, 2))) == []
    assert monitor.push("wrist", [], []) == []
    assert monitor.push("wrist", [0.0], [[1.0, 2.0]]) == []
    with pytest.raises(ParameterError):
        monitor.push("wrist", [0.0, 1.0], [[1.0, 2.0]])
    with pytest.raises(ParameterError):
        monitor.push("", [0.0], [[1.0, 2.0]])


def test_S12_S14_a_note_is_kept_as_a_hash_only() -> None:
    monitor = Monitor()
    (first,) = monitor.note("canary-7f3 felt dizzy", 12.5)
    assert (first.event, first.seq, first.start, first.why) == ("note", 0, 12.5, "0")
    assert monitor.note("canary-7f3 felt dizzy", 12.5) == []
    data = monitor.as_bytes()
    assert b"canary" not in data and b"dizzy" not in data
    again = Monitor.from_bytes(data)
    assert again.note("canary-7f3 felt dizzy", 12.5) == []
    assert [e.seq for e in again.note("canary-7f3 felt dizzy", 13.0)] == [1]
    with pytest.raises(InputError):
        monitor.note("canary", float("nan"))


def test_a_closed_monitor_takes_no_more() -> None:
    monitor = Monitor(QUICK)
    monitor.close()
    with pytest.raises(ParameterError):
        monitor.push("wrist", [0.0], [1.0])
    assert Monitor.from_bytes(monitor.as_bytes()).close() == []


# --- checkpoints


def saved_twice(folder: Path) -> tuple[Path, bytes, bytes]:
    path, monitor = folder / "state", Monitor(QUICK)
    monitor.push("wrist", np.arange(20) / 50, np.zeros(20))
    monitor.save(path)
    old = monitor.as_bytes()
    monitor.push("wrist", 0.4 + np.arange(20) / 50, np.zeros(20))
    monitor.save(path)
    return path, old, monitor.as_bytes()


def test_R16_saving_leaves_two_files_for_the_owner_alone(tmp_path) -> None:
    path, old, new = saved_twice(tmp_path)
    for _ in range(20):
        Monitor.load(path).save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state", "state.previous"]
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_bytes() == new != old


def test_R02_a_checkpoint_cut_or_changed_anywhere_falls_back(tmp_path) -> None:
    path, old, new = saved_twice(tmp_path)
    rng = np.random.default_rng(0)
    flipped = [bytearray(new) for _ in range(150)]
    for data in flipped:
        data[int(rng.integers(0, len(new)))] ^= 1 << int(rng.integers(0, 8))
    for data in [new[:k] for k in range(0, len(new), 37)] + [bytes(data) for data in flipped]:
        path.write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            monitor = Monitor.load(path)
        if caught:
            assert "W-STATE-PREVIOUS" in str(caught[0].message)
            assert monitor.as_bytes() == old
        else:  # a flip in the file's padding: what it holds is untouched
            assert monitor.as_bytes() == new
    path.unlink()
    with pytest.warns(UserWarning, match="E-MISSING"):
        assert Monitor.load(path).as_bytes() == old
    path.with_name("state.previous").unlink()
    with pytest.raises(FileNotFoundError):
        Monitor.load(path)


def test_R12_other_settings_are_named_field_by_field(tmp_path) -> None:
    path, _, _ = saved_twice(tmp_path)
    Monitor.load(path, QUICK)
    with pytest.raises(AlignError, match=r"noise of 'all streams' was 1\.0, is 2\.0") as raised:
        Monitor.load(path, StreamSettings(rate=50.0, noise=2.0, lateness=0.1, horizon=256))
    assert raised.value.code == "E-STATE-MISMATCH"
    with pytest.raises(AlignError, match="E-STATE-MISMATCH"):
        Monitor.load(path, QUICK, {"wrist": StreamSettings()})


def test_a_state_of_another_version_is_refused() -> None:
    about, arrays = opened(Monitor().as_bytes(), "the state", "")
    with pytest.raises(InputError, match="E-STATE-VERSION"):
        Monitor.from_bytes(sealed(about | {"format": "align-monitor/9"}, arrays))


def test_the_monitor_needs_no_torch() -> None:
    code = (
        "import sys, align; m = align.Monitor(); m.push('w', range(900), [0.0] * 450 + [9.0] * 450);"
        "m = type(m).from_bytes(m.as_bytes()); m.close(); print('torch' in sys.modules)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.split() == ["False"]
    assert align.Monitor is Monitor
