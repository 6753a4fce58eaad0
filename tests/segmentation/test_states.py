"""``label_states``: recurring segments share a label; gaps, flat lines, missing cells; slow twins of its parts."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align
from align.datatypes import Segmentation, Stream
from align.errors import InputError, ParameterError
from align.metrics import adjusted_mutual_information, labels_of_samples
from align.segmentation import states
from align.segmentation.states import label_states

PLAN = [0, 1, 2, 0, 2, 1, 0, 1]  # states of eight segments


def signal(kind, plan=PLAN, length=200, seed=0):
    """A stream whose segments are of the planned states, which differ in one respect."""
    rng = np.random.default_rng(seed)
    parts = []
    for i, state in enumerate(plan):
        noise, t = rng.normal(size=length), np.arange(length)
        if kind == "level":
            parts.append(4.0 * state + noise)
        elif kind == "spread":
            parts.append(2.5**state * noise)
        elif kind == "rhythm":
            parts.append(3 * np.sin(2 * np.pi * t / (7 * 1.6**state) + i) + 0.5 * noise)
        else:
            parts.append(3 * shape(t / 11.3 + i / 7, state) + 0.3 * noise)
    stream = Stream(np.concatenate(parts), rate=10.0)
    return stream, Segmentation.of(stream, np.arange(1, len(plan)) * length)


def shape(phase, state):
    """Three waves of one period, one mean and one spread: sine, saw, pulse."""
    phase = phase % 1.0
    wave = [np.sin(2 * np.pi * phase), 2 * phase - 1, np.where(phase < 0.2, 1.0, 0.0)][state]
    return (wave - wave.mean()) / wave.std()


@pytest.mark.parametrize("kind", ["level", "spread", "rhythm", "shape"])
def test_recurring_segments_share_a_label(kind):
    for seed in range(3):
        assert label_states(*signal(kind, seed=seed)).tolist() == PLAN


def test_segments_that_all_differ_keep_their_own_label():
    assert label_states(*signal("level", [0, 2, 1, 4, 3])).tolist() == [0, 1, 2, 3, 4]


def test_unequal_lengths_and_several_channels():
    rng = np.random.default_rng(3)
    plan, lengths = [0, 1, 0, 2, 1, 2, 0], [60, 900, 200, 50, 70, 400, 300]
    level = np.array([[0, 0, 0], [4, 0, 0], [4, 0, -4]])
    values = np.concatenate([level[s] + rng.normal(size=(n, 3)) for s, n in zip(plan, lengths, strict=True)])
    stream = Stream(values, rate=1.0)
    assert label_states(stream, Segmentation.of(stream, np.cumsum(lengths)[:-1])).tolist() == plan


def test_the_same_twice_and_whatever_the_unit():
    stream, cut = signal("rhythm")
    first = label_states(stream, cut)
    assert first.dtype == np.int64 and np.array_equal(first, label_states(stream, cut))
    for values in (stream.values * 1024.0, 1e8 + stream.values.astype(np.float64)):
        assert np.array_equal(first, label_states(Stream(values, rate=10.0), cut))


@settings(max_examples=15)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.integers(1, 60), st.integers(0, 99))
def test_labels_are_numbered_by_first_appearance(plan, length, seed):
    labels = label_states(*signal("spread", plan, length, seed))
    assert labels.shape == (len(plan),) and labels[0] == 0
    assert (labels <= np.maximum.accumulate(np.r_[-1, labels[:-1]]) + 1).all()


def test_states_recur_across_a_gap_and_no_window_crosses_it(monkeypatch):
    stream, _ = signal("level", [0, 1, 0, 1])
    gapped = Stream(stream.values, rate=10.0, run_index=np.array([0, 300]), run_start=np.array([0.0, 500.0]))
    cut = Segmentation.of(gapped, [200, 400, 600])
    placed = []
    place = states.place_windows
    monkeypatch.setattr(states, "place_windows", lambda *a: placed.append(place(*a)) or placed[-1])
    assert label_states(gapped, cut).tolist() == [0, 1, 1, 0, 1]
    for windows in placed:
        last = windows.start + windows.length - 1
        assert (gapped.run_of(windows.start) == gapped.run_of(last)).all()


def test_V03_flat_line():
    flat = Stream(np.full(1000, 0.1), rate=1.0)
    assert label_states(flat, Segmentation.of(flat, [100, 500])).tolist() == [0, 0, 0]
    steps = Stream(np.repeat([1e8, 1e8 + 1, 1e8], 50), rate=1.0)
    assert label_states(steps, Segmentation.of(steps, [50, 100])).tolist() == [0, 1, 0]


def test_V02_missing_cells():
    stream, cut = signal("level")
    values = np.column_stack([stream.values[:, 0], np.full(stream.n_samples, np.nan)])
    values[np.random.default_rng(0).random(len(values)) < 0.3, 0] = np.nan
    assert label_states(Stream(values, rate=10.0), cut).tolist() == PLAN
    values[:200] = np.nan  # nothing known of the first segment: any state, but an answer
    assert label_states(Stream(values, rate=10.0), cut).shape == (8,)


def test_V01_infinite_value():
    stream, cut = signal("level")
    values = stream.values.copy()
    values[100] = np.inf
    with pytest.raises(InputError, match="E-NONFINITE") as error:
        label_states(Stream(values, rate=10.0), cut)
    assert error.value.where["sample"] == 100 and error.value.where["time"] == 10.0


@pytest.mark.parametrize("lengths", [[1], [2], [1, 1, 1], [3, 1, 40], [5, 200, 1, 1]])
def test_T16_very_short_segments(lengths):
    stream = Stream(np.random.default_rng(0).normal(size=sum(lengths)), rate=1.0)
    labels = label_states(stream, Segmentation.of(stream, np.cumsum(lengths)[:-1]))
    assert labels.shape == (len(lengths),)


def test_noise_cut_for_no_reason_is_one_state_about_as_often_as_not():
    found = []
    for seed in range(12):
        stream = Stream(np.random.default_rng(seed).normal(size=1000), rate=1.0)
        found.append(label_states(stream, Segmentation.of(stream, [200, 400, 600, 800])).max() + 1)
    assert np.mean(np.array(found) == 1) >= 0.4 and np.mean(found) < 2.5


def test_more_segments_than_are_compared(monkeypatch):
    monkeypatch.setattr(states, "_MOST_SEGMENTS", 20)
    rng = np.random.default_rng(1)
    plan, lengths = rng.integers(0, 3, 70), rng.integers(20, 60, 70)
    values = np.repeat(6.0 * plan, lengths) + rng.normal(size=lengths.sum())
    stream = Stream(values, rate=1.0)
    labels = label_states(stream, Segmentation.of(stream, np.cumsum(lengths)[:-1]))
    assert adjusted_mutual_information(plan, labels) > 0.98 and labels.max() == 2


def test_wanted_number_of_states():
    stream, cut = signal("level")
    for n_states in (1, 2, 3, 8):
        assert label_states(stream, cut, n_states=n_states).max() + 1 == n_states
    assert label_states(stream, cut, n_states=3).tolist() == PLAN


def test_bad_arguments():
    stream, cut = signal("level")
    with pytest.raises(ParameterError, match="n_states is 9; allowed: 1 to 8"):
        label_states(stream, cut, n_states=9)
    with pytest.raises(ParameterError, match="segmentation"):
        label_states(Stream(stream.values[:-1], rate=10.0), cut)
    gapped = Stream(stream.values, rate=10.0, run_index=np.array([0, 7]), run_start=np.array([0.0, 500.0]))
    with pytest.raises(ParameterError, match="segmentation"):
        label_states(gapped, cut)


# --- its parts against loops ------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(4, 20), st.integers(0, 999))
def test_told_apart_and_agreement_equal_loops(k, n, seed):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(k), rng.integers(0, k, n)]
    score = rng.integers(0, 4, (truth.size, k)) / 4  # with ties
    weight = rng.uniform(0.5, 2, truth.size)
    told = states._told_apart(score, truth, weight)
    for a in range(k):
        for b in range(k):
            share = []
            for x, y in ((a, b), (b, a)):
                mine = np.flatnonzero(truth == x)
                won = [1.0 if score[i, x] > score[i, y] else 0.5 * (score[i, x] == score[i, y]) for i in mine]
                share.append(np.dot(won, weight[mine]) / weight[mine].sum())
            assert a == b or told[a, b] == pytest.approx(np.mean(share))
    said = score.argmax(axis=1)
    w = weight / weight.sum()
    right = sum(w[i] for i in range(truth.size) if said[i] == truth[i])
    chance = sum(w[truth == c].sum() * w[said == c].sum() for c in range(k))
    gain, _ = states._agreement([states._View(score, weight, truth)], [score], [truth])
    assert gain == pytest.approx(right - chance)


def test_held_out_scores_come_from_other_windows_alone():
    """What a window looks like in its own fold changes the scores of the other folds, never those of its own."""
    stream, cut = signal("level", [0, 1, 0])
    scale = states._Scale.of(stream, cut.boundaries, np.arange(3), 8, 0)
    fold = states._folds(scale.windows.segment)
    known, asked = fold != 2, fold == 2
    kernel = np.exp(-((scale.features[:, None] - scale.features) ** 2).sum(axis=2) / scale.width)
    target = np.eye(3)[scale.windows.segment] - scale.prior
    left = kernel[np.ix_(known, known)] + np.diag(0.1 / scale.weight[known])
    expected = kernel[np.ix_(asked, known)] @ np.linalg.inv(left) @ target[known] + scale.prior
    assert scale.view().score[asked] == pytest.approx(expected, abs=1e-8)


def test_folds_are_contiguous_fifths_of_each_segment():
    segment = np.repeat([0, 1, 2, 3], [10, 5, 1, 7])
    assert states._folds(segment).tolist() == [
        *(0, 0, 1, 1, 2, 2, 3, 3, 4, 4),
        *(0, 1, 2, 3, 4),
        *(0,),
        *(0, 0, 1, 2, 2, 3, 4),
    ]


# --- real data --------------------------------------------------------------------------------------------


@pytest.mark.data
def test_real_series_given_their_change_points(data_dir):
    """Only one of the 21 series has recurring states; the others must not be merged away."""
    scores = {}
    for path in sorted((data_dir / "segmentation").glob("*.npz")):
        with np.load(path) as series:
            stream = Stream(series["values"], rate=1.0)
            cut = Segmentation.of(stream, series["change_points"])
            truth = labels_of_samples(cut.boundaries, series["labels"])
        found = labels_of_samples(cut.boundaries, label_states(stream, cut))
        scores[path.stem] = adjusted_mutual_information(truth, found)
    assert len(scores) == 21
    assert scores["tssb_MelbournePedestrian"] > 0.95  # 0.81 when every segment is a state of its own
    assert np.mean(list(scores.values())) > 0.93


@pytest.mark.data
def test_real_motion_given_its_spans(data_dir):
    """Better than every segment a state of its own, on phones carried by people."""
    ours, own = [], []
    for folder in sorted((data_dir / "hapt").iterdir())[::14]:
        stream = align.read_stream(folder / "imu.parquet")
        with (folder / "truth.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        first = [round((float(r["start"]) - stream.start) * stream.rate) for r in rows]
        last = [round((float(r["end"]) - stream.start) * stream.rate) for r in rows]
        ends = [e for e, f in zip(last, [*first[1:], stream.n_samples], strict=True) if f - e > 10]
        cut = Segmentation.of(stream, [*first, *ends])
        where = np.searchsorted(cut.boundaries, [(a + b) // 2 for a, b in zip(first, last, strict=True)]) - 1
        length = np.subtract(last, first)
        truth = np.repeat([r["label"] for r in rows], length)
        ours.append(adjusted_mutual_information(truth, np.repeat(label_states(stream, cut)[where], length)))
        own.append(adjusted_mutual_information(truth, np.repeat(where, length)))
    assert np.mean(ours) > np.mean(own) + 0.02
