"""align/tokens/residual.py: every level lowers the error, codes rebuild what they coded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.tokens import describe_segments, fit_codebook
from align.tokens.codebook import fit_rows, scaled_rows
from align.tokens.residual import fit_residual, level_errors, rebuilt, residual_codes
from tests.tokens.kinds import KINDS, recording

PAIR = recording([*KINDS] * 12, 3)
ROWS = describe_segments(*PAIR)[0]
BOOK = fit_codebook([PAIR], n_codes=3)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99))
def test_the_error_falls_from_level_to_level(n, levels, n_codes, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    codebook = fit_rows(rows, ("a", "b", "c"), n_codes=4)
    errors = level_errors(rows, codebook, fit_residual(rows, codebook, levels=levels, n_codes=n_codes))
    assert len(errors) == levels + 1
    assert (np.diff(errors) <= 1e-9 * errors[0] + 1e-12).all()
    if n_codes >= n:
        assert errors[-1] <= 1e-9 * max(errors[0], 1.0)


def test_levels_help_much_on_recordings():
    errors = level_errors(ROWS, BOOK, fit_residual(ROWS, BOOK, levels=3, n_codes=8))
    assert (np.diff(errors) < 0).all() and errors[-1] < 0.5 * errors[0]


def test_codes_rebuild_features_as_well_as_the_error_says():
    residual = fit_residual(ROWS, BOOK, levels=2, n_codes=8)
    codes = residual_codes(ROWS, BOOK, residual)
    assert codes.shape == (len(ROWS), 3)
    errors = level_errors(ROWS, BOOK, residual)
    for used in (1, 2, 3):
        away = scaled_rows(rebuilt(codes[:, :used], BOOK, residual), BOOK) - scaled_rows(ROWS, BOOK)
        assert (away**2).sum(axis=1).mean() == pytest.approx(errors[used - 1], rel=1e-4)


def test_the_order_of_rows_changes_nothing():
    order = np.random.default_rng(0).permutation(len(ROWS))
    np.testing.assert_array_equal(fit_residual(ROWS, BOOK), fit_residual(ROWS[order], BOOK))


def test_equal_rows_and_no_rows():
    same = np.tile(ROWS[:1], (5, 1))
    residual = fit_residual(same, fit_rows(same, BOOK.features), n_codes=4)
    assert residual.shape == (2, 4, ROWS.shape[1]) and np.isfinite(residual).all()
    for bad in ({"levels": 0}, {"n_codes": 0}):
        with pytest.raises(ParameterError):
            fit_residual(ROWS, BOOK, **bad)
    with pytest.raises(ParameterError):
        fit_residual(ROWS[:0], BOOK)
