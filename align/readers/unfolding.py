"""A running limit on what a compressed file unfolds to."""

from __future__ import annotations

from pathlib import Path

from align.errors import UnsafeError
from align.readers.policy import Policy

__all__ = ["FREE_BYTES", "Unfolding"]

FREE_BYTES = 1 << 28  # whatever a file's size


class Unfolding:
    """Counts what is unfolded of a file, and refuses what is too much for its size.

    Allowed are 256 MiB, or ``policy.max_ratio`` times the bytes of the file, whichever is more.

    Args:
        path: of the file.
        policy: its ``max_ratio`` counts.
    """

    def __init__(self, path: Path, policy: Policy) -> None:
        self._path, self._size, self._ratio = path, path.stat().st_size, policy.max_ratio
        self._bytes = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes, before they are kept.

        Args:
            n_bytes: more of them, >= 0.

        Raises:
            UnsafeError: E-UNFOLDS, too many.
        """
        self._bytes += n_bytes
        if self._bytes > max(FREE_BYTES, self._ratio * self._size):
            said = (
                f"{self._size:,} bytes unfold to over {self._bytes:,}; allowed: {self._ratio:g} times as many"
            )
            hint = "a recording of nothing, or a file made to fill the memory; --max-ratio allows more"
            raise UnsafeError("E-UNFOLDS", said, hint=hint, file=self._path)
