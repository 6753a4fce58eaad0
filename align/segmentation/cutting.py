"""``segment``: a stream in, its segmentation out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError
from align.segmentation.costs import Fitted
from align.segmentation.exact import changes_exact, misfit_l2, prepared_runs
from align.segmentation.penalty import PENALTIES, penalty_for_count

__all__ = ["METHODS", "segment"]

Search = Callable[[Fitted, float, int], npt.NDArray[np.int64]]

METHODS: Mapping[str, Search] = MappingProxyType({"l2": changes_exact})
_AUTO_METHOD = "l2"


def segment(
    stream: Stream,
    *,
    method: str = "auto",
    penalty: float | str = "auto",
    min_duration: float | None = None,
    per_hour: float | None = None,
) -> Segmentation:
    """Cut a stream where its level changes: the exact optimum of misfit plus penalties.

    With ``penalty`` a number, minimises over all segmentations, separately for each run (no segment crosses
    a gap), ``sum over segments, samples, channels of (value - segment mean)^2 + penalty x (segments - 1)``
    on the values as given, every segment at least ``min_duration`` long. A run too short for two such
    segments is one segment, whatever its length. Missing cells (NaN) are first filled from the valid values
    of their channel next to them (``exact.filled``); a channel without any is ignored.

    With ``penalty="auto"`` the same, after each channel was divided by the long-run standard deviation of its
    noise, at the penalty that noise rarely reaches (``penalty.noise_penalty``). With ``per_hour`` also on the
    channels so divided, at the penalty that gives nearest to that many segments per recorded hour.

    Args:
        stream: raw or featurized; any rate, channels and runs.
        method: "l2" (changes in the mean); "auto" is "l2".
        penalty: price of one more change point, finite and >= 0; or "auto".
        min_duration: seconds, > 0, rounded up to whole samples; None is one sample.
        per_hour: wanted segments per hour, > 0; only with ``penalty="auto"``.

    Returns:
        ``changes`` are sample indices, first samples of new segments; ``method`` the one used; ``penalty``
        the number used; ``cost`` the misfit without penalties (scaled as above unless penalty is a number).

    Raises:
        ParameterError: an argument outside what is said above.
        InputError: E-NONFINITE, an infinite value; E-RANGE, values whose squares overflow.

    Reference: Jackson et al. 2005, IEEE SPL 12(2), eq. 3 (optimal partitioning); the kernels cite the rest.

    >>> segment(Stream([0.0, 0.0, 0.0, 5.0, 5.0, 5.0], rate=1.0), penalty=1.0).changes.tolist()
    [3]
    """
    used = _AUTO_METHOD if method == "auto" else method
    if used not in METHODS:
        raise _unknown("method", method, ["auto", *METHODS])
    cut = METHODS[used]
    min_size = _min_size(min_duration, stream.rate)
    if per_hour is not None and not (math.isfinite(per_hour) and per_hour > 0):
        raise ParameterError("per_hour", per_hour, "a finite number > 0")
    if per_hour is not None and not isinstance(penalty, str):
        raise ParameterError("per_hour", per_hour, 'None when penalty is a number (give penalty="auto")')
    scale, price = _scale_and_price(stream, penalty)
    runs = prepared_runs(stream, used, scale, min_size)
    no_limit = stream.n_samples
    if per_hour is not None:
        target = per_hour * stream.n_samples / stream.rate / 3600
        price = penalty_for_count(
            lambda p: sum(1 + len(cut(run.fitted, p, no_limit)) for run in runs),
            max(target, len(runs)),
            price,
        )
    changes = [run.first + cut(run.fitted, price, no_limit) for run in runs]
    cost = sum(
        misfit_l2(run, [0, *(c - run.first), len(run.values)]) for run, c in zip(runs, changes, strict=True)
    )
    return Segmentation.of(stream, np.concatenate(changes), method=used, penalty=price, cost=cost)


def _unknown(name: str, given: str, allowed: list[str], besides: str = "") -> ParameterError:
    near = get_close_matches(given.lower(), allowed, n=1, cutoff=0.4)
    hint = f'did you mean "{near[0]}"?' if near else ""
    return ParameterError(name, given, ", ".join(f'"{a}"' for a in allowed) + besides, hint=hint)


def _min_size(min_duration: float | None, rate: float) -> int:
    if min_duration is None:
        return 1
    if not (math.isfinite(min_duration) and min_duration > 0):
        raise ParameterError("min_duration", min_duration, "a finite number of seconds > 0, or None")
    return max(1, clock.samples_in(0.0, min_duration, 0.0, rate)[1])


def _scale_and_price(stream: Stream, penalty: float | str) -> tuple[Floats, float]:
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            raise _unknown("penalty", penalty, [*PENALTIES], " or a number >= 0")
        return PENALTIES[penalty](stream)
    if not (math.isfinite(penalty) and penalty >= 0):
        raise ParameterError("penalty", penalty, 'a finite number >= 0, or "auto"')
    return np.ones(stream.n_channels), float(penalty)
