"""align/coordination/saved/card.py: what a card says is what the model holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.answers import Calibration
from align.coordination.saved.card import model_card
from align.datatypes import Stream
from align.errors import InputError
from align.features.heartbeats import beat_names
from tests.coordination.sessions import made_session


def test_a_card_says_what_the_model_holds(trained):
    card = model_card(trained)
    made = trained.provenance
    for said in (
        trained.hash[:12],
        "| wrist | a, b |",
        "`hashed-512",
        "4 sessions of 4 people",
        "true spans known in 4 of them. 24 notes",
        made.data[0][:12],
        "Not measured",
        "loss `nce`",
    ):
        assert said in card, said


def test_a_card_lists_the_channels_of_the_source(trained):
    def named(*columns: str) -> str:
        layout = dataclasses.replace(
            trained.layout,
            channels=(columns,),
            units=(("",) * len(columns),),
            shift=np.zeros(len(columns), np.float32),
            scale=np.ones(len(columns), np.float32),
            falls=np.zeros((0, 8), np.float32),
        )
        return model_card(dataclasses.replace(trained, layout=layout)).split("|---|---|---|\n")[1]

    bands = [f"mel{i:02d}.{k}" for k in ("mean", "sd") for i in range(40)]
    assert named(*bands, "loudness").startswith("| wrist | mel00 to mel39, loudness | unknown |")
    assert named("v.1.mean", "v.1.sd", "acc_x.mean", "acc_*.mean", "acc_*up.sd").startswith(
        "| wrist | v.1, acc_x |"
    )
    beats = beat_names(Stream(np.zeros(900), 360.0, channels=("MLII",), units=("mV",)))
    assert named("MLII.mean", *beats).startswith("| wrist | MLII |")


def test_S18_a_card_names_no_note(trained):
    card = model_card(trained)
    for seed in range(4):
        assert not any(span.text in card for span in made_session(seed).truth)


def test_a_card_shows_what_probabilities_were_worth(trained):
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    known = Calibration(points, points, 50, np.array([[0.625, 0.5, 30.0]]), np.array([[0.9, 0.875, 8.0]]))
    card = model_card(trained.with_confidence(0.02, known))
    assert "Calibrated on 50 notes" in card
    assert "| a span | 0.62 | 0.50 | 30 |" in card and "| unmatched | 0.90 | 0.88 | 8 |" in card


def test_a_card_of_an_older_or_an_untrained_model(trained):
    assert "older than such records" in model_card(dataclasses.replace(trained, provenance=None))
    with pytest.raises(InputError, match="E-MODEL-EMPTY"):
        model_card(dataclasses.replace(trained, network=None))
