"""Accuracy of cutting: ``python -m benchmarks.shape [series|tcpd|hapt ...] [--quick] [--each]``.

``series`` are the 21 tuning series of the ClaSP and CLaP papers, nothing of ours is fitted on them; ``tcpd`` the
Turing change-point series with five annotators each, default settings; ``hapt`` phone recordings. The folders are
those of ``ALIGN_DATA`` (default ../shared/data). claspy and KernelCPD run in the peers' environment.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.accuracy import MARGIN, Series, ask, data_folder, no_change, table
from benchmarks.interleaved import OURS, PEERS, machine, peers_python
from benchmarks.recordings import show_hapt

__all__ = ["main", "read_series", "read_tcpd"]

PUBLISHED = {
    "series": "published on these 21: ClaSP 0.781, CLaP 0.805",
    "tcpd": "published defaults, all series: binseg 0.672 / 0.698, pelt 0.652 / 0.674, no change 0.566 / 0.645",
}


def read_series(folder: Path) -> list[Series]:
    """The .npz files with ``values`` and ``change_points``."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            found.append(Series(path.stem, file["values"].reshape(-1, 1), (file["change_points"],)))
    return found


def read_tcpd(folder: Path) -> list[Series]:
    """The .npz files with ``values`` and an array for each annotator."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            marked = tuple(file[k] for k in file.files if k.startswith("annotator"))
            found.append(Series(path.stem, file["values"], marked))
    return found


def show_series(folder: Path, quick: bool, each: bool) -> None:
    """The 21 tuning series, ours beside claspy."""
    series = read_series(data_folder() / "segmentation")
    series = [s for s in series if len(s.values) <= 4_000] if quick else series
    methods = [ask(f"align {m}", OURS, {"cost": m}, series, folder) for m in ("shape", "auto", "l2")]
    if peers_python() is not None:
        methods.append(ask("claspy", PEERS, {"library": "claspy", "warm_up": True}, series, folder))
    reference = f"{PUBLISHED['series']}; nothing was fitted on them"
    table(series, [*methods, no_change(series)], reference, each)


def show_tcpd(folder: Path, quick: bool, each: bool) -> None:
    """The Turing change-point series with default settings."""
    series = read_tcpd(data_folder() / "tcpd")
    methods = [ask(f"align {m}", OURS, {"cost": m}, series, folder) for m in ("auto", "l2")]
    table(series, [*methods, no_change(series)], f"{PUBLISHED['tcpd']}; margin {MARGIN}", each)


def main(arguments: list[str] | None = None) -> int:
    """Print a table for each part that was asked for."""
    parts = {"series": show_series, "tcpd": show_tcpd, "hapt": show_hapt}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--quick", action="store_true", help="short series and few recordings only")
    parser.add_argument("--each", action="store_true", help="a row for each series too")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for name in options.parts or parts:
        if not (data_folder() / {"series": "segmentation"}.get(name, name)).is_dir():
            print(f"{name}: not in {data_folder()}; ALIGN_DATA names the development data\n")
            continue
        print(f"{name}\n")
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder), options.quick, options.each)
    print(machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())
