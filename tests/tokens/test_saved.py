"""align/tokens/saved.py: what is saved comes back to the bit; what is not whole or of another kind is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align.tokens.saved as saved
from align import Stream
from align.errors import InputError, ParameterError
from align.sealed import sealed
from align.tokens.saved import book_for, books_from_bytes, books_to_bytes, load_books, load_joints
from tests.tokens.kinds import book, recording


@pytest.fixture(scope="module")
def data() -> bytes:
    return books_to_bytes([book(), dataclasses.replace(book(2), stream="other")])


def test_what_is_saved_comes_back_to_the_bit(data):
    first, second = books_from_bytes(data)
    made = book()
    for field in dataclasses.fields(made):
        ours, theirs = getattr(made, field.name), getattr(first, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        elif field.name != "codebook":
            assert ours == theirs, field.name
    assert first.hash == made.hash and first.codebook.names == made.codebook.names
    assert second.stream == "other" and len(second.counts) == 2
    assert books_to_bytes([first, second]) == data


def test_joint_tokens_are_kept_beside_the_books(tmp_path):
    joints = {
        ("wrist", "heart"): np.array([[0, 2], [1, -1]], np.int32),
        ("a", "b"): np.zeros((0, 2), np.int32),
    }
    file = tmp_path / "codebook.safetensors"
    file.write_bytes(books_to_bytes([book()], joints))
    found = load_joints(file)
    assert sorted(found) == sorted(joints)
    assert all(found[k].tolist() == joints[k].tolist() for k in joints)
    assert load_books(file)[0].hash == book().hash


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_byte_is_found(data, draw):
    at = draw.draw(st.integers(0, len(data) - 1))
    broken = bytearray(data)
    broken[at] ^= draw.draw(st.integers(1, 255))
    try:
        books = books_from_bytes(bytes(broken))
    except InputError as error:
        assert error.code == "E-CHECKSUM"
    else:  # white space of the header: nothing that is read has changed
        assert books_to_bytes(books) == data


def test_a_file_cut_short_is_found_and_named(data, tmp_path):
    file = tmp_path / "wrist.codebook"
    for length in (0, 7, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"wrist.codebook.*is not what was saved") as caught:
            load_books(file)
        assert caught.value.code == "E-CHECKSUM"
    with pytest.raises(InputError) as caught:
        load_books(tmp_path / "none")
    assert caught.value.code == "E-NO-FILE"


def test_another_format_another_thing_and_parts_that_do_not_fit_are_told_apart(data, monkeypatch):
    monkeypatch.setattr(saved, "FORMAT", 2)
    with pytest.raises(InputError, match="format 1; this version of align reads 2") as caught:
        books_from_bytes(data)
    assert caught.value.code == "E-CODEBOOK-VERSION"
    monkeypatch.undo()
    with pytest.raises(InputError, match="some other saved state"):
        books_from_bytes(sealed({"what": "monitor"}, {}))
    with pytest.raises(InputError, match="do not fit together") as caught:
        books_from_bytes(sealed({"what": "codebook", "format": 1, "books": [{"names": []}]}, {}))
    assert caught.value.code == "E-CODEBOOK"
    with pytest.raises(InputError, match="do not fit together"):
        books_from_bytes(sealed({"what": "codebook", "format": 1, "books": []}, {}))


def test_a_stream_of_other_features_or_units_is_refused_by_name():
    books = [book()]
    stream = recording(["rest"])[0]
    assert book_for(books, stream) is books[0]
    unknown = Stream(stream.values, 25.0, name="x", channels=stream.channels)
    assert book_for(books, unknown) is books[0]
    with pytest.raises(InputError, match=r"gyro_x.*made from wrist: acc_x, acc_y") as caught:
        book_for(books, Stream(stream.values, 25.0, name="x", channels=("gyro_x", "gyro_y")))
    assert caught.value.code == "E-CODEBOOK-FEATURES"
    with pytest.raises(InputError) as caught:  # too slow for rhythms: other features
        book_for(books, Stream(stream.values, 5.0, name="x", channels=stream.channels))
    assert caught.value.code == "E-CODEBOOK-FEATURES"
    with pytest.raises(InputError, match="channel acc_y") as caught:
        book_for(books, Stream(stream.values, 25.0, channels=stream.channels, units=("g", "m/s2")))
    assert caught.value.code == "E-CODEBOOK-UNITS"


def test_parts_that_do_not_fit_make_no_book():
    made = book()
    for change in (
        {"counts": np.zeros(2)},
        {"seconds": np.full(3, np.nan)},
        {"medoids": ()},
        {"version": 0},
        {"units": ("g",)},
        {"residual": np.zeros((1, 2, 3))},
    ):
        with pytest.raises(ParameterError):
            dataclasses.replace(made, **change)
    with pytest.raises(ParameterError):
        books_to_bytes([])
