"""``segment``: a stream in, its segmentation out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError
from align.segmentation.choosing import choose_method
from align.segmentation.exact import Run, prepared_runs
from align.segmentation.methods import FRAMES, Method, named, unknown_name
from align.segmentation.penalty import PENALTIES, penalty_for_count

__all__ = ["segment"]

Ints = npt.NDArray[np.int64]


def segment(
    stream: Stream,
    *,
    method: str = "auto",
    penalty: float | str = "auto",
    min_duration: float | None = None,
    per_hour: float | None = None,
    n_segments: int | None = None,
    like: npt.ArrayLike | None = None,
) -> Segmentation:
    """Cut a stream where it changes: the exact optimum of misfit plus penalties, unless the method says otherwise.

    With ``penalty`` a number and a cost as method, minimises over all segmentations, separately for each run
    (no segment crosses a gap), ``sum of the segments' costs + penalty x (segments - 1)`` on the values as
    given, every segment at least ``min_duration`` long; under "l2" the cost is
    ``sum over samples and channels of (value - segment mean)^2``. A run too short for two such segments is one
    segment, whatever its length. Missing cells (NaN) are first filled from the valid values of their channel
    next to them (``exact.filled``); a channel without any is ignored.

    With ``penalty="auto"`` the same, after each channel was divided by the long-run standard deviation of its
    noise, at the penalty that the data bears out (``penalty.checked_penalty``). ``per_hour``, ``n_segments`` and
    ``like`` also work on the channels so divided, and choose the penalty by what is wanted.

    Args:
        stream: raw or featurized; any rate, channels and runs.
        method: a cost, searched exactly ("l2" level, "meanvar" level and spread, "trend", ...: ``COSTS``);
            another search on a cost ("binary:l1", "seeded:rank", "bottom-up:l2", "window:l2"); "shape", where
            a recurring pattern changes; "frames", where rhythm, strength or tone of a sensor changes
            (``segment_frames``); a search of ruptures ("ruptures:KernelCPD"); or "auto" (``choose_method``).
        penalty: price of one more change point, finite and >= 0; or "auto". "shape" takes none.
        min_duration: seconds, > 0, rounded up to whole samples; None is the least that the cost allows.
        per_hour: wanted segments per recorded hour, > 0: the penalty that gives nearest to that many.
        n_segments: wanted number of segments: the optimum among all with that many, for one run; for
            several runs the penalty that gives nearest to that many.
        like: (k, 2) seconds: segments as they should come out; the penalty whose segments are most like them.

    Returns:
        ``changes`` are sample indices, first samples of new segments; ``method`` the one used; ``penalty``
        the number used, NaN where none was; ``cost`` the misfit without penalties (scaled as above unless
        penalty is a number).

    Raises:
        ParameterError: an argument outside what is said above, or two wishes at once.
        InputError: E-NONFINITE, an infinite value; E-RANGE, values whose squares overflow or that the cost
            cannot take.

    Reference: Jackson et al. 2005, IEEE SPL 12(2), eq. 3 (optimal partitioning); the kernels cite the rest.

    >>> segment(Stream([0.0, 0.0, 0.0, 5.0, 5.0, 5.0], rate=1.0), penalty=1.0).changes.tolist()
    [3]
    """
    _check_wishes(penalty, per_hour, n_segments, like)
    min_size = _min_size(min_duration, stream.rate)
    if method == "auto":
        method = choose_method(stream, penalty, min_size).method
    if method == FRAMES:
        return _on_frames(stream, penalty, min_duration, per_hour=per_hour, n_segments=n_segments, like=like)
    used = named(method)
    if used.at_penalty is None and not isinstance(penalty, str):
        hint = "give n_segments or per_hour, or neither"
        raise ParameterError("penalty", penalty, f'"auto" with method "{method}"', hint=hint)
    scale, price = _scale_and_price(stream, penalty, used, min_size)
    runs = prepared_runs(stream, used.cost, scale, min_size)
    wanted = _wanted(stream, per_hour, n_segments)
    at_penalty = used.at_penalty
    if at_penalty is None or (n_segments is not None and len(runs) == 1):
        price = math.nan
        changes = [used.with_count(run, k) for run, k in zip(runs, _shares(runs, wanted), strict=True)]
    else:
        if wanted is not None:
            price = penalty_for_count(
                lambda p: sum(1 + len(at_penalty(run, p)) for run in runs), max(wanted, len(runs)), price
            )
        elif like is not None:
            from align.segmentation.like import penalty_like

            price = penalty_like(
                stream, lambda p: _joined(runs, [at_penalty(r, p) for r in runs]), like, price
            )
        changes = [at_penalty(run, price) for run in runs]
    cost = sum(
        used.misfit(run, np.concatenate([[0], c, [len(run.values)]]))
        for run, c in zip(runs, changes, strict=True)
    )
    return Segmentation.of(stream, _joined(runs, changes), method=method, penalty=price, cost=cost)


def _on_frames(
    stream: Stream, penalty: float | str, min_duration: float | None, **wishes: Any
) -> Segmentation:
    from align.segmentation.session import segment_frames

    if stream.modality == "audio":
        hint = "cut align.featurize(stream)"
        raise ParameterError("method", FRAMES, "that of a sensor: sound is cut on its frames", hint=hint)
    price = "noise" if penalty == "auto" else penalty
    return segment_frames(stream, penalty=price, min_duration=min_duration, **wishes)


def _check_wishes(
    penalty: float | str, per_hour: float | None, n_segments: int | None, like: npt.ArrayLike | None
) -> None:
    wishes = {"per_hour": per_hour, "n_segments": n_segments, "like": like}
    given = [name for name, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise ParameterError(given[1], wishes[given[1]], f"None together with {given[0]}")
    if given and not isinstance(penalty, str):
        allowed = 'None when penalty is a number (give penalty="auto")'
        raise ParameterError(given[0], wishes[given[0]], allowed)
    if per_hour is not None and not (math.isfinite(per_hour) and per_hour > 0):
        raise ParameterError("per_hour", per_hour, "a finite number > 0")
    if n_segments is not None and (n_segments < 1 or n_segments != int(n_segments)):
        raise ParameterError("n_segments", n_segments, "a whole number >= 1")


def _min_size(min_duration: float | None, rate: float) -> int:
    if min_duration is None:
        return 1
    if not (math.isfinite(min_duration) and min_duration > 0):
        raise ParameterError("min_duration", min_duration, "a finite number of seconds > 0, or None")
    return max(1, clock.samples_in(0.0, min_duration, 0.0, rate)[1])


def _scale_and_price(
    stream: Stream, penalty: float | str, used: Method, min_size: int
) -> tuple[Floats, float]:
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            allowed = ", ".join(f'"{p}"' for p in PENALTIES) + " or a number >= 0"
            raise unknown_name("penalty", penalty, list(PENALTIES), allowed)
        return PENALTIES[penalty](stream, used.cost, min_size)
    if not (math.isfinite(penalty) and penalty >= 0):
        raise ParameterError("penalty", penalty, 'a finite number >= 0, or "auto"')
    return np.ones(stream.n_channels), float(penalty)


def _wanted(stream: Stream, per_hour: float | None, n_segments: int | None) -> float | None:
    return n_segments if per_hour is None else per_hour * stream.n_samples / stream.rate / 3600


def _joined(runs: Sequence[Run], changes: Sequence[Ints]) -> Ints:
    """Change points of the runs as samples of the stream."""
    return np.concatenate([run.first + c for run, c in zip(runs, changes, strict=True)])


def _shares(runs: Sequence[Run], n_segments: float | None) -> list[int | None]:
    """How many change points each run gets of a wanted number of segments, by its length."""
    if n_segments is None:
        return [None] * len(runs)
    total = sum(len(run.values) for run in runs)
    return [max(0, round(n_segments * len(run.values) / total) - 1) for run in runs]
