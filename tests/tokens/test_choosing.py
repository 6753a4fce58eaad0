"""align/tokens/choosing.py: the number of codes that is there is the number that is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.tokens.choosing import CRITERIA, bic_of_clusters, choose_codes, prediction_strength
from align.tokens.clustering import kmeans


def blobs(k: int, seed: int = 0, each: int = 60, spread: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.array([[8.0 * (i % 3), 8.0 * (i // 3)] for i in range(k)])
    return np.concatenate([c + spread * random.normal(size=(each, 2)) for c in centres])


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_number_of_clusters_is_found(criterion: str, k: int) -> None:
    choice = choose_codes(blobs(k), range(1, 9), criterion=criterion)
    assert choice.n_codes == k
    assert choice.tried == tuple(range(1, 9))
    assert len(choice.scores) == 8


def test_a_mixture_sees_clusters_of_different_widths_where_round_ones_are_too_many() -> None:
    random = np.random.default_rng(0)
    rows = np.concatenate(
        [random.normal(size=(300, 2)) * [6.0, 0.1], [0.0, 5.0] + 0.1 * random.normal(size=(300, 2))]
    )
    assert choose_codes(rows, range(1, 9), criterion="mixture").n_codes == 2
    assert choose_codes(rows, range(1, 9), criterion="bic").n_codes > 2


def test_the_order_of_rows_decides_nothing() -> None:
    rows = blobs(3)
    shuffled = rows[np.random.default_rng(5).permutation(len(rows))]
    for criterion in CRITERIA:
        assert choose_codes(rows, [2, 3, 4], criterion=criterion) == choose_codes(
            shuffled, [2, 3, 4], criterion=criterion
        )


def test_bic_is_the_formula() -> None:
    rows = blobs(2, each=10)
    found = kmeans(rows, 2)
    n, d, k = 20, 2, 2
    width = found.inertia / (d * (n - k))
    density = 0.0
    for row, label in zip(rows, found.labels, strict=True):
        off = ((row - found.centroids[label]) ** 2).sum()
        share = (found.labels == label).mean()
        density += np.log(share) - d / 2 * np.log(2 * np.pi * width) - off / (2 * width)
    assert bic_of_clusters(rows, found) == pytest.approx(density - (k * d + k) / 2 * np.log(n))
    assert bic_of_clusters(rows[:2], kmeans(rows[:2], 2)) == -np.inf


def test_prediction_strength_is_high_for_what_is_there_and_low_for_what_is_not() -> None:
    rows = blobs(3)
    assert prediction_strength(rows, 1) == (1.0, 0.0)
    assert prediction_strength(rows, 3)[0] > 0.95
    assert prediction_strength(rows, 6)[0] < 0.7
    assert prediction_strength(rows[:5], 4) == (0.0, 0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 3), st.sampled_from(["bic", "stability"]))
def test_V11_any_rows_give_a_number_that_they_allow(n: int, d: int, values: int, criterion: str) -> None:
    rows = np.random.default_rng(n).integers(0, values + 1, size=(n, d)).astype(float)
    choice = choose_codes(rows, criterion=criterion)
    assert 1 <= choice.n_codes <= n
    assert choice.tried[0] == 1
    if values == 0:
        assert choice.n_codes == 1 or criterion == "stability"


def test_what_is_tried_by_itself_grows_with_the_rows() -> None:
    assert choose_codes(np.zeros((3, 1))).tried == (1, 2, 3)
    tried = choose_codes(np.random.default_rng(0).normal(size=(400, 1))).tried
    assert tried[:10] == tuple(range(1, 11))
    assert tried[-1] == 40


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"tried": [0, 1]}, "tried"),
        ({"tried": [2, 2]}, "tried"),
        ({"tried": [99]}, "tried"),
        ({"tried": []}, "tried"),
        ({"criterion": "elbow"}, "criterion"),
        ({"seed": -1}, "seed"),
        ({"points": [[np.nan]]}, "points"),
        ({"points": [1.0, 2.0]}, "points"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(wrong, name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        choose_codes(**{"points": blobs(1, each=5), **wrong})
