"""align/coordination/training.py: small sessions in, a model that aligns one it never saw."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import align
from align.clock import span_iou
from align.coordination import TrainingPlan, bundle_files, fit_coordination, training
from align.datatypes import Note, Session
from align.errors import InputError, ParameterError, ResourceError
from align.features import natural_hop
from tests.coordination.sessions import TINY, made_session, true_spans, untold

QUICK = dataclasses.replace(TINY, epochs=1)


def mean_iou(model, seeds=(50, 51, 52)):
    found = []
    for seed in seeds:
        session = made_session(seed)
        found.append(span_iou(align.match(untold(session), model).spans, true_spans(session)))
    return float(np.concatenate(found).mean())


def test_an_unseen_session_is_aligned(trained):
    assert mean_iou(trained) > 0.6


def test_another_wording_of_what_was_learned_is_understood(trained):
    session = made_session(50)
    reworded = tuple(Note(note.text.replace("waved", "waving")) for note in session.notes)
    alignment = align.match(Session("s", session.streams, reworded), trained)
    assert span_iou(alignment.spans, true_spans(session)).mean() > 0.6


def test_sessions_without_truth_teach_by_the_times_of_their_notes():
    """Beats what the times alone say of a session whose notes have none: order and expected durations."""
    model = fit_coordination([made_session(seed, truth=False, timed=True) for seed in range(5)], TINY)
    blind = dataclasses.replace(model, network=None)
    assert mean_iou(model) > mean_iou(blind) + 0.2
    assert abs(model.lag) < 1.0 and model.lag_sd < 3.0  # the times were near the middles


def test_truth_is_used_where_there_is_some_and_notes_where_not():
    sessions = [made_session(0), made_session(1), made_session(2, truth=False, timed=True)]
    assert mean_iou(fit_coordination(sessions, TINY)) > 0.6


def test_P10_the_same_seed_gives_the_same_bytes():
    sessions = [made_session(seed, n_notes=3) for seed in range(2)]
    first, second = (bundle_files(fit_coordination(sessions, QUICK)) for _ in range(2))
    assert first == second
    other = bundle_files(fit_coordination(sessions, dataclasses.replace(QUICK, seed=1)))
    assert other["model.safetensors"] != first["model.safetensors"]


def test_progress_is_told_and_ends():
    told = []
    fit_coordination([made_session(0), made_session(1)], QUICK, lambda *about: told.append(about))
    assert {stage for stage, _, _ in told} == {"features", "training"}
    assert ("features", 2, 2) in told and told[-1] == ("training", 1, 1)


def test_the_hop_is_chosen_from_the_sessions():
    sessions = [made_session(seed, n_notes=n) for seed, n in ((0, 3), (1, 6), (2, 6))]
    model = fit_coordination(sessions, dataclasses.replace(QUICK, hop=None))
    assert model.layout.hop == natural_hop(float(np.median([s.end - s.start for s in sessions])), 6)


def test_long_sessions_are_cut_and_short_ones_padded():
    plan = dataclasses.replace(QUICK, longest=16, epochs=2)
    sessions = [made_session(0, n_notes=6), made_session(1, n_notes=1)]
    assert fit_coordination(sessions, plan).network is not None


def test_one_session_one_step():
    assert fit_coordination([made_session(0)], QUICK).network is not None


# --- faults


@pytest.mark.parametrize("notes", [(), (Note("sat"),), (Note("sat"), Note("sat"), Note(" "))])
def test_N02_too_few_pairs(notes):
    session = Session("p1", made_session(0).streams, notes)
    with pytest.raises(InputError, match="E-TOO-FEW-PAIRS"):
        fit_coordination([session], QUICK)


def test_no_sessions():
    with pytest.raises(InputError, match="E-TOO-FEW-PAIRS"):
        fit_coordination([], QUICK)


def test_a_session_without_notes_beside_others_teaches_nothing():
    bare = Session("p9", made_session(9).streams)
    assert fit_coordination([made_session(0), bare], QUICK).network is not None
    weak = [made_session(seed, truth=False, timed=True, n_notes=3) for seed in range(2)]
    assert fit_coordination([*weak, bare], dataclasses.replace(QUICK, rounds=1)).network is not None


def test_M07_a_loss_that_is_not_finite_stops_training(monkeypatch):
    monkeypatch.setattr(training, "_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(InputError, match="E-TRAIN-DEGENERATE"):
        fit_coordination([made_session(0)], QUICK)


def test_M07_all_notes_of_one_meaning_still_train():
    session = made_session(0)
    same = tuple(dataclasses.replace(span, label="one") for span in session.truth)
    model = fit_coordination([dataclasses.replace(session, truth=same)], QUICK)
    assert np.isfinite(model.evidence(untold(session)).log_odds).all()


def test_M08_memory_that_runs_out_anywhere_in_a_step_is_exit_5(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training, "_loss", full)
    with pytest.raises(ResourceError, match="E-DEVICE-MEMORY") as caught:
        fit_coordination([made_session(0)], QUICK)
    assert caught.value.exit_code == 5


def test_M08_a_device_that_is_not_there():
    with pytest.raises(ResourceError, match="E-DEVICE"):
        fit_coordination([made_session(0)], dataclasses.replace(QUICK, device="cuda:99"))


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"width": 10**9},
        {"dropout": 1.0},
        {"learning_rate": float("nan")},
        {"hop": 0.0},
        {"hop": float("nan")},
        {"dilations": ()},
        {"dilations": (0,)},
        {"seed": -1},
        {"longest": 1},
    ],
)
def test_S17_a_plan_out_of_range_is_refused(change):
    with pytest.raises(ParameterError, match=next(iter(change))):
        TrainingPlan(**change)


def test_M09_cuda_and_cpu_agree():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    model = fit_coordination(
        [made_session(seed) for seed in range(4)], dataclasses.replace(TINY, device="cuda")
    )
    assert mean_iou(model) > 0.6
    assert next(model.network.parameters()).device.type == "cpu"
