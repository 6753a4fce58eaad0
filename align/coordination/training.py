"""One training, read top to bottom: a network from its first step to its last, or on from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from align.coordination.inputs.examples import Example, Vocabulary
from align.coordination.inputs.layout import Layout
from align.coordination.loop.checkpoints import TrainingState, identity
from align.coordination.loop.device import memory_counted, reproducible
from align.coordination.loop.distributed import World
from align.coordination.loop.journal import PARTS, Journal
from align.coordination.loop.schedule import Schedule, seed_of
from align.coordination.losses.batch_loss import BatchLoss, Piece
from align.coordination.network.augment import augmented, time_warp
from align.coordination.network.encoders import Coordinator, start_trunk
from align.coordination.plan import TrainingPlan
from align.coordination.saved.bundle import new_coordinator
from align.coordination.streaming import stand_in
from align.errors import InputError

__all__ = ["Fitted", "Lesson", "Progress", "Trunk", "fit_network"]

Progress = Callable[[str, int, int], None]
Trunk = Mapping[str, torch.Tensor]
_LONGEST_GRADIENT = 1.0  # steeper ones are shortened to it


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What one network learns from.

    Attributes:
        name: "held-out" (some people are kept back, to learn how sure to be) or "final".
        examples: to learn from, at least one.
        held: of the people kept back; their loss is looked at, never learned from.
        vocabulary: the training texts.
        layout: of the model.
        epochs: passes to make, at most the plan's.
        seed: of weights, order and dropout.
        trunk: what the stream encoder starts from between entry and heads, as ``trunk_state`` gives it, or None.
    """

    name: str
    examples: Sequence[Example]
    held: Sequence[Example]
    vocabulary: Vocabulary
    layout: Layout
    epochs: int
    seed: int
    trunk: Trunk | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained network, on the CPU in evaluation mode, and the passes that made it."""

    network: Coordinator
    epochs: int


def fit_network(
    lesson: Lesson, plan: TrainingPlan, device: torch.device, world: World, journal: Journal, tell: Progress
) -> Fitted:
    """Train the two encoders.

    Args:
        lesson: what to learn from.
        plan: how.
        device: to train on.
        world: the processes that train together.
        journal: gets the lines and the checkpoints; a checkpoint that it has is where training goes on.
        tell: called as ``tell("training", epochs done, epochs)``.

    Raises:
        InputError: E-TRAIN-DEGENERATE, loss or gradient are not finite; E-CHECKPOINT, E-CHECKSUM.
        ParameterError: a trunk of another kind, width or depth.
        ResourceError: E-DEVICE-MEMORY.
    """
    schedule = Schedule(len(lesson.examples), plan.batch, plan.epochs, plan.learning_rate, lesson.seed)
    with reproducible(device, lesson.seed):
        state, judge = _begun(lesson, plan, device, world)
        known_by = [stand_in(e) for e in lesson.examples]
        training = identity(lesson.name, plan, lesson.seed, known_by, lesson.vocabulary, lesson.trunk or {})
        _resume(state, journal, lesson.name, training)
        while state.step < lesson.epochs * schedule.per_epoch and not _is_over(state, plan.patience):
            began, step = time.perf_counter(), state.step
            torch.manual_seed(seed_of(lesson.seed, step, world.rank))
            chosen = list(schedule.examples(step))[world.rank :: world.size]
            pieces = [_piece(lesson, i, plan, np.random.default_rng((lesson.seed, step, i))) for i in chosen]
            for group in state.optimiser.param_groups:
                group["lr"] = schedule.learning_rate(step)
                group["betas"] = (schedule.momentum(step), 0.999)
            with memory_counted():
                parts = _step(state, pieces, world)
            _averaged(state, plan.average)
            state.count(parts, len(chosen), sum(len(p[0]) for p in pieces), time.perf_counter() - began)
            if schedule.ends_epoch(step):
                _end_epoch(state, lesson, judge, schedule, journal)
                tell("training", schedule.epoch(step) + 1, lesson.epochs)
            state.step += 1
            if journal.every and world.rank == 0 and state.step % journal.every == 0:
                journal.keep(lesson.name, state.as_bytes(training))
        if journal.every and world.rank == 0 and state.step % journal.every:
            journal.keep(lesson.name, state.as_bytes(training))
        return _fitted(state, lesson, plan)


def _begun(
    lesson: Lesson, plan: TrainingPlan, device: torch.device, world: World
) -> tuple[TrainingState, BatchLoss | None]:
    """The training before its first step, and what judges it on the people kept back."""
    texts = lesson.vocabulary
    coordinator = new_coordinator(lesson.layout, plan, texts.vectors.shape[1])
    if lesson.trunk is not None:
        start_trunk(coordinator.stream, lesson.trunk)
    coordinator = coordinator.to(device)
    batch_loss = BatchLoss(coordinator, texts, lesson.examples, plan, world).to(device).train()
    optimiser = torch.optim.AdamW(
        batch_loss.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    state = TrainingState(batch_loss, optimiser)
    if plan.average > 0:
        state.average = {k: v.detach().clone() for k, v in coordinator.state_dict().items()}
    if plan.compiled and device.type == "cuda":  # on a processor it costs minutes and gains nothing
        coordinator.stream.compile(dynamic=True)
    if not lesson.held:
        return state, None
    other = new_coordinator(lesson.layout, plan, texts.vectors.shape[1])
    return state, BatchLoss(other, texts, lesson.examples, plan, World()).to(device).eval()


def _resume(state: TrainingState, journal: Journal, name: str, training: str) -> None:
    data = journal.kept(name)
    if data is not None:
        state.resume(data, training)
        for line in state.lines:
            journal.line(line)


def _step(state: TrainingState, pieces: Sequence[Piece], world: World) -> list[float]:
    """Forward, backward, all processes' gradients, one step down; returns the loss by ``PARTS``."""
    parts = state.batch_loss(pieces)
    state.optimiser.zero_grad(set_to_none=True)
    loss = torch.stack(list(parts.values())).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = list(state.batch_loss.parameters())
    world.average_gradients(parameters)
    steepness = torch.nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT)
    values = [float(parts[name].detach()) if name in parts else 0.0 for name in PARTS]
    *seen, steepest = world.mean([*values, float(steepness)])
    if not np.isfinite([*seen, steepest]).all():
        raise InputError(
            "E-TRAIN-DEGENERATE",
            f"the loss is not finite in step {state.step + 1}",
            hint="use a lower training.learning_rate; the last checkpoint is from before this step",
        )
    state.optimiser.step()
    return seen


def _piece(lesson: Lesson, index: int, plan: TrainingPlan, rng: np.random.Generator) -> Piece:
    """An example cut at random to ``plan.longest`` frames, and augmented as the plan says."""
    example = lesson.examples[index]
    n = len(example.inputs)
    start = 0 if n <= plan.longest else int(rng.integers(n - plan.longest + 1))
    rows = np.arange(start, min(n, start + plan.longest))
    if "time-warp" in plan.augment:
        rows = rows[time_warp(len(rows), rng)]
    inputs = augmented(example.inputs[rows], lesson.layout, rng, plan)
    soft = None if example.soft is None else example.soft[rows]
    return inputs, example.target[rows], soft, example.notes


def _averaged(state: TrainingState, decay: float) -> None:
    """One step of the running average, which starts short so that the first weights are soon forgotten."""
    if state.average is None:
        return
    share = 1.0 - min(decay, (1.0 + state.step) / (10.0 + state.step))
    with torch.no_grad():
        for name, now in state.batch_loss.coordinator.state_dict().items():
            state.average[name].lerp_(now, share)


def _end_epoch(
    state: TrainingState, lesson: Lesson, judge: BatchLoss | None, schedule: Schedule, journal: Journal
) -> None:
    """Look at the people kept back, remember the best epoch, write the line."""
    epoch, held_out = schedule.epoch(state.step) + 1, None
    if judge is not None:
        judge.coordinator.load_state_dict(state.kept_weights())
        held_out = _held_out_loss(judge, lesson.held, schedule.batch)
        if held_out < state.best_score:
            state.best_score, state.best_epoch = held_out, epoch
            state.best = {k: v.detach().clone() for k, v in state.kept_weights().items()}
    line = {
        "training": lesson.name,
        "epoch": epoch,
        "epochs": lesson.epochs,
        "step": state.step + 1,
        "learning_rate": schedule.learning_rate(state.step),
        "held_out": held_out,
        **state.end_epoch(),
    }
    state.lines.append(line)
    journal.line(line)


@torch.inference_mode()
def _held_out_loss(judge: BatchLoss, held: Sequence[Example], batch: int) -> float:
    """Mean over the frames of people kept back, of what every frame costs against the texts and "nothing"."""
    total = frames = 0.0
    for start in range(0, len(held), batch):
        pieces = [(e.inputs, e.target, e.soft, e.notes) for e in held[start : start + batch]]
        parts = judge(pieces)
        n_frames = sum(len(p[0]) for p in pieces)
        total += n_frames * sum(float(parts[name]) for name in ("frames", "soft") if name in parts)
        frames += n_frames
    return total / frames


def _is_over(state: TrainingState, patience: int | None) -> bool:
    """Has the loss on the people kept back not fallen for ``patience`` epochs?"""
    epochs_done = len(state.lines)
    return patience is not None and state.best is not None and epochs_done - state.best_epoch >= patience


def _fitted(state: TrainingState, lesson: Lesson, plan: TrainingPlan) -> Fitted:
    """The best weights where people kept back chose them, else the last, on the CPU."""
    chosen = state.best if plan.patience is not None and state.best is not None else None
    network = new_coordinator(lesson.layout, plan, lesson.vocabulary.vectors.shape[1])
    network.load_state_dict(chosen or state.kept_weights())
    return Fitted(network.eval(), state.best_epoch if chosen else lesson.epochs)
