"""The card's side of ``triton_nce.py``: a program per block of rows, walking along the columns. Imported only there.

Logits, exponentials and sums are float32 whatever the embeddings are, and no block of logits leaves the processor
that made it. Each kernel serves one side; for the other one ``a`` and ``b`` change places, so that every number has
one writer and every run gives the same bits.

All kernels take: ``pairs`` (a (n, d), b (n, d), scale ()); ``meanings`` (texts (n,) int32, related (n_texts, n_texts)
int8, first and last (n_programs,) int32: the columns among which a program's rows may have some that mean the same);
``sizes`` (n, d, n_texts); and ``TILE`` (rows, columns, power of two >= d, whether ``related`` says what is the same).
"""

from __future__ import annotations

import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]

__all__ = ["right_kernel", "sigmoid_kernel", "slope_kernel", "wrong_kernel"]

LEAST = tl.constexpr(-1e30)  # below every logit; exp of it is 0


@triton.jit
def wrong_kernel(pairs, meanings, sizes, wrong, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """``wrong`` (n,): log-sum-exp of each row's logits that do not mean the same; -inf where all do."""
    at, x = own_rows(pairs, sizes, TILE)
    peak = tl.full((TILE[0],), LEAST, tl.float32)
    total = tl.zeros((TILE[0],), tl.float32)
    for start in range(0, sizes[0], TILE[1]):
        to, _, logits = block(pairs, sizes, x, start, TILE)
        counted = (to[None, :] < sizes[0]) & (same_of(meanings, sizes, at, to, start, TILE) == 0)
        logits = tl.where(counted, logits, LEAST)
        higher = tl.maximum(peak, tl.max(logits, 1))
        each = tl.where(counted, tl.exp(logits - higher[:, None]), 0.0)
        total = total * tl.exp(peak - higher) + tl.sum(each, 1)
        peak = higher
    found = tl.where(total == 0.0, float("-inf"), peak + tl.log(total))  # NaN stays NaN
    tl.store(wrong + at, found, mask=at < sizes[0])


@triton.jit
def right_kernel(pairs, meanings, sizes, wrong, found, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """``found`` (3, n): of each row's logits that mean the same, how many, and sums of softplus and of sigmoid."""
    at, x = own_rows(pairs, sizes, TILE)
    worst = tl.load(wrong + at, mask=at < sizes[0], other=0.0)
    count = tl.zeros((TILE[0],), tl.float32)
    loss = tl.zeros((TILE[0],), tl.float32)
    pull = tl.zeros((TILE[0],), tl.float32)
    for start in range(
        tl.load(meanings[2] + tl.program_id(0)), tl.load(meanings[3] + tl.program_id(0)), TILE[1]
    ):
        to, _, logits = block(pairs, sizes, x, start, TILE)
        same = (to[None, :] < sizes[0]) & (same_of(meanings, sizes, at, to, start, TILE) != 0)
        worse = worst[:, None] - logits
        count += tl.sum(tl.where(same, 1.0, 0.0), 1)
        loss += tl.sum(tl.where(same, softplus(worse), 0.0), 1)
        pull += tl.sum(tl.where(same, tl.sigmoid(worse), 0.0), 1)
    tl.store(found + at, count, mask=at < sizes[0])
    tl.store(found + sizes[0] + at, loss, mask=at < sizes[0])
    tl.store(found + 2 * sizes[0] + at, pull, mask=at < sizes[0])


@triton.jit
def slope_kernel(pairs, meanings, sizes, sides, gradient, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """``gradient`` (n, d): InfoNCE's slopes in the logits times ``b``, and so, times the scale, that in ``a``.

    ``sides``: (wrong, pull, weight) (n,) of the rows, then those of the columns.
    """
    at, x = own_rows(pairs, sizes, TILE)
    inside = at < sizes[0]
    row_wrong = tl.load(sides[0] + at, mask=inside, other=0.0)[:, None]
    row_pull = tl.load(sides[1] + at, mask=inside, other=0.0)[:, None]
    row_weight = tl.load(sides[2] + at, mask=inside, other=0.0)[:, None]
    total = tl.zeros((TILE[0], TILE[2]), tl.float32)
    for start in range(0, sizes[0], TILE[1]):
        to, y, logits = block(pairs, sizes, x, start, TILE)
        present = to < sizes[0]
        wrong = tl.load(sides[3] + to, mask=present, other=0.0)[None, :]
        pull = tl.load(sides[4] + to, mask=present, other=0.0)[None, :]
        slope = row_pull * tl.exp(logits - row_wrong) + pull * tl.exp(logits - wrong)
        if near(meanings, start, TILE):
            weight = tl.load(sides[5] + to, mask=present, other=0.0)[None, :]
            right = row_weight * tl.sigmoid(row_wrong - logits) + weight * tl.sigmoid(wrong - logits)
            slope = tl.where(same_of(meanings, sizes, at, to, start, TILE) != 0, -right, slope)
        slope = tl.where(present[None, :], slope, 0.0)
        total += tl.dot(slope.to(y.dtype), y, input_precision="ieee")
    store_rows(gradient, at, total, sizes, TILE)


@triton.jit
def sigmoid_kernel(pairs, meanings, sizes, bias, found, gradient, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """SigLIP: ``found`` (2, n) each row's loss and slope in the bias; ``gradient`` (n, d) as of ``slope_kernel``."""
    at, x = own_rows(pairs, sizes, TILE)
    offset = tl.load(bias)
    loss = tl.zeros((TILE[0],), tl.float32)
    of_bias = tl.zeros((TILE[0],), tl.float32)
    total = tl.zeros((TILE[0], TILE[2]), tl.float32)
    for start in range(0, sizes[0], TILE[1]):
        to, y, logits = block(pairs, sizes, x, start, TILE)
        z = logits + offset
        same = same_of(meanings, sizes, at, to, start, TILE).to(tl.float32)
        present = to[None, :] < sizes[0]
        slope = tl.where(present, tl.sigmoid(z) - same, 0.0)
        loss += tl.sum(tl.where(present, softplus(z) - same * z, 0.0), 1)
        of_bias += tl.sum(slope, 1)
        total += tl.dot(slope.to(y.dtype), y, input_precision="ieee")
    tl.store(found + at, loss, mask=at < sizes[0])
    tl.store(found + sizes[0] + at, of_bias, mask=at < sizes[0])
    store_rows(gradient, at, total, sizes, TILE)


@triton.jit
def own_rows(pairs, sizes, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """This program's rows and their embeddings."""
    at = tl.program_id(0) * TILE[0] + tl.arange(0, TILE[0])
    return at, load_rows(pairs[0], at, sizes, TILE)


@triton.jit
def block(pairs, sizes, x, start, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Columns from ``start``, their embeddings, and the logits of the rows ``x`` with them."""
    to = start + tl.arange(0, TILE[1])
    y = load_rows(pairs[1], to, sizes, TILE)
    return to, y, tl.dot(x, tl.trans(y), input_precision="ieee") * tl.load(pairs[2])


@triton.jit
def near(meanings, start, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Whether some of these columns may mean the same as some of the rows."""
    first = tl.load(meanings[2] + tl.program_id(0))
    last = tl.load(meanings[3] + tl.program_id(0))
    return (start < last) & (start + TILE[1] > first)


@triton.jit
def same_of(meanings, sizes, at, to, start, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """(rows, columns) int8, 1 where a pair means the same."""
    same = tl.zeros((TILE[0], TILE[1]), tl.int8)
    if near(meanings, start, TILE):
        own = tl.load(meanings[0] + at, mask=at < sizes[0], other=0)[:, None]
        their = tl.load(meanings[0] + to, mask=to < sizes[0], other=0)[None, :]
        if TILE[3]:
            same = tl.load(meanings[1] + own.to(tl.int64) * sizes[2] + their)
        else:
            same = (own == their).to(tl.int8)
    return same


@triton.jit
def softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)) without overflow."""
    return tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x)))


@triton.jit
def load_rows(x, at, sizes, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """(rows, power of two >= d) of an (n, d) matrix, zeros beyond it."""
    across = tl.arange(0, TILE[2])
    inside = (at[:, None] < sizes[0]) & (across[None, :] < sizes[1])
    return tl.load(x + at[:, None].to(tl.int64) * sizes[1] + across[None, :], mask=inside, other=0.0)


@triton.jit
def store_rows(x, at, values, sizes, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Write what ``load_rows`` reads."""
    across = tl.arange(0, TILE[2])
    inside = (at[:, None] < sizes[0]) & (across[None, :] < sizes[1])
    tl.store(x + at[:, None].to(tl.int64) * sizes[1] + across[None, :], values, mask=inside)
