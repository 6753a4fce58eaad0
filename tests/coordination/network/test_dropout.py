import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.network.dropout import Dropout


@settings(max_examples=20, deadline=None)
@given(p=st.floats(0.05, 0.9), seed=st.integers(0, 1000))
def test_zeroes_a_share_and_keeps_the_mean(p: float, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.ones(200, 101)
    y = Dropout(p)(x)
    share = float((y == 0).float().mean())
    assert abs(share - p) < 1 / 512 + 5 * np.sqrt(p * (1 - p) / x.numel())
    assert len(torch.unique(y)) == 2
    kept = float(y.max())
    assert float(y.mean()) == pytest.approx(1.0, abs=5 * np.sqrt((kept - 1) / x.numel()))


def test_gradient_passes_where_values_pass() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 33, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    assert torch.equal(x.grad * x.detach(), y.detach())


def test_torch_s_generator_decides() -> None:
    x, layer = torch.ones(50, 3), Dropout(0.5)
    torch.manual_seed(4)
    first, second = layer(x), layer(x)
    torch.manual_seed(4)
    assert torch.equal(layer(x), first) and torch.equal(layer(x), second)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation_or_at_zero() -> None:
    x = torch.randn(5, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_neighbours_are_independent() -> None:
    torch.manual_seed(1)
    y = (Dropout(0.5)(torch.ones(100_000)) > 0).float() - 0.5
    for lag in range(1, 17):  # a word holds eight bytes
        assert abs(float((y[lag:] * y[:-lag]).mean())) < 5 * 0.25 / np.sqrt(len(y))
