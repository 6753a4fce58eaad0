"""The warping benchmarks' own functions: no peer's environment is needed and nothing is timed against anything."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from align import Evidence, Note, Session, Span, Stream
from benchmarks import interleaved, measure, walks, warping, warping_agreement, warping_job
from benchmarks.drop_dtw import drop_dtw, drop_dtw_evidence
from benchmarks.foreign import foreign_texts, planted
from benchmarks.ours_warping import CALLS
from benchmarks.peers.warping import LIBRARIES
from benchmarks.warping_results import cost_of, is_path, same
from tests.naive import dtw_totals


def test_the_duels_name_every_row_of_the_goals_for_a_processor() -> None:
    duels = list(warping.duels())
    assert {d.row.split(",")[0] for d in duels} == {f"W{k}" for k in range(1, 9)}
    assert {d.task for d in duels} == set(CALLS) and {d.peer for d in duels} == set(LIBRARIES)
    assert {d.data for d in duels} == set(walks.SHAPES)


def test_walks_are_normalised_and_the_same_each_time() -> None:
    for name in ("pair of 5000", "32 pairs of 128", "500 of 128, 8 centres"):
        made, again = walks.walks(name), walks.walks(name)
        for side in ("a", "b"):
            assert (made[side] == again[side]).all() and made[side].dtype == np.float64
            assert np.abs(made[side].mean(axis=-1)).max() < 1e-12
            assert np.abs(made[side].std(axis=-1) - 1).max() < 1e-12
    assert (walks.walks("500 of 128, 8 centres")["b"] == walks.walks("500 of 128, 8 centres")["a"][:8]).all()
    assert walks.walks("1 x 100000 of 128")["a"].shape == (128,)


def test_cells_are_those_of_the_band() -> None:
    banded = warping.Duel("", "distance", "pair of 5000", "", 1, {"radius": 500})
    row, column = np.arange(5000)[:, None], np.arange(5000)
    assert warping.cells_of(banded) == int((abs(row - column) <= 500).sum())
    assert warping.cells_of(warping.Duel("", "pairwise", "200 x 200 of 128", "", 1)) == (200 * 128) ** 2
    assert warping.cells_of(warping.Duel("", "nearest", "1 x 100000 of 128", "", 1)) == 0


def test_a_result_that_differs_is_an_error() -> None:
    a, b = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0])
    diagonal = {"path": np.array([[0, 0], [1, 1], [2, 2]]), "distance": np.float64(2.0)}
    data = {"a": a, "b": b}
    assert "valid" in same("path", data, diagonal, diagonal, {})
    for wrong in ({"distance": np.float64(2.1)}, {"path": np.array([[0, 0], [2, 2]])}):
        with pytest.raises(RuntimeError):
            same("path", data, diagonal | wrong, diagonal, {})
    for task, ours, peer in (
        ("distance", {"distance": np.float64(2)}, {"distance": np.float64(4)}),
        ("pairwise", {"distances": np.ones((2, 2))}, {"distances": np.ones((1, 1))}),
        (
            "nearest",
            {"index": np.int64(1), "distance": np.float64(2)},
            {"index": np.int64(3), "distance": np.float64(2)},
        ),
        (
            "soft",
            {"loss": np.ones(2), "gradient": np.ones(2)},
            {"loss": np.ones(2), "gradient": np.array([1.0, 1.1])},
        ),
    ):
        assert same(task, data, peer, peer, {})
        with pytest.raises(RuntimeError):
            same(task, data, ours, peer, {})
    nearly = {"distance": np.float64(2 + 1e-5)}
    assert same("distance", data, nearly, {"distance": np.float64(2)}, {"dtype": "float32"}) == "distances"


def test_paths_and_their_costs() -> None:
    assert is_path(np.array([[0, 0], [0, 1], [1, 1]]), 2, 2)
    for broken in ([[0, 0]], [[0, 1], [1, 1]], [[0, 0], [1, 0], [0, 1], [1, 1]], [[0, 0], [0, 0], [1, 1]]):
        assert not is_path(np.array(broken), 2, 2)
    assert cost_of(np.array([[0, 0], [1, 0]]), np.array([1.0, 5.0]), np.array([2.0])) == pytest.approx(
        10**0.5
    )


def test_a_job_is_done_and_its_result_saved(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", a=np.arange(5.0), b=np.arange(3.0))
    job = {"task": "distance", "data": str(tmp_path / "data.npz"), "result": str(tmp_path / "out.npz")}
    limits = {"threads": 1, "calls": 2, "seconds": 60.0}
    found = warping_job.do(job | limits, CALLS["distance"])
    assert len(found["warm"]) == 2 and found["first"] > 0
    with np.load(tmp_path / "out.npz") as out:
        assert float(out["distance"]) == pytest.approx(5**0.5)
    assert warping_job.small({"a": np.zeros((100, 20)), "b": np.zeros(20)})["a"].shape == (64, 8)
    assert set(warping_job.do(job | limits | {"memory": True}, CALLS["distance"])) == {"work_mb"}


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no high-water mark to reset")
def test_memory_is_what_the_call_adds() -> None:
    assert 60 < measure.work_mb(lambda: None, lambda: np.ones(8 << 20)) < 80
    assert measure.work_mb(lambda: np.ones(8 << 20), lambda: None) < 8


def test_sides_take_turns_and_a_slow_peer_is_called_once() -> None:
    order: list[str] = []

    def side(name: str, first: float) -> interleaved.Job:
        order.append(name)
        return {"first": first, "warm": [0.5], "peak_mb": 1.0, "more_mb": 1.0}

    ours, peer = interleaved.in_turn(lambda: side("ours", 1.0), lambda: side("peer", 1.0), 2)
    assert order == ["ours", "peer", "ours", "peer"] and peer is not None
    assert interleaved.seconds_of(ours) == 0.5 and len(ours["warm"]) == 2
    order.clear()
    interleaved.in_turn(lambda: side("ours", 1.0), lambda: side("peer", 99.0), 3)
    assert order == ["ours", "peer", "ours", "ours"]
    assert interleaved.in_turn(lambda: {"missing": "x"}, lambda: side("peer", 1.0), 3) == (
        {"missing": "x"},
        None,
    )


def test_lines_have_every_column() -> None:
    duel = next(d for d in warping.duels() if d.row == "W4")
    side = {"first": 1.0, "warm": [0.5], "work_mb": 20.0}
    met = warping.line(warping.Row(duel, side, side | {"warm": [50.0]}, "distances"))
    missed = warping.line(warping.Row(duel, side | {"work_mb": 31.0}, side, "distances"))
    absent = warping.line(warping.Row(duel, {"missing": "x"}, None, "not there: x"))
    assert {x.count("|") for x in (met, missed, absent)} == {len(warping.TABLE) + 1}
    assert "100x" in met and met.count(": met") == 2 and missed.count("**missed**") == 2


def test_without_peers_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALIGN_PEERS", "/no/such/python")
    assert warping.main(["speed", "--quick", "--only", "W1"]) == 0
    assert "make bench" in capsys.readouterr().err


def test_ours_agrees_with_loops_and_tslearn_on_a_few_pairs() -> None:
    tallies = warping_agreement.agreement(36)
    assert len(tallies) == 8 and min(t.pairs for t in tallies) > 10
    assert {t.name: t.examples for t in tallies if t.differ} == {}


def test_a_difference_is_counted() -> None:
    pair = next(iter(warping_agreement.pairs(1)))
    tally = warping_agreement.Tally("x")
    tally.add(pair, 1.0, 1.0)
    tally.add(pair, 1.0, 1.0 + 1e-8)
    tally.add(pair, 1.0, 1.0, valid=False)
    tally.add(pair, 0.0, 1e-300)
    assert (tally.pairs, tally.differ, len(tally.examples)) == (4, 3, 3) and "**3**" in tally.line()


def test_the_soft_loops_of_the_public_ports_are_soft_dtw_and_its_gradient() -> None:
    import torch

    from benchmarks.peers.soft_dtw_loops import soft_dtw

    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=(3, n, 2))) for n in (4, 5))
    gamma = 0.7
    cost = ((a[:, :, None] - b[:, None]) ** 2).sum(dim=3).numpy()
    expected = []
    for c in cost:  # sums over every path
        total = np.full((5, 6), np.inf)
        total[0, 0] = 0.0
        for i in range(4):
            for j in range(5):
                before = -np.array([total[i, j], total[i, j + 1], total[i + 1, j]]) / gamma
                total[i + 1, j + 1] = c[i, j] - gamma * np.logaddexp.reduce(before)
        expected.append(total[-1, -1])
    assert soft_dtw(a, b, gamma).numpy() == pytest.approx(np.array(expected))
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_dtw(x, b, gamma), (a,))


def test_drop_dtw_is_the_least_over_all_that_could_be_kept() -> None:
    rng = np.random.default_rng(0)
    for _ in range(25):
        n, m = rng.integers(1, 5, 2)
        cost, rows, columns = 3 * rng.random((n, m)), rng.random(n), rng.random(m)
        pairs, total = drop_dtw(cost, rows, columns)
        least = rows.sum() + columns.sum()
        for r in (r for k in range(1, n + 1) for r in combinations(range(n), k)):
            for c in (c for k in range(1, m + 1) for c in combinations(range(m), k)):
                kept = dtw_totals(cost[np.ix_(r, c)])[-1, -1]
                least = min(least, kept + np.delete(rows, r).sum() + np.delete(columns, c).sum())
        dropped = np.delete(rows, pairs[:, 0]).sum() + np.delete(columns, pairs[:, 1]).sum()
        assert total == pytest.approx(least)
        assert cost[pairs[:, 0], pairs[:, 1]].sum() + dropped == pytest.approx(total)


def test_drop_dtw_drops_a_foreign_note() -> None:
    odds = np.full((9, 3), -4.0)
    odds[:5, 0] = odds[5:, 2] = 4.0
    evidence = Evidence(odds, 1.0, 0, np.ones(9, bool), np.zeros((3, 2)), "test")
    spans = np.column_stack([np.arange(9.0), np.arange(1.0, 10.0)])
    found = drop_dtw_evidence(evidence, (Note("a"), Note("b"), Note("c")), spans)
    assert [x.status for x in found.links] == ["aligned", "unmatched", "aligned"]
    assert found.spans[[0, 2]].tolist() == [[0, 5], [5, 9]] and found.links[1].probability > 0.9


def session(name: str, labels: str) -> Session:
    """A session whose notes are the letters of ``labels``."""
    stream = Stream(np.zeros((100, 1)), 10.0, name="x", modality="sensor")
    truth = tuple(Span(float(k), k + 1.0, x, f"{x} happens") for k, x in enumerate(labels))
    return Session(name, (stream,), tuple(Note(row.text) for row in truth), truth=truth)


def test_foreign_notes_are_about_what_is_absent() -> None:
    here, there = session("here", "abcabcab"), session("there", "cdde")
    other = list(session("other", "ax").truth or ())
    assert {row.label for row in foreign_texts(here, [here, there], other)} == {"d", "e"}
    assert {row.label for row in foreign_texts(here, [here], other)} == {"x"}
    made = planted(here, [here, there], other, 0.2)
    truth = made.truth or ()
    foreign = [k for k, row in enumerate(truth) if np.isnan(row.start)]
    assert len(made.notes) == len(truth) == 10 and len(foreign) == 2
    assert [n.text for n in made.notes] == [row.text for row in truth]
    assert [row for row in truth if not np.isnan(row.start)] == list(here.truth or ())
    assert planted(here, [here, there], other, 0.2).notes == made.notes
    with pytest.raises(ValueError, match="0 foreign texts"):
        planted(here, [here], [], 0.2)
