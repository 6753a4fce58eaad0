"""What a live monitor tells its operator: JSON lines on stderr, codes and numbers, never a value or a text."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from align.errors import AlignError

__all__ = ["Log"]

_MOST = 100  # lines of one code within a minute; the rest is counted
_MINUTE = 60.0


class Log:
    """Lines with time, level, code and message. A code that floods is held back and counted.

    Args:
        stream: where to; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._said: dict[str, tuple[float, int]] = {}  # per code: begin of its minute, lines in it

    def __call__(
        self, level: Literal["info", "warning", "error"], code: str, message: str, **about: Any
    ) -> None:
        """Say a line.

        Args:
            level: how bad.
            code: stable name.
            message: what happened, without data.
            **about: numbers and kinds.
        """
        begin, count = self._said.get(code, (-_MINUTE, 0))
        now = time.monotonic()
        if now - begin >= _MINUTE:
            if count > _MOST:
                self._print(level, code, "more of these were held back", {"count": count - _MOST})
            begin, count = now, 0
        self._said[code] = begin, count + 1
        if count < _MOST:
            self._print(level, code, message, about)

    def error(self, error: AlignError, **about: Any) -> None:
        """Say what went wrong with one record.

        Args:
            error: of the record; it has no data in it by its own rule.
            **about: where: the line.
        """
        parts = error.as_dict()
        code, message = str(parts.pop("code")), str(parts.pop("message"))
        self("error", code, message, **{**about, **{k: v for k, v in parts.items() if v != ""}})

    def _print(self, level: str, code: str, message: str, about: dict[str, Any]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": level, "code": code, "message": message}
        stream = sys.stderr if self._stream is None else self._stream
        try:
            # what is known of a record comes first, so that its own "time" (seconds) cannot hide the line's
            print(
                json.dumps({**line, **{k: v for k, v in about.items() if k not in line}}),
                file=stream,
                flush=True,
            )
        except (OSError, ValueError):  # stderr is closed or its disk is full: the monitor goes on without
            return
