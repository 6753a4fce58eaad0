"""What posteriors are worth: maps from the decoder's posterior to the share that came true on people held out.

The decoder's posterior assumes that frames speak independently and that the notes are about the recording; both
hold only roughly. The remedy is measured: on people that the network has not seen, how often was an answer with
posterior p right? Two ascending maps say so, one for notes that were placed and one for unmatched ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Calibration, Link
from align.datatypes import Floats
from align.errors import ParameterError

__all__ = ["N_BINS", "Answers", "calibrated", "checked_answers", "fit_calibration", "fit_map", "reliability"]

N_BINS = 10
IDENTITY = np.asarray([[0.0, 0.0], [1.0, 1.0]])
_SURE = 0.5
_FEWEST, _FEW, _MANY = 20, 50, 200  # notes that it takes to learn one number, two, a whole curve
_ALIKE = 0.05  # correlation of two answers about one person
_PSEUDO = 4.0  # notes that "the posterior is right as it is" counts for
_FOLDS = 5
_KNOTS = 41  # of a map that is a curve
_LONGEST_LOGIT = 12.0
_STEPS = 25  # of Newton's method; about six are needed

Answers = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
Fit = Callable[[Floats, Floats, float], Floats]  # posteriors, right, what a note weighs -> points


def calibrated(
    alignment: Alignment, calibration: Calibration | None, anchored: Collection[int] = ()
) -> Alignment:
    """The same answers, each with the share of such answers that came true as its probability.

    A placed note's probability goes through ``calibration.spans`` and decides anew whether the note is "aligned"
    (from 0.5 on) or "ambiguous"; an unmatched one's through ``calibration.nothing``. What then remains for the
    alternatives is shared among them as before: they keep their order. Spans and who is unmatched do not change.

    Args:
        alignment: as decoded.
        calibration: of the model, or None: nothing changes.
        anchored: numbers of the notes whose answer a person gave: left alone, as are notes that were answered
            by rule (outside, empty, unobservable).
    """
    if calibration is None:
        return alignment
    links = tuple(
        link if note in anchored else _calibrated(link, calibration)
        for note, link in enumerate(alignment.links)
    )
    return dataclasses.replace(alignment, links=links)


def _calibrated(link: Link, calibration: Calibration) -> Link:
    if link.status not in ("aligned", "ambiguous", "unmatched"):
        return link
    points = calibration.nothing if link.span is None else calibration.spans
    p = float(np.interp(link.probability, points[:, 0], points[:, 1]))
    rest = 1.0 - link.probability
    share = (1.0 - p) / rest if rest > 0 else 0.0
    others = tuple((start, end, min(1.0, share * q)) for start, end, q in link.alternatives)
    status = link.status
    if link.span is not None:
        status = "aligned" if p >= _SURE else "ambiguous"
    return dataclasses.replace(link, status=status, probability=p, alternatives=others)


def fit_calibration(placed: Answers, unmatched: Answers) -> Calibration | None:
    """Both maps, from answers about people held out.

    Args:
        placed: posteriors (n,) of notes with a span, whether that span was right, and who is recorded.
        unmatched: posteriors (m,) of unmatched notes, whether they did refer to nothing, and who is recorded.

    Returns:
        None when there is not one answer.
    """
    n_notes = len(np.asarray(placed[0])) + len(np.asarray(unmatched[0]))
    if n_notes == 0:
        return None
    return Calibration(
        spans=fit_map(*placed),
        nothing=fit_map(*unmatched),
        n_notes=n_notes,
        spans_seen=reliability(*placed[:2]),
        nothing_seen=reliability(*unmatched[:2]),
    )


def reliability(probability: npt.ArrayLike, right: npt.ArrayLike) -> Floats:
    """Table of reliability: one row per bin that holds something, in ascending order.

    Ten bins of equal width, bin k holding probabilities in [k / 10, (k + 1) / 10), the last one 1 as well.

    Args:
        probability: (n,) in [0, 1].
        right: (n,) booleans.

    Returns:
        (rows, 3): mean probability, share that came true, how many.

    Raises:
        ParameterError: another number of answers than of probabilities, or one outside [0, 1].

    >>> reliability([0.9, 0.9, 0.92, 0.2], [True, False, True, False]).round(2).tolist()
    [[0.2, 0.0, 1.0], [0.91, 0.67, 3.0]]
    """
    p, hit = checked_answers(probability, right)
    bins = np.clip(np.floor(p * N_BINS).astype(np.int64), 0, N_BINS - 1)
    count = np.bincount(bins, minlength=N_BINS)
    held = count > 0
    sums = np.column_stack([np.bincount(bins, weights=w, minlength=N_BINS) for w in (p, hit)])[held]
    return np.column_stack([sums / count[held, None], count[held]])


def checked_answers(probability: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both as f8 (n,).

    Args:
        probability: (n,) in [0, 1].
        right: (n,) booleans.

    Raises:
        ParameterError: lengths differ, or a probability outside [0, 1].
    """
    p, hit = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if p.ndim != 1 or p.shape != hit.shape:
        raise ParameterError("probability, right", (p.shape, hit.shape), "(n,) both")
    if p.size and not (p.min() >= 0.0 and p.max() <= 1.0):
        raise ParameterError("probability", (float(p.min()), float(p.max())), "0 to 1")
    return p, hit


def fit_map(posterior: npt.ArrayLike, right: npt.ArrayLike, person: npt.ArrayLike) -> Floats:
    """The ascending map from posterior to share that came true, as points of a piecewise linear function.

    Candidates are a straight line (posterior as it is), ``sigmoid(a logit p)`` ("temperature"), ``sigmoid(a logit
    p + b)`` (Platt) and isotonic regression. Answers about one person are alike: n of them about g people count
    as ``m = n / (1 + 0.05 (n / g - 1))``. Isotonic regression is tried from m = 200 on, Platt from 50, temperature
    from 20; below that the posterior stays as it is. Of those tried the simplest is taken whose log loss over five
    folds is within 1 / m of the least. All are drawn towards the straight line with the weight of four notes, and
    no share is nearer to 0 or 1 than ``1 / (m + 2)``: so few notes cannot show more.

    Args:
        posterior: (n,) in [0, 1].
        right: (n,) booleans.
        person: (n,) whom each answer is about: any values that tell people apart.

    Returns:
        (k, 2): posteriors from 0 to 1, shares, both ascending.

    Raises:
        ParameterError: lengths differ, or a posterior outside [0, 1].

    References:
        Platt, Advances in Large Margin Classifiers, 1999, section 2; Zadrozny & Elkan, KDD 2002, section 3.3;
        Guo et al., ICML 2017, section 4; Kish, Survey Sampling, 1965, section 5.4 (what alike answers count).
    """
    p, hit = checked_answers(posterior, right)
    n_people = len(set(np.asarray(person).tolist()))
    counts = p.size / (1.0 + _ALIKE * (p.size / max(1, n_people) - 1.0))
    if counts < _FEWEST:
        return IDENTITY.copy()
    weight = counts / p.size
    tried: list[Fit] = [_unchanged, _temperature]
    tried += [_platt] if counts >= _FEW else []
    tried += [_isotonic] if counts >= _MANY else []
    losses = [_held_out_loss(fit, p, hit, weight) for fit in tried]
    best = next(fit for fit, loss in zip(tried, losses, strict=True) if loss <= min(losses) + 1.0 / counts)
    return _supported(best(p, hit, weight), counts)


def _held_out_loss(fit: Fit, p: Floats, hit: Floats, weight: float) -> float:
    """Mean log loss of notes on which the map was not fitted; every fifth note, by posterior, is one fold."""
    fold = np.empty(p.size, np.int64)
    fold[np.argsort(p, kind="stable")] = np.arange(p.size) % _FOLDS
    total = 0.0
    for k in range(_FOLDS):
        own, others = fold == k, fold != k
        points = _supported(fit(p[others], hit[others], weight), weight * int(others.sum()))
        q = np.interp(p[own], points[:, 0], points[:, 1])
        total -= float((hit[own] * np.log(q) + (1.0 - hit[own]) * np.log1p(-q)).sum())
    return total / p.size


def _supported(points: Floats, n: float) -> Floats:
    """Points whose shares stay as far from 0 and 1 as n notes leave them."""
    least = 1.0 / (n + 2.0)
    return np.column_stack([points[:, 0], np.clip(points[:, 1], least, 1.0 - least)])


def _unchanged(p: Floats, hit: Floats, weight: float) -> Floats:
    return IDENTITY


def _temperature(p: Floats, hit: Floats, weight: float) -> Floats:
    return _curve(*_logistic(p, hit, weight, with_shift=False))


def _platt(p: Floats, hit: Floats, weight: float) -> Floats:
    return _curve(*_logistic(p, hit, weight, with_shift=True))


def _isotonic(p: Floats, hit: Floats, weight: float) -> Floats:
    """Isotonic regression, straight lines between the centres of its steps.

    Pseudo notes are spread evenly over the posteriors, each as right as it claims.
    """
    from sklearn.isotonic import IsotonicRegression

    grid = (np.arange(_KNOTS) + 0.5) / _KNOTS
    x = np.concatenate([p, grid])
    y = np.concatenate([hit, grid])
    weights = np.concatenate([np.full(p.size, weight), np.full(_KNOTS, _PSEUDO / _KNOTS)])
    level = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, y, weights).predict(x)
    levels, of_level = np.unique(level, return_inverse=True)
    centres = np.bincount(of_level, weights * x) / np.bincount(of_level, weights)
    return np.vstack([[0.0, levels[0]], np.column_stack([centres, levels]), [1.0, levels[-1]]])


def _curve(slope: float, shift: float) -> Floats:
    """sigmoid(slope logit p + shift) at knots that are dense near 0 and 1."""
    logits = np.linspace(-_LONGEST_LOGIT, _LONGEST_LOGIT, _KNOTS)
    inner = np.column_stack([_sigmoid(logits), _sigmoid(slope * logits + shift)])
    return np.vstack([[0.0, inner[0, 1]], inner, [1.0, inner[-1, 1]]])


def _logistic(p: Floats, hit: Floats, weight: float, *, with_shift: bool) -> tuple[float, float]:
    """Slope >= 0 and shift of a logistic regression on logit p, drawn towards (1, 0).

    Newton's method on the convex loss ``log loss + pseudo notes / 2 ((slope - 1)^2 + shift^2)``.
    """
    x = np.column_stack([_logit(p), np.ones_like(p)])[:, : 2 if with_shift else 1]
    start = np.asarray([1.0, 0.0])[: x.shape[1]]
    w = start.copy()
    for _ in range(_STEPS):
        q = _sigmoid(x @ w)
        gradient = weight * x.T @ (q - hit) + _PSEUDO * (w - start)
        curvature = weight * x.T @ (x * (q * (1.0 - q))[:, None]) + _PSEUDO * np.eye(len(w))
        step = np.linalg.solve(curvature, gradient)
        w = w - step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))  # long steps overshoot
        if float(np.abs(step).max()) < 1e-10:
            break
    w[0] = max(w[0], 0.0)  # a map that descends is noise
    return float(w[0]), float(w[1]) if with_shift else 0.0


def _logit(p: Floats) -> Floats:
    least = float(_sigmoid(np.asarray(-_LONGEST_LOGIT)))
    q = np.clip(p, least, 1.0 - least)
    return np.asarray(np.log(q) - np.log1p(-q))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
