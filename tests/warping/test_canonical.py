"""align/warping/canonical.py and canonical_notes.py: the misfit falls, planted warps and notes are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align import Evidence, Note, NoteTime, Session, Stream
from align.clock import span_iou
from align.errors import ParameterError
from align.warping.canonical import ctw_path
from align.warping.canonical_notes import ctw_evidence, ctw_session
from benchmarks.warping_results import is_path


def latent(s):
    """Two curves that never repeat together, at times ``s`` in [0, 1]."""
    return np.column_stack([np.sin(2 * np.pi * (1.5 * s + 0.1)), 2 * s**2 + np.cos(2 * np.pi * 2.2 * s)])


def mixed(seed, n=200, m=150):
    """The curves in 3 channels at an even pace, in 5 others at a warped one, and that pace."""
    rng = np.random.default_rng(seed)
    pace = np.linspace(0, 1, m) ** 1.3
    a = latent(np.linspace(0, 1, n)) @ rng.normal(size=(2, 3)) + 0.02 * rng.normal(size=(n, 3))
    return a, latent(pace) @ rng.normal(size=(2, 5)) + 0.02 * rng.normal(size=(m, 5)), pace


def misfit_of(a, b, path, n_components, regularisation):
    """1 - mean canonical correlation with ridge, by eigenvalues instead of the module's singular values."""
    left, right = a[path[:, 0]], b[path[:, 1]]
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    within = [
        x.T @ x / len(path) + regularisation * s.var(axis=0).mean() * np.eye(x.shape[1])
        for x, s in ((left, a), (right, b))
    ]
    across = left.T @ right / len(path)
    product = np.linalg.solve(within[0], across) @ np.linalg.solve(within[1], across.T)
    squares = np.sort(np.linalg.eigvals(product).real)[::-1][:n_components]
    return 1 - np.sqrt(np.maximum(squares, 0)).mean()


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_warp_of_mixed_channels_is_found(seed):
    a, b, pace = mixed(seed)
    path, misfits = ctw_path(a, b, n_components=2)
    error = np.abs(path[:, 0] / (len(a) - 1) - pace[path[:, 1]]).mean()
    straight = np.abs(np.linspace(0, 1, len(b)) - pace).mean()
    assert is_path(path, len(a), len(b))
    assert error < straight / 3 and misfits[-1] < misfits[0] / 4


@st.composite
def pairs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    sizes = [draw(st.integers(1, 25)) for _ in range(2)]
    channels = [draw(st.integers(1, 4)) for _ in range(2)]
    kind = draw(st.sampled_from(["walk", "integers", "flat"]))
    made = []
    for n, d in zip(sizes, channels, strict=True):
        values = rng.normal(size=(n, d))
        kinds = {"walk": values.cumsum(axis=0), "integers": np.round(2 * values), "flat": np.ones((n, d))}
        made.append(kinds[kind])
    return (*made, draw(st.integers(1, min(channels))), draw(st.sampled_from([1e-3, 0.1, 3.0])))


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_the_misfit_falls_and_is_that_of_the_path(pair):
    a, b, n_components, regularisation = pair
    path, misfits = ctw_path(a, b, n_components=n_components, regularisation=regularisation)
    assert is_path(path, len(a), len(b))
    assert (np.diff(misfits) < 0).all() and -1e-9 <= misfits[-1] <= 1 + 1e-9
    if a.var(axis=0).any() and b.var(axis=0).any():
        assert misfits[-1] == pytest.approx(misfit_of(a, b, path, n_components, regularisation), abs=1e-5)


def test_mixing_the_channels_changes_nothing():
    a, b, _ = mixed(0, 60, 50)
    turn = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, 3.0]])
    path, misfits = ctw_path(a, b, n_components=2, regularisation=1e-9)
    turned, other = ctw_path(a @ turn + 7.0, b, n_components=2, regularisation=1e-9)
    assert path.tolist() == turned.tolist() and misfits == pytest.approx(other, abs=1e-5)


def test_no_rounds_leave_the_straight_path():
    path, misfits = ctw_path(np.arange(4.0), np.arange(7.0), iterations=0)
    assert path[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6] and len(misfits) == 1
    assert is_path(path, 4, 7) and abs(path[:, 0] - path[:, 1] / 2).max() <= 0.5
    single, _ = ctw_path([3.0], [1.0, 2.0, 5.0])
    assert single.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_series_without_anything_in_common_are_unrelated():
    path, misfits = ctw_path(np.ones((5, 2)), np.arange(8.0))
    assert misfits.tolist() == [1.0] and is_path(path, 5, 8)


@pytest.mark.parametrize(
    ("values", "options", "name"),
    [
        ([0.0, np.nan], {}, "a"),
        (np.zeros((0, 2)), {}, "a"),
        ([0.0, 1.0], {"n_components": 2}, "n_components"),
        ([0.0, 1.0], {"iterations": -1}, "iterations"),
        ([0.0, 1.0], {"regularisation": 0.0}, "regularisation"),
        ([0.0, 1.0], {"regularisation": np.inf}, "regularisation"),
    ],
)
def test_wrong_values_are_refused(values, options, name):
    with pytest.raises(ParameterError, match=name):
        ctw_path(values, [1.0, 2.0], **options)


def test_text_is_no_series():
    with pytest.raises(TypeError, match="b has dtype"):
        ctw_path([1.0], ["x"])


# --- notes ----------------------------------------------------------------------------------------------


def evidence(n_frames, n_notes, observed=None, first=0, durations=None):
    observed = np.ones(n_frames, bool) if observed is None else np.asarray(observed, bool)
    expected = np.zeros((n_notes, 2)) if durations is None else np.column_stack([np.log(durations)] * 2)
    odds = np.zeros((n_frames, n_notes))
    return Evidence(odds, 1.0, first, observed, expected, "test", streams=("wrist",))


def shown(kinds, lengths, seed=0):
    """Frames that show one of three kinds at a time in six channels, and texts of those kinds in four."""
    rng = np.random.default_rng(seed)
    looks, means = rng.normal(size=(3, 6)), rng.normal(size=(3, 4))
    kinds = np.array(kinds)
    frames = looks[np.repeat(kinds, lengths)]
    return frames + 0.05 * rng.normal(size=frames.shape), means[kinds]


def test_notes_are_placed_where_frames_and_texts_correlate():
    lengths = [30, 12, 24, 10, 32, 12]
    frames, texts = shown([0, 1, 2, 1, 0, 2], lengths)
    notes = tuple(Note(f"n{i}") for i in range(6))
    result = ctw_evidence(evidence(120, 6), notes, frames, texts)
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    iou = span_iou(result.spans, np.column_stack([edges[:-1], edges[1:]]))
    even = span_iou(np.arange(6)[:, None] * 20.0 + [0.0, 20.0], np.column_stack([edges[:-1], edges[1:]]))
    assert result.method == "ctw" and iou.mean() > 0.9 > even.mean() + 0.3
    assert (np.diff(result.path, axis=0) >= 0).all() and set(result.path[:, 1]) == set(range(6))
    assert ((result.probabilities > 0) & (result.probabilities < 1)).all()


def test_N01_N03_T03_every_note_is_answered_and_no_span_crosses_a_gap():
    frames, texts = shown([0, 1, 2, 0], [8, 8, 8, 8])
    observed = np.ones(32, bool)
    observed[10:14] = False
    frames[12, 0] = np.nan
    notes = (Note("a"), Note(" "), Note("b"), Note("c", NoteTime(900.0, 901.0, 902.0)))
    result = ctw_evidence(evidence(32, 4, observed, first=100), notes, frames, texts)
    assert [link.status for link in result.links] == ["aligned", "empty", "aligned", "outside"]
    spans = result.spans[[0, 2]]
    assert spans.min() >= 100 and spans.max() <= 132 and spans[0, 1] <= spans[1, 0]
    assert all(end <= 110 or begin >= 114 for begin, end in spans)
    assert not ((result.path[:, 0] >= 10) & (result.path[:, 0] < 14)).any()


def test_nothing_observed_leaves_notes_unmatched_and_N02_no_notes():
    none = ctw_evidence(evidence(4, 1, [False] * 4), (Note("a"),), np.zeros((4, 2)), np.ones((1, 3)))
    assert none.links[0].status == "unmatched" and none.path.shape == (0, 2)
    assert ctw_evidence(evidence(4, 0), (), np.zeros((4, 2)), np.zeros((0, 3))).links == ()
    single = ctw_evidence(evidence(4, 1), (Note("a"),), np.eye(4), np.ones((1, 3)))
    assert single.spans.tolist() == [[0.0, 4.0]]


def test_expected_durations_are_the_first_guess():
    # Frames that say nothing: what is left are the durations.
    spans = ctw_evidence(
        evidence(20, 2, durations=[3.0, 1.0]), (Note("a"), Note("b")), np.zeros((20, 3)), np.eye(2)
    ).spans
    assert spans.tolist() == [[0.0, 15.0], [15.0, 20.0]]


@pytest.mark.parametrize("name", ["frames", "embeddings", "notes"])
def test_arrays_must_be_the_evidences(name):
    given = {"frames": np.zeros((4, 2)), "embeddings": np.ones((1, 3)), "notes": (Note("a"),)}
    given[name] = (Note("a"), Note("b")) if name == "notes" else given[name][:0]
    with pytest.raises(ParameterError, match=name):
        ctw_evidence(evidence(4, 1), given["notes"], given["frames"], given["embeddings"])


def test_a_session_goes_in_whole():
    rng = np.random.default_rng(0)
    still, moving = rng.normal(0, 0.01, (400, 3)), rng.normal(0, 3.0, (400, 3))
    values = np.concatenate([still, moving, still])
    values[:, 2] += 9.8
    stream = Stream(values, 20.0, name="wrist", modality="sensor")
    session = Session("s", (stream,), (Note("sitting"), Note("running"), Note("sitting")))
    result = ctw_session(session, encoder="hashed")
    truth = np.array([[0.0, 20.0], [20.0, 40.0], [40.0, 60.0]])
    assert result.method == "ctw" and span_iou(result.spans, truth).mean() > 0.6
