"""Learning to coordinate streams and notes: the whole story from sessions to a model, top to bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.coordination.bundle import Coordination
from align.coordination.device import choose_device, threads_for
from align.coordination.distributed import joined
from align.coordination.durations import DurationModel, fit_durations
from align.coordination.encoders import Coordinator
from align.coordination.examples import (
    Example,
    Vocabulary,
    make_vocabulary,
    people_apart,
    span_example,
    usable_notes,
)
from align.coordination.hints import with_hints
from align.coordination.journal import Journal
from align.coordination.lags import note_lag
from align.coordination.layout import fit_layout, session_table
from align.coordination.plan import TrainingPlan
from align.coordination.provenance import provenance_of
from align.coordination.sharp import with_sharp_frames
from align.coordination.sharpness import fit_confidence
from align.coordination.training import Lesson, Progress, fit_network
from align.coordination.weak import learn_weakly
from align.datatypes import Session
from align.errors import ParameterError
from align.features.frames import natural_hop
from align.features.heartbeats import BEAT_S, ecg_channels
from align.text.choose import text_encoder

__all__ = ["fit_coordination"]

_FINER = 2.0  # as many frames as it takes to place a note: edges are worth a finer look


def fit_coordination(
    sessions: Sequence[Session],
    plan: TrainingPlan | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Coordination:
    """Learn encoders of streams and notes that agree, from true spans or from note times alone.

    A session with ``truth`` teaches by its spans; one without by its notes: by their times where they have
    any, else by their order (expectation-maximisation with the matching decoder, ``weak.py``). Under ``torchrun``
    all processes call this with the same arguments, train together, and return the same model.

    Args:
        sessions: of one layout (stream names and channels); a session may lack a stream.
        plan: settings; default ``TrainingPlan()``.
        progress: called as ``progress(stage, done, total)``.
        journal: gets a line an epoch and the checkpoints; with the checkpoints of an interrupted training in it
            that training goes on, and ends in the same model as if nothing had happened.

    Raises:
        InputError: E-TOO-FEW-PAIRS, E-MODEL-CHANNELS; E-TRAIN-DEGENERATE, the loss is not finite; E-CHECKPOINT,
            E-CHECKSUM, a checkpoint of another training or a damaged one.
        ParameterError: a name that is in no table, or more processes than sessions in a batch.
        ResourceError: E-DEVICE, the device asked for is not there; E-DEVICE-MEMORY.
    """
    plan = plan or TrainingPlan()
    tell = progress or _silent
    device = choose_device(plan.device)
    encoder = text_encoder(plan.encoder)
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], encoder)
    hop = plan.hop or _common_hop(sessions, rows)
    tables = []
    for i, session in enumerate(sessions):
        tables.append(session_table(session, hop, raw=plan.raw))
        tell("features", i + 1, len(sessions))
    layout = fit_layout(tables)
    examples = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    examples = with_sharp_frames(people_apart(examples, [s.name for s in sessions]), sessions)
    examples = with_hints(examples, sessions, [[note for note, _ in r] for r in rows], encoder)
    labelled = [e for e in examples if np.isfinite(e.spans).any()]
    times = [[note for note, _ in r] for r in rows]
    weak = [(e, n) for e, n in zip(examples, times, strict=True) if not np.isfinite(e.spans).any() and n]
    model = Coordination.empty(layout, plan, encoder).with_provenance(
        provenance_of(sessions, examples, len(vocabulary.texts))
    )
    if labelled:
        model = model.with_durations(_durations_of_spans(labelled, vocabulary, hop))
        lag = note_lag(sessions)
        model = model if lag is None else model.with_times(*lag, reach=1.0)
        examples = labelled
    if weak:
        examples, vocabulary, model = learn_weakly(labelled, weak, vocabulary, model, tell)

    epochs = plan.epochs
    with joined(device) as world, threads_for(plan.width):
        if plan.batch < world.size:
            raise ParameterError("batch", plan.batch, f"at least {world.size}, a session for every process")

        def train(on: Sequence[Example], seed: int) -> Coordinator:
            nonlocal epochs
            left_out = [e for e in examples if not any(e is other for other in on)]
            name = "held-out" if left_out else "final"
            lesson = Lesson(name, on, left_out, vocabulary, layout, epochs, seed)
            fitted = fit_network(lesson, plan, device, world, journal or Journal(), tell)
            epochs = fitted.epochs  # as many as were best for people held out
            return fitted.network

        sure = fit_confidence(examples, vocabulary, model, train)
        model = model.with_confidence(sure.nothing, sure.calibration)
        return model.with_network(train(examples, plan.seed), sure.sharpness)


def _common_hop(sessions: Sequence[Session], rows: Sequence[Sequence[object]]) -> float:
    """About half of the natural hop of a usual session; a beat's length at least, where all that is heard is a heart."""
    lengths = [s.end - s.start for s, r in zip(sessions, rows, strict=True) if r]
    numbers = [len(r) for r in rows if r]
    hop = natural_hop(float(np.median(lengths)), _FINER * float(np.median(numbers)))
    hearts = all(ecg_channels(stream) for session in sessions for stream in session.streams)
    return max(hop, BEAT_S) if hearts else hop


def _durations_of_spans(examples: Sequence[Example], vocabulary: Vocabulary, hop: float) -> DurationModel:
    notes = np.concatenate([e.notes for e in examples])
    spans = np.concatenate([e.spans for e in examples])
    seconds = (spans[:, 1] - spans[:, 0]) * hop
    known = np.isfinite(seconds) & (seconds > 0)
    return fit_durations(vocabulary.vectors[notes[known]], seconds[known])


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
