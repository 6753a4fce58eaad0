"""align/features/windows.py: what each column of a sensor frame says, and where its window ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.datatypes import Stream
from align.errors import InputError
from align.features.windows import BANDS, bands_at, motion_frames
from tests import naive

RATE = 50.0


def noise(seconds, n_channels=1, seed=0, rate=RATE):
    return np.random.default_rng(seed).normal(size=(round(seconds * rate), n_channels))


def column(frames, name):
    return frames.values[:, frames.channels.index(name)].astype(float)


def test_columns_are_the_statistics_of_the_window_around_the_middle_of_the_cell():
    values = noise(10.0)
    frames = motion_frames(Stream(values, RATE, "wrist"), 0.5, 2.0)
    assert (frames.rate, frames.n_samples, frames.name, frames.modality) == (2.0, 20, "wrist", "sensor")
    middle = (np.arange(20) + 0.5) * 0.5 * RATE
    first = np.clip(np.floor(middle - 50 + 0.5), 0, 499).astype(int)
    last = np.clip(np.floor(middle + 50 + 0.5), 1, 500).astype(int)
    mean, sd, low, high, slope, step = naive.window_statistics(values, first, last)[:, 0].T
    np.testing.assert_allclose(column(frames, "0.mean"), mean, rtol=1e-5)
    np.testing.assert_allclose(column(frames, "0.sd"), np.log(sd + 1e-3 * sd.max()), rtol=1e-4)
    np.testing.assert_allclose(column(frames, "0.min"), low - mean, rtol=1e-5)
    np.testing.assert_allclose(column(frames, "0.max"), high - mean, rtol=1e-5)
    np.testing.assert_allclose(column(frames, "0.slope"), slope * RATE, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(column(frames, "0.step"), np.log(step * RATE + 1e-3 * sd.max()), rtol=1e-4)


@pytest.mark.parametrize("hertz", [0.4, 1.5, 2.5, 4.0, 11.0])
def test_an_oscillation_shows_in_its_own_band(hertz):
    t = np.arange(0, 20, 1 / RATE)
    frames = motion_frames(Stream(5.0 + np.sin(2 * np.pi * hertz * t), RATE), 1.0, 6.0)
    bands = [c for c in frames.channels if c.endswith("Hz")]
    assert len(bands) == len(BANDS) - 1  # all of them lie below 25 Hz
    loudest = max(bands, key=lambda b: column(frames, b).mean())
    low, high = loudest.removeprefix("0.").removesuffix("Hz").split("-")
    assert float(low) <= hertz <= float(high)


@pytest.mark.parametrize(
    ("rate", "last"),
    [(50.0, "14-24Hz"), (32.0, "8-14Hz"), (12.5, "3.2-5Hz"), (14.0, "5-8Hz"), (1.2, "0.25-0.6Hz")],
)
def test_bands_beyond_half_the_rate_are_left_out(rate, last):
    frames = motion_frames(Stream(noise(30, rate=rate), rate), 1.0, 6.0)
    assert [c for c in frames.channels if c.endswith("Hz")] == [f"0.{band}" for band in bands_at(rate)]
    assert bands_at(rate)[-1] == last


def test_a_channel_too_slow_for_the_lowest_band_has_none():
    slow = motion_frames(Stream(noise(30, rate=1.0), 1.0, channels=("hr",)), 1.0, 6.0)
    assert slow.channels == tuple(f"hr.{k}" for k in ("mean", "sd", "min", "max", "slope", "step"))


@pytest.mark.parametrize("rate", [12.5, 25.0, 50.0, 100.0])
def test_white_noise_has_its_variance_at_50_hz_in_every_band(rate):
    frames = motion_frames(Stream(3.0 * noise(600.0, rate=rate), rate), 1.0, 4.0)
    for name in (c for c in frames.channels if c.endswith("Hz") and not c.startswith("0.0.25")):
        assert np.exp(column(frames, name)).mean() * rate / 50.0 == pytest.approx(9.0, rel=0.2)


@given(st.integers(0, 100), st.sampled_from([10.0, 12.5, 20.0, 25.0, 31.25, 100.0, 250.0]))
@settings(max_examples=20)
def test_bands_do_not_depend_on_the_rate(seed, rate):
    """The same movement, a sum of oscillations, recorded at two rates has the same power in the bands of both."""
    rng = np.random.default_rng(seed)
    hertz, phases = rng.uniform(0.3, 4.5, 20), rng.uniform(0, 2 * np.pi, 20)

    def recorded(rate):
        t = (np.arange(round(60 * rate)) + 0.5) / rate
        return motion_frames(Stream(np.sin(2 * np.pi * t[:, None] * hertz + phases).sum(1), rate), 1.0, 6.0)

    whole, found = recorded(RATE), recorded(rate)
    for name in (f"0.{band}" for band in bands_at(10.0)):
        np.testing.assert_allclose(column(found, name)[3:-3], column(whole, name)[3:-3], atol=0.35)


def test_a_band_in_part_within_reach_is_measured_there():
    """At 25 Hz of the band from 8 to 14 Hz what lies below 0.95 of the Nyquist frequency, 11.875 Hz."""
    values = noise(60.0, rate=25.0)
    frames = motion_frames(Stream(values, 25.0), 1.0, 4.0)
    window = values[713:813, 0] - values[713:813, 0].mean()  # around 30.5 s
    j = np.arange(100) + 0.5
    taper = np.sin(np.pi * j / 100) ** 2
    hertz = 8.0 + 3.875 * np.array([1.0, 3.0, 5.0]) / 6.0
    powers = (
        np.abs(np.exp(-2j * np.pi * hertz[:, None] * j / 25.0) @ (taper * window)) ** 2 / (taper**2).sum()
    )
    assert np.exp(column(frames, "0.8-14Hz")[30]) == pytest.approx(2.0 * powers.mean(), rel=1e-3)


def test_no_window_looks_across_a_gap():
    values = np.concatenate([np.full((100, 1), 3.0), np.full((100, 1), 9.0)])
    runs = {"run_index": np.array([0, 100]), "run_start": np.array([0.0, 10.0])}
    frames = motion_frames(Stream(values, RATE, **runs), 0.25, 4.0)
    assert frames.run_index.tolist() == [0, 8] and frames.run_start.tolist() == [0.0, 10.0]
    assert set(column(frames, "0.mean")) == {3.0, 9.0}
    assert len(set(column(frames, "0.sd"))) == 1  # flat everywhere


@given(st.floats(-3.0, 3.0), st.integers(3, 60), st.sampled_from([0.1, 0.25, 1.0]))
@settings(max_examples=30)
def test_frames_sit_on_the_sessions_grid(start, n, hop):
    """Frame k covers [k hop, (k + 1) hop), whenever the recording began; those whose middle it holds are made."""
    stream = Stream(np.arange(float(n)), 5.0, run_start=np.array([start]))
    end = start + n / 5.0
    inside = [k for k in range(-100, 300) if start <= (k + 0.5) * hop - 1e-6 and (k + 0.5) * hop + 1e-6 < end]
    frames = motion_frames(stream, hop, 1.0)
    k0 = round(frames.start / hop)
    assert frames.start == pytest.approx(k0 * hop) and k0 <= inside[0] <= k0 + 1
    assert len(inside) <= frames.n_samples <= len(inside) + 2


def test_shifting_by_whole_hops_shifts_the_frames():
    stream = Stream(noise(5.0, 2), RATE)
    frames = motion_frames(stream, 0.5, 1.0)
    later = motion_frames(dataclasses.replace(stream, run_start=np.array([7.5])), 0.5, 1.0)
    assert later.start == frames.start + 7.5
    assert (later.values == frames.values).all()


def test_magnitudes_join_triples_of_axes():
    names = ("acc_x", "acc_y", "acc_z", "gyroX", "gyroY", "gyroZ", "mag_x", "mag_y", "hr", "x")
    values = noise(5.0, 10)
    frames = motion_frames(Stream(values, RATE, channels=names), 0.5, 1.0)
    assert tuple(dict.fromkeys(c.split(".")[0] for c in frames.channels)) == (*names, "acc_*", "gyro*")
    for name, axes in (("acc_*", values[:, :3]), ("gyro*", values[:, 3:6])):
        length = Stream(np.linalg.norm(axes, axis=1), RATE, channels=(name,))
        alone = motion_frames(length, 0.5, 1.0)
        for column_name in alone.channels:
            np.testing.assert_allclose(
                column(frames, column_name), column(alone, column_name), rtol=1e-4, atol=1e-4
            )


def test_a_magnitude_that_is_there_already_is_not_added():
    names = ("acc_x", "acc_y", "acc_z", "acc_*")
    frames = motion_frames(Stream(noise(5.0, 4), RATE, channels=names), 0.5, 1.0)
    assert tuple(dict.fromkeys(c.split(".")[0] for c in frames.channels)) == names


# --- faults


def test_T16_shorter_than_half_a_frame():
    assert motion_frames(Stream(np.ones(1), 1.0), 0.25, 1.0).n_samples == 4
    with pytest.raises(InputError, match="E-NO-FRAMES"):
        motion_frames(Stream(np.ones(10), RATE), 1.0, 1.0)


def test_V02_missing_cells_are_left_out_and_a_channel_without_any_is_missing():
    values = noise(10.0, 2)
    values[::3, 0] = np.nan
    values[100:400, 1] = np.nan
    frames = motion_frames(Stream(values, RATE), 0.5, 1.0)
    first, second = frames.values[:, :14], frames.values[:, 14:]
    assert frames.n_channels == 28 and np.isfinite(first).all()
    assert np.isnan(second[6:14]).all() and np.isfinite(second[[0, 1, 18, 19]]).all()
    with np.errstate(all="raise"):
        assert np.isnan(motion_frames(Stream(np.full(100, np.nan), RATE), 0.5, 1.0).values).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1e6, 1e-310])
def test_V03_a_constant_channel_gives_finite_constant_frames(level):
    frames = motion_frames(Stream(np.full(500, level), RATE), 0.5, 1.0)
    assert np.isfinite(frames.values).all()
    assert np.ptp(frames.values, axis=0).max() < 1e-6


@pytest.mark.parametrize("offset", [1e5, 1e8, 1e10])
def test_V06_an_offset_moves_the_mean_and_nothing_else(offset):
    signal = 0.5 * (noise(20.0) + np.repeat([[0.0], [4.0]], 500, axis=0))
    signal = (signal + offset) - offset  # what float64 keeps beside the offset
    still, moved = (motion_frames(Stream(x, RATE), 0.5, 2.0) for x in (signal, signal + offset))
    np.testing.assert_allclose(column(moved, "0.mean") - offset, column(still, "0.mean"), atol=1e-2)
    others = [i for i, c in enumerate(still.channels) if c != "0.mean"]
    np.testing.assert_allclose(moved.values[:, others], still.values[:, others], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("value", [1e300, -np.inf, 1e31])
def test_V06_what_a_frame_cannot_hold_is_refused_by_channel(value):
    values = noise(2.0, 3)
    values[7, 1] = value
    with pytest.raises(InputError, match="E-RANGE") as caught:
        motion_frames(Stream(values, RATE, channels=("a", "b", "c")), 0.5, 1.0)
    assert caught.value.where["channel"] == "b"


def test_V06_large_and_tiny_numbers_pass():
    for scale in (1e29, 1e-40, 1e-300):
        frames = motion_frames(Stream(scale * noise(5.0), RATE), 0.5, 1.0)
        assert np.isfinite(frames.values).all()


def test_T15_any_rate():
    slow = motion_frames(Stream(noise(3600.0, rate=0.01), 0.01), 400.0, 2400.0)
    assert slow.n_samples == 9
    fast = motion_frames(Stream(noise(1.0, rate=4000.0), 4000.0), 0.25, 1.0)
    assert fast.n_samples == 4 and np.isfinite(fast.values).all()
