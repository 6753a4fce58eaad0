"""benchmarks/coordination.py and benchmarks/closed_form.py on small made sessions."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from align.coordination import fit_coordination
from align.coordination.functions.table import FUNCTIONS, OBJECTIVES
from align.coordination.losses.table import LOSSES
from align.metrics import pool
from benchmarks import closed_form, coordination
from benchmarks.closed_form import closed_form_model
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from tests.coordination.sessions import TINY, made_session


def test_ranks_are_those_of_the_best_right_answer() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
    right = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]], bool)
    assert coordination.ranks(scores, right).tolist() == [1, 3, 2, 2]


def test_every_function_loss_and_objective_is_a_row() -> None:
    named = {(k, v) for changes in coordination.ROWS.values() for k, v in changes.items()}
    every = [("function", FUNCTIONS), ("loss", LOSSES), ("objective", OBJECTIVES)]
    wanted = {(k, v) for k, names in every for v in names} - {("function", "cosine"), ("loss", "nce")}
    assert named == wanted and coordination.ROWS[coordination.DEFAULT] == {}


@pytest.fixture(scope="module")
def learned():
    train = [made_session(seed) for seed in range(6)]
    return train, fit_coordination(train, TINY)


@pytest.mark.parametrize("name", coordination.CLOSED)
def test_closed_forms_place_notes_and_find_texts(name, learned, monkeypatch) -> None:
    monkeypatch.setattr(closed_form, "_STEPS", 60)
    monkeypatch.setattr(closed_form, "_RATE", 0.1)
    monkeypatch.setattr(closed_form, "_MOST_FRAMES", 300)
    train, model = learned
    test = [made_session(seed) for seed in (20, 21)]
    closed = closed_form_model(name, model, train, 0)
    slices = pool(align_sessions(test, "equal-slices", RunConfig(), None)).mean_iou
    assert pool(align_sessions(test, "contrastive", RunConfig(), closed)).mean_iou > slices + 0.2
    found = {name: coordination.Found()}
    coordination.look_up(closed, test, found, name, np.random.default_rng(0))
    recall_1, recall_5, mrr = found[name].looked_up()[:3]
    assert recall_1 > 0.6 and recall_5 == 1.0 and recall_1 <= mrr <= 1.0


def test_the_table_has_a_line_for_every_row(monkeypatch, capsys) -> None:
    sessions = [made_session(seed) for seed in range(6)]
    monkeypatch.setattr(coordination, "read", lambda data, name: sessions)
    monkeypatch.setattr(coordination, "plan_of", lambda config: TINY)
    options = argparse.Namespace(folds=3, most=1, rows=["order"])
    found = coordination.run_set(Path(), "made", options, 0)
    assert list(found) == [
        coordination.DEFAULT,
        "function order",
        coordination.CSLS,
        coordination.SLICES,
        coordination.CHANCE,
    ]
    lines = {row: coordination.line("made", row, [f, f]) for row, f in found.items()}
    assert {text.count("|") for text in lines.values()} == {len(coordination.TABLE) + 1}
    assert "± 0.000" in lines["function order"] and "±" not in lines[coordination.CHANCE]
    n = sum(len(s.truth) for s in sessions[:2])
    assert all(len(np.concatenate(found[r].ranks[0])) == n for r in (coordination.CSLS, coordination.DEFAULT))
