"""The first line of a text table: its separator, and names that must be there, once each, and not numbers."""

from __future__ import annotations

import re
from pathlib import Path

from align.datatypes import Finding
from align.errors import InputError
from align.readers.policy import Policy

__all__ = ["check_header", "check_names", "left_out", "separator_of"]

_NUMBER_OR_TIME = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*|(?i:nan|[+-]?inf)|"
)
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


def separator_of(line: str, expected: str) -> tuple[str, tuple[Finding, ...]]:
    """The separator of a header line: the expected one when it is there, else the most frequent known one.

    >>> separator_of("t;a;b", ",")[0]
    ';'
    """
    outside = re.sub(r'"[^"]*"', "", line)
    if expected in outside:
        return expected, ()
    found = max(_NAMES, key=outside.count)
    if outside.count(found) == 0:
        return expected, ()
    said = f"the fields are separated by a {_NAMES[found]}, not by a {_NAMES[expected]}"
    return found, (Finding("W-DELIMITER", said),)


def check_header(header: list[str], policy: Policy, path: Path, line: int) -> None:
    """Refuse a first line that is data, and the names that ``check_names`` refuses."""
    if len(header) <= policy.max_channels and all(_NUMBER_OR_TIME.fullmatch(name) for name in header):
        said = "the first line holds numbers, not names"
        raise InputError("E-NO-HEADER", said, hint="add a line of column names", file=path, line=line)
    check_names(header, policy, path, line)


def check_names(names: list[str], policy: Policy, path: Path, line: int | None) -> None:
    """Refuse too many columns (E-LIMIT) and names that are empty or occur twice (E-DUP-COLUMN)."""
    if len(names) - 1 > policy.max_channels:
        said = f"{len(names) - 1} channels; allowed: {policy.max_channels}"
        raise InputError("E-LIMIT", said, hint="raise --max-channels", file=path, line=line)
    seen: dict[str, int] = {}
    for column, name in enumerate(names, 1):
        if not name:
            said = f"column {column} has no name"
            raise InputError(
                "E-DUP-COLUMN", said, hint="name every column", file=path, line=line, column=column
            )
        if name in seen:
            said = f"columns {seen[name]} and {column} have the same name"
            hint = "give each column its own name"
            raise InputError("E-DUP-COLUMN", said, hint=hint, file=path, line=line, column=name)
        seen[name] = column


def left_out(names: list[str], others: tuple[int, ...]) -> tuple[Finding, ...]:
    """The finding about further columns that are named like times and are not read as channels."""
    if not others:
        return ()
    listed = ", ".join(names[i] for i in others)
    return (Finding("W-TIME-COLUMN", f"also named like times and left out: {listed}", len(others)),)
