"""How few people and how few notes are enough: mean IoU on people left out, against what was learned from.

    python -m benchmarks.few_shot [SET...] [--people 1 2 5 10 21] [--notes 5 20 100] [--folds 5] [--most 1]
                                  [--seeds 0 1 2] [--unlabelled]

SET is a folder of ALIGN_DATA (default ../shared/data): hapt, tug, digits, sounds. A row of the table learns from the
true spans of so many people, or of so many notes; the people and notes are drawn at random by the seed, and those of
a smaller row are among those of a larger. All rows align the same untimed notes of the people left out. Beside
them equal slices, which learn nothing. A row for more people than there are takes them all, once. With --unlabelled the
streams of all other training people are given, too, without a note, and the network teaches itself from them once
(``training.self_training`` 1).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from align.datatypes import Session
from align.errors import InputError
from align.metrics import pool
from benchmarks.alignment import folds, person, read
from benchmarks.interleaved import machine
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from pipelines.settings import load_settings
from pipelines.train import train_model

HEADER = ("set", "learned from", "notes learned from", "mean IoU", "spread", "equal slices")


def of_people(train: Sequence[Session], count: int, seed: int) -> list[Session]:
    """The sessions of some people."""
    people = sorted({person(s) for s in train})
    chosen = set(np.random.default_rng(seed).permutation(people)[:count].tolist())
    return [s for s in train if person(s) in chosen]


def of_notes(train: Sequence[Session], count: int, seed: int) -> list[Session]:
    """Sessions cut down to some notes: the spans of one session after the other, until there are enough.

    Beyond the last note that counts nothing is known, so the session ends there.
    """
    out: list[Session] = []
    left = count
    for i in np.random.default_rng(seed).permutation(len(train)).tolist():
        session = train[i]
        rows = tuple(sorted(session.truth or (), key=lambda r: r.start))[:left]
        if not rows:
            continue
        left -= len(rows)
        out.append(until(dataclasses.replace(session, truth=rows, notes=()), rows[-1].end))
        if left <= 0:
            break
    return out


def until(session: Session, end: float) -> Session:
    """The session up to a time."""
    streams = []
    for stream in session.streams:
        keep = int(np.clip(np.searchsorted(stream.times(), end), 1, stream.n_samples))
        runs = stream.run_index < keep
        streams.append(
            dataclasses.replace(
                stream,
                values=stream.values[:keep],
                run_index=stream.run_index[runs],
                run_start=stream.run_start[runs],
            )
        )
    return dataclasses.replace(session, streams=tuple(streams))


def lessons(
    train: Sequence[Session], options: argparse.Namespace, seed: int
) -> Iterator[tuple[str, list[Session]]]:
    """(name of the row, sessions to learn from)."""
    n_people = len({person(s) for s in train})
    for count in sorted({min(n, n_people) for n in options.people}):
        yield f"{count} people", of_people(train, count, seed)
    n_notes = sum(len(s.truth or ()) for s in train)
    for count in sorted({min(n, n_notes) for n in options.notes}):
        yield f"{count} notes", of_notes(train, count, seed)


def iou_of(lesson: list[Session], silent: Sequence[Session], test: Sequence[Session], seed: int) -> float:
    """Mean IoU on the test sessions; NaN where that is too little to learn from."""
    settings = load_settings(options={"training.seed": seed, "training.self_training": int(bool(silent))})
    try:
        model, _ = train_model([*lesson, *silent], settings)
    except InputError as error:
        if error.code != "E-TOO-FEW-PAIRS":
            raise
        return float("nan")
    return pool(align_sessions(test, "contrastive", RunConfig(), model)).mean_iou


def run_set(data: Path, name: str, options: argparse.Namespace) -> list[str]:
    """Rows of the table."""
    sessions = read(data, name)
    found: dict[str, list[float]] = {}
    sizes: dict[str, list[int]] = {}
    slices: list[float] = []
    for fold, (train, test) in enumerate(folds(sessions, options.folds)):
        if fold >= options.most:
            break
        slices.append(pool(align_sessions(test, "equal-slices", RunConfig(), None)).mean_iou)
        for seed in options.seeds:
            for row, lesson in lessons(train, options, seed):
                taken = {person(s) for s in lesson}
                silent = [
                    dataclasses.replace(s, notes=(), truth=None)
                    for s in (train if options.unlabelled else ())
                    if person(s) not in taken
                ]
                iou = iou_of(lesson, silent, test, seed)
                found.setdefault(row, []).append(iou)
                sizes.setdefault(row, []).append(sum(len(s.truth or ()) for s in lesson))
                print(f"  {name} fold {fold} seed {seed}: {row}, mean IoU {iou:.3f}", flush=True)
    return [
        f"| {name} | {row} | {np.mean(sizes[row]):.0f} | {np.mean(ious):.3f} | {np.std(ious):.3f} |"
        f" {np.mean(slices):.3f} |"
        for row, ious in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table in Markdown: a row per set and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=["hapt", "sounds"])
    parser.add_argument("--people", type=int, nargs="*", default=[1, 2, 5, 10, 21])
    parser.add_argument("--notes", type=int, nargs="*", default=[5, 20, 100])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--most", type=int, default=1, help="folds that are run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--unlabelled", action="store_true", help="the other people's streams, without notes")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    rows = [row for name in options.sets for row in run_set(data, name, options)]
    print(f"\n| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}\n" + "\n".join(rows) + "\n")
    print(machine())


if __name__ == "__main__":
    main()
