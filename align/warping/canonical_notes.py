"""Canonical time warping of notes: the baseline that needs no model and no table of words.

Stream frames and the notes' text embeddings are two series of different channels; canonical time warping
(``canonical``) finds where they correlate within this one recording. A note stands for as many rows as its
expected duration has frames.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Evidence, Link
from align.datatypes import Floats, Note, Session
from align.errors import ParameterError
from align.features.frames import FrameTable, frame_table
from align.features.scaling import robust_scaled
from align.matching.matcher import evidence_of
from align.matching.placeable import split_notes
from align.warping.baseline import Pieces, place_pieces
from align.warping.canonical import CanonicalWarp, canonical_warp

__all__ = ["ctw_evidence", "ctw_session"]

Indices = npt.NDArray[np.int64]
N_COMPONENTS = 8  # most, of the common space: a recording has few kinds of things
REGULARISATION = 3.0  # so much, because a recording has far more channels than notes
ITERATIONS = 20


def ctw_session(session: Session, *, encoder: str = "auto") -> Alignment:
    """Canonical time warping of a session's frames onto its notes, without any model.

    Args:
        session: streams and notes on one clock.
        encoder: text encoder of the notes, as in ``align.text.text_encoder``.

    Returns:
        One ``Link`` per note, method "ctw"; probabilities rank links, they are not calibrated.
    """
    from align.text import text_encoder

    evidence = evidence_of(session, None, encoder)
    frames = _on_grid(frame_table(session.streams, evidence.hop), evidence)
    vectors = text_encoder(encoder).encode([note.text for note in session.notes])
    alignment = ctw_evidence(evidence, session.notes, frames, vectors)
    return dataclasses.replace(alignment, epoch=session.epoch, timezone=session.timezone)


def ctw_evidence(
    evidence: Evidence, notes: tuple[Note, ...], frames: npt.ArrayLike, embeddings: npt.ArrayLike
) -> Alignment:
    """Place every note, in the order written, by canonical time warping of frames onto text embeddings.

    The notes' rows are their embeddings, each repeated in proportion to the duration expected of it, as many
    in all as there are observed frames. A note's span is the union of its frames, one that several notes share
    split evenly; nothing crosses a gap (as ``warp_evidence``). A link's probability is the softmax, over all
    placed notes and "nothing" (0), of how much nearer than the average note it is to its frames in the space
    that was found, in squared distances over twice their mean along the path: it ranks links, it is **not
    calibrated**. Empty and outside notes are answered as such; without an observed frame all others are
    "unmatched".

    Args:
        evidence: its grid, observed frames, expected durations and streams are used, not its log odds.
        notes: in the order written, one per column of the evidence.
        frames: (n_frames, n_features) on the evidence's grid; NaN counts as the column's middle, 0.
        embeddings: (n_notes, dimension) finite.

    Returns:
        One link per note, method "ctw". ``path`` int64 (length, 2) holds (frame, note) pairs.

    Raises:
        ParameterError: frames, embeddings or notes that differ in number from the evidence.
        ResourceError: E-MEMORY, as ``dtw_path``.

    Reference: Zhou & De la Torre 2009. Departure: one of the series is made of repeated notes.
    """
    values, vectors = np.asarray(frames, np.float64), np.asarray(embeddings, np.float64)
    n_frames, n_notes = evidence.log_odds.shape
    for name, rows, allowed in (("frames", values, n_frames), ("embeddings", vectors, n_notes)):
        if rows.ndim != 2 or len(rows) != allowed or not rows.shape[1]:
            raise ParameterError(name, f"shape {rows.shape}", f"({allowed}, at least 1), as the evidence has")
    if len(notes) != n_notes:
        raise ParameterError("notes", len(notes), f"{n_notes}, one per column of the evidence")
    start, end = evidence.first * evidence.hop, (evidence.first + n_frames) * evidence.hop
    placeable, links = split_notes(notes, start, end)
    seen = np.flatnonzero(evidence.observed)
    path = np.empty((0, 2), np.int64)
    if placeable and len(seen):
        rows_of = _rows_of(np.exp(evidence.durations[placeable, 0]), len(seen))
        series = np.nan_to_num(values[seen], nan=0.0, posinf=0.0, neginf=0.0)
        texts = _fewer_columns(vectors[placeable])
        components = min(N_COMPONENTS, series.shape[1], texts.shape[1])
        warp = canonical_warp(series, texts[rows_of], components, ITERATIONS, REGULARISATION)
        steps = np.unique(np.column_stack([warp.path[:, 0], rows_of[warp.path[:, 1]]]), axis=0)
        grid = (evidence.first + seen[:, None] + np.array([0.0, 1.0])) * evidence.hop
        pieces = Pieces(seen, grid, np.zeros((len(seen), n_notes)))
        pieces.log_odds[:, placeable] = _nearness(warp, rows_of)
        links.update(place_pieces(pieces, placeable, steps, evidence.streams))
        path = np.column_stack([seen[steps[:, 0]], np.asarray(placeable)[steps[:, 1]]])
    for index in placeable:
        links.setdefault(index, Link("unmatched", None, 0.0))
    ordered = tuple(links[i] for i in range(n_notes))
    return Alignment(notes=notes, links=ordered, method="ctw", path=path)


def _on_grid(table: FrameTable, evidence: Evidence) -> npt.NDArray[np.float32]:
    """The table's columns, robustly scaled, on the evidence's grid; 0, the middle, where there is no data."""
    out = np.zeros((len(evidence.observed), sum(b.shape[1] for b in table.blocks)), np.float32)
    shift = table.first - evidence.first
    low, high = max(shift, 0), min(shift + table.n_frames, len(out))
    scaled = np.nan_to_num(robust_scaled(np.concatenate(table.blocks, axis=1)))
    out[low:high] = scaled[low - shift : high - shift]
    return out


def _rows_of(durations: Floats, n_rows: int) -> Indices:
    """(about ``n_rows``,) position of the note behind each row: in proportion to durations, at least 1 each."""
    share = durations / durations.max()
    counts = np.maximum(1, np.round(n_rows * share / share.sum())).astype(np.int64)
    return np.repeat(np.arange(len(counts)), counts)


def _fewer_columns(vectors: Floats) -> Floats:
    """The same rows, turned so that all that differs between them is in the first columns, and those alone."""
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    rank = max(1, int((size > 1e-6 * max(float(size[0]), 1e-12)).sum()))
    return np.asarray(left[:, :rank] * size[:rank])


def _nearness(warp: CanonicalWarp, rows_of: Indices) -> Floats:
    """(n_frames, n_placed) how much nearer each note is to each frame than the average note is."""
    notes = warp.b[np.unique(rows_of, return_index=True)[1]]
    squares = (warp.a**2).sum(axis=1)[:, None] + (notes**2).sum(axis=1)
    distance = np.maximum(squares - 2.0 * warp.a @ notes.T, 0.0)
    usual = float(distance[warp.path[:, 0], rows_of[warp.path[:, 1]]].mean())
    return np.asarray((distance.mean(axis=1, keepdims=True) - distance) / (2.0 * max(usual, 1e-12)))
