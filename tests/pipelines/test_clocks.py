"""A session on one clock: what is repaired, what stays, and that both are said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Note, Session, Stream
from pipelines.clocks import clock_outlook, one_clock
from pipelines.config import ClocksConfig, RunConfig, Settings
from pipelines.run import run_session, write_run

AUTO = ClocksConfig(repair="auto")
HEART = Stream(70.0 + np.arange(90.0) % 7, rate=1.0, name="heart", channels=("heart_rate",))


def worn(name: str, seed: int, shift: float = 0.0) -> Stream:
    """A minute and a half of jolts that every device of these tests felt, on its own clock."""
    rng = np.random.default_rng(7)
    t = np.arange(0.0, 90.0, 0.02)
    felt = np.zeros(t.size)
    for at, strength in zip(np.cumsum(rng.uniform(0.4, 3.0, 50)), rng.uniform(1, 6, 50), strict=True):
        felt += strength * np.exp(-0.5 * ((t - at) / 0.06) ** 2)
    noise = np.random.default_rng(seed)
    values = np.column_stack([9.8 + felt, 0.2 * felt, -0.1 * felt]) + noise.normal(0, 0.2, (t.size, 3))
    return Stream(
        values, rate=50.0, name=name, channels=("acc_x", "acc_y", "acc_z"), run_start=np.array([shift])
    )


@pytest.fixture(scope="module")
def session() -> Session:
    return Session("walk", (worn("phone", 1), worn("watch", 2, 0.8), HEART), (Note("jolts"),))


def test_off_changes_nothing(session: Session) -> None:
    assert one_clock(session, ClocksConfig()) == (session, ())


def test_T06_a_second_device_is_moved_and_the_third_kept_and_both_are_said(session: Session) -> None:
    fixed, (repair,) = one_clock(session, AUTO)
    assert (repair.stream, repair.reference) == ("watch", "phone")
    assert repair.offset == pytest.approx(-0.8, abs=0.01)
    assert fixed.streams[1].start == pytest.approx(0.0, abs=0.01)
    assert fixed.streams[0] is session.streams[0] and fixed.streams[2] is session.streams[2]
    assert [f.code for f in fixed.streams[1].findings] == ["P-CLOCK"]
    (kept,) = fixed.findings
    assert kept.code == "W-CLOCK" and "heart" in kept.message and "stays" in kept.message
    assert fixed.notes is session.notes


def test_T06_without_shared_motion_the_bound_is_said() -> None:
    other = replace(HEART, name="gas", channels=("gas",), run_start=np.array([0.0]))
    fixed, repairs = one_clock(Session("x", (HEART, other)), AUTO)
    assert repairs == () and fixed.streams == (HEART, other)
    assert [f.code for f in fixed.findings] == ["W-CLOCK"]
    assert "not correctable without anchors" in fixed.findings[0].message
    week = Stream(np.zeros(7 * 1440), rate=1 / 60, name="week")
    assert "30.2 s" in clock_outlook((week, replace(week, name="other")))
    assert clock_outlook((week,)) == ""
    assert "--repair-clock auto" in clock_outlook((worn("a", 1), worn("b", 2)))


def test_a_run_records_the_repair_and_draws_it(session: Session, tmp_path: Path) -> None:
    config = RunConfig().with_values({"text.encoder": "hashed", "clocks.repair": "auto"})
    settings = Settings(config.with_values({"matching.method": "equal-slices"}))
    result = run_session(replace(session, streams=session.streams[:2]), settings)
    assert result.session.streams[1].start == pytest.approx(0.0, abs=0.01)
    write_run(result, tmp_path / "out", settings, command=("align", "run", "walk"), inputs={})
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    (clock,) = record["clocks"]
    assert clock["offset_s"] == pytest.approx(-0.8, abs=0.01) and clock["kind"] == "offset"
    assert record["policies"] == {"P-CLOCK": 1} and record["degraded"] is True
    assert record["config"]["clocks.repair"]["value"] == "auto"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "watch onto the clock of phone" in page and '<details id="clocks">' in page
