"""A final segment -> its token: the rows of open segments are kept, described and given a code when they close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats, Segmentation, Stream
from align.errors import InputError
from align.segmentation.live_events import StreamSettings

__all__ = ["Coded", "SegmentCoder"]


class Coded(NamedTuple):
    """A segment's code and its name, None where there is none; ``why`` as in ``Event``."""

    code: int | None
    name: str
    why: str


class SegmentCoder:
    """Keep the rows of the segment that is open, and code it when it is final.

    A segment is described (``tokens.describe_segments``) from its rows as they came, missing cells and all, and
    takes the code of the nearest centroid, as ``align.tokenize`` gives. One longer than the horizon is described
    from its last horizon rows, and its token says so. Where the stream's features are not the codebook's there are no
    tokens.

    Args:
        codebook: fitted on such streams.
        settings: of the stream: its channels, modality and horizon.
        stream: its name.
    """

    def __init__(self, codebook: Codebook, settings: StreamSettings, stream: str) -> None:
        self._codebook, self._settings, self._stream = codebook, settings, stream
        self._times, self._values = np.empty(0), np.empty((0, 0))
        self._most = (
            2 * settings.horizon + settings.warm_up + 1
        )  # a final change lies in the last horizon rows
        self._fits = True

    def keep(self, times: Floats, values: Floats) -> None:
        """Take rows.

        Args:
            times: (n,) ascending.
            values: (n, d).
        """
        if len(times) and self._fits:
            before = self._values.reshape(len(self._times), values.shape[1])
            self._times = np.concatenate([self._times, times])
            self._values = np.concatenate([before, values])

    def forget(self, before: float | None) -> None:
        """Let go of what is final, and of what no segment will be described from.

        Args:
            before: seconds, None: nothing is final yet; inf: all of it.
        """
        n = len(self._times)
        low = 0 if before is None else int(np.searchsorted(self._times, before))
        low = max(low, n - self._most)
        if low > 0:
            self._times, self._values = self._times[low:].copy(), self._values[low:].copy()

    def code(self, start: float, end: float, period: float) -> Coded | None:
        """The token of a final segment.

        Args:
            start, end: seconds, half-open.
            period: seconds from sample to sample.

        Returns:
            None where there is nothing to say (any more).
        """
        from align.tokens import tokenize
        from align.tokens.describe import feature_names

        low, high = (int(i) for i in np.searchsorted(self._times, [start, end]))
        if not self._fits or low == high:
            return None
        cut = high - low > self._settings.horizon
        rows = self._values[max(low, high - self._settings.horizon) : high]
        about = self._settings
        stream = Stream(rows, 1.0 / period, self._stream, about.modality, about.channels, about.units)
        if set(feature_names(stream)) != set(self._codebook.features):
            self._fits = False
            self.forget(np.inf)
            return Coded(None, "", "codebook")
        try:
            tokens = tokenize(stream, Segmentation.of(stream, []), self._codebook)
        except (
            InputError
        ) as error:  # a value that no feature can hold: this segment has no token, the next may
            return Coded(None, "", error.code)
        code = int(tokens.codes[0])
        return Coded(code, self._codebook.names[code], "horizon" if cut else "")

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        return {"fits": self._fits}, {"times": self._times.copy(), "values": self._values.copy()}

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        self._fits = bool(numbers["fits"])
        self._times, self._values = arrays["times"].copy(), arrays["values"].copy()
