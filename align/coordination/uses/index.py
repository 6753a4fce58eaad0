"""Nearest embeddings, exactly: blocks of one matrix product each, so that memory does not grow with the index."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import InputError, ParameterError, UnsafeError

__all__ = ["INDEX_FILES", "EmbeddingIndex", "index_files", "load_index"]

FORMAT = "align-index/1"
INDEX_FILES = ("vectors.npy", "index.json")
_SCORES = 1 << 20  # similarities held at once: 4 MiB
_FIRST = 1024  # rows of the first block; the next ones double
_QUERIES = 128  # looked for side by side
_LARGEST_ABOUT = 1_000_000  # bytes
_FEW = 4  # times k: that many candidates are sorted as they are

F4 = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingIndex:
    """Vectors that are looked up by inner product, which is the cosine for vectors of unit length.

    Attributes:
        vectors: f4 (n, d), a row per thing that can be found; C-contiguous, in memory or mapped from a file. A
            row that holds NaN is never found.

    Raises:
        ParameterError: not two-dimensional, or not float32.
    """

    vectors: F4

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise ParameterError(
                "vectors", f"{self.vectors.dtype} {self.vectors.shape}", "float32 (n, dimension)"
            )

    @property
    def n_rows(self) -> int:
        return int(self.vectors.shape[0])

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def search(self, queries: npt.ArrayLike, k: int = 10) -> tuple[F4, Rows]:
        """The k rows with the largest inner product with each query, best first; equal ones in order of rows.

        Blocks of rows are multiplied with up to 128 queries at a time, and only what beats a query's k-th best so
        far is kept: about 12 MB beside the index, whatever its size. Exact, but for the rounding of float32 sums,
        which may swap rows whose products differ by less than 1e-6.

        Args:
            queries: (m, d) or (d,) finite numbers.
            k: how many, >= 1; fewer come back where the index has fewer rows.

        Returns:
            products f4 (m, k) and rows int64 (m, k), -1 with product -inf where there is none.

        Raises:
            ParameterError: another dimension, a number that is not finite, k < 1.

        >>> index = EmbeddingIndex(np.eye(3, dtype=np.float32))
        >>> index.search([0.0, 0.8, 0.6], k=2)[1].tolist()
        [[1, 2]]
        """
        wanted = checked_queries(queries, self.dimension, k)
        kept = min(int(k), self.n_rows)
        scores = np.full((len(wanted), kept), -np.inf, np.float32)
        rows = np.full((len(wanted), kept), -1, np.int64)
        if kept == 0:
            return scores, rows
        for first in range(0, len(wanted), _QUERIES):
            part = slice(first, first + _QUERIES)
            self._search(wanted[part], scores[part], rows[part])
        return scores, rows

    def _search(self, wanted: F4, scores: F4, rows: Rows) -> None:
        """Fill the best products and rows of some queries, best first."""
        low, most = 0, max(1, _SCORES // len(wanted))
        step = min(_FIRST, most)  # the first rows set a bar, at which most of the others fail
        while low < self.n_rows:
            products = wanted @ self.vectors[low : low + step].T
            best = np.fmax.reduce(products, axis=1)  # passes over NaN
            for q in np.flatnonzero(best > scores[:, -1]).tolist():
                found = np.flatnonzero(products[q] > scores[q, -1])
                _merge(scores[q], rows[q], products[q, found], found + low)
            low, step = low + step, min(2 * step, most)


def checked_queries(queries: npt.ArrayLike, dimension: int, k: int) -> F4:
    """(m, dimension) float32, C-contiguous.

    Args:
        queries: (m, d) or (d,).
        dimension: of the index.
        k: how many neighbours are asked for.

    Raises:
        ParameterError: as ``EmbeddingIndex.search``.
    """
    wanted = np.atleast_2d(np.ascontiguousarray(queries, np.float32))
    if wanted.ndim != 2 or wanted.shape[1] != dimension:
        raise ParameterError("queries", wanted.shape, f"(m, {dimension})")
    if not np.isfinite(wanted).all():
        raise ParameterError("queries", "NaN or infinite", "finite numbers")
    if k < 1:
        raise ParameterError("k", k, "1 or more")
    return wanted


def _merge(scores: F4, rows: Rows, new_scores: F4, new_rows: Rows) -> None:
    """The best of those kept and the new ones, whose rows are all higher, in place."""
    k = len(scores)
    if len(new_scores) > _FEW * k:
        least = np.partition(new_scores, -k)[-k]
        good = new_scores >= least
        new_scores, new_rows = new_scores[good], new_rows[good]
    both = np.concatenate([scores, new_scores])
    of_both = np.concatenate([rows, new_rows])
    best = np.argsort(-both, kind="stable")[:k]  # stable: of equal ones the lower row stays in front
    scores[:], rows[:] = both[best], of_both[best]


def index_files(index: EmbeddingIndex, about: dict[str, Any] | None = None) -> dict[str, bytes]:
    """File name -> bytes of a saved index: the vectors as .npy, the rest as JSON; never a pickle.

    Args:
        index: to save.
        about: what the rows are, in JSON's own types; it comes back from ``load_index``.
    """
    import io

    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(index.vectors), allow_pickle=False)
    vectors = out.getvalue()
    facts = {
        "format": FORMAT,
        "rows": index.n_rows,
        "dimension": index.dimension,
        "bytes": len(vectors),
        "about": about or {},
    }
    facts["seal"] = _seal(facts)
    return dict(zip(INDEX_FILES, (vectors, (json.dumps(facts, sort_keys=True) + "\n").encode()), strict=True))


def load_index(folder: str | Path) -> tuple[EmbeddingIndex, dict[str, Any]]:
    """A saved index, its vectors mapped from the file: only what a search reads comes into memory.

    Args:
        folder: as written from ``index_files``.

    Returns:
        The index and what its rows are, as given to ``index_files``.

    Raises:
        UnsafeError: E-UNSAFE-FORMAT, the vectors' file is a pickle.
        InputError: E-NO-FILE; E-LIMIT; E-JSON; E-MODEL-VERSION, another format; E-CHECKSUM, not what was saved.
    """
    folder = Path(folder)
    vectors, about = (folder / name for name in INDEX_FILES)
    for path in (vectors, about):
        if not path.is_file() or path.is_symlink():
            raise InputError("E-NO-FILE", f"no plain file {path.name} in the index folder", file=folder.name)
    if about.stat().st_size > _LARGEST_ABOUT:
        raise InputError("E-LIMIT", f"more than {_LARGEST_ABOUT} bytes", file=about.name)
    try:
        facts = json.loads(about.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError("E-JSON", "not a JSON document", file=about.name) from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise InputError(
            "E-MODEL-VERSION", f"the index has format {str(found)[:60]!r}; this version reads {FORMAT!r}"
        )
    if facts.get("seal") != _seal(facts):
        raise InputError("E-CHECKSUM", "the content is not what the index was saved with", file=about.name)
    if vectors.stat().st_size != facts["bytes"]:
        raise InputError("E-CHECKSUM", "the vectors are not those that were saved", file=vectors.name)
    index = EmbeddingIndex(_mapped(vectors, facts["rows"]))
    if index.vectors.shape != (facts["rows"], facts["dimension"]):
        raise InputError("E-CHECKSUM", "the vectors are not those that were saved", file=vectors.name)
    return index, dict(facts["about"])


def _mapped(path: Path, n_rows: int) -> F4:
    try:  # nothing cannot be mapped
        array = np.load(path, mmap_mode="r" if n_rows else None, allow_pickle=False)
    except ValueError as error:
        raise UnsafeError("E-UNSAFE-FORMAT", "not a plain array of numbers", file=path.name) from error
    if array.dtype != np.float32 or array.ndim != 2 or not array.flags.c_contiguous:
        raise InputError("E-CHECKSUM", "the vectors are not those that were saved", file=path.name)
    return array


def _seal(facts: dict[str, Any]) -> str:
    """SHA-256 of everything in the JSON but the seal."""
    rest = {key: value for key, value in facts.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
