"""The records that later stages make: Codebook, TokenSequence, Evidence and, the answer, Alignment."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.clock import frame_cells
from align.datatypes import Floats, Note, frozen_array, set_fields
from align.errors import ParameterError

__all__ = ["Alignment", "Calibration", "Codebook", "Edge", "Evidence", "Link", "Meanings", "TokenSequence"]

Status = Literal["aligned", "ambiguous", "unmatched", "unobservable", "outside", "empty"]


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """The fitted table that assigns codes: nearest centroid of ``(features - shift) / scale``.

    ``centroids`` f4 (n_codes, n_features), sorted canonically; ``features`` names its columns; ``names`` one
    word-like name per code.
    """

    centroids: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    features: tuple[str, ...]
    names: tuple[str, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        arrays = {k: frozen_array(getattr(self, k), np.float32) for k in ("centroids", "shift", "scale")}
        if arrays["centroids"].ndim != 2:
            raise ParameterError("centroids", arrays["centroids"].shape, "(n_codes, n_features)")
        n_codes, n_features = arrays["centroids"].shape
        if any(not np.isfinite(a).all() for a in arrays.values()) or (arrays["scale"] <= 0).any():
            raise ParameterError("codebook", "NaN, infinite or scale <= 0", "finite numbers, scale > 0")
        if arrays["shift"].shape != (n_features,) or arrays["scale"].shape != (n_features,):
            raise ParameterError("shift, scale", arrays["shift"].shape, f"({n_features},)")
        if len(self.features) != n_features or len(self.names) != n_codes:
            raise ParameterError(
                "features, names", (len(self.features), len(self.names)), "one per column, row"
            )
        set_fields(self, **arrays)

    @property
    def hash(self) -> str:
        """SHA-256 of what decides the codes: the same hash gives the same tokens."""
        digest = hashlib.sha256("\0".join(self.features).encode("utf-8", "surrogatepass"))
        for array in (self.centroids, self.shift, self.scale):
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class TokenSequence:
    """Segments after quantisation: ``codes`` i4 (n,), ``spans`` (n, 2) s, ``features`` f4 (n, n_features)."""

    stream: str
    codes: npt.NDArray[np.int32]
    spans: Floats
    features: npt.NDArray[np.float32]
    codebook: str
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spans, codes = frozen_array(self.spans, np.float64), frozen_array(self.codes, np.int32)
        features = frozen_array(self.features, np.float32)
        if codes.ndim != 1 or spans.shape != (codes.size, 2) or features.shape[:1] != codes.shape:
            raise ParameterError(
                "codes, spans, features", (codes.shape, spans.shape), "(n,), (n, 2), (n, ...)"
            )
        ascends = (spans[:, 1] >= spans[:, 0]).all() and (spans[1:, 0] >= spans[:-1, 1] - 1e-9).all()
        if not ascends:
            raise ParameterError("spans", "overlapping rows", "ascending spans that never overlap")
        set_fields(self, codes=codes, spans=spans, features=features)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What a model's probabilities turned out to be worth on people that it had not seen.

    ``spans`` and ``nothing`` (k, 2): points (posterior, share that came true) of two piecewise linear maps, for
    notes with a span and for unmatched ones; both columns in [0, 1], ascending, the first from 0 to 1.
    ``n_notes``: how many held-out notes they were fitted on; ``spans_seen`` and ``nothing_seen`` (rows, 3) say
    what was seen of them: mean posterior, share that came true, how many.
    """

    spans: Floats
    nothing: Floats
    n_notes: int
    spans_seen: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    nothing_seen: Floats = field(default_factory=lambda: np.zeros((0, 3)))

    def __post_init__(self) -> None:
        for name in ("spans", "nothing"):
            points = frozen_array(getattr(self, name), np.float64)
            good = points.ndim == 2 and points.shape[1] == 2 and len(points) >= 2
            if not good or (np.diff(points, axis=0) < 0).any() or points.min() < 0 or points.max() > 1:
                raise ParameterError(f"calibration.{name}", "no such points", "ascending pairs in [0, 1]")
            if points[0, 0] != 0.0 or points[-1, 0] != 1.0:
                raise ParameterError(f"calibration.{name}", "a part of the range", "posteriors from 0 to 1")
            set_fields(self, **{name: points})
        for name in ("spans_seen", "nothing_seen"):
            seen = frozen_array(getattr(self, name), np.float64)
            bad = seen.ndim != 2 or seen.shape[1] != 3 or not np.isfinite(seen).all()
            if bad or (seen < 0).any() or (seen[:, :2] > 1).any():
                raise ParameterError(
                    f"calibration.{name}", "no such rows", "(rows, 3): two shares and a count"
                )
            set_fields(self, **{name: seen})


@dataclass(frozen=True, slots=True, eq=False)
class Meanings:
    """What notes may mean besides what their words say: k things that a model knows.

    ``log_odds`` f4 (n_frames, k) and ``durations`` (k, 2) as in ``Evidence``. ``shares`` (n_notes, k) >= 0: prior
    probability that a note means that; the rest of a row, more than 0, that it means what its words say.
    """

    log_odds: npt.NDArray[np.float32]
    durations: Floats
    shares: Floats

    def __post_init__(self) -> None:
        log_odds = frozen_array(self.log_odds, np.float32)
        durations, shares = (frozen_array(own, np.float64) for own in (self.durations, self.shares))
        k = log_odds.shape[-1]
        if log_odds.ndim != 2 or durations.shape != (k, 2) or shares.ndim != 2 or shares.shape[1] != k:
            raise ParameterError("meanings", (log_odds.shape, durations.shape, shares.shape), "k of each")
        if not all(np.isfinite(own).all() for own in (log_odds, durations, shares)):
            raise ParameterError("meanings", "NaN or infinite", "finite numbers")
        if (shares < 0.0).any() or (shares.sum(axis=1) >= 1.0).any():
            raise ParameterError("meanings.shares", "below 0, or a row of 1 or more", "shares below 1 in all")
        set_fields(self, log_odds=log_odds, durations=durations, shares=shares)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the notes' matcher sees: how well each frame fits each note, on the frame grid of one session.

    ``log_odds`` f4 (n_frames, n_notes) = log p(note | frame) - log p(nothing | frame); frame k covers
    ``[(first + k) hop, (first + k + 1) hop)`` seconds; ``observed`` (n_frames,) is False in a gap of all
    streams. ``durations`` (n_notes, 2) mean and standard deviation of the log duration in seconds, ``tails`` degrees of
    freedom of its Student's t, 0: normal.
    ``lag`` and ``lag_sd`` seconds: how far a written time must be moved to point into its span, and how
    loosely it does; ``reach`` in [0, 1]: 1 when it may point anywhere into the span, 0 at its middle alone.
    ``calibration``: what posteriors from this source are worth, where that was measured. ``nothing`` in (0, 1):
    prior probability that a note refers to nothing in the recording. ``edges`` (k,): frames
    that begin a new segment, where spans are likelier to start and end; empty: nothing is known of that. ``gain``
    (n_frames + 1,) f8: the same as a log weight of every edge; empty: none. ``strange`` in [0, 1]: how little the
    session looks like those that a model was trained on. ``meanings``: what notes may mean besides what their words
    say, where there is anything.
    """

    log_odds: npt.NDArray[np.float32]
    hop: float
    first: int
    observed: npt.NDArray[np.bool_]
    durations: Floats
    method: str
    lag: float = 0.0
    lag_sd: float = 30.0
    reach: float = 1.0
    streams: tuple[str, ...] = ()
    calibration: Calibration | None = None
    nothing: float = 0.02
    edges: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    gain: Floats = field(default_factory=lambda: np.zeros(0))
    strange: float = 0.0
    meanings: Meanings | None = None
    tails: float = 0.0

    def __post_init__(self) -> None:
        log_odds = frozen_array(self.log_odds, np.float32)
        if not np.isfinite(log_odds).all():
            raise ParameterError("log_odds", "NaN or infinite", "finite numbers")
        if not 0.0 < self.nothing < 1.0:
            raise ParameterError("nothing", self.nothing, "between 0 and 1")
        if not 0.0 <= self.tails < np.inf:
            raise ParameterError("tails", self.tails, "0 or degrees of freedom")
        n_frames, n_notes = log_odds.shape
        if self.observed.shape != (n_frames,) or self.durations.shape != (n_notes, 2):
            raise ParameterError(
                "observed, durations", (self.observed.shape, self.durations.shape), "matching"
            )
        set_fields(self, log_odds=log_odds, observed=frozen_array(self.observed, np.bool_))
        set_fields(self, durations=frozen_array(self.durations, np.float64))
        set_fields(self, edges=frozen_array(self.edges, np.int64), gain=frozen_array(self.gain, np.float64))
        if self.gain.size not in (0, n_frames + 1) or not np.isfinite(self.gain).all():
            raise ParameterError("gain", self.gain.shape, f"({n_frames + 1},) finite numbers, or none")
        meant = self.meanings
        if meant is not None and (len(meant.log_odds), len(meant.shares)) != (n_frames, n_notes):
            raise ParameterError("meanings", (meant.log_odds.shape, meant.shares.shape), "matching")

    def over(self, segments: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(n_segments, n_notes) similarity: mean log odds over the observed frames whose centres lie in a segment.

        NaN in a segment without any.

        Args:
            segments: (n_segments, 2) seconds.
        """
        spans = np.asarray(segments, np.float64).reshape(-1, 2)
        out = np.full((len(spans), self.log_odds.shape[1]), np.nan, np.float32)
        for row, (start, end) in zip(out, spans.tolist(), strict=True):
            low, high = (max(0, cell - self.first) for cell in frame_cells(start, end, self.hop))
            seen = self.observed[low:high]
            if seen.any():
                row[:] = self.log_odds[low:high][seen].mean(axis=0, dtype=np.float64)
        return out


@dataclass(frozen=True, slots=True)
class Edge:
    """How well one boundary of a span is known: ``low`` to ``high`` seconds hold it with probability 0.9.

    ``probability`` in [0, 1]: that the true boundary lies within one second of the answer.
    """

    low: float
    high: float
    probability: float


@dataclass(frozen=True, slots=True)
class Link:
    """One note's answer: ``span`` seconds or None, probability in [0, 1], the next best spans.

    A note that is "aligned" or "ambiguous" has a span; one "unmatched" (nothing recorded fits it),
    "unobservable" (its time lies in a gap), "outside" or "empty" has none. ``edges``: how well the span's
    start and end are known.
    ``distance`` is, for an outside note, the signed seconds from the recording (negative: before its start).
    """

    status: Status
    span: tuple[float, float] | None
    probability: float
    alternatives: tuple[tuple[float, float, float], ...] = ()
    streams: tuple[str, ...] = ()
    distance: float | None = None
    edges: tuple[Edge, Edge] | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise ParameterError("probability", self.probability, "0 to 1")
        if (self.span is not None) != (self.status in ("aligned", "ambiguous")):
            raise ParameterError("span", self.span, f"one where aligned or ambiguous; this is {self.status}")
        if self.span is not None and not -math.inf < self.span[0] <= self.span[1] < math.inf:
            raise ParameterError("span", self.span, "finite seconds, start <= end")


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The answer: exactly one ``Link`` per note, in the order the notes were written.

    ``similarity`` f4 (n_segments, n_notes), see ``Evidence.over``; ``path`` (length, 2) of segments and notes: both
    of methods that place segments, None of those that place frames.
    """

    notes: tuple[Note, ...]
    links: tuple[Link, ...]
    method: str
    similarity: npt.NDArray[np.float32] | None = None
    path: npt.NDArray[np.int64] | None = None
    epoch: int | None = None
    timezone: str = ""
    provenance: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if len(self.notes) != len(self.links):
            raise ParameterError("links", len(self.links), f"{len(self.notes)}: one per note")

    @property
    def spans(self) -> Floats:
        """(n_notes, 2) seconds; NaN where a note has no span."""
        rows = [link.span if link.span is not None else (np.nan, np.nan) for link in self.links]
        return np.asarray(rows, dtype=np.float64).reshape(-1, 2)

    @property
    def probabilities(self) -> Floats:
        return np.asarray([link.probability for link in self.links], dtype=np.float64)
