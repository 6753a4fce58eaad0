"""How fast a device turns while its wearer moves: the number itself, and what a model makes of another one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.inputs.layout import Layout, fit_layout, model_inputs, session_table
from align.coordination.trust.familiarity import Familiar, fit_familiar
from align.coordination.trust.swings import swings
from align.datatypes import Session, Stream
from tests.naive import median_swing

HOP, RATE, G = 0.5, 50.0, 9.80665
NAMES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def worn(
    swing: float, seed: int = 0, *, moves: bool = True, deg: bool = False, metric: bool = False
) -> Session:
    """20 s at rest and 20 s of steps, at which the device turns by about ``swing`` rad/s."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(40 * RATE)) / RATE
    walks = (t >= 20.0) * float(moves)
    beat = np.sin(2 * np.pi * 1.8 * t + rng.uniform(0, 6))
    forces = np.column_stack([0.3 * walks * beat, 0.0 * t, 1.0 + 0.3 * walks * beat])
    turns = np.column_stack([swing * np.sqrt(2.0) * walks * beat, 0.0 * t, 0.0 * t])
    values = np.hstack([forces, turns]) + rng.normal(0, 0.01, (t.size, 6))
    values[:, :3] *= G if metric else 1.0
    values[:, 3:] *= 180 / np.pi if deg else 1.0
    units = ("m/s2" if metric else "g",) * 3 + ("deg/s" if deg else "rad/s",) * 3
    return Session(f"p{seed}", (Stream(values, RATE, "imu", channels=NAMES, units=units),))


@pytest.fixture(scope="module")
def layout() -> Layout:
    return fit_layout([session_table(worn(s, i), HOP) for i, s in enumerate((0.5, 1.0, 2.0))])


def swing_of(session: Session, layout: Layout) -> float:
    (found,) = swings(model_inputs(session_table(session, HOP, layout), layout), layout)
    return float(found)


def test_it_is_the_median_of_the_windows_in_which_the_device_moves(layout: Layout) -> None:
    session = worn(1.3)
    table = session_table(session, HOP, layout)
    block, columns = table.blocks[0], dict(zip(table.channels[0], range(99), strict=False))
    rates = [[row[columns[f"gyro_{a}.mean"]] for a in "xyz"] for row in block]
    spreads = [[np.exp(row[columns[f"gyro_{a}.sd"]]) for a in "xyz"] for row in block]
    forces = [[np.exp(row[columns[f"acc_{a}.sd"]]) for a in "xyz"] for row in block]
    expected = median_swing(rates, spreads, forces, HOP)
    assert swing_of(session, layout) == pytest.approx(expected, abs=1e-3)
    assert np.exp(expected) == pytest.approx(1.3, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.6, 1.8), st.booleans(), st.booleans())
def test_units_do_not_matter(layout: Layout, swing: float, deg: bool, metric: bool) -> None:
    said = swing_of(worn(swing, deg=deg, metric=metric), layout)
    assert said == pytest.approx(swing_of(worn(swing), layout), abs=0.02)


def test_nobody_moves_or_nothing_turns(layout: Layout) -> None:
    assert np.isnan(swing_of(worn(1.0, moves=False), layout))
    whole = worn(1.0).streams[0]
    alone = Stream(whole.values[:, :3], RATE, "imu", channels=NAMES[:3], units=whole.units[:3])
    assert np.isnan(swing_of(Session("p", (alone,)), layout))
    without = fit_layout([session_table(Session("p", (alone,)), HOP)])
    assert swings(
        model_inputs(session_table(Session("p", (alone,)), HOP, without), without), without
    ).shape == (0,)


def known_from(sessions: list[Session]) -> tuple[Familiar, Layout]:
    tables = [session_table(s, HOP) for s in sessions]
    layout = fit_layout(tables)
    return fit_familiar([model_inputs(t, layout) for t in tables], layout), layout


def strangeness(known: Familiar, layout: Layout, session: Session) -> float:
    return known.strangeness(model_inputs(session_table(session, HOP, layout), layout), layout)


def test_a_device_that_turns_otherwise_is_strange_to_a_model_of_enough_sessions() -> None:
    people = [worn(s, i) for i, s in enumerate((0.8, 0.9, 1.0, 1.1, 1.2, 1.0))]
    known, layout = known_from(people)
    assert known.swings == pytest.approx(np.array([[0.0, 0.2]]), abs=0.05)
    assert strangeness(known, layout, worn(1.1, 9)) == 0.0
    assert strangeness(known, layout, worn(0.4, 9)) == 1.0
    few, layout = known_from(people[:4])
    assert few.swings.tolist() == [[0.0, 1000.0]]
