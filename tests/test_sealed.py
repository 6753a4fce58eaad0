"""State as bytes: what comes out is what went in, or it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import InputError
from align.sealed import opened, sealed

ARRAYS = {
    "f": np.arange(6.0).reshape(2, 3),
    "step": np.array(3.0, np.float32),
    "none": np.zeros((0, 2), np.int64),
}
ABOUT = {"format": "x/1", "parts": [{"n": 3}], "seed": 2**60}


def test_numbers_and_arrays_come_back_bit_for_bit() -> None:
    about, arrays = opened(sealed(ABOUT, ARRAYS), "the state", "")
    assert about == ABOUT and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(at: int, bit: int) -> None:
    data = bytearray(sealed(ABOUT, ARRAYS))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(InputError, match="E-CHECKSUM the state is not"):
        opened(bytes(data), "the state", "begin anew")


@given(size=st.integers(0, 10_000))
def test_a_torn_file_is_refused(size: int) -> None:
    data = sealed(ABOUT, ARRAYS)
    with pytest.raises(InputError, match="E-CHECKSUM"):
        opened(data[: size % len(data)], "the state", "begin anew")
