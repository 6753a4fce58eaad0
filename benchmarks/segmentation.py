"""Segmentation beside its peers: ``python -m benchmarks.segmentation [PART ...] [--quick] [--only S4]``.

Parts: ``speed`` (goals.md S1 to S11), ``growth`` (1e4 to 1e7), ``cold`` (an empty cache), ``day`` (24 h x 6
channels x 100 Hz through the command) and ``exactness`` (random cases against brute force). Without a part: all
of them. The peers live in .bench-venv, which `make bench` builds; ``ALIGN_PEERS`` names another interpreter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from math import log
from pathlib import Path

from benchmarks.exactness import campaign
from benchmarks.interleaved import (
    OURS,
    PEERS,
    Row,
    Workload,
    compare,
    machine,
    peers_python,
    run_job,
    seconds_of,
)
from benchmarks.signals import STRESS

__all__ = ["main", "workloads"]

QUICK = ("S2", "S4", "S5", "S6", "S7")
PARTS = ("speed", "growth", "cold", "day", "exactness")


def workloads() -> Iterator[Workload]:
    """Every row of goals.md, section Segmentation, that is about speed; S10 is ``benchmarks.shape``."""
    s4, s5 = "S:10000", "S:50000"
    yield Workload("S1", s4, 2 * log(1e4), "ruptures.Pelt", 5_000)
    yield Workload("S1", s5, 2 * log(5e4), "ruptures.Pelt", 1_500)
    yield Workload("S1, jump=5", s5, 2 * log(5e4), "ruptures.Pelt", 1.0, peer_job={"jump": 5})
    yield Workload("S2", s5, 2 * log(5e4), "ruptures.KernelCPD", 35, min_size=2)
    yield Workload("S3", "noise:50000", 2 * log(5e4), "ruptures.KernelCPD", 4_000, min_size=2)
    for name, least in ((s5, 2.5), ("noise:50000", 4.5), ("noise:1000000", 4.5)):
        n = int(name.split(":")[1])
        yield Workload("S4", name, 2 * log(n), "skchange.FPOP", least)
    for kind in STRESS:
        yield Workload("S4", f"{kind}:50000", 2 * log(5e4), "skchange.FPOP", 1.2)
    yield from many_channels()
    yield from other_costs()
    split = {"split": True}  # each channel a stream of its own, as FPOP has it
    yield Workload("S8", "S:50000:16", 2 * log(5e4), "skchange.FPOP", 2.2, our_job=split, threads=2)
    yield Workload("S8, one thread", "S:50000:16", 2 * log(5e4), "skchange.FPOP", 1.0, our_job=split)
    mbic = {"criterion": "MBIC"}
    for name in ("S:10000000", "noise:10000000"):
        yield Workload("S9", name, 2 * log(1e7), "skchange.FPOP", 3)
        yield Workload("S9", name, 2 * log(1e7), "fastcpd", 3, peer_job=mbic, same_goal=False)
    yield Workload("S11", "flat:10000000", 2 * log(1e7), None)


def many_channels() -> Iterator[Workload]:
    """S5 and S5b: eight channels."""
    signal, price = "S:50000:8", 16 * log(5e4)
    yield Workload("S5", signal, price, "ruptures.KernelCPD", 12, min_size=2)
    yield Workload("S5", signal, price, "skchange.PELT", 200, min_size=2)
    for kind in ("noise", "one", "every 1000"):
        options = {"peer_job": {"criterion": "MBIC"}, "same_goal": False}
        yield Workload("S5b", f"{kind}:1000000:8", 16 * log(1e6), "fastcpd", 1.2, **options)  # type: ignore[arg-type]
    yield Workload("S5b", "noise:20000:8", 16 * log(2e4), "ruptures.KernelCPD", 500)
    exact = {"criterion": "BIC"}
    yield Workload("S5b", "noise:20000:8", 16 * log(2e4), "fastcpd", 500, peer_job=exact)


def other_costs() -> Iterator[Workload]:
    """S6, mean and variance, and S7, the kernel."""
    for name, least in (("S:50000", 12), ("noise:50000", 1_000)):
        exact = {"criterion": "BIC"}
        price = 4 * log(5e4)
        if name.startswith("S"):
            yield Workload("S6", name, price, "skchange.PELT", 80, "meanvar", 2)
        yield Workload("S6", name, price, "fastcpd", least, "meanvar", 2, peer_job=exact)
    for name, least in (("S:50000", 3), ("noise:20000", 250)):
        # the peer is told the bandwidth that ours chooses; left to choose, it needs 23 GB
        yield Workload("S7", name, 3.0, "ruptures.KernelCPD", least, "kernel", 2)


def line(row: Row) -> str:
    """One row of the table of speed."""
    w, ours, peer = row.workload, row.ours, row.peer
    if "missing" in ours:
        return f"| {w.row} | {w.signal} | {w.cost} | {w.peer or ''} | | | | | | | | {row.same} |"
    name = w.peer or ""
    name += "".join(f" {k}={v}" for k, v in w.peer_job.items())
    cells = [w.row, w.signal, f"{w.cost}, least {w.min_size}", name]
    cells += [f"{seconds_of(peer):.4g} ({len(peer['warm'])})" if peer else "", f"{seconds_of(ours):.4g}"]
    met = "met" if row.ratio >= w.least else "**missed**"
    cells += [f"{row.ratio:,.3g}x" if peer else "", f">= {w.least:,g}x: {met}" if peer else ""]
    cells += [f"{ours['record']:.4g}", f"{ours['first']:.2g}", f"{peer['first']:.2g}" if peer else ""]
    cells += [f"{ours['peak_mb']:.0f} ({ours['more_mb']:.0f})", f"{peer['peak_mb']:.0f}" if peer else ""]
    return f"| {' | '.join([*cells, row.same])} |"


def speed(folder: Path, quick: bool, only: str) -> int:
    """The table of goals.md; CPU seconds, warm median. Returns how many rows failed."""
    header = (
        "#",
        "signal",
        "cost",
        "peer",
        "peer, s (calls)",
        "align, s",
        "ratio",
        "goal",
        "Stream(), s",
        "first call, s",
        "peer's, s",
        "MB (more)",
        "peer's MB",
        "same",
    )
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    chosen = [w for w in workloads() if w.row.startswith(only) and (not quick or w.row in QUICK)]
    versions: dict[str, str] = {}
    failed = 0
    for workload in chosen:
        if workload.peer and peers_python() is None:
            continue
        try:
            row = compare(workload, folder, *((2, 4, 5.0) if quick else (3, 3, 30.0)))
        except RuntimeError as error:  # the other rows are still worth having
            failed += 1
            print(
                f"| {workload.row} | {workload.signal} | FAILED: {' '.join(str(error).split())[-300:]} |",
                flush=True,
            )
            continue
        versions |= row.peer["versions"] if row.peer else {}
        print(line(row), flush=True)
    print(f"\n{machine(versions)}. CPU seconds of one pinned thread (S8: wall seconds, two).\n")
    return failed


def growth(folder: Path, quick: bool) -> None:
    """Nanoseconds per sample from 1e4 to 1e7, with and without changes, one channel and six."""
    sizes = (10_000, 100_000, 1_000_000) + (() if quick else (10_000_000,))
    print(
        f"| ns per sample, l2, penalty 2 d ln n | {' | '.join(f'{n:.0e}' for n in sizes)} | peak MB at the last |"
    )
    print(f"|{'---|' * (len(sizes) + 2)}")
    for channels in (1, 6):
        for kind in ("noise", "every 500", "flat"):
            cells, peak = [], 0.0
            for n in sizes:
                found = compare(
                    Workload("", f"{kind}:{n}:{channels}", 2 * channels * log(n), None), folder, 2, 4, 10.0
                )
                cells.append(f"{seconds_of(found.ours) / n * 1e9:.1f}")
                peak = found.ours["peak_mb"]
            print(f"| {kind} x {channels} | {' | '.join(cells)} | {peak:.0f} |", flush=True)
    print(f"\n{machine()}\n")


def cold(folder: Path) -> None:
    """The first call with an empty cache of compiled code, and with a filled one; CPU seconds."""
    print("| first call, s | cache empty | cache filled |\n|---|---|---|")
    cases = [
        (OURS, Workload("", "S:50000", 2 * log(5e4), None)),
        (OURS, Workload("", "S:50000:6", 12 * log(5e4), None)),
        (OURS, Workload("", "S:50000", 4 * log(5e4), None, cost="meanvar", min_size=2)),
        (OURS, Workload("", "S:50000", 3.0, None, cost="kernel", min_size=2)),
        (PEERS, Workload("", "S:50000", 2 * log(5e4), "skchange.FPOP")),
        (PEERS, Workload("", "S:50000", 2 * log(5e4), "skchange.PELT", min_size=2)),
    ]
    for module, w in cases:
        compare(Workload("", w.signal, w.penalty, None), folder, 1, 0, 0.0)  # writes the signal
        file = folder / f"{w.signal.replace(':', '_')}.npy"
        job = w.job(file, 0, 0.0) | {"library": w.peer}
        if module == PEERS and peers_python() is None:
            continue
        with tempfile.TemporaryDirectory() as empty:
            answers = [run_job(module, job, NUMBA_CACHE_DIR=empty) for _ in range(2)]
        name = w.peer or f"align {w.cost}"
        cells = [f"{a['first']:.2f}" if "first" in a else a["missing"] for a in answers]
        print(f"| {name}, {w.signal} | {' | '.join(cells)} |", flush=True)
    print(f"\n{machine()}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for and print their tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="the short rows only")
    parser.add_argument("--only", default="", help="rows whose name begins so, as S4")
    parser.add_argument("--cases", type=int, default=10_000, help="of the exactness campaign")
    parser.add_argument("--peer-cases", type=int, default=2_000, help="of them, given to the peers too")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = options.parts or PARTS
    if peers_python() is None:
        print(
            "No peers: `make bench` builds .bench-venv, or ALIGN_PEERS names their Python.", file=sys.stderr
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        failed = 0
        if "speed" in parts:
            failed += speed(folder, options.quick, options.only)
        if "growth" in parts:
            growth(folder, options.quick)
        if "cold" in parts:
            cold(folder)
        if "day" in parts:
            from benchmarks.day import day

            day(folder, hours=1 if options.quick else 24)
        if "exactness" in parts:
            failed += campaign(folder, options.cases // (20 if options.quick else 1), options.peer_cases)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
