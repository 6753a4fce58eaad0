"""How much a frame's log odds count where nothing was measured: neighbouring frames say much the same."""

from __future__ import annotations

__all__ = ["looks_at_a_frame"]

_LOOKS = 4.0  # independent looks at a span of usual length


def looks_at_a_frame(frames_per_note: float) -> float:
    """A span of usual length counts as four independent looks, a frame as one at most.

    Args:
        frames_per_note: frames of a usual span.

    >>> looks_at_a_frame(40.0)
    0.1
    """
    return min(1.0, _LOOKS / max(1.0, frames_per_note))
