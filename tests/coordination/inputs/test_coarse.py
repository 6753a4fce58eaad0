"""The coarse grid: cells on the session clock, means of the frames in them."""

from __future__ import annotations

import numpy as np

from align.coordination.inputs.coarse import CoarseView
from align.coordination.inputs.examples import Example
from align.features.frames import FrameTable


def example(first, observed):
    n = len(observed)
    block = np.where(np.asarray(observed)[:, None], 0.0, np.nan).astype(np.float32)
    table = FrameTable(first, 0.5, ("a",), (("x",),), (block,))
    return Example(table, block, np.zeros(n, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), "p")


def test_cells_lie_on_multiples_of_the_pool_whatever_the_first_frame():
    view = CoarseView.of(example(5, [True] * 6), 3)  # frames 5 | 6 7 8 | 9 10
    np.testing.assert_array_equal(view.cell, [0, 1, 1, 1, 2, 2])
    assert (view.first, view.hop) == (1, 1.5)


def test_a_cell_is_the_mean_of_its_frames():
    view = CoarseView.of(example(5, [True] * 6), 3)
    np.testing.assert_allclose(view.pooled(np.array([[1.0], [2], [3], [7], [0], [4]])), [[1], [4], [2]])


def test_a_cell_without_any_data_is_not_observed():
    view = CoarseView.of(example(0, [True, False, False, False]), 2)
    np.testing.assert_array_equal(view.observed, [True, False])
