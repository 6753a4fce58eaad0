"""Anchors -> the map of a device's clock: offset, pace, changes of pace and settings, as many as they prove."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import InputError, ParameterError
from align.matching.clocks import WORST_RATE, ClockRepair, Kind

__all__ = ["fit_clock", "span_anchors"]

KINDS = ("auto", "offset", "linear", "piecewise")
_FLOOR = 5e-4  # seconds: no anchor is known better (times are written in milliseconds)
_WRONG = 5.0  # standard deviations from which an anchor counts as wrong
_PROVEN = 3.0  # standard errors (of many anchors) from which a term of the map counts as there
_LEAST = 5  # anchors of one piece
_MOST = 8_000  # anchors: the search is quadratic
_PRICE = 4.5  # x log n: what one more piece (where, height, pace) must save, in units of the noise's variance
_PAIRS = 300  # anchors from which slopes are taken between far apart ones only

Mask = npt.NDArray[np.bool_]


def span_anchors(device: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Anchors from spans known on both clocks: their starts and ends.

    Args:
        device: (n, 2) seconds on the device's clock.
        reference: (n, 2) seconds of the same spans on the session clock.

    Returns:
        (m, 2) pairs device, session, ascending; pairs with NaN are left out.
    """
    pairs = np.column_stack([np.asarray(a, np.float64).reshape(-1) for a in (device, reference)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def fit_clock(
    device_times: npt.ArrayLike,
    reference_times: npt.ArrayLike,
    *,
    kind: Literal["auto", "offset", "linear", "piecewise"] = "auto",
    breaks: npt.ArrayLike = (),
    names: tuple[str, str] = ("device", "session"),
) -> ClockRepair:
    """Fit the map from a device's seconds to the session's to moments known on both.

    Minimises the sum of squares of ``reference - map(device)`` over the anchors that are not wrong, plus a price
    for every piece, exactly (dynamic programming over all cuts between anchors into straight lines). Then each
    cut's jump and change of pace, and the pace itself, stay only while they are proven: least squares on all
    terms together, the weakest term goes while it is below 3 standard errors (more where anchors are few).
    An anchor is wrong when it lies over 5 standard deviations (median absolute deviation) from its neighbours'
    median at first, from the map then.

    Args:
        device_times: (n,) seconds on the device's clock, any order.
        reference_times: (n,) the same moments on the session clock.
        kind: "auto": only what is proven; "offset"; "linear": with a pace, proven or not (two anchors at least);
            "piecewise": a pace and whatever cuts are proven (ten at least).
        breaks: device seconds at which the clock may have been set (starts of runs): of a jump between two
            anchors nothing else says when it was. Without one the middle between them is taken.
        names: of the stream and of the reference, for the record.

    Returns:
        The map. Beyond the outermost anchors it goes on at the last pace: ``ClockRepair.covered`` says where
        that begins, and ``repair_stream`` says it of a stream.

    Raises:
        InputError: E-CLOCK, too few anchors, or a pace over 1 % off.
        ParameterError: an unknown kind, times that are not finite or not paired, over 8,000 anchors.

    Complexity: O(n^2) for n anchors.

    >>> fit_clock([0, 1000, 2000, 3000], [5.0, 1005.1, 2005.2, 3005.3]).kind
    'linear'
    """
    if kind not in KINDS:
        raise ParameterError("kind", kind, ", ".join(KINDS))
    x, y = (np.asarray(t, np.float64).reshape(-1) for t in (device_times, reference_times))
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()) or x.size > _MOST:
        raise ParameterError("device_times, reference_times", (x.size, y.size), f"pairs, at most {_MOST}")
    least = {"auto": 1, "offset": 1, "linear": 2, "piecewise": 2 * _LEAST}[kind]
    if np.unique(x).size < least:
        raise InputError("E-CLOCK", f"{np.unique(x).size} different anchors of the clock of {names[0]}; a map of "
                         f"kind {kind} takes {least}", hint="give more anchors, spread over the recording")  # fmt: skip
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    used = _plausible(x, y - x, kind)
    terms: tuple[Term, ...] = ()
    fit = _Fit(np.zeros(1), np.zeros((1, 1)))
    for _ in range(5):
        terms = _terms(x[used], (y - x)[used], kind, np.asarray(breaks, np.float64).reshape(-1))
        terms, fit = _proven(terms, x[used], (y - x)[used], kind)
        residuals = y - x - _design(terms, x, x[used][0]) @ fit.values
        spread = max(_FLOOR, _deviation(residuals[used]))
        now = np.abs(residuals) <= _WRONG * spread if x.size > len(terms) + 1 else np.ones_like(used)
        if (now == used).all() or not now.any():
            break
        used = now
    pieces, pace_sd = _pieces(terms, fit, x[used][0])
    if (np.abs(pieces[:, 2] - 1.0) > WORST_RATE).any():
        worst = pieces[np.abs(pieces[:, 2] - 1.0).argmax(), 2] - 1.0
        raise InputError("E-CLOCK", f"the anchors of {names[0]} would need a clock that is off by {100 * worst:.2g} %; "
                         "allowed: 1 %", hint="check the anchors, or give more of them")  # fmt: skip
    found: Kind = "offset" if terms == (("level", 0.0),) else "linear" if len(pieces) == 1 else "piecewise"
    return ClockRepair(names[0], names[1], found, pieces, np.column_stack([x, y]), used, pace_sd)


Term = tuple[str, float]  # ("level", 0), ("pace", 0), ("jump", device second), ("bend", device second)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    values: Floats
    covariance: Floats


def _plausible(x: Floats, offset: Floats, kind: str) -> Mask:
    """Anchors that agree with their neighbours (or, where one line is asked for, with a robust one)."""
    if x.size < 3:
        return np.ones(x.size, np.bool_)
    if kind in ("offset", "linear"):
        slope = _theil_sen(x, offset) if kind == "linear" else 0.0
        rest = offset - slope * x
        rest = rest - np.median(rest)
    elif x.size < 5:
        return np.ones(x.size, np.bool_)
    else:
        half = 2 if x.size < 20 else 4  # a median of nine stands four wrong ones in a row
        rest = offset - _theil_sen(x, offset) * x  # else the first and last windows would lean
        padded = np.pad(rest, half, mode="reflect")
        rest = rest - np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    good = np.abs(rest) <= _WRONG * max(_FLOOR, _deviation(rest))
    return good if good.sum() >= 0.5 * x.size else np.ones(x.size, np.bool_)


def _theil_sen(x: Floats, y: Floats) -> float:
    """Median slope of all pairs of anchors; of many anchors, of those half the series apart."""
    if x.size > _PAIRS:
        half = x.size // 2
        i, j = np.arange(x.size - half), np.arange(half, x.size)
    else:
        i, j = np.triu_indices(x.size, 1)
    apart = x[j] > x[i]
    return float(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart])) if apart.any() else 0.0


def _deviation(residuals: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(residuals))) if residuals.size else 0.0


def _terms(x: Floats, offset: Floats, kind: str, breaks: Floats) -> tuple[Term, ...]:
    """Everything that the map may consist of."""
    if kind == "offset" or np.unique(x).size < 2 or (kind == "auto" and x.size < 4):
        return (("level", 0.0),)
    straight: tuple[Term, ...] = (("level", 0.0), ("pace", 0.0))
    if kind == "linear" or x.size < 2 * _LEAST:
        return straight
    cuts = _best_cuts(x, offset, max(_FLOOR, _local_noise(x, offset)))
    places = [
        _place(x, offset, cut, others, breaks) for cut, others in zip(cuts, _around(cuts, x), strict=True)
    ]
    return (*straight, *((name, at) for at in places for name in ("jump", "bend")))


def _around(cuts: list[int], x: Floats) -> list[tuple[int, int]]:
    edges = [0, *cuts, x.size]
    return list(zip(edges[:-2], edges[2:], strict=True))


def _local_noise(x: Floats, offset: Floats) -> float:
    """Standard deviation of one anchor, from how far each lies off the line between its neighbours."""
    width = x[2:] - x[:-2]
    share = np.where(width > 0, (x[1:-1] - x[:-2]) / np.where(width > 0, width, 1.0), 0.5)
    off = offset[1:-1] - (1.0 - share) * offset[:-2] - share * offset[2:]
    return _deviation(off / np.sqrt(1.0 + share**2 + (1.0 - share) ** 2))


def _best_cuts(x: Floats, offset: Floats, noise: float) -> list[int]:
    """First anchors of the second and later pieces of the cheapest cut into straight lines."""
    n, u = x.size, (x - x[0]) / max(x[-1] - x[0], 1e-9)
    v = (offset - np.median(offset)) / noise
    sums = [np.append(0.0, np.cumsum(term)) for term in (np.ones(n), u, v, u * u, u * v, v * v)]
    price = _PRICE * np.log(n)
    best, origin = np.full(n + 1, np.inf), np.zeros(n + 1, np.int64)
    best[0] = -price
    for end in range(_LEAST, n + 1):
        begin = np.arange(0, end - _LEAST + 1)
        m, su, sv, suu, suv, svv = (s[end] - s[begin] for s in sums)
        cuu, cuv, cvv = suu - su * su / m, suv - su * sv / m, svv - sv * sv / m
        cost = cvv - np.where(cuu > 1e-12, cuv * cuv / np.maximum(cuu, 1e-12), 0.0)
        total = best[begin] + np.maximum(cost, 0.0) + price
        at = int(total.argmin())
        best[end], origin[end] = total[at], at
    cuts, end = [], n
    while (end := int(origin[end])) > 0:
        cuts.append(end)
    return cuts[::-1]


def _place(x: Floats, offset: Floats, cut: int, around: tuple[int, int], breaks: Floats) -> float:
    """The device second of a cut: a break between the two anchors, or where the two lines cross, or the middle."""
    low, high = float(x[cut - 1]), float(x[cut])
    inside = breaks[(breaks > low) & (breaks <= high)]
    if inside.size:
        return float(inside[0])
    (a, b), (c, d) = (_line(x[i:j], offset[i:j]) for i, j in ((around[0], cut), (cut, around[1])))
    wide_low, wide_high = float(x[max(cut - 2, 0)]), float(x[min(cut + 1, x.size - 1)])
    crossing = (a - c) / (d - b) if abs(d - b) > 1e-12 else np.inf
    return crossing if wide_low < crossing < wide_high else 0.5 * (low + high)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Height at second 0 and slope of the least squares line."""
    away = x - x.mean()
    slope = float(away @ y / max(float(away @ away), 1e-12))
    return float(y.mean() - slope * x.mean()), slope


def _design(terms: tuple[Term, ...], x: Floats, origin: float) -> Floats:
    return np.column_stack([_column(term, x, origin) for term in terms])


def _column(term: Term, x: Floats, origin: float) -> Floats:
    name, at = term
    if name == "level":
        return np.ones_like(x)
    if name == "pace":
        return x - origin
    return (x >= at).astype(np.float64) if name == "jump" else np.maximum(0.0, x - at)


def _proven(terms: tuple[Term, ...], x: Floats, offset: Floats, kind: str) -> tuple[tuple[Term, ...], _Fit]:
    """Least squares with the terms that the anchors prove, the weakest of the others taken away one by one."""
    kept = {("level", 0.0)} | ({("pace", 0.0)} if kind in ("linear", "piecewise") else set())
    while True:
        fit, freedom = _least_squares(_design(terms, x, x[0]), offset)
        errors = np.sqrt(np.maximum(np.diag(fit.covariance), 1e-300))
        # a bend or jump at the very edge of a piece is told apart by nothing: infinitely weak
        strength = np.where(np.isfinite(errors), np.abs(fit.values) / errors, 0.0).tolist()
        free = [i for i, term in enumerate(terms) if term not in kept]
        weakest = min(free, key=lambda i: strength[i], default=-1)
        if weakest < 0 or strength[weakest] >= _critical(freedom):
            return terms, fit
        terms = terms[:weakest] + terms[weakest + 1 :]


def _critical(freedom: int) -> float:
    """Standard errors that prove a term: the t quantile of a normal 3 (Cornish and Fisher's expansion)."""
    z = _PROVEN
    if freedom < 1:
        return float("inf")
    return z * (1 + (z**2 + 1) / (4 * freedom) + (5 * z**4 + 16 * z**2 + 3) / (96 * freedom**2))


def _least_squares(design: Floats, y: Floats) -> tuple[_Fit, int]:
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    inverse = np.linalg.pinv(design / scale)
    values = inverse @ y
    freedom = y.size - design.shape[1]
    noise = float(((y - design / scale @ values) ** 2).sum()) / max(freedom, 1)
    covariance = inverse @ inverse.T * max(noise, _FLOOR**2 / 4)
    return _Fit(values / scale, covariance / np.outer(scale, scale)), freedom


def _pieces(terms: tuple[Term, ...], fit: _Fit, origin: float) -> tuple[Floats, float]:
    """(k, 3) begin, session second there, pace; and the larger standard error of the pace at either end."""
    values = dict(zip(terms, fit.values.tolist(), strict=True))
    level, slope = values[("level", 0.0)], values.get(("pace", 0.0), 0.0)
    rows = [(origin, origin + level, 1.0 + slope)]
    for at in sorted({at for name, at in terms if name in ("jump", "bend")}):
        begin, value, pace = rows[-1]
        here = value + pace * (at - begin) + values.get(("jump", at), 0.0)
        rows.append((at, here, pace + values.get(("bend", at), 0.0)))
    paces = np.array([name in ("pace", "bend") for name, _ in terms], np.float64)
    first = np.array([name == "pace" for name, _ in terms], np.float64)
    errors = [float(np.sqrt(max(0.0, float(w @ fit.covariance @ w)))) for w in (first, paces)]
    merged = [rows[0]] + [b for a, b in itertools.pairwise(rows) if b[0] > a[0]]
    return np.asarray(merged), max(errors) if paces.any() else float("nan")
