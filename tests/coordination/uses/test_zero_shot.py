"""Classification over open lists: rows sum to one, "none" is an answer, spans follow their frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination import Coordination
from align.coordination.uses.embedded import EmbeddedSession, embed_session, unit_rows
from align.coordination.uses.zero_shot import (
    TEMPLATES,
    Classification,
    caption_part,
    classify,
    label_vectors,
    log_odds,
)
from align.errors import ParameterError
from tests.coordination.sessions import STATES, made_session

LABELS = list(STATES)


@pytest.fixture(scope="module")
def embedded(trained: Coordination) -> EmbeddedSession:
    return embed_session(trained, made_session(20))


def test_rows_sum_to_one_and_frames_are_the_observed_ones(
    trained: Coordination, embedded: EmbeddedSession
) -> None:
    gap = dataclasses.replace(embedded, observed=np.arange(embedded.n_frames) % 3 > 0)
    found = classify(trained, gap, LABELS)
    assert len(found.spans) == gap.observed.sum()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.diff(found.spans, axis=1), gap.hop)
    np.testing.assert_allclose(found.shares.sum(), 1.0, atol=1e-5)


def test_the_probability_by_its_definition(trained: Coordination, embedded: EmbeddedSession) -> None:
    found = classify(trained, embedded, LABELS)
    assert trained.network is not None
    scale = float(trained.network.scale.detach())
    said = caption_part(trained, embedded, LABELS)
    assert said.any()
    for k in (0, 7, embedded.n_frames - 1):
        logits = [scale * float(embedded.vectors[k] @ t) for t in trained.embed_texts(LABELS)]
        other = np.exp(embedded.nothing[k]) + np.exp(0.45 * max(0.0, embedded.calm))
        weights = np.append(np.exp(logits + said[k]), other)
        np.testing.assert_allclose(found.probabilities[k], weights / weights.sum(), atol=1e-4)


def test_without_none_one_label_is_right(trained: Coordination, embedded: EmbeddedSession) -> None:
    found = classify(trained, embedded, LABELS, none=False)
    assert not found.probabilities[:, -1].any() and (found.choices >= 0).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_labels_are_found_on_their_spans(trained: Coordination) -> None:
    right = total = 0
    for seed in (20, 21, 22):
        session = made_session(seed)
        spans = [(t.start, t.end) for t in session.truth or ()]
        found = classify(trained, session, LABELS, spans)
        right += sum(LABELS[c] == t.label for c, t in zip(found.choices, session.truth or (), strict=True))
        total += len(spans)
    assert right / total > 0.6


def test_a_span_is_the_geometric_mean_of_its_frames(trained: Coordination, embedded: EmbeddedSession) -> None:
    frames = classify(trained, embedded, LABELS).probabilities[4:10].astype(np.float64)
    mean = np.exp(np.log(frames).mean(axis=0))
    found = classify(trained, embedded, LABELS, [embedded.seconds(4, 10)])
    np.testing.assert_allclose(found.probabilities[0], mean / mean.sum(), atol=1e-4)


def test_a_span_in_a_gap_has_no_probability(trained: Coordination, embedded: EmbeddedSession) -> None:
    observed = np.ones(embedded.n_frames, bool)
    observed[4:10] = False
    spans = [embedded.seconds(5, 8), embedded.seconds(0, 4)]
    found = classify(trained, dataclasses.replace(embedded, observed=observed), LABELS, spans)
    assert np.isnan(found.probabilities[0]).all() and np.isfinite(found.probabilities[1]).all()
    assert found.choices[0] == -1
    np.testing.assert_allclose(found.shares, found.probabilities[1])


def test_what_no_label_says_is_none_of_these(trained: Coordination) -> None:
    """Frames opposite to all labels, on which "nothing" is as low as can be."""
    vectors = -unit_rows(trained.embed_texts(LABELS).sum(axis=0, keepdims=True))
    own = EmbeddedSession(
        "else", 0.5, 0, np.ones(6, bool), np.repeat(vectors, 6, axis=0), np.full(6, -50.0, np.float32), 8.0
    )
    assert (classify(trained, own, LABELS).choices == -1).all()
    assert log_odds(trained, own, label_vectors(trained, LABELS)).max() < 0


def test_templates_are_averaged(trained: Coordination) -> None:
    said = trained.embed_texts([t.replace("{}", "walking") for t in TEMPLATES])
    mean = unit_rows(said.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(label_vectors(trained, ["walking"], TEMPLATES), mean, atol=1e-5)
    np.testing.assert_allclose(label_vectors(trained, ["walking"]), said[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ([], {}),
        ("walking", {}),
        (["a b", "a b"], {}),
        (["walking"], {"none": False}),
        (["walking", "?!"], {}),
        (["walking"], {"templates": []}),
        (["walking"], {"templates": ["no place"]}),
        (["walking"], {"spans": [(-9.0, -5.0)]}),
    ],
)
def test_what_is_refused(
    trained: Coordination, embedded: EmbeddedSession, labels: list[str], options: dict[str, object]
) -> None:
    with pytest.raises(ParameterError):
        classify(trained, embedded, labels, **options)  # type: ignore[arg-type]


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ParameterError):
        Classification("s", ("a",), np.zeros((2, 2)), np.zeros((2, 1), np.float32))
    empty = Classification("s", ("a",), np.zeros((0, 2)), np.zeros((0, 2), np.float32))
    assert empty.choices.shape == (0,) and np.isnan(empty.shares).all()
