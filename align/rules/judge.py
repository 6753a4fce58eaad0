"""A monitor's events -> alerts, by rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from align.datatypes import Floats
from align.errors import ParameterError
from align.rules.records import PatternRule, Rule, Rules, SilenceRule
from align.segmentation.live_events import Event

__all__ = ["Judge"]


class Judge:
    """Raise an alert where a rule says so, and clear it when its reason has gone.

    "alert" has the rule's ``name``, the span that raised it, and ``why`` "3 held back" where alerts before it were
    kept back by ``every`` or ``hold``. "cleared" names the alert in ``revises``: the match is final (``why`` "final")
    or withdrawn ("withdrawn"), the stream speaks again ("heard"). All by the streams' times, never the machine's clock.

    Args:
        rules: what to watch for.
        said: makes the next event (``monitor.voice.Voice.said``).
    """

    def __init__(self, rules: Rules, said: Callable[..., Event]) -> None:
        self._rules, self._said = rules, said
        self._phrases = {rule.name: rule for rule in rules.phrases}
        self._known: dict[str, dict[str, Any]] = {
            rule.name: {"last": None, "held": 0, "waits": False} for rule in rules.every
        }
        self._open: dict[int, int] = {}  # seq of a match -> seq of its alert
        self._recent: dict[str, list[tuple[int, str, float, float]]] = {}  # tokens by stream
        self._deepest = max((len(rule.tokens) for rule in rules.patterns), default=0)
        self._begun: float | None = None
        self._heard: dict[str, float] = {}  # last row by stream
        self._silent: dict[str, tuple[int | None, float]] = {}  # by rule: seq of the alert, last row

    def take(self, event: Event) -> Iterator[Event]:
        """What an event of the monitor raises or clears.

        Args:
            event: any.
        """
        if event.event == "match":
            yield from self._matched(event)
        elif event.event == "withdrawn" and event.stream == "" and event.revises in self._open:
            alert = self._open.pop(event.revises)
            yield self._said(
                "cleared", event.start, event.end, revises=alert, name=event.name, why="withdrawn"
            )
        elif event.event == "token":
            yield from self._token(event)
        elif event.event in ("gap", "clock"):
            self._recent.pop(event.stream, None)

    def _matched(self, event: Event) -> Iterator[Event]:
        rule = self._phrases.get(event.name)
        if rule is None:
            return
        alert = None if event.revises is None else self._open.pop(event.revises, None)
        if alert is None and event.end - event.start >= rule.min_duration:
            raised = self._raised(rule, event.start, event.end, event.probability)
            if raised is not None:
                alert = raised.seq
                yield raised
        if alert is not None and event.final:
            yield self._said("cleared", event.start, event.end, revises=alert, name=rule.name, why="final")
        elif alert is not None:
            self._open[event.seq] = alert

    def _token(self, event: Event) -> Iterator[Event]:
        if not self._deepest or event.code is None:
            return
        recent = self._recent.setdefault(event.stream, [])
        recent.append((event.code, event.name, event.start, event.end))
        del recent[: -self._deepest]
        for rule in self._rules.patterns:
            if rule.stream == event.stream and _fits(rule, recent):
                raised = self._raised(rule, recent[-len(rule.tokens)][2], event.end)
                if raised is not None:
                    yield raised

    def _raised(self, rule: Rule, start: float, end: float, probability: float | None = None) -> Event | None:
        known = self._known[rule.name]
        early = known["last"] is not None and start < known["last"] + rule.every
        if early or known["waits"]:
            known["held"] += 1
            return None
        why = f"{known['held']} held back" if known["held"] else ""
        known.update(last=start, held=0, waits=rule.hold)
        return self._said("alert", start, end, name=rule.name, probability=probability, why=why)

    def acknowledge(self, name: str) -> Iterator[Event]:
        """Somebody has seen the alerts of a rule: with ``hold`` it may raise others from now on.

        Args:
            name: of the rule.

        Raises:
            ParameterError: there is no such rule; the nearest one is named.
        """
        if name not in self._known:
            near = get_close_matches(name, self._known, n=1, cutoff=0.4)
            hint = f"the nearest known one is {near[0]}" if near else ""
            raise ParameterError("name", name, "the name of a rule", hint=hint)
        known = self._known[name]
        if known["waits"]:
            known["waits"] = False
            yield self._said("acknowledged", known["last"], known["last"], name=name)

    def set_back(self) -> None:
        """A clock was set back: what was ahead of it no longer holds alerts back."""
        for known in self._known.values():
            known["last"] = None
        self._begun, self._heard = None, {}

    # --- silence

    def until(self, stream: str, times: Floats) -> int:
        """How many rows a stream may bring before some silence has lasted too long.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
        """
        count = len(times)
        for rule in self._rules.silences:
            known = rule.name in self._silent
            since = self._since(rule, float(times[0]))
            if rule.stream == stream:  # the first row ends a silence that is known
                long = times > np.concatenate([[since], times[:-1]]) + rule.after
                long[0] &= not known
                count = min(count, int(long.argmax()) if long.any() else count)
            elif not known:
                count = min(count, int(np.searchsorted(times, since + rule.after, side="right")))
        return count

    def reach(self, time: float) -> Iterator[Event]:
        """Time has come so far: what streams have been silent too long.

        Args:
            time: seconds.
        """
        if self._begun is None:
            self._begun = time
        for rule in self._rules.silences:
            since = self._since(rule, time)
            if rule.name not in self._silent and time > since + rule.after:
                raised = self._raised(rule, since, since + rule.after)
                self._silent[rule.name] = None if raised is None else raised.seq, since
                if raised is not None:
                    yield raised

    def hear(self, stream: str, first: float, last: float) -> Iterator[Event]:
        """Rows of a stream have come.

        Args:
            stream: its name.
            first, last: seconds of the first and of the last of them.
        """
        if self._begun is None:
            self._begun = first
        self._heard[stream] = last
        for rule in self._rules.silences:
            if rule.stream == stream and rule.name in self._silent:
                alert, since = self._silent.pop(rule.name)
                if alert is not None:
                    yield self._said(
                        "cleared", min(since, first), first, revises=alert, name=rule.name, why="heard"
                    )

    def _since(self, rule: SilenceRule, first: float) -> float:
        return self._heard.get(rule.stream, first if self._begun is None else self._begun)

    # --- what is kept

    def state(self) -> dict[str, Any]:
        """All that is known, as JSON values."""
        return {
            "known": self._known,
            "open": [list(pair) for pair in self._open.items()],
            "recent": self._recent,
            "begun": self._begun,
            "heard": self._heard,
            "silent": self._silent,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what ``state`` gave, of a judge with the same rules.

        Args:
            state: from ``state``.
        """
        self._known = {name: dict(known) for name, known in state["known"].items()}
        self._open = {int(match): int(alert) for match, alert in state["open"]}
        self._recent = {name: [(c, n, s, e) for c, n, s, e in rows] for name, rows in state["recent"].items()}
        self._begun, self._heard = state["begun"], dict(state["heard"])
        self._silent = {name: (alert, since) for name, (alert, since) in state["silent"].items()}


def _fits(rule: PatternRule, recent: list[tuple[int, str, float, float]]) -> bool:
    tail = recent[-len(rule.tokens) :]
    if len(tail) < len(rule.tokens):
        return False
    if rule.within is not None and tail[-1][3] - tail[0][2] > rule.within:
        return False
    return all(
        code == wanted if isinstance(wanted, int) else fnmatchcase(name, wanted)
        for wanted, (code, name, _, _) in zip(rule.tokens, tail, strict=True)
    )
