"""Gains: by how much likelier a span begins or ends at each edge between two frames than at any, as a log."""

from __future__ import annotations

import numpy as np

from align.datatypes import Floats

__all__ = ["joint_gain", "normalised"]

_LEAST = -4.0  # log of how much less than usual an edge may count: whoever says so is wrong at times


def normalised(gain: Floats) -> Floats:
    """(n + 1,) the same within its floor, the mean of its exp being 1.

    Args:
        gain: (n + 1,) logs.
    """
    held = np.maximum(gain, _LEAST)
    return np.asarray(held - np.log(np.exp(held).mean()))


def joint_gain(one: Floats, other: Floats) -> Floats:
    """(n + 1,) what two witnesses say who judge by different things: the sum, normalised.

    Args:
        one, other: (n + 1,) each, or none of one of them, which then says nothing.
    """
    if not (one.size and other.size):
        return one if one.size else other
    return normalised(one + other)
