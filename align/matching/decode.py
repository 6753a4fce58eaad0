"""Evidence + notes -> Alignment: the best placement of all notes, and how probable each part of it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Evidence, Link
from align.clock import span_iou
from align.datatypes import Floats, Note
from align.errors import ParameterError
from align.matching.lattice import Lattice, build_lattice
from align.matching.placeable import split_notes
from align.matching.time_prior import decoding_order

__all__ = ["place_notes", "posterior_cover", "span_mass"]

Order = Literal["monotone", "free"]
_ALTERNATIVES = 3
_LEAST = 0.01  # probability below which an alternative is not worth a line
_SURE = 0.5
_LAST = -1e9  # price of leaving out a note that should be placed: paid only when there is no room


def place_notes(
    evidence: Evidence,
    notes: tuple[Note, ...],
    order: Order = "monotone",
    recorded: tuple[float, float] | None = None,
) -> Alignment:
    """One answer per note: its most probable span within the most probable placement of all.

    ``probability`` is the posterior mass of the spans that overlap the answer with an intersection over union
    of at least 0.5 (for an unmatched note: of "refers to nothing here"). Status "aligned" from 0.5 on, below
    it "ambiguous". Alternatives are the next best places: spans that overlap none of the better ones.

    Args:
        evidence: log odds on the frame grid, one column per note.
        notes: all notes in the order written, one per column.
        order: "monotone", a later note never before an earlier one (see ``decoding_order``); "free", every
            note by itself.
        recorded: start and end of the recording in seconds, from which an outside note's distance counts;
            default: those of the frame grid, which may be off by half a frame.

    Raises:
        ParameterError: notes and evidence differ in number; unknown order.
    """
    n_frames, n_notes = evidence.log_odds.shape
    if len(notes) != n_notes:
        raise ParameterError("notes", len(notes), f"{n_notes}, one per column of the evidence")
    if order not in ("monotone", "free"):
        raise ParameterError("order", order, '"monotone" or "free"')
    grid = evidence.first * evidence.hop, (evidence.first + n_frames) * evidence.hop
    placeable, links = split_notes(notes, *(recorded or grid))
    placeable = [placeable[i] for i in decoding_order([notes[i] for i in placeable], evidence)]
    lattice = build_lattice(evidence, notes)
    groups = [placeable] if order == "monotone" else [[i] for i in placeable]
    for group in groups:
        if group:
            links.update(zip(group, _decode(lattice.rows(group), evidence), strict=True))
    return Alignment(
        notes=notes,
        links=tuple(links[i] for i in range(n_notes)),
        method=evidence.method,
        similarity=evidence.similarity,
    )


def _decode(lattice: Lattice, evidence: Evidence) -> list[Link]:
    from align.kernels import decode as kernel

    before, after = kernel.forward_backward(*lattice.arrays())
    onset, _, ends, peaks = kernel.onset_table(
        lattice.prefix, lattice.durations, lattice.priors, lattice.earliest, before, after
    )
    spans = _best_spans(lattice, onset.sum(axis=1) >= _SURE)
    normaliser = after[0, 0]
    links = []
    for i, (a, b) in enumerate(spans):
        mass = _mass_of(lattice, i, before[i], after[i + 1] - normaliser)
        placed = float(min(1.0, onset[i].sum()))
        candidates = _distinct_peaks(ends[i], peaks[i], (int(a), int(b)) if a >= 0 else None)
        others = [(*_seconds(c, evidence), mass(c)) for c in candidates]
        others = sorted((o for o in others if o[2] >= _LEAST), key=lambda o: -o[2])
        if a < 0:
            links.append(Link("unmatched", None, 1.0 - placed, tuple(others[:_ALTERNATIVES])))
            continue
        span = (int(a), int(b))
        p = mass(span)
        status: Literal["aligned", "ambiguous"] = "aligned" if p >= _SURE else "ambiguous"
        links.append(
            Link(status, _seconds(span, evidence), p, tuple(others[:_ALTERNATIVES]), evidence.streams)
        )
    return links


def _best_spans(lattice: Lattice, placed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(n_notes, 2) the best placement of the notes that are probably placed; (-1, -1) for the others.

    Whether a note is placed at all is decided by the sum over all its spans: one span among hundreds always
    looks improbable beside "nowhere".
    """
    from align.kernels import decode as kernel

    spans = np.full((len(placed), 2), -1, np.int64)
    if placed.any():
        chosen = lattice.rows(np.flatnonzero(placed).tolist())
        never = np.full(int(placed.sum()), _LAST)
        spans[placed] = kernel.best_path(
            chosen.prefix, chosen.durations, chosen.priors, never, chosen.earliest
        )
    return spans


def _mass_of(
    lattice: Lattice, i: int, before: Floats, after: Floats
) -> Callable[[tuple[float, float]], float]:
    """A function: frames (a, b) -> posterior mass around that span, for note i."""
    from align.kernels import decode as kernel

    def mass(span: tuple[float, float]) -> float:
        return float(
            kernel.mass_near(
                lattice.prefix[i],
                lattice.durations[i],
                lattice.priors[i],
                lattice.earliest,
                before,
                after,
                np.asarray(span, np.float64),
            )
        )

    return mass


def _distinct_peaks(
    ends: npt.NDArray[np.int64], peaks: Floats, answer: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """The best few (start, end) that overlap neither the answer nor one another, best first."""
    chosen: list[tuple[int, int]] = [] if answer is None else [answer]
    n_known = len(chosen)
    for a in np.argsort(-peaks, kind="stable"):
        if peaks[a] <= 0 or len(chosen) - n_known == _ALTERNATIVES:
            break
        span = (int(a), int(ends[a]))
        if not chosen or span_iou(np.tile(span, (len(chosen), 1)), chosen).max() <= 0.0:
            chosen.append(span)
    return chosen[n_known:]


def _seconds(span: tuple[int, int], evidence: Evidence) -> tuple[float, float]:
    return (evidence.first + span[0]) * evidence.hop, (evidence.first + span[1]) * evidence.hop


def posterior_cover(evidence: Evidence, notes: Sequence[Note], p_nothing: float) -> tuple[Floats, Floats]:
    """How probable it is that each note covers each frame, notes in the order written.

    Args:
        evidence: one column per note.
        notes: as written.
        p_nothing: prior probability that a note refers to nothing here, in (0, 1).

    Returns:
        cover (n_notes, n_frames); moments (n_notes, 3): expected middle (s), log of the expected duration (log s)
        and probability of being placed.
    """
    from align.kernels import decode as kernel

    lattice = build_lattice(evidence, notes, p_nothing)
    before, after = kernel.forward_backward(*lattice.arrays())
    onset, cover, _, _ = kernel.onset_table(
        lattice.prefix, lattice.durations, lattice.priors, lattice.earliest, before, after
    )
    placed = np.minimum(1.0, onset.sum(1))
    length = cover.sum(1) / np.maximum(placed, 1e-9) * evidence.hop
    centres = (evidence.first + np.arange(cover.shape[1]) + 0.5) * evidence.hop
    middle = (cover * centres).sum(1) / np.maximum(cover.sum(1), 1e-9)
    return cover, np.column_stack([middle, np.log(np.maximum(length, evidence.hop)), placed])


def span_mass(evidence: Evidence, notes: Sequence[Note], spans: Floats) -> Floats:
    """(n_notes,) posterior mass near given spans (intersection over union at least 0.5), notes in order.

    Args:
        evidence: one column per note.
        notes: as written.
        spans: (n_notes, 2) in frames of the evidence's grid.
    """
    from align.kernels import decode as kernel

    lattice = build_lattice(evidence, notes)
    before, after = kernel.forward_backward(*lattice.arrays())
    return np.asarray(
        [
            _mass_of(lattice, i, before[i], after[i + 1] - after[0, 0])((span[0], span[1]))
            for i, span in enumerate(spans)
        ]
    )
