"""align/kernels/dtw_open_ends.py: against every stretch of the series."""

from __future__ import annotations

import numpy as np
import pytest

from align.kernels.dtw_open_ends import open_ends, open_totals
from tests import naive


@pytest.mark.parametrize(("m", "n", "d"), [(1, 1, 1), (1, 6, 1), (6, 1, 1), (4, 9, 1), (5, 4, 3)])
def test_each_end_has_the_cheapest_of_all_stretches(m, n, d):
    rng = np.random.default_rng(m * n + d)
    query, series = rng.standard_normal((m, d)), rng.standard_normal((n, d))
    totals, begins = open_ends(query, series)
    for end in range(n):
        stretches = [naive.band_total(query, series[begin : end + 1]) for begin in range(end + 1)]
        assert totals[end] == min(stretches)
        assert stretches[begins[end]] == min(stretches)
    table = open_totals(query, series)
    np.testing.assert_array_equal(table[-1], totals)
    for i in range(m):
        np.testing.assert_array_equal(table[i], open_ends(query[: i + 1], series)[0])
