"""align/features/audio.py: decibels in time and frequency, on the session's grid."""

from __future__ import annotations

import numpy as np
import pytest

from align.datatypes import Stream
from align.errors import InputError
from align.features import audio
from align.features.audio import hides_sounds, mel_frames, quietened, steady_noise
from tests import naive

RATE = 8000.0


def hiss(seconds, seed=0, rate=RATE):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))


def sound_of(values, rate=RATE, **about):
    return Stream(values, rate, "mic", modality="audio", **about)


def test_frames_are_decibels_below_the_loudest():
    frames = mel_frames(sound_of(hiss(2.0)), 0.1)
    assert (frames.n_samples, frames.n_channels, frames.rate, frames.modality) == (20, 81, 10.0, "audio")
    assert frames.channels[0] == "mel00.mean" and frames.channels[-1] == "loudness"
    assert set(frames.units) == {"dB"}
    assert frames.values[:, -1].max() == 0.0 and frames.values[:, :40].max() <= 0.0
    assert np.isfinite(frames.values).all()


def test_a_burst_is_loud_where_it_is_and_nowhere_else():
    values = 1e-3 * hiss(4.0)
    values[16000:17600] += hiss(0.2, 1)  # 2.0 to 2.2 s
    loud = mel_frames(sound_of(values), 0.1).values[:, -1]
    assert loud[20:22].min() > -6.0
    assert max(loud[:19].max(), loud[23:].max()) < -30.0


@pytest.mark.parametrize("start", [0.0, 0.3, -1.7])
def test_time_is_the_sessions_time(start):
    values = 1e-3 * hiss(4.0)
    values[16000:17600] += hiss(0.2, 1)
    frames = mel_frames(sound_of(values, run_start=np.array([start])), 0.1)
    seconds = frames.times()[frames.values[:, -1] > -10.0]
    assert seconds.min() == pytest.approx(start + 2.0, abs=0.11)
    assert seconds.max() == pytest.approx(start + 2.1, abs=0.11)


def test_a_burst_is_centred_to_a_hundredth_of_a_second():
    values = 1e-4 * hiss(2.0)
    values[8000:8800] += np.hanning(800) * np.sin(np.arange(800) * np.pi / 4)  # 1.0 to 1.1 s
    frames = mel_frames(sound_of(values), 0.01)
    power = 10 ** (frames.values[:, -1].astype(float) / 10)
    centre = (power * (frames.times() + 0.005)).sum() / power.sum()
    assert centre == pytest.approx(1.05, abs=0.007)  # a spectrum stands for the 10 ms after its middle


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_a_tone_shows_in_its_own_mel_band(hertz):
    import librosa

    t = np.arange(0, 1.0, 1 / RATE)
    frames = mel_frames(sound_of(np.sin(2 * np.pi * hertz * t)), 0.1)
    band = int(frames.values[:, :40].mean(axis=0).argmax())
    edges = librosa.mel_frequencies(42, fmin=0.0, fmax=4000.0)
    assert edges[band] <= hertz <= edges[band + 2]


def test_the_recording_level_does_not_matter():
    quiet, loud = (mel_frames(sound_of(level * hiss(2.0)), 0.25) for level in (0.1, 1.0))
    np.testing.assert_allclose(quiet.values, loud.values, atol=0.01)


def test_a_minute_at_a_time_is_the_same_as_at_once(monkeypatch):
    sound = sound_of(hiss(3.0))
    whole = mel_frames(sound, 0.1)
    monkeypatch.setattr(audio, "_CHUNK", 37)
    np.testing.assert_allclose(mel_frames(sound, 0.1).values, whole.values, atol=1e-4)


def test_cells_shorter_than_a_spectrum_take_the_nearest():
    frames = mel_frames(sound_of(hiss(0.5)), 0.004)
    assert frames.n_samples == 125
    assert np.abs(frames.values[:, 40:80]).max() < 1e-3  # one spectrum has no spread


def test_channels_are_averaged():
    one, other = hiss(1.0), hiss(1.0, 1)
    both = mel_frames(sound_of(np.column_stack([one, other])), 0.1)
    mean = mel_frames(sound_of((one.astype(np.float32) + other.astype(np.float32)) / 2), 0.1)
    np.testing.assert_allclose(both.values, mean.values, atol=0.05)


def test_a_gap_stays_a_gap():
    runs = {"run_index": np.array([0, 8000]), "run_start": np.array([0.0, 60.0])}
    frames = mel_frames(sound_of(hiss(2.0), **runs), 0.1)
    assert frames.run_index.tolist() == [0, 10] and frames.run_start.tolist() == [0.0, 60.0]
    np.testing.assert_allclose(frames.gaps, [[1.0, 60.0]])


def test_V02_missing_sound_is_missing_and_not_silence():
    values = hiss(2.0)
    values[4000:12000] = np.nan
    frames = mel_frames(sound_of(values), 0.1)
    assert np.isnan(frames.values[5:15]).all()
    assert np.isfinite(frames.values[:5]).all() and np.isfinite(frames.values[15:]).all()
    assert np.isnan(mel_frames(sound_of(np.full(8000, np.nan)), 0.1).values).all()


def test_V03_silence_is_finite_and_flat():
    frames = mel_frames(sound_of(np.zeros(8000)), 0.1)
    assert np.isfinite(frames.values).all() and np.ptp(frames.values, axis=0).max() == 0.0


def test_T16_shorter_than_half_a_frame():
    with pytest.raises(InputError, match="E-NO-FRAMES"):
        mel_frames(sound_of(hiss(0.01)), 0.1)
    assert mel_frames(sound_of(hiss(0.06)), 0.1).n_samples == 1


@pytest.mark.parametrize("rate", [11025.0, 16000.0, 44100.0])
def test_common_rates(rate):
    frames = mel_frames(sound_of(hiss(1.0, rate=rate), rate), 0.1)
    assert frames.n_samples == 10 and np.isfinite(frames.values).all()


def burst(noise, *, seconds=4.0, seed=0, missing=()):
    """Noise of that share of a burst from 2.0 to 2.4 s."""
    values = noise * hiss(seconds, seed)
    values[16000:19200] += hiss(0.4, seed + 1)
    for low, high in missing:
        values[round(low * RATE) : round(high * RATE)] = np.nan
    return sound_of(values)


def test_steady_noise_is_so_far_below_the_loudest():
    assert steady_noise(mel_frames(burst(0.1), 0.1).values) == pytest.approx(-20.0, abs=1.5)
    assert steady_noise(mel_frames(burst(0.01), 0.1).values) == pytest.approx(-40.0, abs=1.5)
    assert steady_noise(mel_frames(sound_of(np.full(8000, np.nan)), 0.1).values) == -80.0


@pytest.mark.parametrize("floor", [-70.0, -40.0, -22.0])
def test_quietened_as_by_definition(floor):
    sound = burst(0.1)
    plain = mel_frames(sound, 0.01)  # a frame is a spectrum
    found = quietened(sound, plain, floor)
    bands, noise = naive.quietened(plain.values[:, :40], floor)
    assert steady_noise(plain.values) == pytest.approx(noise, abs=1e-3)
    np.testing.assert_allclose(found.values[:, :40], bands, atol=0.02)
    assert (found.channels, found.rate, found.run_start.tolist()) == (plain.channels, plain.rate, [0.0])


def test_pauses_sound_as_with_less_noise_and_what_is_heard_stays():
    less, more = burst(0.003), burst(0.05)
    floor = steady_noise(mel_frames(less, 0.1).values)
    before = mel_frames(more, 0.1)
    after, wanted = quietened(more, before, floor).values, mel_frames(less, 0.1).values
    assert floor - 1.0 < steady_noise(after) < floor + 5.0  # of -26
    heard = wanted[:, -1] > -3.0
    np.testing.assert_allclose(after[heard, :40], wanted[heard, :40], atol=2.0)
    off = np.abs(after[~heard] - wanted[~heard]).mean(), np.abs(before.values[~heard] - wanted[~heard]).mean()
    assert off[0] < 0.4 * off[1]
    assert after[~heard, 40:80].mean() > 2.0  # still ups and downs, not a flat line


@pytest.mark.parametrize(("noise", "floor"), [(0.01, -38.0), (0.1, 0.0), (0.5, -60.0), (1.0, -60.0)])
def test_noise_at_the_floor_and_noise_that_is_all_there_is_stay(noise, floor):
    sound = burst(noise)
    plain = mel_frames(sound, 0.1)
    assert not hides_sounds(steady_noise(plain.values), floor)
    assert quietened(sound, plain, floor) is plain


def test_digital_silence_is_no_noise():
    values = 0.1 * hiss(4.0)
    values[16000:19200] += hiss(0.4, 1)
    values[:3200] = 0.0
    sound = sound_of(values)
    plain = mel_frames(sound, 0.1)
    assert quietened(sound, plain, -60.0) is plain


def test_V02_where_sound_is_missing_nobody_hears_silence():
    whole, lacking = burst(0.05), burst(0.05, missing=[(0.5, 1.5)])
    found = quietened(lacking, mel_frames(lacking, 0.1), -60.0).values
    wanted = quietened(whole, mel_frames(whole, 0.1), -60.0).values
    assert np.isnan(found[5:15]).all() and np.isfinite(np.delete(found, range(5, 15), axis=0)).all()
    assert steady_noise(found) == pytest.approx(steady_noise(wanted), abs=3.0)
    heard = wanted[:, -1] > -3.0
    np.testing.assert_allclose(found[heard, :40], wanted[heard, :40], atol=0.2)


def test_noise_is_that_of_all_runs(monkeypatch):
    values = burst(0.05).values
    runs = {"run_index": np.array([0, 12000]), "run_start": np.array([0.0, 60.0])}
    apart = sound_of(values, **runs)
    found = quietened(apart, mel_frames(apart, 0.1), -60.0)
    assert found.run_start.tolist() == [0.0, 60.0] and found.run_index.tolist() == [0, 15]
    once = quietened(sound_of(values), mel_frames(sound_of(values), 0.1), -60.0)
    heard = once.values[:, -1] > -3.0
    np.testing.assert_allclose(found.values[heard, :40], once.values[heard, :40], atol=0.2)
    for part in (found.values[:15], found.values[26:]):  # the burst is in the second run alone
        assert part[:, -1].mean() == pytest.approx(once.values[~heard, -1].mean(), abs=3.0)
    monkeypatch.setattr(audio, "_CHUNK", 37)  # as if it were many minutes
    pieces = quietened(sound_of(values), mel_frames(sound_of(values), 0.1), -60.0)
    np.testing.assert_allclose(pieces.values, once.values, atol=1e-3)
