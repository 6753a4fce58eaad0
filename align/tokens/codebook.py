"""Fit the table of codes on described segments; give each segment of a stream its code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.answers import Codebook, TokenSequence
from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError
from align.tokens.choosing import choose_codes
from align.tokens.clustering import kmeans
from align.tokens.describe import describe_segments
from align.tokens.lloyd import Clustering
from align.tokens.naming import code_names

if TYPE_CHECKING:
    import torch

__all__ = [
    "code_rows",
    "fit_and_tokenize",
    "fit_codebook",
    "fit_rows",
    "scaled_rows",
    "tokenize",
]

_Described = tuple[npt.NDArray[np.float32], tuple[str, ...]]  # of ``describe_segments``

_MOST_CODES = 4096
_LOOKED_AT = 4096  # rows that decide on the number of codes
_RESTARTS = 3  # seedings tried; the one with the lowest inertia stays
_IQR_OF_NORMAL = 1.349  # interquartile range of a normal distribution in standard deviations
_RANGE_OF_NORMAL = 3.290  # its range from the 5th to the 95th percentile
_RELATIVE_FLOOR = 1e-5  # of the median: finer differences are float32 rounding of the features
_TINY = 1e-20  # of the largest deviation: a larger quotient would not fit float32


def fit_codebook(
    pairs: Sequence[tuple[Stream, Segmentation]], *, n_codes: int = 64, seed: int = 0
) -> Codebook:
    """Cluster the segments of many streams into named codes.

    Each segment is described (``describe_segments``), each feature shifted by its median and divided by a
    robust standard deviation (from its interquartile and 5-95 % ranges), an unknown feature taken as the
    median, and the rows clustered by k-means: the best of three greedy k-means++ seedings, each followed by
    Lloyd's iterations. Rows are sorted before and centroids after, so that neither the order of ``pairs`` or
    segments nor the number of threads changes a code.

    Args:
        pairs: streams with the same channels and the same kind (rate class and modality), each with its cut.
        n_codes: 1 to 4096. Fewer different segments make fewer codes: ``len(codebook.names)``.
        seed: of the seedings, >= 0.

    Raises:
        ParameterError: no pairs, streams that differ in their features, or a number out of range.
        InputError: E-RANGE, see ``describe_segments``.

    >>> from align.datatypes import Segmentation, Stream
    >>> stream = Stream([0.0] * 8 + [5.0] * 8, rate=1.0, channels=("level",))
    >>> codebook = fit_codebook([(stream, Segmentation.of(stream, [8]))], n_codes=64)
    >>> codebook.names
    ('a0 low level', 'a1 high level')
    >>> tokenize(stream, Segmentation.of(stream, [8]), codebook).codes.tolist()
    [0, 1]
    """
    _check_numbers(n_codes, seed)
    if len(pairs) == 0:
        raise ParameterError("pairs", "none", "at least one stream with its segmentation")
    return _fitted([describe_segments(stream, segmentation) for stream, segmentation in pairs], n_codes, seed)


def fit_rows(
    rows: npt.NDArray[np.float32],
    features: tuple[str, ...],
    *,
    n_codes: int | None = 64,
    seed: int = 0,
    threads: int = 1,
    device: torch.device | None = None,
) -> Codebook:
    """``fit_codebook`` on segments that were described before.

    Args:
        rows: (n, n_features) f4, n >= 1, from ``describe_segments``; NaN where unknown. Their order changes nothing.
        features: names of the columns.
        n_codes: 1 to 4096, or None: as many as ``choose_codes`` says, of
            every m-th of more than 4,096 rows.
        seed: of the seedings, >= 0.
        threads: processors to use; the result is the same to the last bit.
        device: cluster there with torch, which has the result of the processor but for rounding; None: with the
            kernels on the processor.

    Raises:
        ParameterError: no rows, or a number out of range.
    """
    _check_numbers(1 if n_codes is None else n_codes, seed)
    if len(rows) == 0:
        raise ParameterError("rows", "none", "at least one described segment")
    shift, scale = _robust_scaling(rows)
    # Adding 0.0 turns -0.0 into 0.0; unique rows alone would lose how often each occurs.
    points = _scaled(rows, shift, scale) + 0.0
    points = np.ascontiguousarray(points[np.lexsort(points.T[::-1])])
    if n_codes is None:
        n_codes = choose_codes(points[:: -(-len(points) // _LOOKED_AT)], seed=seed).n_codes
    found = _clustered(points, min(n_codes, len(points)), seed, threads, device)
    centroids = np.unique((found.centroids + 0.0).astype(np.float32), axis=0)
    return Codebook(
        centroids=centroids,
        shift=shift,
        scale=scale,
        features=features,
        names=code_names(centroids, shift, scale, features),
        seed=seed,
    )


def _clustered(points: Floats, k: int, seed: int, threads: int, device: torch.device | None) -> Clustering:
    if device is None:
        return kmeans(points, k, seed=seed, restarts=_RESTARTS, threads=threads)
    from align.tokens.torch_clustering import kmeans_torch

    return kmeans_torch(points, k, seed=seed, restarts=_RESTARTS, device=device)


def _check_numbers(n_codes: int, seed: int) -> None:
    if not 1 <= n_codes <= _MOST_CODES:
        raise ParameterError("n_codes", n_codes, f"1 to {_MOST_CODES}")
    if seed < 0:
        raise ParameterError("seed", seed, "an integer >= 0")


def _fitted(described: Sequence[_Described], n_codes: int, seed: int) -> Codebook:
    features = described[0][1]
    rows = np.concatenate([_columns(values, names, features, "pairs") for values, names in described])
    return fit_rows(rows, features, n_codes=n_codes, seed=seed)


def tokenize(stream: Stream, segmentation: Segmentation, codebook: Codebook) -> TokenSequence:
    """Give each segment the code of the nearest centroid (the lowest id on a tie).

    ``names`` of the answer are the codebook's: the name of token i is ``names[codes[i]]``.

    Raises:
        ParameterError: the stream's features are not the codebook's, or the segmentation is of another
        stream.

    Example: see ``fit_codebook``.
    """
    return _coded(stream, segmentation, describe_segments(stream, segmentation), codebook)


def fit_and_tokenize(
    stream: Stream, segmentation: Segmentation, *, n_codes: int = 64, seed: int = 0
) -> tuple[Codebook, TokenSequence]:
    """A codebook of one stream and the stream's tokens by it: ``fit_codebook`` and ``tokenize``, described once.

    Args:
        stream, segmentation: one of the pairs of ``fit_codebook``.
        n_codes, seed: as there.

    Raises:
        ParameterError, InputError: as there.
    """
    _check_numbers(n_codes, seed)
    described = describe_segments(stream, segmentation)
    codebook = _fitted([described], n_codes, seed)
    return codebook, _coded(stream, segmentation, described, codebook)


def _coded(
    stream: Stream, segmentation: Segmentation, described: _Described, codebook: Codebook
) -> TokenSequence:
    features, names = described
    features = _columns(features, names, codebook.features, "stream")
    labels, _ = code_rows(features, codebook)
    return TokenSequence(
        stream=stream.name,
        codes=labels,
        spans=segmentation.spans,
        features=features,
        codebook=codebook.hash,
        names=codebook.names,
    )


def code_rows(
    rows: npt.NDArray[np.float32], codebook: Codebook
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The code of each described segment and its distance to that code's centroid, in scaled features.

    Args:
        rows: (n, n_features) f4, columns as ``codebook.features``; NaN where unknown.
        codebook: as fitted.

    Returns:
        codes i4 (n,), the lowest id on a tie, and distances f4 (n,) >= 0.
    """
    from align.kernels.kmeans import nearest_centroids

    points = scaled_rows(rows, codebook)
    labels, squares = nearest_centroids(points, codebook.centroids.astype(np.float64))
    return labels.astype(np.int32), np.sqrt(squares).astype(np.float32)


def scaled_rows(rows: npt.NDArray[np.float32], codebook: Codebook) -> Floats:
    """(n, n_features) f8: rows as the centroids see them; an unknown feature becomes 0, the typical one.

    Args:
        rows, codebook: as of ``code_rows``.
    """
    return _scaled(rows, codebook.shift, codebook.scale)


def _columns(
    values: npt.NDArray[np.float32], names: tuple[str, ...], wanted: tuple[str, ...], argument: str
) -> npt.NDArray[np.float32]:
    """The columns of ``values`` in the order of ``wanted``; the sets of names must be equal."""
    if names == wanted:
        return values
    missing, foreign = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if missing or foreign:
        raise ParameterError(
            argument,
            f"{len(missing)} features missing {missing[:3]}, {len(foreign)} foreign {foreign[:3]}",
            "streams with the codebook's channels, modality and a rate of the same class",
            hint="fit one codebook per kind of stream",
        )
    return values[:, [names.index(name) for name in wanted]]


def _robust_scaling(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Median and robust standard deviation of each column, NaN left out.

    The latter is IQR / 1.349, but at least the 5-95 % range / 3.290, or a few far rows would outweigh all
    other columns; where that is 0 too, the mean absolute deviation; 1 for a column that is constant but for
    rounding.
    """
    shift, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    for c in range(rows.shape[1]):
        column = rows[:, c].astype(np.float64)
        column = column[np.isfinite(column)]
        if column.size == 0:
            continue
        lowest, low, shift[c], high, highest = np.percentile(column, [5.0, 25.0, 50.0, 75.0, 95.0])
        spread = max((high - low) / _IQR_OF_NORMAL, (highest - lowest) / _RANGE_OF_NORMAL)
        if spread <= 0.0:
            spread = float(np.mean(np.abs(column - shift[c])))
        floor = max(_RELATIVE_FLOOR * abs(shift[c]), _TINY * float(np.abs(column - shift[c]).max()), _TINY)
        scale[c] = spread if spread > floor else max(1.0, floor)
    return shift.astype(np.float32), scale.astype(np.float32)


def _scaled(
    features: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], scale: npt.NDArray[np.float32]
) -> Floats:
    """(features - shift) / scale in float64; an unknown feature becomes 0, the typical one."""
    points = (features.astype(np.float64) - shift) / scale
    return np.ascontiguousarray(np.where(np.isnan(points), 0.0, points))
