"""One run, cut while it comes in: the exact optimum of a bounded buffer, looked at when it may have changed.

Everything happens at numbers of samples that the samples themselves decide, never at the ends of pushes: so any way of
cutting a run into pushes gives the same updates, bit for bit, and a batch is one push.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.segmentation.online import Detector

__all__ = ["HORIZON", "RunSegmenter", "Update"]

HORIZON = 16_384  # samples of a buffer, at most
_STEP, _SHARE = 32, 8  # a buffer in which change points were found: looks come 32 samples or an eighth apart
_QUIET = 1  # one in which none were found, though there may be: it doubles
_KEPT = 8  # a full buffer without change points keeps this part of it: what is kept is seen anew
_GROWTH = 1.25  # or when one change point would save this much more than when last looked at


@dataclass(frozen=True, slots=True)
class Update:
    """What is known of a run after ``at`` samples: change points that are final now, and those that may yet move.

    ``final`` and ``provisional`` are ascending samples of the run, the second after the first; ``forced`` says
    whether the horizon, and not the samples, made them final.
    """

    at: int
    final: tuple[int, ...]
    provisional: tuple[int, ...]
    forced: bool = False


class RunSegmenter:
    """Cut a run without gaps as its samples come in.

    The objective is that of ``align.segment``: over all segmentations the least ``sum over segments, samples and
    channels of ((value - segment mean) scale)^2 + penalty x (segments - 1)``, every segment of ``min_size`` samples
    at least.
    What is final are the change points through which every optimum must pass whatever comes after
    (``kernels.settled``), so as long as no horizon is reached the final change points of a finished run are an
    optimum of the whole run.

    Until the detector's sum over channels has passed the penalty (``Detector``, mean unknown) there is nothing to
    look for: were some change points worth their price, then so would the first or the rest be alone, and
    one of them would have been worth it at an earlier sample too. So no search is run before, and none is missed.

    Memory and time: at most ``horizon`` samples are kept. A buffer that reaches it takes the change points of its first
    half as final (``forced``) and forgets that half; where there is none to be found in it, it forgets all but its
    last horizon/8 samples: the segment's level is then theirs.

    Args:
        scale: (d,) >= 0; what each channel is multiplied by, 0 to ignore it.
        penalty: price of one more change point, > 0.
        min_size: least samples of a segment, >= 1.
        horizon: samples kept, >= 256 and >= 8 min_size.

    >>> run = RunSegmenter(np.ones(1), penalty=5.0)
    >>> [(u.at, u.final, u.provisional) for u in run.push(np.repeat([0.0, 9.0], 3)[:, None])]
    [(4, (), (3,)), (5, (3,), ())]
    >>> run.finish().final
    ()
    """

    def __init__(
        self, scale: npt.ArrayLike, penalty: float, *, min_size: int = 1, horizon: int = HORIZON
    ) -> None:
        self.scale = np.array(scale, np.float64, ndmin=1)
        if not (math.isfinite(penalty) and penalty > 0):
            raise ParameterError("penalty", penalty, "a finite number > 0")
        if min_size < 1:
            raise ParameterError("min_size", min_size, "a whole number >= 1")
        if horizon < max(256, 8 * min_size):
            raise ParameterError("horizon", horizon, f"at least {max(256, 8 * min_size)} samples")
        self.penalty, self.min_size, self.horizon = float(penalty), int(min_size), int(horizon)
        self._detector = Detector(len(self.scale), scale=self.scale)
        self._rows = np.empty((64, len(self.scale)))
        self._size = 0  # rows in the buffer
        self._first = 0  # sample of the run that the buffer begins with
        self._crossed = False  # whether the buffer's statistic was ever above the penalty
        self._next, self._bar = self.horizon, self.penalty  # look at this many rows, or above this statistic

    @property
    def n_samples(self) -> int:
        """Samples taken."""
        return self._first + self._size

    @property
    def buffered(self) -> int:
        """Samples kept, at most ``horizon``."""
        return self._size

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
            room = min(self._next, self.horizon) - self._size
            count, passed = self._detector.until(values[taken : taken + room], self._bar)
            self._append(values[taken : taken + count])
            taken += count
            self._crossed = self._crossed or passed
            if passed or self._size >= min(self._next, self.horizon):
                updates += self._look()
        return updates

    def finish(self) -> Update:
        """Everything is final: the run ends here. Does not change the state."""
        return Update(self.n_samples, self.changes(), ())

    def changes(self) -> tuple[int, ...]:
        """The optimal change points of what is kept, as samples of the run, were it to end now."""
        found = self._solve(False)[0] if self._size >= 2 * self.min_size and self._may_hold_changes() else ()
        return tuple(self._first + int(c) for c in found)

    def rescale(self, scale: Floats, penalty: float) -> None:
        """Measure what is kept, and all that comes, with another scale and penalty.

        Args:
            scale: (d,) >= 0.
            penalty: > 0.
        """
        self.scale, self.penalty = np.array(scale, np.float64), float(penalty)
        self._detector = Detector(len(self.scale), scale=self.scale)
        self._drop(0)
        self._plan(_SHARE)

    def _may_hold_changes(self) -> bool:
        return self._crossed or self._detector.dropped > 0

    def _append(self, values: Floats) -> None:
        need = self._size + len(values)
        if need > len(self._rows):
            grown = np.empty((min(max(need, 2 * len(self._rows)), self.horizon), self._rows.shape[1]))
            grown[: self._size] = self._rows[: self._size]
            self._rows = grown
        self._rows[self._size : need] = values
        self._size = need

    def _solve(self, to_settle: bool) -> tuple[npt.NDArray[np.int64], int]:
        """The buffer's optimal change points and 0; or, to settle, those up to the last settled one, where that is."""
        from align.kernels.lazy_bounds import BACK, front_for, lazy_bounds
        from align.kernels.pelt import backtrack, prefix_sums
        from align.kernels.settled import last_common

        rows, front = self._rows[: self._size], front_for(self.min_size)
        sums = prefix_sums(rows, rows.mean(axis=0), self.scale, front, BACK)
        price = lazy_bounds(sums, front, len(rows), self.penalty, self.min_size)
        found = backtrack(sums, price, front, len(rows), self.penalty, self.min_size)
        settled = 0
        if to_settle and found.size:  # an optimum without change points has none in common with any other
            settled = last_common(sums, price, front, len(rows), self.penalty, self.min_size)
        if not settled:
            return found, 0
        before = backtrack(sums, price, front, settled, self.penalty, self.min_size)
        return np.append(before, settled), settled

    def _look(self) -> list[Update]:
        """Search the buffer; let go of what is settled, or of its older half where it is full."""
        at, updates = self.n_samples, []
        found: tuple[int, ...] = ()
        looked = self._size >= 2 * self.min_size and self._may_hold_changes()
        if looked:
            changes, settled = self._solve(True)
            found = tuple(self._first + int(c) for c in changes)
            if settled:
                self._drop(settled)
                updates.append(Update(at, found, self.changes()))
                found = updates[-1].provisional
        if self._size >= self.horizon:
            half = self._first + self.horizon // 2
            old, kept = tuple(c for c in found if c <= half), tuple(c for c in found if c > half)
            updates.append(Update(at, old, kept, forced=True))
            self._drop(half - self._first if found else self._size - self.horizon // _KEPT)
            found = kept
        elif looked and not updates:
            updates.append(Update(at, (), found))
        self._plan(_SHARE if found else _QUIET)
        return updates

    def _drop(self, count: int) -> None:
        """Forget the oldest samples, and see the rest as a run of its own."""
        self._rows[: self._size - count] = self._rows[count : self._size].copy()
        self._first, self._size = self._first + count, self._size - count
        if len(self._rows) > 4 * self._size + 64:
            self._rows = self._rows[: 2 * self._size + 64].copy()
        self._detector.reset()
        rows = self._rows[: self._size]
        taken, self._crossed = self._detector.until(rows, self.penalty)
        self._detector.until(rows[taken:], math.inf)

    def _plan(self, share: int) -> None:
        """When to look next: after a share of what is there, or when one change point would save much more."""
        if self._may_hold_changes():
            self._next = self._size + max(_STEP, self.min_size, self._size // share)
            self._bar = _GROWTH * max(self._detector.now()[0], self.penalty)
        else:
            self._next, self._bar = self.horizon, self.penalty

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        numbers = {name: getattr(self, f"_{name}") for name in _NUMBERS} | {"penalty": self.penalty}
        arrays = {f"detector.{k}": v for k, v in self._detector.state().items()}
        return numbers, arrays | {"rows": self._rows[: self._size].copy(), "scale": self.scale.copy()}

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave, of a segmenter with the same ``min_size`` and ``horizon``.

        Args:
            numbers, arrays: from ``state``.
        """
        self.scale, self.penalty = arrays["scale"].copy(), float(numbers["penalty"])
        self._detector = Detector(len(self.scale), scale=self.scale)
        self._detector.restore({k.removeprefix("detector."): v for k, v in arrays.items() if "." in k})
        self._rows = arrays["rows"].copy()
        self._size = len(self._rows)
        self._first, self._next = int(numbers["first"]), int(numbers["next"])
        self._crossed, self._bar = bool(numbers["crossed"]), float(numbers["bar"])


_NUMBERS = ("first", "crossed", "next", "bar")
