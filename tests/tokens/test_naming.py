"""align/tokens/naming.py: unique handles and words that say what the centroid says."""

from __future__ import annotations

import numpy as np

from align.tokens.naming import code_id, code_names

FEATURES = (
    "acc.mean",
    "acc.sd",
    "acc.slope",
    "acc.change",
    "acc.frequency",
    "acc.rhythm",
    "hr.mean",
    "hr.slope",
)


def named(shift=None, **natural):
    """The name of a code whose centroid has these values, scale 1 and shift 0 unless told."""
    shift = np.zeros(8, np.float32) if shift is None else np.float32(shift)
    row = np.zeros(8, np.float32)
    for name, value in natural.items():
        row[FEATURES.index(name.replace("_", "."))] = value
    return code_names((row - shift)[None], shift, np.ones(8, np.float32), FEATURES)[0]


def test_handles_are_unique_and_short():
    handles = [code_id(code) for code in range(4096)]
    assert len(set(handles)) == 4096
    assert max(map(len, handles)) == 3
    assert handles[:2] == ["a0", "a1"]


def test_words_say_the_two_most_unusual_channels_and_the_rhythm():
    assert named() == "a0 typical"
    assert named(acc_mean=-2.0) == "a0 low acc"
    assert named(acc_mean=1.0, acc_sd=3.0, hr_mean=2.0) == "a0 varied acc, high hr"
    assert named(acc_change=-0.9) == "a0 calm acc"
    assert named(acc_mean=0.5) == "a0 typical"
    assert named(acc_rhythm=0.7, acc_frequency=1.88, hr_mean=1.0) == "a0 high hr, rhythmic 1.9 Hz"


def test_a_trend_is_named_by_its_own_sign():
    assert named(hr_slope=2.0) == "a0 rising hr"
    assert named(hr_slope=-2.0) == "a0 falling hr"
    # Where most segments rise steeply, one that rises less is not called rising, nor falling.
    usual = np.zeros(8)
    usual[7] = 5.0
    assert named(shift=usual, hr_slope=1.0) == "a0 typical"


def test_a_long_channel_name_is_cut():
    shift, scale = np.zeros(1, np.float32), np.ones(1, np.float32)
    (name,) = code_names(np.float32([[4.0]]), shift, scale, ("c" * 300 + ".mean",))
    assert name == "a0 high " + "c" * 24
