"""align/tokens/tally.py: counts, durations, radii and medoids are those of all segments."""

from __future__ import annotations

import numpy as np
import pytest

from align import Stream
from align.tokens import fit_codebook
from align.tokens.codebook import code_rows
from align.tokens.describe import describe_segments
from align.tokens.saved import QUANTILES
from align.tokens.tally import Tally, excerpt, make_book
from tests.tokens.kinds import KINDS, book, recording


def test_a_book_says_what_a_plain_count_says():
    pairs = [recording(list(KINDS) * 4, seed) for seed in (0, 1)]
    codebook = fit_codebook(pairs, n_codes=3)
    made = make_book(codebook, [(f"r{i}", *pair) for i, pair in enumerate(pairs)])
    rows = [code_rows(describe_segments(*pair)[0], codebook) for pair in pairs]
    codes, distances = np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
    spans = np.concatenate([pair[1].spans for pair in pairs])
    of = np.repeat([0, 1], [len(r[0]) for r in rows])
    assert made.counts.tolist() == np.bincount(codes).tolist() and made.counts.sum() == 24
    np.testing.assert_allclose(made.seconds, 10.0 * made.counts)
    np.testing.assert_allclose(made.shares, made.counts / 24)
    for code, medoid in enumerate(made.medoids):
        own = np.flatnonzero(codes == code)
        best = own[np.argmin(distances[own])]
        assert medoid is not None
        assert (medoid.recording, medoid.start) == (f"r{of[best]}", spans[best, 0])
        assert medoid.distance == distances[best]
        np.testing.assert_allclose(made.radii[code], np.quantile(distances[own], QUANTILES), rtol=1e-6)


def test_the_nearest_segment_has_the_least_sum_of_squared_distances():
    """What makes it a medoid: sum of ||x - y||^2 over the others is n ||x - mean||^2 and a constant."""
    stream, cut = recording(["walk"] * 6)
    codebook = fit_codebook([(stream, cut)], n_codes=1)
    made = make_book(codebook, [("r", stream, cut)])
    points = (describe_segments(stream, cut)[0] - codebook.shift) / codebook.scale
    total = ((points[:, None] - points[None]) ** 2).sum(axis=2).sum(axis=1)
    assert made.medoids[0].start == cut.spans[int(np.argmin(total)), 0]


def test_a_code_without_segments_has_no_medoid_and_no_radius():
    codebook = book().codebook
    stream, cut = recording(["rest", "rest"])
    made = make_book(codebook, [("r", stream, cut)])
    unused = np.flatnonzero(made.counts == 0)
    assert len(unused) == 2
    assert all(made.medoids[c] is None for c in unused) and np.isnan(made.radii[unused]).all()


def test_captions_name_codes_by_what_most_of_their_time_is():
    tally = Tally(book())
    spans = np.array([[0.0, 10.0], [10.0, 20.0], [20.0, 30.0], [30.0, 60.0]])
    codes = np.array([0, 0, 1, 2], np.int32)
    said = [
        "rhythmic steps near 1.8 Hz; x2 high",
        "rhythmic steps near 2.0 Hz",
        "x2 high",
        "nothing stands out",
    ]
    tally.add(("r", "wrist"), codes, np.zeros(4, np.float32), spans, said)
    names = tally.names()
    # "x2 high" is half of code 0's time too, yet said of all of code 1's: it comes second there
    assert names[0] == "a0 rhythmic steps near 1.9 Hz, x2 high"
    assert names[1] == "a1 x2 high"
    assert names[2] == book().codebook.names[2]


def test_codes_with_the_same_caption_are_told_apart_by_their_features():
    tally = Tally(book())
    spans = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    tally.add(("r", "w"), np.array([0, 1, 2], np.int32), np.zeros(3, np.float32), spans, ["no movement"] * 3)
    names = tally.names()
    assert len(set(names)) == 3
    assert names[0] == "a0 no movement (" + book().codebook.names[0].partition(" ")[2] + ")"


@pytest.mark.parametrize(("seconds", "points"), [(2.0, 50), (10.0, 160), (1000.0, 160)])
def test_an_excerpt_is_short_and_keeps_extremes(seconds, points):
    t = np.arange(int(seconds * 25)) / 25
    stream = Stream(np.sin(2 * np.pi * 2 * t), 25.0)
    values, shown = excerpt(stream, (0.0, seconds))
    assert len(values) == points and values.shape[1] == 1
    assert shown == min(seconds, 8.0)
    assert values.max() > 0.95 and values.min() < -0.95


def test_an_excerpt_lies_in_the_middle_of_its_span_and_in_one_run():
    stream = Stream(np.arange(400.0), 10.0, run_index=[0, 200], run_start=[5.0, 100.0])
    values, shown = excerpt(stream, (100.0, 120.0))
    assert shown == 8.0 and values[0, 0] == 260 and values[-1, 0] == 339
    assert len(excerpt(stream, (60.0, 61.0))[0]) == 0
