"""The repair of a clock: planted offsets, drifts and settings are found; streams go there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.datatypes import Stream
from align.errors import InputError, ParameterError
from align.matching.clock_fit import fit_clock, span_anchors
from align.matching.clocks import ClockRepair, drift_bound, repair_stream, unrepair_stream

DAY = 86_400.0


def planted(device: np.ndarray, step: float = -1.4, at: float = 40_000.0) -> np.ndarray:
    """A clock 3.217 s behind, 50 ppm slow, set once."""
    return device + 3.217 + 50e-6 * device + step * (device >= at)


def moments(seed: int, n: int = 300, sd: float = 0.02) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors of the planted clock, one in twenty wrong by seconds."""
    rng = np.random.default_rng(seed)
    device = np.sort(rng.uniform(0, DAY, n))
    wrong = rng.random(n) < 0.05
    return device, planted(device) + rng.normal(0, sd, n) + wrong * rng.uniform(-8, 8, n), wrong


@pytest.mark.parametrize("seed", range(12))
def test_T06_offset_drift_and_setting_are_found_among_wrong_anchors(seed: int) -> None:
    device, session, wrong = moments(seed)
    found = fit_clock(device, session, breaks=[40_000.0])
    grid = np.linspace(device[0], device[-1], 2_000)
    assert found.kind == "piecewise" and len(found.pieces) == 2
    assert np.abs(found.session_seconds(grid) - planted(grid)).max() < 0.01
    assert abs(found.ppm - 50.0) < 2.0
    assert abs(found.offset - (planted(device[found.used][:1]) - device[found.used][0])[0]) < 0.01
    far = np.abs(session - planted(device)) > 0.2
    assert not found.used[far].any() and found.used[~wrong].mean() > 0.98
    assert 0.015 < found.rms < 0.025


def test_a_change_of_pace_has_no_jump() -> None:
    rng = np.random.default_rng(0)
    device = np.sort(rng.uniform(0, DAY, 400))
    true = device + 1.0 + 20e-6 * device - 60e-6 * np.maximum(0.0, device - 30_000.0)
    found = fit_clock(device, true + rng.normal(0, 0.005, 400))
    assert [round(p, 6) for p in found.pieces[:, 2]] == [1.00002, 0.99996]
    assert np.abs(found.session_seconds(device) - true).max() < 0.01
    assert len(found.knots) == 3 and abs(found.knots[1, 0] - 30_000) < 1_500


def test_noise_alone_is_an_offset() -> None:
    kinds = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        device = np.sort(rng.uniform(0, 3_600, 30))
        kinds.append(fit_clock(device, device + 2.0 + rng.normal(0, 1.0, 30)).kind)
    assert kinds.count("offset") >= 38


@settings(max_examples=25)
@given(st.floats(-1e4, 1e4), st.floats(-200, 200), st.integers(4, 30))
def test_exact_anchors_of_a_straight_clock_are_met(offset: float, ppm: float, n: int) -> None:
    device = np.linspace(0.0, DAY, n)
    found = fit_clock(device, device * (1 + 1e-6 * ppm) + offset)
    assert np.abs(found.residuals).max() < 2e-3
    assert abs(found.offset - offset) < 2e-3
    assert found.ppm == pytest.approx(ppm, abs=0.03)


def test_order_of_the_anchors_means_nothing() -> None:
    device, session, _ = moments(3)
    shuffled = np.random.default_rng(0).permutation(device.size)
    a, b = fit_clock(device, session), fit_clock(device[shuffled], session[shuffled])
    assert (a.pieces == b.pieces).all() and (a.anchors == b.anchors).all()


def test_few_anchors_claim_little() -> None:
    assert fit_clock([5.0], [7.0]).offset == 2.0
    two = fit_clock([0.0, 1_000.0], [2.0, 1_002.1])
    assert two.kind == "offset" and two.rms == pytest.approx(0.05)
    assert fit_clock([0.0, 1_000.0], [2.0, 1_002.1], kind="linear").ppm == pytest.approx(100.0)
    one_wrong = fit_clock([0, 10, 20, 30, 40], [1, 11, 99, 31, 41], kind="linear")
    assert one_wrong.used.tolist() == [True, True, False, True, True] and abs(one_wrong.ppm) < 1


def test_what_cannot_be_a_clock_is_refused() -> None:
    with pytest.raises(InputError, match="E-CLOCK") as caught:
        fit_clock([1.0, 1.0], [2.0, 2.0], kind="linear", names=("watch", "phone"))
    assert "watch" in str(caught.value) and "anchors" in str(caught.value)
    with pytest.raises(InputError, match="1 %"):
        fit_clock(np.arange(10.0), 1.5 * np.arange(10.0))
    with pytest.raises(InputError, match="takes 1"):
        fit_clock([], [])
    for bad in ([np.nan], [1.0, 2.0]):
        with pytest.raises(ParameterError):
            fit_clock([1.0], bad)
    with pytest.raises(ParameterError, match="kind"):
        fit_clock([1.0], [1.0], kind="cubic")  # type: ignore[arg-type]


def test_T06_without_anchors_there_is_a_bound() -> None:
    assert drift_bound(7 * DAY) == pytest.approx(30.24)


def test_spans_give_two_anchors_each_and_unplaced_ones_none() -> None:
    pairs = span_anchors([[10, 12], [np.nan, np.nan], [2, 3]], [[11, 13], [1, 2], [3, 4]])
    assert pairs.tolist() == [[2, 3], [3, 4], [10, 11], [12, 13]]


# --- streams


def stream(rate: float = 50.0, n: int = 5_000, starts: tuple[float, ...] = (0.0,)) -> Stream:
    index = np.arange(len(starts)) * (n // len(starts))
    return Stream(
        np.arange(n, dtype=np.float32), rate=rate, name="watch", run_index=index, run_start=np.array(starts)
    )


def repair(*pieces: tuple[float, float, float], last: float = 100.0) -> ClockRepair:
    table = np.asarray(pieces)
    kind = "piecewise" if len(table) > 1 else "linear"
    draft = ClockRepair("watch", "phone", kind, table, np.zeros((1, 2)), np.ones(1, bool))
    ends = np.array([0.0, last])
    return ClockRepair(
        "watch", "phone", kind, table, np.column_stack([ends, draft.session_seconds(ends)]), np.ones(2, bool)
    )


def test_a_linear_drift_changes_starts_and_rate_and_no_value() -> None:
    one = repair((0.0, 3.0, 1.0 + 50e-6), last=200.0)
    before = stream(starts=(0.0, 60.0))
    after = repair_stream(before, one)
    assert np.abs(after.times() - one.session_seconds(before.times())).max() < 1e-9
    assert after.rate == pytest.approx(50.0 / (1 + 50e-6), rel=1e-12)
    assert after.values is before.values and after.n_runs == 2
    assert [f.code for f in after.findings] == ["P-CLOCK"]
    assert "50.0 ppm" in after.findings[0].message


def test_a_bend_cuts_runs_invents_no_gap_and_keeps_times_within_half_a_sample() -> None:
    bend = repair((0.0, 0.0, 1.0), (30.0, 30.0, 1.001), last=100.0)
    before = stream()
    after = repair_stream(before, bend)
    assert after.n_runs > 1
    assert np.abs(after.times() - bend.session_seconds(before.times())).max() <= 0.5 / 50.0
    assert (after.gaps[:, 1] - after.gaps[:, 0] == 0.0).all(), "cut, and no time between"


def test_a_clock_set_back_leaves_a_gap_and_one_set_forward_closes_a_false_one() -> None:
    paused = repair_stream(stream(), repair((0.0, 0.0, 1.0), (50.0, 52.0, 1.0)))
    assert paused.gaps.round(6).tolist() == [[50.0, 52.0]]
    false_gap = stream(starts=(0.0, 53.0))  # 50 s of samples, then a clock that was set 3 s forward
    closed = repair_stream(false_gap, repair((0.0, 0.0, 1.0), (53.0, 50.0, 1.0)))
    assert closed.gaps.round(6).tolist() == [[50.0, 50.0]]
    with pytest.raises(InputError, match="on top"):
        repair_stream(stream(), repair((0.0, 0.0, 1.0), (53.0, 50.0, 1.0)))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(5.0, 30.0), st.floats(-0.004, 0.004), st.floats(0.0, 2.0)), min_size=0, max_size=3),
    st.floats(-50.0, 50.0),
    st.sampled_from([1.0, 25.0, 400.0]),
)  # fmt: skip
def test_there_and_back_are_the_original_times(
    bends: list[tuple[float, float, float]], offset: float, rate: float
) -> None:
    rows = [(0.0, offset, 1.0)]
    for length, slope, jump in bends:
        begin, at, pace = rows[-1]
        rows.append((begin + length, at + pace * length + jump, 1.0 + slope))
    one = repair(*rows)
    before = stream(rate, n=int(100 * rate), starts=(0.0, 57.0))
    after = repair_stream(before, one)
    back = unrepair_stream(after, one)
    assert back.run_index.tolist() == before.run_index.tolist()
    assert np.abs(back.times() - before.times()).max() < 1e-6
    assert back.rate == pytest.approx(before.rate, rel=1e-12) and back.findings == ()
    assert np.abs(one.device_seconds(one.session_seconds(before.times())) - before.times()).max() < 1e-6


def test_a_stream_beyond_the_anchors_is_told() -> None:
    device = np.linspace(100.0, 200.0, 20)
    rng = np.random.default_rng(1)
    found = fit_clock(device, device + 2.0 + rng.normal(0, 0.01, 20))
    codes = [f.code for f in repair_stream(stream(n=50_000), found).findings]
    assert codes == ["P-CLOCK", "W-CLOCK-BEYOND"]


def test_a_repair_says_itself_in_plain_values() -> None:
    import json

    device, session, _ = moments(2)
    plain = json.loads(json.dumps(fit_clock(device, session, names=("watch", "phone")).as_dict()))
    assert (plain["stream"], plain["reference"], plain["kind"]) == ("watch", "phone", "piecewise")
    again = ClockRepair(
        plain["stream"], plain["reference"], plain["kind"], np.array(plain["pieces"]),
        np.array(plain["anchors"])[:, :2].astype(float), np.array([row[2] for row in plain["anchors"]]),
    )  # fmt: skip
    assert again.as_dict() == plain
    with pytest.raises(ParameterError):
        ClockRepair("a", "b", "linear", np.array([[0.0, 0.0, 2.0]]), np.zeros((1, 2)), np.ones(1, bool))
