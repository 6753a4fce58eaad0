"""AMI, WARI and SMS: slow twins, laws, and hand-made errors of each kind."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.metrics import (
    adjusted_mutual_information,
    labels_of_samples,
    state_match,
    weighted_adjusted_rand,
)
from align.metrics.states import PRICES, _partners
from tests.naive import depth_weights, most_agreeing_samples, pair_by_pair_rand

MEASURES = [adjusted_mutual_information, weighted_adjusted_rand, lambda t, p: state_match(t, p).score]


def sequences(length):
    """Labels with stretches: runs of 1 to 5 samples, 4 states."""
    runs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), min_size=length, max_size=length)
    return runs.map(lambda rs: [label for label, k in rs for _ in range(k)][:length])


both = st.integers(1, 16).flatmap(lambda n: st.tuples(sequences(n), sequences(n)))


@given(both)
def test_wari_equals_the_loop_over_pairs(pair):
    truth, predicted = pair
    slow = pair_by_pair_rand(truth, predicted, depth_weights(truth))
    assert weighted_adjusted_rand(truth, predicted) == pytest.approx(slow, abs=1e-9)
    half = [0.5 + 0.5 * w for w in depth_weights(truth)]
    slow = pair_by_pair_rand(truth, predicted, half)
    assert weighted_adjusted_rand(truth, predicted, 0.5) == pytest.approx(slow, abs=1e-9)


@given(both)
def test_wari_without_emphasis_is_the_adjusted_rand_index(pair):
    from sklearn.metrics import adjusted_rand_score

    assert weighted_adjusted_rand(*pair, 0.0) == pytest.approx(adjusted_rand_score(*pair), abs=1e-9)
    assert weighted_adjusted_rand(*pair, 0.0) == pytest.approx(
        weighted_adjusted_rand(*pair[::-1], 0.0), abs=1e-9
    )


def expected_information(a, b):
    """E[I] over all labellings with these counts: Vinh et al. 2010, theorem 9, term by term."""
    n, total = sum(a), 0.0
    log = math.lgamma
    for x in a:
        for y in b:
            for k in range(max(1, x + y - n), min(x, y) + 1):
                chance = log(x + 1) + log(y + 1) + log(n - x + 1) + log(n - y + 1)
                chance -= log(n + 1) + log(k + 1) + log(x - k + 1) + log(y - k + 1) + log(n - x - y + k + 1)
                total += k / n * math.log(n * k / (x * y)) * math.exp(chance)
    return total


@given(both)
def test_ami_equals_the_published_formula(pair):
    truth, predicted = pair
    a, b = ([labels.count(x) for x in set(labels)] for labels in pair)
    n = len(truth)

    def entropy(counts):
        return -sum(c / n * math.log(c / n) for c in counts)

    cells = {p: list(zip(*pair, strict=True)).count(p) for p in zip(*pair, strict=True)}
    information = sum(
        c / n * math.log(n * c / (truth.count(t) * predicted.count(p))) for (t, p), c in cells.items()
    )
    chance = expected_information(a, b)
    most = (entropy(a) + entropy(b)) / 2
    if most - chance > 1e-9:
        slow = (information - chance) / (most - chance)
        assert adjusted_mutual_information(truth, predicted) == pytest.approx(slow, abs=1e-7)
    assert adjusted_mutual_information(truth, predicted) == pytest.approx(
        adjusted_mutual_information(predicted, truth), abs=1e-9
    )


@given(both)
def test_sms_counts_every_wrong_sample_once(pair):
    found = state_match(*pair)
    wrong = found.delay + found.transition + found.missed + found.isolation
    assert wrong * len(pair[0]) == pytest.approx(len(pair[0]) - most_agreeing_samples(*pair))
    price = sum(PRICES[k] * getattr(found, k) for k in PRICES)
    assert found.score == pytest.approx(1 - price)


@given(both, st.permutations(range(4)))
def test_renaming_changes_nothing_and_the_truth_scores_one(pair, names):
    truth, predicted = pair
    renamed = [f"state {names[p]}" for p in predicted]
    for measure in MEASURES:
        assert measure(truth, predicted) == pytest.approx(measure(truth, renamed), abs=1e-12)
        assert measure(predicted, renamed) == pytest.approx(1.0)
        assert measure(truth, predicted) <= 1 + 1e-9
    assert 0.0 <= state_match(truth, predicted).score <= 1.0


@given(both)
def test_only_the_truth_scores_one(pair):
    agree = most_agreeing_samples(*pair) == len(pair[0])
    assert (state_match(*pair).score > 1 - 1e-12) == agree
    assert (weighted_adjusted_rand(*pair) > 1 - 1e-9) == (
        agree or pair_by_pair_rand(*pair, depth_weights(pair[0])) > 1 - 1e-9
    )


@given(both)
def test_time_may_run_backwards(pair):
    truth, predicted = pair
    assert weighted_adjusted_rand(truth[::-1], predicted[::-1]) == pytest.approx(
        weighted_adjusted_rand(truth, predicted), abs=1e-9
    )


def test_errors_near_a_change_weigh_less_under_wari():
    truth = np.repeat([0, 1], 50)
    late, inside = truth.copy(), truth.copy()
    late[50:60] = 0
    inside[70:80] = 0
    assert weighted_adjusted_rand(truth, inside, 0.0) == weighted_adjusted_rand(truth, late, 0.0)
    assert weighted_adjusted_rand(truth, inside) < weighted_adjusted_rand(truth, late)


@pytest.mark.parametrize(
    ("predicted", "kind", "share"),
    [
        ("AAAAAABBBBCCCCC", "delay", 1 / 15),  # late
        ("AAAABBBBBBCCCCC", "delay", 1 / 15),  # early
        ("AAAAXBBBBBCCCCC", "transition", 1 / 15),  # a state of its own between two others
        ("AAAAABBXBBCCCCC", "isolation", 1 / 15),  # within one state
        ("AAAAABBABBCCCCC", "isolation", 1 / 15),  # a true state, but not there
        ("XAAAABBBBBCCCCC", "isolation", 1 / 15),  # the edge of the series is no change
        ("AAAAABBBBBAAAAA", "missed", 5 / 15),  # one segment never found
        ("AAAAABBBBBBBBBB", "missed", 5 / 15),  # not even where it continues the neighbour
    ],
)
def test_kinds_of_error(predicted, kind, share):
    found = state_match(list("AAAAABBBBBCCCCC"), list(predicted))
    expected = dict.fromkeys(PRICES, 0.0) | {kind: share}
    assert {k: getattr(found, k) for k in PRICES} == pytest.approx(expected)
    assert found.score == pytest.approx(1 - PRICES[kind] * share)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 9999))
def test_partners_have_the_largest_total_of_all_matchings(rows, columns, seed):
    table = np.random.default_rng(seed).integers(0, 9, (rows, columns))
    partner = _partners(table)
    matched = partner[partner >= 0]
    assert len(set(matched)) == matched.size == min(rows, columns)
    wide = table if rows <= columns else table.T
    best = max(
        sum(wide[i, j] for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(wide.shape[1]), wide.shape[0])
    )
    assert sum(table[r, c] for c, r in enumerate(partner) if r >= 0) == best


def test_other_prices():
    priced = state_match([0, 0, 1, 1], [0, 0, 0, 1], dict.fromkeys(PRICES, 1.0))
    assert priced.score == 0.75


def test_labels_of_samples_are_those_of_their_segments():
    assert labels_of_samples([0, 1, 4], ["a", "b"]).tolist() == ["a", "b", "b", "b"]
    with pytest.raises(ParameterError, match="labels"):
        labels_of_samples([0, 1, 4], [1])
    with pytest.raises(ParameterError, match="boundaries"):
        labels_of_samples([0, 4, 1], [1, 2])


def test_bad_arguments():
    for measure in MEASURES:
        with pytest.raises(ParameterError, match="truth, predicted"):
            measure([0, 1], [0])
        with pytest.raises(ParameterError, match="truth, predicted"):
            measure([], [])
    with pytest.raises(ParameterError, match="emphasis"):
        weighted_adjusted_rand([0], [0], 1.5)
    with pytest.raises(ParameterError, match="prices"):
        state_match([0], [0], {"delay": 0.1})


def test_large_labellings_are_quick():
    truth = np.repeat(np.arange(500) % 7, 1000)
    predicted = np.roll(truth, 20)
    assert weighted_adjusted_rand(truth, predicted) > weighted_adjusted_rand(truth, predicted, 0.0) > 0.9
    assert state_match(truth, predicted).delay == pytest.approx(0.02, abs=1e-3)
