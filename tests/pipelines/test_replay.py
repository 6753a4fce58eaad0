"""A recording as a source: the same lines at any speed, and from where it was left."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from align.errors import AlignError
from pipelines.ndjson import Rows
from pipelines.replay import ReplaySource
from pipelines.sources import Taken
from tests.pipelines.live import lines, live, uninterrupted


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "r.ndjson"
    path.write_bytes(b"\n".join([*lines(), b"bad"]))
    return path


def all_of(source: ReplaySource) -> list[Taken]:
    taken = []
    while not source.ended:
        taken += source.poll(0.05)
    return taken


def test_at_any_speed_the_same_is_said(recording: Path, tmp_path: Path) -> None:
    for i, speed in enumerate((math.inf, 40.0)):
        begin = time.monotonic()
        _, log = live(tmp_path / f"s{i}", ReplaySource(recording, speed), tmp_path / f"o{i}")
        assert (tmp_path / f"o{i}").read_bytes() == uninterrupted(lines())
        assert [e["line"] for e in log if e["code"] == "E-JSON"] == [len(lines()) + 1]
    assert time.monotonic() - begin >= 3.9 / 40, "four seconds at forty times the speed"


def test_it_goes_on_from_where_it_was(recording: Path) -> None:
    source = ReplaySource(recording)
    source.start({})
    whole = [t.what for t in all_of(source)]
    again = ReplaySource(recording)
    again.start({"records": 100})
    assert [t.what for t in all_of(again)] == whole[100:] and again.position() == {"records": len(whole)}


def test_any_stream_file_is_replayed_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "wrist.csv"
    path.write_text("time,x,y\n" + "".join(f"{i / 10},{i},{-i}\n" for i in range(300)))
    source = ReplaySource(path)
    source.start({})
    rows = [t.what for t in all_of(source) if isinstance(t.what, Rows)]
    assert len(rows) > 1 and {r.stream for r in rows} == {"wrist"}
    np.testing.assert_allclose(np.concatenate([r.times for r in rows]), np.arange(300) / 10)
    np.testing.assert_array_equal(np.concatenate([r.values for r in rows])[:, 1], -np.arange(300.0))


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AlignError, match="E-PARAM"):
        ReplaySource(tmp_path / "x.ndjson", 0.0)
    source = ReplaySource(tmp_path / "x.ndjson")
    source.start({})
    with pytest.raises(AlignError, match="E-MISSING"):
        source.poll(0.0)
