"""Sessions as a model sees them, frames of spans, and queries as sums of directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination import Coordination
from align.coordination.uses.embedded import (
    EmbeddedSession,
    agreement,
    as_embedded,
    combine,
    embed_session,
    unit_rows,
)
from align.errors import InputError, ParameterError
from tests.coordination.sessions import TINY, made_session, true_spans


def frames(n: int = 10, hop: float = 0.5, first: int = 4) -> EmbeddedSession:
    vectors = np.tile(np.eye(2, dtype=np.float32), (n // 2, 1))
    return EmbeddedSession("s", hop, first, np.ones(n, bool), vectors, np.zeros(n, np.float32), 0.0)


def test_a_span_holds_the_frames_whose_middle_is_in_it() -> None:
    own = frames()  # frame k covers [2 + k / 2, 2.5 + k / 2)
    assert own.frames_in(2.0, 3.0) == slice(0, 2)
    assert own.frames_in(2.3, 3.2) == slice(1, 2)
    assert own.frames_in(-100.0, 100.0) == slice(0, 10)
    assert own.frames_in(2.6, 2.6) == own.frames_in(2.55, 2.6) == slice(1, 2)
    assert own.seconds(1, 3) == (2.5, 3.5)
    assert own.frames_in(7.1, 7.3) == slice(9, 10)  # in the rest that fills no frame
    assert own.frames_in(1.6, 1.9) == slice(0, 1)


@pytest.mark.parametrize("span", [(0.0, 1.0), (7.6, 9.0), (3.0, 2.0), (0.0, np.inf), (np.nan, 1.0)])
def test_a_span_elsewhere_is_refused(span: tuple[float, float]) -> None:
    with pytest.raises(ParameterError):
        frames().frames_in(*span)


def test_a_cut_keeps_its_place_on_the_clock() -> None:
    part = frames().cut(3.0, 4.0)
    assert (part.n_frames, part.seconds(0, part.n_frames)) == (2, (3.0, 4.0))


def test_pooling_is_the_mean_direction_of_what_was_observed() -> None:
    own = frames()
    np.testing.assert_allclose(own.pooled([(2.0, 7.0)]), [[0.5**0.5, 0.5**0.5]], atol=1e-6)
    gap = dataclasses.replace(own, observed=np.arange(10) % 2 == 0)
    np.testing.assert_array_equal(gap.pooled([(2.0, 7.0), (2.5, 3.0)]), [[1.0, 0.0], [0.0, 0.0]])
    assert own.pooled([]).shape == (0, 2)


def test_the_model_embeds_a_session_once(trained: Coordination) -> None:
    session = made_session(9)
    own = embed_session(trained, session)
    table, vectors, nothing, _ = trained.embed(session)
    assert (own.name, own.hop, own.first) == (session.name, table.hop, table.first)
    np.testing.assert_array_equal(own.vectors, vectors)
    assert own.calm == pytest.approx(np.quantile(nothing[table.observed], 0.95))
    assert as_embedded(trained, own) is own
    assert as_embedded(trained, session).n_frames == own.n_frames


def test_agreement_is_the_model_s_function(trained: Coordination) -> None:
    own = embed_session(trained, made_session(9))
    texts = trained.embed_texts(["lay still", "waved slowly"])
    np.testing.assert_allclose(agreement(trained, own.vectors, texts), own.vectors @ texts.T, atol=1e-6)


def test_a_model_without_a_network_is_refused(trained: Coordination) -> None:
    empty = Coordination.empty(trained.layout, TINY, trained.encoder)
    with pytest.raises(InputError, match="E-MODEL-EMPTY"):
        embed_session(empty, made_session(9))


def test_a_query_is_the_direction_of_the_sum(trained: Coordination) -> None:
    still, fast = trained.embed_texts(["lay still", "shook it fast"])
    own = embed_session(trained, made_session(9))
    span = own.pooled(true_spans(made_session(9))[:1])[0]
    np.testing.assert_allclose(combine(["lay still"]).vector(trained), still, atol=1e-6)
    summed = combine([span, "shook it fast"], ["lay still"]).vector(trained)
    np.testing.assert_allclose(summed, unit_rows((span + fast - still)[None])[0], atol=1e-5)
    assert not combine(["lay still"], ["lay still"]).vector(trained).any()
    assert not combine(["..."]).vector(trained).any()


def test_a_query_lasts_as_long_as_its_texts(trained: Coordination) -> None:
    expected = trained.durations.of(trained.encoder.encode(["lay still"]))[0]
    assert combine(["lay still"], ["waved slowly"]).durations(trained) == pytest.approx(tuple(expected))
    vector = trained.embed_texts(["lay still"])[0]
    assert combine([vector]).durations(trained) == pytest.approx(
        (trained.durations.mean, trained.durations.sd)
    )


def test_queries_that_are_none(trained: Coordination) -> None:
    with pytest.raises(ParameterError):
        combine([], ["walking"])
    for wrong in (np.ones(3, np.float32), np.full(8, np.nan, np.float32)):
        with pytest.raises(ParameterError):
            combine([wrong]).vector(trained)
