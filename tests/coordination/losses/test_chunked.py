"""align/coordination/losses/chunked.py: equal to the losses with whole matrices, there and back, and holding none."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from align.coordination.losses.chunked import chunked_nce, chunked_siglip
from align.coordination.losses.same_pairs import same_pairs
from align.coordination.losses.table import pairwise_sigmoid, symmetric_nce
from align.errors import ParameterError

N_TEXTS = 6


def embeddings(n, d=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        F.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1).to(dtype)
        for _ in "ab"
    ]


def meanings(kind, n, seed=0):
    """texts, related and the whole mask that they stand for."""
    if kind == "apart":
        return None, None, torch.eye(n, dtype=torch.bool)
    texts = torch.randint(0, N_TEXTS, (n,), generator=torch.Generator().manual_seed(seed))
    if kind == "one":
        texts = torch.zeros_like(texts)
    related = torch.eye(N_TEXTS, dtype=torch.bool)
    if kind == "related":  # 1 is like 4 and 4 like 2, but 1 is not like 2
        for i, j in ((1, 4), (4, 2)):
            related[i, j] = related[j, i] = True
    return texts, related if kind == "related" else None, related[texts][:, texts]


def both(name, given_, same, **options):
    """The loss of whole matrices and ours."""
    a, b, scale, bias = given_
    if name == "nce":
        return symmetric_nce(a, b, same, scale), chunked_nce(a, b, scale, **options)
    return pairwise_sigmoid(scale * (a @ b.T), same, bias), chunked_siglip(a, b, scale, bias, **options)


def compare(name, n, kind, scale, block, seed=0):
    texts, related, same = meanings(kind, n, seed)
    numbers = [torch.tensor(x, dtype=torch.float64) for x in (scale, -2.0)]
    inputs = [x.requires_grad_() for x in (*embeddings(n, seed=seed), *numbers)][: 3 + (name == "siglip")]
    whole, ours = both(name, [*inputs, None][:4], same, texts=texts, related=related, block=block)
    torch.testing.assert_close(ours, whole, rtol=1e-8, atol=1e-9)
    wanted, found = (torch.autograd.grad(1.7 * loss, inputs) for loss in (whole, ours))
    for x, y in zip(found, wanted, strict=True):  # torch's softplus is itself off by exp(-20)
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["nce", "siglip"])
@pytest.mark.parametrize("kind", ["apart", "equal", "related", "one"])
@pytest.mark.parametrize("scale", [10.0, 60.0, 700.0, 3000.0])  # from 320 on exponentials are shifted
@pytest.mark.parametrize(("n", "block"), [(1, None), (7, 3), (50, 16), (64, 64)])
def test_loss_and_gradients_are_those_of_whole_matrices(name, kind, scale, n, block):
    compare(name, n, kind, scale, block)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["nce", "siglip"]),
    st.integers(1, 30),
    st.sampled_from(["apart", "equal", "related"]),
    st.floats(0.1, 1000.0),
    st.integers(1, 40),
    st.integers(0, 1000),
)
def test_any_batch_and_any_block(name, n, kind, scale, block, seed):
    compare(name, n, kind, scale, block, seed)


@pytest.mark.parametrize("name", ["nce", "siglip"])
@pytest.mark.parametrize("kind", ["apart", "related"])
@pytest.mark.parametrize("scale", [5.0, 400.0])
def test_gradients_are_finite_differences(name, kind, scale):
    texts, related, _ = meanings(kind, 9)
    a, b = embeddings(9, 4)
    if scale > 320.0:  # as large logits, of smaller slopes in the embeddings
        a, b, scale = 20.0 * a, 20.0 * b, 1.0
    numbers = [torch.tensor(x, dtype=torch.float64) for x in (scale, -1.0)]
    inputs = [x.detach().requires_grad_() for x in (a, b, *numbers)]

    def loss(a, b, scale, bias):
        options = {"texts": texts, "related": related, "block": 4}
        if name == "nce":
            return chunked_nce(a, b, scale, **options) + 0.0 * bias
        return chunked_siglip(a, b, scale, bias, **options)

    assert torch.autograd.gradcheck(loss, inputs, atol=1e-6)


@pytest.mark.parametrize("name", ["nce", "siglip"])
@pytest.mark.parametrize("scale", [10.0, 100.0])  # 100: exponentials are shifted in float32
def test_L1_float32_gradients_are_exact_to_1e_6(name, scale):
    """Ours in float32 against whole matrices in float64, beside whole matrices in float32."""
    n, texts = 700, torch.arange(700) // 2
    same = texts[:, None] == texts
    single = [x.requires_grad_() for x in embeddings(n, 32, dtype=torch.float32)]
    double = [x.detach().double().requires_grad_() for x in single]
    numbers = [torch.tensor(x, dtype=torch.float64) for x in (scale, -5.0)]
    exact, _ = both(name, [*double, *numbers], same, texts=texts)
    eager, ours = both(name, [*single, *(x.float() for x in numbers)], same, texts=texts, block=128)
    assert float(ours.detach()) == pytest.approx(float(exact.detach()), rel=1e-6)
    slopes = [torch.autograd.grad(loss, x) for loss, x in ((exact, double), (eager, single), (ours, single))]
    for wanted, theirs, found in zip(*slopes, strict=True):
        off = float((theirs - wanted).norm() / wanted.norm())  # at 100 a logit's own rounding is 4e-6
        assert float((found - wanted).norm() / wanted.norm()) < max(1e-6, 1.2 * off)


@pytest.mark.parametrize("name", ["nce", "siglip"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(name, dtype):
    a, b = (x.requires_grad_() for x in embeddings(300, 16, dtype=dtype))
    wide = [x.detach().float().requires_grad_() for x in (a, b)]
    numbers = [torch.tensor(20.0), torch.tensor(-5.0)]
    same = torch.eye(300, dtype=torch.bool)
    whole, _ = both(name, [*wide, *numbers], same)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # must not narrow the sums
        _, ours = both(name, [a, b, *numbers], same, block=64)
    assert ours.dtype == torch.float32
    assert float(ours.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
    ours.backward()
    whole.backward()
    for x, y in zip((a, b), wide, strict=True):
        assert x.grad.dtype == dtype
        coarse = 2.0 * torch.finfo(dtype).eps
        assert float((x.grad.float() - y.grad).norm() / y.grad.norm()) < coarse


def test_only_what_wants_a_gradient_gets_one():
    a, b = embeddings(10)
    scale = torch.tensor(5.0, dtype=torch.float64)
    for loss in (lambda: chunked_nce(a, b, scale), lambda: chunked_siglip(a, b, scale, -1.0)):
        for wanted in (a, b, scale):
            for x in (a, b, scale):
                x.requires_grad_(x is wanted)
                x.grad = None
            loss().backward()
            assert [x.grad is not None for x in (a, b, scale)] == [x is wanted for x in (a, b, scale)]
        with torch.no_grad():
            assert not loss().requires_grad


def test_a_gradient_in_the_scale_alone_is_that_of_whole_matrices():
    a, b = embeddings(12)
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    for name in ("nce", "siglip"):
        whole, ours = both(name, [a, b, scale, None], torch.eye(12, dtype=torch.bool), block=5)
        wanted, found = (torch.autograd.grad(loss, scale)[0] for loss in (whole, ours))
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_closed_forms():
    a = torch.ones(4, 1)
    assert float(chunked_nce(a, a, 3.0)) == pytest.approx(math.log(4))  # all logits equal
    assert float(chunked_siglip(a, a, 0.0, 0.0)) == pytest.approx(4 * math.log(2))
    assert float(chunked_nce(a, a, 3.0, texts=torch.zeros(4, dtype=torch.int64))) == 0.0  # no negatives


def test_L1_no_matrix_of_all_pairs_is_held():
    """The largest tensor that any operation makes, there and back, is far below n x n."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest.append(found.numel())
            return found

    n, texts = 2048, torch.arange(2048) // 3
    a, b = (x.requires_grad_() for x in embeddings(n, 8, dtype=torch.float32))
    with Watch():
        for loss in (chunked_nce, chunked_siglip):
            loss(a, b, 10.0, texts=texts, block=64).backward()
    assert largest
    assert max(largest) <= n * 8 < n * n / 100


def test_same_pairs_in_order_are_the_whole_mask():
    for kind in ("apart", "equal", "related", "one"):
        texts, related, same = meanings(kind, 41)
        pairs = same_pairs(41, texts, related, torch.device("cpu"))
        order = torch.arange(41) if pairs.order is None else pairs.order
        wanted = same[order][:, order]
        found = torch.zeros_like(wanted)
        for block in pairs.blocks(7):
            if block.same is not None:
                found[block.rows, block.columns] = block.same
        assert torch.equal(found, wanted), kind
        near = sum(1 for block in pairs.blocks(7, near=True))
        assert near == sum(block.same is not None for block in pairs.blocks(7))
        x = torch.arange(41)
        assert torch.equal(pairs.unsorted(pairs.sorted(x)), x)


BAD = [
    ({"b": torch.zeros(3, 2)}, "a and b"),
    ({"a": torch.zeros(0, 2), "b": torch.zeros(0, 2)}, "a and b"),
    ({"b": torch.zeros(4, 2, dtype=torch.float64)}, "a and b"),
    ({"a": torch.zeros(4, 2).long(), "b": torch.zeros(4, 2).long()}, "a and b"),
    ({"scale": torch.zeros(2)}, "scale"),
    ({"scale": math.nan}, "scale"),
    ({"block": 0}, "block"),
    ({"texts": torch.zeros(3, dtype=torch.int64)}, "texts"),
    ({"texts": torch.zeros(4)}, "texts"),
    ({"related": torch.eye(2, dtype=torch.bool)}, "related"),
    ({"texts": torch.arange(4), "related": torch.eye(2, dtype=torch.bool)}, "texts"),
    ({"texts": torch.zeros(4).long(), "related": torch.ones(2, 2).triu().bool()}, "related"),
    ({"texts": torch.zeros(4).long(), "related": torch.zeros(2, 2).bool()}, "related"),
    ({"texts": torch.zeros(4).long(), "related": torch.eye(2)}, "related"),
]


@pytest.mark.parametrize(("changed", "name"), BAD)
@pytest.mark.parametrize("loss", [chunked_nce, chunked_siglip])
def test_what_does_not_fit_is_refused(loss, changed, name):
    arguments = {"a": torch.ones(4, 2), "b": torch.ones(4, 2), "scale": 1.0} | changed
    with pytest.raises(ParameterError) as refused:
        loss(**arguments)
    assert refused.value.name == name


@pytest.mark.parametrize("loss", [chunked_nce, chunked_siglip])
@pytest.mark.parametrize("scale", [2.0, 500.0])
def test_M07_what_is_not_a_number_is_seen(loss, scale):
    a, b = embeddings(20)
    a[7, 2] = torch.nan
    assert bool(torch.isnan(loss(a, b, scale, block=6)))


@pytest.mark.parametrize("loss", [chunked_nce, chunked_siglip])
def test_a_second_derivative_is_refused(loss):
    a, b = (x.requires_grad_() for x in embeddings(5))
    with pytest.raises(ParameterError, match="second derivative"):
        torch.autograd.grad(loss(a, b, 2.0), a, create_graph=True)
