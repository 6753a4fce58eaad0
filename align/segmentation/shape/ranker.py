"""A small table of decision trees that says how well a candidate will cover the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.shape.evidence import NAMES

__all__ = ["TABLE", "Trees", "load_trees", "predict"]

TABLE = Path(__file__).with_name("ranker.npz")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Nodes of all trees in one list; ``roots`` says where each begins.

    A row with ``evidence[column] <= threshold`` goes to ``left``, else to ``right``; a leaf has column -1 and
    adds ``value``.
    """

    roots: Ints
    column: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    start: float


@cache
def load_trees(path: Path = TABLE) -> Trees:
    """Read the table.

    Args:
        path: a file written by ``benchmarks/ranker/train.py``.

    Raises:
        ValueError: its columns are not those of ``evidence.NAMES``.
    """
    with np.load(path, allow_pickle=False) as table:
        if tuple(table["names"]) != NAMES:
            raise ValueError(
                f"{path.name} was trained on other evidence: train it anew with benchmarks/ranker/train.py"
            )
        whole = {name: table[name].astype(np.int64) for name in ("roots", "column", "left", "right")}
        real = {name: table[name].astype(np.float64) for name in ("threshold", "value")}
        return Trees(**whole, **real, start=float(table["start"]))


def predict(trees: Trees, evidence: Floats) -> Floats:
    """Expected covering of each candidate.

    Args:
        trees: from ``load_trees``.
        evidence: (n_candidates, n_columns) finite.

    Returns:
        (n_candidates,) f8, about 0 to 1.

    Reference: gradient-boosted regression trees, Friedman 2001, Ann. Stat. 29(5), algorithm 3.
    """
    rows = np.arange(len(evidence))[:, None]
    at = np.tile(trees.roots, (len(evidence), 1))
    inner = trees.column[at] >= 0
    while inner.any():
        goes_left = evidence[rows, trees.column[at]] <= trees.threshold[at]
        at = np.where(inner, np.where(goes_left, trees.left[at], trees.right[at]), at)
        inner = trees.column[at] >= 0
    return np.asarray(trees.start + trees.value[at].sum(axis=1))
