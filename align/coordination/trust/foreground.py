"""What stands out of the background belongs to some note: a second witness beside the network, one of three numbers.

A network that learned speech of three people takes the breath before a fourth one's words for nothing, as it never
heard it. That such a frame is not background holds for everybody; and as it is kept from the network, the two judge by
different things. How far foreground speaks for a note, and background
against it, is counted in training; how much a frame of it counts beside the network's word is measured on people held
out (``sharpness.py``). And where foreground begins or ends a span is likelier to begin or end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.examples import NOTHING, Example
from align.coordination.network.edges import edge_gain
from align.datatypes import Floats
from align.errors import ParameterError
from align.features.foreground import foreground_of, mel_bands

__all__ = ["Foreground", "fit_foreground"]

_MOST = 4.0  # log odds: what is always so in training may not be elsewhere
_BESIDE = 2  # frames on each side of an edge that are compared
_HARDLY = 1e-3  # probability of an edge where nothing changes


@dataclass(frozen=True, slots=True)
class Foreground:
    """Log odds that a frame is within some note's span: ``seen`` from one of the foreground, ``unseen`` from one of the
    background, both within 4 of 0; ``weight`` in [0, 1]: how much a frame counts, as neighbours say the same.

    Raises:
        ParameterError: a number out of its range.
    """

    seen: float
    unseen: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("seen", -_MOST), ("unseen", -_MOST), ("weight", 0.0)):
            value = getattr(self, name)
            if not least <= value <= (_MOST if least else 1.0):
                raise ParameterError(name, value, f"{least:g} to {_MOST if least else 1.0:g}")

    def weighted(self, weight: float) -> Foreground:
        """The same with another weight.

        Args:
            weight: in [0, 1].
        """
        return replace(self, weight=weight)

    def log_odds(self, share: Floats) -> npt.NDArray[np.float32]:
        """(n_frames,) what the foreground of a session says for any note; 0 where there is no sound.

        Args:
            share: (n_frames,) as ``foreground_of`` gives it.
        """
        said = share * self.seen + (1.0 - share) * self.unseen
        return np.nan_to_num(self.weight * said).astype(np.float32)

    def gain(self, share: Floats) -> Floats:
        """(n_frames + 1,) log of how much likelier a span has an edge at each edge than at any; none with weight 0.

        As ``edge_gain``, an edge being as probable as the two frames before it and the two behind it differ.

        Args:
            share: as for ``log_odds``.
        """
        if not self.weight:
            return np.zeros(0)
        padded = np.pad(np.nan_to_num(share), _BESIDE, mode="edge")
        means = np.convolve(padded, np.full(_BESIDE, 1.0 / _BESIDE), mode="valid")
        changed = np.clip(np.abs(means[_BESIDE:] - means[:-_BESIDE]), _HARDLY, 1.0 - _HARDLY)
        return edge_gain(np.log(changed / (1.0 - changed)))


def fit_foreground(examples: Sequence[Example]) -> Foreground | None:
    """Count how much more foreground there is within spans than between; None where there is no sound.

    Args:
        examples: of training; where spans are only probable (``soft``), frames count as much as they are.
    """
    within, between = (
        np.ones(2),
        np.ones(2),
    )  # frames of foreground and of background; one of each to begin with
    n_heard = 0
    for example in examples:
        if not any(map(mel_bands, example.table.channels)):
            continue
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
    seen, unseen = np.clip(odds, -_MOST, _MOST).tolist()
    return Foreground(seen, unseen)
