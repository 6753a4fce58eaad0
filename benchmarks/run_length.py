"""Detection delay at equal run length: ``python -m benchmarks.run_length [simulated|hapt ...] [--quick]``.

Every detector begins anew after an alarm, and is set so that a false alarm comes once in as many samples.
``simulated``: steps in white noise. ``hapt`` (``ALIGN_DATA``): half-second means of a phone's acceleration, three
channels, where people change what they do; an alarm up to ten seconds behind a true change is its, all others are
false. A peer has one detector per channel and alarms when one of them does, and so has ``Detector``, "max"; "sum"
adds channels up.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from align.segmentation.online import Detector
from benchmarks.accuracy import data_folder
from benchmarks.alarms import calibrated, seen
from benchmarks.interleaved import machine, peers_python, run_job
from benchmarks.recordings import read_hapt, true_changes

Array = np.ndarray[Any, Any]
PEERS = "benchmarks.peers.monitor"
STEPS = (0.5, 1.0, 2.0)
FRAME_S, WITHIN_S = 0.5, 10.0
# settings to look between: the larger, the fewer alarms; ADWIN's is one over its delta
BETWEEN = {"ADWIN": (1.0, 1e9), "PageHinkley": (1.0, 1e4), "Focus": (1.0, 1e3)}


@dataclass(frozen=True)
class Task:
    """Series to set a detector on, and series with changes to see.

    ``series`` (n, d) with the ``changes`` of each, alarms up to ``within`` samples behind one are its; ``target``
    samples from one false alarm to the next; ``asked``: by name, what is looked at then.
    """

    series: list[Array]
    changes: list[list[int]]
    within: int
    target: float
    asked: dict[str, tuple[list[Array], list[list[int]]]]


def ours(combine: Literal["sum", "max"]) -> Callable[[float, Sequence[Array]], list[list[int]]]:
    """Alarms of ``Detector`` by threshold."""

    def alarms(threshold: float, series: Sequence[Array]) -> list[list[int]]:
        every = []
        for values in series:
            found, at = [], 0
            while at < len(values):
                taken, passed = Detector(values.shape[1], combine=combine).until(values[at:], threshold)
                at += taken
                if passed:
                    found.append(at - 1)
            every.append(found)
        return every

    return alarms


def packed(series: Sequence[Array], folder: Path, name: str) -> str:
    """Series in one file for a peer."""
    file = folder / f"{name}.npz"
    np.savez(file, values=np.concatenate(series), lengths=[len(x) for x in series])
    return str(file)


def simulated(quick: bool) -> Task:
    """Noise, and steps in it at the thousandth of 3,000 samples."""
    rng = np.random.default_rng(1)
    noise = [rng.standard_normal((10_000, 1)) for _ in range(4 if quick else 20)]
    count, n, at = (20 if quick else 100), 3_000, 1_000
    asked = {}
    for size in STEPS:
        stepped = [rng.standard_normal((n, 1)) + size * (np.arange(n) >= at)[:, None] for _ in range(count)]
        asked[f"{size:g} sd"] = (stepped, [[at]] * count)
    return Task(noise, [[] for _ in noise], n - at, 5_000.0, asked)


def hapt(quick: bool) -> Task | None:
    """Half-second means of acceleration in units of their own usual step, and where activities change."""
    if not (data_folder() / "hapt").exists():
        return None
    series, changes = [], []
    for session in read_hapt(4 if quick else 1000):
        stream = session.streams[0]
        size = round(FRAME_S * stream.rate)
        whole = stream.n_samples // size
        frames = np.nanmean(
            stream.values[: whole * size, :3].astype(np.float64).reshape(whole, size, 3), axis=1
        )
        usual = np.median(np.abs(np.diff(frames, axis=0)), axis=0) / 0.6745 / np.sqrt(2)
        series.append((frames - frames[0]) / usual)
        marked = true_changes(session.truth or (), stream.rate, stream.n_samples) // size
        changes.append(sorted({int(c) for c in marked if 0 < c < whole}))
    return Task(series, changes, round(WITHIN_S / FRAME_S), 100.0, {"changes": (series, changes)})


def told(name: str, value: float, reached: float, answers: dict[str, list[list[int]]], task: Task) -> None:
    """One line of the table."""
    parts = []
    for what, (_, changes) in task.asked.items():
        found = [seen(a, c, task.within)[0] for a, c in zip(answers[what], changes, strict=True)]
        delays, count = [d for one in found for d in one], sum(map(len, changes))
        late = f"{np.median(delays):.0f}" if delays else "-"
        parts.append(f"{what}: {len(delays) / count:.0%} seen, median delay {late}")
    print(f"  {name:<22} (set to {value:.4g}: one false alarm in {reached:,.0f}) " + "; ".join(parts))


def show(task: Task, folder: Path) -> None:
    """Ours and the peers."""
    for combine in ("sum", "max") if task.series[0].shape[1] > 1 else ("sum",):
        alarms = ours(combine)
        set_up = (alarms, (1.0, 1e5), task.series, task.changes, task.within, task.target)
        value, reached = calibrated(*set_up)
        answers = {what: alarms(value, series) for what, (series, _) in task.asked.items()}
        told(f"align Detector, {combine}", value, reached, answers, task)
    if peers_python() is None:
        print("  peers: no .bench-venv (make bench)")
        return
    files = {"set": packed(task.series, folder, "set")}
    files |= {what: packed(s, folder, f"asked{i}") for i, (what, (s, _)) in enumerate(task.asked.items())}
    for library, between in BETWEEN.items():
        job = {"what": "run_length", "library": library, "between": between, "files": files}
        job |= {"changes": task.changes, "within": task.within, "target": task.target}
        try:
            found = run_job(PEERS, job)
        except RuntimeError as error:
            print(f"  {library}: {str(error).strip().splitlines()[-1][:100]}")
            continue
        told(library, found["value"], found["reached"], found["alarms"], task)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables asked for, both by default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", nargs="*", choices=[[], "simulated", "hapt"], help="default: both")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    print(machine())
    for name in given.tables or ("simulated", "hapt"):
        task = simulated(given.quick) if name == "simulated" else hapt(given.quick)
        if task is None:
            print(f"{name}: no ALIGN_DATA/{name}")
            continue
        print(f"{name}: delays in {'samples' if name == 'simulated' else 'half seconds'}")
        with tempfile.TemporaryDirectory() as folder:
            show(task, Path(folder))


if __name__ == "__main__":
    main()
