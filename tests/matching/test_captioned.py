"""Evidence from captions: the equation against loops, and that notes find their stretches."""

import os
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Note, Session, Stream
from align.errors import ParameterError
from align.features.captions import describe
from align.features.phrases import SOMETHING
from align.matching.captioned import (
    FLOOR,
    LOOKS,
    SHARPNESS,
    SURPRISE,
    caption_lifts,
    caption_session,
    evidence_from_captions,
    meanings,
)
from align.text.hashed import HashedEncoder

RATE = 50.0


def walk_and_rest(notes=("standing still", "walking", "standing still", "walking")):
    """Rest 0-20, walk 20-40, rest 40-60, walk 60-80 s."""
    t = np.arange(0, 80, 1 / RATE)
    walking = (t // 20) % 2 == 1
    acc = np.column_stack([np.ones_like(t), np.zeros_like(t), np.zeros_like(t)])
    acc[:, 0] += 0.4 * walking * np.sin(2 * np.pi * 1.8 * t)
    acc += np.random.default_rng(0).normal(0, 0.003, acc.shape)
    stream = Stream(acc, RATE, "waist", channels=("acc_x", "acc_y", "acc_z"), units=("g",) * 3)
    return Session("s", (stream,), tuple(Note(text) for text in notes))


SEGMENTS = [(0.0, 20.0), (20.0, 40.0), (40.0, 60.0), (60.0, 80.0)]


def test_notes_fit_their_stretches():
    evidence = evidence_from_captions(walk_and_rest(), HashedEncoder(), SEGMENTS, 0.5)
    similarity = evidence.over(SEGMENTS)
    assert similarity.shape == (4, 4) and evidence.log_odds.shape == (160, 4)
    wanted = np.array([[1, -1, 1, -1], [-1, 1, -1, 1]] * 2)
    assert (np.sign(similarity) == wanted).all()
    seconds = (evidence.first + np.arange(160) + 0.5) * evidence.hop
    inside = (seconds > 22) & (seconds < 38)
    assert (evidence.log_odds[inside, 1] > 0).all() and (evidence.log_odds[inside, 0] < 0).all()
    assert (evidence.method, evidence.streams) == ("captions", ("waist",))


def test_the_log_odds_are_the_equation():
    session, encoder = walk_and_rest(("a walk", "the price of tea")), HashedEncoder()
    made = describe(session, 0.5)
    q = meanings(made, encoder, encoder.encode([note.text for note in session.notes]))
    words = [(v, text) for v, phrase in enumerate(made.phrases) for text in phrase.means]

    def cos(a, b):
        x, y = encoder.encode([a, b]).astype(float)
        return float(x @ y)

    unrelated = [cos(a, b) for v, a in words for u, b in words if u != v]
    mean, spread = np.mean(unrelated), np.std(unrelated)
    for n, note in enumerate(session.notes):
        c = [max((cos(note.text, w) for u, w in words if u == v), default=mean + SURPRISE * spread)
             for v in range(len(made.phrases))]  # fmt: skip
        slow = np.exp(np.array(c) / (SHARPNESS * spread))
        assert q[n] == pytest.approx(slow / slow.sum(), rel=1e-4)
    held, usual = made.strengths, made.strengths.mean(axis=0)
    vectors = encoder.encode([note.text for note in session.notes])
    lifts = caption_lifts(made, encoder, vectors, made.cells.first, made.cells.n)
    evidence = evidence_from_captions(session, encoder, SEGMENTS, 0.5)
    counts = min(1.0, 0.5 / (80.0 / 2 / LOOKS))
    for k in range(0, made.cells.n, 7):
        for n in range(2):
            odds = sum(q[n, v] * (held[k, v] + FLOOR) / (usual[v] + FLOOR) for v in range(len(made.phrases)))
            assert lifts[k, n] == pytest.approx(np.log(odds), abs=1e-4)
            assert evidence.log_odds[k, n] == pytest.approx(counts * np.log(odds), abs=1e-4)


def test_a_note_that_the_table_has_no_words_for_means_something():
    made = describe(walk_and_rest())
    q = meanings(made, HashedEncoder(), HashedEncoder().encode(["xylophone zwölf", "walking"]))
    assert made.phrases[q[0].argmax()] is SOMETHING
    assert "walking" in made.phrases[q[1].argmax()].means
    assert q.sum(axis=1) == pytest.approx(1.0)


def test_moments_are_shorter_than_long_events():
    evidence = evidence_from_captions(
        walk_and_rest(("turning around", "walking", "making a turn", "standing still")), HashedEncoder(), SEGMENTS, 0.5
    )  # fmt: skip
    length = np.exp(evidence.durations[:, 0])
    assert (length > 0.5).all() and (length < 80).all() and (evidence.durations[:, 1] >= 0.6).all()


def test_a_gap_carries_no_evidence():
    whole = walk_and_rest().streams[0]
    half = whole.n_samples // 2
    stream = Stream(
        whole.values, RATE, "waist", channels=whole.channels, units=whole.units,
        run_index=np.array([0, half]), run_start=np.array([0.0, 100.0]),
    )  # fmt: skip
    evidence = caption_session(Session("s", (stream,), walk_and_rest().notes), HashedEncoder())
    seconds = (evidence.first + np.arange(len(evidence.observed)) + 0.5) * evidence.hop
    gap = (seconds > 41) & (seconds < 99)
    assert not evidence.observed[gap].any() and (evidence.log_odds[gap] == 0).all()
    assert evidence.observed[~((seconds > 39) & (seconds < 101))].all()


@pytest.mark.parametrize("notes", [(), ("",), ("walking",)])
def test_N01_N02_no_note_empty_note_one_note(notes):
    evidence = caption_session(walk_and_rest(notes), HashedEncoder())
    assert evidence.log_odds.shape[1] == evidence.durations.shape[0] == len(notes)
    assert np.isfinite(evidence.durations).all()


def test_frames_closer_together_count_less():
    coarse, fine = (
        evidence_from_captions(walk_and_rest(), HashedEncoder(), SEGMENTS, h) for h in (0.5, 0.125)
    )
    ratio = coarse.log_odds.sum(axis=0) / fine.log_odds.sum(axis=0)
    assert ratio == pytest.approx(1.0, abs=0.1)


def test_bad_arguments():
    with pytest.raises(ParameterError, match="segments"):
        evidence_from_captions(walk_and_rest(), HashedEncoder(), [0.0, 1.0], 0.5)
    with pytest.raises(ParameterError, match="hop"):
        evidence_from_captions(walk_and_rest(), HashedEncoder(), SEGMENTS, -1.0)


@pytest.mark.data
def test_real_notes_fit_their_spans_better_than_the_rest():
    """hapt, no model, order and times not used: the evidence alone knows most notes."""
    folder = Path(os.environ.get("ALIGN_DATA", "../shared/data")) / "hapt" / "user01_exp01"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}")
    minilm = pytest.importorskip("align.text.minilm")
    import polars as pl

    table, truth = pl.read_parquet(folder / "imu.parquet"), pl.read_csv(folder / "truth.csv")
    stream = Stream(table.drop("time").to_numpy(), 50.0, "imu", channels=tuple(table.columns[1:]))
    session = Session("s", (stream,), tuple(Note(text) for text in truth["text"]))
    spans = truth.select("start", "end").to_numpy()
    evidence = evidence_from_captions(session, minilm.MiniLMEncoder(), spans, 0.25)
    similarity = evidence.over(spans)
    own = np.diag(similarity)
    rest = (similarity.sum(axis=0) - own) / (len(own) - 1)
    assert (own > rest).mean() >= 0.8
