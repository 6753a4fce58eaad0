"""What a reader may do about a fault: refuse (the default) or a named, counted repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Opt-in repairs and declarations. Every use is counted as a Finding with a ``P-`` code.

    Attributes:
        on_nan: "refuse" NaN, infinite and empty cells, or make them a "gap".
        on_truncated: "refuse" a file shorter than it declares, or "keep" what is there.
        sort: sort unsorted timestamps (stable) instead of refusing.
        dup: "refuse" equal timestamps with different values, or keep the "first".
        tail: "refuse" a last line without a line end, or "drop" it.
        na: cell texts that mean "missing" in numeric columns.
        sentinels: numbers that mean "missing".
        time_column: name of the time column, when the names do not say.
        time_unit: "s", "ms", "us" or "ns" for numeric times, when the name and the values do not say.
        tz: IANA name or offset ("+02:00") of local times written without an offset.
        fold: which of two equal local times in an autumn hour, 0 or 1.
        start: ISO 8601 time of the first sample of audio that carries none.
        gap_factor: a pause longer than this many sample periods is a gap.
        max_channels: refuse wider tables.
        max_ratio: refuse a file that unfolds to more than so many times its size, once that is over 256 MiB.
    """

    on_nan: Literal["refuse", "gap"] = "refuse"
    on_truncated: Literal["refuse", "keep"] = "refuse"
    sort: bool = False
    dup: Literal["refuse", "first"] = "refuse"
    tail: Literal["refuse", "drop"] = "refuse"
    na: tuple[str, ...] = ()
    sentinels: tuple[float, ...] = ()
    time_column: str | None = None
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    tz: str | None = None
    fold: Literal[0, 1] | None = None
    start: str | None = None
    gap_factor: float = 4.0
    max_channels: int = 10_000
    max_ratio: float = 1000.0
