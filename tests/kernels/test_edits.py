"""align/kernels/edits.py against the slow twins, at both prices of replacing a row."""

from __future__ import annotations

import numpy as np
import pytest

from align.kernels.edits import edit_pairs, edit_table, edit_total
from tests import naive


@pytest.mark.parametrize("seed", range(12))
def test_totals_tables_and_pairs_are_those_of_the_recursion(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30, 2)
    a, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    low = np.sort(rng.integers(0, m, n))
    limits = (
        np.array([low, np.minimum(low + rng.integers(1, m + 1), m)]) if seed % 2 else np.empty((2, 0), int)
    )
    columns = np.arange(m)
    allowed = np.ones((n, m), bool)
    if seed % 2:
        allowed = (columns >= limits[0][:, None]) & (columns < limits[1][:, None])
    alike = np.linalg.norm(a[:, None] - b[None], axis=2) <= 1.2
    together = np.add.outer(np.arange(1, n + 1), np.arange(1, m + 1))
    tables = {1: naive.edr_table(alike, allowed), 2: together - 2 * naive.lcss_table(alike, allowed)}
    for replace, table in tables.items():
        np.testing.assert_array_equal(edit_table(a, b, 1.44, limits, replace), table)
        assert edit_total(a, b, 1.44, limits, replace) == table[-1, -1]
        total, pairs = edit_pairs(a, b, 1.44, limits, replace)
        assert total == table[-1, -1] and allowed[tuple(pairs.T)].all()
        replaced = int((~alike[tuple(pairs.T)]).sum())
        assert total == n + m - 2 * len(pairs) + replace * replaced
