"""Recordings of a few kinds of movement, and books made from them."""

from __future__ import annotations

import numpy as np

from align import Segmentation, Stream
from align.tokens import fit_codebook
from align.tokens.saved import Book
from align.tokens.tally import make_book

KINDS = {"rest": (0.0, 0.05, 0.0), "walk": (1.0, 0.3, 2.0), "shake": (3.0, 1.0, 5.0)}


def recording(kinds: list[str], seed: int = 0, name: str = "wrist") -> tuple[Stream, Segmentation]:
    """Ten-second segments of the given kinds at 25 Hz: level, noise and rhythm differ."""
    rng, t = np.random.default_rng(seed), np.arange(250) / 25.0
    parts = []
    for kind in kinds:
        level, noise, frequency = KINDS[kind]
        rhythm = np.sin(2 * np.pi * frequency * t)
        parts.append(
            np.column_stack([level + rhythm, 0.5 * rhythm]) + noise * rng.normal(size=(250, 2)) * 0.2
        )
    values = np.concatenate(parts)
    stream = Stream(values, rate=25.0, name=name, channels=("acc_x", "acc_y"), units=("g", "g"))
    return stream, Segmentation.of(stream, 250 * np.arange(1, len(kinds)))


def book(n_codes: int = 3, seeds: tuple[int, ...] = (0, 1), kinds: tuple[str, ...] = tuple(KINDS)) -> Book:
    """The book of a few recordings, four segments of each kind in each."""
    pairs = [recording(list(kinds) * 4, seed) for seed in seeds]
    named = [(f"r{seed}.csv", *pair) for seed, pair in zip(seeds, pairs, strict=True)]
    return make_book(fit_codebook(pairs, n_codes=n_codes), named)
