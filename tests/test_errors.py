"""Errors: one printable line, plain JSON, stable exit codes."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align import errors
from align.errors import AlignError, InputError, ParameterError, escape_controls

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]))


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__ if name.endswith("Error")}
    assert codes == {
        "AlignError": 70,
        "InputError": 3,
        "LockedError": 6,
        "ParameterError": 2,
        "ResourceError": 5,
        "UnsafeError": 7,
    }


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_S04_an_error_is_one_printable_line(message: str, hint: str, file: str) -> None:
    line = str(InputError("E-X", message, hint=hint, file=file))
    assert len(line.splitlines()) == 1
    line.encode("utf-8")
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in line)


@given(ANY_TEXT)
def test_escaping_twice_changes_nothing_more_and_keeps_plain_text(text: str) -> None:
    once = escape_controls(text)
    assert escape_controls(once) == once
    if text.isascii() and text.isprintable():
        assert once == text


@pytest.mark.parametrize("code", [0x00, 0x0A, 0x1B, 0x7F, 0x85, 0x9B, 0x2028, 0x202E, 0x2066, 0xD800, 0xFEFF])
def test_what_can_move_or_hide_text_on_a_terminal_is_escaped(code: int) -> None:
    assert escape_controls(chr(code)) == (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def test_the_place_is_printed_in_a_fixed_order() -> None:
    error = InputError(
        "E-X", "found", time=1.5, sample=7, channel="x", line=3, file=Path("a.csv"), column=None
    )
    assert str(error) == "E-X a.csv, line 3, channel x, sample 7, time 1.5 s: found."
    assert list(error.where) == ["file", "line", "channel", "sample", "time"]


def test_the_hint_follows_as_a_sentence() -> None:
    assert str(AlignError("E-X", "found it.", hint="do this")) == "E-X found it. Do this."
    assert str(AlignError("E-X", "which one?", hint="")) == "E-X which one?"


def test_as_dict_is_plain_json() -> None:
    where = {"file": Path("a"), "line": np.int64(3), "time": np.float32(0.5), "channel": "µ"}
    as_dict = InputError("E-X", "m", hint="h", **where).as_dict()
    assert json.loads(json.dumps(as_dict)) == {
        "code": "E-X", "message": "m", "hint": "h", "file": "a", "line": 3, "time": 0.5, "channel": "µ",
    }  # fmt: skip


def test_an_unknown_place_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="row"):
        InputError("E-X", "m", row=3)


def test_the_place_cannot_be_changed_afterwards() -> None:
    with pytest.raises(TypeError):
        InputError("E-X", "m", line=3).where["line"] = 4  # type: ignore[index]


def test_a_parameter_error_is_a_value_error_that_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"^E-PARAM rate is -1; allowed: > 0\.$") as caught:
        raise ParameterError("rate", -1, "> 0")
    assert isinstance(caught.value, ParameterError) and caught.value.name == "rate"


@pytest.mark.parametrize(
    "error",
    [
        InputError("E-X", "found", hint="do this", file=Path("a.csv"), line=3),
        ParameterError("rate", -1, "> 0"),
    ],
)
def test_an_error_can_leave_the_process_that_met_it(error: AlignError) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, pytest.raises(type(error)) as caught:
        pool.submit(_fail, error).result()
    assert caught.value.as_dict() == error.as_dict() and str(caught.value) == str(error)
    with pytest.raises(TypeError):
        caught.value.where["line"] = 4


def _fail(error: AlignError) -> None:
    raise error
