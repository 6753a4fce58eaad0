"""``align inspect`` and ``align check`` as a user sees them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from align.readers import Policy
from cli.inspect import duration_text
from cli.main import main
from cli.options import policy_options

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    folder = tmp_path / "night"
    folder.mkdir()
    soundfile.write(folder / "mic.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 10_000), 1000)
    rows = [f"{t / 10:.1f},{np.sin(t):.4f}" for t in range(100) if not 40 <= t < 60]
    (folder / "wrist.csv").write_text("time,acc_x (g)\n" + "\n".join(rows) + "\n")
    (folder / "notes.csv").write_text('time,text\n2,coughs\n,sneezes\n500,secret\n3," "\n')
    return folder


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_inspect_says_what_was_understood(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(night)]) == 0
    shown = capsys.readouterr()
    for words in (
        "time in wrist.csv",
        "mic",
        "1000 Hz",
        "acc_x (g)",
        "10 Hz",
        "gaps in wrist",
        "4.000 to 6.000 s",
        "4 in notes.csv",
        "3 timed, 1 untimed, 1 empty, 1 outside the recording",
    ):
        assert words in shown.out, words
    assert "\x1b" not in shown.out
    assert "coughs" not in shown.out + shown.err
    assert shown.err == ""


def test_inspect_json(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--json", str(night)]) == 0
    item, result = events(capsys.readouterr().out)
    assert (result["event"], result["items"], result["failed"]) == ("result", 1, 0)
    assert (item["session"], item["clock"], item["start"], item["start_time"]) == (
        "night",
        "relative",
        0.0,
        None,
    )
    mic, wrist = item["streams"]  # type: ignore[misc]
    assert (mic["name"], mic["samples"], mic["gaps"]) == ("mic", 10_000, [])
    assert wrist["gaps"] == [[pytest.approx(4.0), pytest.approx(6.0)]]
    assert wrist["units"] == ["g"]
    assert item["time_columns"] == {"wrist.csv": "time"}
    assert item["notes"] == {
        "files": ["notes.csv"], "count": 4, "exact": 3, "interval": 0, "untimed": 1, "empty": 1,
        "outside": 1, "first": 2.0, "last": 500.0, "authors": [],
    }  # fmt: skip


def test_inspect_with_an_absolute_clock(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (night / "wrist.csv").unlink()
    assert main(["inspect", "--json", str(night), "--start", "2026-03-28T22:10:00+01:00"]) == 0
    item = events(capsys.readouterr().out)[0]
    assert (item["start_time"], item["end_time"]) == (
        "2026-03-28T22:10:00.000+01:00", "2026-03-28T22:10:10.000+01:00"
    )  # fmt: skip


def test_inspect_one_file_and_notes_alone(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(night / "wrist.csv"), str(night / "notes.csv")]) == 0
    shown = capsys.readouterr().out
    assert "acc_x (g)" in shown
    assert "4 in notes.csv: 3 timed" in shown


def test_inspect_goes_on_after_a_bad_item(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (night / "cut.wav").write_bytes((night / "mic.wav").read_bytes()[:-100])
    assert main(["inspect", str(night / "cut.wav"), str(night / "mic.wav")]) == 4
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("E-TRUNCATED")
    assert "1000 Hz" in shown.out
    assert main(["inspect", str(night / "cut.wav")]) == 3
    assert capsys.readouterr().err.startswith("E-TRUNCATED")
    assert main(["inspect", str(night / "cut.wav"), "--on-truncated", "keep"]) == 0
    assert "P-TRUNCATED" in capsys.readouterr().out


def test_S04_names_are_shown_escaped(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (night / "mic.wav").rename(night / "m\x1b[31mic [bold].wav")
    assert main(["inspect", str(night)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "m\\x1b[31mic [bold]" in shown


def test_check_one_line_per_item(night: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(night), str(night / "mic.wav")]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok"]
    (night / "mic.wav").write_bytes((night / "mic.wav").read_bytes()[:-100])
    assert main(["check", str(night / "mic.wav"), str(night / "wrist.csv"), str(tmp_path / "absent")]) == 4
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"failed  {night / 'mic.wav'}  E-TRUNCATED")
    assert first.count("mic.wav") == 1
    assert second.split()[0] == "ok"
    assert "E-NO-FILE" in third
    assert main(["check", str(night)]) == 3
    capsys.readouterr()
    assert main(["check", "--json", str(night), str(night / "notes.csv")]) == 4
    bad, good, result = events(capsys.readouterr().out)
    assert (bad["ok"], good["ok"], result["items"], result["failed"]) == (False, True, 2, 1)
    assert bad["error"]["code"] == "E-TRUNCATED"  # type: ignore[index]


def test_check_looks_at_the_notes(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (night / "notes.csv").write_text("time,text\n5,secret, words\n")
    assert main(["check", str(night)]) == 3
    shown = capsys.readouterr().out
    assert "E-RAGGED" in shown
    assert "line 2" in shown
    assert "secret" not in shown


def test_policy_options_make_one_policy() -> None:
    seen: list[Policy] = []

    @click.command()
    @policy_options
    def command(policy: Policy) -> None:
        seen.append(policy)

    runner = CliRunner()
    assert runner.invoke(command, []).exit_code == 0
    assert runner.invoke(
        command,
        ["--on-nan", "gap", "--on-truncated", "keep", "--sort", "--dup", "first", "--tail", "drop", "--na", "NA",
         "--na", "-", "--sentinel", "-999", "--time-column", "t", "--time-unit", "ms", "--tz", "+01:00", "--fold",
         "1", "--start", "2026-03-28T22:10"],
    ).exit_code == 0  # fmt: skip
    assert seen == [
        Policy(),
        Policy(on_nan="gap", on_truncated="keep", sort=True, dup="first", tail="drop", na=("NA", "-"),
               sentinels=(-999.0,), time_column="t", time_unit="ms", tz="+01:00", fold=1, start="2026-03-28T22:10"),
    ]  # fmt: skip
    assert runner.invoke(command, ["--on-nan", "guess"]).exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (59.9, "59.9 s"),
        (373.02, "6 min 13 s"),
        (28_920, "8 h 02 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_bad_input_is_one_line_without_traceback(align_command: Run, tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    done = align_command("inspect", "a.wav")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("E-EMPTY a.wav")
    assert done.stderr.count("\n") == 1
