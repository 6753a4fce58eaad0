"""What a model makes of sessions and of texts, ready to be compared as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align import clock
from align.coordination.saved.bundle import Coordination
from align.datatypes import Session
from align.errors import ParameterError
from align.features.captions import Description, describe

__all__ = ["EmbeddedSession", "Query", "agreement", "as_embedded", "combine", "embed_session", "unit_rows"]

F4 = npt.NDArray[np.float32]
_TINY = 1e-12
_CALM = 0.95
_ROWS = 65_536  # frames compared at once


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSession:
    """The frames of a session in the space shared with texts: row k covers [(first + k) hop, (first + k + 1) hop).

    Attributes:
        name: of the session.
        hop: seconds per frame.
        first: number of the first frame.
        observed: (n,) False where no stream has data.
        vectors: f4 (n, d) of unit length.
        nothing: f4 (n,) logit of "nothing that a note would speak of".
        calm: the 95th percentile of ``nothing`` over the observed frames of the whole session.
        epoch: UTC nanoseconds of second 0, or None.
        strange: in [0, 1], how little the session looks like those that the model was trained on.
        described: what captions say of the session, or None: they are not to count beside the network.
    """

    name: str
    hop: float
    first: int
    observed: npt.NDArray[np.bool_]
    vectors: F4
    nothing: F4
    calm: float
    epoch: int | None = None
    strange: float = 0.0
    described: Description | None = None

    @property
    def n_frames(self) -> int:
        return len(self.vectors)

    def seconds(self, start: int, end: int) -> tuple[float, float]:
        """The span of the frames from ``start`` up to, not including, ``end``."""
        return (self.first + start) * self.hop, (self.first + end) * self.hop

    def frames_in(self, start: float, end: float) -> slice:
        """The frames whose middle lies in [start, end) seconds; the nearest one where there is none.

        Args:
            start, end: seconds, start <= end.

        Raises:
            ParameterError: not finite, end before start, or nowhere in the recording.
        """
        if not -np.inf < start <= end < np.inf:
            raise ParameterError("span", (start, end), "finite seconds, start <= end")
        low, high = clock.frame_cells(start, end, self.hop)
        if low >= high:
            middle = 0.5 * (start + end)
            low, high = clock.frame_cells(middle - 0.5 * self.hop, middle + 0.5 * self.hop, self.hop)
        low, high = low - self.first, high - self.first
        recorded = self.seconds(0, self.n_frames)
        if end <= recorded[0] - self.hop or start >= recorded[1] + self.hop:
            raise ParameterError("span", (start, end), f"within {recorded[0]:g} to {recorded[1]:g} s")
        low = min(max(0, low), self.n_frames - 1)  # a recording may end within a frame that it does not fill
        return slice(low, max(low + 1, min(self.n_frames, high)))

    def cut(self, start: float, end: float) -> EmbeddedSession:
        """Only the frames in [start, end) seconds, see ``frames_in``.

        Args:
            start, end: seconds.
        """
        part = self.frames_in(start, end)
        return replace(
            self,
            first=self.first + part.start,
            observed=self.observed[part],
            vectors=self.vectors[part],
            nothing=self.nothing[part],
        )

    def pooled(self, spans: npt.ArrayLike) -> F4:
        """(n_spans, d) f4: the mean direction of the observed frames of each span; zeros where none is observed.

        Args:
            spans: (n_spans, 2) seconds.
        """
        rows = np.asarray(spans, np.float64).reshape(-1, 2)
        out = np.zeros((len(rows), self.vectors.shape[1]), np.float32)
        for row, (start, end) in zip(out, rows.tolist(), strict=True):
            part = self.frames_in(start, end)
            row[:] = self.vectors[part][self.observed[part]].sum(axis=0)
        return unit_rows(out)


def embed_session(model: Coordination, session: Session, *, captions: bool = True) -> EmbeddedSession:
    """Run the model over a session once; its notes are not looked at.

    Args:
        model: trained.
        session: with at least one stream that the model knows.
        captions: describe it, too: classification and search hear both.

    Raises:
        InputError: E-MODEL-EMPTY, E-MODEL-STREAMS, E-MODEL-CHANNELS.
    """
    table, vectors, nothing, strange = model.embed(session)
    seen = nothing[table.observed]
    calm = float(np.quantile(seen, _CALM)) if seen.size else 0.0
    return EmbeddedSession(
        session.name,
        table.hop,
        table.first,
        table.observed,
        vectors,
        nothing,
        calm,
        session.epoch,
        strange,
        describe(session, table.hop) if captions else None,
    )


def unit_rows(vectors: F4) -> F4:
    """Rows scaled to length 1; rows of (almost) zeros become zeros.

    Args:
        vectors: f4 (n, d).

    >>> unit_rows(np.asarray([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norm = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    safe = np.where(norm > _TINY, norm, np.inf)
    return np.asarray(vectors / safe, np.float32)


def agreement(model: Coordination, vectors: F4, texts: F4) -> F4:
    """(n, m) f4: how much each stream vector agrees with each text vector, by the model's coordination function.

    Args:
        model: trained.
        vectors: f4 (n, d), of frames or spans.
        texts: f4 (m, d), of texts or queries.
    """
    import torch

    assert model.network is not None, "Coordination.embed has refused an empty model before"
    out = np.empty((len(vectors), len(texts)), np.float32)
    with torch.inference_mode():
        other = torch.from_numpy(np.ascontiguousarray(texts))
        for low in range(0, len(vectors), _ROWS):
            own = torch.from_numpy(np.ascontiguousarray(vectors[low : low + _ROWS]))
            out[low : low + _ROWS] = model.network.function(own, other).numpy()
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is looked for: the direction of a sum of texts and span embeddings, some of them taken away.

    ``plus`` and ``minus`` hold texts, or vectors f4 (d,) such as a row of ``EmbeddedSession.pooled``.

    Raises:
        ParameterError: nothing in ``plus``.
    """

    plus: tuple[str | F4, ...]
    minus: tuple[str | F4, ...] = ()

    def __post_init__(self) -> None:
        if not self.plus:
            raise ParameterError("plus", "nothing", "at least one text or span embedding")

    def vector(self, model: Coordination) -> F4:
        """f4 (d,) of unit length; zeros where the parts say nothing or cancel out.

        Args:
            model: embeds the texts.

        Raises:
            ParameterError: a vector of another dimension, or not finite.
        """
        total = self._summed(model, self.plus) - self._summed(model, self.minus)
        return unit_rows(total[None])[0]

    def durations(self, model: Coordination) -> tuple[float, float]:
        """Mean and standard deviation of the log duration in seconds: of the texts added, or of any text.

        Args:
            model: knows how long what a text names tends to last.
        """
        texts = [part for part in self.plus if isinstance(part, str)]
        vectors = model.encoder.encode(texts) if texts else np.zeros((1, model.encoder.dimension), np.float32)
        mean, sd = model.durations.of(vectors).mean(axis=0)
        return float(mean), float(sd)

    def _summed(self, model: Coordination, parts: Sequence[str | F4]) -> F4:
        texts = [part for part in parts if isinstance(part, str)]
        given = [np.asarray(part, np.float32) for part in parts if not isinstance(part, str)]
        embedded = model.embed_texts(texts) if texts else np.zeros((0, model.plan.dimension), np.float32)
        for vector in given:
            if vector.shape != embedded.shape[1:] or not np.isfinite(vector).all():
                raise ParameterError("vector", vector.shape, f"finite numbers ({embedded.shape[1]},)")
        return np.asarray(embedded.sum(axis=0) + sum(given), np.float32)


def combine(plus: Sequence[str | F4], minus: Sequence[str | F4] = ()) -> Query:
    """Embedding arithmetic: look for what the sum of ``plus`` less the sum of ``minus`` points at.

    Args:
        plus: texts or embeddings of spans, at least one.
        minus: likewise, taken away.

    Example::

        walk = embedded.pooled([(10.0, 25.0)])[0]
        search_spans(model, session, combine(plus=[walk, "running"], minus=["walking"]))

    Reference: Mikolov et al., NAACL 2013, Linguistic regularities, section 4 (vector offsets).
    """
    return Query(tuple(plus), tuple(minus))


def as_embedded(model: Coordination, session: Session | EmbeddedSession) -> EmbeddedSession:
    """The session as the model sees it; one that is embedded already comes back as it is.

    Args:
        model: trained.
        session: either.
    """
    return session if isinstance(session, EmbeddedSession) else embed_session(model, session)
