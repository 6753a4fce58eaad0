"""What stands out of the background belongs to some note: a second witness beside the network, one of three numbers.

A network that learned speech of three people takes the breath before a fourth one's words for nothing, as it never
heard it. That such a frame is not background holds for everybody. How far foreground speaks for a note, and background
against it, is counted in training; how much a frame of it counts beside the network's word is measured on people held
out (``sharpness.py``). And where foreground begins or ends a span is likelier to begin or end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.examples import NOTHING, Example
from align.coordination.inputs.layout import Layout
from align.coordination.network.edges import edge_gain
from align.datatypes import Floats
from align.errors import ParameterError
from align.features.foreground import FOREGROUND

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

    def log_odds(self, inputs: npt.NDArray[np.float32], layout: Layout) -> npt.NDArray[np.float32]:
        """(n_frames,) what the foreground of a session says for any note; 0 where there is no sound.

        Args:
            inputs: (n_frames, n_features), from ``model_inputs``.
            layout: of the model.
        """
        share, is_there = _share(inputs, layout)
        said = share * self.seen + (1.0 - share) * self.unseen
        return np.where(is_there, self.weight * said, 0.0).astype(np.float32)

    def gain(self, inputs: npt.NDArray[np.float32], layout: Layout) -> Floats:
        """(n_frames + 1,) log of how much likelier a span has an edge at each edge than at any; none with weight 0.

        As ``edge_gain``, an edge being as probable as the two frames before it and the two behind it differ.

        Args:
            inputs, layout: as for ``log_odds``.
        """
        if not self.weight:
            return np.zeros(0)
        share, _ = _share(inputs, layout)
        padded = np.pad(share, _BESIDE, mode="edge")
        means = np.convolve(padded, np.full(_BESIDE, 1.0 / _BESIDE), mode="valid")
        changed = np.clip(np.abs(means[_BESIDE:] - means[:-_BESIDE]), _HARDLY, 1.0 - _HARDLY)
        return edge_gain(np.log(changed / (1.0 - changed)))


def fit_foreground(examples: Sequence[Example], layout: Layout) -> Foreground | None:
    """Count how much more foreground there is within spans than between; None where no stream has such a column.

    Args:
        examples: of training; where spans are only probable (``soft``), frames count as much as they are.
        layout: of the model.
    """
    if not _columns(layout):
        return None
    within, between = (
        np.ones(2),
        np.ones(2),
    )  # frames of foreground and of background; one of each to begin with
    for example in examples:
        share, is_there = _share(example.inputs, layout)
        if example.soft is not None:
            nothing = example.soft[:, -1].astype(np.float64)
            something = example.soft[:, :-1].sum(axis=1, dtype=np.float64)
        else:
            nothing, something = (example.target == NOTHING) * 1.0, (example.target > NOTHING) * 1.0
        for counts, weights in ((within, something * is_there), (between, nothing * is_there)):
            counts += (weights @ share, weights @ (1.0 - share))
    odds = np.log((within / within.sum()) / (between / between.sum()))
    seen, unseen = np.clip(odds, -_MOST, _MOST).tolist()
    return Foreground(seen, unseen)


def _columns(layout: Layout) -> list[tuple[int, int]]:
    """(stream, column) of each foreground on the training scale."""
    out, before = [], 0
    for k, channels in enumerate(layout.channels):
        out += [(k, before + i) for i, name in enumerate(channels) if name == FOREGROUND]
        before += len(channels)
    return out


def _share(inputs: npt.NDArray[np.float32], layout: Layout) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(n_frames,) how far a frame is foreground, the mean over the streams that are there; and whether one is."""
    total, n_there = np.zeros(len(inputs)), np.zeros(len(inputs))
    for stream, column in _columns(layout):
        there = inputs[:, stream - len(layout.streams)] > 0
        value = layout.shift[column] + layout.scale[column] * inputs[:, column].astype(np.float64)
        total += np.where(there, np.clip(value, 0.0, 1.0), 0.0)
        n_there += there
    return total / np.maximum(n_there, 1.0), n_there > 0
