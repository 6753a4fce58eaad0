"""What people write about time, and what it means on a session clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.clock import ns_from_iso
from align.datatypes import NoteTime
from align.readers.time_phrases import PARTS_OF_DAY, find_time, find_written

EPOCH = ns_from_iso("2026-03-28T06:00:00+01:00")[0]  # a Saturday, six in the morning
DAY_LONG = {"epoch": EPOCH, "timezone": "+01:00", "end": 17 * 3600.0}  # until 23:00


def hours(time: NoteTime | None) -> tuple[float, float, float] | None:
    """Local hours of the day of a found time."""
    if time is None:
        return None
    return tuple(round(t / 3600 + 6, 4) for t in (time.earliest, time.likely, time.latest))  # type: ignore[return-value]


def exact(hour: float) -> tuple[float, float, float]:
    return (round(hour, 4),) * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("07:40 woke up", exact(7 + 40 / 60)),
        ("[2026-03-28 22:10] dizzy", exact(22 + 10 / 60)),
        ("2026-03-28T22:10:30+02:00 dizzy", exact(21 + 10.5 / 60)),
        ("- **10:40:05** coffee", exact(10 + 40 / 60 + 5 / 3600)),
        ("coffee at 3 pm", exact(15)),
        ("coffee at 3:15 p.m.", exact(15.25)),
        ("12 am", exact(24)),
        ("12:30 pm lunch", exact(12.5)),
        ("3:30 coffee", exact(15.5)),  # 3:30 lies before the recording, 15:30 within it
        ("half past three", exact(15.5)),
        ("quarter to 9 pm", exact(20.75)),
        ("half past seven in the evening", exact(19.5)),
        ("about 3 o'clock", (14.6667, 15.0, 15.3333)),
        ("at noon", exact(12)),
        ("midnight snack", exact(24)),
        ("around 3 pm", (14.6667, 15.0, 15.3333)),
        ("about 10:40", (10.3333, 10.6667, 11.0)),
        ("~10:40 or so", (10.3333, 10.6667, 11.0)),
        ("3pm-ish", (14.6667, 15.0, 15.3333)),
        ("just before 8 am", (7.75, 7.875, 8.0)),
        ("shortly after 08:00", (8.0, 8.125, 8.25)),
        ("before 5 pm", (16.0, 16.5, 17.0)),
        ("after 17:00", (17.0, 17.5, 18.0)),
        ("between 2 and 3 pm", (14.0, 14.5, 15.0)),
        ("between 11 and 1 pm", (11.0, 12.0, 13.0)),
        ("10:40-11:20 walked", (10.6667, 11.0, 11.3333)),
        ("from 10:40 to 11:20", (10.6667, 11.0, 11.3333)),
        ("22:30 - 01:10 slept", (22.5, 23.8333, 25.1667)),
        ("after lunch", (12.5, 13.75, 15.0)),
        ("before breakfast", (5.0, 6.5, 8.0)),
        ("felt faint this morning", (6.0, 9.0, 12.0)),
        ("dizzy in the evening", (17.0, 19.5, 22.0)),
        ("late in the afternoon", (15.0, 16.75, 18.5)),
        ("after lunch, worse at 16:10", exact(16 + 10 / 60)),
        ("2 min in", exact(6 + 2 / 60)),
        ("at 90 s he turned", exact(6 + 90 / 3600)),
    ],
)
def test_a_time_in_a_note(text: str, expected: tuple[float, float, float]) -> None:
    assert hours(find_time(text, **DAY_LONG)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "just after the walk",
        "walks three metres",
        "fell at 3",
        "blood pressure 120/80 at rest",
        "ran 5:30 min per km",
        "ran at 2:30 per km",
        "10 minutes in bed",
        "25:99",
        "13 pm",
        "version 10.40.05",
        "sits still",
        "night shift nurse came by",
        "",
        "ratio 3:1",
    ],
)
def test_no_time_in_a_note(text: str) -> None:
    assert find_written(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:12:30 coughs", 750.0),
        ("[0:01:05.5] coughs", 65.5),
        ("at 1:30", 90.0),
        ("9:59 coughs", 599.0),
        ("75:30", 4530.0),
        ("2 min in", 120.0),
        ("90 s into the recording", 90.0),
        ("t = 12.5 s", 12.5),
        ("12.5 s: coughs", 12.5),
        ("[16.6s] coughs", 16.6),
        ("at minute 2 he coughs", 120.0),
    ],
)
def test_elapsed_time_in_ten_minutes_without_a_clock(text: str, seconds: float) -> None:
    assert find_time(text, end=600.0) == NoteTime(seconds, seconds, seconds)


@pytest.mark.parametrize(
    "text", ["07:40 woke up", "10:40", "3 pm", "after lunch", "2026-03-28 22:10", "noon"]
)
def test_times_that_need_a_clock_are_none_without_one(text: str) -> None:
    assert find_time(text, end=600.0) is None


def test_minutes_or_hours_is_not_guessed() -> None:
    """In a recording of two hours 1:30 is 90 s or 90 min; in one of an hour it can only be 90 s."""
    assert find_time("at 1:30", end=7200.0) is None
    assert find_time("at 1:30", end=3600.0) == NoteTime(90, 90, 90)


def test_about_an_elapsed_time_is_twenty_seconds() -> None:
    assert find_time("about 1:30", end=600.0) == NoteTime(70, 90, 110)


def test_a_time_of_day_in_a_week_is_not_guessed() -> None:
    assert find_time("07:40", epoch=EPOCH, timezone="+01:00", end=7 * 86400.0) is None


def test_a_time_of_day_outside_belongs_to_the_nearest_day() -> None:
    """N03: a note before the recording stays before it."""
    time = find_time("05:30 alarm", **DAY_LONG)
    assert time is not None
    assert time.likely == -1800.0


def test_a_night_recording_puts_times_on_both_days() -> None:
    night = {"epoch": ns_from_iso("2026-03-28T22:00:00+01:00")[0], "timezone": "+01:00", "end": 9 * 3600.0}
    late, early = find_time("23:30", **night), find_time("06:30", **night)
    assert late is not None
    assert early is not None
    assert (late.likely, early.likely) == (5400.0, 8.5 * 3600)


def test_T08_a_local_time_that_came_twice_is_an_interval() -> None:
    night = {"epoch": ns_from_iso("2026-10-24T22:00:00Z")[0], "timezone": "Europe/Berlin", "end": 8 * 3600.0}
    assert find_time("02:30 coughs", **night) == NoteTime(2.5 * 3600, 2.5 * 3600, 3.5 * 3600)
    assert find_time("04:30 coughs", **night) == NoteTime(5.5 * 3600, 5.5 * 3600, 5.5 * 3600)


def test_T08_a_local_time_that_never_was_is_none() -> None:
    night = {"epoch": ns_from_iso("2026-03-28T22:00:00Z")[0], "timezone": "Europe/Berlin", "end": 8 * 3600.0}
    assert find_time("2026-03-29 02:30 coughs", **night) is None


def test_the_table_of_parts_is_in_order() -> None:
    assert all(0 <= first < last <= 36 for first, last in PARTS_OF_DAY.values())


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_every_time_of_day_is_found_as_written(hour: int, minute: int) -> None:
    found = find_written(f"{hour:02d}:{minute:02d} sat down")
    assert found is not None
    assert (found.scale, found.likely) == ("day", hour * 3600 + minute * 60)


@given(st.text(max_size=200))
def test_any_text_is_read_without_fault_and_in_order(text: str) -> None:
    time = find_time(text, **DAY_LONG)
    assert time is None or time.earliest <= time.likely <= time.latest


def test_S10_long_lines_take_no_time() -> None:
    for text in ("1" * 10**6, "1:" * 10**6, "between 1 and " * 10**5, "before " * 10**5, "- " * 10**6):
        assert find_time(text, **DAY_LONG) is None or text.startswith("1:")
