"""Shape cut while it comes in: the batch's answer, the same for any pushes, in constant memory."""

from __future__ import annotations

import json

import numpy as np
import pytest

from align.errors import ParameterError
from align.monitor import Monitor, StreamSettings
from align.segmentation.online_shape import ShapeSegmenter
from align.segmentation.shape import changes_shape


def patterns(seed: int, n: int, every: int) -> np.ndarray:
    """Waves and saw teeth in turn, of one level and one strength."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 12.0
    wave, saw = np.sin(2 * np.pi * t), 2 * np.sqrt(3) / np.sqrt(2) * (t % 1.0 - 0.5)
    mixed = np.where(np.arange(n) // every % 2 == 0, wave, saw)
    return (mixed + 0.1 * rng.standard_normal(n))[:, None]


def test_a_run_within_the_horizon_ends_with_the_change_points_of_the_batch() -> None:
    values = patterns(0, 3_000, 1_500)
    run = ShapeSegmenter(1)
    updates = run.push(values)
    assert [u.at for u in updates] == [512, 2_048] and not any(u.final for u in updates)
    assert run.finish().final == tuple(changes_shape(values).tolist())
    assert any(abs(c - 1_500) < 60 for c in run.changes())


def test_R01_R03_updates_do_not_depend_on_pushes_or_restarts() -> None:
    values = patterns(1, 3_500, 1_100)
    whole = ShapeSegmenter(1, horizon=1_024)
    said = [*whole.push(values), whole.finish()]
    assert any(u.final for u in said)
    for size in (97, 1_300):
        run, events = ShapeSegmenter(1, horizon=1_024), []
        for i in range(0, len(values), size):
            if i % (5 * size) == 0:
                numbers, arrays = run.state()
                run = ShapeSegmenter(1, horizon=1_024)
                run.restore(json.loads(json.dumps(numbers)), arrays)
            events += run.push(values[i : i + size])
        assert [*events, run.finish()] == said


def test_memory_is_bounded_and_the_cuts_are_found_on_the_way() -> None:
    values = patterns(2, 12_000, 3_000)
    run = ShapeSegmenter(1, horizon=4_096)
    final = []
    for i in range(0, len(values), 1_000):
        final += [c for u in run.push(values[i : i + 1_000]) for c in u.final]
        assert run.buffered <= 4_096
    found = [*final, *run.finish().final]
    assert found == sorted(set(found))
    assert all(min(abs(c - t) for c in found) < 120 for t in (3_000, 6_000, 9_000))
    assert len(found) <= 5


def test_R09_a_flat_line_has_no_shape_and_noise_takes_no_more_looks_than_anything() -> None:
    flat = ShapeSegmenter(2, horizon=2_048)
    assert not any(u.final or u.provisional for u in flat.push(np.ones((9_000, 2))))
    noise = ShapeSegmenter(1, horizon=2_048)
    said = noise.push(np.random.default_rng(0).standard_normal((9_000, 1)))
    assert [u.at for u in said] == [512, *range(2_048, 9_001, 1_024)]
    assert noise.buffered <= 2_048


@pytest.mark.parametrize("wrong", [{"horizon": 600}, {"min_size": 0}, {"min_size": 1_000, "horizon": 2_000}])
def test_what_means_nothing_is_refused(wrong) -> None:
    with pytest.raises(ParameterError):
        ShapeSegmenter(1, **wrong)
    with pytest.raises(ParameterError):
        StreamSettings(method="shape", horizon=512)


def test_a_monitor_cuts_by_shape_where_levels_are_blind() -> None:
    values, times = patterns(3, 4_000, 2_000), np.arange(4_000) / 50.0
    values[1_000:1_003] = np.nan
    settings = StreamSettings(rate=50.0, method="shape", horizon=2_048, lateness=0.0)
    level = Monitor(StreamSettings(rate=50.0, lateness=0.0))
    level.push("heart", times, values)
    assert len([e for e in level.close() if e.event == "segment"]) == 1
    monitor = Monitor(settings)
    whole = monitor.push("heart", times, values) + monitor.close()
    ends = [e.end for e in whole if e.event == "segment" and e.final]
    assert any(abs(end - 40.0) < 2.0 for end in ends) and ends[-1] == 80.0
    monitor, events = Monitor(settings), []
    for i in range(0, 4_000, 333):
        monitor = Monitor.from_bytes(monitor.as_bytes())
        events += monitor.push("heart", times[i : i + 333], values[i : i + 333])
    assert [e.as_dict() for e in events + monitor.close()] == [e.as_dict() for e in whole]
