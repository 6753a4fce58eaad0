"""align/matching/decode.py: one honest answer per note, in order, within the data."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from align.answers import Evidence
from align.clock import span_iou
from align.datatypes import Note, NoteTime
from align.errors import ParameterError
from align.matching import place_notes, posterior_cover, span_mass
from align.matching.anchors import Anchor
from align.matching.decode import decode_group, group_score
from align.matching.lattice import build_lattice
from align.matching.time_prior import decoding_order
from tests import naive

HOP = 0.5


def evidence_of(log_odds, *, seconds=4.0, sd=0.5, first=0, observed=None, lag_sd=5.0):
    """Evidence from log odds (n_frames, n_notes); all notes last about ``seconds``."""
    log_odds = np.asarray(log_odds, np.float32)
    n, n_notes = log_odds.shape
    observed = np.ones(n, bool) if observed is None else np.asarray(observed)
    durations = np.tile([np.log(seconds), sd], (n_notes, 1))
    streams = ("wrist",)
    return Evidence(log_odds, HOP, first, observed, durations, "test", lag_sd=lag_sd, streams=streams)


def blocks(n, *spans, high=2.0, low=-2.0):
    """Log odds that are high in one block per note and low elsewhere."""
    out = np.full((n, len(spans)), low)
    for i, (a, b) in enumerate(spans):
        out[a:b, i] = high
    return out


def untimed(n):
    return tuple(Note(f"note {i}") for i in range(n))


def at(seconds):
    return NoteTime(seconds, seconds, seconds)


def on_edges(spans):
    """Seconds of the nearest edges of the grid: an answer lies within half a frame of its best edges."""
    return (np.round(np.asarray(spans, np.float64) / HOP) * HOP).tolist()


# --- laws


@st.composite
def problems(draw):
    """Evidence with holes, and notes of every kind: timed, vague, untimed, empty, about another time."""
    n, n_notes = draw(st.integers(1, 30)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    first = draw(st.integers(-20, 20))
    log_odds = rng.normal(0, draw(st.sampled_from([0.0, 0.3, 3.0, 30.0])), (n, n_notes))
    observed = rng.random(n) < draw(st.sampled_from([0.5, 0.9, 1.0]))
    evidence = evidence_of(
        log_odds,
        seconds=draw(st.sampled_from([0.3, 2.0, 10.0])),
        sd=draw(st.sampled_from([0.25, 1.0])),
        first=first,
        observed=observed,
        lag_sd=draw(st.sampled_from([0.5, 5.0])),
    )
    notes = []
    for i in range(n_notes):
        start = (first + rng.uniform(-0.5, 1.5) * n) * HOP
        vague = NoteTime(start, start, start + rng.uniform(0, 5))
        kind = draw(st.sampled_from(["untimed", "exact", "vague", "empty"]))
        time = {"exact": at(start), "vague": vague}.get(kind)
        notes.append(Note(" " if kind == "empty" else f"note {i % 2}", time))
    return evidence, tuple(notes)


@given(problems(), st.sampled_from(["monotone", "free"]))
def test_every_note_gets_one_answer_in_bounds(problem, order):
    evidence, notes = problem
    alignment = place_notes(evidence, notes, order)
    assert alignment.notes is notes and len(alignment.links) == len(notes)
    start = evidence.first * HOP
    end = start + len(evidence.observed) * HOP
    for note, link in zip(notes, alignment.links, strict=True):
        assert 0.0 <= link.probability <= 1.0
        assert (link.status == "empty") == note.is_empty
        outside = note.time is not None and (note.time.latest < start or note.time.earliest >= end)
        assert (link.status == "outside") == (outside and not note.is_empty)
        if link.span is not None:
            assert start <= link.span[0] < link.span[1] <= end
            assert (link.status == "aligned") == (link.probability >= 0.5)
            assert link.streams == ("wrist",)
        ps = [p for _, _, p in link.alternatives]
        assert ps == sorted(ps, reverse=True) and all(0.0 < p <= 1.0 for p in ps)
        known = [s for s in (link.span, *(a[:2] for a in link.alternatives)) if s is not None]
        for k, span in enumerate(known):
            assert all(span_iou([span], [other])[0] < 0.5 for other in known[:k])


@given(problems())
def test_monotone_spans_ascend_and_never_overlap(problem):
    evidence, notes = problem
    alignment = place_notes(evidence, notes)
    to_place = [i for i, link in enumerate(alignment.links) if link.status not in ("empty", "outside")]
    order = [to_place[k] for k in decoding_order([notes[i] for i in to_place], evidence)]
    spans = [alignment.links[i].span for i in order if alignment.links[i].span is not None]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@given(problems(), st.sampled_from(["monotone", "free"]))
def test_spans_have_data_at_both_ends_and_no_gap_longer_than_their_note_lasts(problem, order):
    evidence, notes = problem
    for link, (usual, _) in zip(place_notes(evidence, notes, order).links, evidence.durations, strict=True):
        for begin, end in [s for s in (link.span, *(a[:2] for a in link.alternatives)) if s]:
            a, b = round(begin / HOP) - evidence.first, round(end / HOP) - evidence.first
            assert naive.longest_gap(evidence.observed, (a, b)) <= np.exp(usual) / HOP


@pytest.mark.parametrize(("gap", "crosses"), [(4, True), (16, True), (40, False)])
def test_a_short_gap_breaks_no_span_and_a_long_one_does(gap, crosses):
    """Ten seconds on either side of it, of something that usually lasts ten."""
    observed = np.ones(120, bool)
    observed[40 : 40 + gap] = False
    odds = np.where(observed[:, None], blocks(120, (20, 60 + gap)), 0.0)
    (link,) = place_notes(evidence_of(odds, seconds=10.0, sd=1.0, observed=observed), untimed(1)).links
    assert link.status == ("aligned" if crosses else "ambiguous")
    before, behind = [10.0, 20.0], [20.0 + gap * HOP, 30.0 + gap * HOP]
    (span,) = on_edges([link.span])
    assert span in ([[before[0], behind[1]]] if crosses else [before, behind])


def test_nothing_lies_in_a_gap_alone():
    observed = np.ones(60, bool)
    observed[20:30] = False
    odds = np.where(observed[:, None], -5.0, 0.0)
    (link,) = place_notes(evidence_of(odds, seconds=5.0, observed=observed), untimed(1)).links
    assert link.status == "unmatched"


@given(problems(), st.integers(-500, 500))
@settings(max_examples=30)
def test_shifting_all_times_shifts_the_answer(problem, frames):
    evidence, notes = problem
    by = frames * HOP
    later = dataclasses.replace(evidence, first=evidence.first + frames)
    moved = tuple(
        dataclasses.replace(
            n, time=n.time and NoteTime(n.time.earliest + by, n.time.likely + by, n.time.latest + by)
        )
        for n in notes
    )
    here, there = place_notes(evidence, notes), place_notes(later, moved)
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)
    for one, other in zip(here.links, there.links, strict=True):
        assert one.status == other.status
        assert one.distance is None or other.distance == pytest.approx(one.distance)
    tied = [sorted(p for _, _, p in link.alternatives)[-1:] for link in here.links]
    for i, (one, other) in enumerate(zip(here.spans, there.spans, strict=True)):
        if tied[i] != [pytest.approx(here.links[i].probability, abs=1e-9)]:
            np.testing.assert_allclose(other, one + by, atol=1e-6)


# --- what it finds


def test_notes_land_on_their_blocks_in_order():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48), (70, 84)))
    alignment = place_notes(evidence, untimed(3))
    assert on_edges(alignment.spans) == [[5.0, 10.0], [20.0, 24.0], [35.0, 42.0]]
    assert [link.status for link in alignment.links] == ["aligned"] * 3
    assert alignment.probabilities.min() > 0.9
    assert alignment.method == "test"


def test_a_foreign_note_is_unmatched_and_pushes_nobody_aside():
    odds = blocks(100, (10, 20), (0, 0), (70, 84))
    alignment = place_notes(evidence_of(odds), untimed(3))
    assert [link.status for link in alignment.links] == ["aligned", "unmatched", "aligned"]
    assert alignment.links[1].span is None and alignment.links[1].probability > 0.9


def test_the_order_written_is_kept_unless_it_is_free():
    evidence = evidence_of(blocks(60, (40, 48), (10, 18), high=1.0, low=-1.0))
    monotone, free = (place_notes(evidence, untimed(2), order) for order in ("monotone", "free"))
    assert on_edges(free.spans) == [[20.0, 24.0], [5.0, 9.0]]
    # both cannot be: one of the two gives way, and its own block is named as what else it could be
    both = list(zip(monotone.spans, free.spans, strict=True))
    (kept,) = [i for i, (one, other) in enumerate(both) if on_edges(one) == on_edges(other)]
    other = monotone.links[1 - kept]
    assert other.probability < 0.1
    assert on_edges(free.links[1 - kept].span) in on_edges([a[:2] for a in other.alternatives])


def test_a_written_time_chooses_between_equals():
    odds = blocks(120, (10, 18))
    odds[60:68] = odds[10:18]
    spans = []
    for seconds in (8.0, 31.0):
        alignment = place_notes(evidence_of(odds), (Note("walk", at(seconds)),))
        spans.append(alignment.links[0].span)
    assert on_edges(spans) == [[5.0, 9.0], [30.0, 34.0]]
    unsure = place_notes(evidence_of(odds), (Note("walk"),)).links[0]
    assert unsure.probability == pytest.approx(0.5, abs=0.02)
    assert unsure.probability < 0.5 and unsure.status == "ambiguous"
    assert sorted(on_edges([unsure.span, unsure.alternatives[0][:2]])) == [[5.0, 9.0], [30.0, 34.0]]


@pytest.mark.parametrize("n_frames", [5, 40, 600])
@pytest.mark.parametrize("n_notes", [1, 2, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_untimed_note_with_flat_evidence_stays_placeable(n_frames, n_notes, share):
    """Where nothing is known, nothing is a reason to say "not here"."""
    seconds = max(HOP, share * n_frames * HOP / n_notes)
    evidence = evidence_of(np.zeros((n_frames, n_notes)), seconds=seconds)
    alignment = place_notes(evidence, untimed(n_notes))
    assert all(link.span is not None for link in alignment.links)


def test_with_reach_a_time_may_point_anywhere_into_its_span():
    evidence = evidence_of(blocks(120, (40, 80), high=0.15, low=-0.15), seconds=20.0, lag_sd=2.0)
    early = (Note("walked", at(20.5)),)  # right after its start: 9.5 s from the middle
    anywhere, middle = (
        span_mass(dataclasses.replace(evidence, reach=reach), early, np.array([[40.0, 80.0]]))
        for reach in (1.0, 0.0)
    )
    assert anywhere[0] > 0.9 and middle[0] < 0.8
    assert on_edges(place_notes(dataclasses.replace(evidence, reach=1.0), early).links[0].span) == [
        20.0,
        40.0,
    ]


def test_timed_notes_with_flat_evidence_lie_about_their_times():
    notes = (Note("a", at(10.0)), Note("b", at(30.0)))
    alignment = place_notes(evidence_of(np.zeros((100, 2)), lag_sd=2.0), notes)
    assert np.abs(alignment.spans.mean(axis=1) - [10.0, 30.0]).max() < 2.0


# --- faults


def test_N01_empty_notes_are_answered_and_take_no_room():
    odds = blocks(60, (0, 60), (10, 18), (0, 60))
    notes = (Note("  "), Note("walk"), Note("\u200b"))
    alignment = place_notes(evidence_of(odds), notes)
    assert [link.status for link in alignment.links] == ["empty", "aligned", "empty"]
    assert on_edges(alignment.links[1].span) == [5.0, 9.0]


@pytest.mark.parametrize("order", ["monotone", "free"])
def test_N02_no_notes_at_all(order):
    alignment = place_notes(evidence_of(np.zeros((40, 0))), (), order)
    assert alignment.links == () and alignment.spans.shape == (0, 2)
    cover, moments = posterior_cover(evidence_of(np.zeros((40, 0))), (), 0.05)
    assert cover.shape == (0, 40) and moments.shape == (0, 3)
    assert span_mass(evidence_of(np.zeros((40, 0))), (), np.zeros((0, 2))).shape == (0,)


def test_N03_a_note_about_another_time_keeps_its_signed_distance():
    notes = (Note("a", at(3.0)), Note("b", at(8.0)), Note("c", at(31.5)))
    alignment = place_notes(evidence_of(blocks(40, (0, 40), (4, 10), (0, 40)), first=10), notes)
    assert [link.status for link in alignment.links] == ["outside", "aligned", "outside"]
    assert [link.distance for link in alignment.links] == [-2.0, None, 6.5]
    # the frame grid may begin half a frame late: the recording itself decides
    alignment = place_notes(evidence_of(np.zeros((40, 3)), first=10), notes, recorded=(2.9, 31.0))
    assert [link.distance for link in alignment.links] == [None, None, 0.5]


def test_N04_equal_times_and_equal_texts_keep_their_ids_and_order():
    odds = np.zeros((60, 4)) - 1.0
    odds[[*range(8, 14), *range(20, 26), *range(32, 38)], :3] = 2.0
    odds[46:52, 3] = 2.0
    notes = (*(Note("turned", at(11.0)) for _ in range(3)), Note("late", at(25.0)))
    alignment = place_notes(evidence_of(odds, seconds=3.0), notes)
    assert alignment.notes == notes
    assert on_edges(alignment.spans) == [[4.0, 7.0], [10.0, 13.0], [16.0, 19.0], [23.0, 26.0]]


def test_N04_notes_written_out_of_order_come_back_in_the_order_written():
    odds = blocks(60, (40, 48), (10, 18))
    notes = (Note("second", at(22.0)), Note("first", at(7.0)))
    alignment = place_notes(evidence_of(odds, lag_sd=1.0), notes)
    assert on_edges(alignment.spans) == [[20.0, 24.0], [5.0, 9.0]]


@pytest.mark.parametrize("n_frames", [1, 2, 3])
@pytest.mark.parametrize("n_notes", [1, 2, 7])
def test_T16_tiny_recordings(n_frames, n_notes):
    alignment = place_notes(evidence_of(np.zeros((n_frames, n_notes))), untimed(n_notes))
    placed = alignment.spans[np.isfinite(alignment.spans[:, 0])]
    assert len(alignment.links) == n_notes and len(placed) <= n_frames


def test_a_recording_without_any_data_places_nothing():
    alignment = place_notes(evidence_of(np.zeros((20, 2)), observed=np.zeros(20, bool)), untimed(2))
    assert {link.status for link in alignment.links} == {"unmatched"}


def test_bad_arguments():
    evidence = evidence_of(np.zeros((10, 2)))
    with pytest.raises(ParameterError, match="notes"):
        place_notes(evidence, untimed(1))
    with pytest.raises(ParameterError, match="order"):
        place_notes(evidence, untimed(2), "backwards")  # type: ignore[arg-type]


# --- the posterior itself


def test_cover_and_moments_of_a_clear_case():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48)), first=6)
    cover, moments = posterior_cover(evidence, untimed(2), 0.05)
    assert cover[0, 10:20].min() > 0.85 and cover[0, 30:].max() < 0.05
    np.testing.assert_allclose(moments[:, 0], [(6 + 15) * HOP, (6 + 44) * HOP], atol=0.1)
    np.testing.assert_allclose(np.exp(moments[:, 1]), [5.0, 4.0], rtol=0.05)
    assert (moments[:, 2] > 0.99).all()


def test_p_nothing_is_what_a_note_without_evidence_gets():
    evidence = evidence_of(np.zeros((4000, 1)), seconds=20.0)
    for p in (0.02, 0.3):
        _, moments = posterior_cover(evidence, untimed(1), p)
        assert moments[0, 2] == pytest.approx(1 - p, abs=0.01)


def test_span_mass_is_the_probability_of_the_answer():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48), high=0.5, low=-0.5))
    alignment = place_notes(evidence, untimed(2))
    mass = span_mass(evidence, untimed(2), alignment.spans / HOP)
    np.testing.assert_allclose(mass, alignment.probabilities, rtol=1e-12)
    assert (span_mass(evidence, untimed(2), alignment.spans / HOP + 60) < 0.01).all()


# --- gaps, shared spans, edges, anchors


def test_a_note_whose_time_lies_in_a_gap_is_unobservable_not_unmatched():
    observed = np.ones(200, bool)
    observed[60:160] = False
    evidence = evidence_of(blocks(200, (10, 20), (0, 200), (170, 180)), observed=observed, lag_sd=2.0)
    notes = (Note("before", at(7.5)), Note("during", at(55.0)), Note("after", at(87.5)))
    links = place_notes(evidence, notes).links
    assert [link.status for link in links] == ["aligned", "unobservable", "aligned"]
    assert links[1].probability > 0.99 and links[1].span is None
    edge = place_notes(evidence, (notes[0], Note("during", at(31.0)), notes[2])).links[1]
    assert edge.status != "unobservable"  # a good part of its time was recorded


def test_two_notes_of_one_event_get_the_same_span():
    odds = blocks(100, (40, 50), (40, 50))
    notes = (Note("fell", at(22.0)), Note("fell!", at(23.0)))
    links = place_notes(evidence_of(odds, sd=0.25), notes).links
    assert on_edges([link.span for link in links]) == [[20.0, 25.0]] * 2
    assert links[0].span == links[1].span
    assert all(link.status == "aligned" for link in links)


def test_edges_hold_the_truth_about_as_often_as_they_say():
    """Blocks drawn from the decoder's own model: 90 % intervals, and probabilities within a second."""
    rng = np.random.default_rng(11)
    held, close, said = [], [], []
    for _ in range(120):
        a = int(rng.integers(20, 80))
        b = a + int(np.clip(rint_lognormal(rng), 1, 60))
        height = 0.7
        signal = rng.normal(0, 1, 160)
        signal[a:b] += height
        odds = (height * signal - height**2 / 2)[:, None]  # log odds of mean ``height`` against mean 0
        evidence = evidence_of(odds, seconds=10.0, sd=0.4)
        (link,) = place_notes(evidence, untimed(1)).links
        if link.edges is None:
            continue
        for edge, answer, true in zip(link.edges, link.span, (a * HOP, b * HOP), strict=True):
            assert edge.low <= answer <= edge.high and 0.0 <= edge.probability <= 1.0
            held.append(edge.low <= true <= edge.high)
            close.append(abs(answer - true) <= 1.0)
            said.append(edge.probability)
    assert len(held) > 150
    assert 0.84 < np.mean(held) < 0.97
    assert np.mean(said) == pytest.approx(np.mean(close), abs=0.09)


def rint_lognormal(rng):
    return np.rint(np.exp(rng.normal(np.log(10.0), 0.4)) / HOP)


def test_a_clear_edge_is_known_to_the_frame():
    (link,) = place_notes(evidence_of(blocks(60, (20, 30), high=20.0, low=-20.0)), untimed(1)).links
    for edge, truth in zip(link.edges, (10.0, 15.0), strict=True):
        assert edge.probability == pytest.approx(1.0, abs=1e-6)
        assert truth - 0.5 * HOP <= edge.low <= truth <= edge.high <= truth + 0.5 * HOP


def test_anchors_come_back_and_the_others_are_fitted_around_them():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48), (70, 84)))
    anchors = (Anchor(1, (30.0, 33.5)),)
    links = place_notes(evidence, untimed(3), anchors=anchors).links
    assert (links[1].span, links[1].probability, links[1].status) == ((30.0, 33.5), 1.0, "aligned")
    assert on_edges(links[0].span) == [5.0, 10.0] and on_edges(links[2].span) == [35.0, 42.0]
    # the third note's own block is ruled out when the second is said to lie behind it
    links = place_notes(evidence, untimed(3), anchors=(Anchor(1, (45.0, 47.0)),)).links
    assert on_edges(links[0].span) == [5.0, 10.0]
    assert links[2].span is None or links[2].span[0] >= 47.0


def test_an_anchor_without_a_span_takes_the_note_out():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48)))
    links = place_notes(evidence, untimed(2), anchors=(Anchor(0, None),)).links
    assert (links[0].status, links[0].span, links[0].probability) == ("unmatched", None, 1.0)
    assert on_edges(links[1].span) == [20.0, 24.0]


def test_no_room_between_two_anchors_is_unmatched():
    evidence = evidence_of(blocks(100, (10, 20), (40, 48), (70, 84)))
    anchors = (Anchor(0, (10.0, 20.0)), Anchor(2, (20.0, 25.0)))
    link = place_notes(evidence, untimed(3), anchors=anchors).links[1]
    assert (link.status, link.probability) == ("unmatched", 1.0)


def test_anchors_place_notes_that_nothing_else_would_place():
    evidence = evidence_of(blocks(60, (10, 20)))
    anchors = (Anchor(0, (3.0, 4.0)),)
    assert place_notes(evidence, (Note(" "),), anchors=anchors).links[0].span == (3.0, 4.0)
    assert place_notes(evidence, (Note("long ago", at(-99.0)),), anchors=anchors).links[0].span == (3.0, 4.0)


@given(problems(), st.data())
@settings(max_examples=40)
def test_all_anchors_are_respected_and_order_is_kept(problem, data):
    evidence, notes = problem
    untimed_notes = tuple(dataclasses.replace(n, time=None) for n in notes)
    assume(notes)
    start, n = evidence.first * HOP, len(evidence.observed)
    which = sorted(data.draw(st.sets(st.integers(0, len(notes) - 1), min_size=1)))
    pairs = [data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)) for _ in which]
    starts, ends = sorted(min(p) for p in pairs), sorted(max(p) for p in pairs)
    spans = [(start + a * HOP, start + b * HOP) for a, b in zip(starts, ends, strict=True)]
    anchors = [Anchor(i, s) for i, s in zip(which, spans, strict=True)]
    alignment = place_notes(evidence, untimed_notes, anchors=anchors)
    for anchor in anchors:
        link = alignment.links[anchor.note]
        assert (link.span, link.probability, link.status) == (anchor.span, 1.0, "aligned")
    last = -np.inf
    for i, link in enumerate(alignment.links):
        if link.span is not None:
            assert i in which or link.span[0] >= last - 1e-9 or link.span == alignment.links[i - 1].span
            last = link.span[1]


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        ((Anchor(0, (20.0, 24.0)), Anchor(1, (5.0, 10.0))), "notes 0 and 1"),
        ((Anchor(7, None),), "note 7"),
        ((Anchor(1, None), Anchor(1, (1.0, 2.0))), "two for note 1"),
    ],
)
def test_anchors_that_cannot_be_are_refused(anchors, words):
    evidence = evidence_of(blocks(60, (10, 20), (40, 48)))
    with pytest.raises(ParameterError, match=words):
        place_notes(evidence, untimed(2), anchors=anchors)


def test_without_order_anchors_may_lie_anywhere():
    evidence = evidence_of(blocks(60, (10, 20), (40, 48)))
    anchors = (Anchor(0, (20.0, 24.0)), Anchor(1, (5.0, 10.0)))
    spans = place_notes(evidence, untimed(2), "free", anchors=anchors).spans
    assert spans.tolist() == [[20.0, 24.0], [5.0, 10.0]]


def test_the_right_order_scores_higher():
    lattice = build_lattice(evidence_of(blocks(100, (10, 20), (40, 48))), untimed(2))
    assert group_score(lattice) > group_score(lattice.rows([1, 0])) + 5
    links = decode_group(lattice, evidence_of(blocks(100, (10, 20), (40, 48))))
    assert on_edges([link.span for link in links]) == [[5.0, 10.0], [20.0, 24.0]]


def test_a_change_point_draws_a_span_that_could_lie_a_little_to_either_side():
    odds = blocks(120, (40, 60), high=0.04, low=-0.04)
    free = evidence_of(odds, seconds=10.0, sd=0.3)
    known = dataclasses.replace(free, edges=np.array([36, 58, 90]))
    assert on_edges(place_notes(free, untimed(1)).links[0].span) == [20.0, 30.0]
    start, end = place_notes(known, untimed(1)).links[0].span
    assert abs(round(start / HOP) - 36) <= 1 and abs(round(end / HOP) - 58) <= 1  # a frame off is still on it


def test_a_clock_looser_than_its_times_scores_less():
    """However loose, a clock is not free: else the loosest would always explain the times best."""
    spans = (20, 28), (60, 68), (100, 108), (150, 158)
    odds = blocks(200, *spans)
    notes = tuple(Note(f"note {a}", at(0.5 * HOP * (a + b))) for a, b in spans)
    lattices = [build_lattice(evidence_of(odds, lag_sd=sd), notes) for sd in (2.0, 8.0, 32.0, 128.0)]
    scores = np.array([group_score(lattice) for lattice in lattices])
    assert (np.diff(scores) < -2.0).all()
