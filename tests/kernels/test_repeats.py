"""The kernel against every way to lay spans side by side, and both directions against one another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.repeats import NEVER, repeats
from tests.naive import repeats_naive


def lowest_starts(observed: np.ndarray) -> np.ndarray:
    """For each end the first edge of the stretch of data before it, by a loop."""
    out = [0]
    for edge, is_seen in enumerate(observed.tolist(), 1):
        out.append(out[-1] if is_seen else edge)
    return np.asarray(out, np.int64)


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, n)
    durations = rng.normal(-1, 0.5, 4)
    durations[rng.integers(0, 4)] = NEVER
    observed = rng.random(n) > 0.2
    return odds, durations, observed, float(np.log(rng.uniform(0.5, 1.0)))


def forward(odds: np.ndarray, durations: np.ndarray, observed: np.ndarray, stay: float):  # type: ignore[no-untyped-def]
    prefix = np.concatenate([[0.0], np.cumsum(odds)])
    return prefix, repeats(prefix, durations, lowest_starts(observed), stay)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 7))
def test_sums_and_posteriors_against_every_way(seed: int, n: int) -> None:
    odds, durations, observed, stay = drawn(seed, n)
    prefix, (total, _, _) = forward(odds, durations, observed, stay)
    _, (rest, _, _) = forward(odds[::-1], durations, observed[::-1], stay)
    rest = rest[::-1]
    known = {d: durations[d] for d in range(1, 4) if durations[d] > NEVER}
    log_z, posterior = repeats_naive(odds.tolist(), known, lambda a, b: observed[a:b].all(), stay)
    np.testing.assert_allclose(total[-1], log_z, atol=1e-9)
    np.testing.assert_allclose(rest[0], log_z, atol=1e-9)
    for (a, b), mass in posterior.items():
        own = np.exp(total[a] + durations[b - a] + prefix[b] - prefix[a] + rest[b] - total[-1])
        np.testing.assert_allclose(own, mass, atol=1e-9)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 12))
def test_the_best_start_of_each_end_by_a_loop(seed: int, n: int) -> None:
    odds, durations, observed, stay = drawn(seed, n)
    prefix, (total, best, start) = forward(odds, durations, observed, stay)
    for b in range(1, n + 1):
        pairs = [
            (total[a] - prefix[a] + durations[b - a], -a)
            for a in range(max(0, b - 3), b)
            if observed[a:b].all() and durations[b - a] > NEVER
        ]
        if pairs:
            assert (best[b], start[b]) == (max(pairs)[0], -max(pairs)[1])
        else:
            assert (best[b], start[b]) == (NEVER, -1)


def test_large_scores_neither_overflow_nor_vanish() -> None:
    odds = np.concatenate([np.full(50, -900.0), np.full(5, 900.0), np.full(50, -900.0)])
    durations = np.log(np.full(9, 0.1))
    _, (total, _, _) = forward(odds, durations, np.ones(105, bool), -0.01)
    np.testing.assert_allclose(total[-1], 4500.0 + np.log(0.1) - 1.0, atol=1.0)
    assert np.isfinite(total).all()
