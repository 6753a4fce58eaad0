"""align/text/cache.py: the same rows, encoded once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.text.cache import CachedEncoder
from align.text.hashed import HashedEncoder
from align.text.protocol import TextEncoder


class Counting(HashedEncoder):
    """Remembers what it was asked."""

    def __init__(self):
        super().__init__(32)
        self.asked = []

    def encode(self, texts):
        self.asked.extend(texts)
        return super().encode(texts)


@given(
    st.lists(
        st.lists(st.sampled_from(["sat", "walked", "", "\ud800", "e\u0301", "é"]), max_size=5), max_size=5
    )
)
def test_the_same_rows_as_without(calls):
    cached, plain = CachedEncoder(HashedEncoder(32)), HashedEncoder(32)
    for texts in calls:
        rows = cached.encode(texts)
        assert rows.shape == (len(texts), 32) and rows.dtype == np.float32
        np.testing.assert_array_equal(rows, plain.encode(texts))


def test_each_text_is_encoded_once():
    counting = Counting()
    cached = CachedEncoder(counting)
    for texts in (["a", "b", "a"], ["b", "c"], [], ["a"]):
        cached.encode(texts)
    assert counting.asked == ["a", "b", "c"]


def test_what_was_not_asked_for_longest_goes_first():
    counting = Counting()
    cached = CachedEncoder(counting, most=2)
    for texts in (["a", "b"], ["a"], ["c"], ["a"], ["b"]):
        cached.encode(texts)
    assert counting.asked == ["a", "b", "c", "b"]
    np.testing.assert_array_equal(cached.encode(["x", "y", "z"]), HashedEncoder(32).encode(["x", "y", "z"]))


def test_a_cache_holds_something():
    with pytest.raises(ParameterError, match="most"):
        CachedEncoder(HashedEncoder(32), most=0)


def test_what_a_caller_writes_into_his_rows_stays_his():
    cached = CachedEncoder(HashedEncoder(32))
    cached.encode(["sat"])[:] = 7.0
    np.testing.assert_array_equal(cached.encode(["sat"]), HashedEncoder(32).encode(["sat"]))


def test_it_goes_by_the_name_of_what_it_caches():
    cached = CachedEncoder(HashedEncoder(32))
    assert isinstance(cached, TextEncoder)
    assert (cached.name, cached.dimension) == ("hashed-32", 32)
