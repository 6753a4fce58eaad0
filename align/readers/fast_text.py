"""CSV and TSV by polars, a block of lines at a time: the good path.

The schema is fixed (time columns are text, every other column float64), so nothing is inferred. What polars
silently pads or drops shows as nulls; any null that a plain empty cell does not explain, and any failure, sends
the file to the scanner of ``text_tables``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from align.readers.gathering import Cells, RawTable, TimeBlocks
from align.readers.headers import check_header, left_out, separator_of
from align.readers.policy import Policy
from align.readers.timestamps import find_time_column

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_fast"]

_BLOCK = 1 << 23  # bytes read at once
_CHUNK = 1 << 24


def read_fast(path: Path, head: bytes, separator: str, policy: Policy, wide: bool) -> RawTable | None:
    """Read a text table; None when anything at all is unusual.

    Args:
        path: the file.
        head: its first line.
        separator: between fields, unless the first line shows another.
        policy: what counts as missing and as the time.
        wide: keep float64.

    Raises:
        InputError: of the header: E-NO-HEADER, E-DUP-COLUMN, E-LIMIT, E-NO-TIME.
    """
    import polars as pl

    try:
        line = head.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        return None
    separator, findings = separator_of(line, separator)
    header = [name.strip() for name in line.split(separator)]
    check_header(header, policy, path, 1)
    time, others = find_time_column(header, policy, file=str(path))
    wanted = [i for i in range(len(header)) if i != time and i not in others]
    schema: dict[str, type[pl.DataType]] = {str(i): pl.Float64 for i in range(len(header))}
    schema |= {str(i): pl.String for i in (time, *others)}
    how: dict[str, Any] = {"has_header": False, "schema": schema, "separator": separator}
    cells = Cells(len(wanted), policy, wide=wide)
    times = TimeBlocks(header[time], policy, str(path))
    nulls = 0
    try:
        for frame, share in _frames(path, len(head), how):
            nulls += sum(frame[str(i)].null_count() for i in wanted)
            if frame[str(time)].null_count():
                return None
            if not cells.n_rows:
                cells.expected = int(frame.height / share * 1.02) + 1
            cells.add(frame.select(str(i) for i in wanted).to_numpy())
            times.add(frame[str(time)])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if cells.n_rows == 0 or (nulls and not _even(path, separator.encode(), len(header))):
        return None

    def written() -> pl.Series:
        return pl.read_csv(path, skip_lines=1, columns=[time], glob=False, **how).to_series()

    def line_of(row: int) -> int:
        return row + 2

    return RawTable(
        lambda: times.times(written, line_of),
        tuple(header[i] for i in wanted),
        cells,
        line_of,
        findings + left_out(header, others),
    )


def _frames(path: Path, begin: int, how: dict[str, Any]) -> Iterator[tuple[pl.DataFrame, float]]:
    """Blocks of whole lines from byte ``begin`` on, and the share of the file that ends with each.

    A block ends where as many quotes were closed as opened, so that a quoted line end splits no record.
    """
    import polars as pl

    size = path.stat().st_size
    held: list[bytes] = []
    quotes = 0
    with open(path, "rb") as file:
        file.seek(begin)
        while data := file.read(_BLOCK):
            cut = data.rfind(b"\n") + 1
            quotes += data.count(b'"', 0, cut)
            if cut and quotes % 2 == 0:
                yield (
                    pl.read_csv(b"".join([*held, data[:cut]]), **how),
                    (file.tell() - len(data) + cut) / size,
                )
                held, quotes = [data[cut:]], 0
            else:
                held.append(data)
            quotes += data.count(b'"', cut)
    rest = b"".join(held)
    if rest:
        yield pl.read_csv(rest, **how), 1.0


def _even(path: Path, separator: bytes, n_fields: int) -> bool:
    """True when every line has ``n_fields`` fields and the file has no quote and no blank line."""
    rest = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            if b'"' in chunk:
                return False
            data = np.frombuffer(chunk, np.uint8)
            ends = np.flatnonzero(data == 10)
            before = np.searchsorted(np.flatnonzero(data == separator[0]), ends)
            counts = np.diff(before, prepend=0)
            if counts.size:
                counts[0] += rest
                rest = 0
            if (counts != n_fields - 1).any():
                return False
            after = data[ends[-1] + 1 :] if ends.size else data
            rest += int((after == separator[0]).sum())
    return True
