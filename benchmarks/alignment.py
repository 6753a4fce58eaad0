"""How well notes are placed: people held out by folds, beside the baselines, on the development data.

    python -m benchmarks.alignment [SET...] [--folds 5] [--seeds 0 1 2] [--notes NAME] [--unseen-wording]
                                   [--labelled 0]
                                   [--asked written second third fourth fifth paraphrased foreign timed]
                                   [--only-learned] [--every 1] [--turned 0] [--hiss DB] [--without NAME ...]
                                   [--rate HZ] [--smoothed HZ] [--dropped S] [--words-alone]

SET is a folder of ALIGN_DATA (default ../shared/data): hapt, tug, digits, sounds. Every fold trains on the other
people's true spans (or, with --notes, on those notes alone, but for so many --labelled sessions, drawn by the seed,
that keep their spans) and aligns the untimed notes of the people left out, as they are ``written``. The same model
can be asked in other ways:

- ``second``: every note says what its label says in a wording drawn from ``benchmarks/wordings/SET.csv``, which
  training never sees and nothing was tuned to;
- ``third``: the same from ``benchmarks/wordings/third``, written after the second had been looked at;
- ``fourth``, ``fifth``: the same from their folders of ``benchmarks/wordings``, by writers who knew none of the others
  (the fifth of hapt and tug alone);
- ``paraphrased``: every note is reworded by the grammar of ``align.text.paraphrases``;
- ``foreign``: a fifth of the notes is about something else (``benchmarks.foreign``), and how well they come out
  "unmatched" is a second table;
- ``timed``: the notes carry the times of the file that --notes names.

With --every N only every N-th event of a test session has a note; with --turned D its sensors sat turned by D degrees
about an axis drawn for each session; with --hiss DB their sound has white noise so far below its loudest 50 ms;
with --without NAME they lack the streams called so, and the channels in whose name it stands; with --rate HZ sensors
were sampled so often, with --smoothed HZ filtered beyond that; with --dropped S a tenth of all is lost, S seconds at a
time (``benchmarks.altered``). With --words-alone notes in words that training never heard mean what they say and
nothing else. With --unseen-wording one wording of every label is kept out of training, and all test notes are reworded
to it.
Baselines that hang on no seed run with the first alone.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from align.answers import Alignment
from align.datatypes import Note, Session, Span
from align.metrics import Scores, pool
from align.readers import Policy, read_truth, session_folders
from align.text.paraphrases import paraphrases
from benchmarks.altered import add_options, altered
from benchmarks.foreign import planted
from benchmarks.interleaved import machine
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from pipelines.settings import load_settings
from pipelines.train import read_sessions, train_model

METHODS = {
    "contrastive": "learned",
    "dtw": "DTW, same evidence",
    "drop-dtw": "Drop-DTW, same evidence",
    "ctw": "CTW, no model",
    "duration prior": "duration prior",
    "captions": "captions, no model",
    "equal-slices": "equal slices",
}
SETS = ("hapt", "tug", "digits", "sounds")
WORDINGS = Path(__file__).parent / "wordings"
REWORDED = ("second", "third", "fourth", "fifth")
ASKED = ("written", *REWORDED, "paraphrased", "foreign", "timed")
OF_EVERY_KIND = (
    "contrastive",
    "dtw",
    "drop-dtw",
    "captions",
)  # the others do not read what notes say, or hardly
SEEDLESS = ("ctw", "captions", "equal-slices")  # the same whatever the seed of the training
FOREIGN_SHARE = 0.2
Pairs = list[tuple[Alignment, tuple[Span, ...]]]
Answers = dict[str, dict[str, Pairs]]
Ask = Callable[[Session], Session]


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
    written: dict[str, set[str]] = {}
    for session in sessions:
        for row in session.truth or ():
            written.setdefault(row.label, set()).add(row.text)
    held = {label: sorted(texts)[fold % len(texts)] for label, texts in written.items() if len(texts) > 1}

    def without(row: Span) -> Span:
        return dataclasses.replace(row, text="") if held.get(row.label) == row.text else row

    lessons = [dataclasses.replace(s, notes=(), truth=tuple(map(without, s.truth or ()))) for s in train]
    return lessons, [asked(s, {label: [text] for label, text in held.items()}) for s in test]


def wording_file(name: str, which: str) -> Path:
    """Where a set's wordings of ``REWORDED`` are."""
    return WORDINGS / f"{name}.csv" if which == "second" else WORDINGS / which / f"{name}.csv"


def wordings(name: str, which: str = "second") -> dict[str, list[str]]:
    """Label -> a set's wordings of ``REWORDED``; lines that begin with "#" say who wrote them and when."""
    with wording_file(name, which).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {label: [r["text"] for r in rows if r["label"] == label] for label in {r["label"] for r in rows}}


def asked(session: Session, texts: Mapping[str, Sequence[str]], seed: int = 0) -> Session:
    """The session with untimed notes that put every true span in one of its label's texts, drawn at random."""
    rng = np.random.default_rng([seed, *session.name.encode()])
    rows = []
    for row in session.truth or ():
        choices = texts.get(row.label, [row.text])
        rows.append(dataclasses.replace(row, text=choices[int(rng.integers(len(choices)))]))
    return dataclasses.replace(session, notes=tuple(Note(r.text) for r in rows), truth=tuple(rows))


def paraphrased(session: Session, seed: int = 0) -> Session:
    """The session with untimed notes that say its true spans in other words, as the grammar draws them."""
    rng = np.random.default_rng([seed, *session.name.encode()])
    rows = [
        dataclasses.replace(r, text=(*paraphrases(r.text, 1, rng), r.text)[0]) for r in session.truth or ()
    ]
    return dataclasses.replace(session, notes=tuple(Note(r.text) for r in rows), truth=tuple(rows))


def by_method(method: str, model, test: Sequence[Session]) -> Pairs:  # type: ignore[no-untyped-def]
    """Every test session by one method, each with its truth, which no method sees."""
    if method in ("contrastive", "dtw", "captions", "equal-slices"):
        return align_sessions(test, method, RunConfig(), model if method in ("contrastive", "dtw") else None)
    of = {"duration prior": duration_prior, "drop-dtw": dropping, "ctw": canonical}[method]
    return [(of(model, dataclasses.replace(s, truth=None)), s.truth or ()) for s in test]


def duration_prior(model, session: Session) -> Alignment:  # type: ignore[no-untyped-def]
    """Slices of the recording in proportion to the durations that the model expects of the notes."""
    from align.warping import duration_slices

    expected = model.durations.of(model.encoder.encode([n.text for n in session.notes]))[:, 0]
    return duration_slices(session.start, session.end, session.notes, np.exp(expected))


def dropping(model, session: Session) -> Alignment:  # type: ignore[no-untyped-def]
    """Drop-DTW of the segments that the DTW baseline has, on its evidence."""
    from align.segmentation.session import joint_spans, segment_session
    from benchmarks.drop_dtw import drop_dtw_evidence

    evidence = model.evidence(session)
    return drop_dtw_evidence(evidence, session.notes, joint_spans(segment_session(session, evidence.hop)))


def canonical(model, session: Session) -> Alignment:  # type: ignore[no-untyped-def]
    """Canonical time warping of frames and text embeddings; the model is not used."""
    from align.warping.canonical_notes import ctw_session

    return ctw_session(session)


def test_notes(
    asked_as: str, data: Path, name: str, sessions: Sequence[Session], weak: Sequence[Session], seed: int
) -> Ask:
    """What makes of a test session the one whose notes are placed: a row of ``ASKED``."""
    if asked_as in REWORDED:
        return lambda s: asked(s, wordings(name, asked_as), seed)
    if asked_as == "paraphrased":
        return lambda s: paraphrased(s, seed)
    if asked_as == "foreign":
        others = [row for other in SETS if other != name for row in truth_of(data, other)]
        return lambda s: planted(s, sessions, others, FOREIGN_SHARE, seed)
    if asked_as == "timed":
        notes = {s.name: s.notes for s in weak}
        return lambda s: dataclasses.replace(s, notes=notes[s.name])
    return lambda s: s


def weakly(train: Sequence[Session], weak: Sequence[Session], labelled: int, seed: int) -> list[Session]:
    """The training sessions with their weak notes in place of their truth, but for so many of them."""
    kept = set(np.random.default_rng(seed).permutation(len(train))[:labelled].tolist())
    by_name = {s.name: s for s in weak}
    return [s if i in kept else by_name[s.name] for i, s in enumerate(train)]


def run_set(data: Path, name: str, options: argparse.Namespace, seed: int) -> tuple[Answers, float]:
    """Pairs (alignment, truth) of every test session, by kind of notes and method; seconds of the slowest training."""
    sessions = read(data, name)
    weak = read(data, name, options.notes) if options.notes else []
    settings = load_settings(options={"training.seed": seed})
    methods = [m for m in METHODS if m == "contrastive" or not options.only_learned]
    if seed != options.seeds[0]:
        methods = [m for m in methods if m not in SEEDLESS]
    asks = {kind: test_notes(kind, data, name, sessions, weak, seed) for kind in options.asked}
    answers: Answers = {
        kind: {m: [] for m in methods if kind == "written" or m in OF_EVERY_KIND} for kind in asks
    }
    slowest = 0.0
    for fold, (train, test) in enumerate(folds(sessions, options.folds)):
        if fold not in options.of_folds:
            continue
        if options.unseen_wording:
            train, test = reworded(sessions, train, test, fold)
        if weak:
            train = weakly(train, weak, options.labelled, seed)
        model, seconds = train_model(train, settings)
        slowest = max(slowest, seconds)
        if options.words_alone and model.heard is not None:
            none = {k: getattr(model.heard, k)[:0] for k in ("texts", "meanings", "durations")}
            model = dataclasses.replace(model, heard=dataclasses.replace(model.heard, **none))
        for kind, ask in asks.items():
            put = [ask(altered(s, options)) for s in test]
            for method in answers[kind]:
                answers[kind][method] += by_method(method, model, put)
        so_far = {kind: round(pool(found["contrastive"]).mean_iou, 4) for kind, found in answers.items()}
        print(f"  seed {seed}, fold {fold}: {seconds:.0f} s, mean IoU so far {so_far}", flush=True)
    return answers, slowest


def read(data: Path, name: str, notes: str = "") -> list[Session]:
    """A set's sessions with their untimed notes and truth, or with the notes of a file and no truth."""
    if not session_folders([data / name]):
        return []
    file, truth = (notes, None) if notes else ("notes_untimed.txt", "truth.csv")
    return read_sessions([data / name], notes_file=file, truth_file=truth, policy=Policy())


def truth_of(data: Path, name: str) -> list[Span]:
    """All rows of truth of a set, without its streams."""
    return [row for file in sorted((data / name).glob("*/truth.csv")) for row in read_truth(file)]


PLACED = (
    "set",
    "notes as",
    "method",
    "notes",
    "mean IoU (\u00b1 over seeds)",
    "recall@0.5",
    "recall@0.7",
    "median start error, s",
    "ECE",
)
FOREIGN = (
    "set",
    "method",
    "foreign notes",
    "precision of unmatched",
    "recall",
    "AUC",
    "mean IoU of the others",
)


def placed_line(name: str, kind: str, method: str, scores: Sequence[Scores]) -> str:
    """A row of the first table: means over the seeds."""
    spread = f" \u00b1 {np.std([s.mean_iou for s in scores]):.3f}" if len(scores) > 1 else ""
    cells = [name, kind, METHODS[method], f"{scores[0].n_notes}", f"{_mean(scores, 'mean_iou'):.3f}{spread}"]
    cells += [f"{_mean(scores, k):.3f}" for k in ("recall_50", "recall_70")]
    cells += [f"{_mean(scores, 'median_abs_start_error_s'):.2f}", f"{_mean(scores, 'ece'):.3f}"]
    return f"| {' | '.join(cells)} |"


def foreign_line(name: str, method: str, scores: Sequence[Scores]) -> str:
    """A row of the second table; a method that calls nothing unmatched has no precision."""
    keys = ("foreign_precision", "foreign_recall", "foreign_auc", "mean_iou")
    cells = [name, METHODS[method], f"{FOREIGN_SHARE:.0%} of {scores[0].n_notes}"]
    cells += [f"{value:.3f}" if np.isfinite(value) else "-" for value in (_mean(scores, k) for k in keys)]
    return f"| {' | '.join(cells)} |"


def _mean(scores: Sequence[Scores], key: str) -> float:
    return float(np.mean([getattr(s, key) for s in scores]))


def _table(header: Sequence[str], rows: Sequence[str]) -> None:
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n" + "\n".join(rows) + "\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables in Markdown: a row per set and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--of-folds", type=int, nargs="+", default=range(99), help="folds that are run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--notes", help="learn from these notes alone, not from true spans")
    parser.add_argument(
        "--labelled", type=int, default=0, help="sessions that keep their spans beside --notes"
    )
    parser.add_argument("--unseen-wording", action="store_true")
    parser.add_argument("--asked", nargs="+", choices=ASKED, default=["written"])
    add_options(parser)
    parser.add_argument("--words-alone", action="store_true", help="unheard words mean what they say")
    parser.add_argument("--only-learned", action="store_true", help="no baselines")
    options = parser.parse_args(arguments)
    if options.notes is None and (options.labelled or "timed" in options.asked):
        parser.error("--labelled and --asked timed need --notes")
    if options.every != 1 and "timed" in options.asked:
        parser.error("--every has no times: not with --asked timed")
    for name, kind in itertools.product(options.sets, options.asked):
        if kind in REWORDED and not wording_file(name, kind).is_file():
            parser.error(f"--asked {kind}: there are no such wordings of {name}")
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    rows, foreign = [], []
    for name in options.sets:
        if not session_folders([data / name]):
            continue
        print(name, flush=True)
        before = time.perf_counter()
        runs = [run_set(data, name, options, seed) for seed in options.seeds]
        for kind in options.asked:
            for method in runs[0][0][kind]:
                scores = [pool(found[kind][method]) for found, _ in runs if method in found[kind]]
                if kind == "foreign":
                    foreign.append(foreign_line(name, method, scores))
                else:
                    rows.append(placed_line(name, kind, method, scores))
                if method == "contrastive":
                    per_label = {k: round(float(v), 3) for k, v in scores[0].per_label.items()}
                    print(f"  {kind}, per label:", per_label, flush=True)
        slowest, whole = max(seconds for _, seconds in runs), time.perf_counter() - before
        print(f"  slowest fold {slowest:.0f} s of training; all of it {whole:.0f} s\n", flush=True)
    if rows:
        _table(PLACED, rows)
    if foreign:
        _table(FOREIGN, foreign)
    print(machine())


if __name__ == "__main__":
    main()
