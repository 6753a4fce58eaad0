"""Which pairs of a batch mean the same, block by block and without a matrix of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from align.errors import ParameterError

__all__ = ["Block", "SamePairs", "same_pairs"]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows and columns of a block of pairs, and which of them mean the same (bool, or None: no pair does)."""

    rows: slice
    columns: slice
    same: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class SamePairs:
    """The pairs of a batch in an order in which those that mean the same lie near the diagonal.

    Attributes:
        order: (n,) int64: place k holds item ``order[k]``; None: the batch's own order.
        groups: (n,) int64 ascending; pairs of two groups never mean the same.
        texts: (n,) int64 text of each place, or None: equal groups mean the same.
        related: (n_texts, n_texts) bool, symmetric and True on the diagonal; with ``texts``.
    """

    order: Tensor | None
    groups: Tensor
    texts: Tensor | None
    related: Tensor | None

    def sorted(self, x: Tensor) -> Tensor:
        """Rows of ``x`` in this order."""
        return x if self.order is None else x[self.order]

    def unsorted(self, x: Tensor) -> Tensor:
        """Rows of ``x``, which are in this order, back in the batch's own."""
        if self.order is None:
            return x
        back = torch.empty_like(x)
        back[self.order] = x
        return back

    def blocks(self, size: int, near: bool = False) -> Iterator[Block]:
        """Blocks of ``size`` x ``size`` pairs, row by row; with ``near`` those alone where some may be the same."""
        n = len(self.groups)
        parts = [slice(k, min(k + size, n)) for k in range(0, n, size)]
        edges = torch.stack([self.groups[[p.start, p.stop - 1]] for p in parts]).tolist()
        for rows, (first, last) in zip(parts, edges, strict=True):
            for columns, (least, most) in zip(parts, edges, strict=True):
                if least <= last and first <= most:
                    yield Block(rows, columns, self._same(rows, columns))
                elif not near:
                    yield Block(rows, columns, None)

    def _same(self, rows: slice, columns: slice) -> Tensor:
        if self.texts is None or self.related is None:
            return self.groups[rows, None] == self.groups[columns]
        return self.related[self.texts[rows]][:, self.texts[columns]]


def same_pairs(n: int, texts: Tensor | None, related: Tensor | None, device: torch.device) -> SamePairs:
    """What means the same in a batch of ``n`` pairs.

    Args:
        n: pairs.
        texts: (n,) integers, the text (or group) of each pair; equal ones mean the same. None: all differ.
        related: (n_texts, n_texts) bool, texts that mean the same; None: only equal ones do.
        device: where the embeddings are.

    Raises:
        ParameterError: a shape, dtype or range does not fit, or ``related`` is not symmetric and true of itself.
    """
    if texts is None:
        if related is not None:
            raise ParameterError("related", "given alone", "with the texts of the pairs")
        return SamePairs(None, torch.arange(n, device=device), None, None)
    if texts.shape != (n,) or texts.is_floating_point() or texts.is_complex() or texts.dtype == torch.bool:
        raise ParameterError("texts", f"{texts.dtype} {tuple(texts.shape)}", f"({n},) integers")
    texts = texts.to(device=device, dtype=torch.int64)
    if related is None:
        groups, order = torch.sort(texts, stable=True)
        return SamePairs(order, groups, None, None)
    related = _checked(related, texts).to(device)
    groups, order = torch.sort(_components(related)[texts], stable=True)
    return SamePairs(order, groups, texts[order], related)


def _checked(related: Tensor, texts: Tensor) -> Tensor:
    if related.dtype != torch.bool or related.ndim != 2 or related.shape[0] != related.shape[1]:
        raise ParameterError("related", f"{related.dtype} {tuple(related.shape)}", "(n_texts, n_texts) bool")
    if not bool(related.diagonal().all()) or not torch.equal(related, related.T):
        raise ParameterError("related", "a rule of one side", "symmetric, every text related to itself")
    if len(texts) and not 0 <= int(texts.min()) <= int(texts.max()) < len(related):
        raise ParameterError("texts", "numbers beyond the rule", f"0 to {len(related) - 1}")
    return related


def _components(related: Tensor) -> Tensor:
    """(n_texts,) the least text that each is connected with through related ones."""
    labels = torch.arange(len(related), device=related.device)
    while True:
        least = torch.where(related, labels, len(related)).amin(1)
        least = least[least]
        if torch.equal(least, labels):
            return labels
        labels = least
