"""The inexact searches: the laws of every one under every cost, their slow twins, and a peer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from align.segmentation import greedy, moves
from align.segmentation.costs import COSTS, costs_between, fit_cost
from align.segmentation.greedy import SEARCHES
from tests import naive

SETTLED = {"bottom-up", "seeded", "window"}
cases = {"n": st.integers(1, 90), "size": st.integers(1, 9), "seed": st.integers(0, 999)}


def whole_numbers(n, seed):
    """Counts whose level changes: every cost can take them."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.integers(0, 9, 12), rng.integers(1, 25, 12))
    return rng.poisson(np.resize(levels, n)).astype(float)[:, None]


def noisy(n, seed, d=1):
    rng = np.random.default_rng(seed)
    levels = np.repeat(4 * rng.normal(size=(20, d)), rng.integers(1, 30, 20), axis=0)
    return np.resize(levels, (n, d)) + rng.normal(size=(n, d))


def fitted_l2(values, size=1):
    return fit_cost("l2", values, np.ones(values.shape[1]), size)


def one_cost(fitted):
    return lambda s, t: float(costs_between(fitted, [s], [t])[0])


@pytest.mark.parametrize("cost", sorted(COSTS))
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=6)
@given(**cases, most=st.integers(0, 6), penalty=st.sampled_from([0.0, 1.0, 20.0]))
def test_every_search_keeps_the_contract_under_every_cost(search, cost, n, size, seed, most, penalty):
    """Least size, ``most``, nothing above no change at all, ascending i8, the same twice."""
    fitted = fit_cost(cost, whole_numbers(n, seed), np.ones(1), size)
    changes = SEARCHES[search](fitted, penalty, most)
    assert changes.dtype == np.int64 and len(changes) <= most
    if len(changes):
        assert np.diff([0, *changes, n]).min() >= fitted.min_size
        nothing = moves.total_cost(fitted, changes[:0])
        found = moves.total_cost(fitted, changes) + penalty * len(changes)
        assert found <= nothing + 1e-9 * (1 + abs(nothing))
    assert SEARCHES[search](fitted, penalty, most).tolist() == changes.tolist()


@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=8)
@given(n=st.integers(40, 400), seed=st.integers(0, 999))
def test_more_allowed_never_gives_fewer(search, n, seed):
    fitted = fitted_l2(noisy(n, seed))
    found = [SEARCHES[search](fitted, 5.0, most) for most in (0, 1, 2, 4, 7, 12, n)]
    counts = [len(changes) for changes in found]
    assert counts == sorted(counts) and counts[0] == 0
    if search == "binary":
        assert all(set(a) <= set(b) for a, b in pairwise(found))


@pytest.mark.parametrize("cost", ["l2", "l1", "rank"])
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("at", [7, 50, 93])
def test_one_change_without_noise_is_found_exactly(search, cost, size, at):
    values = np.where(np.arange(100) < at, 1.0, 3.0)[:, None]
    fitted = fit_cost(cost, values, np.ones(1), size)
    assert SEARCHES[search](fitted, 0.01, 100).tolist() == [at]


@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=20)
@given(size=st.integers(1, 12), seed=st.integers(0, 999))
def test_levels_without_noise_are_found_exactly(search, size, seed):
    """Changes far enough apart, wherever the blocks, intervals and windows lie."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3 * size, 6 * size + 9, 8)
    levels = np.cumsum(rng.choice([-1.0, 1.0], 8) * rng.uniform(1, 2, 8))
    fitted = fitted_l2(np.repeat(levels, lengths)[:, None], size)
    assert SEARCHES[search](fitted, 1e-6, 1000).tolist() == lengths.cumsum()[:-1].tolist()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("level", [0.0, 0.1, 1e8])
def test_V03_flat_line_has_no_change(search, level):
    fitted = fitted_l2(np.full((3000, 2), level), 2)
    assert SEARCHES[search](fitted, 1e-6, 3000).size == 0


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_T16_too_short_for_two_segments_has_no_change(search, n):
    fitted = fitted_l2(100.0 * np.arange(n)[:, None], 5)
    assert SEARCHES[search](fitted, 0.0, 10).tolist() == []
    assert SEARCHES[search](fitted_l2(100.0 * np.arange(10)[:, None], 5), 0.0, 10).tolist() == [5]


@settings(max_examples=25)
@given(**cases, d=st.integers(1, 2), most=st.sampled_from([1, 3, 100]), penalty=st.sampled_from([0.5, 8.0]))
def test_binary_equals_its_twin(n, size, seed, d, most, penalty):
    fitted = fitted_l2(noisy(n, seed, d), size)
    assume(n >= 2 * size)
    expected = naive.split_best_first(one_cost(fitted), n, penalty, most, size)
    assert greedy.binary(fitted, penalty, most).tolist() == expected


@settings(max_examples=15)
@given(**cases, penalty=st.sampled_from([0.5, 8.0]))
def test_seeded_and_window_take_what_their_twins_take(n, size, seed, penalty):
    assume(n >= 2 * size)
    fitted = fitted_l2(noisy(n, seed), size)
    cost = one_cost(fitted)
    taken = greedy._narrowest_over_threshold(fitted, penalty).tolist()
    assert taken == naive.narrowest_over_threshold(cost, n, penalty, size)
    assert greedy._peaks_of_all_widths(fitted, penalty).tolist() == naive.window_peaks(cost, n, penalty, size)


@pytest.mark.parametrize(("n", "size"), [(2, 1), (7, 2), (1000, 1), (1001, 8), (12345, 50)])
def test_seeded_intervals_are_the_published_ones(n, size):
    """Layer k holds 2 ceil(2^((k-1)/2)) - 1 intervals; each layer covers the run; all hold two segments."""
    layers = list(greedy._seeded_layers(n, size))
    expected = naive.seeded_intervals(n)[: len(layers)][::-1]
    assert [list(zip(*map(np.ndarray.tolist, layer), strict=True)) for layer in layers] == expected
    for starts, ends in layers:
        assert (ends - starts).min() >= 2 * size and starts[0] == 0 and ends[-1] == n
        assert (starts[1:] < ends[:-1]).all()
    assert n * 2 ** (-len(layers) / 2) < 2 * size


@settings(max_examples=10)
@given(n=st.integers(2, 120), seed=st.integers(0, 999))
def test_joining_few_equals_its_twin(n, seed):
    fitted = fitted_l2(noisy(n, seed))
    order, rises = moves.joined(fitted, np.arange(1, n))
    expected = naive.join_cheapest_first(one_cost(fitted), n, range(1, n))
    assert order.tolist() == [change for change, _ in expected]
    np.testing.assert_allclose(rises, [rise for _, rise in expected], atol=1e-9)


@pytest.mark.parametrize("values", [noisy(3000, 5), np.zeros((3000, 1)), np.arange(3000.0)[:, None]])
def test_joining_many_takes_each_once_and_adds_up(values):
    """Noise, ties everywhere, and a ramp: every rise is that of the segmentation at hand."""
    fitted = fitted_l2(values)
    order, rises = moves.joined(fitted, np.arange(1, 3000))
    assert sorted(order.tolist()) == list(range(1, 3000))
    for left in (2998, 1500, 200, 7, 0):
        kept = np.sort(order[2999 - left :])
        raised = moves.total_cost(fitted, kept) - moves.total_cost(fitted, np.arange(1, 3000))
        assert raised == pytest.approx(rises[: 2999 - left].sum(), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("search", sorted(SETTLED))
@settings(max_examples=12)
@given(n=st.integers(20, 150), size=st.integers(1, 6), seed=st.integers(0, 999))
def test_no_shift_and_no_one_for_two_betters_what_is_settled(search, n, size, seed):
    fitted = fitted_l2(noisy(n, seed), size)
    changes = SEARCHES[search](fitted, 8.0, n)
    better = naive.improvements(one_cost(fitted), n, changes.tolist(), 8.0, size)
    assert max(better, default=0.0) <= 1e-9


def test_best_splits_do_not_depend_on_the_chunks(monkeypatch):
    fitted = fitted_l2(noisy(500, 3, 2), 3)
    starts, ends = np.array([0, 10, 10, 200, 493]), np.array([500, 16, 400, 207, 500])
    gain, at = moves.best_splits(fitted, starts, ends)
    expected = [naive.best_split(one_cost(fitted), s, t, 3) for s, t in zip(starts, ends, strict=True)]
    assert at.tolist() == [k for _, k in expected]
    np.testing.assert_allclose(gain, [g for g, _ in expected])
    found = {name: search(fitted, 8.0, 500).tolist() for name, search in SEARCHES.items()}
    monkeypatch.setattr(moves, "CHUNK", 7)
    monkeypatch.setattr(greedy, "CHUNK", 7)
    assert moves.best_splits(fitted, starts, ends)[1].tolist() == at.tolist()
    assert {name: search(fitted, 8.0, 500).tolist() for name, search in SEARCHES.items()} == found


@pytest.mark.parametrize("search", sorted(SETTLED))
def test_near_the_optimum_on_levels_with_noise(search):
    """1e5 samples in two channels: within 0.1 % of what the optimum earns over no change at all."""
    rng = np.random.default_rng(1)
    values = np.repeat(3 * rng.normal(size=(200, 2)), 500, axis=0) + rng.normal(size=(100_000, 2))
    fitted, penalty = fitted_l2(values, 10), 50.0
    objective = {}
    for name, find in {"exact": lambda f, p, _: f.cost.changes(f, p), search: SEARCHES[search]}.items():
        changes = find(fitted, penalty, 100_000)
        objective[name] = moves.total_cost(fitted, changes) + penalty * len(changes)
    earned = moves.total_cost(fitted, np.empty(0, np.int64)) - objective["exact"]
    assert 0 <= objective[search] - objective["exact"] + 1e-6 <= 1e-3 * earned


@pytest.mark.parametrize(("size", "d", "seed"), [(1, 1, 0), (2, 1, 1), (5, 3, 2)])
def test_ruptures_agrees_where_definitions_coincide(size, d, seed):
    """Binseg with a penalty and a number; BottomUp on 2^k blocks down to a number; Window's scores."""
    import ruptures as rpt

    values = noisy(64 * size, seed, d)
    n, fitted = len(values), fitted_l2(values, size)
    options = {"model": "l2", "min_size": size, "jump": 1}
    binseg = rpt.Binseg(**options).fit(values)
    assert greedy.binary(fitted, 6.0, n).tolist() == binseg.predict(pen=6.0)[:-1]
    assert greedy.binary(fitted, 0.0, 5).tolist() == binseg.predict(n_bkps=5)[:-1]
    order, _ = moves.joined(fitted, np.arange(size, n, size))
    assert sorted(order[-5:].tolist()) == rpt.BottomUp(**options).fit(values).predict(n_bkps=5)[:-1]
    half = 4 * size
    score = rpt.Window(width=2 * half, **options).fit(values).score
    gains = greedy._window_gains(fitted, half)[half - size :][: len(score)]
    np.testing.assert_allclose(gains, score, rtol=1e-9)
