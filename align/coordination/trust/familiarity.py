"""How much a session looks like those that a model was trained on.

Of another device, on another place of the body, of another patient, a network does not know that it does not know: its
log odds are as large as ever. How the columns of its inputs go together gives it away. Training frames are described
by probabilistic principal components; a frame's distance is the Mahalanobis distance under them, by column; a session
is as strange as the median of its frames. People held out of the development sets lie at 0.5 to 1.2, the phone of
another data set at 1.5 and beyond. Where recordings are various that hides how fast a device turns while its wearer
moves, which tells a thigh from a trunk: so that counts by itself (``swings``). Where a session is strange the network's
word counts little, and what captions say of the session in general terms counts beside it.

References:
    Tipping and Bishop, Probabilistic principal component analysis, J. R. Stat. Soc. B 61 (1999), section 3.2;
    Bishop, Novelty detection and neural network validation, IEE Proc. 141 (1994).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import statistic_of
from align.coordination.inputs.layout import Layout
from align.coordination.inputs.raw import RAW
from align.coordination.trust.swings import swings
from align.datatypes import Finding, Floats, frozen_array, set_fields
from align.errors import ParameterError
from align.features.cells import ramp

__all__ = ["STRANGE_FROM", "UNKNOWN_SWING", "Familiar", "fit_familiar", "strange_findings", "trust_in"]

_AXES = 32
_LEAST_VARIANCE = 0.02  # squared robust deviations: what is steadier than this is not held against a session
_STRANGE = (1.2, 1.5)  # deviations by column, see above
_SWINGS = (2.5, 3.0)  # standard deviations of the swing from its mean, the same
_LEAST_DEVIATION, _LEAST_SESSIONS = 0.2, 5  # of the log swing: people differ by a fifth
_TRUST = 0.15  # how much a network's word counts of a session that is wholly strange
#: Mean and deviation of a device's swing where too few sessions say anything: none is strange.
UNKNOWN_SWING = (0.0, 1e3)
#: Strangeness from which a session is more strange than not.
STRANGE_FROM = 0.5
_ROWS = 32_768  # frames looked at at once

F4 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """What frames of training look like.

    Attributes:
        mean: f4 (n,), of the columns on the training scale, raw patches left out.
        axes: f4 (k, n), orthonormal rows: the directions in which frames differ most.
        variances: f4 (k + 1,), > 0: along the axes, and last along any other direction.
        swings: f4 (n_devices, 2), mean and standard deviation > 0 of what ``swings`` says of the sessions; a
            deviation of 1,000 where too few say anything.

    Raises:
        ParameterError: parts that do not fit together, numbers that are not finite, a variance or deviation not > 0.
    """

    mean: F4
    axes: F4
    variances: F4
    swings: F4

    def __post_init__(self) -> None:
        parts = ("mean", "axes", "variances", "swings")
        for name in parts:
            set_fields(self, **{name: frozen_array(getattr(self, name), np.float32)})
        k = len(self.axes)
        if self.axes.shape != (k, self.mean.size) or self.mean.ndim != 1 or self.variances.shape != (k + 1,):
            raise ParameterError("axes", self.axes.shape, f"(k, {self.mean.size}), and k + 1 variances")
        if self.swings.shape != (len(self.swings), 2):
            raise ParameterError("swings", self.swings.shape, "(n_devices, 2)")
        spreads = np.append(self.variances, self.swings[:, 1])
        if not all(np.isfinite(getattr(self, name)).all() for name in parts) or not (spreads > 0).all():
            raise ParameterError(
                ", ".join(parts), "NaN, infinite or <= 0", "finite, variances and deviations > 0"
            )

    def distances(self, inputs: F4, layout: Layout) -> F4:
        """(n_frames,) root mean square deviation by column, 0 or more; NaN where no stream is there.

        Columns that are 0 throughout are not there: the distance is the marginal one, of the others alone.

        Args:
            inputs: of one session, (n_frames, n_features), from ``model_inputs``.
            layout: of the model.

        Raises:
            ParameterError: the layout has other columns.
        """
        own = _columns(layout)
        if own.size != self.mean.size:
            raise ParameterError("mean", self.mean.size, f"{own.size} columns, those of the layout")
        there = np.any(inputs[:, own], axis=0)
        columns, rest = own[there], self.variances[-1]
        wide = self.axes[:, there] * np.sqrt(np.maximum(self.variances[:-1] - rest, 0.0))[:, None]
        inverse = np.linalg.inv(wide.astype(np.float64) @ wide.T + float(rest) * np.eye(len(wide)))
        out = np.empty(len(inputs), np.float32)
        for low in range(0, len(inputs), _ROWS):
            moved = inputs[low : low + _ROWS, columns] - self.mean[there]
            along = moved @ wide.T
            total = (moved**2).sum(axis=1) - np.einsum("fi,ij,fj->f", along, inverse, along, optimize=True)
            out[low : low + _ROWS] = np.sqrt(np.maximum(total, 0.0) / rest / max(1, columns.size))
        out[~_is_there(inputs, layout)] = np.nan
        return out

    def strangeness(self, inputs: F4, layout: Layout) -> float:
        """In [0, 1]: 0 like people of training, 1 like another device. 0 without a frame.

        Args:
            inputs: of one session, (n_frames, n_features).
            layout: of the model.
        """
        found = self.distances(inputs, layout)
        known = found[np.isfinite(found)]
        if not known.size:
            return 0.0
        turned = swings(inputs, layout)
        if len(turned) != len(self.swings):
            raise ParameterError("swings", len(self.swings), f"{len(turned)} devices, those of the layout")
        turned = np.abs(turned - self.swings[:, 0]) / self.swings[:, 1]
        far = ramp(np.asarray([np.median(known)], np.float64), *_STRANGE)
        return float(np.append(far, ramp(np.nan_to_num(turned), *_SWINGS)).max())


def fit_familiar(examples: Iterable[F4], layout: Layout) -> Familiar:
    """What the inputs of all sessions look like, a session at a time.

    A column counts where it is there, two columns together where both are: those of a session that lacks a device say
    nothing of it.

    Args:
        examples: inputs of training sessions, each (n_frames, n_features), at least one frame in all.
        layout: of the model.
    """
    columns = _columns(layout)
    n = columns.size
    total, products, count = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    turned = []
    for inputs in examples:
        turned.append(swings(inputs, layout))
        rows = inputs[_is_there(inputs, layout)][:, columns].astype(np.float64)
        there = rows.any(axis=0)
        count += len(rows) * np.outer(there, there)
        total += rows.sum(axis=0)
        products += rows.T @ rows
    mean = total / np.maximum(1, np.diag(count))
    variances, axes = np.linalg.eigh((count > 0) * (products / np.maximum(1, count) - np.outer(mean, mean)))
    variances, axes = variances[::-1], axes[:, ::-1]
    k = min(_AXES, max(0, n - 1))
    kept = np.append(variances[:k], variances[k:].mean() if n else 0.0)
    return Familiar(
        mean.astype(np.float32),
        np.ascontiguousarray(axes[:, :k].T, np.float32),
        np.maximum(kept, _LEAST_VARIANCE).astype(np.float32),
        np.asarray([_mean_and_deviation(own) for own in np.transpose(turned)], np.float32).reshape(-1, 2),
    )


def _mean_and_deviation(turned: Floats) -> tuple[float, float]:
    known = turned[np.isfinite(turned)]
    if known.size < _LEAST_SESSIONS:
        return UNKNOWN_SWING
    return float(known.mean()), max(float(known.std()), _LEAST_DEVIATION)


def trust_in(strangeness: float) -> float:
    """How much a network's log odds count of a session, in [0.15, 1].

    Args:
        strangeness: of the session, in [0, 1].

    >>> trust_in(0.0), trust_in(1.0)
    (1.0, 0.15)
    """
    return 1.0 - (1.0 - _TRUST) * strangeness


def strange_findings(strangeness: float) -> tuple[Finding, ...]:
    """W-MODEL-STRANGE, where a session is more strange than not.

    Args:
        strangeness: of the session, in [0, 1].
    """
    if strangeness < STRANGE_FROM:
        return ()
    message = (
        "what the sensors show looks like nothing the model was trained on (another device, place or patient?):"
        " the model counts little here, and captions count beside it"
    )
    return (Finding("W-MODEL-STRANGE", message, 1),)


def _columns(layout: Layout) -> npt.NDArray[np.int64]:
    """Columns on the training scale that are no raw patches."""
    names = [channel for channels in layout.channels for channel in channels]
    return np.flatnonzero([not statistic_of(name).startswith(RAW) for name in names])


def _is_there(inputs: F4, layout: Layout) -> npt.NDArray[np.bool_]:
    """(n_frames,) where some stream has data."""
    return np.asarray(inputs[:, -len(layout.streams) :].any(axis=1), np.bool_)
