"""How exactly written times lie against the spans that they mean: learned, not assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.datatypes import Floats, Session

__all__ = ["note_lag", "signed_distance"]

_LEAST_NOTES = 8
_SD_OF_MAD = 1.4826
_LEAST_SD = 1.0  # seconds: nobody writes times to the frame


def signed_distance(times: Floats, spans: Floats) -> Floats:
    """(n,) how far each time lies outside its span: negative before it, positive behind it, 0 inside.

    Args:
        times: (n,) seconds.
        spans: (n, 2) seconds.
    """
    return np.minimum(times - spans[:, 0], 0.0) + np.maximum(times - spans[:, 1], 0.0)


def note_lag(sessions: Sequence[Session]) -> tuple[float, float] | None:
    """How far exact times must be moved to point into their true spans, and how loosely they then do.

    Half of the people write after the event; the shift takes out what they have in common (the median signed
    distance), the deviation is robust: gross errors do not widen it.

    Args:
        sessions: those with truth and one note per row of it are used.

    Returns:
        (lag, lag_sd) seconds, or None with fewer than 8 exactly timed notes whose span is known.
    """
    times, spans = [], []
    for session in sessions:
        if session.truth is None or len(session.truth) != len(session.notes):
            continue
        for note, span in zip(session.notes, session.truth, strict=True):
            if note.time is not None and note.time.is_exact and np.isfinite(span.start):
                times.append(note.time.likely)
                spans.append((span.start, span.end))
    if len(times) < _LEAST_NOTES:
        return None
    off = signed_distance(np.asarray(times), np.asarray(spans))
    lag = -float(np.median(off))
    rest = signed_distance(np.asarray(times) + lag, np.asarray(spans))
    return lag, max(_LEAST_SD, float(np.sqrt(np.mean(np.clip(rest, *np.quantile(rest, [0.05, 0.95])) ** 2))))
