"""align/coordination/network/text_projection.py: unused directions add little, an adapter begins as the identity."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from align.coordination.network.text_projection import TextProjection


def unit(n, d, seed=0):
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_rows_have_unit_length_and_do_not_depend_on_one_another():
    projection = TextProjection(20, 6).eval()
    texts = unit(5, 20)
    out = projection(texts)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(projection(texts[2:3]), out[2:3])


def test_noise_and_dropout_are_of_training_alone():
    projection = TextProjection(20, 6, noise=2.0)
    texts = unit(3, 20)
    assert not torch.equal(projection.train()(texts), projection(texts))
    assert torch.equal(projection.eval()(texts), projection(texts))
    still = TextProjection(20, 6, dropout=0.0, noise=0.0).train()
    assert torch.equal(still(texts), still(texts))


def test_noise_has_the_length_that_was_asked_for():
    projection = TextProjection(2000, 2000, dropout=0.0, noise=2.0).train()
    with torch.no_grad():
        projection.project.weight.copy_(torch.eye(2000))
    text = F.one_hot(torch.tensor([0]), 2000).float()
    # (text + noise) / sqrt(1 + 4) after normalisation
    assert float(projection(text.expand(64, -1))[:, 0].mean().detach()) == pytest.approx(5**-0.5, abs=0.02)


def test_an_adapter_begins_as_the_identity_and_learns():
    torch.manual_seed(0)
    plain = TextProjection(20, 6, noise=0.0).eval()
    torch.manual_seed(0)
    adapted = TextProjection(20, 6, noise=0.0, adapter=4).eval()
    texts = unit(3, 20)
    assert torch.equal(adapted(texts), plain(texts))
    adapted(texts)[:, 0].sum().backward()
    assert adapted.adapter is not None and bool(adapted.adapter[2].weight.grad.any())


def test_what_training_never_saw_stays_near_what_it_saw():
    """A text that shares half its length with a known one is placed nearer to it than by a layer of usual start."""
    known, other = torch.eye(200)[:1], torch.eye(200)[1:2]
    mixed = F.normalize(known + other, dim=1)
    wanted = F.one_hot(torch.tensor([0]), 8).float()

    def agreement(projection):
        optimiser = torch.optim.Adam(projection.parameters(), 1e-2)
        projection.train()
        for _ in range(200):
            loss = 1.0 - (projection(known) * wanted).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return float((projection.eval()(mixed) * wanted).sum().detach())

    torch.manual_seed(0)
    ours = TextProjection(200, 8, dropout=0.0, noise=0.0)
    usual = TextProjection(200, 8, dropout=0.0, noise=0.0)
    with torch.no_grad():
        usual.project.weight.mul_(10.0)
    assert agreement(ours) > agreement(usual)
