"""Small recordings on disk: stretches of rest, walking and shaking of a wrist, and a heart that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

KINDS = {"rest": (0.1, 0.02, 0.0), "walk": (1.0, 0.1, 2.0), "shake": (3.0, 0.3, 4.0)}


def wrist(path: Path, kinds: list[str], seed: int = 0, *, grown: float = 1.0) -> Path:
    """Ten-second stretches at 20 Hz as CSV."""
    random, t = np.random.default_rng(seed), np.arange(200) / 20.0
    parts = []
    for kind in kinds:
        level, noise, frequency = KINDS[kind]
        rhythm = np.sin(2 * np.pi * frequency * t)
        parts.append(grown * (level * (1 + rhythm) + noise * random.normal(size=200)))
    values = np.concatenate(parts)
    rows = [f"{i / 20:.2f},{v:.3f},{0.5 * v:.3f}" for i, v in enumerate(values)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["time,tap [mm],tip [mm]", *rows]) + "\n")
    return path


def heart(path: Path, kinds: list[str]) -> Path:
    """The same stretches at 1 Hz: a heart rate."""
    rates = {"rest": 60, "walk": 90, "shake": 120}
    values = np.repeat([rates[k] for k in kinds], 10) + np.arange(10 * len(kinds)) % 3
    rows = [f"{i},{v}" for i, v in enumerate(values)]
    path.write_text("\n".join(["time,heart_rate [bpm]", *rows]) + "\n")
    return path


ORDERS = (
    ["rest", "walk", "shake", "rest", "walk"],
    ["walk", "rest", "shake", "walk"],
    ["shake", "rest", "walk", "shake", "rest", "walk"],
)


def files(folder: Path) -> list[Path]:
    """Three recordings."""
    return [wrist(folder / f"r{i}.csv", kinds, i) for i, kinds in enumerate(ORDERS)]


def sessions(folder: Path) -> list[Path]:
    """Two session folders of two streams."""
    for i, kinds in enumerate(ORDERS[:2]):
        wrist(folder / f"s{i}" / "wrist.csv", kinds, i)
        heart(folder / f"s{i}" / "heart.csv", kinds)
    return [folder / "s0", folder / "s1"]
