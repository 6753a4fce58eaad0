"""The records: frozen, read-only, in order, and never quietly wrong."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.datatypes import Note, NoteTime, Segmentation, Session, Stream
from align.errors import InputError, ParameterError


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Streams of up to five runs; some begin up to half a sample before the run before them has ended."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    rate = draw(st.sampled_from([0.1, 1.0, 50.0, 128.3]))
    start, starts = draw(st.floats(-1e6, 1e6)), []
    for n in lengths:
        starts.append(start)
        start += (n + draw(st.sampled_from([-0.45, 0.0, 0.4, 3.0, 1000.0]))) / rate
    index = np.cumsum([0, *lengths[:-1]])
    values = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    return Stream(values, rate, run_index=index, run_start=np.array(starts))


def test_a_stream_needs_values_and_a_rate_only() -> None:
    stream = Stream(values=np.array([1.0, 2.0, 3.0]), rate=50.0)
    assert (stream.n_samples, stream.n_channels, stream.n_runs) == (3, 1, 1)
    assert (stream.channels, stream.units, stream.modality) == (("0",), ("",), "sensor")
    assert (stream.start, stream.end) == (0.0, 0.06)
    assert stream.gaps.shape == (0, 2)
    assert stream.times().tolist() == [0.0, 0.02, 0.04]


@given(streams())
def test_T03_runs_never_overlap_and_gaps_are_what_lies_between(stream: Stream) -> None:
    spans, gaps = stream.run_spans, stream.gaps
    assert (spans[:, 1] > spans[:, 0]).all()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    assert (gaps[:, 1] >= gaps[:, 0]).all()
    np.testing.assert_array_equal(gaps, np.column_stack([spans[:-1, 1], spans[1:, 0]]))
    assert (stream.start, stream.end) == (spans[0, 0], spans[-1, 1])


@given(streams())
def test_every_sample_has_a_run_and_a_time_in_it(stream: Stream) -> None:
    samples = np.arange(stream.n_samples)
    run = stream.run_of(samples)
    assert ((stream.run_index[run] <= samples) & (samples < stream.run_ends[run])).all()
    expected = [stream.run_start[r] + (i - stream.run_index[r]) / stream.rate for i, r in enumerate(run)]
    np.testing.assert_array_equal(stream.times(), expected)


@given(streams(), st.data())
def test_T03_no_segment_crosses_a_gap_and_segments_cover_the_runs(
    stream: Stream, data: st.DataObject
) -> None:
    changes = data.draw(st.lists(st.integers(0, stream.n_samples), max_size=10))
    segments = Segmentation.of(stream, changes, method="by hand", penalty=2.0)
    first, last = segments.boundaries[:-1], segments.boundaries[1:]
    assert (segments.boundaries[0], segments.boundaries[-1]) == (0, stream.n_samples)
    assert (stream.run_of(first) == stream.run_of(last - 1)).all()
    assert set(stream.run_index) <= set(segments.boundaries)
    assert set(segments.changes) == set(changes) - set(stream.run_index) - {stream.n_samples}
    assert (segments.spans[1:, 0] >= segments.spans[:-1, 1]).all()
    edges_inside = np.isin(segments.boundaries[1:-1], segments.changes)
    assert (segments.spans[1:, 0] == segments.spans[:-1, 1])[edges_inside].all()
    starts = np.isin(first, stream.run_index)
    np.testing.assert_array_equal(segments.spans[starts, 0], stream.run_start)
    assert (segments.method, segments.penalty) == ("by hand", 2.0)
    assert segments.n_segments == len(segments.spans)


@pytest.mark.parametrize("changes", [[-1], [11], [2.5], [math.nan], [2.0]])
def test_changes_that_are_no_sample_index_are_refused(changes: list[float]) -> None:
    with pytest.raises(ParameterError, match="changes"):
        Segmentation.of(Stream(np.arange(10.0), 1.0), changes)


def test_T16_one_sample_is_one_segment() -> None:
    segments = Segmentation.of(Stream(np.zeros(1), 4.0), [])
    assert segments.spans.tolist() == [[0.0, 0.25]] and segments.changes.size == 0


# --- frozen


def arrays_of(record: object) -> list[np.ndarray]:
    values = [getattr(record, f.name) for f in dataclasses.fields(record)]  # type: ignore[arg-type]
    return [v for v in values if isinstance(v, np.ndarray)]


@pytest.mark.parametrize(
    "values", [np.ones((4, 2), np.float32), np.ones(4, np.float32), np.ones((4, 2)), np.ones((2, 4)).T]
)
def test_records_are_frozen_and_leave_the_callers_arrays_alone(values: np.ndarray) -> None:
    run_index, run_start = np.array([0, 2]), np.array([0.0, 9.0])
    stream = Stream(values, 1.0, run_index=run_index, run_start=run_start)
    changes = np.array([1])
    segments = Segmentation.of(stream, changes)
    for array in (*arrays_of(stream), *arrays_of(segments)):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 7
    for mine in (values, run_index, run_start, changes):
        mine.flat[0] = 5  # still writable, and nobody sees it
    assert stream.values[0, 0] == 1 and stream.run_start[0] == 0 and segments.changes[0] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        stream.rate = 2.0  # type: ignore[misc]


def test_a_ready_array_is_not_copied() -> None:
    ready = np.ones((4, 2), np.float32)
    ready.flags.writeable = False
    assert np.shares_memory(Stream(ready, 1.0).values, ready)


# --- values


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e8, 1e10])
def test_V06_an_offset_does_not_swallow_the_signal(offset: float) -> None:
    signal = np.sin(np.arange(1000) / 10)
    kept = Stream(signal + offset, 50.0).values[:, 0]
    assert kept.dtype == (np.float64 if offset >= 1e5 else np.float32)
    np.testing.assert_allclose(kept.astype(np.float64) - offset, signal, atol=max(1e-6, offset * 1e-15))


def test_V06_one_small_channel_beside_a_large_one_is_kept() -> None:
    small, large = np.arange(100) * 1e-3, np.arange(100) * 1e6
    np.testing.assert_allclose(Stream(np.c_[large + 1e9, small], 1.0).values[:, 1], small, rtol=1e-6)


@pytest.mark.parametrize("large", [1e300, -1e300, np.finfo(np.float64).max])
def test_V06_what_float32_cannot_hold_stays(large: float) -> None:
    assert Stream(np.array([0.0, large]), 1.0).values.tolist() == [[0.0], [large]]


@pytest.mark.parametrize("dtype", ["i1", "i2", "u1", "i4", "u4", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_V07_any_number_type_keeps_its_values(dtype: str) -> None:
    stream = Stream(np.array([0, 1, 100], dtype), 1.0)
    assert stream.values[:, 0].tolist() == [0.0, 1.0, 100.0]
    assert stream.values.dtype in (np.float32, np.float64) and stream.values.dtype.isnative


def test_V07_large_integers_are_not_rounded_away() -> None:
    steps = np.array([2**31, 2**31 + 1, 2**31 + 2])
    assert np.diff(Stream(steps, 1.0).values[:, 0]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("values", [np.array([True]), np.array([1j]), np.array(["1"]), np.array([None])])
def test_V15_what_is_no_number_is_a_type_error_that_names_the_type(values: np.ndarray) -> None:
    with pytest.raises(TypeError, match=f"dtype {values.dtype}"):
        Stream(values, 1.0)


def test_missing_cells_stay_missing() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.inf]])
    np.testing.assert_array_equal(Stream(values, 1.0).values, values)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"values": np.zeros((0, 2))}, "values"),
        ({"values": np.zeros((3, 0))}, "values"),
        ({"values": np.zeros((3, 2, 1))}, "values"),
        ({"rate": 0.0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": math.inf}, "rate"),
        ({"modality": "video"}, "modality"),
        ({"channels": ("x",)}, "channels"),
        ({"channels": ("x", "x")}, "channels"),
        ({"units": ("g",)}, "units"),
        ({"run_index": [1], "run_start": [0.0]}, "run_index"),
        ({"run_index": [], "run_start": []}, "run_index"),
        ({"run_index": [0, 0], "run_start": [0.0, 9.0]}, "run_index"),
        ({"run_index": [0, 4], "run_start": [0.0, 9.0]}, "run_index"),
        ({"run_index": [0, 1], "run_start": [0.0]}, "run_index"),
        ({"run_index": [0, 1], "run_start": [0.0, math.nan]}, "run_start"),
        ({"run_index": [0, 2], "run_start": [0.0, 1.0]}, "run_start"),
        ({"run_index": [0, 2], "run_start": [9.0, 0.0]}, "run_start"),
    ],
)
def test_a_stream_that_breaks_an_invariant_names_the_field(change: dict[str, object], named: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Stream(**({"values": np.zeros((4, 2)), "rate": 1.0} | change))  # type: ignore[arg-type]
    assert caught.value.name == named


# --- notes and sessions


@pytest.mark.parametrize(
    "text", ["", " \t\n", "\u200b\ufeff", "\x00\x1b", "\u3164\u2800", "\u202e", "\ufe0f"]
)
def test_N01_a_note_without_anything_visible_is_empty(text: str) -> None:
    assert Note(text).is_empty


@pytest.mark.parametrize("text", ["a", ".", " x ", "😀", "נפל", "\ud800", "\U0001fae9", "\u0301", "0"])
def test_N01_N06_a_note_with_anything_else_is_not(text: str) -> None:
    assert not Note(text).is_empty and Note(text).text == text


@pytest.mark.parametrize(
    "time", [(1, 0, 2), (0, 3, 2), (math.nan, 0, 0), (0, math.nan, 1), (-math.inf, 0, 1), (0, 1, math.inf)]
)
def test_a_note_time_is_ordered_and_finite(time: tuple[float, float, float]) -> None:
    with pytest.raises(ParameterError, match="earliest"):
        NoteTime(*time)


def test_an_exact_note_time_is_one_instant() -> None:
    assert NoteTime(1.0, 1.0, 1.0).is_exact and not NoteTime(1.0, 1.0, 2.0).is_exact


def test_a_session_spans_all_its_streams_and_keeps_the_order_of_notes() -> None:
    early = Stream(np.zeros(10), 1.0, name="a", run_start=np.array([-5.0]))
    late = Stream(np.zeros(10), 2.0, name="b", run_start=np.array([3.0]))
    notes = [Note("b"), Note("a"), Note("b")]
    session = Session("night", [late, early], notes)  # type: ignore[arg-type]
    assert (session.start, session.end) == (-5.0, 8.0)
    assert [n.text for n in session.notes] == ["b", "a", "b"] and isinstance(session.notes, tuple)


def test_a_session_needs_streams_with_names_of_their_own() -> None:
    stream = Stream(np.zeros(3), 1.0)
    with pytest.raises(InputError, match="E-NO-STREAMS"):
        Session("empty", ())
    with pytest.raises(ParameterError, match="distinct"):
        Session("twins", (stream, stream))


@pytest.mark.parametrize(
    "change",
    [
        {"boundaries": [0]},
        {"boundaries": [0, 5, 5, 10]},
        {"boundaries": [-1, 5, 10]},
        {"changes": [0]},
        {"changes": [7]},
        {"spans": [[0.0, 5.0]]},
        {"spans": [[0.0, 6.0], [5.0, 10.0]]},
        {"spans": [[5.0, 0.0], [5.0, 10.0]]},
    ],
)
def test_a_segmentation_that_breaks_an_invariant_is_refused(change: dict[str, object]) -> None:
    sound = {"boundaries": [0, 5, 10], "changes": [5], "spans": [[0.0, 5.0], [5.0, 10.0]]}
    Segmentation("s", 1.0, **sound)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        Segmentation("s", 1.0, **(sound | change))  # type: ignore[arg-type]
