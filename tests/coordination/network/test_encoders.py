"""align/coordination/network/encoders.py: unit vectors, how far a frame sees, and the temperature's bound."""

from __future__ import annotations

import pytest
import torch

from align.coordination.network.encoders import Coordinator, StreamEncoder, TextProjection


def coordinator(dilations=(1, 2), n_features=6):
    torch.manual_seed(0)
    return Coordinator(StreamEncoder(n_features, 8, 4, dilations, 0.2), TextProjection(10, 4)).eval()


def test_shapes_and_unit_length():
    both = coordinator()
    logits, embedded, edges = both(torch.randn(2, 30, 6), torch.randn(5, 10))
    assert edges is None and logits.shape == (2, 30, 6) and embedded.shape == (2, 30, 4)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(2, 30))
    torch.testing.assert_close(both.text(torch.randn(3, 10)).norm(dim=-1), torch.ones(3))
    assert logits[..., :5].abs().max() <= both.scale


def test_logits_are_scaled_cosines_and_nothing():
    both, frames, texts = coordinator(), torch.randn(1, 9, 6), torch.randn(3, 10)
    logits, embedded, _ = both(frames, texts)
    torch.testing.assert_close(logits[0, :, :3], both.scale * embedded[0] @ both.text(texts).T)
    torch.testing.assert_close(logits[..., 3], both.stream(frames)[1])


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4)])
def test_a_frame_sees_as_far_as_it_says(dilations):
    encoder, reach = coordinator(dilations).stream, 2 * sum(dilations)
    frames = torch.randn(1, 41, 6, requires_grad=True)
    encoder(frames)[0][0, 20].sum().backward()
    seen = frames.grad[0].abs().sum(dim=1).nonzero().ravel()
    assert (int(seen.min()), int(seen.max())) == (20 - reach, 20 + reach)


def test_padding_behind_the_end_is_not_needed():
    """T16: one frame is enough."""
    embedded, nothing, _ = coordinator((1, 2, 4, 8)).stream(torch.randn(1, 1, 6))
    assert embedded.shape == (1, 1, 4) and nothing.shape == (1, 1)


def test_M04_the_temperature_is_bounded_and_no_text_gives_no_nan():
    both = coordinator()
    with torch.no_grad():
        both.log_scale.fill_(50.0)
    assert float(both.scale.detach()) == pytest.approx(100.0)
    assert not both.text(torch.zeros(1, 10)).any()
