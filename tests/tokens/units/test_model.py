"""align/tokens/units: masked prediction learns what context tells, the same every time, and can be interrupted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from align.errors import InputError, ParameterError
from align.sealed import opened, sealed
from align.tokens.units.corpus import Scale, fit_scale, scaled_table, windows
from align.tokens.units.learning import Lesson, masked_accuracy, masked_learning
from align.tokens.units.model import Units, fit_units, segment_embeddings, units_from_bytes
from align.tokens.units.network import unit_network
from align.tokens.units.plan import PRESETS, Alone, Notes, UnitPlan

PLAN = UnitPlan(
    n_codes=4, rounds=2, epochs=6, batch=4, window=48, mask_length=3, width=16, layers=2, heads=2, dropout=0.0
)
CPU = torch.device("cpu")


def switching(n_recordings: int, n: int, seed: int, states: int = 4) -> list[np.ndarray]:
    """A cycle of states that each last 6 to 9 frames, seen through noise: context tells what is hidden."""
    random = np.random.default_rng(seed)
    levels = np.random.default_rng(99).normal(size=(states, 3)) * 4
    found = []
    for _ in range(n_recordings):
        state, codes = int(random.integers(states)), []
        while len(codes) < n:
            codes += [state] * int(random.integers(6, 10))
            state = (state + 1) % states
        found.append(levels[codes[:n]] + 0.3 * random.normal(size=(n, 3)))
    return found


@pytest.fixture(scope="module")
def learned() -> list[Units]:
    return fit_units(switching(12, 200, 0), PLAN)


def test_masked_tokens_of_new_recordings_are_guessed_far_better_than_by_the_commonest(learned) -> None:
    accuracy, unigram = learned[0].accuracy(switching(3, 150, 1))
    assert unigram < 0.4
    assert accuracy > unigram + 0.3
    again, _ = learned[1].accuracy(switching(3, 150, 1), learned[0])
    assert again > unigram + 0.3


def test_the_loss_falls_and_every_epoch_has_a_line(learned) -> None:
    for units in learned:
        losses = [line["loss"] for line in units.lines]
        assert len(losses) == PLAN.epochs
        assert losses[-1] < 0.75 * losses[0]
        assert all(0 <= line["accuracy"] <= 1 for line in units.lines)


def test_without_context_nothing_is_learned() -> None:
    """Frames drawn one by one: what is masked cannot be known, and the score says so."""
    random = np.random.default_rng(0)
    levels = random.normal(size=(4, 3)) * 4
    noise = [levels[random.integers(4, size=200)] + 0.1 * random.normal(size=(200, 3)) for _ in range(6)]
    accuracy, unigram = fit_units(noise, dataclasses.replace(PLAN, rounds=1, epochs=3))[0].accuracy(noise)
    assert accuracy < unigram + 0.1


def test_embeddings_tell_the_states_apart_and_frames_of_one_state_are_alike(learned) -> None:
    recording = switching(1, 150, 5)[0]
    tokens = learned[1].tokens(recording)
    levels = np.random.default_rng(99).normal(size=(4, 3)) * 4
    truth = np.argmin(((recording[:, None] - levels) ** 2).sum(-1), axis=1)
    table = np.zeros((4, PLAN.n_codes))
    np.add.at(table, (truth, tokens), 1)
    assert table.max(axis=0).sum() / len(truth) > 0.7
    embedding = learned[1].embed(recording)
    assert embedding.shape == (150, PLAN.width)
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()


def test_the_same_recordings_give_the_same_bytes_whatever_the_random_state(learned) -> None:
    plan = dataclasses.replace(PLAN, epochs=1, dropout=0.2)
    data = switching(3, 100, 0)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = fit_units(data, plan)[-1].as_bytes()
    assert torch.equal(state, torch.get_rng_state()), "the caller's random state is left alone"
    torch.manual_seed(2)
    assert fit_units(data, plan)[-1].as_bytes() == first
    assert fit_units(data, dataclasses.replace(plan, seed=1))[-1].as_bytes() != first


class Interrupted(Exception):
    """The power fails."""


@pytest.mark.parametrize("at", [2, 5, 9])
def test_M06_a_training_goes_on_where_it_was_interrupted_and_ends_in_the_same_bytes(at: int) -> None:
    plan = dataclasses.replace(PLAN, epochs=2, dropout=0.2)
    data = switching(4, 100, 0)
    kept: dict[str, bytes] = {}
    calls = 0

    def keep(name: str, checkpoint: bytes) -> None:
        nonlocal calls
        kept[name] = checkpoint
        calls += 1
        if calls == at:
            raise Interrupted

    with pytest.raises(Interrupted):
        fit_units(data, plan, notes=Notes(keep=keep, kept=kept.get, every=1))
    lines: list[Mapping[str, object]] = []
    resumed = fit_units(data, plan, notes=Notes(line=lines.append, kept=kept.get))
    assert [r.as_bytes() for r in resumed] == [r.as_bytes() for r in fit_units(data, plan)]
    assert [(line["training"], line["epoch"]) for line in lines] == [
        (f"units {turn}", epoch) for turn in (1, 2) for epoch in (1, 2)
    ]


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused() -> None:
    plan = dataclasses.replace(PLAN, epochs=1, rounds=1)
    kept: dict[str, bytes] = {}
    fit_units(switching(2, 60, 0), plan, notes=Notes(keep=kept.__setitem__, kept=lambda name: None, every=1))
    with pytest.raises(InputError, match="E-CHECKPOINT"):
        fit_units(switching(2, 60, 1), plan, notes=Notes(kept=kept.get))
    damaged = kept["units 1"][:-1] + bytes([kept["units 1"][-1] ^ 1])
    with pytest.raises(InputError, match="E-CHECKSUM"):
        fit_units(switching(2, 60, 0), plan, notes=Notes(kept=lambda name: damaged))


def test_units_are_saved_and_read_back_whole(learned) -> None:
    again = units_from_bytes(learned[1].as_bytes())
    recording = switching(1, 120, 7)[0]
    assert np.array_equal(again.embed(recording), learned[1].embed(recording))
    assert np.array_equal(again.tokens(recording), learned[1].tokens(recording))
    assert again.as_bytes() == learned[1].as_bytes()


def test_M02_a_damaged_model_or_one_of_another_version_is_refused(learned) -> None:
    data = bytearray(learned[0].as_bytes())
    data[-3] ^= 4
    with pytest.raises(InputError, match="E-CHECKSUM"):
        units_from_bytes(bytes(data))
    about, arrays = opened(learned[0].as_bytes(), "units", "")
    with pytest.raises(InputError, match="E-MODEL-VERSION"):
        units_from_bytes(sealed({**about, "format": "align-units/99"}, arrays))
    less = {k: v for k, v in arrays.items() if k != "centroids"}
    for broken in (sealed(about, less), sealed({**about, "plan": {**about["plan"], "width": 32}}, arrays)):
        with pytest.raises(InputError, match="E-MODEL-BROKEN"):
            units_from_bytes(broken)
    arrays["weight.blank"] = np.full_like(arrays["weight.blank"], np.nan)
    with pytest.raises(InputError, match="E-MODEL-NONFINITE"):
        units_from_bytes(sealed(about, arrays))


def test_gaps_are_not_seen_not_predicted_and_embedded_as_nan(learned) -> None:
    recording = switching(1, 100, 3)[0]
    holed = recording.copy()
    holed[40:60] = np.nan
    embedding = learned[0].embed(holed)
    assert np.isnan(embedding[40:60]).all()
    assert np.isfinite(np.delete(embedding, np.s_[40:60], axis=0)).all()
    assert (learned[0].tokens(holed)[40:60] == -1).all()
    partly = recording.copy()
    partly[10, 0] = np.nan  # a missing cell is the typical value, not a gap
    assert np.isfinite(learned[0].embed(partly)).all()


def test_what_stands_in_a_gap_changes_nothing(learned) -> None:
    """Frames that were not seen are looked at by nobody."""
    table = scaled_table(switching(1, 40, 3)[0], learned[0].scale)
    seen = np.ones((1, 40), np.bool_)
    seen[0, 15:25] = False
    found = []
    for junk in (0.0, 5.0):
        rows = table.rows.copy()
        rows[15:25] = junk
        network = learned[0].network
        with torch.inference_mode():
            out = network.context(network.enter(torch.from_numpy(rows)[None]), torch.from_numpy(seen))
        found.append(out[0][torch.from_numpy(seen[0])].numpy())
    assert np.array_equal(found[0], found[1])


def test_long_recordings_are_read_in_windows(learned) -> None:
    recording = np.concatenate(switching(3, 200, 3))
    embedding = learned[0].embed(recording)
    assert embedding.shape == (600, PLAN.width)
    assert np.isfinite(embedding).all()
    short = learned[0].embed(recording[: PLAN.window])
    assert np.array_equal(embedding[: PLAN.window // 2], short[: PLAN.window // 2])
    for n in (1, 2, PLAN.window - 1, PLAN.window, PLAN.window + 1, 2 * PLAN.window):
        assert np.isfinite(learned[0].embed(recording[:n])).all()


def test_windows_cover_every_frame_once_and_mask_about_the_wanted_share() -> None:
    plan = dataclasses.replace(PLAN, mask_share=0.4, window=64)
    tables = [scaled_table(r, fit_scale([r])) for r in switching(20, 300, 0)]
    tables[0].seen[:] = False
    order = windows(tables, plan, (0, 0))
    cells = [(w.recording, i) for w in order for i in range(w.first, w.last)]
    assert sorted(cells) == [(r, i) for r in range(1, 20) for i in range(300)]
    assert abs(np.mean(np.concatenate([w.masked for w in order])) - 0.4) < 0.06
    assert all(w.masked.any() for w in order)
    assert [w.first for w in order] != [w.first for w in windows(tables, plan, (0, 1))]


def test_a_network_of_ones_own_can_be_trained() -> None:
    """What another stage starts its encoder from: any entry and any context."""

    class Smooth(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.over = torch.nn.Conv1d(8, 8, 15, padding=7)

        def forward(self, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            return hidden + torch.relu(self.over(hidden.transpose(1, 2))).transpose(1, 2)

    from align.tokens.units.corpus import centroids_of, codes_of
    from align.tokens.units.network import MaskedNetwork

    data = switching(6, 200, 0)
    scale = fit_scale(data)
    tables = [scaled_table(r, scale) for r in data]
    centroids = centroids_of([t.rows for t in tables], 4, 0)
    torch.manual_seed(0)
    network = MaskedNetwork(torch.nn.Linear(3, 8), Smooth(), 8, len(centroids))
    plan = dataclasses.replace(PLAN, epochs=8)
    lesson = Lesson("own", 0, tables, [codes_of(t.rows, centroids) for t in tables], plan)
    masked_learning(network, lesson, CPU, Alone(), Notes())
    accuracy, unigram = masked_accuracy(network, lesson)
    assert accuracy > unigram + 0.2


def test_processes_share_the_batch_and_average_their_gradients() -> None:
    """Two processes, one after the other: the mean of their weighted gradients is that of one process."""
    data = switching(4, 48, 0)
    plan = dataclasses.replace(PLAN, rounds=1, epochs=1, batch=4, learning_rate=1e-12)
    total = sum(count_of(data, plan, Half(rank, None)) for rank in (0, 1))
    gradients = [gradients_of(data, plan, Half(rank, total)) for rank in (0, 1)]
    whole = gradients_of(data, plan, Alone())
    mean = [(a + b) / 2 for a, b in zip(*gradients, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(mean, whole, strict=True))


class Half(Alone):
    """One of two processes; ``total`` masked frames are in the batch."""

    def __init__(self, rank: int, total: int | None) -> None:
        super().__init__(rank, 2)
        object.__setattr__(self, "total", total)

    def weight(self, count: int) -> float:
        object.__setattr__(self, "own", count)
        return 1.0 if self.total is None else 2 * count / self.total


def count_of(data: list[np.ndarray], plan: UnitPlan, world: Half) -> int:
    fit_units(data, plan, world=world)
    return int(world.own)


def gradients_of(data: list[np.ndarray], plan: UnitPlan, world: Alone) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    clip = torch.nn.utils.clip_grad_norm_
    with pytest.MonkeyPatch.context() as patch:

        def noted(parameters, most):
            found.extend(p.grad.detach().clone() for p in parameters)
            return clip(parameters, most)

        patch.setattr(torch.nn.utils, "clip_grad_norm_", noted)
        fit_units(data, plan, world=world)
    return found


def test_segment_embeddings_are_means_of_the_frames_inside() -> None:
    embedding = np.arange(12, dtype=np.float32).reshape(6, 2)
    embedding[3] = np.nan
    spans = np.array([[1.0, 2.0], [2.0, 2.5], [2.5, 2.5], [3.0, 9.0]])
    found = segment_embeddings(embedding, 2, 0.5, spans)
    assert found[0].tolist() == [1.0, 2.0]
    assert found[1].tolist() == [4.0, 5.0]
    assert np.isnan(found[2]).all()
    assert np.array_equal(segment_embeddings(embedding, 2, 0.5, np.array([[2.5, 3.5]]))[0], embedding[4])


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_codes": 1},
        {"rounds": 0},
        {"mask_share": 1.0},
        {"heads": 5},
        {"precision": "half"},
        {"dropout": np.nan},
    ],
)
def test_numbers_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        UnitPlan(**wrong)


def test_recordings_that_nothing_can_be_learned_from_are_refused() -> None:
    with pytest.raises(ParameterError, match="gaps"):
        fit_units([np.full((30, 2), np.nan)], PLAN)
    with pytest.raises(ParameterError, match="one width"):
        fit_units([np.zeros((30, 2)), np.zeros((30, 3))], PLAN)
    with pytest.raises(ParameterError, match="recording"):
        scaled_table(np.zeros((5, 2)), Scale(np.zeros(3), np.ones(3)))
    with pytest.raises(ParameterError, match="batch"):
        fit_units([np.zeros((30, 2))], dataclasses.replace(PLAN, batch=1), world=Alone(0, 2))


def test_flat_recordings_have_one_token_and_do_no_harm() -> None:
    first, second = fit_units([np.ones((60, 2))], dataclasses.replace(PLAN, epochs=1))
    assert len(first.targets) == 1
    assert first.accuracy([np.ones((60, 2))]) == (1.0, 1.0)
    assert np.isfinite(second.embed(np.ones((60, 2)))).all()


def test_the_presets_fit_their_machines() -> None:
    assert PRESETS["cpu"].width <= 128
    assert (PRESETS["gpu"].precision, PRESETS["gpu"].compiled) == ("bfloat16", True)
    assert unit_network(4, 8, PRESETS["cpu"]).guess.out_features == 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_card_learns_too() -> None:
    plan = dataclasses.replace(PLAN, rounds=1, precision="bfloat16", compiled=True)
    units = fit_units(switching(12, 200, 0), plan, device=torch.device("cuda"))[0]
    accuracy, unigram = units.accuracy(switching(3, 150, 1))
    assert accuracy > unigram + 0.3


def test_bfloat16_learns_on_the_processor_too() -> None:
    plan = dataclasses.replace(PLAN, rounds=1, epochs=4, precision="bfloat16")
    units = fit_units(switching(8, 200, 0), plan)[0]
    accuracy, unigram = units.accuracy(switching(3, 150, 1))
    assert accuracy > unigram + 0.2
