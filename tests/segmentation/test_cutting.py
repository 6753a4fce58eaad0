"""``align.segment``: the objective it promises, gaps, short runs, missing cells, arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align
from align.datatypes import Stream
from align.errors import InputError, ParameterError
from tests.naive import least_penalised_cost, penalised_cost


def steps(n, d=1, every=100, seed=0, jump=5.0):
    rng = np.random.default_rng(seed)
    levels = jump * (np.arange(n // every + 1) % 2)[:, None]
    return np.repeat(levels, every, axis=0)[:n] + rng.normal(size=(n, d))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 150), d=st.integers(1, 3), size=st.integers(1, 12), seed=st.integers(0, 999))
def test_number_as_penalty_minimises_the_stated_objective(n, d, size, seed):
    values = steps(n, d, every=17, seed=seed)
    found = align.segment(Stream(values, rate=10.0), penalty=4.0, min_duration=size / 10)
    kept = Stream(values, rate=10.0).values  # as the stream holds them
    if n >= 2 * size:
        least = least_penalised_cost(kept, 4.0, size)
        assert penalised_cost(kept, found.changes, 4.0) == pytest.approx(least, rel=1e-9)
        assert (np.diff(found.boundaries) >= size).all()
    assert found.cost == pytest.approx(penalised_cost(kept, found.changes, 0.0), rel=1e-9)
    assert (found.penalty, found.method) == (4.0, "l2")


def test_changes_are_first_samples_of_new_segments_and_spans_are_seconds():
    stream = Stream([1.0, 1, 1, 1, 9, 9, 9, 9], rate=2.0, run_start=np.array([100.0]))
    found = align.segment(stream, penalty=1.0)
    assert found.changes.tolist() == [4]
    assert found.spans.tolist() == [[100.0, 102.0], [102.0, 104.0]]


def test_runs_are_cut_independently_and_never_across_a_gap():
    """The same penalty in each run; a level that differs between runs is no change point."""
    one, two = steps(400, seed=1), steps(300, seed=2) + 40
    both = Stream(
        np.concatenate([one, two]), rate=10.0, run_index=np.array([0, 400]), run_start=np.array([0.0, 90.0])
    )
    found = align.segment(both, penalty=30.0)
    alone = [align.segment(Stream(x, rate=10.0), penalty=30.0).changes for x in (one, two)]
    assert found.changes.tolist() == [*alone[0], *(alone[1] + 400)] and len(found.changes) == 5
    assert 400 in found.boundaries
    assert not ((found.spans[:, 0] < 40.0) & (found.spans[:, 1] > 40.0 + 1e-9)).any()


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_T16_too_short_for_two_segments_is_one_segment(n):
    """1, 2, min_size - 1, min_size and 2 min_size - 1 samples, at any penalty."""
    stream = Stream(100.0 * np.arange(n), rate=1.0)
    for penalty in (0.0, 5.0, "auto"):
        found = align.segment(stream, penalty=penalty, min_duration=5.0)
        assert found.boundaries.tolist() == [0, n]


def test_T16_a_short_run_among_long_ones_is_one_segment():
    values = np.concatenate([steps(200), [[50.0]], steps(200, seed=3)])
    stream = Stream(
        values, rate=1.0, run_index=np.array([0, 200, 201]), run_start=np.array([0.0, 300.0, 400.0])
    )
    found = align.segment(stream, penalty=30.0, min_duration=5.0)
    assert found.changes.tolist() == [100, 301]


def test_min_duration_is_rounded_up_to_whole_samples():
    stream = Stream(steps(300, every=10), rate=10.0)
    found = align.segment(stream, penalty=0.1, min_duration=0.41)
    assert np.diff(found.boundaries).min() == 5


def test_min_duration_longer_than_the_stream_is_one_segment():
    assert align.segment(Stream(steps(300), rate=10.0), min_duration=3600.0).n_segments == 1


@pytest.mark.parametrize("penalty", [10.0, "auto"])
def test_V03_constant_channel_costs_nothing(penalty):
    """A flat stream is one segment; a flat channel beside another changes nothing; no division by 0."""
    assert align.segment(Stream(np.full((500, 2), 7.0), rate=1.0), penalty=penalty).n_segments == 1
    alone = Stream(steps(500), rate=1.0)
    beside = Stream(np.column_stack([steps(500), np.full(500, 1e6)]), rate=1.0)
    found = align.segment(beside, penalty=penalty)
    assert found.changes.tolist() == align.segment(alone, penalty=penalty).changes.tolist()
    assert len(found.changes) == 4


def test_V03_flat_for_long_then_a_change():
    values = np.concatenate([np.zeros(20_000), np.ones(500)])
    assert align.segment(Stream(values, rate=1.0)).changes.tolist() == [20_000]


def test_missing_cells_make_no_change_of_their_own():
    """Stretches at the start, within a segment, across a change, every other cell, and at the end."""
    values = steps(400, 2)
    values[:20, 0] = np.nan
    values[140:170, 0] = np.nan
    values[185:215, :] = np.nan
    values[220:290:2, 1] = np.nan
    values[350:, 1] = np.nan
    for penalty in (20.0, "auto"):
        found = align.segment(Stream(values, rate=1.0), penalty=penalty).changes
        assert found.tolist() == [100, 200, 300]


def test_V02_channel_without_any_value_is_ignored():
    values = np.column_stack([steps(400), np.full(400, np.nan)])
    for penalty in (40.0, "auto"):
        assert align.segment(Stream(values, rate=1.0), penalty=penalty).changes.tolist() == [100, 200, 300]
    nothing = Stream(np.full((30, 2), np.nan), rate=1.0)
    assert align.segment(nothing).n_segments == 1


@pytest.mark.parametrize("offset", [1e5, 1e8, -1e10])
def test_V06_offset_moves_no_boundary(offset):
    values = steps(3000, 2)
    plain = align.segment(Stream(values, rate=1.0), penalty=30.0)
    moved = align.segment(Stream(values + offset, rate=1.0), penalty=30.0)
    assert moved.changes.tolist() == plain.changes.tolist()


def test_V06_squares_that_overflow_are_refused():
    values = np.column_stack([steps(50), np.linspace(0, 1e300, 50)])
    with pytest.raises(InputError, match="E-RANGE") as refused:
        align.segment(Stream(values, rate=1.0, channels=("a", "b")), penalty=1.0)
    assert refused.value.where["channel"] == "b"


def test_infinite_value_is_refused_where_it_is():
    values = steps(50, 2)
    values[31, 1] = -np.inf
    values[33, 1] = np.nan
    with pytest.raises(InputError, match="E-NONFINITE") as refused:
        align.segment(Stream(values, rate=10.0, channels=("a", "b")), penalty=1.0)
    assert dict(refused.value.where) == {"channel": "b", "sample": 31, "time": pytest.approx(3.1)}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"penalty": float("nan")}, "penalty is nan"),
        ({"penalty": float("inf")}, "penalty is inf"),
        ({"penalty": "atuo"}, 'id you mean "auto"'),
        ({"method": "L2"}, 'id you mean "l2"'),
        ({"min_duration": 0.0}, "min_duration is 0.0"),
        ({"min_duration": -2.0}, "min_duration is -2.0"),
        ({"min_duration": float("nan")}, "min_duration is nan"),
        ({"per_hour": 0.0}, "per_hour is 0.0"),
        ({"per_hour": 5.0, "penalty": 3.0}, "per_hour is 5.0"),
    ],
)
def test_S17_bad_arguments_say_what_is_allowed(wrong, says):
    with pytest.raises(ParameterError, match="allowed") as refused:
        align.segment(Stream(steps(50), rate=1.0), **wrong)
    assert says in str(refused.value)


@pytest.mark.parametrize("wanted", [6.0, 30.0, 120.0])
def test_per_hour_gives_about_as_many(wanted):
    values = np.random.default_rng(0).normal(size=(3600, 1)).cumsum(axis=0)
    found = align.segment(Stream(values, rate=1.0), per_hour=wanted)
    assert found.n_segments == pytest.approx(wanted, abs=2, rel=0.05)


def test_per_hour_respects_min_duration_and_every_run():
    """More than fits gives all that fit; fewer than there are runs gives one segment per run."""
    stream = Stream(steps(600), rate=1.0, run_index=np.array([0, 300]), run_start=np.array([0.0, 1000.0]))
    most = align.segment(stream, per_hour=1e6, min_duration=50.0)
    assert np.diff(most.boundaries).min() >= 50 and most.n_segments >= 10
    assert align.segment(stream, per_hour=0.01).n_segments == 2


def test_same_input_same_output_and_input_untouched():
    stream = Stream(steps(2000, 3), rate=50.0)
    before = stream.values.copy()
    one, two = align.segment(stream), align.segment(stream)
    assert one.boundaries.tolist() == two.boundaries.tolist() and one.penalty == two.penalty
    np.testing.assert_array_equal(before, stream.values)
