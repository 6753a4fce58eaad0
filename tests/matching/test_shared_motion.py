"""Movements that two devices felt say how their clocks lie: planted shifts are found, and doubt is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Stream
from align.errors import InputError, ParameterError
from align.matching.shared_motion import clock_from_motion, feels_motion, motion_anchors

AXES = ("acc_x", "acc_y", "acc_z")


def movements(seed: int, seconds: float, rate: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Times and strength of irregular bouts of steps and jolts."""
    rng = np.random.default_rng(seed)
    t = np.arange(0.0, seconds, 1 / rate)
    felt = np.zeros(t.size)
    at = 1.0
    while at < seconds - 1:
        width = rng.uniform(0.03, 0.08)
        near = slice(max(0, int((at - 0.5) * rate)), int((at + 0.5) * rate))
        felt[near] += rng.uniform(1, 6) * np.exp(-0.5 * ((t[near] - at) / width) ** 2)
        at += rng.choice([rng.uniform(0.45, 0.65), rng.uniform(1.0, 6.0)], p=[0.8, 0.2])
    return t, felt


def worn(seed: int, t: np.ndarray, felt: np.ndarray, rate: float, clock: np.ndarray, name: str) -> Stream:
    """A device whose samples lie at true moments ``clock``: its own tilt, gain and noise."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    strength = np.interp(clock, t, felt)
    values = (
        9.8 * axis + rng.uniform(0.6, 1.4) * strength[:, None] * axis + rng.normal(0, 0.3, (clock.size, 3))
    )
    return Stream(values.astype(np.float32), rate=rate, name=name, channels=AXES, units=("m/s2",) * 3)


def pair(
    seconds: float, offset: float, ppm: float = 0.0, rates: tuple[float, float] = (100.0, 64.0)
) -> tuple[Stream, Stream]:
    """A phone on the true clock and a watch that shows ``true - offset`` at first and loses ``ppm``."""
    t, felt = movements(1, seconds + 20)
    phone = worn(2, t, felt, rates[0], np.arange(0, seconds, 1 / rates[0]), "phone")
    own = np.arange(0, seconds, 1 / rates[1])
    watch = worn(3, t, felt, rates[1], own * (1 + 1e-6 * ppm) + offset, "watch")
    return phone, watch


@pytest.mark.parametrize("offset", [-2.4, -0.313, 0.0, 1.1])
def test_a_planted_offset_is_found_within_milliseconds(offset: float) -> None:
    phone, watch = pair(90.0, offset if offset >= 0 else 0.0)
    if offset < 0:
        watch = replace(watch, run_start=watch.run_start - offset)
    found = clock_from_motion(phone, watch)
    assert found.kind == "offset" and (found.stream, found.reference) == ("watch", "phone")
    assert abs(found.offset - offset) < 0.01


def test_T06_a_planted_drift_and_a_setting_are_found() -> None:
    """Forty minutes, 0.8 s and 500 ppm off; at half time the clock is set 1.5 s forward."""
    phone, watch = pair(2_400.0, 0.8, 500.0)
    half = watch.n_samples // 2
    middle = half / watch.rate
    watch = replace(watch, run_index=np.array([0, half]), run_start=np.array([0.0, middle + 1.5]))
    found = clock_from_motion(phone, watch)
    device = watch.times()
    true = np.where(device < middle + 1, device, device - 1.5) * (1 + 500e-6) + 0.8
    assert found.kind == "piecewise"
    assert np.abs(found.session_seconds(device) - true).max() < 0.01
    assert abs(found.ppm - 500) < 2


def test_gaps_count_for_nothing() -> None:
    phone, watch = pair(150.0, 0.5)
    kept = np.ones(watch.n_samples, bool)
    kept[2_000:3_500] = False
    values = np.where(kept[:, None], watch.values, np.nan).astype(np.float32)
    found = clock_from_motion(phone, replace(watch, values=values))
    assert abs(found.offset - 0.5) < 0.01


def test_nothing_shared_and_a_rhythm_alone_are_refused() -> None:
    phone, _ = pair(90.0, 0.0)
    t, felt = movements(99, 90.0)
    stranger = worn(5, t, felt, 64.0, np.arange(0, 80, 1 / 64), "stranger")
    with pytest.raises(InputError, match="E-CLOCK") as caught:
        clock_from_motion(phone, stranger)
    assert "not correctable without anchors" in str(caught.value)
    steps = np.maximum(0.0, np.sin(2 * np.pi * 1.8 * t)) ** 8 * 4  # alike at every step
    walkers = [worn(seed, t, steps, 64.0, np.arange(5, 85, 1 / 64), str(seed)) for seed in (6, 7)]
    assert len(motion_anchors(*walkers).pairs) == 0


def test_what_feels_no_motion_is_named() -> None:
    phone, watch = pair(90.0, 0.0)
    heart = Stream(np.arange(900.0), rate=10.0, name="heart", channels=("heart_rate",))
    assert feels_motion(watch) and not feels_motion(heart)
    with pytest.raises(InputError, match="heart has no three-axis"):
        clock_from_motion(phone, heart)
    with pytest.raises(InputError, match="share"):
        clock_from_motion(phone, replace(watch, run_start=np.array([88.0])))
    with pytest.raises(ParameterError, match="reach"):
        motion_anchors(phone, watch, reach=0.0)


@pytest.mark.data
def test_T06_tug_phone_and_watch_agree_run_by_run_and_find_a_planted_shift(data_dir: Path) -> None:
    """Of 12 people (every third run here) no accepted shift is wrong; a watch lies a few 10 ms behind."""
    from align.readers import read_session

    rng = np.random.default_rng(0)
    plain, moved = [], []
    folders = sorted(p for p in (data_dir / "tug").iterdir() if p.is_dir())[::3]
    for folder in folders:
        phone, watch = sorted(read_session(folder).streams, key=lambda s: s.name)
        shift = rng.uniform(-1.5, 1.5)
        for into, by in ((plain, 0.0), (moved, shift)):
            found = motion_anchors(phone, replace(watch, run_start=watch.run_start + by))
            into += (found.pairs[:, 0] - found.pairs[:, 1] - by).tolist()
    assert len(plain) > 0.45 * len(folders) and len(moved) > 0.35 * len(folders)
    assert np.abs(np.asarray(plain) - 0.03).max() < 0.12
    assert np.abs(np.asarray(moved) - 0.03).max() < 0.12
