"""The rules themselves: what raises an alert, and how often."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass

from align.errors import ParameterError

__all__ = ["PatternRule", "PhraseRule", "Rule", "Rules", "SilenceRule"]


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """A phrase seen in the stream (events "match").

    Args:
        name: of the rule; what its matches and alerts are called.
        text: what to look for; "": the name.
        on: probability from which a place counts, in (0, 1].
        off: below it the place counts no more, in (0, on]; None: 0.6 on.
        min_duration: seconds that a place must last to raise the alert, >= 0.
        every: seconds from an alert to the next of this rule, at least, >= 0.
        hold: after an alert none until it is acknowledged.

    Raises:
        ParameterError: a value outside what is said here.
    """

    name: str
    text: str = ""
    on: float = 0.5
    off: float | None = None
    min_duration: float = 0.0
    every: float = 0.0
    hold: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text or self.name)
        if not (math.isfinite(self.on) and 0 < self.on <= 1):
            raise ParameterError("on", self.on, "a number above 0, at most 1")
        object.__setattr__(self, "off", 0.6 * self.on if self.off is None else self.off)
        if not (math.isfinite(self.lower) and 0 < self.lower <= self.on):
            raise ParameterError("off", self.off, f"a number above 0, at most on ({self.on:g})")
        _check(self, ("min_duration", "every"))

    @property
    def lower(self) -> float:
        """``off`` as a number."""
        return self.on if self.off is None else self.off


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Tokens of a stream that follow each other (events "token").

    Args:
        name: of the rule.
        stream: name of the stream.
        tokens: one entry per token: a code, or a code's name in which ``*`` stands for anything.
        within: seconds from the first token's start to the last one's end, at most, > 0; None: any time.
        every, hold: as of ``PhraseRule``.

    Raises:
        ParameterError: a value outside what is said here.
    """

    name: str
    stream: str
    tokens: tuple[int | str, ...]
    within: float | None = None
    every: float = 0.0
    hold: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if not 1 <= len(self.tokens) <= 64:
            raise ParameterError("tokens", len(self.tokens), "1 to 64 codes or names")
        if self.within is not None and not (math.isfinite(self.within) and self.within > 0):
            raise ParameterError("within", self.within, "seconds > 0, or leave it out")
        _check(self, ("every",))


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """A stream without rows, while time goes on by its heartbeats or by other streams.

    Args:
        name: of the rule.
        stream: name of the stream; one that never begins is silent from the first row of any.
        after: seconds, > 0.
        every, hold: as of ``PhraseRule``.

    Raises:
        ParameterError: a value outside what is said here.
    """

    name: str
    stream: str
    after: float
    every: float = 0.0
    hold: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.after) and self.after > 0):
            raise ParameterError("after", self.after, "seconds > 0")
        _check(self, ("every",))


Rule = PhraseRule | PatternRule | SilenceRule


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a monitor.

    Args:
        phrases, patterns, silences: each with a name of its own.

    Raises:
        ParameterError: a name given twice.
    """

    phrases: tuple[PhraseRule, ...] = ()
    patterns: tuple[PatternRule, ...] = ()
    silences: tuple[SilenceRule, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("phrases", "patterns", "silences"):
            object.__setattr__(self, kind, tuple(getattr(self, kind)))
        names = [rule.name for rule in self.every]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ParameterError("name", twice[0], "a name of its own for each rule")

    @property
    def every(self) -> tuple[Rule, ...]:
        """Rules of all kinds."""
        return (*self.phrases, *self.patterns, *self.silences)

    @property
    def hash(self) -> str:
        """SHA-256 of what they say."""
        return hashlib.sha256(repr(asdict(self)).encode("utf-8", "surrogatepass")).hexdigest()


def _check(rule: Rule, seconds: tuple[str, ...]) -> None:
    if not rule.name.strip():
        raise ParameterError("name", "nothing", "a name")
    for name in seconds:
        value = getattr(rule, name)
        if not (math.isfinite(value) and value >= 0):
            raise ParameterError(name, value, "seconds >= 0")
