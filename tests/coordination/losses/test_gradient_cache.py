"""align/coordination/losses/gradient_cache.py: chunk by chunk gives the gradients of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from align.coordination.losses.chunked import chunked_nce
from align.coordination.losses.gradient_cache import cached_backward
from align.errors import ParameterError


class Model(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.stream = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 8))
        self.text = nn.Sequential(nn.Dropout(dropout), nn.Linear(5, 8))
        self.log_scale = nn.Parameter(torch.tensor(2.0))
        self.calls = 0

    def encoders(self):
        return [lambda x: self._unit(self.stream, x), lambda x: self._unit(self.text, x)]

    def _unit(self, layers, x):
        self.calls += torch.is_grad_enabled()
        return nn.functional.normalize(layers(x), dim=1)

    def loss(self, a, b):
        return chunked_nce(a, b, self.log_scale.exp())

    def gradients(self):
        return {name: p.grad.clone() for name, p in self.named_parameters()}


def inputs(n=23):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=generator), torch.randn(n, 5, generator=generator)


def with_whole_graph(model, chunk):
    """The same embeddings, in the same chunks and with the same random numbers, in one graph."""
    whole = [
        torch.cat([encode(piece) for piece in x.split(chunk)])
        for encode, x in zip(model.encoders(), inputs(), strict=True)
    ]
    value = model.loss(*whole)
    value.backward()
    return value.detach(), model.gradients()


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("chunk", [1, 5, 23, 100])
def test_gradients_are_those_of_the_whole_batch(chunk, dropout):
    model = Model(dropout)
    torch.manual_seed(9)
    expected, gradients = with_whole_graph(model, chunk)
    model = Model(dropout)
    torch.manual_seed(9)
    value = cached_backward(model.encoders(), inputs(), model.loss, chunk)
    assert not value.requires_grad
    torch.testing.assert_close(value, expected)
    assert model.calls == 2 * -(-23 // chunk)  # once more with a graph, each chunk
    for name, gradient in model.gradients().items():
        largest = float(gradients[name].abs().max())
        torch.testing.assert_close(gradient, gradients[name], rtol=1e-6, atol=1e-6 * largest)


def test_dropout_without_its_state_would_be_seen():
    """The test above can fail: other dropout gives other gradients."""
    found = []
    for seed in (9, 10):
        model = Model(0.4)
        torch.manual_seed(seed)
        cached_backward(model.encoders(), inputs(), model.loss, 5)
        found.append(model.gradients()["stream.0.weight"])
    assert float((found[0] - found[1]).abs().max()) > 0.1 * float(found[0].abs().max())


def test_random_numbers_go_on_as_if_encoded_once():
    model = Model(0.4)
    torch.manual_seed(9)
    with_whole_graph(model, 5)
    expected = torch.rand(3)
    torch.manual_seed(9)
    cached_backward(model.encoders(), inputs(), model.loss, 5)
    assert torch.equal(torch.rand(3), expected)


def test_gradients_are_added_to_those_there():
    model = Model()
    cached_backward(model.encoders(), inputs(), model.loss, 7)
    once = model.gradients()
    cached_backward(model.encoders(), inputs(), model.loss, 7)
    for name, gradient in model.gradients().items():
        torch.testing.assert_close(gradient, 2 * once[name])


def test_a_frozen_encoder_stays_as_it_is():
    model = Model()
    model.text.requires_grad_(False)
    cached_backward(model.encoders(), inputs(), model.loss, 7)
    assert all(p.grad is None for p in model.text.parameters())
    assert all(p.grad is not None for p in model.stream.parameters())


def test_what_does_not_fit_is_refused():
    model = Model()
    with pytest.raises(ParameterError, match="chunk is 0"):
        cached_backward(model.encoders(), inputs(), model.loss, 0)
    with pytest.raises(ParameterError, match="one per encoder, 2"):
        cached_backward(model.encoders(), inputs()[:1], model.loss, 4)
