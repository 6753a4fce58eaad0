"""Which cells a warping path may visit: the bands of Sakoe & Chiba and of Itakura, for unequal lengths too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Band"]


@dataclass(frozen=True, slots=True)
class Band:
    """A constraint on warping paths: ``Band("sakoe-chiba", 0.1)`` or ``Band("itakura", 2.0)``.

    ``size``: for "sakoe-chiba" the radius, a share of the longer series in [0, 1] (float) or samples (int);
    for "itakura" the steepest slope, > 1.
    """

    kind: Literal["sakoe-chiba", "itakura"]
    size: float
