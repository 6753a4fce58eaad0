"""align/tokens/drift.py: the data of the fitting has not drifted; other data has, and it is said where."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.tokens import describe_segments
from align.tokens.codebook import code_rows
from align.tokens.drift import measure_drift, radii
from align.tokens.saved import QUANTILES
from tests.tokens.kinds import KINDS, book, recording

BOOK = book(3, tuple(range(8)))


def drift_of(kinds, seed=0, grown=1.0):
    stream, cut = recording(kinds, seed)
    rows = describe_segments(dataclasses.replace(stream, values=stream.values * grown), cut)[0]
    return measure_drift(BOOK, *code_rows(rows, BOOK.codebook), cut.spans[:, 1] - cut.spans[:, 0])


def test_what_it_was_made_from_has_not_drifted():
    stream_rows = [describe_segments(*recording([*KINDS] * 4, seed))[0] for seed in range(8)]
    codes, distances = code_rows(np.concatenate(stream_rows), BOOK.codebook)
    found = measure_drift(BOOK, codes, distances, np.full(len(codes), 10.0))
    assert found.counts.tolist() == BOOK.counts.tolist()
    assert found.moved == pytest.approx(0.0, abs=1e-12)
    assert found.beyond_all == 0.0 and not found.is_far  # fewer than 100 of each code: all are within
    np.testing.assert_allclose(found.place, 0.5, atol=1e-6)
    assert "still fits" in found.verdict


def test_new_data_of_the_same_kind_is_near_and_louder_data_is_far():
    same, louder = drift_of([*KINDS] * 8, seed=99), drift_of([*KINDS] * 8, seed=99, grown=3.0)
    assert same.beyond_all < 0.3 < 0.6 < louder.beyond_all
    assert louder.is_far and "--keep-ids" in louder.verdict
    seen = np.isfinite(louder.place)
    assert np.nanmean(louder.place[seen]) > np.nanmean(same.place)


def test_other_habits_move_the_population_and_not_the_distances():
    found = drift_of(["rest"] * 24, seed=50)
    assert found.counts.max() == 24
    assert found.moved == pytest.approx(1.0 - BOOK.shares[found.counts.argmax()])
    assert np.isnan(found.beyond[found.counts == 0]).all()
    calm = dataclasses.replace(found, beyond_all=0.0)
    assert "habits changed" in calm.verdict


def test_a_code_of_few_segments_gets_the_usual_radius():
    few = dataclasses.replace(BOOK, counts=np.array([1, 30, 30]), radii=np.tile(
        np.array([[0.1], [1.0], [2.0]], np.float32), (1, 6)))  # fmt: skip
    np.testing.assert_allclose(radii(few), [1.5, 1.0, 2.0])
    unseen = dataclasses.replace(few, radii=np.full((3, 6), np.nan, np.float32), counts=np.zeros(3, np.int64))
    assert radii(unseen).tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 1000))
def test_shares_are_shares(n, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, n).astype(np.int32)
    found = measure_drift(BOOK, codes, rng.exponential(3.0, n).astype(np.float32), rng.random(n) + 0.1)
    assert found.shares_now.sum() == pytest.approx(1.0)
    assert 0.0 <= found.moved <= 1.0 and 0.0 <= found.beyond_all <= 1.0
    assert found.counts.sum() == n
    held = found.counts > 0
    assert (found.beyond[held] @ found.counts[held]) / n == pytest.approx(found.beyond_all)
    assert ((found.place[held] >= 0) & (found.place[held] <= 1)).all()


def test_of_many_segments_one_in_a_hundred_lies_beyond_and_of_few_one_more_may_be_the_farthest():
    random = np.random.default_rng(0)
    known = random.exponential(size=(3, 10_000)).astype(np.float32)
    rows = np.quantile(known, QUANTILES, axis=1).T
    many = dataclasses.replace(BOOK, counts=np.full(3, 10_000), radii=rows)
    codes, new = np.repeat(np.arange(3), 4000).astype(np.int32), random.exponential(size=12_000)
    found = measure_drift(many, codes, new.astype(np.float32), np.ones(12_000))
    assert found.expected == pytest.approx(0.01) and found.beyond_all == pytest.approx(0.01, abs=0.003)
    assert not found.is_far
    few = dataclasses.replace(BOOK, counts=np.full(3, 4))
    assert measure_drift(few, codes, new.astype(np.float32), np.ones(12_000)).expected == pytest.approx(0.2)


def test_nothing_and_what_does_not_fit_are_refused():
    with pytest.raises(ParameterError):
        measure_drift(BOOK, np.zeros(0, np.int32), np.zeros(0, np.float32), [])
    with pytest.raises(ParameterError):
        measure_drift(BOOK, np.array([7], np.int32), np.zeros(1, np.float32), [1.0])
