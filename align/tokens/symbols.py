"""Symbolic views of one series and of a token sequence: SAX words, what tokens rebuild, motifs, bits per second."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from align.answers import Codebook, TokenSequence
from align.datatypes import Floats, Stream
from align.errors import ParameterError

__all__ = [
    "Motif",
    "Rebuilt",
    "TokenBits",
    "Word",
    "motifs",
    "piece_means",
    "rebuild",
    "sax",
    "sax_distance",
    "token_bits",
]

Ints = npt.NDArray[np.int64]

_FLAT = 1e-12  # a standard deviation below this share of the largest value is rounding
_TOUCH = 1e-9  # share of a second by which neighbours may miss each other


class Word(NamedTuple):
    """A SAX word: ``letters`` i8 (w,) from 0 to ``alphabet`` - 1, of a series of ``n`` samples."""

    letters: Ints
    alphabet: int
    n: int

    @property
    def text(self) -> str:
        """As letters: "abca"; numbers with dots where the alphabet is larger than the Latin."""
        if self.alphabet > 26:
            return ".".join(map(str, self.letters.tolist()))
        return "".join(chr(ord("a") + i) for i in self.letters.tolist())


class Rebuilt(NamedTuple):
    """A stream rebuilt from its tokens: ``values`` f8 (n, n_channels), NaN where no token is; ``error`` (n_channels,)
    root mean square; ``explained`` (n_channels,) 1 - squared error over variance, at most 1, NaN for a flat channel;
    ``sloped`` (n_channels,) whether pieces have their code's slope."""

    values: Floats
    error: Floats
    explained: Floats
    sloped: npt.NDArray[np.bool_]


class Motif(NamedTuple):
    """A run of codes, how many times it occurs, and how many if codes followed each other by chance."""

    codes: tuple[int, ...]
    times: int
    expected: float


class TokenBits(NamedTuple):
    """What a token sequence takes when it is coded: bits of ``codes`` and ``durations``, and ``seconds`` covered."""

    codes: float
    durations: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Bits per second; 0 where no time is covered."""
        return (self.codes + self.durations) / self.seconds if self.seconds > 0 else 0.0


def piece_means(values: npt.ArrayLike, n_pieces: int) -> Floats:
    """Means of equally long pieces (piecewise aggregate approximation).

    A sample on the edge of two pieces counts for each by the share that lies in it, so ``n_pieces`` need not divide n.

    Args:
        values: (n,) finite numbers.
        n_pieces: 1 to n.

    Raises:
        ParameterError: values or number out of range.

    Reference: Keogh et al. 2001, KAIS 3(3), equation 1.

    >>> piece_means([1.0, 2.0, 3.0, 5.0, 6.0], 2).tolist()
    [1.8, 5.0]
    """
    x = _series(values)
    if not 1 <= n_pieces <= x.size:
        raise ParameterError("n_pieces", n_pieces, f"1 to {x.size}")
    sums = np.append(0.0, np.cumsum(x - x.mean()))
    edges = np.arange(n_pieces + 1) * x.size / n_pieces
    at = np.interp(edges, np.arange(x.size + 1), sums)
    return np.asarray(np.diff(at) * n_pieces / x.size + x.mean())


def sax(values: npt.ArrayLike, n_letters: int, alphabet: int = 8) -> Word:
    """The SAX word of a series: means of pieces of the series at mean 0 and standard deviation 1, as letters that are
    equally likely under a normal distribution.

    A flat series is the middle letter throughout, never 0/0.

    Args:
        values: (n,) finite numbers.
        n_letters: 1 to n.
        alphabet: number of different letters, 2 to 1,000.

    Raises:
        ParameterError: an argument out of range.

    Reference: Lin, Keogh, Wei & Lonardi 2007, Experiencing SAX, DMKD 15, sections 3.1 and 3.2.

    >>> sax([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0], 3, 3).text
    'abc'
    """
    x = _series(values)
    if not 2 <= alphabet <= 1000:
        raise ParameterError("alphabet", alphabet, "2 to 1000")
    cuts = _cuts(alphabet)
    means = piece_means(_standard(x), n_letters)
    return Word(np.searchsorted(cuts, means, side="right").astype(np.int64), alphabet, x.size)


def sax_distance(a: Word, b: Word) -> float:
    """MINDIST: at most the Euclidean distance of the two series at mean 0 and standard deviation 1.

    ``sqrt(n / w) sqrt(sum of squared cells)``, the cell of two letters being the gap between their ranges, 0 for
    neighbours.

    Args:
        a, b: words of one length, one alphabet and series of one length.

    Raises:
        ParameterError: words that differ in one of these.

    Reference: Lin et al. 2007, section 3.3, equations 5 and 6. The bound holds for pieces of broken length too, as
    each piece's mean of the difference squared is at most its mean square.

    >>> sax_distance(sax([0.0, 0.0, 1.0, 1.0], 2, 4), sax([1.0, 1.0, 0.0, 0.0], 2, 4)) <= 4.0
    True
    """
    if (a.alphabet, a.n, a.letters.size) != (b.alphabet, b.n, b.letters.size):
        raise ParameterError(
            "b", (b.alphabet, b.n, b.letters.size), f"{(a.alphabet, a.n, a.letters.size)}, as a"
        )
    cuts = _cuts(a.alphabet)
    low, high = np.minimum(a.letters, b.letters), np.maximum(a.letters, b.letters)
    apart = high - low > 1
    cells = np.where(apart, cuts[np.maximum(high - 1, 0)] - cuts[np.minimum(low, cuts.size - 1)], 0.0)
    return float(np.sqrt(a.n / a.letters.size) * np.sqrt((cells**2).sum()))


def rebuild(tokens: TokenSequence, codebook: Codebook, stream: Stream) -> Rebuilt:
    """What a stream would look like if its tokens were all that is known: a straight piece per token.

    A sample at t seconds in a token with code k and middle m is ``mean_k + slope_k (t - m)``, mean and slope of the
    code's centroid in the stream's units. A code's slope says little of a segment much longer than most with that
    code, so a channel of which ``mean_k`` alone rebuilds more has no slopes: one bit more per channel. The error has
    two parts: what a straight piece leaves out, and what the code does.

    Args:
        tokens: of this stream by this codebook.
        codebook: its features hold "<channel>.mean" and "<channel>.slope" of every channel.
        stream: what was tokenized, for its times and for the error over its finite samples.

    Raises:
        ParameterError: tokens of another codebook, or a codebook of other channels.

    Reference: Elsworth & Guttel 2020, ABBA, DMKD 34, section 2 (inverse digitisation and piecewise linear
    reconstruction). Departure: pieces come from segmentation and keep their own lengths, and are not joined.
    """
    if tokens.codebook != codebook.hash:
        raise ParameterError("tokens", "tokens of another codebook", "tokens by this codebook")
    column = {name: i for i, name in enumerate(codebook.features)}
    wanted = [[f"{c}.{kind}" for kind in ("mean", "slope")] for c in stream.channels]
    missing = [name for pair in wanted for name in pair if name not in column]
    if missing:
        raise ParameterError("codebook", f"no feature {missing[0]!r}", "a codebook of this stream's channels")
    natural = codebook.centroids.astype(np.float64) * codebook.scale + codebook.shift
    times = stream.times() + 0.5 / stream.rate  # a sample stands for its whole period
    at = np.searchsorted(tokens.spans[:, 0], times, side="right") - 1
    inside = (at >= 0) & (times < tokens.spans[np.maximum(at, 0), 1])
    code, middle = tokens.codes[at], tokens.spans.mean(axis=1)[at]
    truth = stream.values.astype(np.float64)
    level, rise = (
        natural[code][:, [column[m] for m, _ in wanted]],
        natural[code][:, [column[r] for _, r in wanted]],
    )
    flat_pieces = np.where(inside[:, None], level, np.nan)
    sloped_pieces = flat_pieces + rise * (times - middle)[:, None]
    plain, steep = _mean_square(truth, flat_pieces), _mean_square(truth, sloped_pieces)
    sloped = steep < plain
    values, lost = np.where(sloped, sloped_pieces, flat_pieces), np.minimum(steep, plain)
    known = np.isfinite(truth) & inside[:, None]
    centre = np.where(known, truth, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    variance = _mean_square(truth, np.where(known, centre, np.nan))
    is_flat = variance <= (_FLAT * np.abs(centre)) ** 2
    explained = np.where(is_flat, np.nan, 1.0 - lost / np.where(is_flat, 1.0, variance))
    return Rebuilt(values, np.sqrt(lost), explained, sloped)


def _mean_square(truth: Floats, values: Floats) -> Floats:
    """(n_channels,) mean squared difference over the cells that both have; 0 where there is none."""
    known = np.isfinite(truth) & np.isfinite(values)
    squares = np.where(known, truth - values, 0.0) ** 2
    return np.asarray(squares.sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def motifs(tokens: TokenSequence, length: int, least: int = 2) -> list[Motif]:
    """Runs of codes that come again, the most telling first: by how far the count exceeds what chance would give.

    Neighbours of one code are one token first. No run goes across a gap. Expected: were each code drawn by its share
    of the tokens, given that none equals the one before it.

    Args:
        tokens: of one stream.
        length: codes in a run, >= 1.
        least: occurrences that count, >= 1; occurrences may overlap.

    Raises:
        ParameterError: an argument out of range.
    """
    if length < 1:
        raise ParameterError("length", length, "at least 1")
    if least < 1:
        raise ParameterError("least", least, "at least 1")
    runs = [codes for codes, _ in _merged(tokens)]
    counts = Counter(tuple(run[i : i + length]) for run in runs for i in range(len(run) - length + 1))
    places = sum(max(0, len(run) - length + 1) for run in runs)
    shares = Counter(code for run in runs for code in run)
    total = sum(shares.values())
    found = []
    for codes, count in counts.items():
        if count >= least:
            chance = shares[codes[0]] / total
            for before, code in pairwise(codes):
                chance *= shares[code] / (total - shares[before])
            found.append(Motif(codes, count, places * chance))
    return sorted(found, key=lambda m: (m.expected - m.times, m.codes))


def token_bits(tokens: TokenSequence, n_codes: int, resolution: float) -> TokenBits:
    """The bits that a token sequence takes, coded one after the other by what was seen before.

    Neighbours of one code are one token (run-length coding). A code takes minus the binary logarithm of its probability
    by the Krichevsky-Trofimov estimate ``(n(code) + 1/2) / (n + k/2)`` of the codes that followed the code before
    it, or of all codes, whichever is shorter for the whole sequence, and one bit to say which; a duration of
    d steps of ``resolution`` (at least 1, rounded) takes Elias' gamma code, ``2 floor(log2 d) + 1`` bits. Gaps between
    tokens are coded like tokens of a code of their own. What is learned from is what was coded before, so nothing
    else has to be sent but the codebook.

    Args:
        tokens: of one stream.
        n_codes: of the codebook, >= 1 and above every code.
        resolution: seconds that durations are rounded to, > 0.

    Raises:
        ParameterError: an argument out of range.

    Reference: Krichevsky & Trofimov 1981; Elias 1975.
    """
    if not tokens.codes.size or n_codes <= int(tokens.codes.max()):
        raise ParameterError("n_codes", n_codes, "more than the largest code of at least one token")
    if not 0 < resolution < math.inf:
        raise ParameterError("resolution", resolution, "seconds > 0")
    codes: list[int] = []
    lengths: list[float] = []
    end = None
    for run, spans in _merged(tokens):
        if end is not None:
            codes.append(n_codes)  # a gap
            lengths.append(spans[0][0] - end)
        codes += run
        lengths += [b - a for a, b in spans]
        end = spans[-1][1]
    steps = [max(1, round(length / resolution)) for length in lengths]
    durations = sum(2 * int(math.log2(d)) + 1 for d in steps)
    alone, after = _adaptive(codes, n_codes + 1, 0), _adaptive(codes, n_codes + 1, 1)
    seconds = float((tokens.spans[:, 1] - tokens.spans[:, 0]).sum())
    return TokenBits(min(alone, after) + 1.0, float(durations), seconds)


def _adaptive(codes: list[int], k: int, order: int) -> float:
    """Bits of codes by the Krichevsky-Trofimov estimate, given ``order`` (0 or 1) codes before."""
    seen: dict[int, Counter[int]] = {}
    bits, before = 0.0, -1
    for code in codes:
        counts = seen.setdefault(before if order else -1, Counter())
        bits -= math.log2((counts[code] + 0.5) / (counts.total() + k / 2))
        counts[code] += 1
        before = code
    return bits


def _merged(tokens: TokenSequence) -> list[tuple[list[int], list[tuple[float, float]]]]:
    """(codes, spans) of every stretch without a gap, neighbours of one code together."""
    stretches: list[tuple[list[int], list[tuple[float, float]]]] = []
    for code, (start, end) in zip(tokens.codes.tolist(), tokens.spans.tolist(), strict=True):
        touches = bool(stretches) and start - stretches[-1][1][-1][1] <= _TOUCH
        if not touches:
            stretches.append(([code], [(start, end)]))
        elif stretches[-1][0][-1] == code:
            stretches[-1][1][-1] = (stretches[-1][1][-1][0], end)
        else:
            stretches[-1][0].append(code)
            stretches[-1][1].append((start, end))
    return stretches


def _series(values: npt.ArrayLike) -> Floats:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all() or np.abs(x).max() > 1e150:
        raise ParameterError("values", f"shape {x.shape}", "(n >= 1,) finite numbers up to 1e150")
    return x


def _standard(x: Floats) -> Floats:
    """Mean 0 and standard deviation 1; zeros where it is flat."""
    off = x - x.mean()
    sd = float(off.std())
    return off / sd if sd > _FLAT * float(np.abs(x).max()) else np.zeros(x.size)


def _cuts(alphabet: int) -> Floats:
    """Where letters end: ``alphabet - 1`` quantiles of the normal distribution."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(i / alphabet) for i in range(1, alphabet)])
