"""Text files as they are: decoding that loses nothing, lines, and CSV records with the line each begins on.

Bytes that are not UTF-8 become lone surrogates (PEP 383, ``surrogateescape``), so that a writer gives back
the same bytes. The csv module is not used: it does not tell where a quote was opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from align.errors import InputError

__all__ = ["csv_records", "lines_of", "text_of"]

_BOMS = ((b"\xef\xbb\xbf", "utf-8", "surrogateescape"), (b"\xff\xfe", "utf-16-le", "surrogatepass"),
         (b"\xfe\xff", "utf-16-be", "surrogatepass"), (b"", "utf-8", "surrogateescape"))  # fmt: skip
_END = re.compile(r"\r\n|\n|\r")


def text_of(path: Path) -> str:
    """The whole text of a file: UTF-8, or UTF-16 by its byte order mark, which is left out.

    Raises:
        InputError: E-EMPTY; E-ENCODING with the byte offset (UTF-16 that is cut).
    """
    raw = path.read_bytes()
    if not raw:
        raise InputError("E-EMPTY", "the file is empty", file=path)
    mark, encoding, errors = next(bom for bom in _BOMS if raw.startswith(bom[0]))
    try:
        return raw[len(mark) :].decode(encoding, errors)
    except UnicodeDecodeError as error:
        byte = error.start + len(mark)
        raise InputError("E-ENCODING", f"not {encoding}: {error.reason}", file=path, byte=byte) from error


def lines_of(text: str) -> list[str]:
    """The lines, ended by LF, CR LF or CR; other separators (form feed, U+2028) belong to the text."""
    lines = _END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def csv_records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, fields) of each record; blank lines are left out.

    Fields may be quoted with ``"`` and then hold separators, line ends and doubled quotes (RFC 4180).

    Raises:
        InputError: E-QUOTE, a quote never closed (the line where it opened) or followed by text.
    """
    plain = re.compile(f"[^{re.escape(separator)}\r\n]*")
    at, line, length = 0, 1, len(text)
    while at < length:
        fields, begun, first = list[str](), line, at
        while True:
            if text.startswith('"', at):
                field, stop = _quoted(text, at + 1, line, path)
                line += len(_END.findall(text, at, stop))
                at = stop
            else:
                match = plain.match(text, at)
                field, at = (match[0], match.end()) if match is not None else ("", at)
            fields.append(field)
            if not text.startswith(separator, at):
                break
            at += len(separator)
        end = _END.match(text, at)
        if end is None and at < length:
            raise InputError("E-QUOTE", "text behind a closing quote",
                             hint="double the quotes inside a field", file=path, line=line)  # fmt: skip
        if at > first:  # the record is not a blank line
            yield begun, fields
        at, line = (end.end() if end is not None else length), line + 1


def _quoted(text: str, at: int, line: int, path: Path) -> tuple[str, int]:
    """The field whose opening quote is just before ``at``, and where its closing quote ends."""
    parts = []
    while True:
        close = text.find('"', at)
        if close < 0:
            raise InputError("E-QUOTE", "a quote that opens here is never closed", file=path, line=line)
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            return "".join(parts), close + 1
        parts.append('"')
        at = close + 2
