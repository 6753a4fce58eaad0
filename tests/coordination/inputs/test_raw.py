"""align/coordination/inputs/raw.py: patches of samples at any rate, with gaps and missing samples."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.raw import N_COSINES, patch_coefficients
from align.datatypes import Session, Stream

HOP = 0.5


def wave(t):
    return np.column_stack([np.sin(2 * np.pi * 1.3 * t) + 0.2 * t, np.cos(2 * np.pi * 0.4 * t)])


def naive(stream, hop, frame):
    """Sample by sample: (n_channels, N_COSINES) of one frame."""
    left, width = (frame - 0.5) * hop, 2 * hop
    sums, counts = np.zeros((stream.n_channels, N_COSINES)), np.zeros(stream.n_channels)
    centre = (frame + 0.5) * hop
    for low, high, (begin, end) in zip(stream.run_index, stream.run_ends, stream.run_spans, strict=True):
        if not begin <= centre < end:
            continue
        for i in range(low, high):
            u = (begin + (i - low) / stream.rate - left) / width
            if -1e-9 <= u < 1:
                for c in range(stream.n_channels):
                    x = float(stream.values[i, c])
                    if np.isfinite(x):
                        counts[c] += 1
                        for b in range(N_COSINES):
                            sums[c, b] += x * (1 if b == 0 else 2**0.5) * np.cos(np.pi * b * u)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts[:, None]


@pytest.mark.parametrize("rate", [7.0, 20.0, 50.3])
def test_sample_by_sample(rate):
    t = np.arange(round(12 * rate)) / rate
    values = wave(t)
    values[30:33, 1] = np.nan
    half = len(t) // 2
    stream = Stream(values, rate, run_index=[0, half], run_start=[0.21, 0.21 + half / rate + 2.0])
    n = 30
    found = patch_coefficients(stream, HOP, 0, n).reshape(n, 2, N_COSINES)
    for frame in range(n):
        np.testing.assert_allclose(found[frame], naive(stream, HOP, frame), atol=2e-5)


def test_no_patch_looks_across_a_gap_and_none_is_filled():
    stream = Stream(np.ones((40, 1)), 10.0, run_index=[0, 20], run_start=[0.0, 5.0])
    found = patch_coefficients(stream, HOP, 0, 14)
    assert np.isnan(found[4:10]).all() and np.isfinite(found[:4]).all() and np.isfinite(found[10:]).all()
    np.testing.assert_allclose(found[np.isfinite(found[:, 0]), 0], 1.0, rtol=1e-6)


def test_the_rate_hardly_matters():
    """Slow waves give about the same coefficients at any rate."""
    slow, fast = (
        patch_coefficients(Stream(wave(np.arange(round(10 * r)) / r), r), HOP, 1, 18) for r in (40.0, 200.0)
    )
    assert np.abs(slow - fast).max() < 0.12  # a mean over 40 samples against one over 200
    assert np.corrcoef(slow.ravel(), fast.ravel())[0, 1] > 0.99


def test_raw_columns_travel_through_the_layout():
    t = np.arange(400) / 20.0
    session = Session("s", (Stream(wave(t), 20.0, "imu", channels=("a", "b")),))
    table = session_table(session, HOP, raw=True)
    layout = fit_layout([table])
    n_raw, width = 2 * N_COSINES, len(layout.channels[0])
    assert layout.raw_columns == ((width - n_raw, width), (2 * width - n_raw, 2 * width))
    again = session_table(session, HOP, layout)
    np.testing.assert_array_equal(model_inputs(again, layout), model_inputs(table, layout))
    assert fit_layout([session_table(session, HOP)]).raw_columns == ()


def test_sound_keeps_to_its_frames():
    sound = Stream(np.random.default_rng(0).normal(size=4000), 4000.0, "mic", modality="audio")
    assert fit_layout([session_table(Session("s", (sound,)), 0.1, raw=True)]).raw_columns == ()
