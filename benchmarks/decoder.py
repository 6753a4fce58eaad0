"""Time and memory of the matching decoder, one case per fresh process, kernels warm.

    OMP_NUM_THREADS=1 python -m benchmarks.decoder [CASE...]

Prints CPU seconds of ``place_notes`` (one thread) and how much the peak of memory grew over the evidence itself.
Sessions are synthetic: notes in order on noisy blocks of log odds; "flat" has none, so that nothing can be ruled out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from align.answers import Alignment, Evidence
from align.datatypes import Note, NoteTime
from align.matching import place_notes

#: name -> seconds, notes, hop in seconds, timed, flat
CASES: dict[str, tuple[float, int, float, bool, bool]] = {
    "30 min x 148 timed (ECG)": (1800.0, 148, 0.25, True, False),
    "24 h x 200, natural hop": (86400.0, 200, 10.0, False, False),
    "24 h x 200 timed, natural hop": (86400.0, 200, 10.0, True, False),
    "24 h x 200 timed, 10 a minute": (86400.0, 200, 6.0, True, False),
    "24 h x 200, 2 Hz": (86400.0, 200, 0.5, False, False),
    "24 h x 200 timed, 2 Hz": (86400.0, 200, 0.5, True, False),
    "24 h x 200 flat, 2 Hz": (86400.0, 200, 0.5, False, True),
    "1e6 frames x 500": (1e6, 500, 1.0, False, False),
}


def make_session(
    seconds: float, n_notes: int, hop: float, is_timed: bool, is_flat: bool
) -> tuple[Evidence, tuple[Note, ...], np.ndarray]:
    """Evidence, notes and true spans; a note's own frames are about one spread above the others."""
    rng = np.random.default_rng(0)
    n = int(seconds / hop)
    truth = np.sort(rng.uniform(0, seconds, 2 * n_notes)).reshape(-1, 2)
    usual = seconds / n_notes / 2
    weight = min(1.0, 4 * hop / usual)  # a note of usual length counts as about four looks
    odds = (
        rng.standard_normal((n, n_notes), dtype=np.float32)
        if not is_flat
        else np.zeros((n, n_notes), np.float32)
    )
    odds -= 0.0 if is_flat else 1.0
    for i, (start, end) in enumerate(truth):
        odds[int(start / hop) : int(end / hop) + 1, i] += 0.0 if is_flat else 2.0
    odds *= 0.9 * weight
    times = truth.mean(axis=1) + rng.normal(0, 20, n_notes)
    notes = tuple(Note(f"note {i}", NoteTime(t, t, t) if is_timed else None) for i, t in enumerate(times))
    durations = np.tile([np.log(usual), 0.9], (n_notes, 1))
    return Evidence(odds, hop, 0, np.ones(n, np.bool_), durations, "benchmark"), notes, truth


def mean_iou(alignment: Alignment, truth: np.ndarray) -> float:
    """Of all notes; 0 without a span."""
    spans = alignment.spans
    shared = np.minimum(spans[:, 1], truth[:, 1]) - np.maximum(spans[:, 0], truth[:, 0])
    whole = np.maximum(spans[:, 1], truth[:, 1]) - np.minimum(spans[:, 0], truth[:, 0])
    return float(np.nan_to_num(np.clip(shared, 0, None) / whole).mean())


def run_case(name: str) -> None:
    """Print one row."""
    warm, notes, _ = make_session(600.0, 10, 1.0, True, False)
    place_notes(warm, notes)
    evidence, notes, truth = make_session(*CASES[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    alignment = place_notes(evidence, notes)
    spent = time.process_time() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    shape = "{} x {}".format(*evidence.log_odds.shape)
    held = evidence.log_odds.nbytes / 2**20
    iou = mean_iou(alignment, truth)
    print(f"| {name} | {shape} | {spent:.2f} | {grown / 1024:.0f} | {held:.0f} | {iou:.3f} |", flush=True)


def main() -> None:
    """Every case in a process of its own, or, with --only, one case here."""
    if sys.argv[1:2] == ["--only"]:
        run_case(sys.argv[2])
        return
    print(
        "| case | frames x notes | CPU, s | memory grown, MB | evidence, MB | mean IoU |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for name in sys.argv[1:] or CASES:
        subprocess.run([sys.executable, "-m", "benchmarks.decoder", "--only", name], check=True)


if __name__ == "__main__":
    main()
