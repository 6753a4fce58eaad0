"""The figures of a model's other uses, against the library's own answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from align.coordination import Coordination, load_coordination
from align.coordination.uses.embedded import embed_session
from align.coordination.uses.zero_shot import classify
from align.datatypes import Session, Span
from align.readers import Policy
from pipelines.config import RunConfig
from pipelines.evaluate import evaluate
from pipelines.train import read_sessions
from pipelines.uses import score_uses, spoken
from tests.cli.recordings import SAMPLES, schema

NAN = float("nan")


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Coordination:
    return load_coordination(tiny_model)


@pytest.fixture(scope="module")
def sessions() -> list[Session]:
    """Without their sound: quick to read."""
    paths = [SAMPLES / "p5", SAMPLES / "p6"]
    read = read_sessions(paths, notes_file="notes_untimed.txt", truth_file="truth.csv", policy=Policy())
    quick = [tuple(stream for stream in s.streams if stream.modality == "sensor") for s in read]
    return [dataclasses.replace(s, streams=streams) for s, streams in zip(read, quick, strict=True)]


def test_labels_as_one_would_say_them() -> None:
    assert spoken("STAND_TO_SIT") == "stand to sit" and spoken("AFib, fast") == "AFib, fast"


def test_the_parts_fit_the_schema_beside_the_alignment(model: Coordination, sessions: list[Session]) -> None:
    found = evaluate(sessions, "auto", RunConfig(), model)
    jsonschema.validate(found, schema("eval"))
    assert {"retrieval", "search", "zero_shot"} < set(found)
    rows = [row for s in sessions for row in s.truth or () if np.isfinite(row.start)]
    ranking = found["retrieval"]["span_to_text"]  # type: ignore[index]
    assert (ranking["n_queries"], ranking["n_items"]) == (len(rows), len({row.text for row in rows}))
    assert found["zero_shot"]["n_labels"] == len({row.label for row in rows})  # type: ignore[index]


def test_accuracy_and_majority_by_a_loop(model: Coordination, sessions: list[Session]) -> None:
    found = score_uses(model, sessions)["zero_shot"]
    labels = sorted({spoken(r.label) for s in sessions for r in s.truth or () if np.isfinite(r.start)})
    right, counts = 0, dict.fromkeys(labels, 0)
    for session in sessions:
        answer = classify(model, embed_session(model, session), labels, none=False)
        for (start, end), choice in zip(answer.spans, answer.choices, strict=True):
            middle = (start + end) / 2
            true = [spoken(r.label) for r in session.truth or () if r.start <= middle < r.end]
            if true:
                counts[true[-1]] += 1
                right += labels[choice] == true[-1]
    total = sum(counts.values())
    assert found["n_frames"] == total  # type: ignore[index]
    assert found["accuracy"] == pytest.approx(right / total)  # type: ignore[index]
    assert found["majority"] == pytest.approx(max(counts.values()) / total)  # type: ignore[index]


def test_rows_without_span_or_words_are_left_out(model: Coordination, sessions: list[Session]) -> None:
    truth = (Span(NAN, NAN, "A", "walks"), Span(5.0, 9.0, "B", "..."), Span(900.0, 990.0, "C", "walks"))
    nothing = dataclasses.replace(sessions[0], notes=(), truth=truth)
    assert score_uses(model, [nothing]) == {}
    one = dataclasses.replace(sessions[0], notes=(), truth=(*truth, Span(10.0, 15.0, "D", "walks")))
    found = score_uses(model, [one])
    assert "zero_shot" not in found  # one label is no choice
    assert found["retrieval"]["text_to_span"]["n_queries"] == 1  # type: ignore[index]


def test_baselines_have_no_such_parts(model: Coordination, sessions: list[Session]) -> None:
    assert "retrieval" not in evaluate(sessions[:1], "equal-slices", RunConfig(), model)
