"""benchmarks/units.py and benchmarks/states.py: the ways to begin are what they say, on sessions made up here."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.coordination import fit_coordination
from align.datatypes import Segmentation, Stream
from align.tokens.units.model import fit_units
from align.tokens.units.plan import UnitPlan
from benchmarks import states, units
from tests.coordination.sessions import TINY, made_session

PLAN = UnitPlan(n_codes=6, epochs=2, batch=4, window=64, width=16, layers=2, heads=2)


def test_a_trunk_is_learned_and_every_network_starts_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "plan_of", lambda config: TINY)
    sessions = [made_session(seed) for seed in range(3)]
    silent = [dataclasses.replace(s, notes=(), truth=None) for s in sessions]
    trunk = units.pretrained_trunk(silent, 0.5, PLAN)
    assert {key.split(".")[0] for key in trunk} == {"enter", "enter_norm", "blocks", "leave_norm"}
    model = fit_coordination(sessions, dataclasses.replace(TINY, epochs=1, learning_rate=1e-12), trunk=trunk)
    weights = model.network.stream.state_dict()
    assert all(torch.allclose(weights[key], trunk[key], atol=1e-9) for key in trunk)


def test_the_embedding_becomes_a_stream_on_the_clock_of_the_others() -> None:
    sessions = [made_session(seed) for seed in range(2)]
    recordings = [units.rows_of(s, 0.5)[1] for s in sessions]
    learned = fit_units(recordings, dataclasses.replace(PLAN, width=units._COMPONENTS + 2, heads=2))[-1]
    axes = units.leading_axes(learned, sessions, 0.5)
    assert np.allclose(axes.T @ axes, np.eye(units._COMPONENTS), atol=1e-8)
    for session, richer in zip(sessions, units.with_embedding(sessions, learned, 0.5, axes), strict=True):
        assert [s.name for s in richer.streams] == ["wrist", "units"]
        added = richer.streams[1]
        assert added.n_channels == units._COMPONENTS
        assert abs(added.start - session.start) < 0.5
        assert abs(added.end - session.end) <= 0.5
        assert richer.truth == session.truth


def test_codes_of_samples_are_the_commonest_of_their_segment() -> None:
    found = states.most_common(np.array([0, 1, 1, 2]), np.array([0, 5, 8]), np.array([0, 2, 4, 6, 8]))
    assert found.tolist() == [0] * 5 + [2] * 3 or found.tolist() == [1] * 5 + [2] * 3
    assert states.most_common(np.array([3]), np.array([0, 2]), np.array([0, 2])).tolist() == [3, 3]


def test_codes_find_kinds_of_segments_that_they_were_not_fitted_on() -> None:
    def rows(seed: int) -> tuple[Stream, Segmentation]:
        level = np.repeat(np.tile([0.0, 6.0, -6.0], 10), 30)
        stream = Stream(level + 0.3 * np.random.default_rng(seed).normal(size=900), rate=10.0)
        return stream, Segmentation.of(stream, np.arange(30, 900, 30))

    first, second = (states.described(*rows(seed), 0) for seed in (1, 2))
    codes = states.Codes.fitted(first[:, :1], "bic", range(1, 8))
    found = codes.of(second[:, :1])
    assert np.array_equal(found, np.tile(found[:3], 10))
    assert len(set(found[:3].tolist())) == 3
