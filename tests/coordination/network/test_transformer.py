"""align/coordination/network/transformer.py and what the encoders have in common: tiny on a CPU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.network.encoders import StreamEncoder, start_trunk, stream_encoder, trunk_state
from align.coordination.network.transformer import rotated_by_seconds
from align.coordination.plan import TrainingPlan
from align.datatypes import Session, Stream
from align.errors import ParameterError

SMALL = TrainingPlan(encoder_kind="transformer", width=16, dimension=8, layers=2, heads=2, dropout=0.0)


def made(raw=False, n=60):
    values = np.random.default_rng(0).normal(size=(n * 10, 2))
    table = session_table(Session("s", (Stream(values, 20.0, "imu", channels=("a", "b")),)), 0.5, raw=raw)
    layout = fit_layout([table])
    return layout, torch.from_numpy(model_inputs(table, layout))[None]


def encoder_of(layout, plan=SMALL):
    torch.manual_seed(0)
    return stream_encoder(layout, plan).eval()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", ["convolution", "transformer"])
def test_every_kind_gives_unit_vectors_and_learns_from_all_it_reads(raw, kind):
    layout, inputs = made(raw)
    encoder = encoder_of(layout, dataclasses.replace(SMALL, encoder_kind=kind))
    inputs.requires_grad_(True)
    embedded, nothing, edges = encoder(inputs)
    assert embedded.shape == (1, 60, 8) and nothing.shape == (1, 60) and edges.shape == (1, 61)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(1, 60))
    nothing.sum().backward()
    columns = inputs.grad[0].abs().sum(dim=0)
    assert bool((columns > 0).all())
    if not raw and kind == "convolution":
        assert isinstance(encoder.enter, torch.nn.Linear)  # as models have always been saved


def test_padding_and_gaps_are_looked_at_by_nobody():
    layout, inputs = made()
    encoder = encoder_of(layout)
    alone = encoder(inputs)[0]
    padded = torch.cat([inputs, torch.zeros(1, 25, inputs.shape[2])], dim=1)
    # the stem sees a few frames across the edge, the attention none
    torch.testing.assert_close(encoder(padded)[0][:, :48], alone[:, :48], atol=1e-2, rtol=0)
    loud = padded.clone()
    loud[:, 70:, :-1] = 100.0
    torch.testing.assert_close(encoder(loud)[0][:, :48], encoder(padded)[0][:, :48])
    assert bool(torch.isfinite(encoder(torch.zeros(1, 5, inputs.shape[2]))[0]).all())


def test_rotary_positions_are_time_differences_in_seconds():
    x, y = torch.randn(1, 8), torch.randn(1, 8)

    def product(at_x, at_y):
        return float(
            rotated_by_seconds(x, torch.tensor([at_x])) @ rotated_by_seconds(y, torch.tensor([at_y])).T
        )

    assert product(3.0, 5.5) == pytest.approx(product(103.0, 105.5), abs=1e-3)
    assert product(0.0, 0.0) == pytest.approx(float(x @ y.T), abs=1e-5)
    assert abs(product(0.0, 2.5) - product(0.0, 0.0)) > 1e-3
    torch.testing.assert_close(rotated_by_seconds(x, torch.tensor([7.0])).norm(), x.norm())


def test_a_long_recording_is_read_in_windows():
    layout, inputs = made(n=200)
    windows = encoder_of(layout, dataclasses.replace(SMALL, longest=64))
    whole = encoder_of(layout, dataclasses.replace(SMALL, longest=4096))
    whole.load_state_dict(windows.state_dict())
    a, b = (tuple(part.detach() for part in e(inputs)) for e in (windows, whole))
    assert [x.shape for x in a] == [x.shape for x in b]
    assert (
        float((a[0] * b[0]).sum(-1).min()) > 0.9
    )  # untrained, attention is nearly even: context hardly matters
    for n in range(60, 160, 7):
        assert windows(inputs[:, :n])[0].shape[1] == n
    torch.testing.assert_close(windows(inputs[:, :64])[0], whole(inputs[:, :64])[0])
    found = windows(inputs[:, :100])[
        0
    ]  # windows start at 0, 32 and 36; each keeps a quarter's distance from its seams
    for at, first, last in ((0, 0, 48), (32, 48, 80), (36, 80, 100)):
        own = windows(inputs[:, at : at + 64])[0]
        torch.testing.assert_close(found[:, first:last], own[:, first - at : last - at])


@pytest.mark.parametrize("kind", ["convolution", "transformer"])
def test_a_trunk_starts_another_encoder(kind):
    plan = dataclasses.replace(SMALL, encoder_kind=kind)
    first = encoder_of(made()[0], plan)
    torch.manual_seed(1)
    other = stream_encoder(made(raw=True)[0], plan)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    start_trunk(other, trunk_state(first))
    after = other.state_dict()
    for name, tensor in trunk_state(first).items():
        torch.testing.assert_close(after[name], tensor)
    for name in after.keys() - trunk_state(first).keys():
        assert name.startswith(("enter.", "embed.", "nothing.", "edges.")), name
        torch.testing.assert_close(after[name], before[name])
    with pytest.raises(ParameterError, match="trunk"):
        start_trunk(stream_encoder(made()[0], dataclasses.replace(plan, width=32)), trunk_state(first))
    with pytest.raises(ParameterError, match="trunk"):
        start_trunk(other, {})


def test_attention_needs_a_width_that_its_heads_divide():
    with pytest.raises(ParameterError, match="width"):
        dataclasses.replace(SMALL, width=18)
    with pytest.raises(ParameterError, match="encoder_kind"):
        dataclasses.replace(SMALL, encoder_kind="lstm")
    with pytest.raises(ParameterError, match="augment"):
        dataclasses.replace(SMALL, augment=("blur",))


def test_the_small_encoder_keeps_its_names():
    """Models that were saved open: the tensors are called as ever."""
    names = set(StreamEncoder(6, 8, 4, (1,), 0.0).state_dict())
    assert {
        "enter.weight",
        "enter_norm.weight",
        "blocks.0.depthwise.weight",
        "embed.weight",
        "nothing.bias",
    } <= names
