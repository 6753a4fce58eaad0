"""What stands out of the background speaks for some note, as far as it did in training and on people held out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination import Coordination, fit_coordination
from align.coordination.saved.bundle import bundle_files
from align.coordination.saved.loading import load_coordination
from align.coordination.trust.foreground import fit_foreground
from align.coordination.trust.sharpness import fit_confidence
from align.datatypes import Note, Session, Span, Stream
from align.errors import InputError
from align.features.foreground import foreground_of
from align.features.frames import frame_table
from align.matching import match
from align.matching.foreground import Foreground, noted_frames
from align.matching.gains import joint_gain
from align.metrics import pool
from tests.coordination.saved_models import rewritten, written
from tests.coordination.sessions import TINY, untold
from tests.coordination.trust.test_sharpness import prepared

RATE = 4000.0
TONES = {"a low hum": 300.0, "a whistle": 1500.0}
PLAN = dataclasses.replace(TINY, hop=0.1, epochs=12)


def hiss(rng, seconds, sd):
    return rng.normal(0.0, sd, round(seconds * RATE))


def heard(seed, *, breath=0.0, channels=1):
    """Tones of 0.6 s in a hiss. ``breath``: seconds of a fainter hiss around each of them, which belong to it."""
    rng = np.random.default_rng(seed)
    pieces, spans, now = [], [], 0.0
    for kind in rng.choice(list(TONES), 6).tolist():
        pause, tone = (
            rng.uniform(1.0, 2.0),
            np.sin(np.arange(int(0.6 * RATE)) * 2 * np.pi * TONES[kind] / RATE),
        )
        around = [hiss(rng, breath, 0.003) for _ in range(2)]
        pieces += [hiss(rng, pause, 0.01), around[0], 0.3 * tone + hiss(rng, 0.6, 0.003), around[1]]
        length = sum(len(piece) for piece in pieces[-3:]) / RATE
        start = now + len(pieces[-4]) / RATE
        spans.append(Span(start, start + length, kind, kind))
        now = spans[-1].end
    pieces.append(hiss(rng, 1.5, 0.01))
    stream = Stream(np.concatenate(pieces), RATE, "mic", modality="audio")
    return Session(f"p{seed}_day", (stream,), tuple(Note(s.text) for s in spans), truth=tuple(spans))


@pytest.fixture(scope="module")
def model() -> Coordination:
    return fit_coordination([heard(seed) for seed in range(8)], PLAN)


def test_foreground_is_counted_within_spans_and_between_them(model):
    found = model.foreground
    assert found is not None and found.seen > 1.5 and found.unseen < -1.5 and found.weight > 0


def test_it_speaks_for_every_note_that_says_anything_and_adds_to_the_network(model):
    session = heard(20)
    session = dataclasses.replace(session, notes=(*session.notes, Note("")))
    plain = dataclasses.replace(model, captions=0.0, familiar=None, foreground=None)
    own = Foreground(2.0, -1.0, 0.5)
    found, before = dataclasses.replace(plain, foreground=own).evidence(session), plain.evidence(session)
    added = found.log_odds - before.log_odds
    assert not added[:, -1].any() and np.ptp(added[:, :-1], axis=1).max() < 1e-4
    share = foreground_of(frame_table(session.streams, model.layout.hop))
    noted = noted_frames(found.durations[:-1], model.layout.hop)
    np.testing.assert_allclose(added[:, 0], own.log_odds(share, noted), atol=1e-4)
    assert added.min() == pytest.approx(-0.5, abs=0.05) and added.max() > 0.2
    np.testing.assert_allclose(found.gain, joint_gain(before.gain, own.gain(share)))


def test_a_sound_is_placed_with_the_breath_around_it_that_training_never_heard(model):
    pairs = [(match(untold(s), model), s.truth) for s in (heard(seed, breath=0.4) for seed in range(30, 34))]
    assert pool(pairs).mean_iou > 0.9  # the tones alone are less than half of their spans


def test_probable_spans_count_as_far_as_they_are_probable():
    session = heard(1)
    table = frame_table(session.streams, 0.1)
    examples, *_ = prepared(1)
    target = np.full(table.n_frames, -1)
    for span in session.truth:
        target[round(span.start / 0.1) : round(span.end / 0.1)] = 0
    sure = dataclasses.replace(examples[0], table=table, target=target, soft=None)
    soft = np.column_stack([target == 0, target == -1]).astype(np.float32)
    found = fit_foreground([sure])
    assert found == fit_foreground([dataclasses.replace(sure, soft=soft)])
    assert found.seen > 1.5 and found.unseen < -1.5
    even = fit_foreground([dataclasses.replace(sure, soft=np.full_like(soft, 0.5))])
    assert abs(even.seen) < 1e-9 and abs(even.unseen) < 1e-9


def test_where_there_are_sensors_there_is_none():
    examples, vocabulary, model, train = prepared(8)
    session = heard(1)
    wrist = Stream(np.zeros((400, 2)), 20.0, "wrist", channels=("a", "b"))
    alone, beside = (frame_table((*session.streams, *more), 0.1) for more in ((), (wrist,)))
    target = np.zeros(beside.n_frames, int)
    assert fit_foreground([dataclasses.replace(examples[0], table=beside, target=target)]) is None
    assert fit_foreground([dataclasses.replace(examples[0], table=alone, target=target[: alone.n_frames])])
    assert fit_foreground(examples) is None
    assert fit_confidence(examples, vocabulary, model, train).foreground is None


def test_it_is_saved_and_models_without_it_know_none(model, tmp_path):
    folder = written(bundle_files(model), tmp_path)
    assert load_coordination(folder).foreground == model.foreground
    about = {"seen": 1.0, "unseen": -1.0, "weight": 2.0}
    with pytest.raises(InputError, match="E-MODEL-BROKEN"):
        load_coordination(rewritten(folder, {"foreground": about}))
    assert load_coordination(rewritten(folder, {"foreground": None})).foreground is None
