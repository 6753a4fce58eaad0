"""The table of trees."""

from __future__ import annotations

import numpy as np
import pytest

from align.segmentation.shape.evidence import NAMES
from align.segmentation.shape.ranker import TABLE, Trees, load_trees, predict


def test_trees_add_up():
    """One stump on column 0, one tree of two levels on columns 1 and 0."""
    trees = Trees(
        roots=np.array([0, 3]),
        column=np.array([0, -1, -1, 1, -1, 0, -1, -1]),
        threshold=np.array([0.5, 0, 0, 2.0, 0, -1.0, 0, 0]),
        left=np.array([1, 0, 0, 4, 0, 6, 0, 0]),
        right=np.array([2, 0, 0, 5, 0, 7, 0, 0]),
        value=np.array([0, 10.0, 20.0, 0, 1.0, 0, 2.0, 3.0]),
        start=100.0,
    )
    rows = np.array([[0.5, 2.0], [0.6, 2.1], [-1.0, 3.0]])
    assert predict(trees, rows).tolist() == [111.0, 123.0, 112.0]


def test_the_same_as_the_library_that_trains_it():
    from benchmarks.ranker.train import fitted

    random = np.random.default_rng(0)
    signals = [("x", random.standard_normal((40, 6)), random.random(40)) for _ in range(10)]
    trees = fitted(signals)
    means = predict(trees, np.concatenate([e for _, e, _ in signals]))
    targets = np.concatenate([s for _, _, s in signals])
    assert ((means - targets) ** 2).mean() < targets.var()


def test_the_table_has_the_columns_of_the_evidence(tmp_path):
    trees = load_trees()
    assert trees.column.max() < len(NAMES) and (trees.column >= -1).all()
    with np.load(TABLE, allow_pickle=False) as table:
        other = dict(table)
    other["names"] = other["names"][:-1]
    np.savez(tmp_path / "old.npz", **other)
    with pytest.raises(ValueError, match="trained on other evidence"):
        load_trees(tmp_path / "old.npz")
