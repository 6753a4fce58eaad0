"""What the foreground of sound says for a note, counted in training: a second witness beside the network.

A network that learned speech of three people takes the breath before a fourth one's words for nothing, as it never
heard it. That such a frame is not background holds for everybody; and as it is kept from the network, the two judge by
different things. How much a frame of it counts beside the network's word is measured on people held out
(``sharpness.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.coordination.inputs.examples import NOTHING, Example
from align.features.foreground import foreground_of, mel_bands
from align.matching.foreground import MOST, Foreground

__all__ = ["fit_foreground"]


def fit_foreground(examples: Sequence[Example]) -> Foreground | None:
    """Count how much more foreground there is within spans than between; None where there are other streams than sound.

    Beside a wrist's movement not every note is about what is heard, and this would speak for all.

    Args:
        examples: of training; where spans are only probable (``soft``), frames count as much as they are.
    """
    if not all(mel_bands(channels) for example in examples for channels in example.table.channels):
        return None
    # frames of foreground and of background; one of each to begin with
    within, between = np.ones(2), np.ones(2)
    n_heard = 0
    for example in examples:
        share = foreground_of(example.table)
        if example.soft is not None:
            nothing = example.soft[:, -1].astype(np.float64)
            something = example.soft[:, :-1].sum(axis=1, dtype=np.float64)
        else:
            nothing, something = (example.target == NOTHING) * 1.0, (example.target > NOTHING) * 1.0
        heard = np.isfinite(share)
        n_heard += int(heard.sum())
        for counts, weights in ((within, something[heard]), (between, nothing[heard])):
            counts += (weights @ share[heard], weights @ (1.0 - share[heard]))
    if not n_heard:
        return None
    odds = np.log((within / within.sum()) / (between / between.sum()))
    seen, unseen = np.clip(odds, -MOST, MOST).tolist()
    return Foreground(seen, unseen)
