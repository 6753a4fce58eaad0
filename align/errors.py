"""Every error that align raises on purpose: what was found, where, what is allowed and what to do.

The message never contains note text: a place (file, line, column, channel, sample, time) and a kind.
``str(error)`` is the one line that the command prints; ``as_dict()`` is the same for ``--errors json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "AlignError",
    "InputError",
    "LockedError",
    "ParameterError",
    "ResourceError",
    "UnsafeError",
    "escape_controls",
]

_PLACES = ("file", "line", "column", "byte", "channel", "sample", "time")


def escape_controls(text: str) -> str:
    """Return ``text`` with control, bidi and surrogate characters written as escapes: safe to print.

    >>> escape_controls("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(_escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    hidden = code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code <= 0xDFFF
    bidi = 0x200E <= code <= 0x200F or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    if not (hidden or bidi or code in (0x2028, 0x2029, 0xFEFF)):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!")) or not text else text.rstrip(".") + "."


class AlignError(Exception):
    """The root. ``code`` is stable ("E-RAGGED"); ``exit_code`` is what the command exits with.

    Args:
        code: stable name of the fault, upper case with a leading ``E-``.
        message: what was found and what is allowed, one sentence, no note text.
        hint: what to do about it.
        **where: any of file, line, column, byte, channel, sample, time.
    """

    exit_code = 70

    def __init__(self, code: str, message: str, *, hint: str = "", **where: object) -> None:
        unknown = set(where) - set(_PLACES)
        if unknown:
            raise TypeError(f"unknown place {sorted(unknown)}; known: {_PLACES}")
        self.code = code
        self.message = message
        self.hint = hint
        self.where: Mapping[str, object] = MappingProxyType(
            {k: where[k] for k in _PLACES if where.get(k) is not None}
        )
        super().__init__(code, message)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors travel between processes: the parts, not the constructor's arguments, are what is kept."""
        parts = {k: v for k, v in self.__dict__.items() if k != "where"}
        return _revived, (type(self), self.args, parts, dict(self.where))

    def __str__(self) -> str:
        place = ", ".join(self._place(k, v) for k, v in self.where.items())
        hint = self.hint[:1].upper() + self.hint[1:]  # it stands as a sentence of its own
        parts = [self.code, f"{place}:" if place else "", _sentence(self.message), _sentence(hint)]
        return escape_controls(" ".join(p for p in parts if p))

    @staticmethod
    def _place(key: str, value: object) -> str:
        if key == "file":
            return str(value)
        if key == "time" and isinstance(value, float):
            return f"time {value:.6g} s"
        return f"{key} {value}"

    def as_dict(self) -> dict[str, object]:
        """The error as plain JSON values."""
        plain = {k: v.item() if hasattr(v, "item") else v for k, v in self.where.items()}  # numpy's scalars
        where = {k: v if isinstance(v, int | float) else str(v) for k, v in plain.items()}
        return {"code": self.code, "message": self.message, "hint": self.hint, **where}


def _revived(
    kind: type[AlignError], arguments: tuple[object, ...], parts: dict[str, object], where: dict[str, object]
) -> AlignError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(parts, where=MappingProxyType(where))
    return error


class InputError(AlignError):
    """Bad input: a file, a value, a time or a note that cannot be used as it is. Exit code 3."""

    exit_code = 3


class ParameterError(AlignError, ValueError):
    """A parameter out of its range, or a combination that means nothing. Exit code 2."""

    exit_code = 2

    def __init__(self, name: str, got: object, allowed: str, *, hint: str = "") -> None:
        self.name = name
        super().__init__("E-PARAM", f"{name} is {got!r}; allowed: {allowed}", hint=hint)


class ResourceError(AlignError):
    """Disk, memory, permission or device. Exit code 5."""

    exit_code = 5


class LockedError(AlignError):
    """Another process holds the output. Exit code 6."""

    exit_code = 6


class UnsafeError(AlignError):
    """Refused for safety: would overwrite, escape a folder, or run code. Exit code 7."""

    exit_code = 7
