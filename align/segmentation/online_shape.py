"""One run, cut by its shape while it comes in: recurring patterns change, though no level does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.segmentation.incremental import Update

__all__ = ["ShapeSegmenter"]

HORIZON = 32_768  # samples kept, at most
_LEAST = 512  # samples of the first look: fewer show too few repetitions
_GROWTH = 4  # from look to look, until the buffer is full
_NEAR = 64  # a change point is the same one when it moves by less than the horizon over this
_EDGE = 8  # what lies nearer to the end of a look than the horizon over this was not seen well


class ShapeSegmenter:
    """Cut a run without gaps where its pattern changes (gait, heart beats, breathing), as its samples come in.

    The batch method (``segmentation.shape.changes_shape``: candidates from several descriptions of the signal, ranked
    by a table trained on synthetic signals) on a bounded buffer, at numbers of samples that the samples decide: when
    the buffer holds 512, 2,048, 8,192, .. and ``horizon`` samples, and from then on each time that half of it is new.
    So any way of cutting a run into pushes gives the same updates, bit for bit, and a run of at most ``horizon``
    samples ends with the change points of the batch.

    A change point is provisional while later samples can move it. When the buffer is full, those in its older half
    that the look before had seen too are final, the others are dropped, and that half is forgotten. Memory and time per
    sample are constant. No optimum is claimed: what is final was the best explanation of two buffers.

    Args:
        n_channels: d, >= 1.
        min_size: least samples of a segment, >= 1.
        horizon: samples kept, >= 1,024 and >= 8 min_size.

    Reference: the task and its sliding window are those of Ermshaus, Schaefer & Leser 2024, "Raising the ClaSS of
    Streaming Time Series Segmentation", PVLDB 17(8), section 3; its profile, kept up to date sample by sample, is
    replaced by looks at the buffer, whose cost does not grow with the square of the buffer.

    >>> run = ShapeSegmenter(1)
    >>> wave = np.concatenate([np.sin(np.arange(1000) / 3), np.sign(np.sin(np.arange(1000) / 3))])[:, None]
    >>> [u.at for u in run.push(wave)]
    [512]
    >>> len(run.changes())
    1
    """

    def __init__(self, n_channels: int, *, min_size: int = 1, horizon: int = HORIZON) -> None:
        if n_channels < 1:
            raise ParameterError("n_channels", n_channels, "a whole number >= 1")
        if min_size < 1:
            raise ParameterError("min_size", min_size, "a whole number >= 1")
        if horizon < max(2 * _LEAST, 8 * min_size):
            raise ParameterError("horizon", horizon, f"at least {max(2 * _LEAST, 8 * min_size)} samples")
        self.min_size, self.horizon = int(min_size), int(horizon)
        self._rows = np.empty((0, n_channels))
        self._room = np.empty((_LEAST, n_channels))  # what has come since the last look
        self._waiting = 0  # rows of it
        self._first = 0  # sample of the run that the buffer begins with
        self._next = _LEAST  # look at this many rows
        self._settled = 0  # last change point that is final, as a sample of the run
        self._seen: tuple[int, ...] = ()  # change points of the look before
        self._looked = 0  # samples of the run at that look

    @property
    def n_samples(self) -> int:
        """Samples taken."""
        return self._first + self.buffered

    @property
    def buffered(self) -> int:
        """Samples kept, at most ``horizon``."""
        return len(self._rows) + self._waiting

    def push(self, values: Floats) -> list[Update]:
        """Take samples.

        Args:
            values: (n, d) f8, finite.

        Returns:
            what was found on the way, in order; nothing where nothing was looked at.
        """
        updates = []
        taken = 0
        while taken < len(values):
            count = min(self._next - self.buffered, len(values) - taken)
            self._room[self._waiting : self._waiting + count] = values[taken : taken + count]
            self._waiting, taken = self._waiting + count, taken + count
            if self.buffered == self._next:
                updates.append(self._look())
        return updates

    def finish(self) -> Update:
        """Everything is final: the run ends here. Does not change the state."""
        return Update(self.n_samples, self.changes(), ())

    def changes(self) -> tuple[int, ...]:
        """The change points of what is kept behind the last final one, as samples of the run, were it to end now."""
        from align.segmentation.shape import changes_shape

        rows = np.concatenate([self._rows, self._room[: self._waiting]])
        if len(rows) < _LEAST:
            return ()
        found = (self._first + changes_shape(rows, self.min_size)).tolist()
        return tuple(c for c in found if c > self._settled and c >= self._settled + self.min_size)

    def rescale(self, scale: Floats, penalty: float) -> None:
        """Nothing: every look finds the scale of what it sees.

        Args:
            scale, penalty: not used.
        """

    def _look(self) -> Update:
        at, found = self.n_samples, self.changes()
        self._rows = np.concatenate([self._rows, self._room[: self._waiting]])
        final: tuple[int, ...] = ()
        full = len(self._rows) >= self.horizon
        if full:
            half = self._first + self.horizon // 2
            final = tuple(c for c in found if c <= half and self._was_seen(c))
            found = tuple(c for c in found if c > half)
            self._settled = final[-1] if final else self._settled
            self._rows = self._rows[half - self._first :].copy()
            self._first = half
        size = len(self._rows)
        self._next = self.horizon if full else min(self.horizon, _GROWTH * size)
        self._room, self._waiting = np.empty((self._next - size, self._rows.shape[1])), 0
        self._seen, self._looked = found, at
        return Update(at, final, found, forced=full)

    def _was_seen(self, change: int) -> bool:
        """Whether the look before had it, or could not have."""
        near = any(abs(change - c) * _NEAR <= self.horizon for c in self._seen)
        return near or change >= self._looked - self.horizon // _EDGE

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        numbers: dict[str, Any] = {name: getattr(self, f"_{name}") for name in _NUMBERS}
        numbers["seen"] = list(self._seen)
        return numbers, {"rows": self._rows.copy(), "waiting": self._room[: self._waiting].copy()}

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave, of a segmenter with the same ``min_size`` and ``horizon``.

        Args:
            numbers, arrays: from ``state``.
        """
        for name in _NUMBERS:
            setattr(self, f"_{name}", int(numbers[name]))
        self._seen = tuple(int(c) for c in numbers["seen"])
        self._rows, self._waiting = arrays["rows"].copy(), len(arrays["waiting"])
        self._room = np.empty((self._next - len(self._rows), self._rows.shape[1]))
        self._room[: self._waiting] = arrays["waiting"]


_NUMBERS = ("first", "next", "settled", "looked")
