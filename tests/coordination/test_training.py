"""align/coordination/training.py and checkpoints.py: the loop, its journal, and going on after an interruption."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

from align.coordination import bundle_files, fit_coordination
from align.coordination import training as loop
from align.coordination.loop.journal import PARTS, Journal
from align.coordination.losses.batch_loss import BatchLoss
from align.errors import InputError, ResourceError
from tests.coordination.sessions import TINY, made_session

SESSIONS = [made_session(seed, n_notes=3) for seed in range(9)]  # enough to hold some people out
PLAN = dataclasses.replace(TINY, epochs=3, batch=2, dropout=0.1)
EVERYTHING = {"average": 0.9, "augment": ("jitter", "time-warp"), "longest": 24, "objective": None}


class Stop(Exception):
    """Stands for a process that dies."""


class Shelf:
    """Keeps what a journal is given; dies when it has kept so many checkpoints."""

    def __init__(self, dies_after=None, every=1, shelf=None):
        self.kept = dict(shelf or {})
        self.lines, self.dies_after, self.count = [], dies_after, 0
        self.journal = Journal(self.lines.append, self.keep, self.kept.get, every)

    def keep(self, name, data):
        self.kept[name] = data
        self.count += 1
        if self.count == self.dies_after:
            raise Stop


def timeless(lines):
    return [{k: v for k, v in line.items() if not k.endswith("_s") and k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted():
    shelf = Shelf()
    files = bundle_files(fit_coordination(SESSIONS, PLAN, journal=shelf.journal))
    return files, shelf


def test_checkpoints_and_lines_change_nothing(uninterrupted):
    assert bundle_files(fit_coordination(SESSIONS, PLAN)) == uninterrupted[0]


@pytest.mark.parametrize("dies_after", [1, 12, 20])
def test_M06_resumed_equals_uninterrupted(uninterrupted, dies_after):
    """In the first epoch and between two, of the network that holds people out and of the last one."""
    files, whole = uninterrupted
    first = Shelf(dies_after)
    with pytest.raises(Stop):
        fit_coordination(SESSIONS, PLAN, journal=first.journal)
    second = Shelf(shelf=first.kept)
    assert bundle_files(fit_coordination(SESSIONS, PLAN, journal=second.journal)) == files
    assert second.count < whole.count, "what was done is not done again"
    assert timeless(second.lines) == timeless(whole.lines)


def test_M06_with_average_augmentation_and_patience_and_killed_twice():
    plan = dataclasses.replace(PLAN, epochs=5, patience=2, **EVERYTHING)
    wanted = bundle_files(fit_coordination(SESSIONS, plan))
    shelf = Shelf(5, every=2)
    for dies_after in (4, None):
        with pytest.raises(Stop):
            fit_coordination(SESSIONS, plan, journal=shelf.journal)
        shelf = Shelf(dies_after, every=3, shelf=shelf.kept)
        if dies_after is None:
            assert bundle_files(fit_coordination(SESSIONS, plan, journal=shelf.journal)) == wanted


def test_a_checkpoint_is_no_pickle_and_names_no_note(uninterrupted):
    for data in uninterrupted[1].kept.values():
        assert data[:1] not in (b"\x80", b"P") and int.from_bytes(data[:8], "little") < len(data)
        for text in ("waved", "slowly", "shook"):
            assert text.encode() not in data


# --- the journal


def test_every_epoch_has_a_line(uninterrupted):
    _, shelf = uninterrupted
    names = [(line["training"], line["epoch"]) for line in shelf.lines]
    assert names == [(name, epoch) for name in ("held-out", "final") for epoch in (1, 2, 3)]
    for line in shelf.lines:
        json.dumps(line, allow_nan=False)
        assert tuple(line["parts"]) == PARTS and line["loss"] == pytest.approx(sum(line["parts"].values()))
        assert line["epochs"] == 3 and line["frames_per_s"] > line["sessions_per_s"] > 0
        assert (line["held_out"] is None) == (line["training"] == "final")
    assert [line["step"] for line in shelf.lines] == [4, 8, 12, 5, 10, 15]
    assert shelf.lines[-1]["loss"] < shelf.lines[3]["loss"]


# --- what the plan asks for


def test_the_held_out_loss_ends_training_and_the_last_network_makes_as_many_passes():
    """A learning rate that only does harm: the first epochs are the best ones."""
    plan = dataclasses.replace(PLAN, epochs=30, learning_rate=0.5, patience=2)
    shelf = Shelf(every=0)
    fit_coordination(SESSIONS, plan, journal=shelf.journal)
    losses = [line["held_out"] for line in shelf.lines if line["training"] == "held-out"]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 30
    assert len(shelf.lines) - len(losses) == best


def test_the_average_follows_the_weights():
    seen = []

    class Network:
        def state_dict(self):
            return {"w": torch.tensor([float(len(seen))])}

    class Held:
        coordinator = Network()

    state = loop.TrainingState(Held(), None, average={"w": torch.zeros(1)})
    wanted = 0.0
    for step in range(40):
        state.step = step
        seen.append(step)
        decay = min(0.8, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * len(seen)
        loop._averaged(state, 0.8)
    assert state.average["w"].item() == pytest.approx(wanted, rel=1e-5)


def test_an_average_is_another_model():
    usual, averaged = (
        bundle_files(fit_coordination(SESSIONS[:3], dataclasses.replace(PLAN, average=a))) for a in (0.0, 0.9)
    )
    assert usual["model.safetensors"] != averaged["model.safetensors"]


def test_bfloat16_layers_end_near_float32_and_the_kept_weights_are_float32():
    models = [
        fit_coordination(SESSIONS[:3], dataclasses.replace(PLAN, precision=p))
        for p in ("float32", "bfloat16")
    ]
    exact, half = (m.network.state_dict() for m in models)
    assert all(v.dtype == torch.float32 for v in half.values())
    assert any(not torch.equal(exact[k], half[k]) for k in exact)
    session = made_session(40)
    a, b = (m.evidence(session).log_odds for m in models)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit_coordination(SESSIONS[:2], dataclasses.replace(PLAN, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


# --- faults


@pytest.mark.parametrize("change", [{"seed": 1}, {"epochs": 4}, {"width": 24}, {"loss": "siglip"}])
def test_M06_a_checkpoint_of_other_settings_is_refused(uninterrupted, change):
    shelf = Shelf(shelf=uninterrupted[1].kept)
    with pytest.raises(InputError, match="E-CHECKPOINT"):
        fit_coordination(SESSIONS, dataclasses.replace(PLAN, **change), journal=shelf.journal)


def test_M06_a_checkpoint_of_other_sessions_is_refused(uninterrupted):
    shelf = Shelf(shelf=uninterrupted[1].kept)
    with pytest.raises(InputError, match="E-CHECKPOINT"):
        fit_coordination([*SESSIONS[:-1], made_session(99)], PLAN, journal=shelf.journal)


def test_M02_a_damaged_checkpoint_is_refused(uninterrupted):
    good = uninterrupted[1].kept["held-out"]
    rng = np.random.default_rng(0)
    broken = [good[: len(good) // 2], good + b"\0", b"", b"\xff" * 100, pickle.dumps({"a": 1})]
    for position in rng.integers(0, len(good), 30):
        flipped = bytearray(good)
        flipped[position] ^= 1 << int(rng.integers(0, 8))
        broken.append(bytes(flipped))
    for data in broken:
        with pytest.raises(InputError, match="E-CHECKSUM"):
            loop.TrainingState(None, None).resume(data, "any")
    with pytest.raises(InputError, match="E-CHECKSUM"):
        fit_coordination(SESSIONS, PLAN, journal=Shelf(shelf={"held-out": broken[-1]}).journal)


def test_M07_a_loss_that_is_not_finite_stops_training_at_the_step_and_the_last_good_is_kept(monkeypatch):
    honest, calls = BatchLoss.forward, []

    def spoilt(self, pieces):
        calls.append(1)
        parts = honest(self, pieces)
        return parts if len(calls) <= 3 else {**parts, "frames": parts["frames"] * float("nan")}

    shelf, plan = Shelf(), dataclasses.replace(PLAN, batch=1)
    monkeypatch.setattr(BatchLoss, "forward", spoilt)
    with pytest.raises(InputError, match=r"E-TRAIN-DEGENERATE.*step 4"):
        fit_coordination(SESSIONS[:2], plan, journal=shelf.journal)
    assert shelf.count == 3
    monkeypatch.setattr(BatchLoss, "forward", honest)
    assert fit_coordination(SESSIONS[:2], plan, journal=shelf.journal).network is not None


def test_M07_a_gradient_that_is_not_finite_stops_training(monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))
    with pytest.raises(InputError, match="E-TRAIN-DEGENERATE"):
        fit_coordination(SESSIONS[:2], PLAN)


def test_M08_memory_that_runs_out_anywhere_in_a_step_is_exit_5(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(BatchLoss, "forward", full)
    with pytest.raises(ResourceError, match="E-DEVICE-MEMORY") as caught:
        fit_coordination(SESSIONS[:1], PLAN)
    assert caught.value.exit_code == 5
