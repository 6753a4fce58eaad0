"""Random pieces that all kinds of signals are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

NO_CHANGE = 0.15  # share of signals without any change point
SEGMENTS = {True: (2, 2, 2, 3, 3, 4, 5, 6, 7, 9), False: (2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8)}  # calm or not
RECURRING = 0.15  # chance that a segment is of a class seen before


def between(random: Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def maybe(random: Generator, chance: float, low: float, high: float) -> float:
    """Log-uniform with the given chance, else 0."""
    size = between(random, low, high)
    return size if random.random() < chance else 0.0


def drift_of(random: Generator, calm: bool, low: float, high: float) -> float:
    """How far a signal wanders within its segments; a calm one less often and less far."""
    return maybe(random, 0.6, 0.6 * low, 0.6 * high) if calm else maybe(random, 0.75, low, high)


def smooth(random: Generator, n: int, scale: float) -> Floats:
    """A stationary Gaussian process of unit variance with a squared-exponential kernel of that length scale."""
    frequency = np.fft.rfftfreq(n)
    white = random.standard_normal(len(frequency)) + 1j * random.standard_normal(len(frequency))
    white[0] = 0
    drawn = np.fft.irfft(white * np.exp(-((np.pi * frequency * scale) ** 2)), n)
    return np.asarray(drawn / max(drawn.std(), 1e-9))


def wandering(random: Generator, n: int, k: int) -> Floats:
    """(n, k) coefficients of unit variance that drift without regard to segments: smooth, or first-order."""
    if random.random() < 0.5:
        scale = max(2.0, n * between(random, 0.04, 0.5))
        return np.array([smooth(random, n + 4, scale)[:n] for _ in range(k)]).T
    keep = random.uniform(0.6, 0.99)
    out = np.empty((n, k))
    state = random.standard_normal(k)
    for i in range(n):
        state = keep * state + np.sqrt(1 - keep * keep) * random.standard_normal(k)
        out[i] = state
    return out


def stretched(random: Generator, n: int, k: int, points: int = 24) -> Floats:
    """``wandering`` over few points, interpolated to n."""
    path = wandering(random, points, k)
    at = np.linspace(0, points - 1, n)
    return np.array([np.interp(at, np.arange(points), column) for column in path.T]).T


def habits(random: Generator, n: int, k: int) -> npt.NDArray[np.int64]:
    """(n,) which of k ways each of n items takes: a way is kept for a while, whatever the segment."""
    keep = random.uniform(0.0, 0.96)
    fresh = random.random(n) > keep
    fresh[0] = True
    ways = random.integers(k, size=n)
    return ways[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))]


def classes(random: Generator, calm: bool) -> tuple[list[int], int]:
    """The class of each segment, neighbours differing, and how many classes there are."""
    n = 1 if random.random() < NO_CHANGE else int(random.choice(SEGMENTS[calm]))
    labels, count = [0], 1
    while len(labels) < n:
        if count > 1 and random.random() < RECURRING:
            label = int(random.integers(count))
            if label == labels[-1]:
                continue
        else:
            label, count = count, count + 1
        labels.append(label)
    return labels, count


def lengths(random: Generator, n: int, total: float) -> npt.NDArray[np.int64]:
    """Lengths of n segments that sum to about ``total``, from nearly equal to very unequal."""
    share = random.dirichlet(np.full(n, between(random, 1.5, 20)))
    share = np.maximum(share, 0.35 / n)
    return np.maximum((share / share.sum() * total).astype(np.int64), 1)


def warped(random: Generator, shape: Floats, strength: float) -> Floats:
    """The same shape with its time stretched here and pressed there."""
    if strength <= 0:
        return shape
    n = len(shape)
    pace = np.cumsum(np.exp(strength * smooth(random, n, n / 3)))
    pace = (pace - pace[0]) / (pace[-1] - pace[0])
    return np.interp(pace, np.linspace(0, 1, n), shape)


def resampled(shape: Floats, n: int) -> Floats:
    """Linear interpolation to n points."""
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(shape)), shape)


def shape(random: Generator, n: int) -> Floats:
    """One random pattern of unit variance: smooth, bumps, steps, harmonics or a closed random walk."""
    kind = random.integers(5)
    t = np.arange(n) / n
    if kind == 0:
        drawn = smooth(random, n, n * between(random, 0.02, 0.2))
    elif kind == 1:
        drawn = np.zeros(n)
        for _ in range(random.integers(1, 6)):
            width = between(random, 0.01, 0.15)
            drawn += random.normal() * np.exp(-0.5 * ((t - random.random()) / width) ** 2)
    elif kind == 2:
        drawn = np.zeros(n)
        for _ in range(random.integers(1, 6)):
            drawn[random.integers(n) :] += random.normal()
        width = max(1, int(n * between(random, 0.005, 0.08)))
        drawn = np.convolve(np.pad(drawn, width, mode="edge"), np.ones(width) / width, "same")[width:-width]
    elif kind == 3:
        drawn = np.zeros(n)
        for h in range(1, int(random.integers(2, 12))):
            drawn += random.normal() / h**0.7 * np.sin(2 * np.pi * (h * t + random.random()))
    else:
        drawn = np.cumsum(random.standard_normal(n))
        drawn -= np.linspace(drawn[0], drawn[-1], n)
    return np.asarray(drawn / max(drawn.std(), 1e-9))
