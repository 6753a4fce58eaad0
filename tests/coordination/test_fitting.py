"""align/coordination/fitting.py: small sessions in, a model that aligns one it never saw."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import align
from align.clock import span_iou
from align.coordination import TrainingPlan, bundle_files, fit_coordination, fitting
from align.coordination.functions.table import OBJECTIVES
from align.coordination.saved.provenance import session_hash
from align.datatypes import Note, Session, Stream
from align.errors import InputError, ParameterError, ResourceError
from align.features import natural_hop
from align.features.captions import describe
from align.features.heartbeats import BEAT_S
from align.matching.captioned import caption_odds
from tests.coordination.sessions import TINY, made_session, true_spans, untold

QUICK = dataclasses.replace(TINY, epochs=1)


def on_both_arms(session):
    """The same with a second stream, which shows what happens more clearly than the first."""
    (left,) = session.streams
    noise = np.random.default_rng([*session.name.encode()]).normal(0.0, 2.0, left.values.shape)
    right = dataclasses.replace(left, values=left.values.copy(), name="right")
    left = dataclasses.replace(left, values=(left.values + noise).astype(np.float32))
    return dataclasses.replace(session, streams=(left, right))


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


def test_a_session_that_lacks_a_stream_of_training_is_aligned():
    """The default plan lets streams and channels be missing at times in training."""
    lessons = [on_both_arms(made_session(seed, n_notes=8)) for seed in range(7)]  # too few to hold some out
    found = {}
    for augment in ((), TrainingPlan().augment):
        model = fit_coordination(lessons, dataclasses.replace(TINY, augment=augment, epochs=40))
        whole = [on_both_arms(made_session(seed)) for seed in range(50, 54)]
        asked = [dataclasses.replace(s, streams=s.streams[:1]) for s in whole]
        iou = [span_iou(align.match(untold(s), model).spans, true_spans(s)) for s in asked]
        found[augment] = float(np.concatenate(iou).mean())
    assert found[TrainingPlan().augment] > max(0.75, found[()] + 0.15)


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
    sessions = [made_session(seed, n_notes=n, timed=True) for seed, n in ((0, 3), (1, 6), (2, 6))]
    median, plan = float(np.median([s.end - s.start for s in sessions])), dataclasses.replace(QUICK, hop=None)
    assert fit_coordination(sessions, plan).layout.hop == natural_hop(median, fitting._FINER * 6.0)
    weak = [untold(s) for s in sessions]
    assert fit_coordination(weak, plan).layout.hop == natural_hop(median, fitting._FINER * 6.0)


def test_a_heart_is_seen_beat_by_beat():
    def heart(seed):
        session = made_session(seed, n_notes=6)
        noise = np.random.default_rng(seed).normal(0, 0.1, (int(100 * session.end), 1))
        lead = Stream(noise, rate=100.0, name="heart", channels=("ecg",), units=("mV",))
        return dataclasses.replace(session, streams=(lead,))

    plan = dataclasses.replace(QUICK, hop=None)
    model = fit_coordination([heart(0), heart(1)], plan)
    assert model.layout.hop == BEAT_S
    assert model.findings(heart(2)) == ()
    finer = [made_session(seed, n_notes=6) for seed in (0, 1)]
    assert fit_coordination(finer, plan).layout.hop < BEAT_S


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


def test_M07_all_notes_of_one_meaning_still_train():
    session = made_session(0)
    same = tuple(dataclasses.replace(span, label="one") for span in session.truth)
    model = fit_coordination([dataclasses.replace(session, truth=same)], QUICK)
    assert np.isfinite(model.evidence(untold(session)).log_odds).all()


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
        {"average": 1.0},
        {"patience": 0},
        {"precision": "float16"},
        {"function": "sine"},
        {"loss": "none"},
        {"objective": "fame"},
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


def test_a_model_knows_what_it_was_made_from_and_no_text_is_in_it():
    sessions = [made_session(seed, n_notes=3) for seed in range(2)]
    made = fit_coordination(sessions, QUICK).provenance
    assert (made.n_sessions, made.n_labelled, made.n_people, made.n_notes) == (2, 2, 2, 6)
    assert made.version == align.__version__ and made.hours > 0
    assert made.data == tuple(sorted(session_hash(s) for s in sessions))
    other = dataclasses.replace(sessions[0].truth[0], text="something else")
    reworded = dataclasses.replace(sessions[0], truth=(other, *sessions[0].truth[1:]))
    assert session_hash(reworded) == session_hash(sessions[0]), (
        "a guessed text cannot be confirmed by its hash"
    )
    moved = dataclasses.replace(other, end=other.end + 1.0)
    assert session_hash(dataclasses.replace(sessions[0], truth=(moved,))) != session_hash(sessions[0])


@pytest.mark.parametrize("choice", [{"function": "rbf"}, {"loss": "siglip"}, {"objective": "relational"}])
def test_functions_losses_and_objectives_are_used_and_come_back(choice, tmp_path):
    """Another choice is another model, which answers after a round trip as before."""
    if choice.get("objective") not in (None, *OBJECTIVES):
        choice = {"objective": next(iter(OBJECTIVES))}
    sessions = [made_session(seed, n_notes=4) for seed in range(2)]
    usual, chosen = (fit_coordination(sessions, dataclasses.replace(QUICK, **c)) for c in ({}, choice))
    for name, data in bundle_files(chosen).items():
        (tmp_path / name).write_bytes(data)
    loaded, session = align.load_coordination(tmp_path), untold(made_session(9, n_notes=3))
    np.testing.assert_array_equal(loaded.evidence(session).log_odds, chosen.evidence(session).log_odds)
    assert np.abs(usual.evidence(session).log_odds - chosen.evidence(session).log_odds).max() > 1e-4


def test_embeddings_say_what_the_evidence_says(trained):
    session = untold(made_session(60))
    table, embedded, nothing, _ = trained.embed(session)
    texts = trained.embed_texts([note.text for note in session.notes])
    assert embedded.shape == (table.n_frames, trained.plan.dimension) and nothing.shape == (table.n_frames,)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1.0, atol=1e-5)
    evidence = dataclasses.replace(trained, captions=0.0).evidence(session)
    odds = float(trained.network.scale.detach()) * (embedded @ texts.T) - nothing[:, None]
    np.testing.assert_allclose(evidence.log_odds, trained.sharpness * odds, atol=1e-4)
    assert not trained.embed_texts([" "]).any() and trained.embed_texts([]).shape == (
        0,
        trained.plan.dimension,
    )
    with pytest.raises(InputError, match="E-MODEL-EMPTY"):
        dataclasses.replace(trained, network=None).embed(session)


# --- captions beside the network


def test_captions_count_where_few_are_labelled_and_no_note_was_placed_by_them():
    sessions = [made_session(seed) for seed in range(3)]
    assert fit_coordination(sessions, TINY).captions == 1.0
    assert fit_coordination([untold(s) for s in sessions], TINY).captions == 0.0
    assert fit_coordination([sessions[0], untold(sessions[1])], TINY).captions == 0.0


def test_captions_are_added_to_what_the_network_says(trained):
    session = untold(made_session(61))
    both = dataclasses.replace(trained, captions=0.5).evidence(session)
    alone = dataclasses.replace(trained, captions=0.0).evidence(session)
    vectors = trained.encoder.encode([note.text for note in session.notes])
    made = describe(session, alone.hop)
    said = caption_odds(made, trained.encoder, vectors, alone.first, len(alone.observed))
    assert np.abs(said).max() > 0.01
    np.testing.assert_allclose(both.log_odds, alone.log_odds + 0.5 * said, atol=1e-6)
    silent = dataclasses.replace(session, notes=(Note("  "), *session.notes))
    assert not dataclasses.replace(trained, captions=1.0).evidence(silent).log_odds[:, 0].any()
