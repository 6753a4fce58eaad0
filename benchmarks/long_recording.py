"""One long recording through ``align tokenize``: time and peak memory of the whole process against its hours.

    python -m benchmarks.long_recording [--hours 10 100 1000] [--folder FOLDER]

Three channels at 25 Hz in Parquet, written in row groups of an hour: levels that change every minute or two, a walk and
noise. A thousand hours take 3 GB on the disk of FOLDER (default: the temporary one) while they are written.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.interleaved import machine
from benchmarks.training import command

__all__ = ["main", "write_recording"]

_RATE, _CHANNELS, _HOUR = 25, 3, 3600


def write_recording(file: Path, hours: int) -> None:
    """Write ``hours`` of the signal: a file an hour first, then all of them as one."""
    import numpy as np
    import polars as pl

    n, rng = _RATE * _HOUR, np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=file.parent) as parts:
        for hour in range(hours):
            starts = np.cumsum(rng.integers(60 * _RATE, 120 * _RATE, n // (60 * _RATE)))
            level = rng.normal(0.0, 2.0, (len(starts) + 1, _CHANNELS))[np.searchsorted(starts, np.arange(n))]
            walk = 0.01 * np.cumsum(rng.standard_normal((n, _CHANNELS)), axis=0)
            values = (level + walk + rng.standard_normal((n, _CHANNELS))).astype(np.float32)
            columns = {f"c{i}": values[:, i] for i in range(_CHANNELS)}
            table = pl.DataFrame({"time": (hour * n + np.arange(n)) / _RATE} | columns)
            table.write_parquet(Path(parts, f"{hour:06d}.parquet"))
        pl.scan_parquet(Path(parts, "*.parquet")).sink_parquet(file, row_group_size=n)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args(arguments)
    print(
        "| hours | rows | Parquet, MB | tokens | wall, s | CPU, s | peak, MiB |\n|---|---|---|---|---|---|---|"
    )
    for hours in options.hours:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            import polars as pl

            file, out = Path(name, "long.parquet"), Path(name, "out")
            write_recording(file, hours)
            found = command("tokenize", file, "-o", out)
            tokens = int(pl.scan_parquet(out / "tokens.parquet").select(pl.len()).collect().item())
            cells = [
                f"{hours:,}",
                f"{hours * _HOUR * _RATE:,}",
                f"{file.stat().st_size / 1e6:,.0f}",
                f"{tokens:,}",
            ]
            cells += [f"{found[k]:.0f}" for k in ("wall", "cpu", "peak_mb")]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
