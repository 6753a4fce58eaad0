"""Every method of the table through ``segment``: the promises that all of them keep."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.errors import ParameterError
from align.segmentation import COSTS, METHODS, choose_method
from align.segmentation.greedy import SEARCHES

PEERS = ["ruptures:KernelCPD", "ruptures:Pelt", "ruptures:Binseg", "ruptures:BottomUp"]
ALL = [*METHODS, *(f"{s}:l2" for s in SEARCHES), "binary:l1", "seeded:rank", "bottom-up:poisson", *PEERS]


def counts(n=600, seed=0):
    """Whole numbers >= 0, for the sake of "poisson" and "categorical", with two clear changes; a gap at 400."""
    rate = np.repeat([2.0, 40.0, 2.0], [200, 250, n - 450])
    values = np.random.default_rng(seed).poisson(rate).astype(float)
    return Stream(values, rate=10.0, run_index=np.array([0, 400]), run_start=np.array([0.0, 100.0]))


@pytest.mark.parametrize("method", ALL)
def test_no_method_crosses_a_gap_or_makes_a_segment_too_short(method):
    stream = counts()
    cut = align.segment(stream, method=method, min_duration=2.0)
    assert 400 in cut.boundaries and 400 not in cut.changes
    runs = np.split(cut.boundaries, [int(np.searchsorted(cut.boundaries, 400))])
    lengths = np.concatenate([np.diff(runs[0], append=400), np.diff(runs[1])])
    assert lengths.min() >= 20 and cut.method == method
    if method not in ("shape", "categorical"):
        assert np.abs(cut.changes[:, None] - [200, 450]).min(axis=0).max() <= 20


@pytest.mark.parametrize("method", [m for m in ALL if m != "shape"])
def test_a_flat_stream_and_a_short_one_are_one_segment(method):
    for stream in (Stream(np.full(300, 3.0), rate=1.0), Stream(np.array([1.0, 2.0]), rate=1.0)):
        assert align.segment(stream, method=method, min_duration=2.0).n_segments == 1


@pytest.mark.parametrize("method", [*COSTS, "binary:l2", "bottom-up:l1"])
@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_a_number_of_segments_is_kept_in_one_run(method, wanted):
    values = counts().values[:400]
    assert align.segment(Stream(values, rate=10.0), method=method, n_segments=wanted).n_segments == wanted


def test_segments_like_those_marked():
    random = np.random.default_rng(1)
    levels = np.repeat([0.0, 1.0, 0.0, 8.0, 9.0, 8.0], 200)
    stream = Stream(levels + 0.3 * random.standard_normal(1200), rate=10.0)
    fine = align.segment(stream, method="l2", like=[(0.0, 20.0), (20.0, 40.0)])
    coarse = align.segment(stream, method="l2", like=[(0.0, 60.0)])
    assert fine.n_segments == 6 and coarse.n_segments == 2 and coarse.penalty > fine.penalty


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"n_segments": 0}, "n_segments is 0"),
        ({"n_segments": 2, "per_hour": 3.0}, "None together with"),
        ({"n_segments": 2, "penalty": 1.0}, "None when penalty is a number"),
        ({"like": [(3.0, 1.0)], "method": "l2"}, "start < end"),
        ({"method": "ruptures:Foo"}, "ruptures:KernelCPD"),
        ({"method": "l2:l2"}, "allowed"),
        ({"n_segments": 5000, "method": "l2"}, "at most"),
    ],
)
def test_S17_wishes_that_cannot_be_are_refused(wishes, says):
    with pytest.raises(ParameterError, match=says):
        align.segment(Stream(counts().values[:400], rate=10.0), **wishes)


def test_auto_says_what_it_took_and_why():
    random = np.random.default_rng(0)
    t = np.arange(2000)
    noise = random.standard_normal(2000)
    seen = {
        "l2": noise + 5 * (t > 900),
        "meanvar": noise * np.where(t > 900, 4.0, 1.0),
        "trend": 0.2 * noise + 0.02 * np.abs(t - 1000),
        "shape": np.sin(2 * np.pi * t / 40) + 0.05 * noise,
    }
    for method, values in seen.items():
        chosen = choose_method(Stream(values, rate=10.0))
        assert chosen.method == method and len(chosen.why) > 20
    assert choose_method(Stream(noise, rate=10.0), penalty=3.0).method == "l2"
    half = np.where(random.random((2000, 1)) < 0.5, np.nan, noise[:, None])
    assert "missing" in choose_method(Stream(half, rate=10.0)).why


def test_movement_in_several_channels_is_cut_on_its_frames() -> None:
    """Rhythm and strength change, the level does not."""
    rng = np.random.default_rng(0)
    t = np.arange(6_000) / 50.0
    wave = np.where((t // 30) % 2 == 0, np.sin(2 * np.pi * 1.8 * t), 0.1 * np.sin(2 * np.pi * 0.5 * t))
    values = wave[:, None] * [1.0, 0.5, 0.8] + 0.1 * rng.standard_normal((len(t), 3))
    stream = Stream(values, rate=50.0)
    assert choose_method(stream).method == "frames"
    cut = align.segment(stream)
    assert cut.method.endswith("on frames") and len(cut.changes) >= 3
    near = np.abs(cut.changes[:, None] / 50.0 - np.array([30.0, 60.0, 90.0])).min(axis=0)
    assert (near < 1.5).all()
    assert align.segment(stream, method="frames", n_segments=4).n_segments == 4
    assert choose_method(Stream(values[:, :1], rate=50.0)).method != "frames"  # one channel
    assert choose_method(Stream(values[:2_000], rate=50.0)).method != "frames"  # not a minute
    with pytest.raises(ParameterError, match="featurize"):
        align.segment(Stream(values[:, :1], rate=16_000.0, modality="audio"), method="frames")
