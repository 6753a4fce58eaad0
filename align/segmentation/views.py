"""The parts of a stream that a penalty is judged on: all of a short one; windows and block means of a long one."""

from __future__ import annotations

import numpy as np

from align.datatypes import Floats, Stream
from align.segmentation.exact import filled

__all__ = ["coarse_pieces", "fine_pieces"]

_MOST_VALUES = 16_384  # samples x channels that are judged,
_FEWEST, _MOST = 512, 8_192  # but not fewer or more samples than these
_WINDOWS = 4
_MOST_PIECES = 64
_SHORTEST = 8  # a piece of fewer samples says nothing about noise
_CHUNK = 1 << 20  # samples averaged at a time


def fine_pieces(stream: Stream, scale: Floats, part: float = 1.0) -> list[Floats]:
    """The runs of a short stream, evenly spread windows of the runs of a long one; missing cells filled.

    Args:
        stream: any stream.
        scale: (n_channels,) factors; channels with 0 do not count.
        part: of the usual number of samples, > 0 to 1.

    Returns:
        one (n_i, n_channels) f8 array per piece, at least 8 samples each; together at most about 16,384
        values of the channels that count, or 512 samples.
    """
    spans = _spans(stream, _budget(int((scale != 0).sum()), part))
    kept = [(a, b) for a, b in spans if b - a >= _SHORTEST]
    return [filled(stream.values[a:b]).astype(np.float64) for a, b in kept]


def _spans(stream: Stream, budget: int) -> list[tuple[int, int]]:
    """Samples of the runs, or around centres that are evenly spread over the samples, within their runs."""
    n_windows = int(np.clip(budget * stream.n_runs // stream.n_samples, _WINDOWS, _MOST_PIECES))
    if stream.n_samples <= budget and stream.n_runs <= _MOST_PIECES:
        return list(zip(stream.run_index.tolist(), stream.run_ends.tolist(), strict=True))
    width = max(1, min(budget, stream.n_samples) // n_windows)
    centres = np.linspace(0, stream.n_samples, 2 * n_windows + 1)[1::2].astype(np.int64)
    runs = stream.run_of(centres)
    first = np.maximum(
        stream.run_index[runs], np.minimum(centres - width // 2, stream.run_ends[runs] - width)
    )
    end = np.minimum(first + width, stream.run_ends[runs])
    first[1:] = np.maximum(first[1:], end[:-1])  # two centres in a short run
    return [(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True) if a < b]


def coarse_pieces(stream: Stream, scale: Floats, part: float = 1.0) -> tuple[int, list[Floats]]:
    """A long stream as means of blocks; times the root of the block, noise keeps its long-run size.

    Args:
        stream: any stream.
        scale, part: as in ``fine_pieces``.

    Returns:
        samples per block, and one (n_i, n_channels) f8 array per run; 1 and none where the stream is short.
    """
    block = -(-stream.n_samples // _budget(int((scale != 0).sum()), part))
    if block <= 1:
        return 1, []
    pieces: list[Floats] = []
    for first, end in zip(stream.run_index.tolist(), stream.run_ends.tolist(), strict=True):
        n_blocks = (end - first) // block
        if n_blocks >= _SHORTEST and len(pieces) < _MOST_PIECES:
            step = max(1, _CHUNK // block)
            means = [
                _block_means(stream, first + b * block, min(step, n_blocks - b), block)
                for b in range(0, n_blocks, step)
            ]
            pieces.append(filled(np.concatenate(means)).astype(np.float64))
    return block, pieces


def _budget(n_channels: int, part: float) -> int:
    return int(part * np.clip(_MOST_VALUES // max(1, n_channels), _FEWEST, _MOST))


def _block_means(stream: Stream, first: int, n_blocks: int, block: int) -> Floats:
    """(n_blocks, d) means of what is valid; NaN where nothing is."""
    cells = stream.values[first : first + n_blocks * block].reshape(n_blocks, block, -1).astype(np.float64)
    origin = np.nan_to_num(cells[0, 0])
    cells -= origin
    if not np.isnan(cells.min()):
        out: Floats = cells.mean(axis=1) + origin
        return out
    valid = ~np.isnan(cells)
    count = valid.sum(axis=1)
    total = np.where(valid, cells, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0) + origin
