"""A day of six channels through the command: ``align segment`` on 24 h x 6 channels x 100 Hz (5.2e7 values)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.interleaved import ROOT, machine

__all__ = ["day", "write_day"]

_MEASURED = """
import resource, sys
from pathlib import Path
from cli.main import main
code = main(sys.argv[1:])
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{used.ru_utime + used.ru_stime:.2f} {int(peak.split()[1]) / 1024:.0f} {code}", file=sys.stderr)
"""


def write_day(file: Path, hours: float) -> None:
    """A Parquet or CSV file at 100 Hz: six channels of noise whose level changes every ten minutes."""
    import numpy as np
    import polars as pl

    n = round(hours * 360_000)
    rng = np.random.default_rng(0)
    level = np.repeat(rng.normal(0, 2, (n // 60_000 + 1, 6)), 60_000, axis=0)[:n]
    values = (rng.standard_normal((n, 6), dtype=np.float32) + level).astype(np.float32)
    table = pl.DataFrame({"time": np.arange(n) / 100} | {f"c{i}": values[:, i] for i in range(6)})
    if file.suffix == ".csv":
        table.write_csv(file, float_precision=4)
    else:
        table.write_parquet(file)


def day(folder: Path, hours: float = 24) -> None:
    """Print CPU seconds and peak memory of the whole process, from Parquet and from CSV."""
    print(
        "| align segment, 6 channels x 100 Hz | file, MB | CPU, s | peak, MB | segments |\n|---|---|---|---|---|"
    )
    for suffix, length in ((".parquet", 0.1), (".parquet", hours), (".csv", hours)):
        file = folder / f"day{suffix}"
        # written by a process of its own: the table needs more memory than cutting it
        subprocess.run([sys.executable, "-m", "benchmarks.day", str(file), str(length)], cwd=ROOT, check=True)
        out = folder / "day_segments.csv"
        asked = [sys.executable, "-c", _MEASURED, "segment", str(file), "-o", str(out), "--force"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds, peak, code = done.stderr.split()[-3:]
        if done.returncode or code not in ("0", "None"):
            raise RuntimeError(f"align segment ended with {code}: {done.stderr[-500:]}")
        rows = sum(1 for _ in out.open()) - 1
        print(
            f"| {suffix[1:]}, {length:g} h | {file.stat().st_size / 1e6:.0f} | {seconds} | {peak} | {rows} |",
            flush=True,
        )
        file.unlink()
    print(f"\n{machine()}\n")


if __name__ == "__main__":
    write_day(Path(sys.argv[1]), float(sys.argv[2]))
