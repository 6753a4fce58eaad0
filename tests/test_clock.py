"""The clock: nothing else in the project rounds a time, so these laws hold everywhere."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from align import clock
from align.clock import NS
from align.errors import InputError

RATES = st.sampled_from(
    [0.01, 1 / 3, 1.0, 12.5, 32.0, 50.0, 100.0, 128.3, 250.0, 16000.0, 22050.0, 44100.0, 192000.0]
)
STARTS = st.sampled_from([0.0, -0.3, 1 / 3, 12345.678, -86400.1, 1e6 + 0.1])
NANOSECONDS = st.integers(-62_135_596_800 * NS, 253_402_300_799 * NS)  # years 1 to 9999


@given(st.integers(-(10**6), 10**10), st.integers(0, 10**6), RATES, STARTS)
@example(2**31 + 1, 3, 44100.0, 0.0)
@example(9_876_543_211, 1, 44100.0, 0.0)
def test_T17_the_span_of_samples_gives_the_samples_back(
    index: int, n: int, rate: float, start: float
) -> None:
    begin, end = clock.seconds_of_samples([index, index + n], start, rate)
    assert clock.samples_in(begin, end, start, rate) == (index, index + n)
    assert clock.nearest_sample(begin, start, rate) == index


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=8), RATES, STARTS)
def test_consecutive_spans_share_no_sample_and_leave_none_out(
    edges: list[float], rate: float, start: float
) -> None:
    edges = sorted(edges)
    ranges = [clock.samples_in(a, b, start, rate) for a, b in pairwise(edges)]
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    assert (ranges[0][0], ranges[-1][1]) == clock.samples_in(edges[0], edges[-1], start, rate)


@given(st.floats(-1e3, 1e3), st.floats(0, 20), st.sampled_from([1.0, 12.5, 50.0]), STARTS)
def test_samples_in_is_the_definition(begin: float, length: float, rate: float, start: float) -> None:
    end = begin + length
    first, last = clock.samples_in(begin, end, start, rate)
    for k in {first - 1, first, last - 1, last}:
        time = Fraction(start) + Fraction(k) / Fraction(rate)
        margin = min(abs(time - Fraction(begin)), abs(time - Fraction(end))) * Fraction(rate)
        if margin > Fraction(1, 10**5):  # closer than that a time counts as being on the sample
            assert (first <= k < last) == (Fraction(begin) <= time < Fraction(end))


@given(st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=8), st.sampled_from([0.02, 0.1, 0.25, 1.0, 30.0]))
def test_frame_cells_of_consecutive_spans_are_a_partition(edges: list[float], hop: float) -> None:
    edges = sorted(edges)
    cells = [clock.frame_cells(a, b, hop) for a, b in pairwise(edges)]
    assert all(left[1] == right[0] and left[0] <= left[1] for left, right in pairwise(cells))
    assert (cells[0][0], cells[-1][1]) == clock.frame_cells(edges[0], edges[-1], hop)


@given(st.integers(-10_000, 10_000), st.integers(0, 1000), st.sampled_from([0.02, 0.1, 0.25, 1 / 3]))
def test_frame_cells_of_whole_cells_are_those_cells(first: int, n: int, hop: float) -> None:
    assert clock.frame_cells(first * hop, (first + n) * hop, hop) == (first, first + n)


@given(st.floats(0, 1e6), RATES)
def test_a_duration_holds_at_least_one_sample(seconds: float, rate: float) -> None:
    n = clock.sample_count(seconds, rate)
    assert n >= 1 and (n == 1 or abs(n - seconds * rate) <= 0.5 + 1e-9 * n)


@given(st.floats(-1e9, 1e9), NANOSECONDS)
def test_seconds_to_nanoseconds_and_back(seconds: float, epoch: int) -> None:
    ns = clock.ns_from_seconds(seconds, epoch)
    assert abs(ns - (Fraction(seconds) * NS + epoch)) <= Fraction(1, 2) + abs(Fraction(seconds)) * Fraction(
        1, 2**21
    )
    assert clock.seconds_from_ns(ns, epoch) == pytest.approx(seconds, abs=1e-9, rel=2**-52)


@given(NANOSECONDS, st.integers(-1439, 1439), st.booleans())
def test_iso_in_is_exact_to_the_nanosecond(ns: int, offset: int, colon: bool) -> None:
    whole, fraction = divmod(ns, NS)
    local = whole + 60 * offset
    if not -62_135_596_800 <= local <= 253_402_300_799:
        local, offset = whole, 0
    days, second = divmod(local, 86400)
    date = datetime.fromordinal(datetime(1970, 1, 1, tzinfo=UTC).toordinal() + days)
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    zone = f"{sign}{minutes // 60:02d}{':' if colon else ''}{minutes % 60:02d}"
    hours = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    text = f"{date.year:04d}-{date.month:02d}-{date.day:02d}T{hours}.{fraction:09d}{zone}"
    assert clock.ns_from_iso(text) == (ns, offset)


@given(NANOSECONDS, st.integers(-1439, 1439))
def test_iso_out_reads_back_within_half_a_millisecond(ns: int, offset: int) -> None:
    try:
        text = clock.iso_from_ns(ns, offset)
    except InputError as error:
        assert error.code == "E-TIME-RANGE" and (ns < -62_135_500_000 * NS or ns > 253_402_200_000 * NS)
        return
    back, written = clock.ns_from_iso(text)
    assert abs(back - ns) <= 500_000 and written == offset
    assert clock.iso_from_ns(back, offset) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("1970-01-01 00:00", (0, None)),
        ("1969-12-31T23:59:59.999999999Z", (-1, 0)),
        ("2016-12-31T23:59:60.5Z", (1_483_228_799_500_000_000, 0)),  # T10: a leap second folds onto second 59
        (" 1970-01-01T01:00:00,5+0100 ", (500_000_000, 60)),
        ("2262-04-11T23:47:16.854775808Z", (2**63, 0)),
        ("0001-01-01T00:00:00+01:00", (-62_135_600_400 * NS, 60)),
    ],
)
def test_T10_T12_iso_examples(text: str, expected: tuple[int, int | None]) -> None:
    assert clock.ns_from_iso(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "28/03/2026 10:00", "2026-13-01T00:00", "2026-02-30T00:00", "2026-01-01T24:00",
     "2026-01-01T00:00:61", "2026-01-01T00:00+24:00", "2026-01-01T00:00+01:60", "2026-01-01",
     "0000-01-01T00:00", "2026-01-01T00:00:00.1234567890", "٢٠٢٦-01-01T00:00", "NaT"],
)  # fmt: skip
def test_T13_T18_what_is_no_iso_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.ns_from_iso(text)


def test_T12_iso_out_of_range_is_named() -> None:
    with pytest.raises(InputError, match="E-TIME-RANGE"):
        clock.iso_from_ns(10**21)


def loop_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    if not all(map(math.isfinite, (*a, *b))):
        return 0.0
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = a[1] - a[0] + b[1] - b[0] - overlap
    return overlap / union if union > 0 else 0.0


SPAN = st.tuples(
    st.floats(-1e6, 1e6) | st.sampled_from([0.0, math.nan, math.inf]), st.floats(0, 1e4) | st.just(math.nan)
).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(st.tuples(SPAN, SPAN), max_size=6))
def test_span_iou_is_the_loop(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    iou = clock.span_iou(a, b)
    assert iou.shape == (len(pairs),)
    np.testing.assert_allclose(iou, [loop_iou(*p) for p in pairs], rtol=1e-12)
    np.testing.assert_array_equal(iou, clock.span_iou(b, a))
    assert ((iou >= 0) & (iou <= 1 + 1e-12)).all()


def test_span_iou_of_a_span_with_itself_is_one() -> None:
    assert clock.span_iou([[1.0, 2.5], [3.0, 3.0]], [[1.0, 2.5], [3.0, 3.0]]).tolist() == [1.0, 0.0]
