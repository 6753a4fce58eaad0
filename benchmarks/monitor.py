"""The live engine beside streaming peers: ``python -m benchmarks.monitor [same|long|speed|shape ...] [--quick]``.

``same``: random chunkings of 20 signals give the bytes of one push. ``speed``: samples per CPU second of one
thread, and patients (8 channels at 100 Hz) a core; ``long``: the same of shape detection. ``shape``: Covering of the
cuts made on the way on the 21 tuning series of ``ALIGN_DATA``, beside claspy streaming. Peers run in .bench-venv
where they are installed (river, claspy, stumpy, changepoint_online); what is missing is said. How late changes are
seen: ``benchmarks.run_length``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from align.metrics import covering
from align.monitor import Monitor, StreamSettings
from align.segmentation.drift import MeanDrift
from align.segmentation.online import Detector
from align.segmentation.online_shape import ShapeSegmenter
from benchmarks.accuracy import data_folder
from benchmarks.interleaved import machine, peers_python, run_job
from benchmarks.shape import read_series

Array = np.ndarray[Any, Any]
PEERS = "benchmarks.peers.monitor"
RATE, CHANNELS = 100.0, 8


def asked(job: dict[str, Any]) -> dict[str, Any] | None:
    """A peer's answer; None, said, where it is not installed or fails."""
    if peers_python() is None:
        print("  peers: no .bench-venv (make bench)")
        return None
    try:
        return run_job(PEERS, job)
    except RuntimeError as error:
        print(f"  {job.get('library', 'claspy')}: {str(error).strip().splitlines()[-1][:100]}")
        return None


def show_same(quick: bool, folder: Path) -> None:
    """Bytes of random chunkings against one push."""
    chunkings, n = (50 if quick else 1_000), 400
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        d = 1 + seed % 3
        every = int(rng.integers(30, 150))
        values = (
            rng.standard_normal((n, d)) + np.repeat(rng.normal(0, 4, (n // every + 1, d)), every, axis=0)[:n]
        )
        values[rng.random((n, d)) < 0.02] = np.nan
        times = np.cumsum(rng.choice([0.02, 3.0], n, p=[0.995, 0.005]))
        order = np.argsort(np.arange(n) + rng.uniform(0, 4, n), kind="stable")
        settings = StreamSettings(
            rate=50.0, noise=1.0 if seed % 2 else None, warm_up=64, lateness=0.1, horizon=256
        )

        def said(cuts: Array, of: tuple[Array, Array], settings: StreamSettings) -> str:
            monitor = Monitor(settings)
            parts = zip(np.split(of[0], cuts), np.split(of[1], cuts), strict=True)
            events = [e for t, v in parts for e in monitor.push("wrist", t, v)] + monitor.close()
            return "\n".join(json.dumps(e.as_dict()) for e in events)

        rows = times[order], values[order]
        whole = said(np.empty(0, np.int64), rows, settings)
        for _ in range(chunkings):
            cuts = np.sort(rng.integers(0, n + 1, int(rng.integers(1, 12))))
            wrong += said(cuts, rows, settings) != whole
    print(f"same: {chunkings} random chunkings x 20 signals of {n} rows: {wrong} differ from one push")


def per_second(take: Callable[[], object], samples: int) -> float:
    """Samples per CPU second, the median of three."""
    spent = []
    for _ in range(3):
        begin = time.process_time()
        take()
        spent.append(time.process_time() - begin)
    return samples / sorted(spent)[1]


def pushed(values: Array, rows: int) -> float:
    """Channel-updates per second of a Monitor that takes so many rows a push."""
    settings, times = StreamSettings(rate=RATE), np.arange(len(values)) / RATE

    def take() -> None:
        monitor = Monitor(settings)
        for i in range(0, len(values), rows):
            monitor.push("wrist", times[i : i + rows], values[i : i + rows])

    return per_second(take, values.size)


def show_speed(quick: bool, folder: Path) -> None:
    """Updates per second of ours and the peers, on noise."""
    n = 20_000 if quick else 100_000
    rng = np.random.default_rng(0)
    values = rng.standard_normal((n, CHANNELS))
    np.save(folder / "noise.npy", values[:, 0])
    one = values[:20_000, 0].tolist()
    ours = {
        "Detector, 1,000 rows a push": per_second(lambda: Detector(CHANNELS).push(values), values.size),
        "MeanDrift, one value a call": per_second(lambda: list(map(MeanDrift().update, one)), len(one)),
        **{f"Monitor, {rows:,} rows a push": pushed(values, rows) for rows in (1_000, 100, 10)},
    }
    print("speed: channel-updates per CPU second, one thread, noise")
    for name, speed in ours.items():
        print(f"  align {name:<28} {speed:>12,.0f}")
    patients = pushed(values[: n // 2], int(RATE)) / (CHANNELS * RATE)
    print(f"  align: {patients:,.0f} patients ({CHANNELS} channels, {RATE:g} Hz, a push a second) per core")
    for library, warm, least in (
        ("ADWIN", 1_000, n), ("PageHinkley", 1_000, n), ("Focus", 1_000, 20_000),
        ("claspy", 2_000, 8_000), ("stumpy", 2_000, 3_000),
    ):  # fmt: skip
        np.save(folder / "part.npy", values[: min(least, n), 0])
        job = {
            "what": "speed",
            "library": library,
            "warm": warm,
            "options": {},
            "signal": str(folder / "part.npy"),
        }
        job["options"] = {"threshold": 1e9} if library == "Focus" else {}
        answer = asked(job)
        if answer is not None:
            print(
                f"  {library:<12} {f'(window {warm:,})' if warm > 1_000 else '':<22} {answer['per_second']:>12,.0f}"
            )


def cut_online(values: Array) -> list[int]:
    """Change points of a stream that comes in pieces of 1,000 rows."""
    run = ShapeSegmenter(values.shape[1])
    pieces = np.split(values, np.arange(1_000, len(values), 1_000))
    return [c for piece in pieces for u in run.push(piece) for c in u.final] + list(run.finish().final)


def show_shape(quick: bool, folder: Path) -> None:
    """Covering on the tuning series, ours and claspy's."""
    if not (data_folder() / "segmentation").exists():
        print("shape: no ALIGN_DATA/segmentation")
        return
    series = [s for s in read_series(data_folder() / "segmentation") if not quick or len(s.values) <= 3_000]
    ours = np.array([covering(s.truth, cut_online(s.values.astype(float)), len(s.values)) for s in series])
    print(f"shape: Covering of {len(series)} tuning series (ClaSS published, all TSSB: 0.807)")
    print(f"  align ShapeSegmenter {ours.mean():.3f}")
    np.savez(
        folder / "series.npz",
        values=np.concatenate([s.values for s in series]),
        lengths=[len(s.values) for s in series],
    )
    answer = asked({"what": "cut", "library": "claspy", "signals": str(folder / "series.npz")})
    if answer is not None:
        theirs = [covering(s.truth, c, len(s.values)) for s, c in zip(series, answer["changes"], strict=True)]
        print(f"  claspy streaming     {np.mean(theirs):.3f}")


def show_long(quick: bool, folder: Path) -> None:
    """Updates per second of shape detection on a long stream, ours and claspy's."""
    n = 60_000 if quick else 200_000
    t = np.arange(n) / 40.0
    turned = np.where(np.arange(n) // 15_000 % 2 == 0, np.sin(2 * np.pi * t), np.sign(np.sin(2 * np.pi * t)))
    long = (turned + 0.2 * np.random.default_rng(0).standard_normal(n))[:, None]
    run = ShapeSegmenter(1)
    run.push(long[: n // 4])
    begin = time.process_time()
    run.push(long[n // 4 :])
    mine = (n - n // 4) / (time.process_time() - begin)
    np.save(folder / "long.npy", long[: 12_000 if quick else 14_000, 0])
    found = asked({"what": "speed", "library": "claspy", "warm": 10_000, "signal": str(folder / "long.npy")})
    beside = "" if found is None else f"; claspy streaming (window 10,000) {found['per_second']:,.0f}"
    print(f"long: shape, updates per CPU second: align (window 32,768) {mine:,.0f}{beside}")


SHOWN = {
    "same": show_same,
    "long": show_long,
    "speed": show_speed,
    "shape": show_shape,
}


def main(arguments: list[str] | None = None) -> None:
    """Print the tables asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", nargs="*", choices=[[], *SHOWN], help="default: all")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name in given.tables or SHOWN:
            SHOWN[name](given.quick, Path(folder))


if __name__ == "__main__":
    main()
