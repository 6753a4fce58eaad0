"""Sharp frames: on the grid of the usual ones, from narrower windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.examples import make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.weak.sharp import narrow_window, with_sharp_frames
from align.datatypes import Stream
from align.text import text_encoder
from tests.coordination.sessions import made_session, untold


def examples_of(sessions, hop=0.5):
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], text_encoder("hashed"))
    tables = [session_table(s, hop) for s in sessions]
    layout = fit_layout(tables)
    return [span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)]


def test_sharp_frames_lie_on_the_grid_of_the_usual_ones():
    sessions = [untold(made_session(seed)) for seed in range(2)]
    for before, after in zip(
        examples := examples_of(sessions), with_sharp_frames(examples, sessions), strict=True
    ):
        assert after.sharp.shape == before.inputs.shape
        assert np.isfinite(after.sharp).all()
        assert after.inputs is before.inputs


def test_a_step_is_sharper_in_them():
    values = np.concatenate([np.zeros(200), np.full(200, 5.0)]) + np.random.default_rng(0).normal(0, 0.1, 400)
    session = untold(made_session(0))
    stream = Stream(values, 10.0, "wrist", channels=("a",))
    session = dataclasses.replace(session, streams=(stream,))
    (example,) = with_sharp_frames(examples_of([session]), [session])

    def width(columns):
        level = columns[:, 0]
        low, high = level[:30].mean(), level[-30:].mean()
        return int(((level > low + 0.1 * (high - low)) & (level < low + 0.9 * (high - low))).sum())

    assert width(example.sharp) < width(example.inputs)


def test_gaps_stay_gaps():
    session = untold(made_session(0))
    stream = session.streams[0]
    half = stream.n_samples // 2
    broken = dataclasses.replace(
        stream, run_index=np.array([0, half]), run_start=np.array([0.0, half / 10.0 + 20.0])
    )
    session = dataclasses.replace(session, streams=(broken,))
    (example,) = with_sharp_frames(examples_of([session]), [session])
    assert len(example.sharp) == example.table.n_frames
    assert not example.sharp[~example.table.observed].any()
    assert example.sharp[example.table.observed].any(axis=1).all()


def test_nothing_is_added_where_all_spans_are_known():
    sessions = [made_session(seed) for seed in range(2)]
    assert all(e.sharp is None for e in with_sharp_frames(examples_of(sessions), sessions))


@pytest.mark.parametrize(("hop", "seconds"), [(0.05, 0.5), (0.25, 1.0), (10.0, 40.0)])
def test_windows_are_narrower_than_the_networks(hop, seconds):
    assert narrow_window(hop) == pytest.approx(seconds)
    assert narrow_window(hop) < max(6 * hop, 1.0)
