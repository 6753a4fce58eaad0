"""Evidence + notes -> Alignment: the best placement of all notes, and how probable each part of it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Evidence, Link
from align.datatypes import Floats, Note
from align.errors import ParameterError
from align.matching.anchors import Anchor
from align.matching.assignment import settle
from align.matching.author_clocks import AuthorClock
from align.matching.gaps import UNOBSERVED, gap_mass
from align.matching.lattice import Lattice, build_lattice
from align.matching.links import SURE, link_of, other_places
from align.matching.orders import best_order, start_order, swappable
from align.matching.placeable import split_notes
from align.matching.programme import log_normaliser
from align.matching.search import planned, refined_spans, searched
from align.matching.sharing import with_sharing
from align.matching.tables import Table, between_edges, mass_near, placed, summed_edges
from align.matching.time_prior import decoding_order, on_session_clock

__all__ = ["ORDERS", "Order", "decode_group", "group_score", "place_notes", "posterior_cover", "span_mass"]

Indices = npt.NDArray[np.int64]
Order = Literal["monotone", "partial", "free"]
ORDERS = get_args(Order)
_MOST_ORDERS = 300  # scored in search of the best partial order
_LAST = -1e9  # price of leaving out a note that should be placed: paid only when there is no room
_LIKELIER = 2.0  # times as probable another place is before a note leaves the best placement of all
_SNAP = 1e-6  # frames by which an anchor may miss an edge and still be on it


def place_notes(
    evidence: Evidence,
    notes: tuple[Note, ...],
    order: Order = "monotone",
    recorded: tuple[float, float] | None = None,
    *,
    clocks: Mapping[str, AuthorClock] | None = None,
    anchors: Sequence[Anchor] = (),
) -> Alignment:
    """One answer per note: its most probable span within the most probable placement of all.

    ``probability`` is the posterior mass of the spans that overlap the answer with an intersection over union
    of at least 0.5 (for an unmatched note: of "refers to nothing here"; for an unobservable one: the share of
    its time in which nothing was recorded). Status "aligned" from 0.5 on, below it "ambiguous". ``edges`` say how
    well start and end are known. Alternatives are the next best places: spans that overlap none of the better ones.

    Args:
        evidence: log odds on the frame grid, one column per note.
        notes: all notes in the order written, one per column.
        order: "monotone", a later note never before an earlier one (see ``decoding_order``), though neighbours
            may share a span (see ``with_sharing``); "partial", each author's notes in order, those of
            different authors in the order that fits best (see ``orders``); "free", every note by itself, then
            made to agree (see ``assignment.settle``).
        recorded: start and end of the recording in seconds, from which an outside note's distance counts;
            default: those of the frame grid, which may be off by half a frame.
        clocks: how each author's written times lie; default: as the evidence says for all.
        anchors: links that are known. They come back as they are, with probability 1, and the other notes are
            placed around them.

    Raises:
        ParameterError: notes and evidence differ in number; unknown order; an anchor for no note or a second
            one for a note; anchors whose spans contradict the order of their notes.
    """
    n_frames, n_notes = evidence.log_odds.shape
    if len(notes) != n_notes:
        raise ParameterError("notes", len(notes), f"{n_notes}, one per column of the evidence")
    if order not in ORDERS:
        raise ParameterError("order", order, '"monotone", "partial" or "free"')
    known = _known(anchors, n_notes)
    grid = evidence.first * evidence.hop, (evidence.first + n_frames) * evidence.hop
    placeable, links = split_notes(on_session_clock(notes, evidence, clocks), *(recorded or grid))
    lattice = build_lattice(evidence, notes, clocks=clocks)
    for i, share in enumerate(gap_mass(lattice.priors, evidence.observed)):
        if share >= UNOBSERVED and i in placeable:
            links[i] = Link("unobservable", None, float(share))
    links.update({i: _anchored(anchor, evidence) for i, anchor in known.items()})
    wanted = sorted({i for i in placeable if i not in links} | {i for i, a in known.items() if a.span})
    pieces = [([i], (0, n_frames)) for i in wanted if i not in known]
    if order != "free":
        own = [notes[i] for i in wanted]
        if order == "monotone":
            turns = decoding_order(own, evidence, clocks)
        else:
            turns = _best_turns(lattice.rows(wanted), own, evidence, clocks)
        pieces = _between_anchors([wanted[k] for k in turns], known, evidence)
    for group, (first, last) in pieces:
        if last <= first and n_frames:
            links.update({i: Link("unmatched", None, 1.0) for i in group})
        elif group:
            rows = with_sharing(lattice.rows(group).frames(first, last), [notes[i] for i in group])
            links.update(zip(group, decode_group(rows, evidence), strict=True))
    if order == "free":
        alone = [i for group, _ in pieces for i in group]
        links.update(zip(alone, settle([links[i] for i in alone], [notes[i] for i in alone]), strict=True))
    return Alignment(
        notes=notes,
        links=tuple(links[i] for i in range(n_notes)),
        method=evidence.method,
    )


def _best_turns(
    lattice: Lattice, notes: Sequence[Note], evidence: Evidence, clocks: Mapping[str, AuthorClock] | None
) -> list[int]:
    start, may_swap = start_order(notes, evidence, clocks), swappable(notes, evidence, clocks)
    return best_order(start, may_swap, lambda turns: group_score(lattice.rows(turns)), _MOST_ORDERS)


def decode_group(lattice: Lattice, evidence: Evidence) -> list[Link]:
    """The answers for notes that keep their order, one per row.

    Whether a note is placed at all is decided by the sum over all its spans: one span among hundreds always looks
    improbable beside "nowhere". The best placement of those that are probably placed gives the spans, edge by edge of
    the grid; where several notes compete for fewer places, that would send one of them where it hardly can be
    (``_likelier``). Within half a frame the posterior then says where each boundary lies (``between_edges``).

    Args:
        lattice: rows in order.
        evidence: where they come from: the frame grid and the streams.
    """
    lattice, tables = searched(lattice)
    chosen = np.flatnonzero([placed(own) >= SURE for own in tables])
    spans = np.full((len(tables), 2), -1, np.int64)
    if len(chosen):
        rows = lattice.rows(chosen.tolist())
        spans[chosen] = refined_spans(dataclasses.replace(rows, skip=np.full(len(chosen), _LAST)))
        spans = _likelier(tables, spans)
    return [
        link_of(own, None if a < 0 else (a, b), evidence, lattice.first)
        for own, (a, b) in zip(tables, between_edges(tables, spans, lattice.observed).tolist(), strict=True)
    ]


def _likelier(tables: Sequence[Sequence[Table]], spans: Indices) -> Indices:
    """The spans, but for notes that are probably elsewhere: at less than 0.5, and half of what another place has.

    Each of those goes to its most probable place that keeps the order, though another note may lie there: then they
    compete, and their probabilities say so. The least probable first.

    Args:
        tables: of every note.
        spans: (n_notes, 2) edges, in order; -1: not placed.
    """
    out = spans.copy()
    at = np.flatnonzero(spans[:, 0] >= 0).tolist()
    held = [mass_near(tables[i], (spans[i, 0], spans[i, 1])) for i in at]
    for k in np.argsort(held, kind="stable").tolist():
        if held[k] >= SURE:
            break
        low = out[at[k - 1]] if k else np.zeros(2, np.int64)
        high = out[at[k + 1]] if k + 1 < len(at) else np.full(2, np.iinfo(np.int64).max)
        most = _LIKELIER * held[k]
        for place in other_places(tables[at[k]], (spans[at[k], 0], spans[at[k], 1])):
            kept = np.clip(np.asarray(place, np.int64), low, high)
            if np.abs(kept - place).max() <= 1 and kept[0] < kept[1]:  # a frame off another note's is there
                mass = mass_near(tables[at[k]], (kept[0], kept[1]))
                if mass > most:
                    most, out[at[k]] = mass, kept
    return out


def group_score(lattice: Lattice) -> float:
    """Log of the sum over all placements of notes that keep their order: how well that order, and the clocks that the
    lattice was built with, explain frames and times.

    Args:
        lattice: rows in order.
    """
    return log_normaliser(planned(lattice)) - float(lattice.loose.sum())


def _known(anchors: Sequence[Anchor], n_notes: int) -> dict[int, Anchor]:
    out: dict[int, Anchor] = {}
    for anchor in anchors:
        if anchor.note >= n_notes:
            raise ParameterError("anchors", f"note {anchor.note}", f"notes 0 to {n_notes - 1}")
        if anchor.note in out:
            raise ParameterError("anchors", f"two for note {anchor.note}", "one per note")
        out[anchor.note] = anchor
    return out


def _anchored(anchor: Anchor, evidence: Evidence) -> Link:
    if anchor.span is None:
        return Link("unmatched", None, 1.0)
    return Link("aligned", anchor.span, 1.0, streams=evidence.streams)


def _between_anchors(
    wanted: Sequence[int], known: Mapping[int, Anchor], evidence: Evidence
) -> list[tuple[list[int], tuple[int, int]]]:
    """Stretches of notes without anchors, in order, and the edges between which each has to lie."""
    n_frames = len(evidence.observed)
    pieces: list[tuple[list[int], tuple[int, int]]] = []
    group: list[int] = []
    first, last_known = 0, -1
    for i in wanted:
        span = known[i].span if i in known else None
        if span is None:
            group.append(i)
            continue
        if last_known >= 0:
            before = known[last_known].span or span
            if span[0] < before[0] or span[1] < before[1]:
                raise ParameterError(
                    "anchors", f"spans of notes {last_known} and {i} in reverse", "spans in the notes' order"
                )
        start, end = (seconds / evidence.hop - evidence.first for seconds in span)
        edge = int(np.clip(np.floor(start + _SNAP), 0, n_frames))
        pieces.append((group, (first, edge)))
        first, last_known, group = int(np.clip(np.ceil(end - _SNAP), 0, n_frames)), i, []
    return [*pieces, (group, (first, n_frames))]


def posterior_cover(evidence: Evidence, notes: Sequence[Note], p_nothing: float) -> tuple[Floats, Floats]:
    """How probable it is that each note covers each frame, notes in the order written, none sharing a span.

    Args:
        evidence: one column per note.
        notes: as written.
        p_nothing: prior probability that a note refers to nothing here, in (0, 1).

    Returns:
        cover (n_notes, n_frames); moments (n_notes, 3): expected middle (s), log of the expected duration (log s)
        and probability of being placed.
    """
    _, tables = searched(build_lattice(evidence, notes, p_nothing))
    n_frames = len(evidence.observed)
    cover = np.zeros((len(notes), n_frames))
    for i, own in enumerate(tables):
        first, onset, offset = summed_edges(own)
        level = np.cumsum(onset - offset)[: n_frames - first]
        cover[i, first : first + len(level)] = np.clip(level, 0.0, 1.0)
    is_placed = np.asarray([placed(own) for own in tables])
    length = cover.sum(1) / np.maximum(is_placed, 1e-9) * evidence.hop
    centres = (evidence.first + np.arange(n_frames) + 0.5) * evidence.hop
    middle = (cover * centres).sum(1) / np.maximum(cover.sum(1), 1e-9)
    return cover, np.column_stack([middle, np.log(np.maximum(length, evidence.hop)), is_placed])


def span_mass(evidence: Evidence, notes: Sequence[Note], spans: Floats) -> Floats:
    """(n_notes,) posterior mass near given spans (intersection over union at least 0.5), notes in order.

    Args:
        evidence: one column per note.
        notes: as written.
        spans: (n_notes, 2) in frames of the evidence's grid.
    """
    _, tables = searched(build_lattice(evidence, notes))
    return np.asarray(
        [mass_near(own, (span[0], span[1])) for own, span in zip(tables, spans, strict=True)],
        dtype=np.float64,
    )
