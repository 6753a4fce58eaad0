"""Times written inside a note: "07:40 woke up", "around 3 pm", "after lunch", "2 min in".

What is recognised, tried in this order within the first 1,000 characters:

    2026-03-28 22:10[:05][+01:00]        that moment
    07:40, 10:40:05, 3 pm, 3 o'clock,    that time of day; "noon" is 12:00, "midnight" 0:00
      half past three, noon, midnight
    between 2 and 3 pm, 10:40-11:20      the interval, likeliest in its middle
    around, about, ~, roughly, 3 pm-ish  20 minutes either way (20 seconds for elapsed time)
    just / shortly before or after X     the 15 minutes before or after (likewise)
    before, by X / after X               the hour before or after (likewise)
    2 min in, at 90 s, at minute 2,      seconds after the start of the recording
      t = 12.5 s, 12.5 s at the start of the line
    a part of the day                    an interval of ``PARTS_OF_DAY``, likeliest in its middle

Anything else ("just after the walk") is no time. How a time of day finds its day, and when "1:30" is elapsed
time, is said in ``align.readers.written_times.place``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from align.datatypes import NoteTime
from align.readers.written_times import DAY, Clock, WrittenTime, iso_time, place

__all__ = ["PARTS_OF_DAY", "find_time", "find_written"]

# Words -> (from, to) in hours after local midnight; over 24 is the next day. The first that fits counts.
PARTS_OF_DAY: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        r"before breakfast": (5.0, 8.0),
        r"(?:at|during|over|with) breakfast": (7.0, 9.0),
        r"after breakfast": (8.0, 10.5),
        r"before lunch": (11.0, 12.5),
        r"(?:at|during|over|with) lunch(?:time)?": (12.0, 13.5),
        r"after lunch": (12.5, 15.0),
        r"before (?:dinner|supper)": (16.5, 18.5),
        r"(?:at|during|over|with) (?:dinner|supper)": (18.0, 20.0),
        r"after (?:dinner|supper)": (19.0, 22.0),
        r"(?:before|going to) bed(?:time)?": (20.5, 23.5),
        r"(?:at )?(?:dawn|sunrise|daybreak)": (5.0, 7.5),
        r"(?:at )?(?:dusk|sunset|nightfall)": (17.0, 21.0),
        r"early (?:in the |this )?morning": (5.0, 8.0),
        r"late (?:in the |this )?morning|mid-?morning": (9.5, 12.0),
        r"morning": (6.0, 12.0),
        r"early (?:in the |this )?afternoon": (12.0, 15.0),
        r"late (?:in the |this )?afternoon": (15.0, 18.5),
        r"afternoon": (12.0, 18.0),
        r"late (?:in the |this )?evening": (20.0, 23.5),
        r"evening": (17.0, 22.0),
        r"tonight": (18.0, 24.0),
        r"(?:at|during the|in the|last|all) night|overnight": (22.0, 30.0),
    }
)

_LIMIT = 1_000
_MAY_HOLD_ONE = re.compile(
    r"\d|o.clock|past|quarter|noon|midday|midnight|morning|evening|night|breakfast|lunch|dinner|supper|bed|dawn"
    r"|dusk|sunrise|sunset|daybreak",
    re.IGNORECASE,
)
_HOURS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_HOUR = r"\d{1,2}|" + "|".join(_HOURS)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?(?!\d)")
_TIME = re.compile(
    rf"""(?<![\w:./])(?:
      (?P<h>\d{{1,3}}):(?P<m>\d{{2}})(?::(?P<s>\d{{2}}(?:\.\d{{1,9}})?))?(?:\s?(?P<ap>[ap])\.?m\b\.?)?
    | (?P<h2>\d{{1,2}})\s?(?P<ap2>[ap])\.?m\b\.?
    | (?P<h3>{_HOUR})\s?o['’]?clock
    | (?P<part>half\ past|quarter\ past|quarter\ to)\ (?P<h4>{_HOUR})(?:\s?(?P<ap4>[ap])\.?m\b\.?)?
    | (?P<name>noon|midday|midnight)
    )(?P<ish>\s?-?ish)?(?![\w:/])(?!\s?(?:min|minutes|h|hours?|hrs?|per)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_JOIN = re.compile(r"\s?(?:-|–|—|to|and|until|till)\s?", re.IGNORECASE)
_BARE_FIRST = re.compile(r"(?<![\w:./])(\d{1,2})\s?(?:-|–|—|to|and|until|till)\s?$", re.IGNORECASE)
_BEFORE = (  # what stands before a time -> minutes before it, minutes after it
    (re.compile(r"(?:around|about|approximately|approx\.?|roughly|circa|ca\.?|near|close to|~|≈)\s?$",
                re.IGNORECASE), 20, 20),
    (re.compile(r"(?:just|shortly|right|soon) before\s$", re.IGNORECASE), 15, 0),
    (re.compile(r"(?:just|shortly|right|soon) after\s$", re.IGNORECASE), 0, 15),
    (re.compile(r"\b(?:before|by)\s$", re.IGNORECASE), 60, 0),
    (re.compile(r"\bafter\s$", re.IGNORECASE), 0, 60),
)  # fmt: skip
_HALF_WORDS = re.compile(r"\s(?:in the (morning|afternoon|evening)|at (night))\b", re.IGNORECASE)
_UNIT = r"(s|secs?|seconds?|min|mins|minutes?|h|hrs?|hours?)"
_ELAPSED = (
    re.compile(rf"(?<![\w.])(\d{{1,7}}(?:\.\d+)?)\s?{_UNIT}\s(?:in|into)(?=\s?(?:$|[,.;:)\]–—-])"
               r"|\sthe (?:recording|session|test|tape|night|run)\b)", re.IGNORECASE),
    re.compile(rf"\bat (?:t ?= ?)?(\d{{1,7}}(?:\.\d+)?)\s?{_UNIT}\b(?! (?:per|intervals?|before|after))",
               re.IGNORECASE),
    re.compile(rf"\bt ?= ?(\d{{1,7}}(?:\.\d+)?)\s?{_UNIT}\b", re.IGNORECASE),
    re.compile(rf"^\s*[\[(]?(\d{{1,7}}(?:\.\d+)?)\s?{_UNIT}(?:[\])]?[:,]|[\])])", re.IGNORECASE),
)  # fmt: skip
_COUNTED = re.compile(r"\bat (second|minute|hour) (\d{1,6})\b", re.IGNORECASE)
_PARTS = tuple((re.compile(rf"\b(?:{w})\b", re.IGNORECASE), *hours) for w, hours in PARTS_OF_DAY.items())


@dataclass(frozen=True, slots=True)
class _Token:
    """A clock time in a text: where it stands, and its seconds after midnight."""

    begin: int
    end: int
    seconds: float
    half: Literal["", "second", "either"] = ""
    elapsed: float | None = None
    precise: bool = False
    only_elapsed: bool = False
    ish: bool = False


def find_time(
    text: str, *, epoch: int | None = None, timezone: str = "", start: float = 0.0, end: float = 0.0
) -> NoteTime | None:
    """The time written inside a note, in seconds on the session clock; None when there is none to be had.

    Args:
        text: the note.
        epoch: UTC nanoseconds of second 0, None for a relative clock.
        timezone: "+02:00" or an IANA name: what the writer's wall clock showed.
        start: first second of the recording.
        end: last second of the recording: decides the day, and whether "1:30" can be elapsed time.

    >>> find_time("about 0:10:40 he sat down")
    NoteTime(earliest=620.0, likely=640.0, latest=660.0)
    """
    written = find_written(text)
    placed = None if written is None else place(written, Clock(epoch, timezone, start, end))
    return placed if isinstance(placed, NoteTime) else None


def find_written(text: str) -> WrittenTime | None:
    """The time written inside a note, not yet on any clock."""
    text = text[:_LIMIT]
    if _MAY_HOLD_ONE.search(text) is None:
        return None
    match = _ISO.search(text)
    moment = iso_time(match[0]) if match is not None else None
    if moment is not None:
        return moment
    tokens = list(_tokens(text))
    if tokens:
        return _interval(text, tokens)
    return _elapsed(text) or _part_of_day(text)


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TIME.finditer(text):
        token = _token(match)
        if token is not None:
            yield token


def _token(match: re.Match[str]) -> _Token | None:
    """One clock time; None when its numbers are none ("25:99")."""
    begin, end = match.span()
    ish = match["ish"] is not None
    if match["name"]:
        return _Token(begin, end, 0.0 if match["name"].lower() == "midnight" else DAY / 2, ish=ish)
    written = match["h"] or match["h2"] or match["h3"] or match["h4"]
    hour = _HOURS.get(written.lower()) or int(written)
    minute, second = int(match["m"] or 0), float(match["s"] or 0)
    if match["part"]:
        minute = {"half past": 30, "quarter past": 15, "quarter to": -15}[match["part"].lower()]
    seconds = hour * 3600 + minute * 60 + second
    if minute > 59 or second >= 61:
        return None
    half = (match["ap"] or match["ap2"] or match["ap4"] or "").lower()
    if half and 1 <= hour <= 12:
        shift = (half == "p") * 12 - (hour == 12) * 12
        return _Token(begin, end, seconds + shift * 3600, ish=ish)
    if match["h"] is None:
        return _Token(begin, end, seconds, half="either", ish=ish) if 1 <= hour <= 12 else None
    elapsed = seconds if match["s"] is not None else hour * 60.0 + minute
    if hour > 23:
        return _Token(begin, end, seconds, elapsed=elapsed, only_elapsed=True, ish=ish)
    leading_zero = len(written) == 2 and written[0] == "0"
    short = match["s"] is None
    return _Token(
        begin, end, seconds,
        half="second" if short and not leading_zero and 1 <= hour <= 12 else "",
        elapsed=None if short and leading_zero else elapsed, precise=not short, ish=ish,
    )  # fmt: skip


def _interval(text: str, tokens: list[_Token]) -> WrittenTime:
    """The first time, with what stands around it: a second one, "around", "before", "in the evening"."""
    token = tokens[0]
    if token.only_elapsed:
        value = token.elapsed or 0.0
        return WrittenTime("session", value, value, value)
    if len(tokens) > 1 and _JOIN.fullmatch(text, token.end, tokens[1].begin):
        last = tokens[1].seconds
        first = token.seconds
        if last < first and last + DAY - first <= DAY / 2:
            last += DAY  # over midnight
        if last >= first:
            return WrittenTime("day", first, (first + last) / 2, last, half=token.half)
    before = text[: token.begin]
    bare = _BARE_FIRST.search(before)
    if bare is not None and 1 <= int(bare[1]) <= 12 and token.half == "" and token.elapsed is None:
        first = int(bare[1]) % 12 * 3600 + (token.seconds >= DAY / 2) * DAY / 2
        first -= DAY / 2 if first >= token.seconds else 0
        return WrittenTime("day", first, (first + token.seconds) / 2, token.seconds)
    written = _half_of(text, token)
    early, late = next((w for words, *w in _BEFORE if words.search(before)), (0, 0))
    if token.ish:
        early = late = 20
    begin, end = written.likely - early * 60, written.likely + late * 60
    if early == late:
        return replace(written, earliest=begin, latest=end)
    middle = (begin + end) / 2
    elapsed = None if written.elapsed is None else written.elapsed + (middle - written.likely) / 60
    return replace(written, earliest=begin, likely=middle, latest=end, elapsed=elapsed)


def _half_of(text: str, token: _Token) -> WrittenTime:
    """The token's time of day, with "in the evening" behind it taken into account."""
    words = _HALF_WORDS.match(text, token.end)
    seconds, half, elapsed = token.seconds, token.half, token.elapsed
    if words is not None and half:
        half, elapsed = "", None
        afternoon = (words[1] or "").lower() in ("afternoon", "evening") or (words[2] and seconds >= 6 * 3600)
        seconds += DAY / 2 if afternoon and seconds < DAY / 2 else 0
    return WrittenTime("day", seconds, seconds, seconds, elapsed=elapsed, precise=token.precise, half=half)


def _elapsed(text: str) -> WrittenTime | None:
    for pattern in _ELAPSED:
        match = pattern.search(text)
        if match is not None:
            return _seconds(float(match[1]), match[2])
    match = _COUNTED.search(text)
    return None if match is None else _seconds(float(match[2]), match[1])


def _seconds(count: float, unit: str) -> WrittenTime:
    value = count * {"s": 1, "m": 60, "h": 3600}[unit[0].lower()]
    return WrittenTime("session", value, value, value)


def _part_of_day(text: str) -> WrittenTime | None:
    for words, first, last in _PARTS:
        if words.search(text) is not None:
            middle = (first + last) / 2
            return WrittenTime("day", first * 3600, middle * 3600, last * 3600, vague=True)
    return None
