"""The online detector with the interface of river's drift detectors: one number at a time, then a flag."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.segmentation.noise import noise_bound
from align.segmentation.online import Detector

__all__ = ["MeanDrift"]


class MeanDrift:
    """Watch one series for a change in its mean, one value at a time, as river's ``DriftDetector`` does.

    ``update(x)`` then ``drift_detected``. At a drift the values before the change point are forgotten: those since
    begin the next stretch. Not a subclass of river's, which is no dependency: what river's wrappers and forests call
    is here (``update``, ``drift_detected``, ``warning_detected``, ``clone``); checked against river 0.26.

    Args:
        sd: of the noise, > 0.
        threshold: misfit saved, in units of the noise's variance, above which it is a drift, > 0; None: what
            splitting 100,000 samples of pure noise hardly ever saves (``noise.noise_bound``).
        warning: the same from which it is a warning, in (0, threshold]; None: half the threshold.

    >>> drift = MeanDrift(sd=1.0, threshold=20.0)
    >>> [i for i, x in enumerate([0.0] * 50 + [5.0] * 50) if drift.update(x).drift_detected]
    [50]
    """

    def __init__(self, sd: float = 1.0, threshold: float | None = None, warning: float | None = None) -> None:
        if not (math.isfinite(sd) and sd > 0):
            raise ParameterError("sd", sd, "a finite number > 0")
        if threshold is None:
            threshold = noise_bound(np.ones(1), math.log(100_000))
        if not (math.isfinite(threshold) and threshold > 0):
            raise ParameterError("threshold", threshold, "a finite number > 0, or None")
        if warning is None:
            warning = 0.5 * threshold
        if not 0 < warning <= threshold:
            raise ParameterError(
                "warning", warning, f"a number above 0, at most the threshold, {threshold:g}"
            )
        self.sd, self.threshold, self.warning = sd, threshold, warning
        self._detector = Detector(1, scale=1.0 / sd)
        self._recent: npt.NDArray[np.float64] = np.empty(0)
        self._drift = self._warned = False

    @property
    def drift_detected(self) -> bool:
        """Whether the last value was the first that showed a change."""
        return self._drift

    @property
    def warning_detected(self) -> bool:
        """Whether the last value looked like the beginning of a change."""
        return self._warned

    def clone(self, new_params: dict[str, Any] | None = None, include_attributes: bool = False) -> MeanDrift:
        """A detector with the same arguments that has seen nothing.

        Args:
            new_params: arguments that differ.
            include_attributes: not used; river passes it.
        """
        return MeanDrift(
            **{"sd": self.sd, "threshold": self.threshold, "warning": self.warning, **(new_params or {})}
        )

    def update(self, x: float) -> MeanDrift:
        """Take a value.

        Args:
            x: NaN = missing.

        Returns:
            the detector itself.
        """
        self._recent = np.append(self._recent[-_RECENT:], x)
        scores = self._detector.push([[x]])
        self._drift = bool(scores.statistic[0] > self.threshold)
        self._warned = bool(scores.statistic[0] > self.warning) and not self._drift
        if self._drift:
            since = max(1, self._detector.n_samples - int(scores.change[0]))
            self._detector.reset()
            self._recent = self._recent[-since:]
            self._detector.push(self._recent[:, None])
        return self


_RECENT = 1_023  # values kept, to begin the next stretch with; a change is nearly always seen within fewer
