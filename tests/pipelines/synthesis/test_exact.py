"""Signals in exact arithmetic: right against numpy, and nothing in the room that rounds by machine."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from pipelines.synthesis import exact

ROOM = Path(exact.__file__).parent
# element by element, in order, or about shapes: what IEEE 754 fixes. No sin, exp, sum, mean, dot, interp.
ALLOWED = {
    *("abs", "append", "arange", "array", "asarray", "bool_", "broadcast_to", "clip", "concatenate"),
    *("cumprod", "cumsum", "diff", "empty", "empty_like", "flatnonzero", "float32", "float64", "floating"),
    *("floor", "full", "full_like", "int16", "ones", "random", "repeat", "searchsorted", "sqrt", "stack"),
    *("where", "zeros", "zeros_like"),
}


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_only_arithmetic_that_is_the_same_everywhere(path: Path) -> None:
    used, methods = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            is_numpy = isinstance(node.value, ast.Name) and node.value.id == "np"
            (used if is_numpy else methods).add(node.attr)
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Pow))
    assert used <= ALLOWED
    assert not methods & {"sum", "mean", "std", "var", "dot", "standard_normal", "normal", "exponential"}


def test_sine_is_the_sine() -> None:
    cycles = np.linspace(-7.0, 7.0, 20_001)
    np.testing.assert_allclose(exact.sine(cycles), np.sin(2 * np.pi * cycles), atol=1e-9)


def test_noise_has_mean_0_and_variance_1_and_depends_on_its_path_alone() -> None:
    drawn = exact.noise(exact.stream(1, 2), 200_000)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.var() - 1) < 0.01
    assert np.abs(drawn).max() <= 3
    np.testing.assert_array_equal(drawn, exact.noise(exact.stream(1, 2), 200_000))
    assert not np.array_equal(drawn, exact.noise(exact.stream(1, 3), 200_000))


@pytest.mark.parametrize("width", [5, 50])
def test_drift_is_slow_and_of_variance_1(width: int) -> None:
    slow = exact.drift(exact.stream(3), 200_000, width)
    assert slow.size == 200_000
    assert abs(slow.var() - 1) < 0.15
    assert np.diff(slow).var() < 4 / width


def test_decay_reaches_one_over_e() -> None:
    fading = exact.decay(200, 50.0)
    assert fading[0] == 1.0
    assert abs(fading[50] - np.exp(-1)) < 0.01
    assert (np.diff(fading) < 0).all()


def test_smooth_step_is_level_at_both_ends() -> None:
    np.testing.assert_allclose(exact.smooth_step([-1, 0, 0.5, 1, 2]), [0, 0, 0.5, 1, 1])


def test_resonate_lets_its_own_frequency_through() -> None:
    time = np.arange(8000) / 16_000

    def gain(hertz: float) -> float:
        return float(exact.resonate(np.sin(2 * np.pi * hertz * time), 1000.0, 50.0)[4000:].max())

    assert abs(gain(1000) - 1) < 0.05
    assert gain(500) < 0.1
    assert gain(2000) < 0.1
    moving = exact.resonate(np.ones(10), np.full(10, 1000.0), 50.0)
    np.testing.assert_array_equal(moving, exact.resonate(np.ones(10), 1000.0, 50.0))
