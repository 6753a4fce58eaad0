"""align/matching/gaps.py: how much of a note's time nothing was recorded in."""

from __future__ import annotations

import numpy as np
import pytest

from align.matching.gaps import gap_mass


def prior(centre, half=0.0, sd=2.0):
    return np.array([[centre, half, sd, 8.0, 1.0]])


OBSERVED = np.ones(100, bool)
OBSERVED[40:60] = False


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (prior(50.0), 1.0),
        (prior(20.0), 0.0),
        (prior(40.0), 0.5),
        (prior(50.0, half=20.0, sd=0.01), 0.5),
        (prior(50.0, sd=0.0), 0.0),
        (prior(50.0, sd=1e6), 0.2),
        (prior(1e4), 0.0),
    ],
)
def test_the_share_of_the_window_that_lies_in_frames_without_data(window, expected):
    assert gap_mass(window, OBSERVED)[0] == pytest.approx(expected, abs=0.03)


def test_without_a_gap_there_is_none():
    assert gap_mass(np.concatenate([prior(5.0), prior(50.0)]), np.ones(100, bool)).tolist() == [0.0, 0.0]
    assert gap_mass(np.zeros((0, 5)), OBSERVED).shape == (0,)
