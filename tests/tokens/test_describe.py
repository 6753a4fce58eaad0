"""align/tokens/describe.py: each statistic against its definition; flat, tiny and missing segments."""

from __future__ import annotations

import numpy as np
import pytest

from align import Segmentation, Stream
from align.errors import InputError, ParameterError
from align.tokens import describe_segments

RATE = 50.0


def described(values, changes=(), **about):
    stream = Stream(np.asarray(values), **({"rate": RATE} | about))
    features, names = describe_segments(stream, Segmentation.of(stream, list(changes)))
    return [dict(zip(names, map(float, row), strict=True)) for row in features]


def test_level_spread_and_change_are_the_definitions():
    x = np.random.default_rng(0).normal(3.0, 2.0, 120)
    first, second = described(x, [70])
    for row, part in ((first, x[:70]), (second, x[70:])):
        assert row["0.mean"] == pytest.approx(part.mean(), rel=1e-5)
        assert row["0.sd"] == pytest.approx(part.std(), rel=1e-5)
        assert row["0.change"] == pytest.approx(np.abs(np.diff(part)).mean() * RATE, rel=1e-5)
        slope = np.polyfit(np.arange(len(part)) / RATE, part, 1)[0]
        assert row["0.slope"] == pytest.approx(slope, rel=1e-4)


def test_rhythm_finds_its_frequency_under_a_trend():
    t = np.arange(0, 20, 1 / RATE)
    walking, noise = described(
        np.concatenate([np.sin(2 * np.pi * 1.9 * t) + 0.5 * t, np.random.default_rng(1).normal(size=t.size)]),
        [t.size],
    )
    assert walking["0.frequency"] == pytest.approx(1.9, abs=0.13)
    assert walking["0.rhythm"] > 0.8
    assert walking["0.crossings"] == pytest.approx(2 * 1.9, rel=0.1)
    assert noise["0.frequency"] == noise["0.rhythm"] == 0.0
    assert noise["0.crossings"] == pytest.approx(RATE / 2, rel=0.1)


def test_a_change_point_belongs_to_no_segment():
    flat = described(np.repeat([0.0, 1000.0], 40), [40])
    assert [row["0.change"] for row in flat] == [0.0, 0.0]
    # A run of zeros after a positive segment has no sign to turn from.
    quiet = described(np.concatenate([[1.0, 3.0] * 20, np.zeros(10), -np.ones(30)]), [40])
    assert quiet[1]["0.crossings"] < quiet[0]["0.crossings"]


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e10])
@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_V03_flat_and_one_sample_segments_are_zeros_not_nan(value, length):
    (row,) = described(np.full(length, value))
    assert row.pop("0.mean") == pytest.approx(value, rel=1e-6)
    assert set(row.values()) == {0.0}


def test_a_straight_ramp_has_a_slope_and_no_rhythm():
    (row,) = described(np.arange(500.0))
    assert row["0.slope"] == pytest.approx(RATE)
    assert row["0.rhythm"] == row["0.frequency"] == row["0.crossings"] == 0.0


def test_V02_missing_cells_are_ignored_and_all_missing_says_so():
    x = np.random.default_rng(2).normal(5.0, 1.0, (90, 2))
    x[10:20, 0] = np.nan
    x[60:, 1] = np.nan
    first, second = described(x, [60])
    known = np.concatenate([x[:10, 0], x[20:60, 0]])
    assert first["0.mean"] == pytest.approx(known.mean(), rel=1e-5)
    assert first["0.sd"] == pytest.approx(known.std(), rel=1e-5)
    pairs = np.concatenate([np.diff(x[:10, 0]), np.diff(x[20:60, 0])])
    assert first["0.change"] == pytest.approx(np.abs(pairs).mean() * RATE, rel=1e-5)
    time = np.concatenate([np.arange(10), np.arange(20, 60)]) / RATE
    assert first["0.slope"] == pytest.approx(np.polyfit(time, known, 1)[0], rel=1e-4)
    missing = {name for name, value in second.items() if np.isnan(value)}
    assert missing == {name for name in second if name.startswith("1.")}


def test_V06_an_offset_changes_the_mean_alone():
    x = np.random.default_rng(3).normal(size=400)
    near, far = described(x, [150]), described(x + 1e8, [150])
    for a, b in zip(near, far, strict=True):
        assert b["0.mean"] == pytest.approx(1e8)
        for name in a.keys() - {"0.mean"}:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), name


def test_V06_a_feature_beyond_float32_is_refused_with_its_place():
    values = np.zeros((30, 2))
    values[20:, 1] = 1e300 * np.array([1, -1] * 5)
    with pytest.raises(InputError) as caught:
        described(values, [20])
    assert (caught.value.code, caught.value.where["channel"]) == ("E-RANGE", "1")
    assert caught.value.where["sample"] == 20


def test_rhythm_is_only_described_where_it_can_be_seen():
    x = np.random.default_rng(4).normal(size=100)
    assert "0.rhythm" in described(x, rate=12.0)[0]
    assert "0.rhythm" not in described(x, rate=10.0)[0]
    assert "0.rhythm" not in described(x, modality="audio")[0]


def test_runs_are_described_apart():
    stream = Stream(np.arange(20.0), rate=1.0, run_index=np.array([0, 12]), run_start=np.array([0.0, 500.0]))
    features, _ = describe_segments(stream, Segmentation.of(stream, []))
    assert features[:, 0].tolist() == [5.5, 15.5]


def test_a_cut_of_another_stream_is_refused():
    stream, other = Stream(np.zeros(20), rate=1.0), Stream(np.zeros(21), rate=1.0)
    faster = Stream(np.zeros(20), rate=2.0)
    for wrong in (other, faster):
        with pytest.raises(ParameterError, match="segmentation"):
            describe_segments(stream, Segmentation.of(wrong, []))
