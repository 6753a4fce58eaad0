"""align/tokens/symbols.py: SAX and its bound, streams rebuilt from tokens, motifs, bits per second."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import TokenSequence
from align.datatypes import Segmentation, Stream
from align.errors import ParameterError
from align.tokens import fit_and_tokenize
from align.tokens.symbols import motifs, piece_means, rebuild, sax, sax_distance, token_bits

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def tokens_of(codes: list[int], gaps: dict[int, float] | None = None, each: float = 1.0) -> TokenSequence:
    """Tokens of ``each`` seconds; ``gaps[i]`` seconds before token i."""
    start, spans = 0.0, []
    for i in range(len(codes)):
        start += (gaps or {}).get(i, 0.0)
        spans.append((start, start + each))
        start += each
    return TokenSequence("s", np.array(codes), np.array(spans), np.zeros((len(codes), 1)), "hash")


def standard(x: np.ndarray) -> np.ndarray:
    off = x - x.mean()
    return off / off.std() if off.std() > 1e-12 * np.abs(x).max() else np.zeros(len(x))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40).flatmap(lambda n: st.tuples(*[st.lists(NUMBERS, min_size=n, max_size=n)] * 2)),
    st.integers(1, 40),
    st.integers(2, 30),
)
def test_the_distance_of_words_is_never_above_that_of_the_series(pair, n_letters: int, alphabet: int) -> None:
    a, b = (np.array(p) for p in pair)
    n_letters = min(n_letters, len(a))
    bound = sax_distance(sax(a, n_letters, alphabet), sax(b, n_letters, alphabet))
    assert bound <= np.linalg.norm(standard(a) - standard(b)) * (1 + 1e-9) + 1e-6
    assert bound == sax_distance(sax(b, n_letters, alphabet), sax(a, n_letters, alphabet))
    assert sax_distance(sax(a, n_letters, alphabet), sax(a, n_letters, alphabet)) == 0.0


def test_the_bound_is_worth_something() -> None:
    t = np.linspace(0, 2 * np.pi, 128)
    bound = sax_distance(sax(np.sin(t), 16, 20), sax(-np.sin(t), 16, 20))
    assert bound > 0.8 * np.linalg.norm(standard(np.sin(t)) - standard(-np.sin(t)))


def test_letters_are_equally_likely_under_a_normal_distribution() -> None:
    word = sax(np.random.default_rng(0).normal(size=20_000), 20_000, 5)
    assert np.allclose(np.bincount(word.letters) / 20_000, 0.2, atol=0.02)


def test_pieces_of_broken_length_share_samples() -> None:
    x = np.random.default_rng(0).normal(size=7)
    fine = np.repeat(x, 3).reshape(3, 7).mean(axis=1)
    assert np.allclose(piece_means(x, 3), fine)
    assert np.allclose(piece_means(x, 7), x)
    assert np.allclose(piece_means(x + 1e9, 3), fine + 1e9)


def test_V03_a_flat_series_is_the_middle_letter() -> None:
    assert sax([5.0] * 6, 3, 5).text == "ccc"
    assert sax(np.full(6, 1e-300), 2, 3).text == "bb"
    assert sax([1.0, 2.0], 2, 100).text == "15.84"


def test_straight_pieces_are_rebuilt_exactly() -> None:
    t = np.arange(40) / 10.0
    up, down = 2.0 * t, 8.0 - 2.0 * t
    stream = Stream(np.concatenate([up, down, up]), rate=10.0, channels=("x",), run_start=[100.0])
    cut = Segmentation.of(stream, [40, 80])
    codebook, tokens = fit_and_tokenize(stream, cut, n_codes=2)
    found = rebuild(tokens, codebook, stream)
    assert tokens.codes.tolist() in ([0, 1, 0], [1, 0, 1])
    assert np.allclose(found.values, stream.values, atol=1e-4)
    assert found.error[0] < 1e-4
    assert found.sloped[0]
    assert found.explained[0] == pytest.approx(1.0, abs=1e-6)


def test_what_one_code_rebuilds_is_off_by_what_its_segments_differ() -> None:
    stream = Stream(np.repeat([0.0, 4.0], 10), rate=1.0, channels=("x",))
    cut = Segmentation.of(stream, [10])
    codebook, tokens = fit_and_tokenize(stream, cut, n_codes=1)
    found = rebuild(tokens, codebook, stream)
    assert found.error[0] == pytest.approx(2.0)
    assert found.explained[0] == pytest.approx(0.0, abs=1e-6)
    more, finer = fit_and_tokenize(stream, cut, n_codes=2)
    assert rebuild(finer, more, stream).error[0] == pytest.approx(0.0, abs=1e-5)


def test_slopes_are_left_out_where_they_rebuild_less() -> None:
    """Short ramps and a long flat stretch of one code: the slope would carry the long one away."""
    ramps = np.concatenate(
        [np.concatenate([np.linspace(-1, 1, 10), np.linspace(1, -1, 3)]) for _ in range(4)]
    )
    stream = Stream(np.concatenate([ramps, np.zeros(200)]), rate=1.0, channels=("x",))
    cut = Segmentation.of(stream, [10, 13, 23, 26, 36, 39, 49, 52])
    codebook, tokens = fit_and_tokenize(stream, cut, n_codes=1)
    found = rebuild(tokens, codebook, stream)
    level = codebook.centroids[0, 0] * codebook.scale[0] + codebook.shift[0]
    assert not found.sloped[0]
    assert np.allclose(found.values, level)


def test_missing_and_flat_channels_are_rebuilt_without_0_over_0() -> None:
    values = np.column_stack([np.repeat([0.0, 4.0], 10), np.full(20, 7.0)])
    values[3, 0] = np.nan
    stream = Stream(values, rate=1.0, channels=("x", "y"))
    codebook, tokens = fit_and_tokenize(stream, Segmentation.of(stream, [10]), n_codes=2)
    found = rebuild(tokens, codebook, stream)
    assert np.isfinite(found.values).all()
    assert np.isfinite(found.error).all()
    assert np.isnan(found.explained[1])
    with pytest.raises(ParameterError, match="another codebook"):
        rebuild(tokens, fit_and_tokenize(stream, Segmentation.of(stream, [10]), n_codes=1)[0], stream)
    other = Stream(values, rate=1.0, channels=("x", "z"))
    with pytest.raises(ParameterError, match=r"z\.mean"):
        rebuild(tokens, codebook, other)


def test_motifs_are_counted_and_the_planted_one_comes_first() -> None:
    random = np.random.default_rng(0)
    codes: list[int] = []
    for _ in range(60):
        codes += [0, 1, 2] if random.random() < 0.4 else [int(random.integers(3, 9))]
    found = motifs(tokens_of(codes), 3)
    assert found[0].codes == (0, 1, 2)
    assert found[0].times > 3 * found[0].expected
    merged = [c for c, before in zip(codes, [-1, *codes], strict=False) if c != before]
    plain = Counter(zip(merged, merged[1:], merged[2:], strict=False))
    assert {m.codes: m.times for m in found} == {k: n for k, n in plain.items() if n >= 2}


def test_motifs_run_across_no_gap_and_equal_neighbours_are_one() -> None:
    assert [(m.codes, m.times) for m in motifs(tokens_of([0, 0, 1, 0, 1]), 2, 1)] == [
        ((0, 1), 2),
        ((1, 0), 1),
    ]
    gapped = motifs(tokens_of([0, 1, 0, 1], {2: 5.0}), 2, 1)
    assert [(m.codes, m.times) for m in gapped] == [((0, 1), 2)]
    assert motifs(tokens_of([0, 1]), 3, 1) == []


def test_what_repeats_takes_fewer_bits_than_what_does_not() -> None:
    random = np.random.default_rng(0)
    cycle = token_bits(tokens_of([0, 1, 2, 3] * 100), 4, 1.0)
    chance = token_bits(tokens_of(random.permutation([0, 1, 2, 3] * 100).tolist()), 4, 1.0)
    one = token_bits(tokens_of([0] * 400), 4, 1.0)
    assert one.per_second < cycle.per_second < chance.per_second
    assert cycle.codes < 60, "after each code came only one"
    entropy = math.log2(3)  # of a code that differs from the one before
    assert chance.codes / (400 * 0.75) == pytest.approx(entropy, rel=0.15)
    assert one.durations == 2 * 8 + 1  # 400 steps: one duration
    assert cycle.seconds == chance.seconds == 400.0


def test_the_code_length_is_that_of_an_adaptive_coder() -> None:
    found = token_bits(tokens_of([0, 1]), 2, 1.0)
    alone = -math.log2(1 / 3) - math.log2(0.5 / 2.5)
    after = -math.log2(1 / 3) - math.log2(1 / 3)
    assert found.codes == pytest.approx(1 + min(alone, after))
    assert found.durations == 2.0


def test_gaps_are_coded_and_count_no_time() -> None:
    whole, gapped = token_bits(tokens_of([0, 1]), 2, 1.0), token_bits(tokens_of([0, 1], {1: 8.0}), 2, 1.0)
    assert gapped.seconds == whole.seconds == 2.0
    assert gapped.durations == whole.durations + 7
    assert gapped.codes > whole.codes


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sax([], 1), "values"),
        (lambda: sax([np.nan], 1), "values"),
        (lambda: sax([1.0], 2), "n_pieces"),
        (lambda: sax([1.0], 1, 1), "alphabet"),
        (lambda: sax_distance(sax([1.0], 1, 3), sax([1.0], 1, 4)), "b"),
        (lambda: motifs(tokens_of([0]), 0), "length"),
        (lambda: motifs(tokens_of([0]), 1, 0), "least"),
        (lambda: token_bits(tokens_of([3]), 3, 1.0), "n_codes"),
        (lambda: token_bits(tokens_of([3]), 4, 0.0), "resolution"),
    ],
)
def test_arguments_out_of_range_are_refused(call, name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        call()
