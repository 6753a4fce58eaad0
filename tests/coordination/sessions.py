"""Small sessions whose states a sensor shows plainly, with notes and truth: what the tests here learn from."""

from __future__ import annotations

import dataclasses

import numpy as np

from align.coordination import TrainingPlan
from align.datatypes import Note, NoteTime, Session, Span, Stream

RATE = 10.0
#: What is said of a state, and how it looks: level, amplitude, hertz.
STATES = {
    "lay still": (0.0, 0.0, 1.0),
    "waved slowly": (0.0, 1.0, 0.5),
    "shook it fast": (0.0, 1.5, 3.0),
    "held it high": (3.0, 0.0, 1.0),
}
TINY = TrainingPlan(
    epochs=8, batch=2, learning_rate=1e-2, width=16, dimension=8, dilations=(1, 2), dropout=0.0, longest=512,
    rounds=2, hop=0.5, encoder="hashed", device="cpu",
)  # fmt: skip


def made_session(seed, *, truth=True, timed=False, n_notes=6):
    """Notes about stretches of 5 to 10 s, with a quarter as much of something else between them."""
    rng = np.random.default_rng(seed)
    kinds = [list(STATES)[k] for k in rng.integers(0, len(STATES), n_notes)]
    pieces, spans, now = [], [], 0.0
    for kind in [*kinds, None]:
        pause = rng.uniform(1.0, 3.0)
        pieces.append(state(rng, pause, -2.0, 0.3, 1.7))
        now += len(pieces[-1]) / RATE
        if kind is None:
            break
        pieces.append(state(rng, rng.uniform(5.0, 10.0), *STATES[kind]))
        spans.append(Span(now, now + len(pieces[-1]) / RATE, kind, kind))
        now = spans[-1].end
    stream = Stream(np.concatenate(pieces), RATE, "wrist", channels=("a", "b"))
    notes = tuple(noted(s, rng, timed) for s in spans)
    return Session(f"p{seed}_day", (stream,), notes, truth=tuple(spans) if truth else None)


def state(rng, seconds, level, amplitude, hertz):
    t = np.arange(round(seconds * RATE)) / RATE
    wave = level + amplitude * np.sin(2 * np.pi * hertz * t + rng.uniform(0, 6))
    return np.column_stack([wave, 0.5 * wave]) + rng.normal(0, 0.1, (len(t), 2))


def noted(span, rng, timed):
    if not timed:
        return Note(span.text)
    at = 0.5 * (span.start + span.end) + rng.normal(0, 1.0)
    return Note(span.text, NoteTime(at, at, at))


def untold(session):
    """The same without truth."""
    return dataclasses.replace(session, truth=None)


def true_spans(session):
    return np.array([(s.start, s.end) for s in session.truth])
