"""Every coordination function, loss and objective, trained the same way: placing notes and looking things up.

    python -m benchmarks.coordination [SET...] [--folds 5] [--most 1] [--seeds 0 1 2] [--rows NAME...]

SET is hapt or sounds (any folder of ALIGN_DATA with truth). Every fold trains on the other people's true spans, each
row with the default plan but for the one thing that it names, then places the untimed notes of the people left out,
and looks up texts by their true spans and spans by their texts (a text or span of the same label is right).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from align.coordination import Coordination, fit_coordination
from align.coordination.functions.hubness import csls
from align.coordination.functions.table import FUNCTIONS, OBJECTIVES
from align.coordination.losses.table import LOSSES
from align.coordination.uses.embedded import agreement, embed_session
from align.datatypes import Session
from align.metrics import pool
from benchmarks.alignment import Pairs, folds, read
from benchmarks.closed_form import closed_form_model
from benchmarks.interleaved import machine
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from pipelines.settings import load_settings
from pipelines.train import plan_of

DEFAULT = "cosine, nce (default)"
CLOSED = ("linear CCA", "kernel CCA")
CSLS, SLICES, CHANCE = "default, CSLS at test", "equal slices", "chance"
ROWS: dict[str, dict[str, str]] = {
    DEFAULT: {},
    **{f"function {name}": {"function": name} for name in FUNCTIONS if name != "cosine"},
    **{f"loss {name}": {"loss": name} for name in LOSSES if name != "nce"},
    **{f"objective {name}": {"objective": name} for name in OBJECTIVES},
}
TABLE = (
    "set",
    "row",
    "mean IoU (± over seeds)",
    "recall@0.5",
    "span→text R@1",
    "R@5",
    "MRR",
    "text→span R@1",
)
TABLE += ("R@5", "MRR", "train s")
Looked = list[float]  # span -> text: recall@1, @5, MRR; text -> span: the same


@dataclasses.dataclass(eq=False)
class Found:
    """What one row found in one set: alignments with their truth, and the ranks of what was looked up.

    ``ranks``: of the best right answer of every query, 1 is first: spans that look for texts, texts for spans.
    """

    pairs: Pairs = dataclasses.field(default_factory=list)
    ranks: tuple[list[np.ndarray], list[np.ndarray]] = dataclasses.field(default_factory=lambda: ([], []))
    seconds: float = 0.0

    def looked_up(self) -> Looked:
        """Recall@1, recall@5 and mean reciprocal rank, both ways; empty where nothing was looked up."""
        scores = []
        for ranks in (np.concatenate(way) for way in self.ranks if way):
            scores += [float((ranks <= 1).mean()), float((ranks <= 5).mean()), float((1 / ranks).mean())]
        return scores


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,) rank of the best right column of every row, 1 is first; equal scores share the middle of their places.

    Args:
        scores: (n, m).
        right: (n, m) bool, at least one a row.
    """
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    wrong = ~right
    return 1.0 + (wrong & (scores > best)).sum(axis=1) + 0.5 * (wrong & (scores == best)).sum(axis=1)


def look_up(
    model: Coordination, test: Sequence[Session], found: dict[str, Found], row: str, rng: np.random.Generator
) -> None:
    """Add the ranks of the test people's true spans and texts, each among those of all of them."""
    spans = np.concatenate([_pooled(model, s) for s in test])
    rows = [r for s in test for r in s.truth or ()]
    texts = sorted({(r.text, r.label) for r in rows})
    scores = agreement(model, spans, model.embed_texts([text for text, _ in texts]))
    right = np.array([[r.label == label for _, label in texts] for r in rows])
    kinds = {row: scores}
    if row == DEFAULT:
        kinds |= {CSLS: csls(scores), CHANCE: rng.random(scores.shape)}
    for name, table in kinds.items():
        for way, s, r in zip(found[name].ranks, (table, table.T), (right, right.T), strict=True):
            way.append(ranks(s, r))


def _pooled(model: Coordination, session: Session) -> np.ndarray:
    return embed_session(model, session, captions=False).pooled(
        [(r.start, r.end) for r in session.truth or ()]
    )


def run_set(data: Path, name: str, options: argparse.Namespace, seed: int) -> dict[str, Found]:
    """Every row on the folds of one set."""
    sessions = read(data, name)
    settings = load_settings(options={"training.seed": seed})
    others = [r for r in (*CLOSED, *ROWS) if not options.rows or any(o in r for o in options.rows)]
    names = [DEFAULT, *(r for r in others if r != DEFAULT)]  # closed forms borrow from the default
    found = {row: Found() for row in (*names, CSLS, SLICES, CHANCE)}
    rng = np.random.default_rng(seed)
    for fold, (train, test) in enumerate(folds(sessions, options.folds)):
        if fold >= options.most:
            break
        model: Coordination | None = None
        for row in names:
            before = time.perf_counter()
            if row in CLOSED:
                assert model is not None, "the default is trained first"
                other = closed_form_model(row, model, train, seed)
            else:
                other = fit_coordination(train, dataclasses.replace(plan_of(settings.config), **ROWS[row]))
            model = model or other
            found[row].seconds += time.perf_counter() - before
            found[row].pairs += align_sessions(test, "contrastive", RunConfig(), other)
            look_up(other, test, found, row, rng)
            print(f"  fold {fold}: {line(name, row, [found[row]])}", flush=True)
        found[SLICES].pairs += align_sessions(test, "equal-slices", RunConfig(), None)
    return found


def line(name: str, row: str, runs: Sequence[Found]) -> str:
    """A row of the table: means over the seeds, and the spread of the first figure."""
    cells = [name, row]
    if runs[0].pairs:
        scores = [pool(r.pairs) for r in runs]
        ious = [s.mean_iou for s in scores]
        spread = f" ± {np.std(ious):.3f}" if len(runs) > 1 else ""
        cells += [f"{np.mean(ious):.3f}{spread}", f"{np.mean([s.recall_50 for s in scores]):.3f}"]
    else:
        cells += ["", ""]
    looked = np.mean([r.looked_up() or [np.nan] * 6 for r in runs], axis=0)
    cells += [f"{value:.3f}" if np.isfinite(value) else "" for value in looked]
    seconds = np.mean([r.seconds for r in runs])
    return f"| {' | '.join([*cells, f'{seconds:.0f}' if seconds else ''])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=["hapt", "sounds"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--most", type=int, default=1, help="folds that are run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", default=[], help="parts of the names of the rows wanted")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    lines = []
    for name in options.sets:
        print(name, flush=True)
        runs = [run_set(data, name, options, seed) for seed in options.seeds]
        lines += [line(name, row, [r[row] for r in runs]) for row in runs[0]]
    print(f"| {' | '.join(TABLE)} |\n|{'---|' * len(TABLE)}\n" + "\n".join(lines) + f"\n\n{machine()}")


if __name__ == "__main__":
    main()
