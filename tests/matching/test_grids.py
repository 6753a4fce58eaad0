"""align/matching/grids.py: a row on few edges says what it says on all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.matching import programme
from align.matching.duration_prior import NEVER
from align.matching.grids import Grid, grids_of
from align.matching.lattice import Lattice
from align.matching.tables import mass_near, placed, summed_edges


@st.composite
def grids(draw):
    step, cells = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    low = draw(st.integers(0, cells))
    return Grid(step, low * step, draw(st.integers(low, cells)) * step, cells * step)


@given(grids())
def test_positions_and_edges_are_each_others_inverse(grid):
    edges = grid.edges()
    wanted = {*range(0, grid.last + 1, grid.step), *range(grid.low, grid.high + 1)}
    assert edges.tolist() == sorted(wanted) and grid.size == len(edges)
    assert [grid.edge(k) for k in range(grid.size)] == edges.tolist()
    assert [grid.position(t) for t in range(grid.last + 1)] == [
        max(k for k, edge in enumerate(edges) if edge <= t) for t in range(grid.last + 1)
    ]
    assert edges[grid.near(grid.low, grid.high - grid.low + 1)].tolist() == list(
        range(grid.low, grid.high + 1)
    )
    assert (
        edges[grid.far(2 * grid.step, 2)].tolist() == [0, 2 * grid.step][: 1 + (grid.last >= 2 * grid.step)]
    )


@given(grids(), st.data())
def test_a_moved_row_is_constant_between_coarse_edges(grid, data):
    low = data.draw(st.integers(0, grid.last // grid.step))
    high = data.draw(st.integers(low, grid.last // grid.step))
    new = Grid(grid.step, low * grid.step, high * grid.step, grid.last)
    row = np.random.default_rng(0).normal(size=grid.size)
    known = dict(zip(grid.edges().tolist(), row, strict=True))
    for back in (False, True):
        nearest = -1 if back else 1
        expected = [
            known[t] if t in known else known[nearest * (nearest * t // grid.step) * grid.step]
            for t in new.edges().tolist()
        ]
        np.testing.assert_array_equal(grid.moved(row, new, back=back), expected)


def lattice_of(seed, n=97, n_notes=5):
    """Notes on a coarse grid, most of them with a window, neighbours that may share, a hole in the data."""
    rng = np.random.default_rng(seed)
    windows = np.tile(np.array([0, -1, 0, -1]), (n_notes, 1))
    for i in range(n_notes):
        a = int(np.clip(i * n // n_notes + rng.integers(-20, 20), 0, n - 30)) // 4 * 4
        if rng.random() < 0.8:
            windows[i] = a, a + 4 * rng.integers(1, 6), a + 4 * rng.integers(0, 3), a + 24
    stride = rng.choice([4, 8], n_notes)
    is_hard = (rng.random(n_notes) < 0.2) & (windows[:, 1] >= 0)
    observed = np.ones(n, bool)
    observed[50:53] = False
    odds = rng.normal(0, 1, (n_notes, n)).astype(np.float32)
    return Lattice(
        odds=np.where(observed, odds, 0.0).astype(np.float32),
        columns=np.arange(n_notes),
        observed=observed,
        durations=np.tile(np.where(np.arange(33) > 3, -3.0, NEVER), (n_notes, 1)),
        priors=np.column_stack([rng.uniform(0, n, n_notes), np.tile([0.0, 9.0, 8.0, 1.0], (n_notes, 1))]),
        skip=np.full(n_notes, -1.0),
        loose=np.zeros(n_notes),
        share=np.where(rng.random(n_notes) < 0.5, -1.0, NEVER),
        gain=rng.normal(0, 0.5, n + 1),
        places=np.ones((n_notes, 3)),
        windows=windows,
        stride=np.where(is_hard, 0, stride),
    )


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_the_answers_are_those_of_rows_that_hold_every_edge(seed):
    lattice = lattice_of(seed)
    usual = grids_of(lattice)
    whole = [Grid(g.step, 0, g.last, g.last) for g in usual]
    assert sum(g.size for g in usual) <= sum(g.size for g in whole)
    found = programme.log_normaliser(lattice), programme.posteriors(lattice), programme.best_spans(lattice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programme, "grids_of", lambda _: whole)
        expected = programme.log_normaliser(lattice), programme.posteriors(lattice)
        spans = programme.best_spans(lattice)
    assert found[0] == pytest.approx(expected[0], abs=1e-9)
    np.testing.assert_array_equal(found[2], spans)
    for one, other in zip(found[1], expected[1], strict=True):
        assert placed(one) == pytest.approx(placed(other), abs=1e-9)
        for x, y in zip(one, other, strict=True):
            np.testing.assert_allclose(dense(x), dense(y), atol=1e-8)
        assert mass_near(one, (20.0, 40.0)) == pytest.approx(mass_near(other, (20.0, 40.0)), abs=1e-8)


def dense(table):
    first, onset, offset = summed_edges([table])
    out = np.zeros((2, 200))
    out[:, first : first + len(onset)] = onset, offset
    return out
