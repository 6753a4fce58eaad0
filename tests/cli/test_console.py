"""cli.console: events that any JSON reader takes, tables that align, progress only on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.console import emit, print_table, progress, say

ROOT = Path(__file__).parent.parent.parent


def test_emit_prints_one_ascii_json_line_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    emit(
        {
            "event": "result",
            "mean_iou": np.float32(0.5),
            "spans": np.array([[0.0, np.nan]]),
            "n": np.int64(3),
            "file": Path("a/b"),
            "text": "µ\ud800\n",
            "worst": float("inf"),
            "labels": ("a", None, True),
        }
    )
    line = capsys.readouterr().out
    assert (
        line.isascii()
        and line.count("\n") == 1
        and line.startswith('{"schema": "align/1", "event": "result"')
    )
    event = json.loads(line)
    assert event["mean_iou"] == 0.5 and event["spans"] == [[0.0, None]] and event["n"] == 3
    assert event["file"] == "a/b" and event["text"] == "µ\ud800\n" and event["worst"] is None
    assert event["labels"] == ["a", None, True]


@pytest.mark.parametrize("event", [{}, {"event": ""}, {"kind": "result"}])
def test_emit_refuses_an_event_without_a_kind(event: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="event"):
        emit(event)


def test_print_table_aligns_words_left_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["note", "iou"], [["walks", 0.5], ["a\x1b[31m", None], ["x", 12.25]])
    assert capsys.readouterr().out.splitlines() == [
        "note          iou",
        "walks       0.500",
        "a\\x1b[31m       -",
        "x          12.250",
    ]


def test_print_table_of_no_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [])
    assert capsys.readouterr().out == "a  b\n"


def test_say_goes_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say("stream wrist\x1b]0;\n")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "stream wrist\\x1b]0;\\x0a\n")


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", total=2) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")
    assert "rich" not in subprocess_modules("with progress('x', total=1) as advance: advance(1)")


def subprocess_modules(body: str) -> set[str]:
    code = f"import sys\nfrom cli.console import progress\n{body}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_progress_draws_on_a_terminal_and_only_on_stderr() -> None:
    main_end, terminal = os.openpty()
    code = "from cli.console import progress\nwith progress('[b]fit', total=2) as advance: advance(2)"
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=terminal,
        cwd=ROOT,
        env=environment,
        check=True,
    )
    os.close(terminal)
    drawn = os.read(main_end, 100_000)
    os.close(main_end)
    assert done.stdout == b"" and b"[b]fit" in drawn
    assert b"\x1b[3" not in drawn, "NO_COLOR is set, yet there is colour"
