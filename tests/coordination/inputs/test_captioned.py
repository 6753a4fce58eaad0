"""align/coordination/inputs/captioned.py: captions of a session as what a model learns from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from align.coordination.inputs.captioned import captioned_session
from align.datatypes import Note, Session, Span, Stream
from align.errors import ParameterError
from align.features.phrases import TABLE

RATE = 50.0


def walk_and_rest(seed=0, **changes):
    """A phone on an upright body: 20 s still, 20 s of steps at 1.8 Hz, 20 s still."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(60 * RATE)) / RATE
    values = rng.normal(0.0, 0.01, (t.size, 3)) + np.array([1.0, 0.0, 0.0])
    walking = (t >= 20) & (t < 40)
    values[walking, 0] += 0.4 * np.sin(2 * np.pi * 1.8 * t[walking])
    stream = Stream(
        values, RATE, "phone", channels=("acc_x", "acc_y", "acc_z"), units=("g", "g", "g"), **changes
    )
    notes = tuple(Note(text) for text in ("one", "two", "three"))
    return Session("p1_day", (stream,), notes, truth=(Span(0.0, 60.0, "all", "everything"),))


def test_steps_are_called_walking_in_one_of_its_wordings():
    made = captioned_session(walk_and_rest())
    steps = TABLE["walking"]
    found = [row for row in made.truth if row.label == steps.said]
    assert found
    assert min(r.start for r in found) == pytest.approx(20.0, abs=1.5)
    assert max(r.end for r in found) == pytest.approx(40.0, abs=1.5)
    assert all(row.text in ("rhythmic steps", *steps.means) for row in found)


def test_own_notes_and_truth_are_not_looked_at():
    session = walk_and_rest()
    made = captioned_session(session)
    assert made.notes == () and "everything" not in {row.text for row in made.truth}
    assert made.streams is session.streams and made.name == session.name


def test_spans_ascend_and_neighbours_differ():
    truth = captioned_session(walk_and_rest()).truth
    for before, after in pairwise(truth):
        assert before.end <= after.start + 1e-9
        assert before.label != after.label or after.start - before.end > 1e-6
    assert all("{" not in row.text for row in truth)


def test_the_seed_draws_the_wordings_alone():
    a, b, other = (captioned_session(walk_and_rest(), seed) for seed in (1, 1, 2))
    assert a.truth == b.truth
    assert [(r.start, r.end, r.label) for r in a.truth] == [(r.start, r.end, r.label) for r in other.truth]


def test_no_caption_crosses_a_gap():
    session = walk_and_rest(run_index=np.array([0, 1500]), run_start=np.array([0.0, 100.0]))
    for row in captioned_session(session).truth:
        assert row.end <= 30.0 + 1e-6 or row.start >= 100.0 - 1e-6


def test_a_seed_below_zero_is_refused():
    with pytest.raises(ParameterError, match="seed"):
        captioned_session(walk_and_rest(), -1)
