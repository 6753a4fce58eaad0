"""Labels and data that training never saw: classification by text alone; and what else a model is used for.

    python -m benchmarks.zero_shot [labels] [transfer] [strange] [uses] [--sets hapt sounds] [--most 1] [--seed 0]

labels: people held out by folds. Every true span is classified by the labels' own words ("walking upstairs") or by
wordings that training was kept from, and once more by a model that never heard anything of one label: its spans are
left in the recordings, but count for nothing (rows without text), and the question is how often they get that label.
transfer: train on hapt, classify tug's phone, and the other way round, all labels given as text. Which label of one
set is which of the other is said here (SHARED) and nowhere else. Beside everything stands the majority class, and
what captions say without any network.
strange: how far sessions lie from those of training (people held out by folds, and with "transfer" the other set), and
how well their untimed notes are placed by the model, by the same model if it did not notice, and by captions alone.
uses: retrieval both ways, search, and all frames with "none of these" among the answers, as `align eval` counts them,
on the same folds.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from align.coordination import Coordination
from align.coordination.inputs.layout import model_inputs, session_table
from align.coordination.uses.embedded import embed_session
from align.coordination.uses.zero_shot import TEMPLATES, classify
from align.datatypes import Session
from align.errors import AlignError
from align.metrics import calibration_error, pool
from align.metrics.retrieval import macro_f1
from benchmarks.alignment import by_method, folds, read, reworded
from benchmarks.interleaved import machine
from pipelines.settings import load_settings
from pipelines.train import train_model
from pipelines.uses import score_uses, spoken

#: What is asked for in words -> its labels in hapt and in tug.
SHARED = {
    "walking": ("WALKING", "WALKING"),
    "sitting": ("SITTING", "SEATED"),
    "sitting down": ("STAND_TO_SIT", "SITTING_DOWN"),
    "standing up": ("SIT_TO_STAND", "STANDING_UP"),
    "turning around": ("", "TURNING"),  # hapt has none: of a model of hapt the one that it never heard of
}
HEADS = (
    "set",
    "asked by",
    "labels",
    "spans",
    "accuracy",
    "macro-F1",
    "majority",
    "ECE",
    "frames right",
    "of frames, majority",
)
USES = (
    "set",
    "text to span, recall@1",
    "mean average precision",
    "span to text, recall@1",
    "MRR",
    "search: first hit right",
    "true spans found",
    "ECE",
    "frames with none: accuracy",
    "macro-F1",
    "ECE",
)
STRANGE = (
    "set",
    "sessions",
    "distance: least / median / nine tenths / most",
    "strangeness, mean",
    "mean IoU of untimed notes",
    "if it were not noticed",
    "captions alone",
)
Answers = list[tuple[str, str, float, int, int]]  # true label, answer, probability, frames right, frames


def answers(
    model: Coordination,
    sessions: Sequence[Session],
    asked: dict[str, str],
    templates: Sequence[str] = TEMPLATES[:1],
    *,
    network: bool = True,
) -> Answers:
    """Each true span whose label is asked for, classified; ``asked`` maps a label of the truth to its text.

    Without ``network`` its word is nil on every frame, and captions speak alone.
    """
    texts = list(dict.fromkeys(asked.values()))
    out: Answers = []
    for session in sessions:
        rows = [r for r in session.truth or () if r.label in asked and np.isfinite(r.start)]
        if not rows:
            continue
        embedded = embed_session(model, dataclasses.replace(session, truth=None))
        if not network:
            embedded = dataclasses.replace(
                embedded, vectors=np.zeros_like(embedded.vectors), nothing=np.zeros_like(embedded.nothing)
            )
        frames = classify(model, embedded, texts, none=False, templates=templates)
        middles = frames.spans.mean(axis=1)
        spans = [(r.start, r.end) for r in rows]
        found = classify(model, embedded, texts, spans, none=False, templates=templates)
        for row, choice, p in zip(rows, found.choices.tolist(), found.probabilities, strict=True):
            own = frames.choices[(middles >= row.start) & (middles < row.end)]
            right = int((own == texts.index(asked[row.label])).sum())
            out.append((asked[row.label], texts[choice], float(p.max()), right, len(own)))
    return out


def line(name: str, how: str, found: Answers) -> str:
    truth, given = [a[0] for a in found], [a[1] for a in found]
    right = np.asarray([t == g for t, g in zip(truth, given, strict=True)])
    kinds = sorted(set(truth))
    most = max(truth.count(k) for k in kinds) / len(truth)
    frames = {k: sum(a[4] for a in found if a[0] == k) for k in kinds}
    total = max(1, sum(frames.values()))
    ece = calibration_error(np.clip([a[2] for a in found], 0, 1), right)
    cells = [
        name,
        how,
        str(len(kinds)),
        str(len(found)),
        f"**{right.mean():.3f}**",
        f"{macro_f1(truth, given):.3f}",
    ]
    cells += [f"{most:.3f}", f"{ece:.3f}", f"{sum(a[3] for a in found) / total:.3f}"]
    return f"| {' | '.join([*cells, f'{max(frames.values()) / total:.3f}'])} |"


def trained(sessions: Sequence[Session], seed: int) -> Coordination:
    begin = time.perf_counter()
    model, _ = train_model(sessions, load_settings(options={"training.seed": seed}))
    print(f"  trained on {len(sessions)} sessions in {time.perf_counter() - begin:.0f} s", flush=True)
    return model


def without_label(sessions: Sequence[Session], label: str) -> list[Session]:
    """Rows of one label lose every word: training does not count their frames."""
    return [
        dataclasses.replace(
            s,
            notes=(),
            truth=tuple(
                dataclasses.replace(r, text="", label="") if r.label == label else r for r in s.truth or ()
            ),
        )
        for s in sessions
    ]


def unseen_labels(data: Path, name: str, most: int, seed: int) -> list[str]:
    """Rows of the table for one set."""
    sessions = read(data, name)
    kinds = sorted({r.label for s in sessions for r in s.truth or () if np.isfinite(r.start)})
    own: dict[str, Answers] = {"the labels' own words": [], "the same in four templates": []}
    own |= {"a wording kept from training": [], "spans of a label never heard of": []}
    for fold, (train, test) in enumerate(folds(sessions, 5)):
        if fold >= most:
            break
        lessons, questions = reworded(sessions, train, test, fold)
        model = trained(lessons, seed)
        words = {label: spoken(label) for label in kinds}
        own["the labels' own words"] += answers(model, test, words)
        own["the same in four templates"] += answers(model, test, words, TEMPLATES)
        new = {r.label: r.text for s in questions for r in s.truth or ()}
        if len(set(new.values())) == len(new):
            own["a wording kept from training"] += answers(model, test, new)
        left_out = (
            kinds[fold % len(kinds)]
            if name != "hapt"
            else ("WALKING_UPSTAIRS", "SITTING", "SIT_TO_STAND")[fold % 3]
        )
        blind = trained(without_label(train, left_out), seed)
        found = answers(blind, test, words)
        own["spans of a label never heard of"] += [a for a in found if a[0] == words[left_out]]
        print(f"  fold {fold}: never heard of {words[left_out]!r}", flush=True)
    return [line(name, how, found) for how, found in own.items() if found]


def transfer(data: Path, seed: int, parts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Rows of the tables from hapt to tug and back; a refusal is a row, too."""
    hapt = read(data, "hapt")
    tug = [
        dataclasses.replace(s, streams=tuple(x for x in s.streams if x.name == "phone"))
        for s in read(data, "tug")
    ]
    rows, strange = [], []
    for name, train, test, side in (("hapt to tug", hapt, tug, 1), ("tug to hapt", tug, hapt, 0)):
        model = trained(train, seed)
        for how, texts in (
            ("the shared labels", list(SHARED)[:4]),
            ("all of the other set", _all(test, side)),
        ):
            asked = {SHARED[t][side] if t in SHARED else t: t if t in SHARED else spoken(t) for t in texts}
            try:
                rows.append(line(name, how, answers(model, test, asked)))
                alone = answers(model, test, asked, network=False)
                rows.append(line(name, f"{how}, captions alone", alone))
            except AlignError as error:
                rows.append(f"| {name} | {how} | refused: {error.code} | | | | | | | |")
        if "strange" in parts:
            strange.append(strange_line(name, model, test))
    return rows, strange


def strange_line(name: str, model: Coordination, sessions: Sequence[Session]) -> str:
    """How far sessions lie from those of training, and how well their notes are placed."""
    inputs = [model_inputs(session_table(s, model.layout.hop, model.layout), model.layout) for s in sessions]
    assert model.familiar is not None
    far = [float(np.nanmedian(model.familiar.distances(x, model.layout))) for x in inputs]
    unaware = dataclasses.replace(model, familiar=None)
    placed = [by_method("contrastive", m, sessions) for m in (model, unaware)]
    placed.append(by_method("captions", None, sessions))
    cells = [name, str(len(far)), " / ".join(f"{q:.2f}" for q in np.quantile(far, [0, 0.5, 0.9, 1]))]
    cells.append(f"{np.mean([model.strangeness(x) for x in inputs]):.2f}")
    return f"| {' | '.join([*cells, *(f'{pool(pairs).mean_iou:.3f}' for pairs in placed)])} |"


def strange_people(data: Path, name: str, most: int, seed: int) -> list[str]:
    """A row a fold: people held out."""
    parts = list(folds(read(data, name), 5))[:most]
    return [
        strange_line(f"{name}, fold {i}", trained(train, seed), test) for i, (train, test) in enumerate(parts)
    ]


def uses(data: Path, name: str, most: int, seed: int) -> list[str]:
    """A row a fold: what `align eval` says of a model's uses."""
    rows = []
    for fold, (train, test) in enumerate(folds(read(data, name), 5)):
        if fold >= most:
            break
        found: dict[str, Any] = score_uses(trained(train, seed), test)
        there, back = (found["retrieval"][way] for way in ("text_to_span", "span_to_text"))
        search, frames = found["search"], found["zero_shot"]["with_none"]
        shown = [there["recall_at_1"], there["mean_average_precision"], back["recall_at_1"], back["mrr"]]
        shown += [search["first_right"], search["r_precision"], search["ece"]]
        shown += [frames["accuracy"], frames["macro_f1"], frames["ece"]]
        rows.append(f"| {name}, fold {fold} | {' | '.join(f'{value:.3f}' for value in shown)} |")
    return rows


def _all(sessions: Sequence[Session], side: int) -> list[str]:
    """Every label of the set, as in SHARED where it is there."""
    known = {pair[side]: text for text, pair in SHARED.items() if pair[side]}
    found = {r.label for s in sessions for r in s.truth or () if np.isfinite(r.start)}
    return [known.get(label, label) for label in sorted(found)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=["labels", "transfer"])
    parser.add_argument("--sets", nargs="+", default=["hapt", "sounds"])
    parser.add_argument("--most", type=int, default=1, help="folds that are run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    rows: list[str] = []
    used: list[str] = []
    strange: list[str] = []
    for name in options.sets:
        if "labels" in options.parts:
            rows += unseen_labels(data, name, options.most, options.seed)
        if "strange" in options.parts:
            strange += strange_people(data, name, options.most, options.seed)
        if "uses" in options.parts:
            used += uses(data, name, options.most, options.seed)
    if "transfer" in options.parts:
        more, stranger = transfer(data, options.seed, options.parts)
        rows, strange = rows + more, strange + stranger
    for heads, lines in ((HEADS, rows), (STRANGE, strange), (USES, used)):
        if lines:
            print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n" + "\n".join(lines))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
