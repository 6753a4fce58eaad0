"""Which spans to describe next: what is in doubt, what is like much else, and never the same thing twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination import fit_coordination
from align.coordination.uses.suggestions import _Candidate, _chosen, _stretches, suggest
from align.datatypes import Note, Span
from align.errors import InputError, ParameterError
from tests.coordination.sessions import TINY, made_session, true_spans, untold

PLAN = dataclasses.replace(TINY, epochs=12)
N_POOL, BUDGET, N_TEST = 6, 4, 3


@pytest.fixture(scope="module")
def model():
    return fit_coordination([made_session(seed) for seed in range(2)], PLAN)


def candidate(session, doubt, vector):
    return _Candidate(session, (0.0, 1.0), "unexplained stretch", doubt, np.asarray(vector, np.float32))


def test_the_first_suggestion_settles_most_doubt_and_the_next_ones_differ_from_it():
    alike = [candidate(f"a{i}", 3.0, (1.0, 0.0)) for i in range(3)]
    other = candidate("b", 5.0, (0.0, 1.0))
    found = _chosen([*alike, other], 4)
    assert [s.session for s in found] == ["a0", "b"]  # nothing is left to settle after these two
    assert found[0].gain == pytest.approx(9.0)
    assert found[1].gain == pytest.approx(5.0)


def test_gains_never_grow():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = _chosen([candidate(f"s{i}", 1.0 + i % 3, v) for i, v in enumerate(vectors)], 20)
    gains = [s.gain for s in found]
    assert gains == sorted(gains, reverse=True)
    assert len({s.session for s in found}) == len(found)


def test_long_stretches_are_cut_into_equal_pieces():
    assert _stretches(np.array([0, 0, 0, 0, 0, 0, -1, 1, 1]), 4) == [(0, 3), (3, 6), (7, 9)]


def test_what_is_suggested_lies_in_the_recording_and_says_why(model):
    sessions = [untold(made_session(seed)) for seed in (10, 11)]
    sessions[1] = dataclasses.replace(sessions[1], notes=())
    found = suggest(model, sessions, 8)
    assert 0 < len(found) <= 8
    by_name = {s.name: s for s in sessions}
    for suggestion in found:
        session = by_name[suggestion.session]
        start, end = suggestion.span
        assert session.start - 0.5 <= start < end <= session.end + 0.5
        assert suggestion.gain > 0
        assert (suggestion.note is None) == (suggestion.why == "unexplained stretch")
    assert all(s.note is None for s in found if s.session == sessions[1].name)


def test_without_any_note_representative_stretches_are_suggested(model):
    session = dataclasses.replace(untold(made_session(12)), notes=())
    found = suggest(model, [session], 3)
    assert len(found) == 3
    assert {s.why for s in found} == {"unexplained stretch"}


def test_an_unmatched_note_is_suggested_where_it_fits_best(model):
    session = untold(made_session(13))
    notes = (*session.notes, *[Note("shook it fast")] * 6)  # more than ever happened
    found = suggest(model, [dataclasses.replace(session, notes=notes)], 50)
    for suggestion in found:
        if suggestion.why == "unmatched note":
            assert suggestion.span[1] > suggestion.span[0]


def test_the_same_input_gives_the_same_suggestions(model):
    sessions = [untold(made_session(seed)) for seed in (10, 11)]
    assert suggest(model, sessions, 5) == suggest(model, sessions, 5)


def test_bad_arguments(model):
    session = untold(made_session(10))
    with pytest.raises(ParameterError):
        suggest(model, [session], 0)
    with pytest.raises(ParameterError):
        suggest(model, [session, session], 1)
    with pytest.raises(InputError) as caught:
        suggest(model, [], 1)
    assert caught.value.code == "E-NO-SESSION"


def answered(session, spans):
    """What a person says who is asked about stretches: every true span that one of them touches most."""
    rows = []
    for start, end in spans:
        overlap = [min(end, s.end) - max(start, s.start) for s in session.truth]
        best = int(np.argmax(overlap))
        if overlap[best] > 0 and session.truth[best] not in rows:
            rows.append(session.truth[best])
    return rows


def told(session, rows):
    """The session with some described spans; of the rest it is known only that nobody spoke of it."""
    described = [
        s if s in rows else Span(s.start, s.end, s.label, "") for s in session.truth
    ]  # a span without text does not count in training
    return dataclasses.replace(session, notes=(), truth=tuple(described))


def right(model, sessions):
    """Share of the true spans whose embedding is nearest to its own text."""
    hits = []
    for session in sessions:
        from align.coordination.uses.embedded import embed_session

        texts = sorted({s.text for s in session.truth})
        vectors = embed_session(model, session).pooled(true_spans(session))
        nearest = (vectors @ model.embed_texts(texts).T).argmax(axis=1)
        hits += [texts[k] == s.text for k, s in zip(nearest, session.truth, strict=True)]
    return float(np.mean(hits))


def asked_and_drawn(base):
    """What a model is right about after four spans that it asked for, and after four drawn at random, three times."""
    start = made_session(base)  # a first session in which two of the four states were described
    known = sorted({s.text for s in start.truth})[:2]
    first = told(start, [s for s in start.truth if s.text in known])
    whole = [made_session(base + 20 + i) for i in range(N_POOL)]
    truth = {s.name: s for s in whole}
    pool = [dataclasses.replace(untold(s), notes=()) for s in whole]
    tests = [made_session(base + 40 + i, n_notes=8) for i in range(N_TEST)]

    def after(picked):
        lessons = [
            told(truth[name], answered(truth[name], [span for n, span in picked if n == name]))
            for name in sorted({n for n, _ in picked})
        ]
        return right(fit_coordination([first, *lessons], PLAN), tests)

    drawn = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        picked = []
        for _ in range(BUDGET):
            session = pool[int(rng.integers(len(pool)))]
            at = rng.uniform(session.start, session.end - 7.0)
            picked.append((session.name, (at, at + 7.0)))
        drawn.append(after(picked))
    model = fit_coordination([first, first], PLAN)
    return after([(s.session, s.span) for s in suggest(model, pool, BUDGET)]), float(np.mean(drawn))


def test_spans_asked_for_help_more_than_random_ones():
    asked, drawn = np.mean([asked_and_drawn(base) for base in (0, 100, 200, 300)], axis=0)
    assert asked > drawn + 0.05
