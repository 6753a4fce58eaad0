"""align/matching/pointing.py: where evidence alone lets a written time point to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Evidence
from align.matching.pointing import pointing_density
from tests import naive

HOP = 0.5


def evidence_of(log_odds, *, seconds=2.0, sd=0.4, observed=None, first=0, reach=1.0):
    column = np.asarray(log_odds, np.float32)[:, None]
    observed = np.ones(len(column), bool) if observed is None else np.asarray(observed, bool)
    durations = np.array([[math.log(seconds), sd]])
    return Evidence(column, HOP, first, observed, durations, "test", reach=reach)


def centres(evidence):
    """The middles of all frames, seconds."""
    return (evidence.first + np.arange(evidence.observed.size) + 0.5) * HOP


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.booleans()), min_size=2, max_size=25),
    st.sampled_from([0.3, 2.0, 6.0, 1e9]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(-5, 5),
)
@settings(max_examples=60, deadline=None)
def test_it_is_what_the_loops_say(frames, seconds, reach, first):
    odds, seen = map(list, zip(*frames, strict=True))
    evidence = evidence_of(odds, seconds=seconds, observed=seen, first=first, reach=reach)
    mine = pointing_density(evidence, 0, centres(evidence))
    theirs = naive.pointed_frames(odds, seen, evidence.durations[0], HOP, reach)
    np.testing.assert_allclose(mine, np.array(theirs) * sum(seen), atol=1e-6)


def test_evidence_that_says_nothing_is_chance_away_from_the_ends():
    evidence = evidence_of(np.zeros(400))
    density = pointing_density(evidence, 0, centres(evidence))
    np.testing.assert_allclose(density[10:-10], 1.0, rtol=0.05)
    assert density.mean() == pytest.approx(1.0)


def test_it_peaks_where_the_evidence_does_and_is_0_in_gaps_and_outside():
    odds = np.full(100, -1.0)
    odds[40:44] = 3.0
    seen = np.ones(100, bool)
    seen[60:70] = False
    evidence = evidence_of(odds, observed=seen, first=20)
    moments = np.arange(-20.0, 100.0, HOP)
    density = pointing_density(evidence, 0, moments)
    assert 30.0 <= moments[density.argmax()] <= 32.0
    outside = (moments < 10.0 - HOP) | (moments > 60.0 + HOP)
    assert (density[outside] == 0.0).all() and (density[(moments > 40.5) & (moments < 44.5)] < 1e-12).all()


@pytest.mark.parametrize("moments", [np.arange(-30.0, -10.0), np.arange(90.0, 99.0)])
def test_moments_that_miss_the_recording_find_nothing(moments):
    assert (pointing_density(evidence_of(np.zeros(40)), 0, moments) == 0.0).all()


def test_pooled_frames_say_the_same_more_coarsely():
    odds = np.random.default_rng(0).normal(0, 0.2, 600)
    odds[300:360] += 0.5
    evidence = evidence_of(odds, seconds=30.0)
    fine = np.arange(10.0, 290.0, HOP)
    coarse = np.arange(10.0, 290.0, 4 * HOP)
    exact = np.interp(coarse, fine, pointing_density(evidence, 0, fine))
    np.testing.assert_allclose(pointing_density(evidence, 0, coarse), exact, atol=0.15 * exact.max())


def test_a_recording_of_one_gap_is_no_place():
    evidence = evidence_of(np.ones(10), observed=np.zeros(10))
    assert (pointing_density(evidence, 0, centres(evidence)) == 0.0).all()


def test_no_stretch_fits_between_the_gaps():
    evidence = replace(evidence_of(np.ones(9), seconds=50.0), observed=np.array([1, 0, 1] * 3, bool))
    density = pointing_density(evidence, 0, centres(evidence))
    np.testing.assert_allclose(density, [1, 0, 1] * 3)
