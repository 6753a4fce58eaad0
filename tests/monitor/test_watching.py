"""Links of notes and matches of phrases while streams come in: provisional, then final, the same for any pushes."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import align
from align.errors import AlignError, ParameterError
from align.monitor import Event, Monitor, StreamSettings, WatchSettings
from align.rules import PhraseRule, Rules
from tests.coordination.sessions import RATE, made_session

QUICK = StreamSettings(rate=RATE, lateness=0.5, warm_up=64, channels=("a", "b"))
LOOKS = WatchSettings(window=60.0, every=2.0, settle=15.0, max_wait=5.0)
RULES = Rules(
    phrases=(
        PhraseRule("held it high", on=0.5),
        PhraseRule("fast", "shook it fast", on=0.6, min_duration=2.0),
    )
)


def new(model, data: bytes | None = None) -> Monitor:
    if data is None:
        return Monitor(QUICK, model=model, rules=RULES, watching=LOOKS)
    return Monitor.from_bytes(data, model, rules=RULES, watching=LOOKS)


def told(model, session, size: int, restart: int = 0) -> list[Event]:
    """All events of a session that comes in pieces, each note when its time has come."""
    (stream,) = session.streams
    monitor, events, notes = new(model), [], list(session.notes)
    times, values = stream.times(), np.asarray(stream.values, np.float64)
    ends = {int(np.searchsorted(times, n.time.likely)) for n in notes}
    ends = sorted({*range(size, len(times), size), *ends, len(times)})
    low = 0
    for k, high in enumerate(ends):
        if restart and k % restart == 0:
            monitor = new(model, monitor.as_bytes())
        events += monitor.push("wrist", times[low:high], values[low:high])
        while notes and (high == len(times) or times[high] >= notes[0].time.likely):
            events += monitor.note(notes[0].text, notes.pop(0).time.likely)
        low = high
    return events + monitor.close()


def as_bytes(events: list[Event]) -> list[str]:
    return [json.dumps(e.as_dict(), allow_nan=False) for e in events]


@pytest.fixture(scope="module")
def session():
    return made_session(11, timed=True)


@pytest.fixture(scope="module")
def whole(model, session) -> list[Event]:
    return told(model, session, 10_000)


def test_every_note_gets_one_final_link_near_the_truth(whole, session) -> None:
    links = [e for e in whole if e.event == "link"]
    final = {e.note: e for e in links if e.final}
    assert sorted(final) == list(range(len(session.notes)))
    assert len([e for e in links if e.final]) == len(final)
    overlaps = [
        max(0.0, min(e.end, s.end) - max(e.start, s.start)) / (max(e.end, s.end) - min(e.start, s.start))
        for e, s in ((final[i], s) for i, s in enumerate(session.truth))
    ]
    assert np.mean(overlaps) > 0.5
    known = {e.seq: e for e in whole if e.stream == ""}
    assert all(known[e.revises].note == e.note for e in links if e.revises is not None)
    assert any(not e.final for e in links)


def test_a_provisional_link_is_said_anew_only_when_there_is_news(model, whole) -> None:
    links = [e for e in whole if e.event == "link"]
    again = [
        (e, next(o for o in links if o.seq == e.revises))
        for e in links
        if e.revises is not None and not e.final
    ]
    assert again
    for new, old in again:
        moved = max(abs(new.start - old.start), abs(new.end - old.end))
        assert new.status != old.status or moved >= 0.5 * model.layout.hop


def test_a_watched_phrase_is_seen_and_raises_an_alert(whole, session) -> None:
    matches = [e for e in whole if e.event == "match" and e.final and e.name == "held it high"]
    truth = [s for s in session.truth if s.text == "held it high"]
    hits = [
        any(min(m.end, s.end) - max(m.start, s.start) > 0.5 * (s.end - s.start) for m in matches)
        for s in truth
    ]
    assert truth and np.mean(hits) >= 0.5
    alerts = [e for e in whole if e.event == "alert"]
    cleared = {e.revises for e in whole if e.event == "cleared"}
    assert alerts and {e.seq for e in alerts} == cleared
    ends = [(e.start, e.end) for e in matches]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ends))
    assert [e.seq for e in whole if e.stream == ""] == list(range(sum(e.stream == "" for e in whole)))


@pytest.mark.parametrize(("size", "restart"), [(1, 0), (37, 1), (211, 0)])
def test_R01_R03_looks_do_not_depend_on_pushes_or_restarts(model, session, whole, size, restart) -> None:
    again = told(model, session, size, restart)
    assert as_bytes([e for e in again if e.stream]) == as_bytes([e for e in whole if e.stream])
    assert as_bytes([e for e in again if not e.stream]) == as_bytes([e for e in whole if not e.stream])


def test_S14_the_state_holds_no_text(model) -> None:
    monitor = new(model)
    monitor.push("wrist", np.arange(100) / RATE, np.zeros((100, 2)))
    monitor.note("canary-7f3 shook it fast", 9.0)
    data = monitor.as_bytes()
    assert b"canary" not in data and b"shook" not in data


def test_notes_out_of_reach_and_without_data_are_answered(model) -> None:
    monitor = new(model)
    values = np.random.default_rng(0).standard_normal((1_000, 2))
    events = monitor.push("wrist", np.arange(1_000) / RATE, values)
    events += monitor.note("lay still", 3.0) + monitor.note("", 99.0) + monitor.note("shook it fast", 200.0)
    events += monitor.push("wrist", 600 + np.arange(100) / RATE, values[:100]) + monitor.close()
    status = {e.note: e.status for e in events if e.event == "link" and e.final}
    assert status == {0: "outside", 1: "empty", 2: "unobservable"}


def test_a_model_that_reads_none_of_it_is_said_once_and_the_streams_go_on(model) -> None:
    other = StreamSettings(rate=RATE, noise=1.0, lateness=0.0, channels=("spo2", "temperature"))
    monitor = Monitor(QUICK, {"chest": other}, model, rules=RULES, watching=LOOKS)
    values = np.random.default_rng(0).standard_normal((600, 2))
    values[300:] += 9.0
    events = monitor.push("chest", np.arange(600) / RATE, values)
    assert [e.why[:7] for e in events if e.event == "degraded"] == ["E-MODEL"]
    assert [e.start for e in events + monitor.close() if e.event == "segment" and e.final] == [0.0, 30.0]


def test_a_stream_that_falls_behind_holds_looks_back_for_max_wait_only(model) -> None:
    slow, values = StreamSettings(rate=1.0, noise=1.0, lateness=0.0), np.zeros((600, 2))
    monitor = Monitor(QUICK, {"other": slow}, model, rules=RULES, watching=LOOKS)
    monitor.push("other", [0.0], [0.0])
    monitor.push("wrist", np.arange(60) / RATE, values[:60])
    assert monitor.watermark("") is None  # both are at the beginning: nothing is due
    monitor.push("wrist", 6 + np.arange(200) / RATE, values[:200])
    reached = monitor.watermark("")
    assert reached is not None and 26 - 5 - 2 - 15 - 2 <= reached <= 26 - 5 - 15


def test_looks_that_are_shed_are_said(model) -> None:
    monitor = new(model)
    monitor.push("wrist", np.arange(100) / RATE, np.zeros((100, 2)))
    (event,) = monitor.shed(40.0)
    assert (event.event, event.why, event.end) == ("degraded", "slow", 40.0)
    assert monitor.shed(30.0) == []
    values = np.random.default_rng(0).standard_normal((300, 2))
    said = monitor.push("wrist", 10 + np.arange(299) / RATE, values[:299])
    assert not [e for e in said if e.event in ("match", "link")]
    assert Monitor(QUICK).shed(9.0) == []


def test_phrases_want_a_model(model) -> None:
    with pytest.raises(ParameterError, match="phrases with a model only"):
        Monitor(QUICK, rules=RULES)
    with pytest.raises(AlignError, match="model was there, is not there"):
        Monitor.from_bytes(new(model).as_bytes(), rules=Rules())
    with pytest.raises(ParameterError):
        WatchSettings(window=10.0)
    assert align.Monitor is Monitor
