"""Rhythm notes on electrocardiograms.

    python -m benchmarks.rhythm [RECORD ...] [--seeds 0 1] [--least 5] [--remarks]

Every record of ``ALIGN_DATA``/ecg is aligned by a model that was trained on the others. The cardiologists' rhythm
annotations are the truth: episodes of at least ``--least`` seconds. A note is the rhythm in words with a time up to
30 s off the middle of its episode (uniform). Needs the extra wfdb.

With --remarks also what the cardiologists wrote in the records' headers, a sentence a note, without times and in no
order: where the same model puts it, and which rhythms are annotated there. There is no truth: a table for a person to
check.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from align.answers import Alignment
from align.coordination import Coordination, TrainingPlan, fit_coordination
from align.datatypes import Note, NoteTime, Session, Span
from align.matching import match
from align.metrics import pool
from align.readers import Policy, read_streams
from align.warping import equal_slices
from benchmarks.interleaved import machine

__all__ = ["RHYTHMS", "main", "rhythm_session"]

#: The annotations of the MIT-BIH Arrhythmia Database in words.
RHYTHMS = {
    "AB": "atrial bigeminy",
    "AFIB": "atrial fibrillation",
    "AFL": "atrial flutter",
    "B": "ventricular bigeminy",
    "BII": "second degree heart block",
    "IVR": "idioventricular rhythm",
    "N": "normal sinus rhythm",
    "NOD": "nodal rhythm",
    "P": "paced rhythm",
    "PREX": "pre-excitation",
    "SBR": "sinus bradycardia",
    "SVTA": "supraventricular tachyarrhythmia",
    "T": "ventricular trigeminy",
    "VFL": "ventricular flutter",
    "VT": "ventricular tachycardia",
}
OFF_S = 30.0


def rhythm_session(head: Path, least: float, seed: int) -> Session:
    """One record with a timed note for each of its episodes, and their spans as truth.

    Args:
        head: the record's .hea file; its annotations are beside it.
        least: seconds of an episode that counts.
        seed: of the notes' times.
    """
    import wfdb

    (stream,) = read_streams(head, Policy())
    marks = wfdb.rdann(str(head.with_suffix("")), "atr")
    texts = [text.strip("\x00") for text in marks.aux_note]
    begins = [(s / stream.rate, t[1:]) for s, t in zip(marks.sample, texts, strict=True) if t.startswith("(")]
    ends = [start for start, _ in begins[1:]] + [stream.end]
    episodes = [
        Span(start, end, code, RHYTHMS[code])
        for (start, code), end in zip(begins, ends, strict=True)
        if end - start >= least
    ]
    off = np.random.default_rng(seed).uniform(-OFF_S, OFF_S, len(episodes))
    times = np.clip([0.5 * (e.start + e.end) for e in episodes] + off, stream.start, stream.end)
    notes = [Note(e.text, NoteTime(t, t, t)) for e, t in zip(episodes, times.tolist(), strict=True)]
    return Session(head.stem, (replace(stream, name="ecg"),), tuple(notes), truth=tuple(episodes))


def remarks(head: Path) -> tuple[Note, ...]:
    """The sentences of a record's remarks; the first two lines are about the patient and the drugs.

    Args:
        head: the record's .hea file.
    """
    lines = [line[1:].strip() for line in head.read_text("ascii").splitlines() if line.startswith("#")]
    said = re.split(r"(?<=[.!])\s+", " ".join(lines[2:]))
    return tuple(Note(sentence) for sentence in said if sentence)


def remark_rows(session: Session, head: Path, model: Coordination) -> Iterator[tuple[str, ...]]:
    """(record, remark, status, span, probability, the annotated rhythms of that span) for every remark."""
    asked = replace(session, truth=None, notes=remarks(head))
    for note, link in zip(asked.notes, match(asked, model, order="free").links, strict=True):
        start, end = link.span or (0.0, 0.0)
        there = Counter[str]()
        for row in session.truth or ():
            there[row.label] += round(max(0.0, min(end, row.end) - max(start, row.start)))
        rhythms = ", ".join(f"{label} {seconds} s" for label, seconds in there.most_common(3) if seconds)
        span = f"{start:.0f} to {end:.0f} s" if link.span else ""
        yield session.name, note.text, link.status, span, f"{link.probability:.2f}", rhythms


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row per record, then per rhythm, in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", nargs="*", help="aligned; all others are trained on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--least", type=float, default=5.0, help="seconds of an episode that counts")
    parser.add_argument("--remarks", action="store_true", help="place the headers' remarks, too")
    options = parser.parse_args(arguments)
    folder = Path(os.environ.get("ALIGN_DATA", "../shared/data")) / "ecg"
    _row("record", "seed", "notes", "mean IoU", "recall@0.5", "captions", "equal slices", "training, s")
    _row(*["---"] * 8)
    answers: list[tuple[Alignment, Sequence[Span]]] = []
    said: list[tuple[Alignment, Sequence[Span]]] = []
    means = []
    placed: list[tuple[str, ...]] = []
    for seed in options.seeds:
        sessions = [rhythm_session(head, options.least, seed) for head in sorted(folder.glob("*.hea"))]
        for test in sessions:
            if options.records and test.name not in options.records:
                continue
            before = time.process_time()
            model = fit_coordination([s for s in sessions if s is not test], TrainingPlan(seed=seed))
            seconds = time.process_time() - before
            truth = test.truth or ()
            answers.append((match(replace(test, truth=None), model), truth))
            said.append((match(replace(test, truth=None)), truth))
            own, captions = pool(answers[-1:]), pool(said[-1:]).mean_iou
            means.append(own.mean_iou)
            if options.remarks:
                placed += remark_rows(test, folder / f"{test.name}.hea", model)
            slices = pool([(equal_slices(test.start, test.end, test.notes), truth)]).mean_iou
            found = f"{own.mean_iou:.3f}", f"{own.recall_50:.3f}", f"{captions:.3f}", f"{slices:.3f}"
            _row(test.name, f"{seed}", f"{own.n_notes}", *found, f"{seconds:.0f}")
    everything = pool(answers)
    print(f"\nall episodes {everything.mean_iou:.3f}, mean of the records {np.mean(means):.3f}")
    print(f"captions alone, without a model: {pool(said).mean_iou:.3f}\n")
    numbers = Counter(span.label for _, truth in answers for span in truth)
    _row("rhythm", "episodes", "mean IoU")
    _row(*["---"] * 3)
    for label, value in sorted(everything.per_label.items()):
        _row(RHYTHMS[label], f"{numbers[label]}", f"{value:.3f}")
    if placed:
        print()
        _row("record", "remark", "status", "span", "p", "annotated there")
        _row(*["---"] * 6)
        for cells in placed:
            _row(*cells)
    print(f"\n{machine()}")


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
