"""align/tokens/lanes.py: joint tokens are intersections; runs of one code are one token."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import TokenSequence
from align.errors import ParameterError
from align.tokens.lanes import NOTHING, joint_lane, joint_parts, run_lengths


def sequence(stream, codes, edges, gaps=()):
    spans = np.column_stack([edges[:-1], edges[1:]])
    kept = [i for i in range(len(codes)) if i not in gaps]
    names = tuple(f"a{i} {stream}{i}" for i in range(4))
    return TokenSequence(
        stream, np.array(codes)[kept], spans[kept], np.zeros((len(kept), 1), np.float32), stream, names
    )


def code_at(tokens, time):
    for (start, end), code in zip(tokens.spans, tokens.codes, strict=True):
        if start <= time < end:
            return int(code)
    return NOTHING


@st.composite
def lanes(draw):
    out = []
    for stream in "abc"[: draw(st.integers(1, 3))]:
        edges = sorted(draw(st.sets(st.integers(0, 12), min_size=2, max_size=8)))
        codes = [draw(st.integers(0, 3)) for _ in edges[1:]]
        gaps = draw(st.sets(st.integers(0, len(codes) - 1), max_size=len(codes) - 1))
        out.append(sequence(stream, codes, np.array(edges, float), gaps))
    return out


@settings(max_examples=60, deadline=None)
@given(lanes())
def test_at_every_moment_the_joint_token_says_what_each_stream_has(sequences):
    joint = joint_lane(sequences)
    for time in np.arange(0.25, 12.0, 0.5):
        parts = [code_at(s, time) for s in sequences]
        code = code_at(joint.tokens, time)
        expected = NOTHING if max(parts) == NOTHING else parts
        assert (NOTHING if code == NOTHING else joint.parts[code].tolist()) == expected
    assert sorted(map(tuple, joint.parts.tolist())) == list(map(tuple, joint.parts.tolist()))
    neighbours = joint.tokens.codes[1:] == joint.tokens.codes[:-1]
    assert not (neighbours & (joint.tokens.spans[1:, 0] == joint.tokens.spans[:-1, 1])).any()


@settings(max_examples=30, deadline=None)
@given(lanes())
def test_runs_keep_codes_and_durations_and_are_stable(sequences):
    for one in sequences:
        runs = run_lengths(one)
        for time in np.arange(0.25, 12.0, 0.5):
            assert code_at(one, time) == code_at(runs, time)
        assert np.diff(runs.spans).sum() == pytest.approx(np.diff(one.spans).sum())
        again = run_lengths(runs)
        assert again.spans.tolist() == runs.spans.tolist()


def test_known_combinations_keep_their_codes():
    first = joint_lane([sequence("w", [0, 1], [0.0, 5, 9]), sequence("h", [2], [0.0, 9])])
    assert first.parts.tolist() == [[0, 2], [1, 2]]
    assert first.tokens.names == ("a0 w a0 + h a2", "a1 w a1 + h a2")
    second = joint_lane([sequence("w", [0, 3], [0.0, 5, 9]), sequence("h", [2], [0.0, 9])], first.parts)
    assert second.parts.tolist() == [[0, 2], [1, 2], [3, 2]]
    assert second.tokens.codes.tolist() == [0, 2]
    assert second.tokens.codebook != first.tokens.codebook


def test_ends_that_differ_by_rounding_make_no_sliver():
    spans, parts = joint_parts(
        [sequence("w", [0, 1], [0.0, 0.3, 1.0]), sequence("h", [2, 3], [0.0, 0.1 * 3, 1.0])]
    )
    assert len(spans) == 2 and parts.tolist() == [[0, 2], [1, 3]]


def test_features_of_a_run_are_means_by_duration_and_unknown_ones_are_left_out():
    many = TokenSequence("x", [1, 1], [[0, 1], [1, 4]], np.array([[1, np.nan, np.nan], [5, 2, np.nan]]), "")
    np.testing.assert_array_equal(run_lengths(many).features, np.float32([[4.0, 2.0, np.nan]]))


def test_what_cannot_be_joined_is_refused():
    one = sequence("w", [0], [0.0, 1])
    for bad in (lambda: joint_lane([]), lambda: joint_lane([one, one]), lambda: joint_lane([one], [[1, 2]]),
                lambda: joint_lane([one], [[1], [1]])):  # fmt: skip
        with pytest.raises(ParameterError):
            bad()
    empty = TokenSequence("e", [], np.zeros((0, 2)), np.zeros((0, 1)), "")
    assert len(joint_lane([empty]).tokens.codes) == 0
    assert len(run_lengths(empty).codes) == 0
