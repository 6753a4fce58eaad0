"""Scoring sessions: truth is put aside, rows are counted, figures are those of the metrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.datatypes import Note, Session, Span, Stream
from align.errors import InputError, ParameterError
from align.metrics import pool
from pipelines import evaluate as module
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions, evaluate, scores_of

CONFIG = RunConfig()
NAN = float("nan")


def session(name: str = "q1", rows: int = 2) -> Session:
    stream = Stream(np.arange(100.0), rate=1.0, name="s")
    truth = (Span(0.0, 50.0, "A"), Span(NAN, NAN, "NOTHING"), Span(60.0, 100.0, "B"))[:rows]
    return Session(name, (stream,), (Note("a"), Note("b")), truth=truth)


def test_truth_is_put_aside_before_aligning(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Session] = []
    real = module.align_by

    def spy(method: str, given: Session, config: RunConfig, model: None) -> object:
        seen.append(given)
        return real(method, given, config, model)

    monkeypatch.setattr(module, "align_by", spy)
    told: list[int] = []
    pairs = align_sessions([session(), session("q2")], "equal-slices", CONFIG, None, told.append)
    assert [s.truth for s in seen] == [None, None] and told == [1, 1]
    assert [truth for _, truth in pairs] == [session().truth, session("q2").truth]


def test_rows_are_counted_before_any_session_is_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "align_by", lambda *a: pytest.fail("work was done first"))
    for wrong in (
        session("odd", rows=1),
        session("odd", rows=3),
        dataclasses.replace(session("odd"), truth=None),
    ):
        with pytest.raises(InputError, match=r"E-TRUTH-ROWS.*'odd'"):
            align_sessions([session(), wrong], "equal-slices", CONFIG, None)


def test_the_result_is_the_pooled_score_with_the_method_that_was_used() -> None:
    sessions = [session(), session("q2")]
    found = evaluate(sessions, "equal-slices", CONFIG, None)
    pairs = align_sessions(sessions, "equal-slices", CONFIG, None)
    assert (
        found
        == {"schema": "align.eval/1", "method": "equal-slices", **pool(pairs).as_dict()}
        == scores_of(pairs)
    )
    assert (found["n_notes"], found["mean_iou"], found["foreign_rejected"]) == (4, 1.0, 0.0)


def test_nothing_to_score() -> None:
    with pytest.raises(ParameterError):
        evaluate([], "equal-slices", CONFIG, None)
