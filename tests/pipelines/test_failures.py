"""What becomes of an exception that nobody expected: a code, a place, and none of its text."""

from __future__ import annotations

import errno

import pytest

from align.errors import InputError, ResourceError
from pipelines.failures import as_align_error


class OutOfMemoryError(Exception):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (InputError("E-X", "said"), "E-X", 3),
        (MemoryError(), "E-MEMORY", 5),
        (OutOfMemoryError("secret"), "E-MEMORY", 5),
        (OSError(errno.EIO, "secret", "f"), "E-IO", 5),
        (ValueError("secret"), "E-BUG", 70),
        (OSError("secret"), "E-BUG", 70),
        (KeyError("secret"), "E-BUG", 70),
    ],
)
def test_X13_any_exception_becomes_one_that_can_be_told(error: Exception, code: str, exit_code: int) -> None:
    known = as_align_error(error)
    assert (known.code, known.exit_code) == (code, exit_code)
    assert "secret" not in str(known)
    assert isinstance(known, ResourceError) == (exit_code == 5)
