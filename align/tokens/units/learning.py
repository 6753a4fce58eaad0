"""Masked prediction, read top to bottom: a network from its first step to its last, or on from a checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from align.errors import InputError, ParameterError, ResourceError
from align.sealed import opened, sealed, under
from align.tokens.units.corpus import Table, Window, windows
from align.tokens.units.network import MaskedNetwork
from align.tokens.units.plan import Notes, Processes, UnitPlan

__all__ = ["Lesson", "masked_accuracy", "masked_learning", "steady"]

FORMAT = "align-units-checkpoint/1"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW
_LONGEST_GRADIENT = 1.0  # steeper ones are shortened to it
_RISING = 0.1  # share of the steps in which the learning rate rises
_SMALL = 128  # width of a network that one thread trains as fast as several
_SCORING = 10**6  # the pass whose windows are scored; no training has that many
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What one network learns: the tokens ``codes`` i8 (n,) of every table's frames, as training ``name``.

    ``turn`` is the number of the round: what is drawn differs from round to round.
    """

    name: str
    turn: int
    tables: Sequence[Table]
    codes: Sequence[Ints]
    plan: UnitPlan


@dataclass(slots=True)
class _Sums:
    """Of an epoch so far: loss and right guesses by masked frames, and how often each token was masked."""

    loss: float = 0.0
    right: float = 0.0
    count: float = 0.0


@dataclass(slots=True, eq=False)
class _State:
    """All that a training is between two epochs or steps."""

    network: MaskedNetwork
    optimiser: torch.optim.AdamW
    step: int = 0
    sums: _Sums = field(default_factory=_Sums)
    lines: list[dict[str, object]] = field(default_factory=list)


class _Batch(NamedTuple):
    """Windows side by side: frames (batch, time, d), masked, seen (batch, time), codes (batch, time)."""

    frames: torch.Tensor
    masked: torch.Tensor
    seen: torch.Tensor
    codes: torch.Tensor


def masked_learning(
    network: MaskedNetwork, lesson: Lesson, device: torch.device, world: Processes, notes: Notes
) -> list[dict[str, object]]:
    """Train a network to say the tokens of masked frames from their context.

    Minimises the mean over masked frames of minus the log probability of their token (the frames that are not
    masked do not count), by AdamW, whose learning rate rises for a tenth of the steps and falls to 0.

    Args:
        network: changed in place; on ``device`` and in evaluation mode afterwards.
        lesson: frames, their tokens and the plan.
        device: to train on.
        world: the processes that train together.
        notes: gets a line an epoch and the checkpoints; a checkpoint that it has is where training goes on.

    Returns:
        The lines, one an epoch.

    Raises:
        InputError: E-TRAIN-DEGENERATE, the loss is not finite; E-CHECKPOINT, E-CHECKSUM.
        ParameterError: fewer windows in a batch than processes.
        ResourceError: E-DEVICE-MEMORY.

    Reference: Hsu et al. 2021, HuBERT, equations 1 and 2 with alpha = 1. Departure: a linear layer in place of the
    cosine with learned code embeddings.
    """
    plan = lesson.plan
    if plan.batch < world.size:
        raise ParameterError("batch", plan.batch, f"at least {world.size}, a window for every process")
    with steady(device, plan):
        network.to(device).train()
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        state = _State(network, optimiser)
        training = _identity(lesson, network)
        data = notes.kept(lesson.name)
        if data is not None:
            _resume(state, data, training)
            for line in state.lines:
                notes.line(line)
        if plan.compiled and device.type == "cuda":
            network.compile(dynamic=False)
        unigram = _unigram(lesson.codes, lesson.tables)
        while len(state.lines) < plan.epochs:
            _epoch(state, lesson, device, world, (notes, training))
            seen = state.sums
            line = {
                "training": lesson.name,
                "epoch": len(state.lines) + 1,
                "loss": seen.loss / seen.count,
                "accuracy": seen.right / seen.count,
                "unigram": unigram,
            }
            state.lines.append(line)
            state.sums = _Sums()
            notes.line(line)
        if notes.every and world.rank == 0:
            notes.keep(lesson.name, _as_bytes(state, training))
        network.eval()
        return state.lines


def _epoch(
    state: _State, lesson: Lesson, device: torch.device, world: Processes, keeper: tuple[Notes, str]
) -> None:
    """One pass over all windows, or what is left of it."""
    plan, (notes, training) = lesson.plan, keeper
    order = windows(lesson.tables, plan, (lesson.turn, len(state.lines)))
    steps = -(-len(order) // plan.batch)
    while state.step < (len(state.lines) + 1) * _steps_of(lesson):
        k = state.step % _steps_of(lesson)
        chosen = order[k * plan.batch : (k + 1) * plan.batch] if k < steps else []
        torch.manual_seed((plan.seed * 1_000_003 + lesson.turn * 7919 + state.step * 64 + world.rank) % 2**63)
        for group in state.optimiser.param_groups:
            group["lr"] = plan.learning_rate * _rate(state.step, plan.epochs * _steps_of(lesson))
        if chosen:
            _step(state, _batch(lesson, chosen[world.rank :: world.size], device), world, plan)
        state.step += 1
        if notes.every and world.rank == 0 and state.step % notes.every == 0:
            notes.keep(lesson.name, _as_bytes(state, training))


def _steps_of(lesson: Lesson) -> int:
    """Steps of an epoch: enough for the most windows that a random beginning makes."""
    most = sum(
        -(-len(t.rows) // lesson.plan.window) + (len(t.rows) > lesson.plan.window) for t in lesson.tables
    )
    return -(-most // lesson.plan.batch)


def _rate(step: int, steps: int) -> float:
    """Share of the highest learning rate."""
    rising = max(1, int(_RISING * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


def _step(state: _State, batch: _Batch, world: Processes, plan: UnitPlan) -> None:
    """Forward, backward, all processes' gradients, one step down."""
    wanted = batch.masked & batch.seen
    count = int(wanted.sum())
    try:
        with _autocast(batch.frames.device, plan.precision):
            logits = state.network(batch.frames, batch.masked, batch.seen)
        chosen = logits.float()[wanted]
        loss = F.cross_entropy(chosen, batch.codes[wanted], reduction="sum") / max(1, count)
        state.optimiser.zero_grad(set_to_none=True)
        (world.weight(count) * loss).backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            "E-DEVICE-MEMORY", "the device ran out of memory", hint="use a smaller batch or window"
        ) from error
    parameters = list(state.network.parameters())
    world.average_gradients(parameters)
    steepness = torch.nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT)
    right = int((chosen.argmax(dim=-1) == batch.codes[wanted]).sum())
    lost, hits, number, steepest = world.mean([float(loss.detach()) * count, right, count, float(steepness)])
    if not np.isfinite([lost, steepest]).all():
        raise InputError(
            "E-TRAIN-DEGENERATE",
            f"the loss of the units is not finite in step {state.step + 1}",
            hint="use a lower learning_rate; the last checkpoint is from before this step",
        )
    state.optimiser.step()
    state.sums = _Sums(state.sums.loss + lost, state.sums.right + hits, state.sums.count + number)


def _batch(lesson: Lesson, chosen: Sequence[Window], device: torch.device) -> _Batch:
    """Windows side by side, padded behind with frames that were not seen; without windows one of padding."""
    shape = (max(1, len(chosen)), lesson.plan.window)
    frames = np.zeros((*shape, lesson.tables[0].rows.shape[1]), np.float32)
    masked, seen, codes = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_), np.zeros(shape, np.int64)
    for i, window in enumerate(chosen):
        n, rows = window.last - window.first, slice(window.first, window.last)
        table = lesson.tables[window.recording]
        frames[i, :n], seen[i, :n] = table.rows[rows], table.seen[rows]
        masked[i, :n], codes[i, :n] = window.masked, lesson.codes[window.recording][rows]
    return _Batch(*(torch.from_numpy(a).to(device) for a in (frames, masked, seen, codes)))


@torch.inference_mode()
def masked_accuracy(network: MaskedNetwork, lesson: Lesson) -> tuple[float, float]:
    """How often masked frames' tokens are guessed, on masks that no training saw, and the unigram's share.

    Args:
        network: trained, on the CPU.
        lesson: frames and their tokens: recordings that were learned from, or others.

    Returns:
        ``(accuracy, unigram)`` in [0, 1]: the latter is what always saying the commonest token of these frames
        reaches.
    """
    network.eval()
    right = count = 0
    for window in windows(lesson.tables, lesson.plan, (lesson.turn, _SCORING)):
        batch = _batch(lesson, [window], torch.device("cpu"))
        wanted = batch.masked & batch.seen
        guess = network(batch.frames, batch.masked, batch.seen).argmax(dim=-1)
        right += int((guess == batch.codes)[wanted].sum())
        count += int(wanted.sum())
    return right / max(1, count), _unigram(lesson.codes, lesson.tables)


def _unigram(codes: Sequence[Ints], tables: Sequence[Table]) -> float:
    """Share of the commonest token among the frames that were seen."""
    counts = np.bincount(np.concatenate([c[t.seen] for c, t in zip(codes, tables, strict=True)]))
    return float(counts.max() / counts.sum())


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    can = device.type == "cuda" and torch.cuda.is_bf16_supported()
    half = precision == "bfloat16" or (precision == "auto" and can)
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


@contextmanager
def steady(device: torch.device, plan: UnitPlan) -> Iterator[None]:
    """The same numbers every time on the same device: own random state, one thread where the network is small.

    Args:
        device: that computes.
        plan: its seed and width.
    """
    is_cuda = device.type == "cuda"
    if is_cuda:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    with torch.random.fork_rng([device] if is_cuda else []):
        torch.manual_seed(plan.seed)
        torch.set_num_threads(1 if plan.width <= _SMALL else threads)
        if is_cuda:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.set_num_threads(threads)


def _identity(lesson: Lesson, network: MaskedNetwork) -> str:
    """SHA-256 of all that decides what a training does, but for the device and the number of processes."""
    settings = [FORMAT, lesson.name, lesson.turn, dataclasses.asdict(lesson.plan)]
    hashed = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    hashed.update(json.dumps([[k, list(v.shape)] for k, v in network.state_dict().items()]).encode())
    for table, codes in zip(lesson.tables, lesson.codes, strict=True):
        for array in (table.rows, table.seen, codes):
            hashed.update(f"{array.dtype} {array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def _as_bytes(state: _State, training: str) -> bytes:
    tensors = {f"weight.{k}": v for k, v in state.network.state_dict().items()}
    for i, parameter in enumerate(state.network.parameters()):
        moments = state.optimiser.state.get(parameter, {})
        tensors |= {f"{name}.{i}": moments[name] for name in _MOMENTS if name in moments}
    about = {"format": FORMAT, "training": training, "step": state.step, "lines": state.lines}
    about |= {"sums": dataclasses.astuple(state.sums)}
    return sealed(about, {k: v.detach().cpu().contiguous().numpy() for k, v in tensors.items()})


def _resume(state: _State, data: bytes, training: str) -> None:
    about, arrays = opened(data, "the checkpoint", "start anew without it")
    if about.get("format") != FORMAT or about.get("training") != training:
        raise InputError(
            "E-CHECKPOINT",
            "the checkpoint is of another training: other recordings, settings or version",
            hint="give what it was started with, or start anew",
        )
    tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
    state.network.load_state_dict(under("weight.", tensors))
    for i, parameter in enumerate(state.network.parameters()):
        moments = {name: tensors[f"{name}.{i}"] for name in _MOMENTS if f"{name}.{i}" in tensors}
        if moments:
            state.optimiser.state[parameter] = {
                k: v if k == "step" else v.to(parameter.device) for k, v in moments.items()
            }
    state.step, state.lines, state.sums = about["step"], about["lines"], _Sums(*about["sums"])
