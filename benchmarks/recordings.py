"""hapt: phone recordings whose truth are activities; boundary F1 within 1 s and Covering."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from align.datatypes import Segmentation, Session, Span, Stream
from benchmarks.accuracy import Answers, Series, data_folder, no_change, table
from benchmarks.interleaved import PEERS, peers_python, run_job

__all__ = ["show_hapt", "true_changes"]

Array = np.ndarray[Any, Any]
MARGIN_S = 1.0
ONE_BOUNDARY_S = 0.1  # an end and a start nearer than this are one boundary
CLASPY_EVERY = 2  # samples averaged for claspy, which is quadratic
CLASPY_MOST = 8  # recordings given to it


def true_changes(truth: Sequence[Span], rate: float, n_samples: int) -> Array:
    """Samples where a true span starts, or ends with no other starting there."""
    starts = np.array([s.start for s in truth])
    lone = [s.end for s in truth if np.abs(starts - s.end).min() > ONE_BOUNDARY_S]
    samples = np.unique(np.round(np.concatenate([starts, lone]) * rate).astype(np.int64))
    return samples[(samples > 0) & (samples < n_samples)]


def ours(name: str, cut: Callable[[Stream], Segmentation], streams: Sequence[Stream]) -> Answers:
    """One of our ways on every recording, in this process, after one call that compiles."""
    cut(streams[0])
    answers = Answers(name)
    for stream in streams:
        before = time.process_time()
        answers.changes.append(cut(stream).changes.tolist())
        answers.seconds.append(time.process_time() - before)
    return answers


def frames_for_kernel_cpd(stream: Stream) -> tuple[Array, Array]:
    """Frames of features, scaled robustly, and the sample at which each begins: what ours cuts, too."""
    from align.features import featurize
    from align.features.scaling import robust_scaled

    frames = featurize(stream)
    begins = np.round((frames.times() - stream.start) * stream.rate).astype(np.int64)
    return np.nan_to_num(robust_scaled(frames.values)).astype(np.float64), begins


def kernel_cpd(streams: Sequence[Stream], series: Sequence[Series], folder: Path) -> Answers:
    """ruptures.KernelCPD, linear, on the same frames as ours, told the true number of change points."""
    held = [frames_for_kernel_cpd(s) for s in streams]
    file = folder / "frames.npz"
    values, lengths = np.concatenate([v for v, _ in held]), [len(v) for v, _ in held]
    np.savez(file, values=values, lengths=lengths, n_bkps=[len(s.truth[0]) for s in series])
    job = {"library": "ruptures.KernelCPD", "cost": "l2", "min_size": 1, "signals": str(file)}
    found = run_job(PEERS, job)
    changes = [begins[c].tolist() for (_, begins), c in zip(held, found["changes"], strict=True)]
    return Answers("KernelCPD, frames, true number", changes, found["seconds"])


def claspy(streams: Sequence[Stream], folder: Path) -> Answers:
    """claspy's defaults on the length of the acceleration at half the rate."""
    short = []
    for stream in streams:
        whole = stream.n_samples // CLASPY_EVERY * CLASPY_EVERY
        length = np.linalg.norm(stream.values[:whole, :3], axis=1)
        short.append(length.reshape(-1, CLASPY_EVERY).mean(axis=1)[:, None])
    file = folder / "lengths.npz"
    np.savez(file, values=np.concatenate(short), lengths=[len(x) for x in short])
    found = run_job(PEERS, {"library": "claspy", "signals": str(file)})
    changes = [[CLASPY_EVERY * c for c in x] for x in found["changes"]]
    return Answers("claspy, one channel at 25 Hz", changes, found["seconds"])


def read_hapt(most: int) -> list[Session]:
    """The first recordings with their truth."""
    from align.readers import Policy, session_folders
    from pipelines.train import read_sessions

    folders = session_folders([data_folder() / "hapt"])[:most]
    return read_sessions(folders, notes_file="notes_untimed.txt", truth_file="truth.csv", policy=Policy())


def show_hapt(folder: Path, quick: bool, each: bool) -> None:
    """Ours with and without features beside KernelCPD, and beside claspy on the first recordings."""
    from align.errors import ParameterError
    from align.segmentation import segment, segment_frames

    sessions = read_hapt(4 if quick else 1000)
    streams = [session.streams[0] for session in sessions]
    series = [
        Series(
            x.name, s.values, (true_changes(x.truth or (), s.rate, s.n_samples),), round(MARGIN_S * s.rate)
        )
        for x, s in zip(sessions, streams, strict=True)
    ]
    methods = [
        ours("align features", segment_frames, streams),
        ours("align auto", segment, streams),
    ]
    try:
        methods.append(ours("align shape", lambda s: segment(s, method="shape"), streams))
    except ParameterError as error:
        methods.append(Answers("align shape", missing=str(error)))
    if peers_python() is not None:
        methods.append(kernel_cpd(streams, series, folder))
    methods.append(no_change(series))
    table(series, methods, f"F1 margin {MARGIN_S:g} s", each)
    if peers_python() is not None:
        few = min(CLASPY_MOST, len(series)) // (2 if quick else 1)
        same = [Answers(m.name, m.changes[:few], m.seconds[:few], m.missing) for m in methods]
        table(series[:few], [*same[:-1], claspy(streams[:few], folder), same[-1]], "the first of them", each)
