"""align/coordination/network/edges.py: where spans begin and end, learned from the frames' targets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.answers import Evidence
from align.coordination import fit_coordination
from align.coordination.network.edges import EdgeHead, edge_gain, edge_loss, soft_edge_loss
from align.datatypes import Note
from align.errors import ParameterError
from align.matching import place_notes
from tests.coordination.sessions import TINY, made_session, untold


def test_one_edge_more_than_frames_and_seen_from_both_sides():
    torch.manual_seed(0)
    head = EdgeHead(8)
    hidden = torch.randn(2, 20, 8, requires_grad=True)
    out = head(hidden)
    assert out.shape == (2, 21) and head(torch.randn(1, 1, 8)).shape == (1, 2)
    assert float(torch.sigmoid(out).mean().detach()) < 0.15  # edges are rare
    out[0, 10].backward()
    seen = hidden.grad[0].abs().sum(dim=1).nonzero().ravel().tolist()
    assert seen == [8, 9, 10, 11]


def test_the_loss_is_the_cross_entropy_of_changes_between_known_frames():
    target = torch.tensor([[-1, -1, 3, 3, 5, -2, -2, 5, 5]])
    logits = torch.linspace(-2, 2, 10)[None]
    wanted = {1: 0, 2: 1, 3: 0, 4: 1, 8: 0}  # edges 5, 6 and 7 touch frames that do not count
    p = torch.sigmoid(logits[0])
    by_hand = -sum(float(torch.log(p[k] if y else 1 - p[k])) for k, y in wanted.items()) / len(wanted)
    assert float(edge_loss(logits, target)) == pytest.approx(by_hand, rel=1e-5)
    logits.requires_grad_(True)
    none = edge_loss(logits, torch.full((1, 9), -2))
    none.backward()
    assert float(none.detach()) == 0.0 and not logits.grad.any()


def test_the_gain_is_a_prior_over_places():
    logits = np.random.default_rng(0).normal(-3, 2, 200)
    gain = edge_gain(logits)
    assert np.exp(gain).mean() == pytest.approx(1.0)
    assert (np.diff(gain[np.argsort(logits)]) >= 0).all()
    np.testing.assert_allclose(edge_gain(np.full(7, -2.0)), 0.0, atol=1e-12)
    assert np.ptp(edge_gain(np.where(np.arange(200) == 3, 5.0, -60.0))) == pytest.approx(
        np.log(201 - 1) + 4, rel=1e-2
    )


def test_edges_are_learned_from_true_spans_and_sharpen_the_answers(trained):
    session = made_session(11)
    evidence = trained.evidence(session)
    hop = trained.layout.hop
    at = np.unique(
        np.rint(np.ravel([(s.start, s.end) for s in session.truth]) / hop).astype(int) - evidence.first
    )
    inside = at[(at > 0) & (at < len(evidence.observed))]
    others = np.setdiff1d(np.arange(len(evidence.gain)), np.concatenate([inside + d for d in (-1, 0, 1)]))
    assert evidence.gain[inside].mean() > evidence.gain[others].mean() + 0.5
    without = dataclasses.replace(evidence, gain=np.zeros(0))
    assert (
        place_notes(without, session.notes).spans.tolist()
        != place_notes(evidence, session.notes).spans.tolist()
    )


def test_where_the_frames_do_not_tell_the_gain_does():
    odds = np.where((np.arange(60) >= 15) & (np.arange(60) < 45), 1.0, -1.0).astype(np.float32)[:, None]
    odds[[10, 11, 12, 13, 14, 45, 46, 47, 48, 49]] = 0.0  # may belong to it or not
    plain = Evidence(
        log_odds=odds,
        hop=1.0,
        first=0,
        observed=np.ones(60, np.bool_),
        durations=np.array([[np.log(35.0), 0.5]]),
        method="contrastive",
    )
    logits = np.full(61, -4.0)
    for start, end in ((10, 50), (13, 46)):
        marked = logits.copy()
        marked[[start, end]] = 1.0
        found = place_notes(dataclasses.replace(plain, gain=edge_gain(marked)), (Note("it"),))
        assert np.round(found.spans).tolist() == [[start, end]]
        assert found.probabilities[0] > 0.9
    for wrong in (np.zeros(60), np.full(61, np.nan)):
        with pytest.raises(ParameterError, match="gain"):
            dataclasses.replace(plain, gain=wrong)


def test_the_loss_of_certain_posteriors_is_that_of_the_spans():
    target = torch.tensor([[-1, -1, 3, 3, 5, -2, -2, 5, 5]])
    columns = {-1: 2, 3: 0, 5: 1}
    soft = torch.zeros(9, 3)
    for frame, text in enumerate(target[0].tolist()):
        if text in columns:
            soft[frame, columns[text]] = 1.0
    logits = torch.linspace(-2, 2, 10)
    assert float(soft_edge_loss(logits, soft)) == pytest.approx(
        float(edge_loss(logits[None], target)), rel=1e-6
    )
    logits.requires_grad_(True)
    none = soft_edge_loss(logits, torch.zeros(9, 3))
    none.backward()
    assert float(none.detach()) == 0.0 and not logits.grad.any()


def test_a_doubtful_edge_is_spread_over_where_it_may_be_and_counts_once():
    share = torch.linspace(0.0, 1.0, 6)  # the change lies somewhere within five edges
    soft = torch.stack([1.0 - share, share], dim=1)
    logits = torch.full((7,), -1.0, requires_grad=True)
    soft_edge_loss(logits, soft).backward()
    p = float(torch.sigmoid(torch.tensor(-1.0)))
    np.testing.assert_allclose(5 * logits.grad[1:-1].numpy(), p - 0.2, atol=1e-6)
    assert not logits.grad[[0, 6]].any()


def test_without_true_spans_edges_are_learned_from_where_notes_were_placed():
    sessions = [untold(made_session(seed, timed=True)) for seed in range(2)]
    model = fit_coordination(sessions, dataclasses.replace(TINY, epochs=1, rounds=1))
    assert model.plan.edges and model.network.stream.edges is not None
    assert np.ptp(model.evidence(made_session(5)).gain) > 0
    without = fit_coordination(sessions, dataclasses.replace(TINY, epochs=1, rounds=1, edges=False))
    assert without.network.stream.edges is None and without.evidence(made_session(5)).gain.size == 0
