"""How each author's written times lie relative to what they describe."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AuthorClock"]


@dataclass(frozen=True, slots=True)
class AuthorClock:
    """Seconds to add to what an author writes to point into the span, and how loosely that holds.

    ``shift`` seconds (clock offset and delay together), ``sd`` seconds >= 0 its standard deviation per note,
    ``rounding`` seconds to which times are rounded (0: not), ``n_notes`` how many timed notes it was fitted on.
    """

    shift: float
    sd: float
    rounding: float = 0.0
    n_notes: int = 0
