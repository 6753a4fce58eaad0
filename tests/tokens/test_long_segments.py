"""align/tokens/long_segments.py: a segment described part by part is the segment described at once."""

from __future__ import annotations

import numpy as np
import pytest

from align import Segmentation, Stream
from align.tokens import describe as describing
from align.tokens import describe_segments, long_segments
from align.tokens.long_segments import describe_long

N = 40_000


def _values(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(N) / 50
    return {
        "noise on an offset": rng.normal(1e6, 1.0, N),
        "rhythm on a trend": np.sin(2 * np.pi * 1.7 * t) + 0.01 * t,
        "steps through zero": np.repeat([1.0, 0.0, -1.0, 0.0, 0.0], N // 5),
        "flat": np.full(N, 0.1),
        "missing": np.where(rng.random(N) < 0.3, np.nan, rng.normal(0.0, 1.0, N).cumsum()),
        "nothing": np.full(N, np.nan),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["noise on an offset", "rhythm on a trend", "steps through zero", "flat", "missing", "nothing"]
)
@pytest.mark.parametrize("part", [97, 4096])
def test_parts_say_what_the_whole_says(kind, part, monkeypatch):
    values = _values(kind)
    whole = describing._describe_group(values.copy(), np.array([0, N]), 50.0, True)
    monkeypatch.setattr(long_segments, "_PART", part)
    np.testing.assert_allclose(describe_long(values, 50.0, True), whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(describe_long(values, 50.0, False), whole[:, :4], rtol=1e-9, atol=1e-12)


def test_groups_of_segments_change_no_feature(monkeypatch):
    rng = np.random.default_rng(1)
    stream = Stream(rng.normal(size=(N, 2)).cumsum(axis=0), 50.0)
    cut = Segmentation.of(stream, np.sort(rng.choice(N, 300, replace=False)))
    whole, _ = describe_segments(stream, cut)
    monkeypatch.setattr(describing, "_AT_ONCE", 500)
    np.testing.assert_array_equal(describe_segments(stream, cut)[0], whole)
    alone = Segmentation.of(stream, [5, N - 5])
    there, _ = describe_segments(stream, alone)
    monkeypatch.setattr(describing, "_AT_ONCE", 1 << 30)
    np.testing.assert_allclose(there, describe_segments(stream, alone)[0], rtol=1e-6)
