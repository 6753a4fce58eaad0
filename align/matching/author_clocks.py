"""How each author's written times lie relative to what they describe, learned from the evidence itself.

An author's watch may be minutes off, people write after the event (now and then ahead), round to whole minutes,
and a few times are plainly wrong. For one author with exact times w_i, and a shift s of all of them,

    p(w | s, sd, e) = product over i of  e + (1 - e) T_i (r_i * K)(w_i + s)

``T_i r_i`` says how much more likely than by chance the time points to a moment, from the evidence alone
(``pointing.py``): 1 where the evidence says nothing. It sums over all stretches that the note may cover, which is
what fits clock and alignment jointly: nothing has to be placed first. ``K`` is a Gaussian of deviation sd,
convolved with the rounding; clock offset and the median of the delay cannot be told apart and make up s together,
the delay's spread is part of sd. ``e`` is the share of times that are gross errors or whose evidence misleads.

sd and e are integrated out on a grid, and s under a Gaussian prior around the usual lag. What this exceeds the
same for the usual lag and deviation by is the gain, a log Bayes factor: it pays for every shift that was tried.
All shifts are one cross-correlation by the fast Fourier transform.

Reference: Kass & Raftery, Journal of the American Statistical Association 90(430), 1995, sections 2 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Floats, Note
from align.matching.pointing import pointing_density

Indices = npt.NDArray[np.int64]

__all__ = ["AuthorClock", "fit_author_clocks", "written_rounding"]

LEAST_NOTES = 3
LEAST_GAIN = 4.0  # nats: a shift must be about 50 times as probable as the usual lag
FARTHEST = 1800.0  # seconds: larger shifts are not looked for
_MOST_NOTES = 500  # of one author; more are thinned evenly, they only cost time
_HOPELESS = -4.0  # nats of gain below which the decoder is not asked
_LEAST_SHARE = 0.8  # of the posterior around one shift
_MODE = 30.0  # seconds around the likeliest shift that count as the same one, or twice the usual deviation
_SPREAD = 600.0  # seconds, deviation of the prior of the shift
_LARGEST_SD, _LEAST_SD = 60.0, 1.0  # seconds; nobody writes times to the frame
_N_SD = 8
_MISLED = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0])  # e; 0.05 gross errors happen to everybody
_N_SHIFTS = 2000
_CHUNK = 128  # notes at a time: bounds the memory
_TAILS = 3.0  # deviations by which the grid reaches beyond the shifts looked for
_ROUNDINGS = (300.0, 60.0)  # seconds
_CHANCE = 1e-3  # probability of such times by chance, below which they count as rounded
_EXACT = 1e-3  # seconds


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


ScoreOf = Callable[[Sequence[int], Mapping[str, AuthorClock]], float]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A clock; what it gains over the usual one, how much of the posterior it stands for, the price of the search."""

    clock: AuthorClock
    gain: float
    share: float
    price: float


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Shifts looked at: ``first + k step`` seconds for k < n; ``pad`` more on either side for the tails."""

    first: float
    step: float
    n: int
    pad: int

    @property
    def shifts(self) -> Floats:
        return self.first + self.step * np.arange(self.n, dtype=np.float64)

    @property
    def padded(self) -> Floats:
        return self.first + self.step * np.arange(-self.pad, self.n + self.pad, dtype=np.float64)


def fit_author_clocks(
    evidence: Evidence, notes: Sequence[Note], score_of: ScoreOf | None = None
) -> dict[str, AuthorClock]:
    """The clock of each author whose written times the evidence shows to be shifted.

    An author is left out, and the usual lag stays, with fewer than 3 exactly timed notes or when neither of two
    tests supports the best clock by 4 nats: the gain (see the module), where most of the posterior lies around
    one shift; and, given ``score_of``, how much better the decoder explains the author's notes in order with
    that clock than with the usual lag, less the price of having looked for it and of what the gain leaves to other
    shifts. The gain looks at notes one by one: where it alone speaks for a clock, the decoder must not speak
    against it. (Of two kinds of notes in turns, each fits as well one turn later.) Notes that one of the two clocks
    puts outside the recording do not enter: what was not recorded speaks for no shift. Nor does it speak for a shift
    that its times are loose: the usual lag is given the deviation, of three between the usual and the clock's, that
    serves it best. Where that is looser than the usual one by 4 nats, it is the author's clock.

    One whose times are rounded more coarsely than the usual deviation allows gets a clock with the usual lag and
    the rounding. Intervals are not fitted. Notes without a named author count as one author's.

    Args:
        evidence: one column per note.
        notes: as written, one per column; times may lie outside the recording by up to half an hour.
        score_of: ``(indices of notes, clocks) -> log normaliser`` of the decoder for these notes alone under
            these clocks; four calls an author at most. None: the first test alone.

    Returns:
        Clocks by author; ``time_windows`` uses the usual lag for everybody else.
    """
    written: dict[str, list[int]] = {}
    for i, note in enumerate(notes):
        if note.time is not None and note.time.is_exact and not note.is_empty:
            written.setdefault(note.author, []).append(i)
    clocks = {}
    for author, which in written.items():
        times = np.array([time.likely for i in which if (time := notes[i].time) is not None])
        found = _candidate(evidence, np.asarray(which), times)
        clock = None if found is None else _supported(evidence, author, found, (which, times), score_of)
        if clock is not None:
            clocks[author] = clock
        elif (rounding := written_rounding(times)) / math.sqrt(12.0) > evidence.lag_sd:
            clocks[author] = AuthorClock(evidence.lag, evidence.lag_sd, rounding, len(which))
    return clocks


def written_rounding(times: Floats) -> float:
    """To how many seconds an author rounds: 300, 60 or 0.

    Times are rounded when all distinct ones lie a multiple of that apart and the probability that they do so by
    chance, ``(finer / coarser)^(n - 1)`` with n distinct times, is below 0.001. Where the minutes begin on the
    session clock does not matter.

    Args:
        times: (n,) seconds.

    >>> written_rounding(np.array([12.0, 72.0, 312.0]))
    60.0
    """
    distinct = np.unique(np.asarray(times, np.float64))
    if distinct.size < 2:
        return 0.0
    apart = distinct - distinct[0]
    for coarse, fine in zip(_ROUNDINGS, (*_ROUNDINGS[1:], 1.0), strict=True):
        off = np.abs(apart - coarse * np.rint(apart / coarse)).max()
        if off <= _EXACT and (fine / coarse) ** (distinct.size - 1) < _CHANCE:
            return coarse
    return 0.0


def _candidate(evidence: Evidence, which: Indices, times: Floats) -> _Candidate | None:
    """The most probable clock of one author's notes; None with too few or with none near the recording."""
    rounding, n_notes = written_rounding(times), len(times)
    kept = np.linspace(0, n_notes - 1, min(n_notes, _MOST_NOTES)).astype(np.int64)
    which, times = which[kept], times[kept]
    sds = _deviations(evidence)
    grid = _shifts(evidence, times, _TAILS * sds[-1] + 0.5 * rounding)
    if n_notes < LEAST_NOTES or grid is None:
        return None
    sds = np.maximum(sds, 0.7 * grid.step)  # narrower ones would ring between the shifts
    likelihood, at_usual = _likelihoods(evidence, (which, times), grid, sds, rounding)
    far = ((grid.shifts - evidence.lag) / _SPREAD) ** 2
    prior = math.log(grid.step / (_SPREAD * math.sqrt(2.0 * math.pi))) - 0.5 * far
    joint = likelihood + prior - math.log(likelihood[..., 0].size)
    gain = _log_sum(joint) - _log_sum(at_usual - math.log(at_usual.size))
    posterior = np.exp(joint - joint.max())
    posterior /= posterior.sum()
    peak = grid.shifts[posterior.sum(axis=(0, 1)).argmax()]
    mode = posterior * (np.abs(grid.shifts - peak) <= max(_MODE, 2.0 * evidence.lag_sd))
    share = float(mode.sum())
    of_shift, of_sd = mode.sum(axis=(0, 1)) / share, mode.sum(axis=(1, 2)) / share
    shift = float(of_shift @ grid.shifts)
    doubt = float(of_shift @ (grid.shifts - shift) ** 2)
    sd = max(math.sqrt(float(of_sd @ sds**2) + doubt), _LEAST_SD, evidence.hop)
    known = max(math.sqrt(doubt), 0.4 * grid.step)
    price = math.log(_SPREAD / known) + 0.5 * ((shift - evidence.lag) / _SPREAD) ** 2 + math.log(_N_SD / 3.0)
    return _Candidate(AuthorClock(shift, sd, rounding, n_notes), gain, share, price)


def _supported(
    evidence: Evidence,
    author: str,
    found: _Candidate,
    written: tuple[Sequence[int], Floats],
    score_of: ScoreOf | None,
) -> AuthorClock | None:
    is_plain = found.gain >= LEAST_GAIN and found.share >= _LEAST_SHARE
    if score_of is None or (found.gain < _HOPELESS and not is_plain):
        return found.clock if is_plain else None
    which, times = written
    start = evidence.first * evidence.hop
    end = start + evidence.observed.size * evidence.hop
    moved = np.stack([times + evidence.lag, times + found.clock.shift])
    inside = np.all((moved >= start) & (moved < end), axis=0).tolist()
    both = [i for i, is_inside in zip(which, inside, strict=True) if is_inside]
    if len(both) < LEAST_NOTES:
        return found.clock if is_plain else None
    usual = score_of(both, {})
    looser = [
        replace(found.clock, shift=evidence.lag, sd=sd)
        for sd in (math.sqrt(evidence.lag_sd * found.clock.sd), found.clock.sd)
        if sd > evidence.lag_sd
    ]
    scores = [score_of(both, {author: clock}) for clock in looser]
    ahead = score_of(both, {author: found.clock}) - max([usual, *scores])
    doubt = -math.log(min(1.0, found.share / _LEAST_SHARE))
    if ahead >= (0.0 if is_plain else found.price + LEAST_GAIN + doubt):
        return found.clock
    if looser and max(scores) - usual >= LEAST_GAIN:
        return looser[int(np.argmax(scores))]
    return None


def _deviations(evidence: Evidence) -> Floats:
    """(8,) the standard deviations tried, seconds, log-uniform around the usual one."""
    lowest = max(evidence.lag_sd / 8.0, evidence.hop, 1e-3)
    return np.geomspace(lowest, max(4.0 * evidence.lag_sd, _LARGEST_SD, 2.0 * lowest), _N_SD)


def _shifts(evidence: Evidence, times: Floats, tail: float) -> _Grid | None:
    """Shifts within half an hour of the usual lag that bring any time into the recording; None without any."""
    start = evidence.first * evidence.hop
    end = start + evidence.observed.size * evidence.hop
    low = max(evidence.lag - FARTHEST, start - times.max(initial=-np.inf))
    high = min(evidence.lag + FARTHEST, end - times.min(initial=np.inf))
    if not low < high:
        return None
    step = evidence.hop * max(1, math.ceil((high - low) / _N_SHIFTS / evidence.hop))
    return _Grid(low, step, math.ceil((high - low) / step) + 1, math.ceil(tail / step))


def _likelihoods(
    evidence: Evidence, written: tuple[Indices, Floats], grid: _Grid, sds: Floats, rounding: float
) -> tuple[Floats, Floats]:
    """Log likelihood (n_sd, n_e, n_shifts) of every clock, and (n_e,) of the usual one, relative to chance."""
    which, times = written
    likelihood = np.zeros((sds.size, _MISLED.size, grid.n))
    at_usual = np.zeros(_MISLED.size)
    frequencies = np.asarray(np.fft.rfftfreq(grid.padded.size, grid.step), np.float64)
    rounded = np.sinc(frequencies * rounding)
    lag = (evidence.lag - grid.padded[0]) / grid.step
    for begin in range(0, len(times), _CHUNK):
        some = slice(begin, begin + _CHUNK)
        ratios = np.stack(
            [
                pointing_density(evidence, int(i), w + grid.padded)
                for i, w in zip(which[some], times[some], strict=True)
            ]
        )
        spectrum = np.fft.rfft(ratios, axis=1) * rounded
        for j, sd in enumerate(sds):
            smooth = _blurred(spectrum, frequencies, float(sd), grid.padded.size)
            inner = smooth[:, grid.pad : grid.pad + grid.n]
            for k, e in enumerate(_MISLED):
                likelihood[j, k] += np.log(e + (1.0 - e) * inner).sum(axis=0)
        smooth = _blurred(spectrum, frequencies, evidence.lag_sd, grid.padded.size)
        near = _at(smooth, lag)
        at_usual += np.log(_MISLED + (1.0 - _MISLED) * near[:, None]).sum(axis=0)
    return likelihood, at_usual


def _blurred(spectrum: npt.NDArray[np.complex128], frequencies: Floats, sd: float, n: int) -> Floats:
    """Rows convolved with a Gaussian of ``sd`` seconds, from their spectrum; never below 0."""
    gaussian = np.exp(-2.0 * (np.pi * frequencies * sd) ** 2)
    return np.maximum(np.fft.irfft(spectrum * gaussian, n, axis=1), 0.0)


def _at(rows: Floats, place: float) -> Floats:
    """Each row's value at a place between its columns; 0 beyond them."""
    columns = np.arange(rows.shape[1], dtype=np.float64)
    return np.array([np.interp(place, columns, row, left=0.0, right=0.0) for row in rows])


def _log_sum(values: Floats) -> float:
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum()))
