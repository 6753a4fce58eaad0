"""align/features/frames.py: hops, the door by modality, and one grid for all streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import align
from align.datatypes import Stream
from align.errors import ParameterError
from align.features.frames import featurize, frame_table, frames_made_once, natural_hop


def stream_of(seconds, rate, name="wrist", start=0.0, **about):
    values = np.random.default_rng(0).normal(size=(round(seconds * rate), 1))
    return Stream(values, rate, name, run_start=np.array([start]), **about)


def test_a_note_gets_about_36_frames():
    assert natural_hop(3600.0, 100) == 1.0
    assert natural_hop(3600.0, 101) == 0.5
    assert natural_hop(10.0, 10) == 0.02
    assert natural_hop(7 * 86400.0, 3) == 60.0
    assert natural_hop(0.0, 0) == 0.02


@given(st.floats(0.1, 1e6), st.integers(0, 1000))
def test_the_hop_is_never_coarser_than_36_frames_a_note(seconds, n_notes):
    hop = natural_hop(seconds, n_notes)
    assert hop == 0.02 or seconds / max(1, n_notes) / hop >= 36 * (1 - 1e-6)
    assert natural_hop(2 * seconds, n_notes) >= hop


def test_defaults_by_modality_and_rate():
    assert featurize(stream_of(10, 50.0)).rate == 4.0
    assert featurize(stream_of(100, 1.0)).rate == 0.25
    sound = featurize(stream_of(2, 8000.0, "mic", modality="audio"))
    assert (sound.rate, sound.modality, sound.n_samples) == (10.0, "audio", 20)
    assert align.featurize(stream_of(10, 50.0), hop=1.0).n_samples == 10


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["hop", "window"])
def test_what_is_no_duration_is_refused(name, seconds):
    with pytest.raises(ParameterError, match=name):
        featurize(stream_of(10, 50.0), **{name: seconds})


def test_streams_share_one_grid_and_nothing_is_filled():
    wrist = stream_of(10, 50.0, start=2.0)
    slow = Stream(np.arange(12.0), 1.0, "heart", run_index=np.array([0, 5]), run_start=np.array([0.0, 9.0]))
    table = frame_table([wrist, slow], 0.5)
    assert (table.first, table.n_frames, table.names) == (0, 32, ("wrist", "heart"))
    one, other = table.blocks
    assert one.dtype == np.float32 and np.isnan(one[:4]).all() and np.isnan(one[24:]).all()
    assert (one[4:24] == featurize(wrist, hop=0.5).values).all()
    assert np.isfinite(other[:10]).all() and np.isnan(other[10:18]).all() and np.isfinite(other[18:]).all()
    assert table.observed.all()
    assert table.channels[0] == featurize(wrist, hop=0.5).channels


def test_a_gap_of_all_streams_is_not_observed():
    gap = Stream(np.ones(20), 1.0, "a", run_index=np.array([0, 10]), run_start=np.array([0.0, 30.0]))
    other = Stream(np.ones(8), 1.0, "b", run_start=np.array([15.0]))
    table = frame_table([gap, other], 1.0)
    seconds = table.first + np.arange(table.n_frames)
    assert seconds[~table.observed].tolist() == [*range(10, 15), *range(23, 30)]


def test_T16_missing_cells_are_not_observed():
    values = np.ones((40, 2))
    values[10:30] = np.nan
    table = frame_table([Stream(values, 1.0)], 1.0)
    assert table.n_frames == 40 and not table.observed[14:26].any()
    assert table.observed[:9].all() and table.observed[31:].all()


def test_negative_times_are_times():
    table = frame_table([stream_of(10, 50.0, start=-7.0), stream_of(10, 50.0, "b", start=-3.2)], 0.25)
    assert table.first == -28
    assert np.isnan(table.blocks[1][:15]).all()
    assert np.isfinite(table.blocks[1][16]).all()


def test_frames_are_made_once_within_a_block_and_anew_after_it():
    wrist, other = stream_of(8.0, 50.0), stream_of(8.0, 50.0)
    with frames_made_once():
        made = featurize(wrist, hop=0.5)
        assert featurize(wrist, hop=0.5) is made
        assert featurize(wrist, hop=0.25).rate == 4.0
        assert featurize(other, hop=0.5) is not made
        assert frame_table([wrist], 0.5).blocks[0].shape == made.values.shape
    again = featurize(wrist, hop=0.5)
    assert again is not made and np.array_equal(again.values, made.values)
