"""What was said and may not have arrived: lines under consecutive numbers, kept until the sink has them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence

__all__ = ["Outbox"]

Line = tuple[int, bytes]


class Outbox:
    """Lines in order. A line may leave once it is committed, and is forgotten once it has arrived.

    Args:
        first: number of the next line that is put in.
        waiting: lines that a generation holds: committed, not known to have arrived.
    """

    def __init__(self, first: int = 0, waiting: Sequence[bytes] = ()) -> None:
        begin = first - len(waiting)
        self._lines: deque[Line] = deque(enumerate(waiting, begin))
        self._next = self._committed = first
        self.n_bytes = sum(map(len, waiting))

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def next_number(self) -> int:
        """The number that the next line gets."""
        return self._next

    @property
    def uncommitted(self) -> int:
        """How many lines no generation holds yet."""
        return self._next - self._committed

    def put(self, line: bytes) -> None:
        """Add a line.

        Args:
            line: with its line end.
        """
        self._lines.append((self._next, line))
        self._next += 1
        self.n_bytes += len(line)

    def waiting(self) -> list[bytes]:
        """All lines that have not arrived: what a generation holds."""
        return [line for _, line in self._lines]

    def commit(self) -> None:
        """A generation that holds all lines is on the disk."""
        self._committed = self._next

    def deliverable(self, most: int) -> list[Line]:
        """The first lines that may leave.

        Args:
            most: how many.
        """
        ready = len(self._lines) - self.uncommitted
        return list(itertools.islice(self._lines, max(0, min(most, ready))))

    def arrived(self, below: int) -> int:
        """Forget the lines with numbers below, and return how many they were.

        Args:
            below: a number; lines that are not committed stay.
        """
        count = 0
        while self._lines and self._lines[0][0] < min(below, self._committed):
            self.n_bytes -= len(self._lines.popleft()[1])
            count += 1
        return count
