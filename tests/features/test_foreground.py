"""align/features/foreground.py: what stands out of the background of a sound, louder or not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from align.datatypes import Stream
from align.features.foreground import foreground, foreground_of
from align.features.frames import frame_table
from tests import naive

RATE = 8000.0
spectra_of = npst.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(-80.0, 0.0)
)


def hiss(seconds, sd, seed):
    return np.random.default_rng(seed).normal(0.0, sd, round(seconds * RATE))


def sound(*pieces):
    return Stream(np.concatenate(pieces), RATE, "mic", modality="audio")


def shown(stream, hop=0.05):
    return foreground_of(frame_table([stream], hop))


@given(spectra_of)
def test_it_is_what_the_loop_finds(spectra):
    np.testing.assert_allclose(foreground(spectra), naive.foreground(spectra), atol=1e-4)


@settings(max_examples=30)
@given(spectra_of, st.floats(-20.0, 20.0), st.randoms())
def test_neither_the_recording_level_nor_the_order_of_frames_matters(spectra, gain, random):
    order = list(range(len(spectra)))
    random.shuffle(order)
    found = foreground(spectra)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(foreground(spectra + gain), found, atol=1e-3)
    np.testing.assert_allclose(foreground(spectra[order]), found[order], atol=1e-9)


def test_a_long_recording_is_known_by_frames_spread_over_it():
    rng = np.random.default_rng(3)
    spectra = rng.normal(-60.0, 5.0, (5000, 40))
    spectra[1000:1400] += 20.0
    found = foreground(spectra)
    assert found[1000:1400].min() == 1.0 and np.delete(found, np.s_[1000:1400]).mean() < 0.2


def test_a_frame_without_a_spectrum_has_none():
    spectra = np.full((9, 3), -50.0)
    spectra[4, 1] = np.nan
    assert np.flatnonzero(np.isnan(foreground(spectra))).tolist() == [4]
    assert np.isnan(foreground(spectra[4:5])).all() and foreground(spectra[:0]).shape == (0,)


@pytest.mark.parametrize("sd", [0.1, 0.004])
def test_what_is_louder_stands_out_and_so_does_what_is_quieter(sd):
    found = shown(sound(hiss(4.0, 0.01, 0), hiss(1.0, sd, 1), hiss(4.0, 0.01, 2)))
    assert found[81:99].mean() > 0.8
    assert max(found[:79].mean(), found[101:].mean()) < 0.2


def test_digital_silence_is_a_background_too():
    found = shown(sound(np.zeros(int(3 * RATE)), hiss(1.0, 0.001, 1), np.zeros(int(3 * RATE))))
    assert found[61:79].min() == 1.0 and not found[:58].any()


def test_several_microphones_are_averaged_and_a_sensor_has_none():
    quiet, loud = hiss(4.0, 0.01, 0), hiss(4.0, 0.01, 0)
    loud[16000:24000] += hiss(1.0, 0.1, 1)
    wrist = Stream(np.zeros((300, 3)), 50.0, "wrist", channels=("x", "y", "z"))
    rooms = [sound(quiet), dataclasses.replace(sound(loud), name="hall")]
    found = foreground_of(frame_table([*rooms, wrist], 0.05))
    apart = [foreground_of(frame_table([room], 0.05)) for room in rooms]
    np.testing.assert_allclose(found[:80], np.mean(apart, axis=0))
    assert apart[0].max() < 1.0 and apart[1][42:58].min() == 1.0
    assert np.isnan(found[82:]).all()  # the sensor goes on alone
    assert np.isnan(foreground_of(frame_table([wrist], 0.05))).all()
