"""The DTW baseline: warp the sequence of segments onto the sequence of notes, on the evidence all share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Evidence, Link
from align.clock import frame_cells, nearest_sample
from align.datatypes import Floats, Note, Segmentation
from align.errors import ParameterError
from align.kernels.dtw import warping_path
from align.matching.placeable import split_notes
from align.warping.dtw import check_cells

__all__ = ["Pieces", "checked_spans", "cut_at_gaps", "place_pieces", "warp_evidence"]

Indices = npt.NDArray[np.int64]
_TOUCH = 1e-6  # s: segments this close share an edge; anything wider is a gap


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Segments cut at unobserved frames: the rows of the cost matrix (of ``ctw_evidence``: observed frames)."""

    segment: Indices  # (n_pieces,) the segment each piece came from
    spans: Floats  # (n_pieces, 2) seconds
    log_odds: Floats  # (n_pieces, n_notes) mean over the piece's frames


def warp_evidence(
    evidence: Evidence, notes: tuple[Note, ...], segments: Segmentation | npt.ArrayLike
) -> Alignment:
    """Place every note, in the order written, by dynamic time warping of the segments onto the notes.

    The cost of segment i for note j is how much worse note j fits than the segment's best note, in mean log
    odds over the segment's frames, times the segment's seconds: never negative, and a long segment counts as
    much as the short ones it could have been cut into. The cheapest warping path visits every segment and
    note in order (no "nothing", no expected durations, no note times: what it lacks is the point of a
    baseline). A note's span is the union of its segments; one shared by several notes is split evenly
    among them in order, so that fewer segments than notes still give each note a span. Segments are cut
    at unobserved frames, and no span crosses such a gap or one between segments: of a note on both sides
    the longest side stays (the first on a tie).

    A link's probability is the softmax, over all placed notes and "nothing" (log odds 0), of the mean log
    odds within the note's segments. It ranks links; it is **not calibrated**. Empty notes are answered
    "empty", notes whose whole time lies before or after the evidence's grid "outside" with their signed
    distance, and when no segment holds an observed frame every other note is "unmatched".

    Args:
        evidence: log odds on the frame grid, one column per note.
        notes: all notes in the order written, one per column.
        segments: a ``Segmentation`` or spans (n_segments, 2) in seconds, ascending, without overlap.

    Returns:
        One link per note, method "dtw". ``path`` int64 (length, 2) holds (segment, note) pairs in the given
        numbering; it skips segments without observed frames and notes that were not placed.

    Raises:
        ParameterError: notes and evidence differ in number, or spans are not ascending spans.
        ResourceError: E-MEMORY, more than 2^30 pairs of segment and note.

    Reference: Müller 2007, section 4.1. Departure: rows are segments, weighted by their duration.
    """
    n_frames, n_notes = evidence.log_odds.shape
    if len(notes) != n_notes:
        raise ParameterError("notes", len(notes), f"{n_notes}, one per column of the evidence")
    spans = checked_spans(segments)
    start, end = evidence.first * evidence.hop, (evidence.first + n_frames) * evidence.hop
    placeable, links = split_notes(notes, start, end)
    pieces = cut_at_gaps(spans, evidence)
    path = np.empty((0, 2), np.int64)
    if placeable and len(pieces.segment):
        check_cells(len(pieces.segment), len(placeable))
        odds = pieces.log_odds[:, placeable]
        regret = odds.max(axis=1, keepdims=True) - odds
        _, steps = warping_path(np.ascontiguousarray(regret * np.diff(pieces.spans, axis=1)))
        path = np.unique(
            np.column_stack([pieces.segment[steps[:, 0]], np.asarray(placeable)[steps[:, 1]]]), axis=0
        )
        links.update(place_pieces(pieces, placeable, steps, evidence.streams))
    for index in placeable:
        links.setdefault(index, Link("unmatched", None, 0.0))
    return Alignment(
        notes=notes,
        links=tuple(links[i] for i in range(n_notes)),
        method="dtw",
        similarity=evidence.over(spans),
        path=path,
    )


def checked_spans(segments: Segmentation | npt.ArrayLike) -> Floats:
    """(n_segments, 2) seconds.

    Raises:
        ParameterError: not spans, or spans that do not ascend.
    """
    if isinstance(segments, Segmentation):
        return segments.spans
    spans = np.asarray(segments, dtype=np.float64)
    if spans.ndim != 2 or spans.shape[1] != 2:
        raise ParameterError("segments", f"shape {spans.shape}", "(n_segments, 2)")
    ascending = (spans[:, 0] < spans[:, 1]).all() and (spans[1:, 0] >= spans[:-1, 1] - _TOUCH).all()
    if not (np.isfinite(spans).all() and ascending):
        raise ParameterError("segments", "spans that are empty, overlap or are not finite", "ascending spans")
    return spans


def cut_at_gaps(spans: Floats, evidence: Evidence) -> Pieces:
    """Cut every segment to the observed stretches of the grid; average the log odds over each piece."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], evidence.observed, [False]]).astype(np.int8)))
    stretches = (turns.reshape(-1, 2) + evidence.first) * evidence.hop
    owners: list[int] = []
    parts: list[tuple[float, float]] = []
    rows: list[Floats] = []
    for i in range(len(spans)):
        first = int(np.searchsorted(stretches[:, 1], spans[i, 0], side="right"))
        for begin, end in stretches[first:]:
            left, right = max(float(spans[i, 0]), float(begin)), min(float(spans[i, 1]), float(end))
            if begin >= spans[i, 1]:
                break
            if right - left <= _TOUCH:
                continue
            low, high = (cell - evidence.first for cell in frame_cells(left, right, evidence.hop))
            if low == high:  # shorter than a frame and between two centres: the frame that holds its middle
                middle, centre = 0.5 * (left + right), 0.5 * evidence.hop
                low = nearest_sample(middle, centre, 1.0 / evidence.hop) - evidence.first
                high = low + 1
            owners.append(i)
            parts.append((left, right))
            rows.append(evidence.log_odds[low:high].mean(axis=0, dtype=np.float64))
    return Pieces(
        np.asarray(owners, np.int64),
        np.asarray(parts, np.float64).reshape(-1, 2),
        np.asarray(rows, np.float64).reshape(len(rows), evidence.log_odds.shape[1]),
    )


def place_pieces(
    pieces: Pieces, placeable: list[int], steps: Indices, streams: tuple[str, ...]
) -> dict[int, Link]:
    """One link per placeable note, by its index, from a path's (piece, position) pairs.

    A piece that several notes share is split evenly among them; the probability is ``warp_evidence``'s.

    Args:
        pieces: rows of the path.
        placeable: indices of the notes; ``steps[:, 1]`` are positions in it.
        steps: (length, 2) a warping path: every piece and every position occurs, in order.
        streams: named by every link.
    """
    shared = np.bincount(steps[:, 0])
    turn = np.arange(len(steps)) - np.searchsorted(steps[:, 0], steps[:, 0])
    begin, end = pieces.spans[steps[:, 0]].T[:, :, None]
    share = np.column_stack([turn, turn + 1]) / shared[steps[:, 0], None]
    parts = (1.0 - share) * begin + share * end  # exact at both ends
    links: dict[int, Link] = {}
    for position, index in enumerate(placeable):
        mine = steps[:, 1] == position
        weights = parts[mine, 1] - parts[mine, 0]
        scores = np.average(pieces.log_odds[steps[mine, 0]][:, placeable], axis=0, weights=weights)
        probability = _softmax_with_nothing(scores)[position]
        links[index] = Link("aligned", _longest_side(parts[mine]), float(probability), streams=streams)
    return links


def _longest_side(parts: Floats) -> tuple[float, float]:
    """The longest stretch of touching parts."""
    breaks = np.flatnonzero(parts[1:, 0] - parts[:-1, 1] > _TOUCH)
    begins = parts[np.concatenate([[0], breaks + 1]), 0]
    ends = parts[np.concatenate([breaks, [len(parts) - 1]]), 1]
    longest = int(np.argmax(ends - begins))
    return float(begins[longest]), float(ends[longest])


def _softmax_with_nothing(scores: Floats) -> Floats:
    """exp(s_j) / (1 + sum of exp(s)): the 1 is "nothing", whose log odds are 0."""
    top = max(0.0, float(scores.max()))
    odds = np.exp(scores - top)
    return np.asarray(odds / (np.exp(-top) + odds.sum()))
