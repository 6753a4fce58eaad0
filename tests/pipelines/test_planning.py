"""What a batch will take: a line through a few inputs that were done; nothing of it stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.children import Limits
from pipelines.jobs import JobSettings
from pipelines.manifest import inputs_of
from pipelines.planning import Cost, Plan, fitted_line, plan_batch, size_of
from tests.pipelines.batches import files, good, silence

NUMBERS = st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 10**6)), min_size=1, max_size=8)


@given(points=NUMBERS)
def test_a_line_is_the_best_that_is_nowhere_below_zero(points: list[tuple[int, float]]) -> None:
    x, y = [p[0] for p in points], [p[1] for p in points]
    base, rate = fitted_line(x, y)
    assert base >= 0 and rate >= 0

    def error(b: float, r: float) -> float:
        return sum((b + r * at - value) ** 2 for at, value in points)

    best = error(base, rate)
    for b, r in (
        (base * 1.01 + 1, rate),
        (base, rate * 1.01 + 1e-3),
        (max(0, base - 1), rate),
        (base, rate * 0.99),
    ):
        assert best <= error(b, r) * (1 + 1e-9) + 1e-6


def test_a_plan_adds_up() -> None:
    small = Cost(1000, 10_000_000, 6, 1, (0.01, 1e-7), (100e6, 10.0), (500.0, 0.1), 20_000)
    large = Cost(10, 10**10, 6, 0, (0.5, 1e-8), (150e6, 4.0), (0.0, 0.01), 2 * 10**9)
    said = Plan({".csv": small, ".wav": large}, 4, 2.0).as_dict()
    assert said["core_seconds"] == pytest.approx(1000 * 0.01 + 1 + 5 + 100)
    assert said["seconds"] == pytest.approx(2 + 116 / 4)
    assert said["memory_per_worker"] == pytest.approx(150e6 + 8e9) and said["memory"] == pytest.approx(
        4 * 8.15e9
    )
    assert (said["items"], said["tried"], said["failed_of_tried"]) == (1010, 12, 1)
    assert said["result_bytes"] == pytest.approx(500e3 + 1e6 + 1e8 + 420 * 1010)


def test_inputs_are_tried_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = files(tmp_path / "night", 9, ["ragged.csv"])
    for i in range(1, 4):
        silence(night / f"s{i}.wav", i * 12 << 20)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    inputs = inputs_of([night], "streams")
    found = plan_batch(inputs, "inspect", JobSettings(), 2, Limits())
    assert not list((tmp_path / "tmp").iterdir())
    assert {kind: (c.items, c.tried, c.failed) for kind, c in found.kinds.items()} == {
        ".csv": (10, 6, 1),
        ".wav": (3, 3, 0),
    }
    wav = found.kinds[".wav"]
    assert wav.largest == (36 << 20) + 44
    assert sum(wav.seconds) > 0, "on a quiet machine more bytes take longer"
    assert 50 << 20 < wav.peak() < 4 << 30 and wav.results[0] > 100
    assert found.start > 0, "the first input of a worker waits for its libraries"


def test_a_budget_that_ends_at_once_still_gives_a_plan(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 6)
    silence(night / "s.wav", 1 << 20)
    found = plan_batch(inputs_of([night], "streams"), "inspect", JobSettings(), 1, Limits(), budget=0.0)
    assert set(found.kinds) == {".csv", ".wav"} and found.kinds[".wav"].seconds[0] > 0


def test_a_session_is_as_large_as_its_streams_and_notes(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    flow = good(tmp_path / "s" / "flow.csv")
    (tmp_path / "s" / "notes.csv").write_text("time,text\n1,a\n")
    (tmp_path / "s" / "truth.csv").write_text("start,end,label,text\n")
    assert size_of(tmp_path / "s") == (flow.stat().st_size + 14, "session")
    for name in ("r.hea", "r.dat", "q.dat"):
        (tmp_path / name).write_text("1234")
    assert size_of(tmp_path / "r.hea") == (8, ".hea")
