"""The answers: one link per note, probabilities that are probabilities, codes that a hash stands for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from align.answers import Alignment, Codebook, Evidence, Link, Meanings, TokenSequence
from align.datatypes import Note
from align.errors import ParameterError


def codebook(**change: object) -> Codebook:
    fields = {
        "centroids": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
        "shift": np.zeros(2),
        "scale": np.ones(2),
        "features": ("a", "b"),
        "names": ("x", "y", "z"),
    }
    return Codebook(**(fields | change))  # type: ignore[arg-type]


def test_V12_the_hash_of_a_codebook_is_of_what_decides_the_codes() -> None:
    same = codebook(names=("other", "names", "here"), seed=9)
    assert codebook().hash == same.hash and len(same.hash) == 64
    others = [
        codebook(centroids=np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 6.0]])),
        codebook(shift=np.array([0.0, 1e-3])),
        codebook(scale=np.array([1.0, 2.0])),
        codebook(features=("a", "c")),
        codebook(features=("a", "\udcff")),  # a channel name that was no UTF-8
    ]
    assert len({codebook().hash, *(c.hash for c in others)}) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"centroids": np.zeros(3)},
        {"centroids": np.full((3, 2), np.nan)},
        {"shift": np.array([0.0, np.inf])},
        {"scale": np.array([1.0, 0.0])},
        {"scale": np.ones(3)},
        {"features": ("a",)},
        {"names": ("x",)},
    ],
)
def test_M04_a_codebook_that_breaks_an_invariant_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        codebook(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"codes": [0]},
        {"codes": [[0, 1]]},
        {"features": np.zeros((3, 2))},
        {"spans": [[0.0, 2.0], [1.0, 3.0]]},
        {"spans": [[2.0, 3.0], [0.0, 1.0]]},
        {"spans": [[1.0, 0.0], [1.0, 2.0]]},
        {"spans": [[0.0, math.nan], [1.0, 2.0]]},
        {"spans": [0.0, 1.0]},
    ],
)
def test_tokens_that_overlap_or_do_not_match_are_refused(change: dict[str, object]) -> None:
    sound = {
        "codes": [0, 1],
        "spans": [[0.0, 1.0], [1.0, 2.0]],
        "features": np.zeros((2, 2)),
        "codebook": "h",
    }
    TokenSequence("s", **sound)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        TokenSequence("s", **(sound | change))  # type: ignore[arg-type]


def test_no_tokens_are_a_sequence_too() -> None:
    tokens = TokenSequence("s", np.zeros(0), np.zeros((0, 2)), np.zeros((0, 3)), "h")  # type: ignore[arg-type]
    assert tokens.codes.dtype == np.int32 and tokens.codes.size == 0


@pytest.mark.parametrize(
    "link",
    [
        ("aligned", None, 0.5),
        ("ambiguous", None, 0.5),
        ("unmatched", (0.0, 1.0), 0.5),
        ("outside", (0.0, 1.0), 0.0),
        ("empty", (0.0, 1.0), 0.0),
        ("aligned", (0.0, 1.0), 1.01),
        ("aligned", (0.0, 1.0), math.nan),
        ("aligned", (1.0, 0.0), 0.5),
        ("aligned", (0.0, math.nan), 0.5),
        ("aligned", (0.0, math.inf), 0.5),
    ],
)
def test_N03_a_link_has_a_span_just_when_its_status_says_so(link: tuple[object, ...]) -> None:
    with pytest.raises(ParameterError):
        Link(*link)  # type: ignore[arg-type]


def test_P15_rows_out_are_notes_in() -> None:
    notes = (Note("a"), Note("a"), Note(""))
    links = (Link("aligned", (1.0, 2.0), 0.9), Link("unmatched", None, 0.2), Link("empty", None, 0.0))
    answer = Alignment(notes, links, "by hand")
    np.testing.assert_array_equal(answer.spans, [[1.0, 2.0], [np.nan, np.nan], [np.nan, np.nan]])
    assert answer.probabilities.tolist() == [0.9, 0.2, 0.0]
    for n in (0, 2, 4):
        with pytest.raises(ParameterError, match="one per note"):
            Alignment(notes, (*links, *links)[:n], "by hand")


def test_N02_no_notes_are_an_answer_too() -> None:
    answer = Alignment((), (), "by hand")
    assert answer.spans.shape == (0, 2) and answer.probabilities.shape == (0,)


def test_similarity_is_the_mean_over_a_segments_observed_frames() -> None:
    odds = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    observed = np.arange(12) % 5 != 0
    evidence = Evidence(odds, 0.5, 4, observed, np.zeros((3, 2)), "by hand")
    segments = [(0.0, 2.6), (2.0, 2.2), (2.4, 4.0), (4.0, 7.75), (7.75, 60.0), (90.0, 91.0)]
    found = evidence.over(segments)
    assert found.shape == (6, 3) and found.dtype == np.float32
    for (start, end), row in zip(segments, found, strict=True):
        own = [odds[k] for k in range(12) if observed[k] and start <= (4 + k + 0.5) * 0.5 < end]
        np.testing.assert_allclose(row, np.mean(own, axis=0) if own else [np.nan] * 3, rtol=1e-5)
    assert np.isnan(found).all(axis=1).tolist() == [True, True, False, False, False, True]
    assert evidence.over([]).shape == (0, 3)


def test_evidence_is_finite_frozen_and_fits_together() -> None:
    sound = {
        "log_odds": np.zeros((4, 2)),
        "hop": 0.5,
        "first": -3,
        "observed": np.ones(4, bool),
        "durations": np.zeros((2, 2)),
        "method": "by hand",
    }
    evidence = Evidence(**sound)  # type: ignore[arg-type]
    for field in dataclasses.fields(evidence):
        value = getattr(evidence, field.name)
        assert not isinstance(value, np.ndarray) or not value.flags.writeable
    for change in (
        {"log_odds": np.full((4, 2), -np.inf)},
        {"log_odds": np.full((4, 2), np.nan)},
        {"observed": np.ones(3, bool)},
        {"durations": np.zeros((3, 2))},
        {"tails": -1.0},
        {"tails": np.nan},
        {"tails": np.inf},
        {"meanings": Meanings(np.zeros((4, 1)), np.zeros((1, 2)), np.zeros((3, 1)))},
    ):
        with pytest.raises(ParameterError):
            Evidence(**(sound | change))  # type: ignore[arg-type]


def test_meanings_are_finite_and_leave_room_for_what_the_words_say() -> None:
    sound = {"log_odds": np.zeros((4, 2)), "durations": np.zeros((2, 2)), "shares": np.full((3, 2), 0.1)}
    Meanings(**sound)  # type: ignore[arg-type]
    for change in (
        {"log_odds": np.full((4, 2), np.nan)},
        {"log_odds": np.zeros((4, 1))},
        {"durations": np.zeros((1, 2))},
        {"durations": np.full((2, 2), np.inf)},
        {"shares": np.full((3, 2), 0.5)},
        {"shares": np.full((3, 2), -0.1)},
        {"shares": np.zeros((3, 1))},
    ):
        with pytest.raises(ParameterError):
            Meanings(**(sound | change))  # type: ignore[arg-type]
