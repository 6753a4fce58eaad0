"""A run cut while it comes in: the optimum of the whole, whatever the pushes, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.kernels.pelt import misfit
from align.segmentation.incremental import RunSegmenter
from tests import naive


def made(seed: int, n: int, d: int, level: float = 3.0, every: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.normal(0, level, (n // every + 1, d)), every, axis=0)[:n]
    return rng.standard_normal((n, d)) + steps


def all_updates(run: RunSegmenter, values: np.ndarray, cuts: np.ndarray) -> list:
    updates = [u for part in np.split(values, cuts) for u in run.push(part)]
    return [*updates, run.finish()]


def final(updates: list) -> list[int]:
    return [c for u in updates for c in u.final]


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.integers(1, 220), st.integers(1, 3), st.integers(1, 5), st.floats(3.0, 60.0)
)
def test_what_is_final_is_an_optimum_of_the_whole_run(seed, n, d, least, penalty) -> None:
    values = made(seed, n, d)
    run = RunSegmenter(np.ones(d), penalty, min_size=least)
    changes = final(all_updates(run, values, np.empty(0, int)))
    edges = np.array([0, *changes, n])
    assert len(changes) == 0 or np.diff(edges).min() >= least
    reached = misfit(values, np.ones(d), edges) + penalty * len(changes)
    if n >= least:
        assert reached == pytest.approx(naive.least_penalised_cost(values, penalty, least), abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([256, 16_384]), st.lists(st.integers(0, 700), max_size=12))
def test_R03_pushes_of_any_size_give_the_same_updates(seed, horizon, cuts) -> None:
    values = made(seed, 700, 2, every=90)
    updates = [
        all_updates(RunSegmenter(np.ones(2), 25.0, horizon=horizon), values, np.array(c, int))
        for c in ([], sorted(cuts), np.arange(1, 700))
    ]
    assert updates[0] == updates[1] == updates[2]


def test_final_change_points_are_never_taken_back_and_provisional_ones_come_first() -> None:
    values = made(5, 2_000, 2, every=250)
    run = RunSegmenter(np.ones(2), 40.0)
    said: list[int] = []
    for update in all_updates(run, values, np.empty(0, int)):
        said += update.final
        assert said == sorted(set(said))
        assert all(c <= update.at for c in (*update.final, *update.provisional))
        assert not said or not update.provisional or update.provisional[0] > said[-1]
    assert [round(c / 250) * 250 for c in said] == [250 * k for k in range(1, 8)]


def test_a_clear_change_is_said_at_once_and_is_final_soon() -> None:
    values = np.random.default_rng(0).standard_normal((600, 2))
    values[300:] += 5.0
    updates = RunSegmenter(np.ones(2), 40.0).push(values)
    assert next(u.at for u in updates if u.provisional) <= 303
    assert next(u.at for u in updates if u.final == (300,)) <= 420
    assert not any(u.forced for u in updates)


@pytest.mark.parametrize("kind", ["flat", "noise", "bursts", "drift", "sparse"])
def test_R08_R09_memory_is_bounded_whatever_comes(kind) -> None:
    n, horizon = 6_000, 512
    rng = np.random.default_rng(1)
    values = {
        "flat": np.zeros((n, 2)),
        "noise": rng.standard_normal((n, 2)),
        "bursts": rng.standard_normal((n, 2)) * np.where(np.arange(n) % 500 < 30, 40.0, 1.0)[:, None],
        "drift": np.linspace(0, 60, n)[:, None] + rng.standard_normal((n, 2)),
        "sparse": (np.arange(n) % 700 == 0)[:, None] * np.full(2, 50.0) + rng.standard_normal((n, 2)),
    }[kind]
    run = RunSegmenter(np.ones(2), 40.0, horizon=horizon)
    looks = 0
    for part in np.split(values, np.arange(7, n, 7)):
        looks += len(run.push(part))
        assert run.buffered <= horizon
        _, arrays = run.state()
        assert sum(a.nbytes for a in arrays.values()) < horizon * 2 * 8 + 16_384
    assert looks < n / 4  # the search is amortised
    assert run.n_samples == n


def test_a_segment_longer_than_the_horizon_goes_on() -> None:
    values = np.random.default_rng(2).standard_normal((3_000, 1))
    values[2_000:] += 4.0
    updates = all_updates(RunSegmenter(np.ones(1), 40.0, horizon=256), values, np.empty(0, int))
    assert final(updates) == [2_000]
    assert sum(u.forced for u in updates) > 10


def test_what_is_restored_goes_on_as_if_nothing_was() -> None:
    values = made(9, 500, 2, every=120)
    whole = all_updates(RunSegmenter(np.ones(2), 30.0), values, np.empty(0, int))
    run, updates = RunSegmenter(np.ones(2), 30.0), []
    for row in values:
        fresh = RunSegmenter(np.zeros(2), 1.0)
        fresh.restore(*run.state())
        run = fresh
        updates += run.push(row[None])
    assert [*updates, run.finish()] == whole


def test_another_scale_is_taken_from_the_buffer_on() -> None:
    values = np.random.default_rng(4).standard_normal((400, 2))
    values[200:, 1] += 6.0
    run = RunSegmenter(np.array([1.0, 0.0]), 40.0)
    assert final(run.push(values)) == []
    run.rescale(np.ones(2), 40.0)
    assert run.finish().final == (200,)


@pytest.mark.parametrize("wrong", [{"penalty": 0.0}, {"min_size": 0}, {"horizon": 100}, {"penalty": np.nan}])
def test_what_means_nothing_is_refused(wrong) -> None:
    with pytest.raises(ParameterError):
        RunSegmenter(np.ones(1), **({"penalty": 10.0} | wrong))
