"""Online detection of a change in the mean: a statistic per sample, exact over all windows, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError

__all__ = ["Detector", "Scores"]

Ints = npt.NDArray[np.int64]
CAPACITY = 128  # vertices of one side of a hull: ``kernels.online.CAPACITY``
_NAMES = ("times", "sums", "samples", "sizes", "totals", "counts", "bound")


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a detector says of the rows that it took.

    ``statistic`` (n,) is the misfit that one change point would save; ``change`` (n,) the row, counted from the
    detector's first, that it would come before, -1 where nothing is saved.
    """

    statistic: Floats
    change: Ints


class Detector:
    """Watch d channels for a change in the mean (FOCuS): exact over all windows, O(log n) per sample expected.

    After t samples x of a channel, in units of its noise and with S their sums, the statistic is the largest over s
    of ``S_s^2/s + (S_t - S_s)^2/(t - s) - S_t^2/t``, what one change point before sample s saves in misfit; with
    the mean before it known, of ``(S_t - S_s)^2/(t - s)``. Of several channels, ``combine="sum"`` adds up the
    channels' statistics, each at its own s (so it is at least that of one common change point), and "max"
    takes the largest. Any way of cutting the samples into pushes gives the same numbers.

    Memory is constant: 2 x 128 hull vertices per channel, 6 KiB. Noise needs about ln n of them a side. Where a
    signal bends one way for longer, the window nearest in length to its neighbours goes: the statistic is then that of
    the windows left, never more than the exact one (on a straight ramp of 200,000 samples at most 1 % less), and
    ``dropped`` counts them.

    Args:
        n_channels: d, >= 1.
        mean: (d,) or one number: the mean before the change, where known; None: unknown.
        scale: (d,) or one number >= 0: one over the sd of the noise; 0 ignores a channel.
        combine: "sum" or "max" of the channels.

    Reference: Romano, Eckley, Fearnhead & Rigaill 2023, JMLR 24(81); sums and maxima of channels: Mei 2010,
    Biometrika 97(2).

    >>> Detector(1, mean=0.0).push([[0.0], [3.0], [3.0]]).statistic.tolist()
    [0.0, 9.0, 18.0]
    """

    def __init__(
        self,
        n_channels: int,
        *,
        mean: npt.ArrayLike | None = None,
        scale: npt.ArrayLike = 1.0,
        combine: Literal["sum", "max"] = "sum",
    ) -> None:
        if n_channels < 1:
            raise ParameterError("n_channels", n_channels, "a whole number >= 1")
        if combine not in ("sum", "max"):
            raise ParameterError("combine", combine, '"sum" or "max"')
        self._mode = (mean is not None, combine == "sum")
        self._scale = _per_channel("scale", scale, n_channels)
        if (self._scale < 0).any():
            raise ParameterError("scale", self._scale.tolist()[:5], "numbers >= 0")
        # an unknown mean does not enter the statistic; the first valid sample keeps the sums small
        shift = np.full(n_channels, np.nan) if mean is None else _per_channel("mean", mean, n_channels)
        self._shift = shift
        self.reset()

    @property
    def n_samples(self) -> int:
        """Rows taken since the start or the last reset."""
        return int(self._hulls[5][0])

    @property
    def dropped(self) -> int:
        """Windows given up since the last reset because a hull was full; 0: the statistic is exact."""
        return int(self._hulls[5][1])

    def reset(self) -> None:
        """Forget all samples: the next one is row 0."""
        d = len(self._scale)
        hulls = np.zeros((d, 2, CAPACITY)), np.zeros((d, 2, CAPACITY)), np.zeros((d, 2, CAPACITY), np.int64)
        about = np.ones((d, 2), np.int64), np.zeros((d, 2)), np.zeros(2, np.int64), np.zeros(1)
        self._hulls = (*hulls, *about)
        if not self._mode[0]:
            self._shift = np.full(d, np.nan)
        self._settled = self._mode[0]

    def push(self, values: npt.ArrayLike) -> Scores:
        """Take rows.

        Args:
            values: (n, d) numbers; NaN = a missing cell, which leaves its channel as it was.

        Returns:
            one entry per row.

        Raises:
            ParameterError: another number of channels, or an infinite value.
        """
        from align.kernels.online import glr_push

        rows = self._shaped(values)
        if np.isinf(rows).any():
            raise ParameterError("values", "an infinite value", "finite numbers, NaN for a missing cell")
        statistic, change = np.zeros(len(rows)), np.full(len(rows), -1, np.int64)
        glr_push(rows, self._moved(rows), self._scale, self._hulls, self._mode, statistic, change)
        return Scores(statistic, change)

    def until(self, values: npt.ArrayLike, threshold: float) -> tuple[int, bool]:
        """Take rows up to and with the first whose statistic is above the threshold, or all.

        The same as looking for it in what ``push`` gives, about three times as fast: the statistic is worked out
        where a bound that goes on from row to row says that it may have passed, and nowhere else.

        Args:
            values: as of ``push``; not looked at for infinite ones.
            threshold: in units of misfit saved.

        Returns:
            rows taken, and whether the last of them passed.

        Raises:
            ParameterError: another number of channels.
        """
        from align.kernels.online import glr_until

        rows = self._shaped(values)
        return glr_until(rows, self._moved(rows), self._scale, self._hulls, self._mode, float(threshold))

    def now(self) -> tuple[float, int]:
        """The statistic of the rows taken so far, and the row that the change comes before, -1 for none."""
        from align.kernels.online import glr_now

        return glr_now(self._scale, self._hulls, self._mode)

    def _shaped(self, values: npt.ArrayLike) -> Floats:
        rows = np.ascontiguousarray(values, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self._scale):
            raise ParameterError("values", f"shape {rows.shape}", f"(n, {len(self._scale)})")
        return rows

    def _moved(self, rows: Floats) -> Floats:
        """What to subtract: the known mean, or each channel's first valid sample."""
        if self._settled:
            return self._shift
        for c in np.flatnonzero(np.isnan(self._shift)):
            valid = np.flatnonzero(~np.isnan(rows[:, c]))
            if valid.size:
                self._shift[c] = rows[valid[0], c]
        self._settled = not np.isnan(self._shift).any()
        # no valid sample yet: every cell is missing whatever is subtracted
        return np.nan_to_num(self._shift)

    def state(self) -> Mapping[str, npt.NDArray[Any]]:
        """All that the detector knows, as arrays by name; ``restore`` takes them."""
        arrays = dict(zip(_NAMES, self._hulls, strict=True)) | {"shift": self._shift}
        return MappingProxyType({name: array.copy() for name, array in arrays.items()})

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave, of a detector made with the same arguments.

        Args:
            state: arrays by name.

        Raises:
            ParameterError: an array is missing or has another shape or type.
        """
        now = dict(self.state())
        for name, array in now.items():
            given = state.get(name)
            if given is None or given.shape != array.shape or given.dtype != array.dtype:
                raise ParameterError("state", name, f"{array.dtype} {array.shape}")
        times, sums, samples, sizes, totals, counts, bound = (state[name].copy() for name in _NAMES)
        if (sizes < 1).any() or (sizes > CAPACITY).any():  # the kernel trusts them
            raise ParameterError("state", "sizes", f"1 to {CAPACITY}")
        self._hulls = times, sums, samples, sizes, totals, counts, bound
        self._shift = state["shift"].copy()
        self._settled = not np.isnan(self._shift).any()


def _per_channel(name: str, values: npt.ArrayLike, n_channels: int) -> Floats:
    array = np.asarray(values, np.float64)
    if array.shape not in ((), (n_channels,)) or not np.isfinite(array).all():
        raise ParameterError(name, f"shape {array.shape}", f"one finite number, or {n_channels}")
    return np.ascontiguousarray(np.broadcast_to(array, n_channels)).copy()
