"""benchmarks/losses.py: both sides of every row compute the same, and the table says what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import gpu_losses
from benchmarks.losses import EXACT, Row, difference, duels, line
from benchmarks.losses_job import embeddings, loss_of, work

DUELS = list(duels())


@pytest.mark.parametrize("duel", DUELS, ids=lambda d: d.row)
def test_both_sides_have_the_same_gradients(duel, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)  # of the whole test run
    found = []
    for side in ("align", duel.peer):
        job = {"task": duel.task, "side": side, "batch": 300, "dimension": 16, "scale": duel.scale}
        file = tmp_path / f"{side}.npz"
        answer = work(job | {"threads": 1, "calls": 1, "seconds": 10.0, "result": str(file)})
        assert len(answer["warm"]) == 1
        with np.load(file) as gradients:
            found.append([gradients[name] for name in gradients.files])
    assert [g.shape for g in found[0]] == [(300, 16), (300, 16), ()]
    assert max(difference(x, y) for x, y in zip(*found, strict=True)) < 5 * EXACT


def test_a_line_says_whether_goals_are_met():
    ours = {"warm": [1.0, 1.0, 1.2], "first": 1.0, "work_mb": 40.0}
    peer = {"warm": [3.0], "first": 3.0, "work_mb": 400.0}
    row = Row(DUELS[0], ours, peer, 5e-7)
    assert (row.ratio, row.share) == (3.0, 0.1)
    assert "missed" not in line(row)
    for worse in (
        replace(row, ours=ours | {"warm": [2.5]}),
        replace(row, ours=ours | {"work_mb": 60.0}),
        replace(row, off=2e-6),
    ):
        assert line(worse).count("missed") == 1


def test_difference_is_relative():
    assert difference(np.array([3.0, 4.0]), np.array([3.0, 5.0])) == pytest.approx(1.0 / np.sqrt(34.0))


def test_without_a_card_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_losses.main([]) == 0
    assert "no CUDA card" in capsys.readouterr().out


def test_the_cards_comparison_sees_a_wrong_gradient():
    loss, eager = loss_of("nce", "align"), loss_of("nce", "eager")
    right = gpu_losses.difference(loss, eager, 100, 8, "cpu")
    wrong = gpu_losses.difference(lambda a, b, s: 1.1 * loss(a, b, s), eager, 100, 8, "cpu")
    assert right < 0.01 < 0.09 < wrong
    a, _, scale = embeddings(5, 3, 2.0)
    assert a.shape == (5, 3)
    assert float(scale.detach()) == 2.0
