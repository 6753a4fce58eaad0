"""The live run: whatever it dies of and wherever, its output is that of a run that never died."""

from __future__ import annotations

import io
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from align.errors import AlignError, ResourceError
from align.monitor import Monitor, StreamSettings
from pipelines import generations
from pipelines import monitor as module
from pipelines.engine import Engine
from pipelines.health import Health
from pipelines.logs import Log
from pipelines.monitor import Plan
from pipelines.sinks import FileSink, StdoutSink
from pipelines.sources import Taken
from tests.pipelines.live import PLAN, SETTINGS, ListSource, kept, lines, live, uninterrupted


class DiedError(BaseException):
    """Stands for SIGKILL: no handler of errors may catch it."""


def test_the_file_holds_what_one_push_of_everything_says(tmp_path: Path) -> None:
    given, out = lines(), tmp_path / "out"
    assert uninterrupted(given).count(b'"segment"') > 8
    how, _ = live(tmp_path / "state", ListSource(given), out)
    assert how == "ended" and out.read_bytes() == uninterrupted(given)
    last = kept(tmp_path / "state")
    assert last.ended and last.waiting == () and last.source["position"] == {"at": len(given)}


def test_R01_dying_at_any_call_that_writes_and_coming_back_changes_no_byte(tmp_path: Path) -> None:
    given = lines(160)
    whole = uninterrupted(given)
    real = {
        name: getattr(os, name) for name in ("write", "pwrite", "fsync", "replace", "rename", "ftruncate")
    }
    deaths = 0
    for fatal in range(1, 60, 3):
        left = [fatal]

        def mortal(name: str, left: list[int] = left) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    if name == "pwrite":  # half of it is there
                        real[name](args[0], args[1][: len(args[1]) // 2], args[2])
                    raise DiedError
                return real[name](*args, **more)

            return call

        state, out = tmp_path / f"state{fatal}", tmp_path / f"out{fatal}"
        with pytest.MonkeyPatch.context() as patch:
            for name in real:
                patch.setattr(os, name, mortal(name))
            try:
                live(state, ListSource(given, 20, pressed=True), out)
            except DiedError:
                deaths += 1
        live(state, ListSource(given, 20), out)
        assert out.read_bytes() == whole, fatal
    assert deaths > 8


def test_a_source_is_told_only_when_all_it_gave_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, seen = ListSource(lines(200)), []
    commit = generations.StateFolder.commit

    def watched(self: generations.StateFolder, generation: generations.Generation) -> int:
        assert source.acknowledged <= seen[-1] if seen else source.acknowledged == 0
        size = commit(self, generation)
        seen.append(generation.source["position"]["at"])
        return size

    monkeypatch.setattr(generations.StateFolder, "commit", watched)
    live(tmp_path / "state", source, tmp_path / "out")
    assert source.acknowledged == len(source.given) and len(seen) >= 3


def test_R02_a_damaged_state_falls_back_and_says_so(tmp_path: Path) -> None:
    given, out, state = lines(), tmp_path / "out", tmp_path / "state"
    polls = iter(range(12))
    live(state, ListSource(given), out, stopped=lambda: next(polls, None) is None)
    (state / "state").write_bytes((state / "state").read_bytes()[:-9])
    (tmp_path / "elsewhere").write_bytes(out.read_bytes())
    try:
        _, log = live(state, ListSource(given), out)
    except AlignError as error:  # the file may be ahead of the older generation by more than its outbox
        assert error.code == "E-SINK-CHANGED"
        os.rename(out, tmp_path / "out.0")
        _, log = live(state, ListSource(given), out)
    warned = [line for line in log if line["code"] == "W-STATE-PREVIOUS"]
    assert len(warned) == 1 and warned[0]["level"] == "warning" and warned[0]["cause"] == "E-CHECKSUM"


def test_R05_what_comes_twice_is_said_once(tmp_path: Path) -> None:
    given = lines()
    twice = [
        line
        for i, line in enumerate(given)
        for line in ([line, given[max(0, i - 3)]] if i % 3 == 0 else [line])
    ]
    live(tmp_path / "state", ListSource(twice), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)
    numbered = [
        json.dumps(
            {"stream": "a", "t": [i / 50, (i + 1) / 50], "v": [0.0, 9.0 * (i > 100)], "seq": i}
        ).encode()
        for i in range(0, 200, 2)
    ]
    live(tmp_path / "state2", ListSource(numbered + numbered[:60]), tmp_path / "out2")
    assert (tmp_path / "out2").read_bytes() == uninterrupted(numbered)


def test_R06_a_silent_stream_is_final_after_max_wait_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("pipelines.engine.time.monotonic", lambda: now[0])
    engine = Engine(Monitor(SETTINGS), Health(), Log(io.StringIO()), max_wait=5.0)
    row = b'{"stream": "%s", "t": %f, "v": 1}'
    assert engine.take([Taken(i, row % (b"a", i / 50)) for i in range(50)]) == []
    engine.take([Taken(1, row % (b"b", 0.0))])
    now[0] += 4.0
    assert engine.beat() == []
    engine.take([Taken(2, row % (b"b", 4.0))])
    now[0] += 2.0
    said = [json.loads(line) for line in engine.beat()]
    assert [(e["stream"], e["event"], e["end"], e["final"]) for e in said] == [("a", "segment", 1.0, True)]
    assert engine.beat() == [], "said once"
    restored = Engine(Monitor(SETTINGS), Health(), Log(io.StringIO()))
    restored.take([Taken(1, row % (b"a", 0.0))])
    now[0] += 1e6
    assert restored.beat() == [], "without --max-wait a stream may be silent for ever"


def test_R08_an_outbox_that_is_full_stops_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_LINES", 10)

    class Slow(FileSink):
        shut, most = True, 0

        def deliver(self, numbered: Sequence[tuple[int, bytes]]) -> int:
            self.most = max(self.most, len(numbered))
            return 0 if self.shut else super().deliver(numbered)

    given = lines(800)
    source, sink = ListSource(given), Slow(tmp_path / "out")
    rounds = iter(range(400))

    def opening() -> bool:
        if next(rounds, None) is None and sink.shut:
            assert source.at < len(given) // 2, "it read on"
            assert sink.most < 10 + 20
            sink.shut = False
        return False

    assert live(tmp_path / "state", source, sink, stopped=opening)[0] == "ended"
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)


def test_R07_without_a_reader_the_state_is_kept_and_nothing_is_lost(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    given = lines()
    with pytest.raises(BrokenPipeError):
        live(tmp_path / "state", ListSource(given), StdoutSink(writing))
    os.close(writing)
    assert kept(tmp_path / "state").waiting
    live(tmp_path / "state", ListSource(given), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)


def test_R10_the_wall_clock_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter([0, 3600, -3600, 1e9] * 100_000)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(hours))
    given = lines()
    live(tmp_path / "state", ListSource(given), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)


def test_R12_other_settings_are_named_field_by_field_and_migrate_goes_on_behind(tmp_path: Path) -> None:
    given, state, out = lines(), tmp_path / "state", tmp_path / "out"
    polls = iter(range(20))
    live(state, ListSource(given), out, stopped=lambda: next(polls, None) is None)
    before = out.read_bytes()
    other = StreamSettings(rate=50.0, noise=2.0, lateness=0.5, horizon=256)
    with pytest.raises(AlignError) as caught:
        live(state, ListSource(given), out, Plan(other))
    assert caught.value.code == "E-STATE-MISMATCH" and caught.value.exit_code == 3
    assert "lateness was 0.1, is 0.5; noise was 1.0, is 2.0" in caught.value.message
    assert out.read_bytes() == before
    live(state, ListSource(given), out, Plan(other, checkpoint=0.01, migrate=True))
    assert out.read_bytes().startswith(before)
    said = [json.loads(line) for line in out.read_bytes().splitlines()]
    for stream in ("a", "b", ""):
        assert [e["seq"] for e in said if e["stream"] == stream] == list(
            range(sum(e["stream"] == stream for e in said))
        ), "numbers go on"
    first = {(e["stream"], e["seq"]): i for i, e in enumerate(said)}
    assert all(first[e["stream"], e["revises"]] < i for i, e in enumerate(said) if e["revises"] is not None)


def test_R14_sequence_numbers_do_not_wrap(tmp_path: Path) -> None:
    for first in (2**31 - 1, 2**53 - 1):
        rows = [json.dumps({"stream": "a", "t": i / 50, "v": 1, "seq": first + i}).encode() for i in range(5)]
        state = tmp_path / f"state{first}"
        live(state, ListSource([*rows, rows[2]]), tmp_path / f"out{first}", Plan(SETTINGS, keep_open=True))
        counts = Monitor.from_bytes(kept(state).parts["monitor"]).counts()
        assert counts == {"a": {"late": 0, "duplicates": 1, "lost": 0}}


def test_R15_other_channels_are_a_named_error_and_other_streams_go_on(tmp_path: Path) -> None:
    given = lines()
    planted = [*given[:100], b'{"stream": "a", "t": 0.991, "v": [1, 2, 3]}', b"{", *given[100:]]
    _, log = live(tmp_path / "state", ListSource(planted), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)
    found = {(e["code"], e["line"]) for e in log if e["level"] == "error"}
    assert found == {("E-SCHEMA-CHANGE", 101), ("E-JSON", 102)}


def test_a_bad_row_among_good_ones_of_its_stream_is_left_out_alone(tmp_path: Path) -> None:
    rows = [b'{"stream": "a", "t": %f, "v": %d}' % (i / 50, 9 * (i > 60)) for i in range(120)]
    planted = [*rows[:50], b'{"stream": "a", "t": 0.99, "v": 1e300}', *rows[50:]]
    _, log = live(tmp_path / "state", ListSource(planted, 200), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == uninterrupted(rows)
    assert [(e["code"], e["line"]) for e in log if e["level"] == "error"] == [("E-RANGE", 51)]


def test_T06_anchors_are_records_and_what_they_prove_is_said_once_each(tmp_path: Path) -> None:
    shown = [
        b'{"anchor": "b", "t": %d, "reference": "a", "at": %d}' % (60 * k, 60 * k + 2) for k in range(1, 4)
    ]
    bad = b'{"anchor": "b", "t": 1, "reference": "b", "at": 2}'
    given = [*lines(60), *shown, bad, shown[-1]]
    _, log = live(tmp_path / "state", ListSource(given, pressed=True), tmp_path / "out")
    said = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    drifts = [e for e in said if e["event"] == "drift"]
    assert [(e["name"], e["offset"], e["within"]) for e in drifts] == [("b/a", 2.0, 0.0)] * 2
    assert [e["code"] for e in log if e["level"] == "error"] == ["E-PARAM"]
    assert (tmp_path / "out").read_bytes() == uninterrupted(given)


def test_what_ended_is_not_gone_on_with_unless_asked(tmp_path: Path) -> None:
    given, state, out = lines(), tmp_path / "state", tmp_path / "out"
    live(state, ListSource(given), out)
    assert live(state, ListSource(given), out)[0] == "ended", "nothing more came: nothing is said"
    assert out.read_bytes() == uninterrupted(given)
    with pytest.raises(AlignError, match="E-STATE-CLOSED"):
        live(state, ListSource(given + given[:9]), out)
    live(
        state,
        ListSource([*given, b'{"stream": "a", "t": 99, "v": [1, 1]}']),
        out,
        Plan(SETTINGS, migrate=True),
    )
    more = [json.loads(line) for line in out.read_bytes()[len(uninterrupted(given)) :].splitlines()]
    assert [(e["event"], e["final"]) for e in more] == [("segment", True)] and more[0]["seq"] > 5


def test_kept_open_the_rest_comes_with_the_next_start(tmp_path: Path) -> None:
    given, state, out = lines(), tmp_path / "state", tmp_path / "out"
    half = ListSource(given[:201])
    assert live(state, half, out, Plan(SETTINGS, checkpoint=0.01, keep_open=True))[0] == "ended"
    live(state, ListSource(given), out)
    assert out.read_bytes() == uninterrupted(given)


def test_R16_a_crash_loop_grows_no_file(tmp_path: Path) -> None:
    state, given = tmp_path / "state", lines(60)
    sizes = set()
    for _ in range(40):
        live(state, ListSource(given), tmp_path / "out", Plan(SETTINGS, keep_open=True))
        sizes.add(sum(p.stat().st_size for p in state.iterdir()) // 1000)
        assert len(list(state.iterdir())) == 3
    assert max(sizes) - min(sizes) <= 1


def test_X01_a_full_disk_ends_it_with_the_last_state_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, state, out = lines(), tmp_path / "state", tmp_path / "out"
    real, count = os.pwrite, iter(range(2))

    def full(*args: Any) -> int:
        if next(count, None) is None:
            raise OSError(28, "full")
        return real(*args)

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(ResourceError, match="E-NO-SPACE"):
            live(state, ListSource(given, pressed=True), out)
    live(state, ListSource(given), out)
    assert out.read_bytes() == uninterrupted(given)


def test_S14_no_text_of_a_note_is_kept_and_no_litter(tmp_path: Path) -> None:
    given = [line.replace(b"remark", b"CANARY-7f3a") for line in lines()]
    assert sum(b"CANARY-7f3a" in line for line in given) == 3
    _, log = live(tmp_path / "state", ListSource(given), tmp_path / "out")
    everything = (
        b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()) + json.dumps(log).encode()
    )
    assert b"CANARY" not in everything and b"remark" not in everything
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == [
        "holder.json",
        "state",
        "state.previous",
    ]


def test_S11_without_a_broker_or_address_no_socket_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*args: object, **more: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", none)
    live(tmp_path / "state", ListSource(lines(50)), tmp_path / "out")


def test_the_code_is_ready_before_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    push, close = Monitor.push, Monitor.close
    monkeypatch.setattr(Monitor, "push", lambda *a, **k: seen.extend(found := push(*a, **k)) or found)
    monkeypatch.setattr(Monitor, "close", lambda *a, **k: seen.extend(found := close(*a, **k)) or found)
    for chosen in (StreamSettings(), SETTINGS, StreamSettings(noise=30.0, rate=1000.0, horizon=300)):
        seen.clear()
        module.warm_up(chosen)
        assert sum(e.event == "segment" and e.final for e in seen) > 1, "the search was not reached"


def test_a_plan_says_what_it_allows() -> None:
    for wrong in ({"checkpoint": 0.0}, {"checkpoint": float("nan")}, {"max_wait": -1.0}):
        with pytest.raises(AlignError, match="E-PARAM"):
            Plan(**wrong)
    assert PLAN.max_wait is None
