"""Noise added to frames in training: against loops, against noise added to the samples, and only where it belongs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.missing import first_columns
from align.coordination.network.noise import noisy, shaken, with_noise, with_sensor_noise
from align.datatypes import Session, Stream
from align.features.windows import POWER_RATE

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


def moving(rate, hiss=0.0, gap=0.0):
    """A phone that swings at 1 and at 4 Hz and lies still in turn, beside a heart rate, with as much noise as asked."""
    t = np.arange(round(240 * rate)) / rate
    rng = np.random.default_rng(2)
    strength = np.repeat(rng.choice([0.0, 0.1, 0.5], 24), round(10 * rate))
    swing = strength * np.sin(2 * np.pi * t) + 0.5 * strength * np.sin(8 * np.pi * t)
    acc = np.stack([0.2 + swing, 0.9 + 0.5 * swing, 0.3 - swing], axis=1) + 0.01 * rng.normal(
        size=(len(t), 3)
    )
    acc = acc + hiss * np.random.default_rng(3).normal(size=acc.shape)
    acc[t < gap] = np.nan
    phone = Stream(acc, rate, "phone", channels=("acc_x", "acc_y", "acc_z"), units=("g",) * 3)
    heart = Stream(60.0 + rng.normal(size=(240, 1)), 1.0, "heart", channels=("hr",))
    return Session("s", (phone, heart))


def of_sensors(rate, gap=0.0):
    table = session_table(moving(rate, gap=gap), 0.5)
    layout = fit_layout([table])
    (phone,) = (d for d in layout.sources.devices if d.stream == "phone")
    return layout, model_inputs(table, layout), phone


@pytest.mark.parametrize("rate", [20.0, 50.0])
@pytest.mark.parametrize("hiss", [0.02, 0.1])
def test_noise_in_a_sensor_is_nearly_what_noise_added_to_the_samples_gives(rate, hiss):
    layout, inputs, phone = of_sensors(rate)
    density = np.log(hiss**2 * POWER_RATE / rate)
    found = with_sensor_noise(inputs, layout, phone, density)
    wanted = model_inputs(session_table(moving(rate, hiss), 0.5, layout), layout)
    first = first_columns(layout)["phone"]
    axes = [slot for slot in phone.slots if slot.measured]
    assert len(axes) == 3
    for name in axes[0].columns:
        if name in ("mean", "slope"):
            continue
        at = [first + slot.columns[name] for slot in axes]
        before, after = (np.abs(x[:, at] - wanted[:, at]) * layout.scale[at] for x in (inputs, found))
        assert after.mean() < 0.8 * before.mean(), (
            name
        )  # single windows of noise vary, extremes follow a rough rule
    logs = [
        first + c
        for slot in axes
        for k, c in slot.columns.items()
        if k not in ("mean", "slope", "min", "max")
    ]
    inside = (np.abs(found[:, logs]) < 6) & (
        np.abs(wanted[:, logs]) < 6
    )  # what was clipped is not known any more
    off = ((found[:, logs] - wanted[:, logs]) * layout.scale[logs])[inside]
    assert np.abs(np.median(off)) < 0.15 and np.abs(off).mean() < 0.5  # nepers


def test_noise_in_a_sensor_adds_up_cell_by_cell():
    layout, inputs, phone = of_sensors(50.0)
    first, half = first_columns(layout)["phone"], len(layout.shift)
    found = with_sensor_noise(inputs, layout, phone, -3.0)
    columns = phone.slots[1].columns
    for row in range(0, len(inputs), 37):

        def levels_of(table, name, row=row):
            c = first + columns[name]
            return float(table[row, c] * layout.scale[c] + layout.shift[c])

        for name, c in columns.items():
            before, after = levels_of(inputs, name), levels_of(found, name)
            if abs(inputs[row, first + c]) >= 6 or abs(found[row, first + c]) >= 6:
                continue
            if name.endswith("Hz"):
                wanted = np.log(np.exp(before) + np.exp(-3.0))
            elif name == "sd":
                wanted = np.log(np.sqrt(np.exp(2 * before) + np.exp(-3.0) * 48 / 50))
            elif name == "step":
                wanted = np.log(np.sqrt(np.exp(2 * before) + np.exp(-3.0) * 48 / 50 * 4 / np.pi * 48**2))
            elif name in ("min", "max"):
                sd = levels_of(inputs, "sd")
                wanted = before * min(np.sqrt(1 + np.exp(-3.0 - 2 * sd) * 48 / 50), np.exp(4.0))
            else:
                wanted = before
            assert after == pytest.approx(wanted, abs=2e-3, rel=2e-3), name
    kept = [
        c for c in range(half) if not first <= c < first + len(layout.channels[layout.streams.index("phone")])
    ]
    both = [*kept, *(c + half for c in kept), -2, -1]
    np.testing.assert_array_equal(found[:, both], inputs[:, both])


def test_what_is_absent_in_a_sensor_stays_so():
    layout, inputs, phone = of_sensors(50.0, gap=30.0)
    half, k = len(layout.shift), layout.streams.index("phone")
    first, width = first_columns(layout)["phone"], len(layout.channels[k])
    gone = inputs[:, k - 2] == 0
    assert gone.sum() > 40
    lost = first + phone.slots[0].columns["8-14Hz"]
    inputs[:, [lost, lost + half]] = 0.0
    before = inputs.copy()
    found = with_sensor_noise(inputs, layout, phone, -3.0)
    own = np.r_[first : first + width, first + half : first + half + width]
    assert not found[np.ix_(gone, own)].any() and not found[:, [lost, lost + half]].any()
    assert (found != inputs).any() and np.abs(found).max() <= 6.0
    np.testing.assert_array_equal(inputs, before)
    heart = next(d for d in layout.sources.devices if d.stream == "heart")
    assert (with_sensor_noise(inputs, layout, heart, 0.0) != inputs).any() == any(
        k.endswith("Hz") for k in heart.slots[0].columns
    )


def test_a_quarter_of_the_pieces_have_a_noisy_sensor():
    layout, inputs, phone = of_sensors(50.0)
    at = [first_columns(layout)["phone"] + slot.columns["14-24Hz"] for slot in phone.slots if slot.measured]
    found = [shaken(inputs, layout, np.random.default_rng(s)) for s in range(200)]
    louder = np.array([(f[:, at] - inputs[:, at]).mean() for f in found])
    assert 0.17 < (louder > 0).mean() < 0.33 and (louder >= 0).all()
    assert np.ptp(louder[louder > 0]) > 1.0  # from hardly any to much


def test_sound_alone_takes_nothing_from_chance_for_sensors(made):
    layout = fit_layout([session_table(Session("s", (sound(),)), HOP)])
    inputs = np.ones((20, layout.n_features), np.float32)
    rng = np.random.default_rng(0)
    assert shaken(inputs, layout, rng) is inputs
    assert rng.random() == np.random.default_rng(0).random()
