"""Learning to coordinate streams and notes: the whole story from sessions to a model, top to bottom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from align.coordination.inputs.examples import (
    Example,
    Vocabulary,
    make_vocabulary,
    people_apart,
    span_example,
    usable_notes,
    writers,
)
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.loop.device import choose_device, threads_for
from align.coordination.loop.distributed import joined
from align.coordination.loop.journal import Journal
from align.coordination.network.encoders import Coordinator
from align.coordination.plan import TrainingPlan
from align.coordination.saved.bundle import Coordination
from align.coordination.saved.provenance import provenance_of
from align.coordination.streaming import (
    HELD_BYTES,
    StoredFrames,
    StoredSession,
    StreamedExample,
    stored_provenance,
    streamed_examples,
)
from align.coordination.training import Lesson, Progress, Trunk, fit_network
from align.coordination.trust.durations import DurationModel, fit_durations
from align.coordination.trust.familiarity import fit_familiar
from align.coordination.trust.heard import fit_heard
from align.coordination.trust.sharpness import fit_confidence
from align.coordination.weak.hints import with_hints
from align.coordination.weak.lags import note_lag
from align.coordination.weak.learning import learn_weakly
from align.coordination.weak.pseudo import pseudo_labelled
from align.coordination.weak.sharp import with_sharp_frames
from align.datatypes import Session
from align.errors import InputError, ParameterError
from align.features.frames import natural_hop
from align.features.heartbeats import BEAT_S, ecg_channels
from align.text.choose import text_encoder

__all__ = ["fit_coordination", "fit_stored"]

_MOST_MEASURED = 256  # stored sessions of which some are held out
_FINER = 2.0  # as many frames as it takes to place a note: edges are worth a finer look


def fit_coordination(
    sessions: Sequence[Session],
    plan: TrainingPlan | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
    *,
    trunk: Trunk | None = None,
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
        trunk: what the stream encoder starts from between entry and heads, as ``trunk_state`` gives it of another
            model's, or of masked prediction's; default: from random numbers.

    Raises:
        InputError: E-TOO-FEW-PAIRS, E-MODEL-CHANNELS; E-TRAIN-DEGENERATE, the loss is not finite; E-CHECKPOINT,
            E-CHECKSUM, a checkpoint of another training or a damaged one.
        ParameterError: a name that is in no table, more processes than sessions in a batch, a trunk of another kind,
            width or depth.
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
    every, labelled = examples, [e for e in examples if np.isfinite(e.spans).any()]
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
    undescribed = [e for e in every if not len(e.notes)] if plan.self_training else []
    lessons = _Lessons(examples, vocabulary, undescribed, trunk)
    return _trained(model, lessons, device, (tell, journal or Journal()))


def fit_stored(
    stored: Sequence[StoredSession],
    plan: TrainingPlan | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
    *,
    held_bytes: int = HELD_BYTES,
    trunk: Trunk | None = None,
) -> Coordination:
    """The same from sessions whose frames are stored: memory holds the notes of all, and the frames of some.

    The model is that of ``fit_coordination`` for the same sessions, plan and hop, to the byte, up to 256 sessions; of
    more, the confidence is measured on a quarter of about 256, people evenly picked, and the rest are all learned from.

    Args:
        stored: of one hop, with true spans; a session with notes alone cannot be learned from in this way, as its
            notes have to be placed in all sessions at once.
        plan, progress, journal: as for ``fit_coordination``; the plan's hop is that of the frames, or None.
        held_bytes: of whole examples that are kept in memory from one step to the next.
        trunk: as for ``fit_coordination``.

    Raises:
        InputError: E-SHARDS, frames of several hops, or notes without true spans; as ``fit_coordination``.
        ParameterError: as ``fit_coordination``; a hop that is not that of the frames; self-training.
    """
    plan = plan or TrainingPlan()
    if plan.self_training:
        raise ParameterError(
            "self_training", plan.self_training, "0: stored sessions have true spans, all of them"
        )
    tell, device, encoder = progress or _silent, choose_device(plan.device), text_encoder(plan.encoder)
    if len({s.hop for s in stored}) > 1:
        raise InputError("E-SHARDS", "stored frames of several hops", hint="store all with one --hop")
    rows = [usable_notes(s.told) for s in stored]
    vocabulary = make_vocabulary([row for r in rows for row in r], encoder)
    layout = fit_layout(StoredFrames(stored))
    if plan.hop not in (None, layout.hop):
        raise ParameterError("hop", plan.hop, f"{layout.hop:g}, that of the stored frames, or none")
    examples = streamed_examples(stored, layout, vocabulary, held_bytes)
    labelled = [e for e in examples if np.isfinite(e.spans).any()]
    if any(len(e.notes) and not np.isfinite(e.spans).any() for e in examples):
        raise InputError(
            "E-SHARDS",
            f"{sum(len(e.notes) > 0 for e in examples) - len(labelled)} stored sessions have notes and no true span",
            hint="store them with true spans, or train on the session folders themselves",
        )
    model = Coordination.empty(layout, plan, encoder).with_provenance(
        stored_provenance(stored, labelled, len({e.group for e in examples}), len(vocabulary.texts))
    )
    model = model.with_durations(_durations_of_spans(labelled, vocabulary, layout.hop))
    lag = note_lag([s.told for s in stored])
    model = model if lag is None else model.with_times(*lag, reach=1.0)
    return _trained(model, _Lessons(labelled, vocabulary, trunk=trunk), device, (tell, journal or Journal()))


@dataclass(frozen=True, slots=True, eq=False)
class _Lessons:
    """What a network learns from: examples and their texts; sessions without notes, from which it teaches itself;
    and where it starts."""

    examples: Sequence[Example]
    vocabulary: Vocabulary
    undescribed: Sequence[Example] = ()
    trunk: Trunk | None = None


def _trained(
    model: Coordination, lessons: _Lessons, device: torch.device, told: tuple[Progress, Journal]
) -> Coordination:
    """The model with a network and how sure it may be: measured on people held out, then all are learned from.

    The network of the people held out teaches itself, too, so that nothing of these people comes to it by way of
    sessions without notes.
    """
    plan, (tell, journal) = model.plan, told
    examples, vocabulary, undescribed = lessons.examples, lessons.vocabulary, lessons.undescribed
    measured = _some_people(examples)
    epochs = plan.epochs
    lasting = np.exp(model.durations.of(vocabulary.vectors)[:, 0])
    soft = any(e.soft is not None for e in measured)
    with joined(device) as world, threads_for(plan.width):
        if plan.batch < world.size:
            raise ParameterError("batch", plan.batch, f"at least {world.size}, a session for every process")

        def train(on: Sequence[Example], seed: int) -> Coordinator:
            nonlocal epochs
            kept = {id(e) for e in on}
            left_out = [e for e in measured if id(e) not in kept]
            outside = {id(e) for e in left_out}
            learned = [e for e in examples if id(e) not in outside]
            name = "held-out" if left_out else "final"
            lesson = Lesson(name, learned, left_out, vocabulary, model.layout, epochs, seed, lessons.trunk)
            fitted = fit_network(lesson, plan, device, world, journal, tell)
            epochs = fitted.epochs  # as many as were best for people held out
            for again in range(plan.self_training if undescribed else 0):
                sure = pseudo_labelled(fitted.network, undescribed, vocabulary, lasting, seed, soft=soft)
                lesson = dataclasses.replace(lesson, name=f"{name}-{again + 2}", examples=[*learned, *sure])
                fitted = fit_network(lesson, plan, device, world, journal, tell)
            return fitted.network

        sure = fit_confidence(measured, vocabulary, model, train)
        model = model.with_confidence(sure.nothing, sure.calibration, sure.captions, sure.foreground)
        model = model.with_familiar(fit_familiar((e.inputs for e in examples), model.layout))
        network = train(measured, plan.seed)
        projected = network.text.projected(vocabulary.vectors)
        durations, wrote = model.durations.of(vocabulary.vectors), writers(examples, vocabulary)
        return model.with_network(network, sure.sharpness, fit_heard(projected, durations, wrote))


def _some_people(examples: Sequence[Example]) -> Sequence[Example]:
    """All examples, or where they are stored and many those of some people, evenly picked: what is held out of these
    is compared in memory."""
    if len(examples) <= _MOST_MEASURED or not isinstance(examples[0], StreamedExample):
        return examples
    groups = sorted({e.group for e in examples})
    n = max(2, round(len(groups) * _MOST_MEASURED / len(examples)))
    chosen = {groups[k] for k in np.linspace(0, len(groups) - 1, min(n, len(groups))).astype(int)}
    return [e for e in examples if e.group in chosen]


def _common_hop(sessions: Sequence[Session], rows: Sequence[Sequence[object]]) -> float:
    """About half of the natural hop of a usual session; a beat's length at least where all that is heard is a heart."""
    lengths = [s.end - s.start for s, r in zip(sessions, rows, strict=True) if r]
    hearts = all(ecg_channels(stream) for session in sessions for stream in session.streams)
    usual = float(np.median([len(r) for r in rows if r]))
    hop = natural_hop(float(np.median(lengths)), _FINER * usual)
    return max(hop, BEAT_S) if hearts else hop


def _durations_of_spans(examples: Sequence[Example], vocabulary: Vocabulary, hop: float) -> DurationModel:
    notes = np.concatenate([e.notes for e in examples])
    spans = np.concatenate([e.spans for e in examples])
    seconds = (spans[:, 1] - spans[:, 0]) * hop
    known = np.isfinite(seconds) & (seconds > 0)
    return fit_durations(vocabulary.vectors[notes[known]], seconds[known])


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
