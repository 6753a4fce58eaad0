"""align/matching/decode.py: notes that compete for fewer places than there are of them."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note
from align.matching import decode, place_notes
from align.matching.lattice import build_lattice
from align.matching.search import refined_spans, searched
from align.matching.tables import between_edges, mass_near, placed

HOP = 0.5
NOWHERE_IS_DEAR = 1e-6


def evidence_of(log_odds, seconds=4.0, nothing=0.02, sd=0.1):
    log_odds = np.asarray(log_odds, np.float32)
    n, n_notes = log_odds.shape
    durations = np.tile([np.log(seconds), sd], (n_notes, 1))
    return Evidence(log_odds, HOP, 0, np.ones(n, bool), durations, "test", nothing=nothing)


def notes_of(n):
    return tuple(Note(f"note {i}") for i in range(n))


def test_three_notes_on_two_events_all_lie_on_an_event():
    """The best placement of all three has to put one where nothing happens."""
    row = np.full(60, -2.0)
    row[10:18] = row[40:48] = 2.0
    answer = place_notes(evidence_of(np.column_stack([row] * 3)), notes_of(3))
    events = [[5.0, 9.0], [20.0, 24.0]]
    for link in answer.links:
        assert min(np.abs(np.subtract(link.span, event)).max() for event in events) <= HOP
    starts, ends = answer.spans.T
    assert (np.diff(starts) >= 0).all() and (np.diff(ends) >= 0).all()
    assert [link.status for link in answer.links].count("aligned") < 3


def test_each_has_its_own_event_where_there_are_as_many():
    row = np.full(60, -2.0)
    for a in (10, 25, 40):
        row[a : a + 8] = 2.0
    answer = place_notes(evidence_of(np.column_stack([row] * 3)), notes_of(3))
    assert (np.round(answer.spans / HOP) * HOP).tolist() == [[5.0, 9.0], [12.5, 16.5], [20.0, 24.0]]


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.5, 2.0]))
def test_only_improbable_notes_move_and_the_order_stays(seed, n_notes, height):
    rng = np.random.default_rng(seed)
    row = np.repeat(rng.normal(-0.5, height, 6), 5)
    odds = row[:, None] + rng.normal(0, 0.2, (30, n_notes))
    lattice, tables = searched(build_lattice(evidence_of(odds, 2.5, NOWHERE_IS_DEAR, 0.5), notes_of(n_notes)))
    spans = refined_spans(dataclasses.replace(lattice, skip=np.full(n_notes, -1e9)))
    found = decode._likelier(tables, spans)
    finer = between_edges(tables, found, lattice.observed)[found[:, 0] >= 0]
    assert (np.diff(finer, axis=0) >= 0).all()
    at = spans[:, 0] >= 0
    assert (found[~at] == -1).all() and (found[at, 0] < found[at, 1]).all()
    assert (np.diff(found[at], axis=0) >= 0).all()
    for own, old, new in zip(tables, spans.tolist(), found.tolist(), strict=True):
        if old != new:
            assert mass_near(own, old) < 0.5 and mass_near(own, new) > 2.0 * mass_near(own, old)
            assert placed(own) >= mass_near(own, new) - 1e-9
