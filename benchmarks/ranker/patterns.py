"""Synthetic signals whose pattern changes at known places: seven kinds, each with classes, noise and drift.

What varies within a segment (drift of shape, rate, strength) is as much part of a kind as what differs between
classes: a method must learn to tell them apart. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from benchmarks.ranker.drawing import (
    Floats,
    Generator,
    between,
    classes,
    drift_of,
    habits,
    lengths,
    maybe,
    resampled,
    shape,
    smooth,
    stretched,
    wandering,
    warped,
)

Signal = tuple[Floats, list[int]]
SALT = 11
SHORTEST = 800


def signal(seed: int) -> tuple[str, Floats, npt.NDArray[np.int64]]:
    """One signal: its kind, (n,) values, change points."""
    random = np.random.default_rng([SALT, seed])
    kind = str(random.choice(list(KINDS), p=[share for _, share in KINDS.values()]))
    calm = bool(random.random() < 0.5)
    values, ends = KINDS[kind][0](random, calm)
    while len(values) < SHORTEST:
        values, ends = KINDS[kind][0](random, calm)
    most = int(between(random, 1500, 16000))
    n = len(values)
    if n > most:  # archives hold long recordings at a lower rate
        width = max(1, n // most)
        values = np.convolve(values, np.ones(width) / width, "same")[np.linspace(0, n - 1, most).astype(int)]
        ends = [round(e * most / n) for e in ends]
    return kind, values, np.array(ends[:-1], np.int64)


def instances(random: Generator, calm: bool) -> Signal:
    """Instances of one class after another, as archives of labelled shapes are strung together."""
    n = int(between(random, 15, 600))
    labels, count = classes(random, calm)
    contrast = between(random, 0.15, 2.5)
    base, way = shape(random, n), random.integers(3)
    forms = [_variant(random, base, contrast, int(way)) for _ in range(count)]
    subforms = [[smooth(random, n, n * between(random, 0.05, 0.3)) for _ in range(3)] for _ in range(count)]
    variation, warp, noise = (
        between(random, 0.05, 0.9),
        maybe(random, 0.7, 0.02, 0.4),
        between(random, 0.01, 0.4),
    )
    standard, jitter = random.random() < 0.8, 0.12 if random.random() < 0.3 else 0.0
    strength = between(random, 0.02, 0.5)
    many = np.maximum(3, lengths(random, len(labels), between(random, 4, 40) * len(labels)))
    drift = drift_of(random, calm, 0.08, 1.0)
    modes = np.array([smooth(random, n, n * between(random, 0.05, 0.3)) for _ in range(3)])
    path, way_of = wandering(random, int(many.sum()), 3), habits(random, int(many.sum()), 3)
    by_habit = maybe(random, 0.3 if calm else 0.6, 0.1, 0.9)
    parts, ends, at = [], [], 0
    for label, m in zip(labels, many, strict=True):
        for _ in range(m):
            one = forms[label] + variation * smooth(random, n, n * between(random, 0.08, 0.3))
            one = one + by_habit * subforms[label][way_of[at]]
            one = warped(random, one + drift * path[at] @ modes, warp)
            at += 1
            if jitter:
                one = resampled(one, max(8, int(n * np.exp(jitter * random.normal()))))
            one = one + noise * random.standard_normal(len(one))
            if standard:
                one = (one - one.mean()) / max(one.std(), 1e-6)
            else:
                one = one * np.exp(strength * random.normal())
            parts.append(one)
        ends.append(sum(map(len, parts)))
    return np.concatenate(parts), ends


def _variant(random: Generator, base: Floats, contrast: float, way: int) -> Floats:
    """A class: the base and another shape on all of it, or on a part of it, or the base warped."""
    n = len(base)
    if way == 0:
        form = base + contrast * shape(random, n)
    elif way == 1:
        m = int(n * between(random, 0.1, 0.6))
        at = (random.integers(n) + np.arange(m)) % n
        form = base.copy()
        form[at] += 1.5 * contrast * np.hanning(m) * smooth(random, m, m * between(random, 0.05, 0.3))
    else:
        form = warped(random, base, 0.6 * min(contrast, 1.2)) + 0.3 * contrast * smooth(random, n, n * 0.1)
    return np.asarray(form / max(form.std(), 1e-9))


def heart(random: Generator, calm: bool) -> Signal:
    """Heart beats: waves of a beat, rate and its variability, strength; breathing, baseline, drift."""
    labels, count = classes(random, calm)
    rate, contrast = between(random, 30, 200), between(random, 0.1, 1.2)
    waves = np.array(
        [
            [0.2, 0.03, 0.15 * between(random, 0.5, 2)],
            [0.37, 0.012, -0.15],
            [0.4, 0.014, 1.0],
            [0.43, 0.013, -0.25 * between(random, 0.3, 2)],
            [0.65, 0.05, 0.3 * between(random, 0.3, 2)],
        ]
    )
    interval = between(random, 0.35, 1.2)
    forms = []
    for _ in range(count):
        own = waves * np.exp(contrast * np.array([0.05, 0.3, 0.6]) * random.standard_normal((5, 3)))
        own[:, 2] += 0.1 * contrast * random.standard_normal(5)
        pace = interval * np.exp(0.35 * contrast * random.normal() * (random.random() < 0.6))
        strength = np.exp(0.5 * contrast * random.normal() * (random.random() < 0.4))
        uneven = between(random, 0.01, 0.12) * (3 if random.random() < 0.15 else 1)
        forms.append((own, pace, strength, uneven))
    beats = np.maximum(8, lengths(random, len(labels), between(random, 25, 90) * len(labels)))
    noise, breath, drift = (
        between(random, 0.01, 0.15),
        between(random, 0.02, 0.4),
        drift_of(random, calm, 0.04, 0.5),
    )
    path = drift * wandering(random, int(beats.sum()), 2)
    parts, ends, at, n = [], [], 0, 0
    for label, m in zip(labels, beats, strict=True):
        own, pace, strength, uneven = forms[label]
        for _ in range(m):
            length = max(8, int(rate * pace * np.exp(uneven * random.normal() + 0.3 * path[at, 0])))
            t = np.arange(length)[:, None] / length
            beat = (own[:, 2] * np.exp(-0.5 * ((t - own[:, 0]) / own[:, 1]) ** 2)).sum(axis=1)
            parts.append(strength * np.exp(path[at, 1]) * (1 + 0.3 * breath * np.sin(1.6 * n / rate)) * beat)
            n, at = n + length, at + 1
        ends.append(n)
    baseline = between(random, 0.02, 0.6) * smooth(random, n, rate * between(random, 0.5, 5))
    return np.concatenate(parts) + noise * random.standard_normal(n) + baseline, ends


def coloured(random: Generator, calm: bool) -> Signal:
    """Noise of one spectrum after another (autoregressive), as in recordings of the brain."""
    labels, count = classes(random, calm)
    contrast, m = between(random, 0.12, 1.2), int(random.integers(1, 4))
    radius, angle = random.uniform(0.5, 0.985, m), random.uniform(0.02, 0.9, m) * np.pi

    def filters(size: float) -> Floats:
        r = np.clip(radius + 0.12 * size * random.standard_normal(m), 0.2, 0.99)
        poles = r * np.exp(1j * np.clip(angle + 0.5 * size * random.standard_normal(m), 0.01, 3.1))
        return np.real(np.poly(np.concatenate([poles, poles.conj()])))

    forms = [filters(contrast) for _ in range(count)]
    strengths = [np.exp(0.5 * contrast * random.normal() * (random.random() < 0.4)) for _ in range(count)]
    drift, other = drift_of(random, calm, 0.08, 1.2), filters(1.0)
    parts, ends, n = [], [], 0
    for label, size in zip(labels, lengths(random, len(labels), between(random, 1500, 12000)), strict=True):
        size = max(150, int(size))

        def run(by: Floats, size: int = size) -> Floats:
            drawn = lfilter([1.0], by, random.standard_normal(size + 200))[200:]
            return np.asarray(drawn / max(drawn.std(), 1e-9))

        path = drift * stretched(random, size, 2)
        parts.append((run(forms[label]) + np.abs(path[:, :1])[:, 0] * run(other)) * np.exp(0.5 * path[:, 1]))
        parts[-1] *= strengths[label]
        n += size
        ends.append(n)
    values = np.concatenate(parts) + between(random, 0.005, 0.2) * random.standard_normal(n)
    return values + maybe(random, 0.3, 0.1, 1.0) * smooth(random, n, n / 8), ends


def oscillating(random: Generator, calm: bool) -> Signal:
    """A periodic waveform whose harmonics, rate or strength change; its rate, strength and form wander."""
    labels, count = classes(random, calm)
    period, contrast, n_harmonics = (
        between(random, 8, 150),
        between(random, 0.1, 1.5),
        int(random.integers(2, 9)),
    )
    fall = np.arange(1, n_harmonics + 1) ** 0.8
    sizes, phases = random.standard_normal(n_harmonics) / fall, random.uniform(0, 2 * np.pi, n_harmonics)
    forms = [
        (
            sizes + 0.4 * contrast * random.standard_normal(n_harmonics) / fall,
            phases + 0.5 * contrast * random.standard_normal(n_harmonics),
            period * np.exp(0.3 * contrast * random.normal() * (random.random() < 0.6)),
            np.exp(0.4 * contrast * random.normal() * (random.random() < 0.4)),
        )
        for _ in range(count)
    ]
    pace, swell, drift = (
        between(random, 0.005, 0.15),
        between(random, 0.02, 0.5),
        drift_of(random, calm, 0.08, 0.8),
    )
    parts, ends, n, phase = [], [], 0, 0.0
    for label, size in zip(
        labels, lengths(random, len(labels), between(random, 20, 90) * period * len(labels)), strict=True
    ):
        size = max(int(6 * period), int(size))
        own, shift, length, strength = forms[label]
        rate = np.exp(pace * smooth(random, size, period * between(random, 1, 10))) / length
        turn = phase + 2 * np.pi * np.cumsum(rate)
        phase = float(turn[-1])
        wander = 1 + drift * stretched(random, size, n_harmonics)
        wave = sum(wander[:, h] * own[h] * np.sin((h + 1) * turn + shift[h]) for h in range(n_harmonics))
        parts.append(wave * strength * np.exp(swell * smooth(random, size, period * between(random, 1, 8))))
        n += size
        ends.append(n)
    values = np.concatenate(parts)
    values = values / values.std() + between(random, 0.01, 0.5) * random.standard_normal(n)
    return values + maybe(random, 0.4, 0.1, 1.0) * smooth(random, n, period * between(random, 5, 30)), ends


def bursts(random: Generator, calm: bool) -> Signal:
    """Events on a quiet ground, as calls of a bird: their form, pauses, regularity, strength, the ground."""
    labels, count = classes(random, calm)
    width, contrast = int(between(random, 10, 120)), between(random, 0.3, 1.5)
    base = shape(random, width)
    forms = []
    for _ in range(count):
        form = (base + contrast * shape(random, width)) * np.hanning(width) ** 0.5
        ground = between(random, 0.03, 0.4) * (1 + 0.5 * contrast * abs(random.normal()))
        level = 0.3 * contrast * random.normal() * (random.random() < 0.3)
        pause, uneven = width * between(random, 1.3, 5), between(random, 0.05, 0.8)
        strength = np.exp(0.4 * contrast * random.normal())
        forms.append((form / max(form.std(), 1e-6), pause, uneven, ground, strength, level))
    drift = drift_of(random, calm, 0.08, 0.8)
    parts, ends, n = [], [], 0
    for label, size in zip(labels, lengths(random, len(labels), between(random, 2000, 15000)), strict=True):
        size = max(14 * width, int(size))
        form, pause, uneven, ground, strength, level = forms[label]
        path = np.exp(drift * stretched(random, size, 2))
        quiet, at = np.zeros(size + width), 0.0
        while at < size:
            i = int(at)
            quiet[i : i + width] += strength * path[i, 1] * np.exp(0.3 * random.normal()) * form
            at += max(3.0, pause * path[i, 0] * np.exp(uneven * random.normal()))
        parts.append(quiet[:size] + ground * random.standard_normal(size) + level)
        n += size
        ends.append(n)
    return np.concatenate(parts), ends


def mixtures(random: Generator, calm: bool) -> Signal:
    """Motifs from one dictionary in proportions that differ by class and evolve within a segment."""
    labels, count = classes(random, calm)
    n, n_motifs = int(between(random, 10, 120)), int(random.integers(3, 8))
    motifs = [shape(random, max(6, int(n * between(random, 0.5, 1.6)))) for _ in range(n_motifs)]
    forms = [random.dirichlet(np.full(n_motifs, between(random, 0.1, 0.8))) for _ in range(count)]
    noise, warp, variation = (
        between(random, 0.02, 0.4),
        between(random, 0.02, 0.3),
        between(random, 0.05, 0.5),
    )
    evolution = between(random, 0.02, 0.6)
    many = np.maximum(12, lengths(random, len(labels), between(random, 25, 80) * len(labels)))
    keep = (
        random.uniform(0.0, 0.9) if not calm and random.random() < 0.5 else 0.0
    )  # the same motif again, for a while
    parts, ends, total = [], [], 0
    for label, m in zip(labels, many, strict=True):
        later = 0.5 * forms[label] + 0.5 * random.dirichlet(np.full(n_motifs, 0.5))
        for i in range(m):
            share = forms[label] + evolution * i / m * (later - forms[label])
            if i == 0 or random.random() >= keep:
                motif = random.choice(n_motifs, p=share / share.sum())
            one = warped(random, motifs[motif], warp)
            one = one + variation * smooth(random, len(one), len(one) * 0.2)
            parts.append(one + noise * random.standard_normal(len(one)))
            total += len(one)
        ends.append(total)
    return np.concatenate(parts), ends


def texture(random: Generator, calm: bool) -> Signal:
    """Noise of one level, strength, smoothness and rate of spikes after another."""
    labels, count = classes(random, calm)
    contrast, scale = between(random, 0.2, 1.5), between(random, 2, 40)

    def own(size: float, chance: float) -> float:
        return float(size * contrast * random.normal() * (random.random() < chance))

    forms = [
        (own(1, 0.5), np.exp(own(0.6, 0.6)), scale * np.exp(own(0.6, 0.7)), maybe(random, 0.3, 0.002, 0.03))
        for _ in range(count)
    ]
    drift = drift_of(random, calm, 0.08, 0.8)
    parts, ends, n = [], [], 0
    for label, size in zip(labels, lengths(random, len(labels), between(random, 1500, 15000)), strict=True):
        size = max(int(12 * scale), 200, int(size))
        level, strength, smoothness, spikes = forms[label]
        part = strength * smooth(random, size, smoothness) * np.exp(drift * stretched(random, size, 1)[:, 0])
        hit = random.random(size) < spikes
        part[hit] += 3 * random.standard_normal(int(hit.sum()))
        parts.append(part + level)
        n += size
        ends.append(n)
    values = np.concatenate(parts) + between(random, 0.01, 0.4) * random.standard_normal(n)
    return values + maybe(random, 0.3, 0.1, 0.8) * smooth(random, n, n / 6), ends


KINDS: Mapping[str, tuple[Callable[[Generator, bool], Signal], float]] = MappingProxyType(
    {
        "instances": (instances, 0.4),
        "heart": (heart, 0.1),
        "coloured": (coloured, 0.1),
        "oscillating": (oscillating, 0.12),
        "bursts": (bursts, 0.1),
        "mixtures": (mixtures, 0.1),
        "texture": (texture, 0.08),
    }
)
