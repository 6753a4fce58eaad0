"""Weeks in minutes: ``python -m benchmarks.soak [--samples 1e8] [--channels 1] [--rows 1000] [--kind mixed]``.

One ``Monitor`` takes the samples in pushes of ``--rows`` rows. Printed: samples per second, how much the resident
memory grew behind the first hundredth, and the 99th percentile of a push's CPU time in the last tenth over that in the
first. ``mixed`` is in turn noise, steps, a flat line, missing cells and gaps, so that both tenths see all of it;
``flat`` and ``noise`` are that alone. Gates: 5 MB and 1.2.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from align.monitor import Monitor, StreamSettings
from benchmarks.interleaved import machine

Array = np.ndarray[Any, Any]
RATE = 100.0
CYCLE = 200  # pushes after which "mixed" begins anew


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def pieces(kind: str, rows: int, channels: int) -> list[tuple[float, Array]]:
    """One cycle of pushes: seconds of pause before each, and its values."""
    rng = np.random.default_rng(0)
    made: list[tuple[float, Array]] = []
    for k in range(CYCLE):
        values = rng.standard_normal((rows, channels))
        pause, part = 0.0, k * 5 // CYCLE
        if kind == "flat" or (kind == "mixed" and part == 1):
            values[:] = 3.0
        elif kind == "mixed" and part == 2:
            values += 4.0 * (np.arange(rows)[:, None] // 250 % 2)
        elif kind == "mixed" and part == 3:
            values[rng.random(values.shape) < 0.05] = np.nan
        elif kind == "mixed" and part == 4 and k % 5 == 0:
            pause = 60.0
        made.append((pause, values))
    return made


def pushes(kind: str, rows: int, channels: int, count: int) -> Iterator[tuple[Array, Array]]:
    """``count`` pushes: times and values."""
    cycle, now, step = pieces(kind, rows, channels), 0.0, np.arange(rows) / RATE
    for k in range(count):
        pause, values = cycle[k % CYCLE]
        now += pause
        yield now + step, values
        now += rows / RATE


def soak(kind: str, samples: int, rows: int, channels: int) -> tuple[float, float, float, int]:
    """Samples per CPU second, MB of growth, ratio of the latencies, and how many events there were."""
    count = samples // (rows * channels)
    monitor, spent, events, before = Monitor(StreamSettings(rate=RATE)), np.zeros(count), 0, 0.0
    for k, (times, values) in enumerate(pushes(kind, rows, channels, count)):
        begin = time.process_time()
        events += len(monitor.push("wrist", times, values))
        spent[k] = time.process_time() - begin
        if k == count // 100:
            gc.collect()
            before = resident_mb()
    gc.collect()
    tenth = count // 10
    late, early = (float(np.quantile(part, 0.99)) for part in (spent[-tenth:], spent[count // 100 :][:tenth]))
    return samples / float(spent.sum()), resident_mb() - before, late / early, events


def main(arguments: list[str] | None = None) -> int:
    """Run it and print a line per kind; 1 where a gate is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=float, default=1e8)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--kind", choices=("mixed", "flat", "noise"), default="mixed")
    given = parser.parse_args(arguments)
    print(machine())
    speed, grown, ratio, events = soak(given.kind, int(given.samples), given.rows, given.channels)
    good = grown <= 5.0 and ratio <= 1.2
    print(
        f"{given.kind}: {given.samples:.0e} samples, {given.channels} channels, {speed / 1e6:.2f} million channel-"
        f"updates/s, {events} events; memory grew by {grown:.2f} MB (gate 5); p99 of the last tenth over the first"
        f" {ratio:.3f} (gate 1.2): {'kept' if good else 'MISSED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
