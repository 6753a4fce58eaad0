"""Fit the table of codes on described segments; give each segment of a stream its code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.answers import Codebook, TokenSequence
from align.datatypes import Floats, Segmentation, Stream
from align.errors import ParameterError
from align.tokens.clustering import kmeans
from align.tokens.describe import describe_segments
from align.tokens.naming import code_names

__all__ = ["fit_and_tokenize", "fit_codebook", "tokenize"]

_Described = tuple[npt.NDArray[np.float32], tuple[str, ...]]  # of ``describe_segments``

_MOST_CODES = 4096
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


def _check_numbers(n_codes: int, seed: int) -> None:
    if not 1 <= n_codes <= _MOST_CODES:
        raise ParameterError("n_codes", n_codes, f"1 to {_MOST_CODES}")
    if seed < 0:
        raise ParameterError("seed", seed, "an integer >= 0")


def _fitted(described: Sequence[_Described], n_codes: int, seed: int) -> Codebook:
    features = described[0][1]
    rows = np.concatenate([_columns(values, names, features, "pairs") for values, names in described])
    shift, scale = _robust_scaling(rows)
    # Adding 0.0 turns -0.0 into 0.0; unique rows alone would lose how often each occurs.
    points = _scaled(rows, shift, scale) + 0.0
    points = np.ascontiguousarray(points[np.lexsort(points.T[::-1])])
    found = kmeans(points, min(n_codes, len(points)), seed=seed, restarts=_RESTARTS)
    centroids = np.unique((found.centroids + 0.0).astype(np.float32), axis=0)
    return Codebook(
        centroids=centroids,
        shift=shift,
        scale=scale,
        features=features,
        names=code_names(centroids, shift, scale, features),
        seed=seed,
    )


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
    from align.kernels.kmeans import nearest_centroids

    features, names = described
    features = _columns(features, names, codebook.features, "stream")
    points = _scaled(features, codebook.shift, codebook.scale)
    labels, _ = nearest_centroids(points, codebook.centroids.astype(np.float64))
    return TokenSequence(
        stream=stream.name,
        codes=labels.astype(np.int32),
        spans=segmentation.spans,
        features=features,
        codebook=codebook.hash,
        names=codebook.names,
    )


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
