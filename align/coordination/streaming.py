"""Training on more sessions than memory holds: frames stay where they are stored and are read as they are needed.

What is small (notes, true spans) is at hand for all sessions. A session's frames are read when a step, a pass over
the people held out or the fitting of the layout asks for them; the last ones read are kept, up to a number of bytes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.examples import Example, Vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import Layout
from align.coordination.saved.provenance import Provenance
from align.datatypes import Note, Session, Span, set_fields
from align.features.frames import FrameTable

__all__ = [
    "HELD_BYTES",
    "Recent",
    "StoredFrames",
    "StoredSession",
    "StreamedExample",
    "stand_in",
    "stored_provenance",
    "streamed_examples",
]

HELD_BYTES = 1_000_000_000  # of examples kept in memory
_NO_FRAMES = FrameTable(0, 1.0, (), (), ())


@dataclass(frozen=True, slots=True, eq=False)
class StoredSession:
    """A session whose frames are stored.

    Attributes:
        name, notes, truth: as of a ``Session``.
        seconds: from its first sample to its last.
        source: SHA-256 of what was recorded (``provenance.session_hash``).
        content: SHA-256 of what is stored.
        hop: seconds per frame.
        first: number of its first frame.
        load: reads its frames; every call reads them anew.
    """

    name: str
    notes: tuple[Note, ...]
    truth: tuple[Span, ...] | None
    seconds: float
    source: str
    content: str
    hop: float
    first: int
    load: Callable[[], FrameTable]

    @property
    def told(self) -> Session:
        """What is said of it, for functions that look at a session's name, notes and truth alone."""
        return cast(Session, self)


class StoredFrames(Sequence[FrameTable]):
    """The frames of stored sessions, each read whenever it is asked for and kept by nobody.

    Args:
        stored: in order.
    """

    def __init__(self, stored: Sequence[StoredSession]) -> None:
        self._stored = stored

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, at: Any) -> Any:
        return StoredFrames(self._stored[at]) if isinstance(at, slice) else self._stored[at].load()

    def __iter__(self) -> Iterator[FrameTable]:
        return (one.load() for one in self._stored)


class Recent:
    """The examples that were asked for last, at most so many bytes of them, but always the very last.

    Args:
        most: bytes of arrays.
    """

    def __init__(self, most: int = HELD_BYTES) -> None:
        self._most = most
        self._held: OrderedDict[int, Example] = OrderedDict()
        self.bytes = 0

    def get(self, key: int, make: Callable[[], Example]) -> Example:
        """The example of a key, made where it is not held.

        Args:
            key: which.
            make: called without arguments.
        """
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        made = make()
        self.bytes += _bytes(made)
        self._held[key] = made
        while self.bytes > self._most and len(self._held) > 1:
            _, old = self._held.popitem(last=False)
            self.bytes -= _bytes(old)
        return made


def _bytes(example: Example) -> int:
    return example.inputs.nbytes + example.target.nbytes + sum(b.nbytes for b in example.table.blocks)


class StreamedExample(Example):
    """An ``Example`` of a session with true spans that holds notes and spans, and has ``inputs``, ``target`` and
    ``table`` read when they are asked for.

    Args:
        light: its ``notes``, ``spans`` and ``group`` are taken.
        content: SHA-256 of what is stored and of the layout: what the inputs follow from.
        read: gives the whole example.
    """

    __slots__ = ("_read", "content")
    content: bytes
    _read: Callable[[], Example]

    def __init__(self, light: Example, content: bytes, read: Callable[[], Example]) -> None:
        set_fields(self, notes=light.notes, spans=light.spans, group=light.group)
        set_fields(self, soft=None, sharp=None, hint=None, content=content, _read=read)

    @property
    def table(self) -> FrameTable:
        return self._read().table

    @property
    def inputs(self) -> npt.NDArray[np.float32]:
        return self._read().inputs

    @property
    def target(self) -> npt.NDArray[np.int64]:
        return self._read().target


def stand_in(example: Example) -> Example:
    """What tells an example from every other: itself, or of a streamed one its content's hash in place of its frames.

    Args:
        example: of either kind.
    """
    if not isinstance(example, StreamedExample):
        return example
    hashed = np.frombuffer(example.content, np.uint8).astype(np.float32)
    nothing = np.zeros(0, np.int64)
    return Example(_NO_FRAMES, hashed, nothing, example.notes, example.spans, example.group)


def streamed_examples(
    stored: Sequence[StoredSession], layout: Layout, vocabulary: Vocabulary, held_bytes: int = HELD_BYTES
) -> list[Example]:
    """One example a session, in order, as ``span_example`` and ``people_apart`` make them, frames left where they are.

    Args:
        stored: sessions with true spans.
        layout: of the model to train.
        vocabulary: holds the text of every note.
        held_bytes: of whole examples that are kept in memory.
    """
    recent, seal = Recent(held_bytes), _seal_of(layout)
    lookup = {text: i for i, text in enumerate(vocabulary.texts)}
    groups = [session.name.split("_")[0] for session in stored]
    if len(set(groups)) == 1:  # the beginning of the names does not tell people apart
        groups = [session.name for session in stored]

    def handle(k: int, session: StoredSession) -> Example:
        rows = usable_notes(session.told)
        notes = np.asarray([lookup[note.text] for note, _ in rows], np.int64)
        seconds = [(np.nan, np.nan) if span is None else (span.start, span.end) for _, span in rows]
        spans = np.asarray(seconds, np.float64).reshape(-1, 2)
        spans[~np.isfinite(spans).all(axis=1)] = np.nan
        none = np.zeros(0, np.float32)
        light = Example(
            _NO_FRAMES, none, none.astype(np.int64), notes, spans / layout.hop - session.first, groups[k]
        )
        content = hashlib.sha256(f"{session.content} {seal}".encode()).digest()

        def whole() -> Example:
            made = span_example(session.told, session.load(), layout, vocabulary, rows)
            return replace(made, group=groups[k])

        return StreamedExample(light, content, lambda: recent.get(k, whole))

    return [handle(k, session) for k, session in enumerate(stored)]


def stored_provenance(
    stored: Sequence[StoredSession], labelled: Sequence[Example], n_people: int, n_texts: int
) -> Provenance:
    """As ``provenance_of``, of stored sessions.

    Args:
        stored: all that were given.
        labelled: examples of those whose spans are known.
        n_people: groups of sessions.
        n_texts: distinct texts.
    """
    from align import __version__

    return Provenance(
        version=__version__,
        n_sessions=len(stored),
        n_labelled=len(labelled),
        n_people=n_people,
        n_notes=sum(len(usable_notes(s.told)) for s in stored),
        n_texts=n_texts,
        hours=round(sum(s.seconds for s in stored) / 3600.0, 6),
        data=tuple(sorted(s.source for s in stored)),
    )


def _seal_of(layout: Layout) -> str:
    named = repr((layout.hop, layout.streams, layout.channels, layout.units)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(named + layout.shift.tobytes() + layout.scale.tobytes()).hexdigest()
