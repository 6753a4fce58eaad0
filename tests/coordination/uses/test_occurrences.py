"""Where one thing occurs: planted spans are found, gaps are not crossed, probabilities are what they say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.coordination.uses import occurrences as module
from align.coordination.uses.occurrences import Occurrence, occurrences
from tests.naive import repeats_naive


def planted(n: int, spans: list[tuple[int, int]], level: float = 2.0, seed: int = 0) -> np.ndarray:
    odds = np.random.default_rng(seed).normal(-level, 0.5, n).astype(np.float32)
    for start, end in spans:
        odds[start:end] += 2 * level
    return odds


def everywhere(n: int) -> np.ndarray:
    return np.ones(n, bool)


def edges(found: list[Occurrence]) -> list[tuple[int, int]]:
    return sorted((o.start, o.end) for o in found)


@pytest.mark.parametrize("length", [5, 40, 300])  # 40 and 300 are searched on a coarser grid
def test_planted_spans_are_found_to_the_frame_and_are_certain(length: int) -> None:
    spans = [(3 * length, 4 * length), (6 * length, 7 * length + length // 4), (12 * length, 13 * length)]
    odds = planted(20 * length, spans)
    found = occurrences(odds, everywhere(len(odds)), (np.log(length), 0.3), 3)
    assert edges(found) == spans
    assert all(o.probability > 0.99 for o in found)
    assert all(o.log_odds == pytest.approx(odds[o.start : o.end].mean(), abs=1e-4) for o in found)


def test_where_nothing_is_there_it_says_so() -> None:
    odds = planted(2000, [])
    found = occurrences(odds, everywhere(2000), (np.log(20), 0.3), 5)
    assert len(found) == 5 and max(o.probability for o in found) < 1e-3


def test_no_span_crosses_a_gap_and_none_lies_in_one() -> None:
    odds, observed = planted(400, [(100, 160)]), everywhere(400)
    observed[120:125] = False
    found = occurrences(odds, observed, (np.log(30), 0.5), 4)
    assert all(observed[o.start : o.end].all() for o in found)
    assert edges(found[:2]) == [(100, 120), (125, 160)]
    assert occurrences(odds, np.zeros(400, bool), (np.log(30), 0.5), 4) == []
    assert occurrences(odds[:0], observed[:0], (np.log(30), 0.5), 4) == []


@given(seed=st.integers(0, 1000), usual=st.sampled_from([0.1, 2.0, 6.0, 40.0, 1e6]), k=st.integers(1, 8))
def test_laws(seed: int, usual: float, k: int) -> None:
    """At most k, none empty, none overlapping, probabilities in [0, 1] and descending."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    odds = np.repeat(rng.normal(0, 2, n), 3)[:n].astype(np.float32)
    observed = np.repeat(rng.random(n) > 0.1, 7)[:n]
    found = occurrences(odds, observed, (float(np.log(usual)), 0.4), k)
    assert len(found) <= k
    spans = edges(found)
    assert all(0 <= a < b <= n and observed[a:b].all() for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in pairwise(spans))
    chances = [o.probability for o in found]
    assert all(0.0 <= p <= 1.0 for p in chances)
    assert [round(p, 3) for p in chances] == sorted((round(p, 3) for p in chances), reverse=True)


@given(seed=st.integers(0, 1000))
def test_the_probability_is_the_posterior_of_all_spans_about_there(seed: int) -> None:
    """Against every way to cut a recording of eight frames, with the rate that was learned."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, 8)
    seen: list[tuple[np.ndarray, float]] = []
    real = module._best_places

    def spy(grid, *rest):  # type: ignore[no-untyped-def]
        seen.append((grid.durations, grid.stay))
        return real(grid, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_best_places", spy)
        found = occurrences(odds.astype(np.float32), everywhere(8), (np.log(3.0), 0.25), 3)
    durations, stay = seen[0]
    known = {d: durations[d] for d in range(1, len(durations)) if durations[d] > -1e29}
    single = np.float32(odds).astype(float).tolist()
    _, posterior = repeats_naive(single, known, lambda a, b: True, stay)
    for place in found:
        about = [
            mass
            for (a, b), mass in posterior.items()
            if 2 * (min(b, place.end) - max(a, place.start)) >= max(b, place.end) - min(a, place.start)
        ]
        assert place.probability == pytest.approx(
            min(1.0, sum(about)), abs=1e-9
        )  # two halves may count twice


def test_stated_probabilities_come_true_on_recordings_drawn_from_the_model() -> None:
    """Frames drawn with the likelihood ratio that their log odds claim: the calibration error is small."""
    rng = np.random.default_rng(1)
    claimed, right = [], []
    for _ in range(60):
        truth, spans, at = np.zeros(600, bool), [], 0
        while at < 560:
            at += int(rng.geometric(0.01))
            length = max(1, round(float(rng.lognormal(np.log(10.0), 0.3))))
            truth[at : at + length] = True
            spans.append((at, at + length))
            at += length
        x = rng.normal(np.where(truth, 0.5, -0.5), 1.3)
        odds = (x / 1.3**2).astype(np.float32)  # log N(x; 0.5) - log N(x; -0.5)
        for o in occurrences(odds, everywhere(600), (np.log(10.0), 0.3), 12):
            overlap = max(
                (min(b, o.end) - max(a, o.start)) / (max(b, o.end) - min(a, o.start)) for a, b in spans
            )
            claimed.append(o.probability)
            right.append(overlap >= 0.5)
    table = np.asarray(claimed), np.asarray(right)
    assert abs(table[0].mean() - table[1].mean()) < 0.05
    high = table[0] > 0.7
    assert high.sum() > 30 and abs(table[0][high].mean() - table[1][high].mean()) < 0.12
