"""Looking things up in recordings whose states a sensor shows plainly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from align.clock import span_iou
from align.coordination import Coordination
from align.coordination.functions.hubness import csls
from align.coordination.uses.embedded import EmbeddedSession, combine, embed_session, unit_rows
from align.coordination.uses.retrieval import Hit, describe_span, nearest, search_spans
from align.datatypes import Session
from align.errors import ParameterError
from tests.coordination.sessions import STATES, made_session


@pytest.fixture(scope="module")
def sessions() -> list[Session]:
    return [made_session(20), made_session(21)]


def labels_of(hits: tuple[Hit, ...], sessions: list[Session]) -> list[str]:
    """What truly happens on the spans, "" where half of nothing true is overlapped."""
    out = []
    for hit in hits:
        truth = sessions[hit.session].truth or ()
        iou = [float(span_iou([(hit.start, hit.end)], [(t.start, t.end)])[0]) for t in truth]
        out.append(truth[int(np.argmax(iou))].label if max(iou) >= 0.5 else "")
    return out


@pytest.mark.parametrize("text", list(STATES))
def test_a_text_finds_its_spans_before_others(
    trained: Coordination, sessions: list[Session], text: str
) -> None:
    """Of eight-epoch training: most of what comes first is right."""
    n = sum(t.label == text for s in sessions for t in s.truth or ())
    if not n:
        pytest.skip("does not occur in the two")
    found = labels_of(search_spans(trained, sessions, text, n), sessions)
    assert found.count(text) >= n / 2


def test_hits_are_ranked_apart_and_within_the_recording(
    trained: Coordination, sessions: list[Session]
) -> None:
    hits = search_spans(trained, sessions, "shook it fast", 50)
    assert [round(h.probability, 3) for h in hits] == sorted(
        (round(h.probability, 3) for h in hits), reverse=True
    )
    for number, session in enumerate(sessions):
        spans = sorted((h.start, h.end) for h in hits if h.session == number)
        assert spans and spans[0][0] >= session.start - 0.5 and spans[-1][1] <= session.end + 0.5
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_embedded_sessions_and_sessions_give_the_same(trained: Coordination, sessions: list[Session]) -> None:
    once = [embed_session(trained, s) for s in sessions]
    assert search_spans(trained, once, "lay still", 3) == search_spans(trained, sessions, "lay still", 3)
    assert search_spans(trained, sessions[0], "lay still", 3) == search_spans(
        trained, [sessions[0]], "lay still", 3
    )


def test_arithmetic_leads_from_one_state_to_another(trained: Coordination) -> None:
    """Frames that lie on the texts' own directions: span - "still" + "fast" finds what is fast."""
    still, fast, high = trained.embed_texts(["lay still", "shook it fast", "held it high"])
    calm = 5.0
    kinds = [still] * 20 + [high] * 20 + [fast] * 20 + [high] * 20
    noise = np.random.default_rng(0).normal(0, 0.02, (80, 8)).astype(np.float32)
    own = EmbeddedSession(
        "made", 0.5, 0, np.ones(80, bool), unit_rows(np.stack(kinds) + noise),
        np.full(80, -calm, np.float32), calm,
    )  # fmt: skip
    begin = own.pooled([(0.0, 10.0)])[0]
    (hit,) = search_spans(trained, own, combine(plus=[begin, "shook it fast"], minus=["lay still"]), 1)
    assert span_iou([(hit.start, hit.end)], [(20.0, 30.0)])[0] > 0.5


def test_a_span_is_described_by_what_happens(trained: Coordination, sessions: list[Session]) -> None:
    right = 0
    for session in sessions:
        for row in session.truth or ():
            best = describe_span(trained, session, (row.start, row.end), list(STATES), 4)
            assert [d.text for d in best] == [list(STATES)[d.candidate] for d in best]
            chances = [d.probability for d in best]
            assert chances == sorted(chances, reverse=True) and sum(chances) <= 1.0 + 1e-5
            right += best[0].text == row.label
    assert right >= 8  # of 12


def test_a_candidate_given_twice_counts_once(trained: Coordination, sessions: list[Session]) -> None:
    texts = ["waved slowly", "lay still", "waved slowly"]
    found = describe_span(trained, sessions[0], (5.0, 9.0), texts)
    assert sorted(d.candidate for d in found) == [0, 1]


def test_what_is_refused(trained: Coordination, sessions: list[Session]) -> None:
    for wrong in (
        lambda: search_spans(trained, sessions, "lay still", 0),
        lambda: search_spans(trained, [], "lay still"),
        lambda: search_spans(trained, sessions, "?!"),
        lambda: describe_span(trained, sessions[0], (0.0, 5.0), ["a b"], 0),
        lambda: describe_span(trained, sessions[0], (0.0, 5.0), []),
        lambda: describe_span(trained, sessions[0], (-90.0, -80.0), ["a b"]),
    ):
        with pytest.raises(ParameterError):
            wrong()


def test_nearest_with_and_without_hubs() -> None:
    """The third item is everyone's neighbour; freed of hubs, each query finds its own."""
    items = unit_rows(np.asarray([[1.0, 0.0, 0.2], [0.0, 1.0, 0.2], [0.6, 0.6, 0.6]], np.float32))
    queries = unit_rows(np.asarray([[0.9, 0.5, 0.6], [0.5, 0.9, 0.6]], np.float32))
    assert nearest(queries, items, 1)[1].ravel().tolist() == [2, 2]
    scores, rows = nearest(queries, items, 2, neighbours=2)
    assert rows[:, 0].tolist() == [0, 1] and (np.diff(scores, axis=1) <= 0).all()
    np.testing.assert_allclose(scores[:, 0], np.sort(csls(queries @ items.T, 2), axis=1)[:, -1], atol=1e-6)
    assert nearest(queries, items[:0], 2, neighbours=2)[1].shape == (2, 0)
    with pytest.raises(ParameterError):
        nearest(queries, items, 0, neighbours=2)


def test_no_text_of_a_query_is_in_its_error(trained: Coordination, sessions: list[Session]) -> None:
    with pytest.raises(ParameterError) as caught:
        search_spans(trained, sessions, "?!$%")
    assert "$%" not in str(caught.value)
