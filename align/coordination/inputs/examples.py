"""Sessions -> training examples: input columns and, per frame, how much each text applies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.layout import Layout, model_inputs
from align.datatypes import Note, Session, Span
from align.errors import InputError
from align.features.frames import FrameTable
from align.text.protocol import TextEncoder

__all__ = [
    "Example",
    "Vocabulary",
    "make_vocabulary",
    "people_apart",
    "span_example",
    "stretches",
    "usable_notes",
    "writers",
]

NOTHING = -1
UNKNOWN = -2  # frames that do not count: outside every run


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The distinct texts of the training notes, their vectors, and which of them mean the same.

    ``same`` (n, n): equal, or of one label where the truth gives labels. Only training sees this: at run time
    any text is encoded.
    """

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    same: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One session: inputs (n_frames, n_features), and which text each frame belongs to.

    ``target`` (n_frames,) index into the vocabulary, -1 nothing, -2 does not count. ``notes`` vocabulary index
    per note in order, ``spans`` (n_notes, 2) frames, NaN when unknown. ``soft`` None, or (n_frames,
    n_notes + 1) how probable each note (last column: nothing) is at each frame. ``sharp`` None, or
    (n_frames, columns) from narrow windows: what is looked at where spans have to be found (``sharp.py``).
    ``hint`` None, or (n_frames, n_notes) log odds that captions give (``hints.py``).
    """

    table: FrameTable
    inputs: npt.NDArray[np.float32]
    target: npt.NDArray[np.int64]
    notes: npt.NDArray[np.int64]
    spans: npt.NDArray[np.float64]
    group: str
    soft: npt.NDArray[np.float32] | None = None
    sharp: npt.NDArray[np.float32] | None = None
    hint: npt.NDArray[np.float32] | None = None


def usable_notes(session: Session) -> list[tuple[Note, Span | None]]:
    """Notes to learn from with their true spans where truth is known; empty notes are left out.

    With truth, the truth's texts are taken (a row without text lends its note's).

    Args:
        session: with notes, truth or both.
    """
    if session.truth is None:
        return [(n, None) for n in session.notes if not n.is_empty]
    rows: list[tuple[Note, Span | None]] = []
    for i, span in enumerate(session.truth):
        text = span.text or (session.notes[i].text if i < len(session.notes) else "")
        note = Note(text)
        if not note.is_empty:
            rows.append((note, span))
    return rows


def make_vocabulary(
    rows: Sequence[tuple[Note, Span | None]], encoder: TextEncoder, least: int = 2
) -> Vocabulary:
    """Distinct texts of all rows, encoded once.

    Args:
        rows: of all training sessions.
        encoder: of texts.
        least: distinct texts needed to learn a contrast.

    Raises:
        InputError: E-TOO-FEW-PAIRS.
    """
    labels: dict[str, set[str]] = {}
    for note, span in rows:
        labels.setdefault(note.text, set())
        if span is not None and span.label:
            labels[note.text].add(span.label)
    texts = tuple(sorted(labels))
    if len(texts) < least:
        raise InputError(
            "E-TOO-FEW-PAIRS",
            f"{len(rows)} notes with {len(texts)} distinct texts; at least {least} distinct texts are needed",
            hint="give more sessions with notes, or run without a model",
        )
    kinds = {label: k for k, label in enumerate(sorted(set().union(*labels.values())))}
    carries = np.zeros((len(texts), len(kinds)), np.float32)
    for i, text in enumerate(texts):
        carries[i, [kinds[label] for label in labels[text]]] = 1.0
    same = np.eye(len(texts), dtype=np.bool_) | (carries @ carries.T > 0)
    return Vocabulary(texts, encoder.encode(texts), same)


def writers(examples: Iterable[Example], vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """(n_texts, n_groups) which texts of the vocabulary stand in notes of which groups (people).

    Args:
        examples: of training.
        vocabulary: holds their texts.
    """
    by_group: dict[str, npt.NDArray[np.bool_]] = {}
    for example in examples:
        by_group.setdefault(example.group, np.zeros(len(vocabulary.texts), np.bool_))[example.notes] = True
    return np.array([*by_group.values()], np.bool_).reshape(-1, len(vocabulary.texts)).T


def span_example(
    session: Session,
    table: FrameTable,
    layout: Layout,
    vocabulary: Vocabulary,
    rows: Sequence[tuple[Note, Span | None]],
) -> Example:
    """An example from one session's rows; frames in no true span are "nothing" when spans are known.

    Frames of a true span that nobody put in words do not count: something was there.

    Args:
        session: gives its name; the group is the name up to the first "_" (a person), see ``people_apart``.
        table: its frames.
        layout: of the model to train.
        vocabulary: holds the text of every row.
        rows: from ``usable_notes``.
    """
    lookup = {text: i for i, text in enumerate(vocabulary.texts)}
    notes = np.asarray([lookup[note.text] for note, _ in rows], np.int64)
    spans = np.full((len(rows), 2), np.nan)
    centres = (table.first + np.arange(table.n_frames) + 0.5) * table.hop
    target = np.full(table.n_frames, NOTHING, np.int64)
    for truth in session.truth or ():
        target[(centres >= truth.start) & (centres < truth.end)] = UNKNOWN
    for i, (_, span) in enumerate(rows):
        if span is not None and np.isfinite(span.start) and np.isfinite(span.end):
            spans[i] = np.asarray([span.start, span.end]) / table.hop - table.first
            target[(centres >= span.start) & (centres < span.end)] = notes[i]
    if not np.isfinite(spans).any():
        target[:] = UNKNOWN  # where nothing happens is not known either
    target[~table.observed] = UNKNOWN
    group = session.name.split("_")[0]
    return Example(table, model_inputs(table, layout), target, notes, spans, group)


def people_apart(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """Examples grouped by session where all names begin alike: then the beginning does not tell people apart.

    Args:
        examples: one per session.
        names: of the sessions, in the same order.
    """
    if len({e.group for e in examples}) > 1:
        return list(examples)
    return [replace(e, group=name) for e, name in zip(examples, names, strict=True)]


def stretches(values: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """(start, end, value) of every longest run of one value, in order.

    Args:
        values: (n,), at least one.
    """
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [len(values)]])
    return [(int(a), int(b), int(values[a])) for a, b in pairwise(edges)]
