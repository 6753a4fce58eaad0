"""What a model was made from and with: enough to recognise it, nothing that could be read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from align.coordination.inputs.examples import Example
from align.datatypes import Session
from align.errors import InputError
from align.text.concepts import BRANCH, CONCEPTS
from align.text.protocol import TextEncoder

__all__ = ["Provenance", "check_text_identity", "provenance_of", "session_hash", "text_identity"]

_PROBES = (
    "walks up the stairs",
    "sat down on a chair",
    "the dog barks",
    "nothing to report",
    "Puls 120, müde",
)
_CLOSE = 2e-3  # by which cosines of the same encoder differ between machines, at most


@dataclass(frozen=True, slots=True)
class Provenance:
    """Counts and hashes of the training data.

    Attributes:
        version: of align.
        n_sessions, n_labelled: sessions, and those of them whose true spans were known.
        n_people: groups of sessions, by the beginning of their names.
        n_notes, n_texts: notes, and distinct texts among them.
        hours: recorded.
        data: SHA-256 per session, ascending, of its streams, spans and note times; no text is in it.
    """

    version: str
    n_sessions: int
    n_labelled: int
    n_people: int
    n_notes: int
    n_texts: int
    hours: float
    data: tuple[str, ...]


def provenance_of(sessions: Sequence[Session], examples: Sequence[Example], n_texts: int) -> Provenance:
    """The counts and hashes of a training.

    Args:
        sessions: all that were given.
        examples: what was made of them, with their groups.
        n_texts: distinct texts.
    """
    from align import __version__

    return Provenance(
        version=__version__,
        n_sessions=len(sessions),
        n_labelled=sum(bool(np.isfinite(e.spans).any()) for e in examples),
        n_people=len({e.group for e in examples}),
        n_notes=sum(len(e.notes) for e in examples),
        n_texts=n_texts,
        hours=round(sum(s.end - s.start for s in sessions) / 3600.0, 6),
        data=tuple(sorted(session_hash(s) for s in sessions)),
    )


def session_hash(session: Session) -> str:
    """SHA-256 of what was recorded and when it was spoken of; names and texts of notes do not enter.

    A text that somebody could guess must not be recognisable by trying.

    Args:
        session: any.
    """
    hashed = hashlib.sha256()
    for stream in sorted(session.streams, key=lambda s: s.name):
        hashed.update(repr((stream.rate, stream.values.shape)).encode())
        for array in (stream.values, stream.run_index, stream.run_start):
            hashed.update(np.ascontiguousarray(array).data)
    spans = [(s.start, s.end) for s in session.truth or ()]
    times = [n.time and (n.time.earliest, n.time.likely, n.time.latest) for n in session.notes]
    hashed.update(repr((spans, times)).encode())
    return hashed.hexdigest()


def text_identity(encoder: TextEncoder) -> dict[str, Any]:
    """What tells whether an encoder is the one that a model was trained with.

    ``name`` and ``dimension``; SHA-256 of the table of ``concepts`` and of MiniLM's ``weights``, where it has them;
    ``probe``: cosines of five fixed sentences.

    Args:
        encoder: any.
    """
    identity: dict[str, Any] = {
        "name": encoder.name,
        "dimension": encoder.dimension,
        "probe": _probe(encoder),
    }
    if encoder.name.endswith(BRANCH):
        identity["concepts"] = _concepts_hash()
    if encoder.name.startswith("minilm-l6-v2"):
        from align.text.minilm import _SHA256

        identity["weights"] = _SHA256
    return identity


def check_text_identity(identity: Mapping[str, Any], encoder: TextEncoder | None) -> None:
    """Refuse an encoder under whose vectors a model would mean something else.

    Args:
        identity: from ``text_identity``; what it does not hold is not compared.
        encoder: what this version has under the name, or None.

    Raises:
        InputError: E-MODEL-VERSION.
        ValueError, TypeError: the identity is none.
    """
    name = str(identity["name"])[:60]
    problem = ""
    if encoder is None or encoder.name != identity["name"]:
        problem = "which this version does not have"
    elif encoder.dimension != identity["dimension"]:
        problem = f"of dimension {str(identity['dimension'])[:20]}; here it has {encoder.dimension}"
    else:
        here = text_identity(encoder)
        for part in ("concepts", "weights"):
            if part in identity and identity[part] != here.get(part):
                problem = (
                    f"whose {part} are others here ({str(identity[part])[:12]}, {str(here.get(part))[:12]})"
                )
        if not problem and "probe" in identity:
            probe = np.asarray(identity["probe"], np.float64)
            if probe.shape != (len(_PROBES),) * 2 or not np.allclose(
                probe, here["probe"], atol=_CLOSE, rtol=0
            ):
                problem = "which gives other vectors here"
    if problem:
        raise InputError(
            "E-MODEL-VERSION",
            f"the model was trained with the text encoder {name!r}, {problem}",
            hint="train again, or use the version that made the model",
        )


def _probe(encoder: TextEncoder) -> list[list[float]]:
    vectors = encoder.encode(list(_PROBES)).astype(np.float64)
    return [[round(float(x), 4) for x in row] for row in vectors @ vectors.T]


def _concepts_hash() -> str:
    return hashlib.sha256(json.dumps(CONCEPTS, sort_keys=True).encode()).hexdigest()
