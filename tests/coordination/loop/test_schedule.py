"""align/coordination/loop/schedule.py: the rate of every step, who is seen when, and a seed for every place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.loop.schedule import Schedule, seed_of


@pytest.mark.parametrize(("n", "batch", "epochs"), [(7, 2, 5), (28, 4, 30), (3, 1, 2), (9, 2, 3)])
def test_the_cycle_is_that_of_torch(n, batch, epochs):
    schedule = Schedule(n, batch, epochs, 2e-3, 0)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=schedule.steps, pct_start=0.2)
    for step in range(schedule.steps):
        (group,) = optimiser.param_groups
        assert schedule.learning_rate(step) == pytest.approx(group["lr"], rel=1e-9)
        assert schedule.momentum(step) == pytest.approx(group["betas"][0], rel=1e-9)
        optimiser.step()
        if step + 1 < schedule.steps:
            theirs.step()


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**63 - 1))
@settings(max_examples=40, deadline=None)
def test_P06_every_pass_sees_every_example_once(n, batch, epochs, seed):
    schedule = Schedule(n, batch, epochs, 1.0, seed)
    for epoch in range(epochs):
        steps = range(epoch * schedule.per_epoch, (epoch + 1) * schedule.per_epoch)
        assert sorted(i for step in steps for i in schedule.examples(step)) == list(range(n))
        assert {schedule.epoch(step) for step in steps} == {epoch}
        assert [schedule.ends_epoch(step) for step in steps] == [False] * (len(steps) - 1) + [True]
    rates = [schedule.learning_rate(step) for step in range(schedule.steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert schedule.steps < 10 or max(rates) > 0.5


def test_passes_and_seeds_differ_in_their_order():
    schedule = Schedule(50, 50, 2, 1.0, 0)
    first, second = list(schedule.examples(0)), list(schedule.examples(1))
    assert first != second and first != list(Schedule(50, 50, 2, 1.0, 1).examples(0))


def test_every_place_has_a_seed_of_its_own():
    seeds = {seed_of(seed, step, rank) for seed in range(3) for step in range(50) for rank in range(4)}
    assert len(seeds) == 600 and all(0 <= s < 2**63 for s in seeds)
    assert seed_of(2**63 - 1, 7) == seed_of(2**63 - 1, 7)
