"""Noise added to mel frames in training: against loops, against noise added to the samples, and only to sound."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.network.augment import noisy, with_noise
from align.datatypes import Session, Stream

HOP, RATE, N = 0.05, 16000.0, 40


def sound(hiss: float = 0.0) -> Stream:
    """Bursts of 0.1 s of all levels between 0 and 60 dB below full scale, and as much hiss as is asked for."""
    rng = np.random.default_rng(0)
    loud = 10 ** (rng.uniform(-3.0, -0.5, 60) / 1.0)
    bursts = np.repeat(loud, int(RATE / 10)) * rng.normal(size=int(6 * RATE))
    return Stream(bursts + hiss * rng.normal(size=len(bursts)), RATE, "mic", modality="audio")


def wrist() -> Stream:
    values = np.random.default_rng(1).normal(size=(250, 3))
    return Stream(values, 50.0, "wrist", channels=("acc_x", "acc_y", "acc_z"), run_start=[1.0])


@pytest.fixture(scope="module")
def made():
    table = session_table(Session("s", (sound(), wrist())), HOP)
    layout = dataclasses.replace(fit_layout([table]), floors=())  # or noise would be taken out again
    return layout, model_inputs(table, layout), table


def levels(inputs, layout, name="mel"):
    """(n_frames, k) decibels of the columns whose names begin so and end in .mean, or of "loudness"."""
    k = layout.streams.index("mic")
    first = sum(len(c) for c in layout.channels[:k])
    own = [
        i
        for i, c in enumerate(layout.channels[k])
        if c == name or (c.startswith(name) and c.endswith(".mean"))
    ]
    columns = first + np.array(own)
    return inputs[:, columns] * layout.scale[columns] + layout.shift[columns]


def test_powers_add_up_cell_by_cell(made):
    layout, inputs, table = made
    noise = np.random.default_rng(3).uniform(-50.0, -20.0, N)
    block = table.blocks[table.names.index("mic")].astype(float)
    wanted = block.copy()
    for row in wanted:
        for b in range(N):
            power = 10 ** (row[b] / 10)
            both = power + 10 ** (noise[b] / 10)
            row[N + b] *= power / both
            row[b] = 10 * np.log10(both)
        row[-1] = 10 * np.log10(sum(10 ** (level / 10) for level in row[:N]))
    top = wanted[:, -1].max()
    wanted[:, [*range(N), 2 * N]] = np.maximum(wanted[:, [*range(N), 2 * N]] - top, -80.0)
    blocks = list(table.blocks)
    blocks[table.names.index("mic")] = wanted.astype(np.float32)
    expected = model_inputs(dataclasses.replace(table, blocks=tuple(blocks)), layout)
    found = with_noise(inputs, layout, "mic", noise)
    k = layout.streams.index("mic")
    first, half = sum(len(c) for c in layout.channels[:k]), len(layout.shift)
    level, spread = first + np.append(np.arange(N), 2 * N), first + N + np.arange(N)
    for at in (level, level + half):
        np.testing.assert_allclose(found[:, at], expected[:, at], atol=1e-4)
    known = np.abs(inputs[:, spread]) < 6  # what was clipped is not known any more
    assert known.mean() > 0.95
    np.testing.assert_allclose(found[:, spread][known], expected[:, spread][known], atol=1e-4)
    off = np.abs(found[:, spread + half] - expected[:, spread + half])[known]
    assert off.mean() < 0.02 and off.max() < 0.3  # nor are median and spread quite those without it


def test_it_is_nearly_what_noise_added_to_the_samples_gives(made):
    layout, inputs, _ = made
    hiss = Stream(0.01 * np.random.default_rng(5).normal(size=int(6 * RATE)), RATE, "mic", modality="audio")
    # every table is in dB below its own loudest frame: what lies between the two is known of the samples
    loudest = [np.square(s.values).reshape(-1, int(HOP * RATE)).mean(axis=1).max() for s in (sound(), hiss)]
    alone = session_table(Session("s", (hiss,)), HOP).blocks[0][:, :N].mean(axis=0)
    found = with_noise(inputs, layout, "mic", alone + 10 * np.log10(loudest[1] / loudest[0]))
    noisy_table = session_table(Session("s", (sound(0.01), wrist())), HOP, layout)
    wanted = noisy_table.blocks[noisy_table.names.index("mic")][:, :N]
    assert np.abs(levels(inputs, layout) - wanted).mean() > 4.0
    assert np.abs(levels(found, layout) - wanted).mean() < 1.5


def test_only_sound_that_is_there_is_touched(made):
    layout, inputs, _ = made
    gap = inputs.copy()
    gap[30:60] = 0.0
    found = with_noise(gap, layout, "mic", np.full(N, -30.0))
    assert not found[30:60].any()
    own = [c.startswith("acc") for c in layout.channels[layout.streams.index("wrist")]]
    k, half = layout.streams.index("wrist"), len(layout.shift)
    first = sum(len(c) for c in layout.channels[:k])
    columns = np.concatenate([first + np.arange(len(own)), half + first + np.arange(len(own)), [-2, -1]])
    np.testing.assert_array_equal(found[:, columns], gap[:, columns])
    assert (found != gap).any()
    nowhere = np.zeros_like(inputs)
    assert with_noise(nowhere, layout, "mic", np.full(N, -30.0)) is nowhere


def test_most_pieces_have_some_and_it_is_pure(made):
    layout, inputs, _ = made
    before = inputs.copy()
    changed = [noisy(inputs, layout, np.random.default_rng(s)) for s in range(60)]
    assert 0.5 < np.mean([(c != inputs).any() for c in changed]) < 0.9
    np.testing.assert_array_equal(inputs, before)
    np.testing.assert_array_equal(changed[3], noisy(inputs, layout, np.random.default_rng(3)))
    quiet = np.array([np.percentile(levels(c, layout, "loudness"), 20) for c in changed])
    assert np.ptp(quiet) > 20.0  # from hardly any to much
    for c in changed:
        assert c.dtype == np.float32 and np.isfinite(c).all() and np.abs(c).max() <= 6.0


def test_sensors_alone_take_nothing_from_chance():
    layout = fit_layout([session_table(Session("s", (wrist(),)), 0.5)])
    inputs = np.ones((20, layout.n_features), np.float32)
    rng = np.random.default_rng(0)
    assert noisy(inputs, layout, rng) is inputs
    assert rng.random() == np.random.default_rng(0).random()
