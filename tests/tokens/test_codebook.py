"""align/tokens/codebook.py: stable codes, whatever the order; honest numbers of codes; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align import Segmentation, Stream
from align.errors import ParameterError
from align.tokens import describe_segments, fit_codebook, tokenize

KINDS = {"rest": (0.0, 0.05, 0.0), "walk": (1.0, 0.3, 2.0), "shake": (3.0, 1.0, 5.0)}


def recording(kinds, seed=0, name="wrist"):
    """Ten-second segments of the given kinds at 25 Hz: level, noise and rhythm differ."""
    rng, t = np.random.default_rng(seed), np.arange(250) / 25.0
    parts = []
    for kind in kinds:
        level, noise, frequency = KINDS[kind]
        rhythm = np.sin(2 * np.pi * frequency * t)
        parts.append(
            np.column_stack([level + rhythm, 0.5 * rhythm]) + noise * rng.normal(size=(250, 2)) * 0.2
        )
    stream = Stream(np.concatenate(parts), rate=25.0, name=name, channels=("acc_x", "acc_y"))
    return stream, Segmentation.of(stream, 250 * np.arange(1, len(kinds)))


def test_kinds_of_segments_share_no_code_on_a_new_recording():
    codebook = fit_codebook([recording(["rest", "walk", "shake"] * 6, seed) for seed in range(3)], n_codes=6)
    kinds = ["walk", "rest", "rest", "shake", "walk", "shake", "rest"]
    tokens = tokenize(*recording(kinds, seed=99), codebook)
    codes = {
        kind: {c for k, c in zip(kinds, tokens.codes.tolist(), strict=True) if k == kind} for kind in KINDS
    }
    assert not codes["rest"] & codes["walk"]
    assert not codes["rest"] & codes["shake"]
    assert not codes["walk"] & codes["shake"]
    assert tokens.codebook == codebook.hash
    assert tokens.spans[3].tolist() == [30.0, 40.0]
    assert "rhythmic 2.0 Hz" in tokens.names[tokens.codes[0]]


def test_every_token_is_its_nearest_centroid():
    pair = recording(["rest", "walk", "shake", "walk"] * 5)
    codebook = fit_codebook([pair], n_codes=8)
    features, names = describe_segments(*pair)
    assert names == codebook.features
    scaled = (features.astype(float) - codebook.shift) / codebook.scale
    squares = ((scaled[:, None] - codebook.centroids[None]) ** 2).sum(axis=2)
    assert tokenize(*pair, codebook).codes.tolist() == squares.argmin(axis=1).tolist()


@given(st.permutations(range(6)))
@settings(max_examples=10)
def test_V12_codes_do_not_depend_on_the_order_of_recordings(order):
    pairs = [recording(["rest", "walk", "shake", "walk"], seed) for seed in range(6)]
    expected = fit_codebook(pairs, n_codes=5)
    codebook = fit_codebook([pairs[i] for i in order], n_codes=5)
    assert codebook.hash == expected.hash
    assert codebook.names == expected.names


def test_V12_ids_ascend_with_the_centroids():
    codebook = fit_codebook([recording(["rest", "walk", "shake"] * 4)], n_codes=6)
    rows = [tuple(row) for row in codebook.centroids.tolist()]
    assert rows == sorted(rows)
    assert [name.split()[0] for name in codebook.names] == [f"a{i}" for i in range(len(rows))]


def test_V11_identical_segments_make_one_code():
    stream = Stream(np.full(60, 2.5), rate=1.0)
    cut = Segmentation.of(stream, [10, 25, 40])
    codebook = fit_codebook([(stream, cut)], n_codes=64)
    assert codebook.names == ("a0 typical",)
    assert tokenize(stream, cut, codebook).codes.tolist() == [0, 0, 0, 0]


def test_V11_fewer_segments_than_codes():
    codebook = fit_codebook([recording(["rest", "walk", "shake"])], n_codes=64)
    assert len(codebook.centroids) == len(codebook.names) == 3
    twice = fit_codebook([recording(["rest", "walk", "shake"])] * 2, n_codes=64)
    assert len(twice.centroids) == 3


def test_no_code_of_a_codebook_goes_unused_where_it_was_fitted():
    pairs = [recording(["rest", "walk", "shake", "walk"] * 4, seed) for seed in range(2)]
    codebook = fit_codebook(pairs, n_codes=12)
    used = {int(code) for pair in pairs for code in tokenize(*pair, codebook).codes}
    assert used == set(range(len(codebook.names)))


def test_a_seed_gives_one_codebook():
    pair = recording(["rest", "walk", "shake", "walk"] * 8)
    assert fit_codebook([pair], n_codes=9, seed=3).hash == fit_codebook([pair], n_codes=9, seed=3).hash


def test_torch_makes_the_codebook_that_the_kernels_make():
    import torch

    from align.tokens.codebook import fit_rows

    described = [describe_segments(*recording(["walk", "rest", "shake"] * 4, seed)) for seed in range(3)]
    rows, names = np.concatenate([values for values, _ in described]), described[0][1]
    one = fit_rows(rows, names, n_codes=5)
    two = fit_rows(rows, names, n_codes=5, device=torch.device("cpu"))
    assert one.names == two.names
    np.testing.assert_allclose(two.centroids, one.centroids, rtol=1e-6, atol=1e-6)


def test_V10_a_spike_takes_no_more_than_a_code():
    stream, cut = recording(["rest", "walk", "shake"] * 6)
    values = stream.values.astype(np.float64)
    values[777, 0] = 1e12
    spiked = Stream(values, rate=25.0, channels=stream.channels)
    clean, codebook = fit_codebook([(stream, cut)], n_codes=4), fit_codebook([(spiked, cut)], n_codes=4)
    codes, expected = tokenize(spiked, cut, codebook).codes, tokenize(stream, cut, clean).codes
    # The segment with the spike stands alone; rest stays apart from shake.
    assert (codes == codes[3]).sum() == 1
    assert codes[0] != codes[2]
    assert len(set(expected.tolist())) == 4


def test_V09_channels_count_alike_whatever_their_unit():
    stream, cut = recording(["rest", "walk", "shake"] * 6)
    scaled = Stream(stream.values * np.float32([1e6, 1.0]), rate=25.0, channels=stream.channels)
    small, large = fit_codebook([(stream, cut)], n_codes=3), fit_codebook([(scaled, cut)], n_codes=3)
    assert tokenize(stream, cut, small).codes.tolist() == tokenize(scaled, cut, large).codes.tolist()


def test_a_missing_channel_counts_as_typical():
    stream, cut = recording(["rest", "walk", "shake"] * 4)
    codebook = fit_codebook([(stream, cut)], n_codes=3)
    values = stream.values.copy()
    values[250:500, 1] = np.nan
    tokens = tokenize(Stream(values, rate=25.0, channels=stream.channels), cut, codebook)
    assert tokens.codes[1] == tokenize(stream, cut, codebook).codes[1]
    assert np.isnan(tokens.features[1]).sum() == len(codebook.features) // 2


def test_features_are_matched_by_name_not_by_place():
    stream, cut = recording(["rest", "walk", "shake"] * 4)
    codebook = fit_codebook([(stream, cut)], n_codes=3)
    swapped = Stream(stream.values[:, ::-1].copy(), rate=25.0, channels=("acc_y", "acc_x"))
    assert tokenize(swapped, cut, codebook).codes.tolist() == tokenize(stream, cut, codebook).codes.tolist()


def test_other_features_are_refused():
    stream, cut = recording(["rest", "walk", "shake"])
    codebook = fit_codebook([(stream, cut)])
    renamed = Stream(stream.values, rate=25.0, channels=("acc_x", "gyro_y"))
    slower = Stream(stream.values, rate=5.0, channels=stream.channels)
    for other in (renamed, slower):
        with pytest.raises(ParameterError, match="E-PARAM"):
            tokenize(other, Segmentation.of(other, cut.changes), codebook)
        with pytest.raises(ParameterError, match="pairs"):
            fit_codebook([(stream, cut), (other, Segmentation.of(other, []))])


@pytest.mark.parametrize(
    "arguments",
    [{"n_codes": 0}, {"n_codes": 10**9}, {"seed": -1}, {"pairs": []}],
    ids=lambda a: next(iter(a)),
)
def test_S17_numbers_out_of_range_are_refused(arguments):
    pairs = arguments.get("pairs", [recording(["rest"])])
    numbers = {name: value for name, value in arguments.items() if name != "pairs"}
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        fit_codebook(pairs, **numbers)
