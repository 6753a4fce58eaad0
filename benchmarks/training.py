"""Training and a day end to end: how long, how much memory, how many samples a second.

    python -m benchmarks.training [--fold] [--day] [--hours 24] [--set hapt] [--preset default]

``--fold`` trains on one fold of a set of ALIGN_DATA (default ../shared/data), on one core and, where there is a card,
on it in float32 and bfloat16. ``--day`` aligns 200 notes with 24 h of six channels at 50 Hz by ``align run``, the
whole process measured: sessions of the set one after another with two gaps of an hour, notes of every 22nd.
Without either, both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.interleaved import ROOT, machine

__all__ = ["day_of_sessions", "main"]

_PROCESS = """
import json, resource, sys, time
from pathlib import Path
began = time.perf_counter()
from cli.main import main
code = main(sys.argv[1:])
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
seconds = {"wall": time.perf_counter() - began, "cpu": used.ru_utime + used.ru_stime}
print(json.dumps({**seconds, "peak_mb": int(peak.split()[1]) / 1024, "code": code}), file=sys.stderr)
"""
_GAP = 3600.0  # seconds, twice a day
_NOTED = 22  # every so many sessions are spoken of


def command(*words: object) -> Mapping[str, float]:
    """Seconds on the wall and of the CPU, and peak memory, of one ``align`` command in a process of its own."""
    asked = [sys.executable, "-c", _PROCESS, *map(str, words)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    found: Mapping[str, float] = json.loads(done.stderr.splitlines()[-1])
    if done.returncode or found["code"] not in (0, None):
        raise RuntimeError(f"align {words[0]} ended with {found['code']}: {done.stderr[-800:]}")
    return found


def fold(data: Path, name: str, preset: str, folder: Path) -> None:
    """Print a row for every device and precision: one fold trained by the command."""
    from benchmarks.alignment import folds, read

    train, _ = next(iter(folds(read(data, name), 5)))
    sessions = [data / name / s.name for s in train]
    print(
        "| training | device | wall, s | CPU, s | peak, MB | steps | sessions/s | frames/s |\n"
        + "|---" * 8
        + "|"
    )
    for device, precision in devices():
        out, settings = folder / f"model_{device}_{precision}", folder / "settings.toml"
        settings.write_text(f'[training]\nprecision = "{precision}"\n')
        options = ("--truth-file", "truth.csv", "--device", device, "--preset", preset, "--config", settings)
        found = command("train", *sessions, "-o", out, *options)
        lines = [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]
        last = [line for line in lines if line["training"] == "final"]
        speeds = [
            sorted(line[k] for line in last)[len(last) // 2] for k in ("sessions_per_s", "frames_per_s")
        ]
        steps = sum(
            max(x["step"] for x in lines if x["training"] == t) for t in {x["training"] for x in lines}
        )
        row = [f"{name}, {len(sessions)} sessions, {preset}", f"{device}, {precision}"]
        row += [f"{found[k]:.0f}" for k in ("wall", "cpu", "peak_mb")]
        print(f"| {' | '.join([*row, f'{steps}', f'{speeds[0]:.1f}', f'{speeds[1]:,.0f}'])} |", flush=True)


def devices() -> Iterator[tuple[str, str]]:
    """Devices and precisions to be timed on."""
    import torch

    yield "cpu", "float32"
    if torch.cuda.is_available():
        yield "cuda", "float32"
        yield "cuda", "bfloat16"


def day_of_sessions(data: Path, name: str, hours: float, out: Path, timed: bool) -> int:
    """Write a session folder: the set's recordings one after another, two gaps, and notes of some; how many notes.

    Args:
        data: folder of the sets.
        name: of the set; every session has one table.
        hours: to fill.
        out: the folder to write.
        timed: give every note a time, within 15 s of its event.
    """
    import numpy as np
    import polars as pl

    from align.readers import read_truth

    rng = np.random.default_rng(0)
    folders = sorted(p for p in (data / name).iterdir() if p.is_dir())
    tables, notes, now, count = [], [], 0.0, 0
    while now < 3600.0 * hours:
        source = folders[count % len(folders)]
        table = pl.read_parquet(next(source.glob("*.parquet")))
        time = table.columns[0]
        length = float(table[time][-1]) + 0.02
        tables.append(table.with_columns(pl.col(time) + now))
        if count % _NOTED == 0:
            rows = [
                (row, now + 0.5 * (row.start + row.end) + rng.uniform(-15, 15))
                for row in read_truth(source / "truth.csv")
            ]
            notes += [f'{at:.1f},"{row.text}"' if timed else f'"{row.text}"' for row, at in rows]
        now, count = now + length, count + 1
        if count in (60, 120):
            now += _GAP
    out.mkdir(parents=True)
    everything = pl.concat(tables)
    everything.filter(pl.col(time) < 3600.0 * hours).write_parquet(out / "imu.parquet")
    header = "time,text" if timed else "text"
    (out / "notes.csv").write_text("\n".join([header, *notes[:200]]) + "\n")
    return len(notes[:200])


def day(data: Path, name: str, hours: float, folder: Path) -> None:
    """Print a row per kind of notes: the whole of ``align run`` on a day."""
    model = folder / "model"
    lessons = sorted(p for p in (data / name).iterdir() if p.is_dir())[:8]
    command("train", *lessons, "-o", model, "--truth-file", "truth.csv", "--epochs", 5)
    print("| align run, 6 channels x 50 Hz | notes | wall, s | CPU, s | peak, MB |\n|---|---|---|---|---|")
    for timed in (True, False):
        session = folder / f"day_{'timed' if timed else 'untimed'}"
        # made by a process of its own: the table needs more memory than a part of it
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.training", "--make", str(session), "--hours", str(hours), "--set", name]
            + ["--timed"] * timed,
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = command("run", session, "-o", folder / f"out_{timed}", "--model", model)
        row = [f"{hours:g} h, {(session / 'imu.parquet').stat().st_size / 1e6:.0f} MB of Parquet"]
        row += [f"{made.stdout.strip()} {'within 15 s' if timed else 'without times'}"]
        print(
            f"| {' | '.join([*row, *(f'{found[k]:.0f}' for k in ('wall', 'cpu', 'peak_mb'))])} |", flush=True
        )
        timings = json.loads((folder / f"out_{timed}" / "run.json").read_text())["timings_s"]
        print("  stages, s:", {k: round(v, 1) for k, v in timings.items()}, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fold", action="store_true")
    parser.add_argument("--day", action="store_true")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--set", default="hapt")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--timed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data")).resolve()
    if options.make:
        print(day_of_sessions(data, options.set, options.hours, options.make, options.timed))
        return
    both = options.fold == options.day
    with tempfile.TemporaryDirectory() as name:
        if options.fold or both:
            fold(data, options.set, options.preset, Path(name))
        if options.day or both:
            day(data, options.set, options.hours, Path(name))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
