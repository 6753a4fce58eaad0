"""Events -> alerts: hysteresis, rate, acknowledgement, patterns, silence; all of it in the monitor's state."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from align.answers import Codebook
from align.errors import ParameterError
from align.monitor import Event, Monitor, StreamSettings
from align.monitor.voice import Voice
from align.rules import Judge, PatternRule, PhraseRule, Rules, SilenceRule


class Told:
    """A judge with its voice, and short words for what it is told."""

    def __init__(self, *rules: Any) -> None:
        self.voice = Voice()
        kinds = {PhraseRule: "phrases", PatternRule: "patterns", SilenceRule: "silences"}
        sorted_in: dict[str, list[Any]] = {}
        for rule in rules:
            sorted_in.setdefault(kinds[type(rule)], []).append(rule)
        self.rules = Rules(**{k: tuple(v) for k, v in sorted_in.items()})
        self.judge = Judge(self.rules, self.voice.said)

    def restart(self) -> None:
        state = json.loads(json.dumps(self.judge.state()))
        self.judge = Judge(self.rules, self.voice.said)
        self.judge.restore(state)

    def match(self, start: float, end: float, **about: Any) -> tuple[Event, list[tuple[str, str]]]:
        self.restart()
        event = self.voice.said("match", start, end, name="fall", probability=0.9, **about)
        return event, [(e.event, e.why) for e in self.judge.take(event)]

    def token(self, code: int, start: float, name: str = "") -> list[Event]:
        self.restart()
        event = Event(0, "token", "wrist", start, start + 1.0, True, None, None, code=code, name=name)
        return list(self.judge.take(event))


def test_a_match_alerts_once_it_has_lasted_and_is_cleared_when_final() -> None:
    told = Told(PhraseRule("fall", min_duration=2.0))
    first, said = told.match(10.0, 11.0, final=False)
    assert said == []
    second, said = told.match(10.0, 12.5, final=False, revises=first.seq)
    assert said == [("alert", "")]
    third, said = told.match(10.0, 14.0, final=False, revises=second.seq)
    assert said == []
    assert told.match(10.0, 14.0, revises=third.seq)[1] == [("cleared", "final")]
    assert told.match(20.0, 20.5)[1] == []


def test_a_match_that_is_withdrawn_clears_its_alert() -> None:
    told = Told(PhraseRule("fall"))
    first, said = told.match(10.0, 11.0, final=False)
    assert said == [("alert", "")]
    gone = told.voice.said("withdrawn", 10.0, 11.0, revises=first.seq, name="fall")
    (cleared,) = told.judge.take(gone)
    assert (cleared.event, cleared.why, cleared.revises, cleared.name) == ("cleared", "withdrawn", 1, "fall")
    assert list(told.judge.take(gone)) == []


def test_alerts_keep_their_rate_and_say_what_was_held_back() -> None:
    told = Told(PhraseRule("fall", every=60.0))
    assert told.match(0.0, 1.0)[1] == [("alert", ""), ("cleared", "final")]
    assert told.match(30.0, 31.0)[1] == [] == told.match(59.0, 61.0)[1]
    assert told.match(60.0, 61.0)[1] == [("alert", "2 held back"), ("cleared", "final")]
    told.judge.set_back()
    assert told.match(5.0, 6.0)[1][0] == ("alert", "")


def test_a_held_rule_waits_for_somebody() -> None:
    told = Told(PhraseRule("fall", hold=True))
    assert told.match(0.0, 1.0)[1][0] == ("alert", "")
    assert told.match(900.0, 901.0)[1] == []
    (seen,) = told.judge.acknowledge("fall")
    assert (seen.event, seen.name, seen.start) == ("acknowledged", "fall", 0.0)
    assert list(told.judge.acknowledge("fall")) == []
    assert told.match(950.0, 951.0)[1][0] == ("alert", "1 held back")
    with pytest.raises(ParameterError, match="nearest known one is fall"):
        list(told.judge.acknowledge("fal"))


def test_a_pattern_is_codes_and_names_in_a_row() -> None:
    told = Told(PatternRule("restless", "wrist", (3, "*low*", 3), within=10.0))
    for code, start, name in ((3, 0.0, ""), (1, 1.0, "a1 high"), (3, 2.0, ""), (2, 3.0, "a2 low")):
        assert told.token(code, start, name) == []
    (alert,) = told.token(3, 4.0)
    assert (alert.event, alert.name, alert.start, alert.end) == ("alert", "restless", 2.0, 5.0)
    assert told.token(2, 20.0, "low") == [] == told.token(3, 30.0)  # too slow
    told = Told(PatternRule("twice", "wrist", (3, 3)))
    assert told.token(3, 0.0) == []
    list(told.judge.take(Event(0, "gap", "wrist", 1.0, 9.0, True, None, None)))
    assert told.token(3, 9.0) == []
    assert [e.event for e in told.token(3, 10.0)] == ["alert"]


QUIET = StreamSettings(rate=10.0, noise=1.0, lateness=0.0)
SILENT = Rules(silences=(SilenceRule("no wrist", "wrist", 5.0), SilenceRule("no ankle", "ankle", 20.0)))


def alerts(events: list[Event]) -> list[tuple[str, str, float, float]]:
    return [(e.event, e.name, e.start, e.end) for e in events if e.event in ("alert", "cleared")]


def test_R06_silence_is_said_by_heartbeats_gaps_and_other_streams() -> None:
    monitor = Monitor(QUIET, rules=SILENT)
    events = monitor.push("wrist", [0.0, 1.0], [0.0, 0.0])
    assert alerts(events + monitor.heartbeat("wrist", 6.0)) == []
    assert alerts(monitor.heartbeat("wrist", 6.5)) == [("alert", "no wrist", 1.0, 6.0)]
    assert alerts(monitor.heartbeat("wrist", 9.0)) == []
    assert alerts(monitor.push("wrist", [10.0], [0.0])) == [("cleared", "no wrist", 1.0, 10.0)]
    assert alerts(monitor.push("wrist", [18.0], [0.0])) == [
        ("alert", "no wrist", 10.0, 15.0),
        ("cleared", "no wrist", 10.0, 18.0),
    ]
    said = monitor.push("heart", [19.0, 22.0, 23.5], [0.0, 0.0, 0.0])  # the ankle never began
    assert alerts(said) == [("alert", "no ankle", 0.0, 20.0), ("alert", "no wrist", 18.0, 23.0)]
    assert alerts(monitor.push("ankle", [24.0], [0.0])) == [("cleared", "no ankle", 0.0, 24.0)]


@pytest.mark.parametrize("size", [1, 7, 50])
def test_R01_R03_rules_do_not_depend_on_pushes_or_restarts(size) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([0.1, 7.0, 25.0], 600, p=[0.97, 0.02, 0.01]))
    values = rng.standard_normal(600) + np.repeat(rng.choice([0.0, 9.0, -9.0], 30), 20)
    rules = Rules(silences=SILENT.silences, patterns=(PatternRule("up", "wrist", ("*",) * 2, every=3.0),))
    slow = StreamSettings(rate=10.0, noise=1.0, lateness=0.0)
    features = ("0.mean", "0.sd", "0.slope", "0.change")
    book = Codebook(
        np.array([[-9.0, 1, 0, 10], [0, 1, 0, 10], [9, 1, 0, 10]]),
        np.zeros(4),
        np.ones(4),
        features,
        ("low", "middle", "high"),
    )

    def run(step: int, restart: bool) -> list[str]:
        monitor, events = Monitor(slow, codebook=book, rules=rules), []
        for i in range(0, 600, step):
            events += monitor.push("wrist", times[i : i + step], values[i : i + step])
            if restart:
                monitor = Monitor.from_bytes(monitor.as_bytes(), codebook=book, rules=rules)
        return [json.dumps(e.as_dict()) for e in events + monitor.close()]

    whole = run(600, False)
    assert any('"alert"' in line and '"up"' in line for line in whole) and any(
        "no wrist" in line for line in whole
    )
    assert run(size, size > 1) == whole


def test_a_monitor_without_rules_has_nothing_to_acknowledge() -> None:
    with pytest.raises(ParameterError):
        Monitor().acknowledge("fall")
    monitor = Monitor(rules=SILENT)
    assert monitor.acknowledge("no wrist") == []
