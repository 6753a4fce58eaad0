"""Learning to coordinate streams and notes: the whole story from sessions to a model, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F

from align.coordination.bundle import Coordination
from align.coordination.device import choose_device, threads_for
from align.coordination.durations import DurationModel, fit_durations
from align.coordination.encoders import Coordinator, StreamEncoder, TextProjection
from align.coordination.examples import (
    NOTHING,
    UNKNOWN,
    Example,
    Vocabulary,
    make_vocabulary,
    people_apart,
    span_example,
    usable_notes,
)
from align.coordination.lags import note_lag
from align.coordination.layout import fit_layout, session_table
from align.coordination.losses import multi_positive_nce, soft_frame_loss, symmetric_nce
from align.coordination.plan import TrainingPlan
from align.coordination.sharpness import fit_confidence
from align.coordination.weak import learn_weakly
from align.datatypes import Session
from align.errors import InputError, ResourceError
from align.features.frames import natural_hop
from align.text.choose import text_encoder

__all__ = ["fit_coordination", "fit_network"]

Progress = Callable[[str, int, int], None]
_SEGMENT_WEIGHT = 0.5  # of the span-to-text loss beside the frame loss
_LEAST_SHARE = 1.0  # frames: no text is taken to be rarer


def fit_coordination(
    sessions: Sequence[Session], plan: TrainingPlan | None = None, progress: Progress | None = None
) -> Coordination:
    """Learn encoders of streams and notes that agree, from true spans or from note times alone.

    A session with ``truth`` teaches by its spans; one without by its notes: by their times where they have
    any, else by their order (expectation-maximisation with the matching decoder, ``weak.py``).

    Args:
        sessions: of one layout (stream names and channels); a session may lack a stream.
        plan: settings; default ``TrainingPlan()``.
        progress: called as ``progress(stage, done, total)``.

    Raises:
        InputError: E-TOO-FEW-PAIRS, E-MODEL-CHANNELS; E-TRAIN-DEGENERATE, the loss is not finite.
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
        tables.append(session_table(session, hop))
        tell("features", i + 1, len(sessions))
    layout = fit_layout(tables)
    examples = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    examples = people_apart(examples, [s.name for s in sessions])
    labelled = [e for e in examples if np.isfinite(e.spans).any()]
    times = [[note for note, _ in r] for r in rows]
    weak = [(e, n) for e, n in zip(examples, times, strict=True) if not np.isfinite(e.spans).any() and n]

    def train(on: Sequence[Example], seed: int) -> Coordinator:
        with threads_for(plan.width):
            return fit_network(on, vocabulary, plan, seed, device, tell)

    model = Coordination.empty(layout, plan, encoder)
    if labelled:
        model = model.with_durations(_durations_of_spans(labelled, vocabulary, hop))
        lag = note_lag(sessions)
        model = model if lag is None else model.with_times(*lag, reach=1.0)
        examples = labelled
    if weak:
        examples, model = learn_weakly(labelled, weak, vocabulary, model)
    sure = fit_confidence(examples, vocabulary, model, train)
    model = model.with_confidence(sure.nothing, sure.calibration)
    return model.with_network(train(examples, plan.seed), sure.sharpness)


def fit_network(
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    plan: TrainingPlan,
    seed: int,
    device: torch.device,
    tell: Progress,
) -> Coordinator:
    """Train the two encoders on examples; returns them on the CPU in evaluation mode."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    stream = StreamEncoder(
        examples[0].inputs.shape[1], plan.width, plan.dimension, plan.dilations, plan.dropout
    )
    coordinator = Coordinator(stream, TextProjection(vocabulary.vectors.shape[1], plan.dimension)).to(device)
    texts = torch.from_numpy(vocabulary.vectors).to(device)
    same = torch.from_numpy(vocabulary.same).to(device)
    optimiser = torch.optim.AdamW(
        coordinator.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    usual = torch.from_numpy(_log_shares(examples, len(texts))).to(device)
    per_epoch = math.ceil(len(examples) / plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=plan.epochs * per_epoch, pct_start=0.2
    )
    coordinator.train()
    for epoch in range(plan.epochs):
        order = rng.permutation(len(examples))
        for start in range(0, len(order), plan.batch):
            batch = [examples[i] for i in order[start : start + plan.batch]]
            with _memory_counted():
                loss = _loss(coordinator, batch, texts, same, usual, (plan.longest, rng))
                if not bool(torch.isfinite(loss)):
                    raise InputError("E-TRAIN-DEGENERATE", f"the loss is not finite in epoch {epoch}")
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(coordinator.parameters(), 1.0)
                optimiser.step()
            schedule.step()
        tell("training", epoch + 1, plan.epochs)
    return coordinator.cpu().eval()


@contextmanager
def _memory_counted() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            "E-DEVICE-MEMORY", "the device ran out of memory", hint="use a smaller batch or --device cpu"
        ) from error


def _loss(
    coordinator: Coordinator,
    batch: Sequence[Example],
    texts: torch.Tensor,
    same: torch.Tensor,
    usual: torch.Tensor,
    cut: tuple[int, np.random.Generator],
) -> torch.Tensor:
    """Frames against all texts and "nothing", and spans against one another's texts."""
    device, n_texts = texts.device, len(texts)
    pieces = [_piece(example, *cut) for example in batch]
    length = max(len(p[0]) for p in pieces)
    inputs = torch.zeros(len(pieces), length, pieces[0][0].shape[1])
    target = torch.full((len(pieces), length), UNKNOWN)
    for i, (x, y, _) in enumerate(pieces):
        inputs[i, : len(x)] = torch.from_numpy(x)
        target[i, : len(y)] = torch.from_numpy(y)
    target = target.to(device)
    logits, embedded = coordinator(inputs.to(device), texts)
    loss = embedded.new_zeros(())
    counted = target >= NOTHING
    if bool(counted.any()):
        flat = target[counted]
        positive = torch.zeros(len(flat), n_texts + 1, dtype=torch.bool, device=device)
        named = flat >= 0
        positive[named, :n_texts] = same[flat[named]]
        positive[~named, n_texts] = True
        loss = loss + multi_positive_nce(logits[counted], positive)
    spans = [
        (F.normalize(embedded[i, a:b].mean(0), dim=0), text)
        for i, (_, y, soft) in enumerate(pieces)
        if soft is None
        for a, b, text in _stretches(y)
    ]
    if len(spans) > 1:
        index = torch.tensor([text for _, text in spans], device=device)
        pooled = torch.stack([vector for vector, _ in spans])
        together = same[index][:, index]
        named_texts = coordinator.text(texts)[index]
        loss = loss + _SEGMENT_WEIGHT * symmetric_nce(pooled, named_texts, together, coordinator.scale)
    for i, (_, _, soft) in enumerate(pieces):
        if soft is not None:
            wanted = _spread(torch.from_numpy(soft).to(device), batch[i].notes, n_texts)
            loss = loss + soft_frame_loss(logits[i, : len(soft)] + usual, wanted) / len(pieces)
    return loss


def _log_shares(examples: Sequence[Example], n_texts: int) -> np.ndarray:
    """(n_texts + 1,) log share of the time that each text and "nothing" takes in the soft targets.

    Added to the logits in training, so that these learn ``log p(frame | text)`` whatever the share of a text or
    the number of its paraphrases. Reference: logit adjustment, Menon et al., arXiv 2007.07314, equation 10.
    """
    shares = np.full(n_texts + 1, _LEAST_SHARE)
    for example in examples:
        if example.soft is not None:
            np.add.at(shares, np.append(example.notes, n_texts), example.soft.sum(axis=0, dtype=np.float64))
    return np.log(shares / shares.sum()).astype(np.float32)


def _spread(soft: torch.Tensor, notes: np.ndarray, n_texts: int) -> torch.Tensor:
    """(n_frames, n_notes + 1) per note -> (n_frames, n_texts + 1) per text."""
    columns = torch.from_numpy(np.append(notes, n_texts)).to(soft.device)
    return torch.zeros(len(soft), n_texts + 1, device=soft.device).index_add_(1, columns, soft)


def _piece(
    example: Example, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Inputs, targets and soft targets of one example, cut at random to ``longest`` frames."""
    n = len(example.inputs)
    start = 0 if n <= longest else int(rng.integers(n - longest + 1))
    part = slice(start, start + longest)
    soft = None if example.soft is None else example.soft[part]
    return example.inputs[part], example.target[part], soft


def _stretches(target: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, end, text) of every stretch of one text."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(target)) + 1, [len(target)]])
    return [(int(a), int(b), int(target[a])) for a, b in pairwise(edges) if target[a] >= 0]


def _common_hop(sessions: Sequence[Session], rows: Sequence[Sequence[object]]) -> float:
    lengths = [s.end - s.start for s, r in zip(sessions, rows, strict=True) if r]
    numbers = [len(r) for r in rows if r]
    return natural_hop(float(np.median(lengths)), float(np.median(numbers)))


def _durations_of_spans(examples: Sequence[Example], vocabulary: Vocabulary, hop: float) -> DurationModel:
    notes = np.concatenate([e.notes for e in examples])
    spans = np.concatenate([e.spans for e in examples])
    seconds = (spans[:, 1] - spans[:, 0]) * hop
    known = np.isfinite(seconds) & (seconds > 0)
    return fit_durations(vocabulary.vectors[notes[known]], seconds[known])


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
