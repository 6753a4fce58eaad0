"""align/readers/gathering.py: tables read in blocks are the tables read at once, float32 only where it holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from align.datatypes import Stream
from align.errors import InputError
from align.readers import fast_text, gathering
from align.readers.policy import Policy
from align.readers.tables import read_table, read_table_and_zone

RNG = np.random.default_rng(0)
N = 300
NOISE = RNG.standard_normal((N, 2))
TIMES = np.arange(N) / 50


def _csv(folder: Path, times: list[str], values: np.ndarray) -> Path:
    cells = [["" if np.isnan(v) else repr(float(v)) for v in row] for row in values]
    lines = [",".join([t, *row]) for t, row in zip(times, cells, strict=True)]
    path = folder / "table.csv"
    path.write_text("\n".join(["time,a,b", *lines]) + "\n")
    return path


def _parquet(folder: Path, times: object, values: np.ndarray) -> Path:
    path = folder / "table.parquet"
    frame = pl.DataFrame({"time": times, "a": values[:, 0], "b": values[:, 1]})
    frame.write_parquet(path, row_group_size=64)
    return path


def _both(path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> tuple[Stream, Stream]:
    whole = read_table(path, policy)[0]
    monkeypatch.setattr(gathering, "_FEWEST", 7)
    monkeypatch.setattr(gathering, "_VALUES", 7)
    monkeypatch.setattr(fast_text, "_BLOCK", 64)
    return whole, read_table(path, policy)[0]


def _same(one: Stream, other: Stream) -> None:
    assert one.values.dtype == other.values.dtype
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.run_index, other.run_index)
    np.testing.assert_array_equal(one.run_start, other.run_start)
    assert (one.rate, one.epoch, one.findings) == (other.rate, other.epoch, other.findings)


def _some_missing() -> np.ndarray:
    values = NOISE.copy()
    values[40:60] = np.nan
    values[100, 1] = values[0, 0] = np.nan
    values[-1] = np.nan
    return values


@pytest.mark.parametrize("write", [_csv, _parquet])
@pytest.mark.parametrize(
    ("values", "policy"),
    [
        (NOISE, Policy()),
        (NOISE * 1e-3 + 1e6, Policy()),
        (_some_missing(), Policy(on_nan="gap")),
        (np.where(np.arange(N)[:, None] % 7, NOISE, -999.0), Policy(sentinels=(-999.0,))),
    ],
)
def test_blocks_make_the_stream_that_the_whole_makes(write, values, policy, tmp_path, monkeypatch):
    times = list(map(repr, TIMES.tolist())) if write is _csv else TIMES
    one, other = _both(write(tmp_path, times, values), policy, monkeypatch)
    _same(one, other)
    given = values[np.r_[0:40, 60 : N - 1]] if policy.on_nan == "gap" else values
    kept = one.values.astype(float)
    if not policy.sentinels:
        np.testing.assert_allclose(kept, given, rtol=1e-6, atol=0.0)
    else:
        assert (np.isnan(kept).all(axis=1)).sum() == N // 7  # lost samples: rows of NaN between the others


@pytest.mark.parametrize("late", [False, True])
def test_a_signal_that_float32_would_swallow_keeps_float64(late, tmp_path, monkeypatch):
    values = NOISE.copy()
    values[(N // 2 if late else 0) :, 0] = 1e6 + 1e-3 * values[(N // 2 if late else 0) :, 0]
    if late:  # the step into the offset is large: only small ones before and after it show what is lost
        values[: N // 2, 0] *= 1e-3
    one, other = _both(_csv(tmp_path, list(map(repr, TIMES.tolist())), values), Policy(), monkeypatch)
    _same(one, other)
    _same(one, Stream(values, 50.0, name="table", channels=("a", "b")))


def test_lost_samples_are_spread_in_place_over_several_blocks(tmp_path, monkeypatch):
    kept = np.sort(RNG.choice(N, 250, replace=False))
    kept[[0, -1]] = 0, N - 1
    path = _parquet(tmp_path, TIMES[kept], NOISE[kept].astype(np.float32))
    one, other = _both(path, Policy(), monkeypatch)
    _same(one, other)
    rows = np.rint(other.times() * 50).astype(int)
    there = ~np.isnan(other.values).any(axis=1)
    np.testing.assert_array_equal(other.values[there], NOISE[rows[there]].astype(np.float32))
    assert there.sum() == kept.size


@pytest.mark.parametrize("code", ["E-NONFINITE", "E-RANGE"])
def test_F10_a_wrong_cell_in_a_later_block_is_named_by_its_row(code, tmp_path, monkeypatch):
    values = NOISE.copy()
    values[222, 1] = np.nan if code == "E-NONFINITE" else 1e19
    path = _csv(tmp_path, list(map(repr, TIMES.tolist())), values)
    monkeypatch.setattr(fast_text, "_BLOCK", 64)
    with pytest.raises(InputError, match=code) as raised:
        read_table(path, Policy())
    where = raised.value.where
    assert (where["line"], where["sample"], where["channel"]) == (224, 222, "b")
    assert where["time"] == pytest.approx(222 / 50)


def test_times_that_change_their_kind_are_read_as_one_column(tmp_path, monkeypatch):
    start = np.datetime64("2026-10-25T00:59:50", "ms")
    local = [str(start + 20 * i + 3_600_000 * (i < 150)) for i in range(N)]  # summer time ends
    written = [t + ("+02:00" if i < 150 else "+01:00") for i, t in enumerate(local)]
    one, other = _both(_csv(tmp_path, written, NOISE), Policy(), monkeypatch)
    _same(one, other)
    assert [f.count for f in other.findings if f.code == "W-TZ"] == [2]
    bad = _csv(tmp_path, [*written[:-1], "later"], NOISE)
    with pytest.raises(InputError, match="E-TIME") as raised:
        read_table_and_zone(bad, Policy())
    assert raised.value.where["line"] == N + 1


def test_quoted_line_ends_split_no_record(tmp_path, monkeypatch):
    path = _csv(tmp_path, [f'"{t!r}"' for t in TIMES.tolist()], NOISE)
    one, other = _both(path, Policy(), monkeypatch)
    _same(one, other)
    assert one.n_samples == N


def test_a_parquet_column_named_like_a_pattern_is_itself(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"time": TIMES, "^a.*$": NOISE[:, 0], "a": NOISE[:, 1]}).write_parquet(path)
    (stream,) = read_table(path, Policy())
    assert stream.channels == ("^a.*$", "a")
    np.testing.assert_allclose(stream.values, NOISE, rtol=1e-6)
