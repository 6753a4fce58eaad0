"""JSON Lines as columns of numbers: one object a line, the first line's keys are the columns."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from align.errors import InputError
from align.readers.cells import lines_of
from align.readers.gathering import Cells, RawTable
from align.readers.headers import check_names, left_out
from align.readers.policy import Policy
from align.readers.text_tables import kind_of_text, strict_text
from align.readers.timestamps import find_time_column, parse_time_column

__all__ = ["read_json_table"]


class _Number(str):
    """A number of the file, kept as it is written so that times stay exact."""


class _Twice(ValueError):
    """A key that an object holds twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise _Twice
    return row


def read_json_table(path: Path, policy: Policy) -> RawTable:
    """Read a JSONL table.

    Raises:
        InputError: E-JSON (line, column), E-RAGGED (a key is missing or new), E-NUMBER, E-DUP-COLUMN,
            E-NO-TIME, E-NO-SAMPLES, E-ENCODING, E-NUL.
    """
    import polars as pl

    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    keys: list[str] = []
    for number, text in enumerate(lines_of(strict_text(path)), 1):
        if not text.strip():
            continue
        row = _row(text, path, number)
        if not rows:
            keys = list(row)
            check_names(keys, policy, path, number)
        elif row.keys() != rows[0].keys():
            missing, new = len(rows[0].keys() - row.keys()), len(row.keys() - rows[0].keys())
            said = f"expected {len(keys)} keys as in the first line, found {missing} missing and {new} new"
            raise InputError("E-RAGGED", said, hint="give every line the same keys", file=path, line=number)
        lines.append(number)
        rows.append(row)
    if not rows:
        raise InputError("E-NO-SAMPLES", "no line holds an object", file=path)
    time, others = find_time_column(keys, policy, file=str(path))
    channels = tuple(k for i, k in enumerate(keys) if i != time and i not in others)
    values = np.full((len(rows), len(channels)), np.nan)
    declared = np.zeros(values.shape, bool) if policy.na else None
    for i, (row, line) in enumerate(zip(rows, lines, strict=True)):
        for k, key in enumerate(channels):
            cell = row[key]
            if isinstance(cell, _Number):
                values[i, k] = float(cell)
            elif declared is not None and isinstance(cell, str) and cell in policy.na:
                declared[i, k] = True
            elif cell is not None:
                raise _not_a_number(cell, path, line, key)
    texts = [_time_text(row[keys[time]], path, line) for row, line in zip(rows, lines, strict=True)]
    written = pl.Series(texts, dtype=pl.String)
    times = partial(parse_time_column, keys[time], written, policy, file=str(path), lines=lines.__getitem__)
    cells = Cells(len(channels), policy, wide=True)
    cells.add(values, declared)
    return RawTable(times, channels, cells, lines.__getitem__, left_out(keys, others))


def _row(text: str, path: Path, line: int) -> dict[str, Any]:
    try:
        row = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_pairs
        )
    except _Twice as error:
        raise InputError("E-DUP-COLUMN", "a key occurs twice", file=path, line=line) from error
    except json.JSONDecodeError as error:
        said = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        hint = "one complete object per line"
        raise InputError("E-JSON", said, hint=hint, file=path, line=line, column=error.colno) from error
    except RecursionError as error:
        raise InputError("E-JSON", "nested too deeply", file=path, line=line, column=1) from error
    if not isinstance(row, dict):
        raise InputError(
            "E-JSON", "not an object", hint="one object per line", file=path, line=line, column=1
        )
    return row


def _not_a_number(cell: object, path: Path, line: int, key: str) -> InputError:
    kinds = {bool: "a yes or no", dict: "an object", list: "a list"}
    kind = kind_of_text(cell) if isinstance(cell, str) else kinds.get(type(cell), "no number")
    said = f"key {key!r} holds {kind}; allowed: numbers"
    return InputError("E-NUMBER", said, hint="write bare numbers", file=path, line=line, column=key)


def _time_text(cell: object, path: Path, line: int) -> str | None:
    if cell is None or isinstance(cell, str):
        return None if cell is None else str(cell)
    raise InputError("E-TIME", "not a time: a yes or no, a list or an object", file=path, line=line)
