"""Boundaries between the edges of the grid: near the best edges, where the posterior expects them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.matching.tables import Table, between_edges
from tests.naive import expected_edge

N = 40


def table(onset: dict[int, float], offset: dict[int, float]) -> Table:
    """A posterior of which only the edges matter."""
    ons, offs = sorted(onset), sorted(offset)
    return Table(
        (),
        np.array(ons, np.int64),
        np.array([onset[k] for k in ons], np.float64),
        np.array(offs, np.int64),
        np.array([offset[k] for k in offs], np.float64),
    )


def moved(tables, spans, observed=None):
    seen = np.ones(N, bool) if observed is None else observed
    return between_edges([[t] for t in tables], np.array(spans, np.int64), seen)


weights = st.dictionaries(st.integers(0, N), st.floats(1e-6, 1.0), min_size=1)


@given(
    weights,
    weights,
    st.integers(0, N - 1),
    st.integers(1, N),
    st.lists(st.booleans(), min_size=N, max_size=N),
)
def test_it_is_the_expectation_among_neighbours_within_its_bounds(onset, offset, start, length, observed):
    end = min(N, start + length)
    seen = np.array(observed)
    ((a, b),) = moved([table(onset, offset)], [(start, end)], seen)
    most = min(0.5, (end - start) / 4)
    assert a == pytest.approx(expected_edge(onset, start, observed, most))
    assert b == pytest.approx(expected_edge(offset, end, observed, most))
    assert b > a and abs(a - start) <= most and abs(b - end) <= most


def test_notes_that_share_a_span_still_do_and_those_that_met_still_meet():
    tables = [
        table({10: 0.6, 11: 0.4}, {20: 0.7, 21: 0.3}),
        table({10: 0.9, 11: 0.1}, {20: 0.7, 19: 0.3}),
        table({20: 0.5, 19: 0.5}, {30: 1.0}),
    ]
    out = moved(tables, [(10, 20), (10, 20), (20, 30)])
    assert out[0].tolist() == out[1].tolist() == pytest.approx([10.25, 19.75])
    assert out[2].tolist() == pytest.approx([19.75, 30.0])
    alone = moved(tables[1:], [(10, 20), (20, 30)])
    assert alone[0, 1] == alone[1, 0] == pytest.approx(19.6)
    assert moved([], np.zeros((0, 2))).shape == (0, 2)


def test_a_note_that_is_not_placed_stays_so():
    assert moved([table({3: 1.0}, {5: 1.0})], [(-1, -1)]).tolist() == [[-1.0, -1.0]]
