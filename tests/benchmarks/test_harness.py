"""The benchmarks' own functions: no peer is needed and nothing is timed against anything."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks import exactness, interleaved, measure, segmentation, signals
from benchmarks.accuracy import Answers, Series, bootstrap, table
from benchmarks.objective import objective
from benchmarks.recordings import true_changes


def test_every_signal_is_float32_of_the_size_asked_for_and_the_same_each_time() -> None:
    for kind in signals.KINDS:
        made = signals.signal(f"{kind}:1200:2")
        assert made.shape == (1200, 2) and made.dtype == np.float32 and np.isfinite(made).all(), kind
        assert (made == signals.signal(f"{kind}:1200:2")).all(), kind
    assert len(signals.STRESS) == 14


def test_the_workloads_name_every_row_of_the_goals() -> None:
    rows = list(segmentation.workloads())
    named = {w.row.split(",")[0] for w in rows}
    assert named == {
        "S1",
        "S2",
        "S3",
        "S4",
        "S5",
        "S5b",
        "S6",
        "S7",
        "S8",
        "S9",
        "S11",
    }  # S10: benchmarks.shape
    assert {w.peer for w in rows} - {None} <= {
        "ruptures.Pelt", "ruptures.KernelCPD", "skchange.FPOP", "skchange.PELT", "fastcpd"
    }  # fmt: skip


def test_objectives_by_hand() -> None:
    values = np.array([[0.0], [2.0], [5.0], [5.0]])
    assert objective(values, [2], 3.0, "l2") == pytest.approx(2.0 + 3.0)
    assert objective(values[:3], [], 3.0, "meanvar") == pytest.approx(3 * np.log(np.var([0, 2, 5])))
    pairs = 1 + 1 + 2 * np.exp(-0.1 * 4)
    assert objective(values, [2], 0.0, "kernel", gamma=0.1) == pytest.approx(2 - pairs / 2)


def test_measure_counts_calls_and_reports_the_changes() -> None:
    calls = []

    def call() -> list[np.int64]:
        calls.append(1)
        return [np.int64(3)]

    found = measure.measure(call, {"threads": 1, "calls": 4, "seconds": 60.0})
    assert found["changes"] == [3] and len(found["warm"]) == 4 and len(calls) == 5
    assert found["peak_mb"] > 1 and found["more_mb"] >= 0
    assert measure.measure(call, {"threads": 1, "calls": 4, "seconds": 0.0})["warm"] == []
    json.dumps(found)


def test_ours_runs_in_a_process_and_a_missing_method_is_named(tmp_path: Path) -> None:
    row = interleaved.compare(interleaved.Workload("", "S:2000", 15.0, None), tmp_path, 2, 2, 60.0)
    assert len(row.ours["warm"]) == 4 and len(row.ours["changes"]) == 3 and row.peer is None
    assert segmentation.line(row).count("|") == 15
    missing = interleaved.compare(
        interleaved.Workload("S0", "S:2000", 15.0, "peer", cost="no-such"), tmp_path, 1, 1, 1.0
    )
    assert missing.same.startswith("not there") and "no-such" in segmentation.line(missing)


def test_a_worse_answer_of_ours_fails_and_a_worse_peer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    np.save(file, np.repeat([0.0, 9.0], 50)[:, None])
    workload = interleaved.Workload("S0", "steps", 1.0, "the peer")
    right, wrong = {"changes": [50]}, {"changes": [49]}
    assert interleaved._same(workload, file, right, right) == "change points"
    assert "higher" in interleaved._same(workload, file, right, wrong)
    with pytest.raises(RuntimeError, match="align reached"):
        interleaved._same(workload, file, wrong, right)


def test_without_peers_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALIGN_PEERS", "/no/such/python")
    assert interleaved.peers_python() is None
    assert segmentation.main(["speed", "--quick", "--only", "nothing"]) == 0
    assert "make bench" in capsys.readouterr().err
    monkeypatch.setenv("ALIGN_PEERS", sys.executable)
    assert interleaved.peers_python() == Path(sys.executable)


def test_brute_force_is_the_least_over_all_segmentations() -> None:
    for case in list(exactness.cases(200))[::9]:
        values, n = case.values[:9], min(9, len(case.values))
        size = min(case.min_size, 3)
        matrix = exactness.l2_matrix(values)
        every = [
            objective(values, c, case.penalty, "l2")
            for k in range(n)
            for c in combinations(range(1, n), k)
            if min(np.diff([0, *c, n])) >= size or not c
        ]
        spread = max(abs(x) for x in every) + 1e-12
        # where the values stand 1e8 high, the two-pass float64 objective is the less exact of the two
        slack = 1e-6 if np.abs(values).max() > 1e7 else 1e-9
        least = exactness.least_objective(matrix, case.penalty, size)
        assert least == pytest.approx(min(every), abs=slack * spread)


def test_a_worse_or_too_short_answer_is_counted() -> None:
    case = exactness.Case(np.repeat([0.0, 4.0], 10)[:, None], 1.0, 5)
    matrix = exactness.l2_matrix(case.values)
    assert exactness.excess(matrix, case, [10]) == pytest.approx(0.0, abs=1e-12)
    assert exactness.excess(matrix, case, [9]) > 0.01
    assert exactness.excess(matrix, case, [2, 10]) == np.inf
    tally = exactness.Tally("x")
    tally.add(case, [10], 0.0)
    tally.add(case, [9], exactness.excess(matrix, case, [9]))
    assert (tally.cases, tally.changed, tally.worse) == (2, 2, 1) and "**1** (50 %)" in tally.line()


def test_no_exact_method_is_worse_on_a_few_cases() -> None:
    tallies = exactness.our_tallies(24)
    assert {t.name for t in tallies} >= {"align.segment, l2", "exact search, l2"}
    assert {t.name: t.worse for t in tallies if t.worse} == {}


def test_accuracy_table_and_bootstrap(capsys: pytest.CaptureFixture[str]) -> None:
    series = [
        Series("a", np.zeros((100, 1)), (np.array([50]),)),
        Series("b", np.zeros((100, 1)), (np.array([], int),)),
    ]
    right, nothing = Answers("right", [[50], []], [0.1, 0.3]), Answers("no change", [[], []])
    assert right.coverings(series).tolist() == [1.0, 1.0] and nothing.coverings(series).tolist() == [0.5, 1.0]
    table(series, [right, nothing, Answers("later", missing="no such method")], "made up", each=True)
    out = capsys.readouterr().out
    assert (
        "**1.000**" in out
        and "+0.250" in out
        and "no such method" in out
        and "| a | 1 | 1.00 (1) | 0.50 (0) |" in out
    )
    low, high = bootstrap(np.array([0.0, 1.0] * 50))
    assert 0.35 < low < 0.5 < high < 0.65 and bootstrap(np.array([0.0, 1.0] * 50)) == (low, high)


def test_true_changes_of_spans_joins_an_end_with_the_next_start() -> None:
    from align.datatypes import Span

    truth = [Span(1.0, 2.0), Span(2.02, 3.0), Span(4.0, 5.0)]
    assert true_changes(truth, 50.0, 1000).tolist() == [50, 101, 150, 200, 250]
    assert true_changes(truth, 50.0, 250).tolist() == [50, 101, 150, 200]


def test_the_peers_are_pinned_exactly_and_the_workers_import_no_part_of_align() -> None:
    folder = Path(interleaved.ROOT) / "benchmarks"
    pins = [x for x in (folder / "peers.txt").read_text("utf-8").splitlines() if x and not x.startswith("#")]
    assert all("==" in pin for pin in pins)
    assert {"ruptures", "skchange", "fastcpd", "claspy"} <= {pin.split("==")[0] for pin in pins}
    for file in (folder / "measure.py", *(folder / "peers").glob("*.py")):
        assert "align import" not in file.read_text("utf-8") and "import align" not in file.read_text("utf-8")
