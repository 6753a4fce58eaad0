"""cli/training_table.py: a line an epoch off a terminal, a table on one, nothing for those who keep silent."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from cli.training_table import cells, plain_line, training_display

LINE: dict[str, Any] = {
    "training": "held-out", "epoch": 3, "epochs": 30, "step": 12, "loss": 1.2345, "held_out": 1.5,
    "learning_rate": 2e-3,
    "parts": {"frames": 1.0, "edges": 0.1, "spans": 0.1345, "soft": 0.0, "objective": 0.0},
    "seconds": 1.25, "sessions_per_s": 8.0, "frames_per_s": 12345.0,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_epoch_in_one_line() -> None:
    assert plain_line(LINE) == "held-out 3/30: loss 1.234, held out 1.500, 12,345 frames/s"
    assert plain_line(LINE | {"held_out": None}) == "held-out 3/30: loss 1.234, 12,345 frames/s"


def test_an_epoch_as_a_row() -> None:
    assert cells(LINE) == ("held-out", "3/30", "1.234", "1.000", "0.135", "1.500", "2.0e-03", "12,345", "1.2")
    weak = LINE | {"held_out": None, "parts": LINE["parts"] | {"frames": 0.0, "soft": 0.7, "spans": 0.0}}
    assert cells(weak)[3:6] == ("0.700", "", "")


def test_off_a_terminal_every_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display() as (tell, show):
        tell("features", 1, 2)
        show(LINE)
        show(LINE)
    assert capsys.readouterr().err.splitlines() == [plain_line(LINE)] * 2


def test_on_a_terminal_a_table_with_the_last_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with training_display() as (tell, show):
        tell("features", 1, 1)
        for epoch in range(1, 31):
            show(LINE | {"epoch": epoch})
            tell("training", epoch, 30)
    shown = screen.getvalue()
    assert "frames/s" in shown and "30/30" in shown and "training" in shown


def test_one_of_several_processes_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display(is_shown=False) as (tell, show):
        tell("training", 1, 1)
        show(LINE)
    assert capsys.readouterr().err == ""
