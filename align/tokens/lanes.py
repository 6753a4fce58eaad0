"""Several streams' tokens as one lane of joint tokens, and runs of the same token as one with its duration."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import TokenSequence
from align.datatypes import Floats, frozen_array, set_fields
from align.errors import ParameterError
from align.tokens.naming import code_id

__all__ = ["NOTHING", "Joint", "joint_lane", "joint_parts", "run_lengths"]

NOTHING = -1  # the part of a stream that has no data there
_TOUCH = 1e-6  # s: ends and starts that are nearer are the same moment

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """One lane of joint tokens.

    ``tokens``: codes are rows of ``parts``, features are none. ``parts`` i4 (n_codes, n_streams): the code of each
    stream, in the order of ``streams``, ``NOTHING`` where it has no data.
    """

    tokens: TokenSequence
    parts: Codes
    streams: tuple[str, ...]

    def __post_init__(self) -> None:
        set_fields(self, parts=frozen_array(self.parts, np.int32))


def joint_parts(sequences: Sequence[TokenSequence]) -> tuple[Floats, Codes]:
    """The stretches in which no stream changes its token, and what each stream has there.

    Args:
        sequences: of the streams of one recording, on one clock.

    Returns:
        (n, 2) seconds, ascending, longer than a microsecond, where any stream has data; and i4 (n, n_streams)
        codes, ``NOTHING`` where a stream has none.
    """
    if not sequences:
        raise ParameterError("sequences", "none", "the tokens of at least one stream")
    edges = np.unique(np.concatenate([s.spans.ravel() for s in sequences]))
    if edges.size:
        edges = edges[np.append(True, np.diff(edges) > _TOUCH)]  # clocks of two streams differ by rounding
    spans = np.column_stack([edges[:-1], edges[1:]])
    middles = spans.mean(axis=1)
    parts = np.full((len(spans), len(sequences)), NOTHING, np.int32)
    for column, sequence in enumerate(sequences):
        if len(sequence.codes) and len(spans):
            at = np.searchsorted(sequence.spans[:, 0], middles, side="right") - 1
            inside = (at >= 0) & (middles < sequence.spans[np.maximum(at, 0), 1])
            parts[inside, column] = sequence.codes[at[inside]]
    covered = (parts != NOTHING).any(axis=1)
    return spans[covered], parts[covered]


def joint_lane(sequences: Sequence[TokenSequence], known: npt.ArrayLike | None = None) -> Joint:
    """One token lane of several streams: where their tokens overlap, each combination of codes is one joint code.

    Neighbours that have the same combination are one token.

    Args:
        sequences: of the streams of one recording, on one clock, each by its own codebook.
        known: (n, n_streams) combinations that have the codes 0 to n - 1, as ``parts`` of another recording;
            others follow in ascending order. None: all in ascending order.

    Raises:
        ParameterError: no sequences, two of one name, or known combinations of another number of streams, or one
            twice.
    """
    streams = tuple(s.stream for s in sequences)
    if len(set(streams)) != len(streams):
        raise ParameterError("sequences", streams, "streams of distinct names")
    spans, parts = joint_parts(sequences)
    table = np.zeros((0, len(streams)), np.int32) if known is None else np.asarray(known, np.int32)
    if table.ndim != 2 or table.shape[1] != len(streams) or len(np.unique(table, axis=0)) != len(table):
        raise ParameterError("known", table.shape, f"(n, {len(streams)}), each combination once")
    numbers = {row: i for i, row in enumerate(map(tuple, table.tolist()))}
    for row in sorted(set(map(tuple, parts.tolist()))):
        numbers.setdefault(row, len(numbers))
    table = np.array(list(numbers), np.int32).reshape(-1, len(streams))
    codes = np.array([numbers[row] for row in map(tuple, parts.tolist())], np.int32)
    hashed = hashlib.sha256(table.astype("<i4").tobytes())
    for sequence in sequences:
        hashed.update(f"{sequence.stream}\0{sequence.codebook}\0".encode("utf-8", "surrogatepass"))
    names = tuple(f"{code_id(i)} {_said(sequences, row)}" for i, row in enumerate(table.tolist()))
    sequence = TokenSequence(
        "+".join(streams), codes, spans, np.zeros((len(codes), 0), np.float32), hashed.hexdigest(), names
    )
    return Joint(run_lengths(sequence), table, streams)


def _said(sequences: Sequence[TokenSequence], row: list[int]) -> str:
    """The handles of the streams' codes, as "wrist a3 + heart b1"."""
    said = [
        f"{s.stream} {s.names[code].partition(' ')[0] if code < len(s.names) else code_id(code)}"
        for s, code in zip(sequences, row, strict=True)
        if code != NOTHING
    ]
    return " + ".join(said)


def run_lengths(sequence: TokenSequence) -> TokenSequence:
    """Neighbouring tokens of one code as one token; a gap stays between two.

    Its duration is its span's; its features are the means of those that it is made of, weighted by their duration.

    Args:
        sequence: any.

    >>> spans = [[0.0, 1.0], [1.0, 3.0], [3.0, 4.0], [9.0, 10.0]]
    >>> many = TokenSequence("x", [5, 5, 2, 2], spans, [[1.0], [4.0], [0.0], [0.0]], "")
    >>> one = run_lengths(many)
    >>> one.codes.tolist(), one.spans.tolist(), one.features.ravel().tolist()
    ([5, 2, 2], [[0.0, 3.0], [3.0, 4.0], [9.0, 10.0]], [3.0, 0.0, 0.0])
    """
    codes, spans = sequence.codes, sequence.spans
    if not len(codes):
        return sequence
    begins = np.append(True, (codes[1:] != codes[:-1]) | (spans[1:, 0] - spans[:-1, 1] > _TOUCH))
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(codes)) - 1
    features = sequence.features
    if len(first) < len(codes) and features.shape[1]:
        weight = np.maximum(spans[:, 1] - spans[:, 0], 1e-12)[:, None]
        known = np.isfinite(features)
        total = np.add.reduceat(np.where(known, features.astype(np.float64), 0.0) * weight, first)
        whole = np.add.reduceat(known * weight, first)
        with np.errstate(invalid="ignore", divide="ignore"):
            features = (total / whole).astype(np.float32)  # NaN where nothing was known, as before
    elif len(first) < len(codes):
        features = features[first]
    return dataclasses.replace(
        sequence,
        codes=codes[first],
        spans=np.column_stack([spans[first, 0], spans[last, 1]]),
        features=features,
    )
