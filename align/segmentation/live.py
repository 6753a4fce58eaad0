"""One stream in order of time -> events: segments, provisional and final, and the gaps between runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Stream
from align.segmentation.incremental import RunSegmenter, Update
from align.segmentation.live_events import Event, StreamSettings
from align.segmentation.noise import noise_bound, noise_sd, noise_spread
from align.segmentation.online_shape import ShapeSegmenter

__all__ = ["LiveStream"]


class LiveStream:
    """Rows in order of time in, events out.

    The first ``warm_up`` rows are kept until they are all there, or the stream closes; they give the sample period, the
    scale of each channel and the penalty, which then stay. A channel that did not move among them is ignored until
    it has moved and ``warm_up`` rows have come from then on; these give its scale, and the penalty anew. A missing
    cell takes the smoothed level of its channel (``kernels.online.hold_levels``).

    Args:
        name: of the stream.
        n_channels: columns.
        settings: how to cut.
    """

    def __init__(self, name: str, n_channels: int, settings: StreamSettings) -> None:
        self.name, self.settings = name, settings
        self._period = math.nan if settings.rate is None else 1.0 / settings.rate
        self._scale = np.full(n_channels, math.nan if settings.noise is None else 1.0 / settings.noise)
        self._penalty = math.nan if settings.penalty is None else settings.penalty
        self._levels = np.full(n_channels, math.nan)  # stand in for missing cells
        self._still = np.full(n_channels, math.nan)  # last valid value of the channels that never moved
        self._learning = settings.rate is None or settings.noise is None
        self._kept_times, self._kept = np.empty(0), np.empty((0, n_channels))  # to learn from
        self._times = np.empty(0)  # of the rows in the segmenter's buffer
        self._run: RunSegmenter | ShapeSegmenter | None = None
        self._seq = self._moved = 0
        self._open, self._last = math.nan, math.nan  # start of the segment that is not final; last row
        self._tentative: list[tuple[int, float, float]] = []  # seq, start and end of provisional segments
        if not self._learning:
            self._learn(self._kept, np.ones(n_channels, bool))

    @property
    def period(self) -> float:
        """Seconds from sample to sample; NaN before it is known."""
        return self._period

    @property
    def watermark(self) -> float | None:
        """Seconds before which all segments are final; None before the first row."""
        return None if math.isnan(self._open) else self._open

    def push(self, times: Floats, values: Floats) -> Iterator[Event]:
        """Take rows; the answer must be used up.

        Args:
            times: (n,) ascending seconds, after those before.
            values: (n, d), NaN = missing.
        """
        if self._learning:
            room = self.settings.warm_up - len(self._kept)
            self._keep(times[:room], values[:room])
            if len(self._kept) == self.settings.warm_up:
                yield from self._begin()
            times, values = times[room:], values[room:]
        while len(times):
            count = self._until_learned(values)
            yield from self._cut(times[:count], values[:count])
            times, values = times[count:], values[count:]
            if self._moved and len(self._kept) == self.settings.warm_up:
                self._learn_still()

    def hear(self, time: float) -> Iterator[Event]:
        """End the run where no row came for longer than a gap; the gap is said when it ends.

        Args:
            time: seconds up to which nothing more will come.
        """
        if self._run is not None and time - self._last > self.settings.gap_factor * self._period:
            yield from self._end_run(math.nan)

    def close(self) -> Iterator[Event]:
        """End the run: everything is final."""
        if self._learning and len(self._kept):
            yield from self._begin()
        if self._run is not None:
            yield from self._end_run(math.nan)

    def set_back(self, last: float, first: float) -> Iterator[Event]:
        """End the run at a clock that was set back.

        Args:
            last: seconds of the last row before.
            first: seconds of the first row after.
        """
        yield from self.close()
        yield self.said("clock", last, first)
        self._open, self._last = first, math.nan

    def said(self, event: str, start: float, end: float, **about: Any) -> Event:
        """The next event of the stream.

        Args:
            event: its kind.
            start, end: seconds.
            **about: other fields of ``Event``; ``final`` is True and ``revises`` None where they are not given.
        """
        seq, self._seq = self._seq, self._seq + 1
        about = {"final": True, "revises": None, "watermark": self.watermark, **about}
        return Event(seq=seq, event=event, stream=self.name, start=start, end=end, **about)

    # --- the scale of the noise

    def _keep(self, times: Floats, values: Floats) -> None:
        self._kept_times = np.concatenate([self._kept_times, times])
        self._kept = np.concatenate([self._kept, values])

    def _begin(self) -> Iterator[Event]:
        """Learn from the rows kept, then cut them."""
        times, values = self._kept_times, self._kept
        self._kept_times, self._kept, self._learning = times[:0], values[:0], False
        if math.isnan(self._period):
            self._period = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        self._learn(values, np.isnan(self._scale))
        self._note_still(values)
        yield from self._cut(times, values)

    def _learn(self, values: Floats, wanted: npt.NDArray[np.bool_]) -> None:
        """Scale of the wanted channels, and the penalty, from some rows."""
        spread = np.ones(int((self._scale > 0).sum()))
        if self.settings.noise is None:
            sd, steps = noise_sd(Stream(values, rate=1.0))
            scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
            self._scale = np.where(wanted, scale, self._scale)
            spread = noise_spread(steps[:, self._scale > 0])
        if self.settings.penalty is None:
            self._penalty = noise_bound(spread, math.log(self.settings.horizon))

    def _note_still(self, values: Floats) -> None:
        for c in np.flatnonzero(self._scale == 0):
            valid = values[~np.isnan(values[:, c]), c]
            if valid.size:
                self._still[c] = valid[-1]

    def _until_learned(self, values: Floats) -> int:
        """Rows up to which the scales stay; keeps those rows once a still channel has moved."""
        still = np.flatnonzero(self._scale == 0)
        if not still.size:
            return len(values)
        first = 0
        if not self._moved:
            known = np.where(np.isnan(self._still), np.nan, self._still)[still]
            columns = values[:, still]
            for j in np.flatnonzero(np.isnan(known)):  # never a valid cell so far: the first one is its level
                valid = np.flatnonzero(~np.isnan(columns[:, j]))
                if valid.size:
                    known[j] = self._still[still[j]] = columns[valid[0], j]
            moves = np.flatnonzero(((columns != known) & ~np.isnan(columns)).any(axis=1))
            if not moves.size:
                return len(values)
            first, self._moved = int(moves[0]), 1
        count = min(len(values), first + self.settings.warm_up - len(self._kept))
        self._keep(np.empty(0), values[first:count])
        return count

    def _learn_still(self) -> None:
        values, self._kept, self._moved = self._kept, self._kept[:0], 0
        self._learn(values, self._scale == 0)
        self._note_still(values)
        if self._run is not None:
            self._run.rescale(self._scale, self._penalty)

    # --- runs and segments

    def _cut(self, times: Floats, values: Floats) -> Iterator[Event]:
        """Cut rows at gaps, and the runs between."""
        before = np.concatenate([[self._last], times[:-1]])
        gaps = np.flatnonzero(times - before > self.settings.gap_factor * self._period).tolist()
        edges = [*gaps, len(times)]
        if edges[0]:
            yield from self._cut_run(times[: edges[0]], values[: edges[0]])
        for begin, end in pairwise(edges):
            stop, following = self._last + self._period, float(times[begin])
            if self._run is not None:
                yield from self._end_run(following)
            yield self.said("gap", stop, following)
            yield from self._cut_run(times[begin:end], values[begin:end])

    def _cut_run(self, times: Floats, values: Floats) -> Iterator[Event]:
        from align.kernels.online import hold_levels

        if self._run is None:
            size, settings = 1, self.settings
            if settings.min_duration is not None:
                size = clock.samples_in(0.0, settings.min_duration, 0.0, 1.0 / self._period)[1]
            self._run = self._segmenter(max(1, size), max(settings.horizon, 8 * size))
            self._open = float(times[0])
        filled = np.array(values, np.float64)
        hold_levels(filled, self._levels)
        first = self._run.n_samples - len(self._times)
        self._times = np.concatenate([self._times, times])
        self._last = float(times[-1])
        for update in self._run.push(filled):
            yield from self._say(update, first)
        self._times = self._times[len(self._times) - self._run.buffered :].copy()

    def _segmenter(self, min_size: int, horizon: int) -> RunSegmenter | ShapeSegmenter:
        if self.settings.method == "shape":
            return ShapeSegmenter(len(self._scale), min_size=min_size, horizon=horizon)
        return RunSegmenter(self._scale, self._penalty, min_size=min_size, horizon=horizon)

    def _say(self, update: Update, first: int) -> Iterator[Event]:
        """Events of an update: final segments, then what changed among the provisional ones."""
        for change in update.final:
            yield self._final(float(self._times[change - first]), "horizon" if update.forced else "")
        edges = [self._open, *(float(self._times[c - first]) for c in update.provisional)]
        spans = list(pairwise(edges))
        yield from self._withdrawn(len(spans))
        for k, (start, end) in enumerate(spans):
            if k < len(self._tentative):
                seq, *known = self._tentative[k]
                if known == [start, end]:
                    continue
                event = self.said("segment", start, end, final=False, revises=seq)
                self._tentative[k] = (event.seq, start, end)
            else:
                event = self.said("segment", start, end, final=False)
                self._tentative.append((event.seq, start, end))
            yield event

    def _final(self, end: float, why: str = "") -> Event:
        seq = self._tentative.pop(0)[0] if self._tentative else None
        start, self._open = self._open, end
        return self.said("segment", start, end, revises=seq, why=why)

    def _withdrawn(self, count: int) -> Iterator[Event]:
        while len(self._tentative) > count:
            seq, start, end = self._tentative.pop()
            yield self.said("withdrawn", start, end, revises=seq)

    def _end_run(self, following: float) -> Iterator[Event]:
        """All segments of the run are final; the last ends a period after its last row, or at the next one."""
        assert self._run is not None
        first = self._run.n_samples - len(self._times)
        changes, self._run = self._run.changes(), None
        for change in changes:
            yield self._final(float(self._times[change - first]))
        end = self._last + self._period
        yield self._final(end if math.isnan(following) else min(end, following))
        yield from self._withdrawn(0)
        self._times = self._times[:0]

    # --- what is kept

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        numbers: dict[str, Any] = {name: getattr(self, f"_{name}") for name in _NUMBERS}
        arrays = {name: getattr(self, f"_{name}").copy() for name in _ARRAYS}
        numbers |= {"tentative": [list(t) for t in self._tentative], "run": None}
        if self._run is not None:
            numbers["run"], of_run = self._run.state()
            numbers["run"] |= {"min_size": self._run.min_size, "horizon": self._run.horizon}
            arrays |= {f"run.{name}": array for name, array in of_run.items()}
        return numbers, arrays

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        for name in _NUMBERS:
            setattr(self, f"_{name}", numbers[name])
        for name in _ARRAYS:
            setattr(self, f"_{name}", arrays[name].copy())
        self._tentative = [(int(seq), start, end) for seq, start, end in numbers["tentative"]]
        about = numbers["run"]
        self._run = None
        if about is not None:
            self._run = self._segmenter(int(about["min_size"]), int(about["horizon"]))
            self._run.restore(
                about, {k.removeprefix("run."): v for k, v in arrays.items() if k.startswith("run.")}
            )


_NUMBERS = ("period", "penalty", "learning", "seq", "moved", "open", "last")
_ARRAYS = ("scale", "levels", "still", "kept_times", "kept", "times")
