"""align/warping/slices.py: parts in order that fill the time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align import Note, NoteTime
from align.errors import ParameterError
from align.warping import duration_slices, equal_slices

TIMES = st.none() | st.floats(-50.0, 150.0).map(lambda t: NoteTime(t, t, t))
NOTES = st.lists(st.builds(Note, text=st.sampled_from(["sat", "", " \u200b"]), time=TIMES), max_size=8).map(
    tuple
)
DURATIONS = st.floats(1e-3, 1e300)


@given(NOTES, st.data())
def test_parts_fill_the_time_in_note_order_and_rows_out_are_notes_in(notes, data):
    durations = data.draw(st.lists(DURATIONS, min_size=len(notes), max_size=len(notes)))
    for alignment in (equal_slices(0.0, 100.0, notes), duration_slices(0.0, 100.0, notes, durations)):
        assert alignment.notes == notes
        aligned = [link for link in alignment.links if link.status == "aligned"]
        assert len(alignment.links) == len(notes)
        assert all(link.span is None for link in alignment.links if link.status != "aligned")
        if aligned:
            edges = [aligned[0].span[0], *(link.span[1] for link in aligned)]
            assert edges[0] == 0.0 and edges[-1] == 100.0
            assert all(a.span[1] == b.span[0] for a, b in pairwise(aligned))
            assert edges == sorted(edges)
            assert sum(link.probability for link in aligned) == pytest.approx(1.0)


def test_parts_are_equal_or_proportional():
    notes = (Note("a"), Note(""), Note("b"), Note("c"))
    equal = equal_slices(10.0, 40.0, notes)
    np.testing.assert_allclose(equal.spans[[0, 2, 3]], [[10, 20], [20, 30], [30, 40]])
    assert equal.method == "equal-slices"
    weighted = duration_slices(10.0, 40.0, notes, [1.0, 99.0, 2.0, 3.0])
    np.testing.assert_allclose(weighted.spans[[0, 2, 3]], [[10, 15], [15, 25], [25, 40]])
    assert weighted.method == "duration-slices"
    assert [link.status for link in weighted.links] == ["aligned", "empty", "aligned", "aligned"]


def test_N02_no_notes_give_no_links():
    assert equal_slices(0.0, 1.0, ()).links == ()
    assert duration_slices(0.0, 1.0, (), []).links == ()


@pytest.mark.parametrize("time", [(5.0, 5.0), (6.0, 5.0), (0.0, np.inf), (np.nan, 1.0)])
def test_time_that_is_none_is_refused(time):
    with pytest.raises(ParameterError, match="start, end"):
        equal_slices(*time, (Note("a"),))


@pytest.mark.parametrize("durations", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_durations_that_are_none_are_refused(durations):
    with pytest.raises(ParameterError, match="durations"):
        duration_slices(0.0, 1.0, (Note("a"), Note("b")), durations)
