"""How well notes are placed: people held out by folds, beside the baselines, on the development data.

    python -m benchmarks.alignment [SET...] [--folds 5] [--seeds 0 1 2] [--notes NAME] [--unseen-wording]

SET is a folder of ALIGN_DATA (default ../shared/data): hapt, tug, digits, sounds. Every fold trains on the other
people's true spans (or, with --notes, on those notes alone) and aligns the untimed notes of the people left out.
With --unseen-wording one wording of every label is kept out of training, and all test notes are reworded to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from align.datatypes import Note, Session, Span
from align.metrics import pool
from align.readers import Policy, session_folders
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from pipelines.settings import load_settings
from pipelines.train import read_sessions, train_model

METHODS = ("contrastive", "dtw", "duration prior", "captions", "equal-slices")


def person(session: Session) -> str:
    """Who is recorded: the folder's name up to the first "_" (sounds: every track its own)."""
    return session.name if session.name.startswith("session") else session.name.split("_")[0]


def folds(sessions: Sequence[Session], count: int) -> Iterator[tuple[list[Session], list[Session]]]:
    """(training, test) sessions; no person in both."""
    people = sorted({person(s) for s in sessions})
    np.random.default_rng(7).shuffle(people)
    for i in range(min(count, len(people))):
        out = set(people[i :: min(count, len(people))])
        yield [s for s in sessions if person(s) not in out], [s for s in sessions if person(s) in out]


def reworded(
    sessions: Sequence[Session], train: Sequence[Session], test: Sequence[Session], fold: int
) -> tuple[list[Session], list[Session]]:
    """Training rows without one wording of every label; test rows in that wording alone."""
    wordings: dict[str, set[str]] = {}
    for session in sessions:
        for row in session.truth or ():
            wordings.setdefault(row.label, set()).add(row.text)
    held = {label: sorted(texts)[fold % len(texts)] for label, texts in wordings.items() if len(texts) > 1}

    def without(row: Span) -> Span:
        return dataclasses.replace(row, text="") if held.get(row.label) == row.text else row

    lessons = [dataclasses.replace(s, notes=(), truth=tuple(map(without, s.truth or ()))) for s in train]
    questions = []
    for session in test:
        rows = [dataclasses.replace(r, text=held.get(r.label, r.text)) for r in session.truth or ()]
        notes = tuple(Note(r.text) for r in rows)
        questions.append(dataclasses.replace(session, notes=notes, truth=tuple(rows)))
    return lessons, questions


def duration_prior(model, test: Sequence[Session]):  # type: ignore[no-untyped-def]
    """Slices of the recording in proportion to the durations that the model expects of the notes."""
    from align.warping import duration_slices

    for session in test:
        expected = model.durations.of(model.encoder.encode([n.text for n in session.notes]))[:, 0]
        yield duration_slices(session.start, session.end, session.notes, np.exp(expected)), session.truth


def run_set(folder: Path, options: argparse.Namespace, seed: int) -> dict[str, list]:
    """Pairs (alignment, truth) of every test session, by method, and seconds of training."""
    truth = None if options.notes else "truth.csv"
    sessions = read_sessions(
        [folder], notes_file="notes_untimed.txt", truth_file="truth.csv", policy=Policy()
    )
    weak = {
        s.name: s
        for s in (
            read_sessions([folder], notes_file=options.notes, truth_file=None, policy=Policy())
            if options.notes
            else ()
        )
    }
    settings = load_settings(options={"training.seed": seed})
    pairs: dict[str, list] = {m: [] for m in METHODS}
    pairs["seconds"] = []
    for fold, (train, test) in enumerate(folds(sessions, options.folds)):
        if fold >= options.most:
            break
        if options.unseen_wording:
            train, test = reworded(sessions, train, test, fold)
        lessons = train if truth else [weak[s.name] for s in train]
        model, seconds = train_model(lessons, settings)
        pairs["seconds"].append(seconds)
        for method in ("contrastive", "dtw", "captions", "equal-slices"):
            used = model if method in ("contrastive", "dtw") else None
            pairs[method] += align_sessions(test, method, RunConfig(), used)
        pairs["duration prior"] += list(duration_prior(model, test))
        so_far = pool(pairs["contrastive"])
        print(f"  fold {fold}: {seconds:.0f} s, mean IoU so far {so_far.mean_iou:.3f}", flush=True)
    return pairs


def main() -> None:
    """Print one Markdown row per set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=["hapt", "tug", "digits", "sounds"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--most", type=int, default=99, help="folds that are run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--notes", help="learn from these notes alone, not from true spans")
    parser.add_argument("--unseen-wording", action="store_true")
    options = parser.parse_args()
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    rows = []
    for name in options.sets:
        if not session_folders([data / name]):
            continue
        print(name, flush=True)
        runs = [run_set(data / name, options, seed) for seed in options.seeds]
        scores = {m: [pool(r[m]) for r in runs] for m in METHODS}
        mean = {m: float(np.mean([s.mean_iou for s in scores[m]])) for m in METHODS}
        spread = float(np.std([s.mean_iou for s in scores["contrastive"]])) if len(runs) > 1 else float("nan")
        learned = scores["contrastive"]
        rows.append(
            f"| {name} | {learned[0].n_notes} | **{mean['contrastive']:.3f}** ± {spread:.3f} "
            f"| {np.mean([s.recall_50 for s in learned]):.3f} "
            f"| {np.mean([s.median_abs_start_error_s for s in learned]):.2f} "
            f"| {np.mean([s.ece for s in learned]):.3f} "
            + "".join(f"| {mean[m]:.3f} " for m in METHODS[1:])
            + f"| {np.max([r['seconds'] for r in runs]):.0f} |"
        )
        per_label = {k: round(float(v), 3) for k, v in learned[0].per_label.items()}
        print("  per label:", per_label, flush=True)
    print(
        "| set | notes | mean IoU (± over seeds) | recall@0.5 | median start error, s | ECE "
        "| DTW | duration prior | no model | equal slices | slowest fold, s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
