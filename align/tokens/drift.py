"""How far new recordings fall from the codebook: whether its tokens still mean what they meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, frozen_array, set_fields
from align.errors import ParameterError
from align.tokens.saved import QUANTILES, Book

__all__ = ["Drift", "measure_drift", "radii"]

_FEW = 20  # segments at fitting, below which a code's radius is not its own
_AT_99 = QUANTILES.index(0.99)
_AT_MOST = len(QUANTILES) - 1
_MANY = 100  # segments at fitting, below which 1 % of them is less than one
_MARGIN = 3.0  # standard errors by which more lie beyond before that is said
_MOVED = 0.25  # of the time that has other codes than at fitting, from which that is said


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What changed since a codebook was fitted.

    ``counts`` i8 (n_codes,) new segments of each code; ``shares_before`` and ``shares_now`` f8 (n_codes,) of the
    time; ``beyond`` f8 (n_codes,) share of a code's new segments beyond its radius (``radii``), NaN without any;
    ``place`` f8 (n_codes,) share of the distances at fitting that are smaller than the median new one: 0.5 where
    nothing changed, 1 where half lie farther than any did. ``beyond_all`` the share of all new segments,
    ``expected`` what it would be if nothing had changed; ``moved`` the share of the time that would have to get
    another code for the shares to be those of before (total variation, 0 to 1).
    """

    counts: npt.NDArray[np.int64]
    shares_before: Floats
    shares_now: Floats
    beyond: Floats
    place: Floats
    beyond_all: float
    expected: float
    moved: float

    def __post_init__(self) -> None:
        set_fields(self, counts=frozen_array(self.counts, np.int64))
        for name in ("shares_before", "shares_now", "beyond", "place"):
            set_fields(self, **{name: frozen_array(getattr(self, name), np.float64)})

    @property
    def is_far(self) -> bool:
        """More segments lie beyond the radius than expected, by three standard errors."""
        error = float(np.sqrt(self.expected * (1 - self.expected) / self.counts.sum()))
        return self.beyond_all > self.expected + _MARGIN * error

    @property
    def verdict(self) -> str:
        """One sentence: what was found and what to do."""
        n = int(self.counts.sum())
        far, usual = round(self.beyond_all * n), f"{self.expected:.0%} expected"
        said = f"{far} of {n} segments lie beyond the radius of their code ({usual})"
        if self.is_far:
            return f"{said}: the codebook does not know these recordings well, fit a new one with --keep-ids"
        if self.moved >= _MOVED:
            return f"{said}; {self.moved:.0%} of the time has other codes than before: the habits changed"
        return f"{said}; {self.moved:.0%} of the time has other codes than before: the codebook still fits"


def measure_drift(
    book: Book, codes: npt.NDArray[np.int32], distances: npt.NDArray[np.float32], seconds: npt.ArrayLike
) -> Drift:
    """Compare new segments with those from which a codebook was made.

    A code's radius is that which held 99 % of its segments at fitting (``radii``). Of a code of m segments,
    1 / (m + 1) of new ones are expected beyond, but at least 1 %: so likely is it that one more of the same kind is
    the farthest.

    Args:
        book: as made.
        codes, distances: (n,) of the new segments, from ``code_rows`` with the book's codebook, n >= 1.
        seconds: (n,) how long each lasts.

    Raises:
        ParameterError: no segments, or codes and durations of other numbers.
    """
    from align.tokens.tally import radii_of

    lasting = np.asarray(seconds, np.float64)
    k = len(book.counts)
    if not (len(codes) == len(distances) == len(lasting) > 0) or codes.max() >= k:
        raise ParameterError(
            "codes", (len(codes), len(lasting)), "one distance and duration each, at least one"
        )
    far = distances > radii(book)[codes]
    counts = np.bincount(codes, minlength=k)
    expected = float(np.maximum(0.01, 1.0 / (book.counts + 1.0)) @ counts) / len(codes)
    total = float(lasting.sum())
    now = np.bincount(codes, lasting, minlength=k) / (total if total > 0 else 1.0)
    median = radii_of(codes, distances, k)[:, 0].astype(np.float64)
    return Drift(
        counts,
        book.shares,
        now,
        np.where(counts > 0, np.bincount(codes, far, minlength=k) / np.maximum(counts, 1), np.nan),
        np.array([_place(row, value) for row, value in zip(book.radii, median, strict=True)]),
        float(far.mean()),
        expected,
        0.5 * float(np.abs(now - book.shares).sum()),
    )


def radii(book: Book) -> npt.NDArray[np.float32]:
    """(n_codes,) f4: the distance that held 99 % of each code's segments at fitting; of fewer than 100, all of them.

    Of fewer than 20 it is at least the median radius of the codes with more: so few show little of how far their
    kind goes.

    Args:
        book: as made.
    """
    own = np.where(book.counts < _MANY, book.radii[:, _AT_MOST], book.radii[:, _AT_99])
    well_known = own[book.counts >= _FEW]
    seen = well_known if well_known.size else own[np.isfinite(own)]
    usual = np.float32(np.median(seen)) if seen.size else np.float32(0.0)
    few = (book.counts < _FEW) | ~np.isfinite(own)
    return np.where(few, np.fmax(own, usual), own)


def _place(known: npt.NDArray[np.float32], value: float) -> float:
    """Where a distance lies among those at fitting: their share below it, between the kept quantiles by a line."""
    if not (np.isfinite(value) and np.isfinite(known).all()):
        return float("nan")
    edges = np.concatenate([[0.0], known.astype(np.float64)])
    shares = np.concatenate([[0.0], QUANTILES])
    return float(np.interp(value, edges, shares))
