"""Rows come out in order of their times, each once, whatever the order and the pushes they came in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from align.segmentation.arrivals import Arrivals


def told(arrivals: Arrivals, times, cuts=(), **about) -> list[tuple[str, float]]:
    times = np.asarray(times, float)
    values = times[:, None] * 10
    out = []
    for t, v in zip(np.split(times, cuts), np.split(values, cuts), strict=True):
        for arrival in arrivals.push(t, v, **about):
            if arrival.kind == "rows":
                assert np.array_equal(arrival.values[:, 0], arrival.times * 10)
            out += [(arrival.kind, float(x)) for x in arrival.times]
    return out


def rows(out: list[tuple[str, float]]) -> list[float]:
    return [t for kind, t in out if kind == "rows"]


@given(st.lists(st.integers(0, 60), max_size=150), st.sampled_from([0.0, 3.0, 100.0]), st.data())
def test_R03_pushes_of_any_size_say_the_same(times, lateness, data) -> None:
    whole, single, cut = (Arrivals(1, lateness) for _ in range(3))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(times)), max_size=8)))
    expected = told(whole, times)
    assert told(single, times, range(1, len(times))) == expected
    restored = []
    for part in np.split(np.array(times, float), cuts):
        fresh = Arrivals(1, lateness)
        fresh.restore(*cut.state())
        restored += told(fresh, part)
        cut = fresh
    assert restored == expected
    assert (whole.n_late, whole.n_duplicates) == (cut.n_late, cut.n_duplicates)
    expected += [("rows", t) for a in whole.flush() for t in a.times]
    if not any(kind == "step" for kind, _ in expected):
        assert (np.diff(rows(expected)) > 0).all()
        late = sum(kind == "late" for kind, _ in expected)
        assert len(rows(expected)) + late + whole.n_duplicates == len(times)


def test_R04_a_late_row_within_the_allowance_is_as_if_in_order() -> None:
    arrivals = Arrivals(1, 2.0)
    assert rows(told(arrivals, [0, 1, 3, 2, 4, 6])) == [0, 1, 2, 3, 4]
    assert arrivals.n_late == 0


def test_R04_a_later_one_is_counted_and_said() -> None:
    arrivals = Arrivals(1, 2.0)
    assert ("late", 1.5) in told(arrivals, [0, 1, 2, 3, 6, 1.5, 7])
    assert arrivals.n_late == 1


def test_R05_what_comes_twice_counts_once() -> None:
    arrivals = Arrivals(1, 1.0)
    out = told(arrivals, np.arange(50)) + told(arrivals, np.arange(20, 50)) + told(arrivals, [50, 52])
    assert rows(out) == [*range(51)]
    assert (arrivals.n_late, arrivals.n_duplicates) == (0, 30)


def test_R05_rows_with_numbers_are_known_however_old() -> None:
    arrivals = Arrivals(1, 0.0)
    told(arrivals, np.arange(10_000), sequence=0)
    assert told(arrivals, np.arange(9_000), sequence=0) == []
    assert told(arrivals, np.arange(9_990, 10_010), sequence=9_990) == [
        ("rows", t) for t in range(10_000, 10_010)
    ]
    assert arrivals.n_duplicates == 9_010
    told(arrivals, [11_000.0], sequence=11_000)
    assert arrivals.n_lost == 990


def test_T07_a_clock_set_back_begins_anew() -> None:
    arrivals = Arrivals(1, 0.0)
    out = told(arrivals, [*range(1000, 1100), *range(60)])
    assert [t for kind, t in out if kind == "late"] == [*range(32)]
    assert [t for kind, t in out if kind == "step"] == [1099, 0]
    assert rows(out) == [*range(1000, 1100), *range(60)]


def test_T07_one_row_in_the_far_future_stops_nothing() -> None:
    arrivals = Arrivals(1, 1.0)
    assert rows(told(arrivals, [0, 1, 2, 1e9, 3, 4, 5])) == [0, 1, 2, 3, 4, 5]


def test_a_heartbeat_lets_go_of_what_waits() -> None:
    arrivals = Arrivals(1, 5.0)
    assert told(arrivals, [0, 1]) == []
    assert [t for a in arrivals.hear(8.0) for t in a.times] == [0, 1]
    assert told(arrivals, [2.5, 3.5]) == [("late", 2.5)]


def test_R08_what_waits_is_bounded() -> None:
    arrivals = Arrivals(1, 1e9)
    told(arrivals, np.arange(70_000))
    assert len(arrivals.state()[1]["times"]) == 65_536
