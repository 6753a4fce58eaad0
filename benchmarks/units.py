"""What unlabelled streams are worth: coordination from units learned by masked prediction, beside from scratch.

    python -m benchmarks.units [SET] [--people 1 2 5] [--folds 5] [--only 0] [--seeds 0 1 2] [--epochs 12]

SET is a folder of ALIGN_DATA (default ../shared/data): hapt, tug, digits, sounds. Folds are by person, as in
``benchmarks.alignment``. Units see the streams of all training people and none of their notes; the coordination then
learns from the true spans of so many of them, and aligns the untimed notes of the people left out. Three ways:

- "scratch": as ``align train`` does it.
- "trunk": the encoder's entry and trunk (``encoders.trunk_state``) are trained by masked prediction first, in the
  rounds of ``tokens.units``, and every network of the coordination starts from them.
- "stream": the encoder starts at random and reads one stream more: the contextual embedding of ``fit_units``, on its
  leading components.
All have the same settings; none was tuned here.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.network.encoders import StreamEncoder, stream_encoder
from align.datatypes import Session, Stream
from align.features.frames import frame_table, natural_hop
from align.metrics import pool
from align.tokens.units.corpus import centroids_of, codes_of, fit_scale, scaled_table
from align.tokens.units.learning import Lesson, masked_accuracy, masked_learning
from align.tokens.units.model import Units, fit_units
from align.tokens.units.network import MaskedNetwork
from align.tokens.units.plan import Alone, Notes, UnitPlan
from benchmarks.alignment import folds, read
from benchmarks.few_shot import of_people
from benchmarks.interleaved import machine
from pipelines.config import RunConfig
from pipelines.evaluate import align_sessions
from pipelines.settings import load_settings
from pipelines.train import plan_of, train_model

WAYS = ("scratch", "trunk", "stream")
Weights = dict[str, torch.Tensor]
_HEADS = ("embed.", "nothing.", "edges.")
_COMPONENTS = 16  # of the contextual embedding
_CPU = torch.device("cpu")


class Trunk(nn.Module):
    """What lies between the entry and the heads of a coordination encoder, as ``MaskedNetwork`` wants it."""

    def __init__(self, encoder: StreamEncoder) -> None:
        super().__init__()
        self.enter_norm, self.blocks, self.leave_norm = encoder.enter_norm, encoder.blocks, encoder.leave_norm

    def forward(self, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(batch, time, width) -> the same shape; the convolutions of the encoder know of no gaps."""
        hidden = self.enter_norm(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        return self.leave_norm(hidden)


def hop_of(sessions: Sequence[Session]) -> float:
    """Seconds per frame that the coordination would choose for all of these sessions."""
    length = np.median([s.end - s.start for s in sessions])
    return natural_hop(float(length), 2.0 * float(np.median([len(s.truth or ()) for s in sessions])))


def pretrained_trunk(train: Sequence[Session], hop: float, plan: UnitPlan) -> Weights:
    """Weights of an encoder without its heads, trained by masked prediction on unlabelled sessions."""
    coordination = dataclasses.replace(plan_of(RunConfig()), hop=hop)
    frames = [session_table(s, hop) for s in train]
    layout = fit_layout(frames)
    inputs = [model_inputs(t, layout) for t in frames]
    scale = fit_scale(inputs)
    tables = [scaled_table(x, scale) for x in inputs]
    tables = [
        dataclasses.replace(t, rows=x, seen=f.observed)
        for t, x, f in zip(tables, inputs, frames, strict=True)
    ]
    clustered = inputs
    weights: Weights = {}
    for turn in range(plan.rounds):
        centroids = centroids_of(clustered, plan.n_codes, plan.seed)
        codes = [codes_of(rows, centroids) for rows in clustered]
        torch.manual_seed(plan.seed + turn)
        encoder = stream_encoder(layout, coordination)
        assert isinstance(encoder, StreamEncoder)
        network = MaskedNetwork(encoder.enter, Trunk(encoder), coordination.width, len(centroids))
        lesson = Lesson(f"trunk {turn + 1}", turn, tables, codes, plan)
        masked_learning(network, lesson, _CPU, Alone(), Notes())
        reached, unigram = masked_accuracy(network, lesson)
        print(
            f"    trunk, round {turn + 1}: masked accuracy {reached:.3f}, unigram {unigram:.3f}", flush=True
        )
        with torch.inference_mode():
            clustered = [
                network.context(network.enter(torch.from_numpy(x)[None]), torch.ones(1, len(x)))[0].numpy()
                for x in inputs
            ]
        weights = {k: v.clone() for k, v in encoder.state_dict().items() if not k.startswith(_HEADS)}
    return weights


def rows_of(session: Session, hop: float) -> tuple[int, np.ndarray]:
    """The first frame's number and the frames of all streams side by side."""
    table = frame_table(session.streams, hop)
    return table.first, np.concatenate(table.blocks, axis=1)


def with_embedding(sessions: Sequence[Session], units: Units, hop: float, axes: np.ndarray) -> list[Session]:
    """Sessions with one stream more: the leading components of the contextual embedding."""
    out = []
    for session in sessions:
        first, rows = rows_of(session, hop)
        values = (units.embed(rows) @ axes).astype(np.float32)
        seen = np.flatnonzero(np.isfinite(values).all(axis=1))
        values = values[: seen[-1] + 1][seen[0] :]
        names = tuple(f"unit{i:02d}" for i in range(values.shape[1]))
        start = np.array([(first + seen[0]) * hop])
        stream = Stream(values, rate=1.0 / hop, name="units", channels=names, run_start=start)
        out.append(dataclasses.replace(session, streams=(*session.streams, stream)))
    return out


def leading_axes(units: Units, train: Sequence[Session], hop: float) -> np.ndarray:
    """(width, components): principal axes of the embeddings of the training sessions."""
    rows = np.concatenate([units.embed(rows_of(s, hop)[1]) for s in train])
    rows = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    _, vectors = np.linalg.eigh(np.cov(rows.T))
    return vectors[:, ::-1][:, :_COMPONENTS]


def unit_streams(
    train: Sequence[Session], test: Sequence[Session], hop: float, plan: UnitPlan
) -> tuple[list[Session], list[Session]]:
    """Training and test sessions with the embedding as one stream more, of units learned from training's streams."""
    rounds = fit_units([rows_of(s, hop)[1] for s in train], plan)
    held = [rows_of(s, hop)[1] for s in test]
    for turn, units in enumerate(rounds):
        reached, unigram = units.accuracy(held, rounds[turn - 1] if turn else None)
        print(f"    units, round {turn + 1}: held out {reached:.3f}, unigram {unigram:.3f}", flush=True)
    axes = leading_axes(rounds[-1], train, hop)
    return with_embedding(train, rounds[-1], hop, axes), with_embedding(test, rounds[-1], hop, axes)


def run_fold(
    train: Sequence[Session], test: Sequence[Session], options: argparse.Namespace
) -> Iterator[tuple[int, str, float]]:
    """(labelled people, way, mean IoU on the people left out)."""
    hop, began = hop_of(train), time.perf_counter()
    plan = UnitPlan(epochs=options.epochs)
    silent = [dataclasses.replace(s, notes=(), truth=None) for s in train]
    trunk = pretrained_trunk(silent, hop, plan) if "trunk" in options.ways else None
    print(f"  hop {hop:g} s: trunk in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    richer = unit_streams(train, test, hop, plan) if "stream" in options.ways else (train, test)
    print(f"  units in {time.perf_counter() - began:.0f} s", flush=True)
    for seed in options.seeds:
        settings = load_settings(options={"training.seed": seed, "features.hop": hop})
        for count in options.people:
            for way in options.ways:
                lessons, asked = richer if way == "stream" else (train, test)
                start = trunk if way == "trunk" else None
                model, seconds = train_model(of_people(lessons, count, seed), settings, trunk=start)
                iou = pool(align_sessions(asked, "contrastive", RunConfig(), model)).mean_iou
                print(f"  seed {seed}, {count} people, {way}: {iou:.3f} in {seconds:.0f} s", flush=True)
                yield count, way, iou


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="hapt", metavar="SET")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="+", default=[0], help="folds that are run, from 0")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=UnitPlan().epochs, help="of every round of the units")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sessions = read(Path(os.environ.get("ALIGN_DATA", "../shared/data")), options.name)
    found: dict[tuple[int, str], list[float]] = {}
    for fold, (train, test) in enumerate(folds(sessions, options.folds)):
        if fold in options.only:
            print(f"{options.name}, fold {fold}", flush=True)
            for count, way, iou in run_fold(train, test, options):
                found.setdefault((count, way), []).append(iou)
    print(f"\n| {options.name}, labelled people | {' | '.join(options.ways)} |")
    print(f"|{'---|' * (1 + len(options.ways))}")
    for count in options.people:
        cells = [f"{np.mean(found[count, w]):.3f} ± {np.std(found[count, w]):.3f}" for w in options.ways]
        print(f"| {count} | {' | '.join(cells)} |")
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
