"""align/coordination/saved/provenance.py: which encoder and which recordings a model was made with."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.saved.provenance import check_text_identity, session_hash, text_identity
from align.datatypes import Note, NoteTime
from align.errors import InputError
from align.text import text_encoder
from align.text.hashed import HashedEncoder
from tests.coordination.sessions import made_session


class Turned:
    """An encoder of the same name and size that gives other vectors."""

    def __init__(self, encoder, turn):
        self.name, self.dimension, self._encoder, self._turn = encoder.name, encoder.dimension, encoder, turn

    def encode(self, texts):
        return self._encoder.encode([text[: self._turn] for text in texts])


def test_an_encoder_is_itself():
    for name in ("hashed", "hashed-512+concepts"):
        encoder = text_encoder(name)
        identity = text_identity(encoder)
        assert (identity["name"], identity["dimension"]) == (encoder.name, encoder.dimension)
        check_text_identity(identity, encoder)
    assert len(text_identity(text_encoder("hashed-512+concepts"))["concepts"]) == 64


def test_small_differences_between_machines_do_not_matter():
    encoder = text_encoder("hashed")
    identity = text_identity(encoder)
    rounded = np.asarray(identity["probe"]) + 1e-3
    check_text_identity({**identity, "probe": rounded.tolist()}, encoder)


def test_M05_other_vectors_under_the_same_name_are_refused():
    encoder = HashedEncoder(64)
    identity = text_identity(encoder)
    check_text_identity(identity, Turned(encoder, 1000))
    with pytest.raises(InputError, match=r"E-MODEL-VERSION.*other vectors"):
        check_text_identity(identity, Turned(encoder, 4))
    with pytest.raises(InputError, match=r"E-MODEL-VERSION.*does not have"):
        check_text_identity(identity, None)
    with pytest.raises(InputError, match=r"E-MODEL-VERSION.*dimension"):
        check_text_identity({**identity, "dimension": 65}, encoder)


def test_a_session_is_known_by_what_was_recorded_and_when_it_was_spoken_of():
    session = made_session(0, truth=False, timed=True)
    (stream,) = session.streams
    same = dataclasses.replace(session, name="other", notes=tuple(Note("x", n.time) for n in session.notes))
    assert session_hash(same) == session_hash(session)
    values = stream.values.copy()
    values[3, 0] += 1e-3
    first, *rest = session.notes
    later = Note(
        first.text, NoteTime(*(t + 1.0 for t in (first.time.earliest, first.time.likely, first.time.latest)))
    )
    for changed in (
        dataclasses.replace(session, streams=(dataclasses.replace(stream, values=values),)),
        dataclasses.replace(session, streams=(dataclasses.replace(stream, rate=20.0),)),
        dataclasses.replace(session, notes=(later, *rest)),
    ):
        assert session_hash(changed) != session_hash(session)
