"""``align demo`` from the outside, from another working directory; with few passes, so that it is quick."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.recordings import Done, answers, record

PASSES = 12  # of 30: enough to be better than equal slices


def test_the_demo_from_any_folder(
    align: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "quick.toml"
    settings.write_text(f'[training]\nepochs = {PASSES}\nwidth = 48\n[matching]\nmethod = "dtw"\n')
    begin = time.perf_counter()
    done = align("demo", "--config", settings, "--encoder", "hashed", "--device", "cpu")
    assert done.code == 0, done.err
    print(f"{time.perf_counter() - begin:.1f} s")  # said, not asserted: machines differ
    assert {p.name for p in Path("demo_out").iterdir()} == {"model", "p5", "p6"}
    lines = done.out.splitlines()
    reports = [Path("demo_out") / name / "report.html" for name in ("p5", "p6")]
    assert lines[-2:] == [str(report) for report in reports]
    means = {line[:24].strip(): float(line[24:].split()[0]) for line in lines[1:-2]}
    assert list(means) == ["learned", "DTW on what was learned", "no model: captions", "equal slices"]
    assert means["learned"] > means["equal slices"] > 0.0
    assert "trained on p1, p2, p3, p4; aligned p5, p6: 22 notes" in done.err
    for report in reports:
        assert "default-src" in report.read_text() and len(answers(report.parent)) == 11
        assert record(report.parent)["method"] == "contrastive", "the demo shows what was learned"
    assert {p.name for p in Path("demo_out/model").iterdir()} == {
        "model.safetensors",
        "model.json",
        "train.json",
        "training.jsonl",
    }
    check_again(align, settings)


def check_again(align: Callable[..., Done], settings: Path) -> None:
    """A second demo is refused; with --force it replaces the first and keeps what it does not know."""
    align("demo").refused("E-EXISTS", 7)
    Path("demo_out/mine.txt").write_text("kept")
    settings.write_text("[training]\nepochs = 1\nwidth = 8\n")
    before = os.stat("demo_out/p5/report.html").st_mtime_ns
    done = align("demo", "--force", "--config", settings, "--encoder", "hashed", "--device", "cpu")
    assert done.code == 0, done.err
    assert os.stat("demo_out/p5/report.html").st_mtime_ns > before
    assert Path("demo_out/mine.txt").read_text() == "kept"
