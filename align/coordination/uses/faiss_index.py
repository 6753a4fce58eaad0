"""Beyond a million embeddings: an inverted file of faiss (an optional library), probed as far as accuracy asks."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from align.coordination.uses.index import F4, EmbeddingIndex, Rows, checked_queries
from align.errors import ParameterError, ResourceError

__all__ = ["FaissIndex"]

_SAMPLE = 200  # rows on which the recall is measured
_AT = 10  # nearest of each
_LEAST, _MOST = 40, 64  # rows a list: to have it, and to find its centre from


@dataclass(frozen=True, slots=True, eq=False)
class FaissIndex:
    """Approximate nearest neighbours: of the answers of ``EmbeddingIndex`` a few may be missing, none is wrong.

    Attributes:
        exact: the vectors.
        recall: share of the ten nearest other rows that was found for a sample of rows when it was built.
        lists: faiss' inverted file.
    """

    exact: EmbeddingIndex
    recall: float
    lists: Any

    @classmethod
    def build(cls, vectors: F4, recall: float = 0.95, seed: int = 0) -> FaissIndex:
        """Sort the vectors into lists by k-means and find how many lists a query must look into.

        About 2 sqrt(n) lists, each found from up to 64 rows. The number of probed lists is doubled until the ten
        nearest of 200 sampled rows are found to the stated share (or all lists are probed, which finds them all).
        Queries unlike the vectors, as texts are unlike frames, may do worse than that share.

        Args:
            vectors: f4 (n, d), n >= 1, no NaN.
            recall: share of the nearest to find, above 0 and at most 1.
            seed: of k-means and of the sample.

        Raises:
            ResourceError: E-EXTRA, faiss is not installed.
            ParameterError: no rows, a number that is not finite, recall out of range.
        """
        index = EmbeddingIndex(np.ascontiguousarray(vectors))
        if not index.n_rows or not np.isfinite(index.vectors).all():
            raise ParameterError("vectors", index.vectors.shape, "at least one row of finite numbers")
        if not 0.0 < recall <= 1.0:
            raise ParameterError("recall", recall, "above 0, at most 1")
        faiss = _faiss()
        n_lists = max(1, min(int(2 * np.sqrt(index.n_rows)), index.n_rows // _LEAST))
        lists = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(index.dimension), index.dimension, n_lists, faiss.METRIC_INNER_PRODUCT
        )
        lists.cp.seed = seed
        lists.cp.max_points_per_centroid = _MOST
        lists.train(index.vectors)
        lists.add(index.vectors)
        sample = np.random.default_rng(seed).permutation(index.n_rows)[:_SAMPLE]
        wanted = index.search(index.vectors[sample], _AT + 1)[1]
        lists.nprobe = 1
        reached = _found(lists, index, sample, wanted)
        while reached < recall and lists.nprobe < n_lists:
            lists.nprobe = min(n_lists, 2 * lists.nprobe)
            reached = _found(lists, index, sample, wanted)
        return cls(index, reached, lists)

    def search(self, queries: Any, k: int = 10) -> tuple[F4, Rows]:
        """As ``EmbeddingIndex.search``: exact products of the rows that were found, best first, -1 where none was.

        Args:
            queries: (m, d) or (d,) finite numbers.
            k: how many, >= 1.

        Raises:
            ParameterError: another dimension, a number that is not finite, k < 1.
        """
        wanted = checked_queries(queries, self.exact.dimension, k)
        _, rows = self.lists.search(wanted, min(int(k), self.exact.n_rows))
        rows = np.asarray(rows, np.int64)
        near = self.exact.vectors[np.maximum(rows, 0)]  # (m, k, d)
        products = np.where(rows >= 0, np.einsum("md,mkd->mk", wanted, near), np.float32(-np.inf))
        order = np.lexsort((rows, -products), axis=1)
        return np.take_along_axis(products, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _found(lists: Any, index: EmbeddingIndex, sample: Rows, wanted: Rows) -> float:
    """Share of the wanted rows, each query's own row left out, that the lists give."""
    _, rows = lists.search(index.vectors[sample], wanted.shape[1])
    hit = (wanted[:, :, None] == rows[:, None, :]).any(axis=2)
    counts = wanted != sample[:, None]
    return float(hit[counts].mean()) if counts.any() else 1.0


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise ResourceError(
            "E-EXTRA",
            "an approximate index needs the library faiss",
            hint="pip install faiss-cpu, or use EmbeddingIndex, which is exact",
        ) from error
