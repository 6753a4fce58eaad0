"""Train the table that ranks candidate segmentations (align/segmentation/shape/ranker.npz) on synthetic signals.

    python -m benchmarks.ranker.train --jobs 2

About 0.15 CPU seconds a signal, then some minutes. The last 500 signals are held out, and what the ranker picks
there is printed beside no change and the best candidate. No recorded signal is read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import numpy.typing as npt

from align.metrics.segmentation import covering
from align.segmentation.shape.choice import proposals, standardised
from align.segmentation.shape.evidence import NAMES
from align.segmentation.shape.ranker import TABLE, Trees, predict
from align.segmentation.shape.widths import find_widths
from benchmarks.ranker.patterns import signal

Floats = npt.NDArray[np.float64]
FITS = 2  # of other candidates and columns, averaged
HELD_OUT = 500  # signals
MOST_CANDIDATES = 50  # of a signal that are learned from
Judged = tuple[str, Floats, Floats]  # kind; evidence (n_candidates, n_columns); covering (n_candidates,)


def judged(seed: int) -> Judged:
    """All candidates of one synthetic signal: what speaks for each, and how well it covers the truth."""
    kind, values, changes = signal(seed)
    standard = standardised(values[:, None])
    assert standard is not None
    found, numbers = proposals(standard, find_widths(standard))
    n = len(values)
    scores = [covering([changes], c.changes, n) for c in found]
    return kind, numbers.astype(np.float32).astype(np.float64), np.array(scores)


def fitted(signals: Sequence[Judged], seed: int = 0) -> Trees:
    """Gradient-boosted trees on all candidates, each signal of equal weight."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=220,
        max_leaf_nodes=8,
        learning_rate=0.1,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_features=0.2,
        max_bins=63,
        early_stopping=False,
        random_state=seed,
    )
    random = np.random.default_rng(seed)
    rows = [random.permutation(len(scores))[:MOST_CANDIDATES] for _, _, scores in signals]
    weight = np.concatenate([np.full(len(chosen), 40 / len(chosen)) for chosen in rows])
    evidence = np.concatenate([e[chosen] for (_, e, _), chosen in zip(signals, rows, strict=True)])
    covered = np.concatenate([s[chosen] for (_, _, s), chosen in zip(signals, rows, strict=True)])
    model.fit(evidence, covered, weight)
    nodes = [trees[0].nodes for trees in model._predictors]
    roots = np.cumsum([0, *map(len, nodes)])[:-1]
    flat = np.concatenate(nodes)
    shift = np.repeat(roots, list(map(len, nodes)))
    leaf = flat["is_leaf"].astype(bool)
    return Trees(
        roots=roots,
        column=np.where(leaf, -1, flat["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0.0, flat["num_threshold"]),
        left=np.where(leaf, 0, flat["left"] + shift).astype(np.int64),
        right=np.where(leaf, 0, flat["right"] + shift).astype(np.int64),
        value=np.where(leaf, flat["value"], 0.0),
        start=float(model._baseline_prediction.item()),
    )


def averaged(parts: Sequence[Trees]) -> Trees:
    """One table that predicts the mean of several."""
    shifts = np.cumsum([0, *(len(part.column) for part in parts)])[:-1]
    return Trees(
        roots=np.concatenate([part.roots + shift for part, shift in zip(parts, shifts, strict=True)]),
        column=np.concatenate([part.column for part in parts]),
        threshold=np.concatenate([part.threshold for part in parts]),
        left=np.concatenate([part.left + shift for part, shift in zip(parts, shifts, strict=True)]),
        right=np.concatenate([part.right + shift for part, shift in zip(parts, shifts, strict=True)]),
        value=np.concatenate([part.value for part in parts]) / len(parts),
        start=sum(part.start for part in parts) / len(parts),
    )


def picked(trees: Trees, signals: Sequence[Judged]) -> Floats:
    """Covering of the candidate that the ranker takes, for each signal."""
    return np.array([scores[int(predict(trees, numbers).argmax())] for _, numbers, scores in signals])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the ranker of shape segmentation on synthetic signals."
    )
    parser.add_argument("--signals", type=int, default=4500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=str(TABLE))
    options = parser.parse_args()
    begun = time.perf_counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        signals = list(pool.map(judged, range(options.signals), chunksize=20))
    print(f"{len(signals)} signals judged in {time.perf_counter() - begun:.0f} s", flush=True)
    held, rest = signals[-HELD_OUT:], signals[:-HELD_OUT]
    trees = averaged([fitted(rest, seed) for seed in range(FITS)])
    taken = picked(trees, held)
    kinds = np.array([kind for kind, _, _ in held])
    best, none = (np.array([f(s) for _, _, s in held]) for f in (np.max, lambda s: s[0]))
    print("held-out signals: mean covering of the one taken / the best candidate / no change")
    for kind in [*sorted(set(kinds)), "all"]:
        of = (kinds == kind) | (kind == "all")
        print(
            f"  {kind:12s} {of.sum():4d}  {taken[of].mean():.3f} / {best[of].mean():.3f} / {none[of].mean():.3f}"
        )
    np.savez_compressed(
        options.out,
        names=np.array(NAMES),
        roots=trees.roots.astype(np.int32),
        column=trees.column.astype(np.int16),
        threshold=trees.threshold.astype(np.float64),
        left=trees.left.astype(np.int32),
        right=trees.right.astype(np.int32),
        value=trees.value.astype(np.float32),
        start=np.float64(trees.start),
    )
    print(f"written after {time.perf_counter() - begun:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
