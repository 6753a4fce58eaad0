"""losses/triton_nce.py beside chunked.py; the kernels themselves on a card or in Triton's interpreter.

``TRITON_INTERPRET=1 pytest THIS_FILE`` runs them on the CPU where Triton is installed.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
import torch
from torch.nn import functional as F

from align.coordination.losses import triton_nce
from align.coordination.losses.chunked import chunked_nce, chunked_siglip
from align.coordination.losses.triton_nce import can_fuse, fused_nce, fused_siglip
from align.errors import ParameterError

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED or not torch.cuda.is_available() else "cuda"
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None or not (INTERPRETED or torch.cuda.is_available()),
    reason="no Triton with a CUDA card, nor TRITON_INTERPRET=1",
)
N_TEXTS = 6


def embeddings(n, d, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(n, d, generator=generator), dim=1).to(DEVICE, dtype) for _ in "ab"]


def meanings(kind, n):
    if kind == "apart":
        return {}
    texts = torch.randint(0, N_TEXTS, (n,), generator=torch.Generator().manual_seed(3)).to(DEVICE)
    if kind == "one":
        return {"texts": torch.zeros_like(texts)}
    if kind == "equal":
        return {"texts": texts}
    related = torch.eye(N_TEXTS, dtype=torch.bool)
    for i, j in ((1, 4), (4, 2)):
        related[i, j] = related[j, i] = True
    return {"texts": texts, "related": related.to(DEVICE)}


def found(loss, given):
    """A loss and its gradients."""
    inputs = [x.detach().clone().requires_grad_() for x in given]
    value = loss(*inputs)
    return value.detach(), torch.autograd.grad(1.7 * value, inputs)


@needs_triton
@pytest.mark.parametrize("name", ["nce", "siglip"])
@pytest.mark.parametrize("kind", ["apart", "equal", "related", "one"])
@pytest.mark.parametrize(("n", "d", "scale"), [(5, 3, 10.0), (75, 20, 10.0), (150, 64, 90.0)])
def test_kernels_agree_with_blocks(name, kind, n, d, scale):
    given = [*embeddings(n, d), *(torch.tensor(x, device=DEVICE) for x in (scale, -2.0))]
    fused, chunked = (fused_nce, chunked_nce) if name == "nce" else (fused_siglip, chunked_siglip)
    options = meanings(kind, n)
    assert can_fuse(given[0])
    given = given[: 3 if name == "nce" else 4]
    ours, slopes = found(lambda *x: fused(*x, **options), given)
    theirs, wanted = found(lambda *x: chunked(*x, **options), given)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for x, y in zip(slopes, wanted, strict=True):
        assert float((x - y).norm()) <= 2e-5 * float(y.norm()) + 1e-6


@needs_triton
@pytest.mark.parametrize("name", ["nce", "siglip"])
def test_half_precision_is_summed_in_float32(name):
    dtype = torch.float16 if INTERPRETED else torch.bfloat16  # the interpreter multiplies bfloat16's bits
    a, b = embeddings(140, 32, dtype)
    fused, chunked = (fused_nce, chunked_nce) if name == "nce" else (fused_siglip, chunked_siglip)
    ours, slopes = found(lambda *x: fused(*x, 14.0), (a, b))
    theirs, wanted = found(lambda *x: chunked(*x, 14.0), (a.float(), b.float()))
    assert ours.dtype == torch.float32
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    for x, y in zip(slopes, wanted, strict=True):
        assert x.dtype == dtype
        assert float((x.float() - y).norm()) < 2.0 * torch.finfo(dtype).eps * float(y.norm())


@needs_triton
def test_every_run_gives_the_same_bits():
    given = embeddings(150, 16)
    first, again = (found(lambda *x: fused_nce(*x, 20.0), given) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(x, y) for x, y in zip(first[1], again[1], strict=True))


@needs_triton
@pytest.mark.parametrize("loss", [fused_nce, fused_siglip])
def test_M07_what_is_not_a_number_is_seen(loss):
    a, b = embeddings(20, 4)
    a[7, 2] = torch.nan
    assert bool(torch.isnan(loss(a, b, 2.0)))


@needs_triton
@pytest.mark.parametrize("loss", [fused_nce, fused_siglip])
def test_a_second_derivative_is_refused(loss):
    a, b = (x.requires_grad_() for x in embeddings(5, 4))
    with pytest.raises(ParameterError, match="second derivative"):
        torch.autograd.grad(loss(a, b, 2.0), a, create_graph=True)


def test_where_kernels_cannot_be_used_blocks_compute_the_same(monkeypatch):
    monkeypatch.setattr(triton_nce, "find_spec", lambda name: None)
    given, options = (
        [x.cpu() for x in embeddings(20, 8)],
        {k: v.cpu() for k, v in meanings("related", 20).items()},
    )
    assert not can_fuse(given[0])
    assert torch.equal(fused_nce(*given, 9.0, **options), chunked_nce(*given, 9.0, **options))
    assert torch.equal(
        fused_siglip(*given, 9.0, -1.0, **options), chunked_siglip(*given, 9.0, -1.0, **options)
    )


def test_float64_and_wide_embeddings_go_the_other_way():
    assert not can_fuse(torch.zeros(2, 4, dtype=torch.float64, device=DEVICE))
    assert not can_fuse(torch.zeros(2, 513, device=DEVICE))


@pytest.mark.parametrize("loss", [fused_nce, fused_siglip])
def test_what_does_not_fit_is_refused(loss):
    for a, b, name in (
        (torch.ones(3, 2), torch.ones(4, 2), "a and b"),
        (torch.ones(3), torch.ones(3), "a and b"),
    ):
        with pytest.raises(ParameterError) as refused:
            loss(a.to(DEVICE), b.to(DEVICE), 1.0)
        assert refused.value.name == name


@pytest.mark.parametrize("width", [16, 64, 128, 512])
@pytest.mark.parametrize("size", [2, 4])
def test_tiles_fit_a_small_cards_memory(width, size):
    rows, columns = triton_nce._tile(width * size, torch.device("cpu"))
    assert rows & (rows - 1) == 0
    assert 16 <= columns <= rows <= 128
    assert (rows + 2 * columns) * width * size <= 1 << 17
