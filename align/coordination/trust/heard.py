"""How far the words of a recording's notes were heard in training.

The projection of texts learns under noise (``network/text_projection.py``), so a text vector is projected the shorter
the less it has to do with those of training: its length, which is then set to one, says how well a text is
understood. A model keeps one number, the length from which on a text counts as heard, and no text.

Of words that were not heard the network is as sure as of others, and wrong more often. Weighing their evidence less
note by note does not help, as the surer notes then take their places; so all notes of a recording count less together,
the more of them are said in words that were not heard.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["heard_length", "trust_in_words"]

_RARE = 0.1  # of the training texts, those projected shortest: heard once or twice themselves
_SLACK = 0.97
_LOST = 0.75  # of the log odds, where no text was heard


def heard_length(lengths: npt.NDArray[np.float32]) -> float:
    """The length from which on a text counts as heard, 0 or more.

    Args:
        lengths: (n,) of the distinct training texts as projected, n >= 1.
    """
    return _SLACK * float(np.quantile(lengths, _RARE, method="lower"))


def trust_in_words(lengths: npt.NDArray[np.float32], heard: float) -> float:
    """How much the network's log odds count of a recording whose notes have these lengths, in [0.25, 1].

    Args:
        lengths: (n,) of the notes' texts as projected, those left out that say nothing.
        heard: ``heard_length`` of the training texts; 0: not known, and all count as heard.

    >>> trust_in_words(np.array([0.4, 0.1], np.float32), 0.3)
    0.625
    """
    return 1.0 - _LOST * float(np.mean(lengths < heard)) if lengths.size else 1.0
