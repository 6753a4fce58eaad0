"""How exactly written times lie against the spans that they mean: learned, not assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.datatypes import Floats, Session

__all__ = ["likeliest_lag", "note_lag"]

_LEAST_NOTES = 8
_LEAST_SD, _MOST_SD = 1.0, 1800.0  # seconds: nobody writes times to the frame
_STEP = 1.05  # from one deviation looked at to the next
_DEVIATIONS = _LEAST_SD * _STEP ** np.arange(np.log(_MOST_SD / _LEAST_SD) / np.log(_STEP))
_GROSS = np.log(0.02 / 3600.0)  # one time in 50 is just wrong: anywhere within an hour
_SHORTEST = 1e-3  # seconds, of a span
_LEAST_GAIN = 2.0  # nats that moving all times must bring


def likeliest_lag(times: Floats, spans: Floats) -> tuple[float, float]:
    """How far exact times must be moved to point into their spans, and how loosely they then do.

    A time t that is drawn anywhere in its span from a to b and then written with deviation sd has the density
    ``(F((t - a) / sd) - F((t - b) / sd)) / (b - a)``, F the normal distribution function; the sd of most likelihood is
    taken. (How far times lie outside says less: few lie outside a long span, however loose they are.) They are not
    moved, or by what moves half of them to the near end or to the middle of their span, if that is clearly likelier:
    half of the people write after the event. Gross errors are allowed for, one in 50.

    Args:
        times: (n,) seconds, n >= 1.
        spans: (n, 2) seconds; those of less than a millisecond count as one.

    Returns:
        (lag, deviation) seconds; the deviation at least 1, at most half an hour.
    """
    start = spans[:, 0]
    end = np.maximum(spans[:, 1], start + _SHORTEST)
    spans = np.column_stack([start, end])
    outside = np.minimum(times - start, 0.0) + np.maximum(times - end, 0.0)
    lag, deviation, likelihood = 0.0, *_likeliest_deviation(times, spans)
    for shift in (-float(np.median(outside)), float(np.median(0.5 * (start + end) - times))):
        sd, gained = _likeliest_deviation(times + shift, spans)
        if gained > likelihood + _LEAST_GAIN:
            lag, deviation, likelihood = shift, sd, gained
    return lag, deviation


def _likeliest_deviation(times: Floats, spans: Floats) -> tuple[float, float]:
    """The deviation and the log likelihood of all times under it."""
    from scipy.special import log_ndtr

    after, before = times - spans[:, 0], spans[:, 1] - times
    # in the lower tail, where differences keep their digits
    near, far = np.minimum(after, before), np.maximum(after, before)
    found = np.empty(len(_DEVIATIONS))
    for i, sd in enumerate(_DEVIATIONS):
        high, low = log_ndtr(near / sd), log_ndtr(-far / sd)
        inside = high + np.log1p(-np.exp(low - high)) - np.log(near + far)
        found[i] = np.logaddexp(inside, _GROSS).sum()
    best = int(found.argmax())
    return float(_DEVIATIONS[best]), float(found[best])


def note_lag(sessions: Sequence[Session]) -> tuple[float, float] | None:
    """How exact times of notes lie against their true spans, see ``likeliest_lag``.

    Args:
        sessions: those with truth and one note per row of it are used.

    Returns:
        (lag, deviation) seconds, or None with fewer than 8 exactly timed notes whose span is known.
    """
    times, spans = [], []
    for session in sessions:
        if session.truth is None or len(session.truth) != len(session.notes):
            continue
        for note, span in zip(session.notes, session.truth, strict=True):
            if note.time is not None and note.time.is_exact and np.isfinite(span.start):
                times.append(note.time.likely)
                spans.append((span.start, span.end))
    return likeliest_lag(np.asarray(times), np.asarray(spans)) if len(times) >= _LEAST_NOTES else None
