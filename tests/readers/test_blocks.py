"""align/readers/blocks.py: a table read block by block is the table read whole, and no fault at an edge is missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align.datatypes import Finding, Stream
from align.errors import InputError, UnsafeError
from align.readers import gathering, unfolding
from align.readers.blocks import Block, TableBlocks, read_blocks
from align.readers.policy import Policy
from align.readers.tables import read_table

N, SIZE = 3000, 700
NOISE = np.random.default_rng(0).standard_normal((N, 2))
START = 1_770_000_000_000_000  # us
STEADY = START + 20_000 * np.arange(N)  # 50 Hz
CELLS = 1 << 24


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(gathering, "_FEWEST", 250)
    monkeypatch.setattr(gathering, "_VALUES", 250)


def table(folder: Path, times: object, values: np.ndarray = NOISE, name: str = "timestamp_us") -> Path:
    path = folder / "wrist.parquet"
    columns = {f"c{i} (g)": values[:, i] for i in range(values.shape[1])}
    pl.DataFrame({name: times, **columns}).write_parquet(path, row_group_size=400)
    return path


def opened(path: Path, policy: Policy | None = None, size: int = SIZE) -> TableBlocks:
    found = read_blocks(path, policy or Policy(), size, CELLS)
    assert isinstance(found, TableBlocks), found
    return found


def why_whole(path: Path, policy: Policy | None = None) -> str:
    found = read_blocks(path, policy or Policy(), SIZE, CELLS)
    assert isinstance(found, Finding) and found.code == "W-WHOLE" and "wrist: " in found.message
    return found.message


def all_of(blocks: TableBlocks) -> list[Block]:
    found, first = [], 0
    while first < blocks.n_rows:
        found.append(blocks.read(first, blocks.end_of(first)))
        first = found[-1].end
    return found


def there(stream: Stream) -> np.ndarray:
    """Samples that are rows of the table, and were not lost."""
    return np.flatnonzero(~np.isnan(stream.values).all(axis=1))


def error_of(path: Path, policy: Policy | None = None) -> InputError:
    with pytest.raises(InputError) as raised:
        read_blocks(path, policy or Policy(), SIZE, CELLS)
    return raised.value


def same_error(path: Path, policy: Policy | None = None) -> InputError:
    """The fault that both ways of reading find: the same words and places."""
    with pytest.raises(InputError) as raised:
        read_table(path, policy or Policy())
    found = error_of(path, policy)
    assert found.as_dict() == raised.value.as_dict()
    return found


@pytest.mark.parametrize("size", [257, 700, 1999])
@pytest.mark.parametrize(
    "times", [STEADY, (STEADY - START) / 1e6, (STEADY - START).astype("timedelta64[us]")]
)
def test_a_regular_clock_gives_the_samples_and_times_of_the_whole(tmp_path, times, size):
    path = table(tmp_path, times, name="timestamp_us" if times is STEADY else "time")
    whole = read_table(path, Policy())[0]
    blocks = opened(path, size=size)
    made = all_of(blocks)
    assert len(made) == {257: 12, 700: 4, 1999: 2}[size]
    assert [b.first for b in made] == [0, *(b.end for b in made[:-1])] and made[-1].end == N
    assert (blocks.epoch, blocks.findings, blocks.name) == (whole.epoch, whole.findings, whole.name)
    for block in made:
        stream = block.stream
        np.testing.assert_array_equal(stream.values, whole.values[block.first : block.end])
        np.testing.assert_allclose(
            stream.times(), whole.times(np.arange(block.first, block.end)), rtol=0, atol=1e-9
        )
        about = (stream.rate, stream.channels, stream.units, stream.epoch, stream.values.dtype)
        assert about == (whole.rate, whole.channels, whole.units, whole.epoch, whole.values.dtype)
        assert [block.row_at(s) for s in (0, 1, stream.n_samples)] == [
            block.first,
            block.first + 1,
            block.end,
        ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(300, 1900),
    jitter=st.sampled_from([0.0, 0.02, 0.2]),
    ppm=st.sampled_from([0.0, 80.0, -400.0]),
    lost=st.sampled_from([0.0, 0.01]),
    n_gaps=st.integers(0, 3),
)
def test_any_clock_and_any_size_of_block_give_the_rows_of_the_whole(
    tmp_path, seed, size, jitter, ppm, lost, n_gaps
):
    random = np.random.default_rng(seed)
    slots = np.cumsum(1 + (random.random(N) < lost))
    slots += 500 * np.searchsorted(np.sort(random.integers(1, N, n_gaps)), np.arange(N), side="right")
    period = 20_000 * (1 + ppm * 1e-6)
    times = START + np.floor(period * (slots + jitter * random.uniform(-1, 1, N))).astype(np.int64)
    path = table(tmp_path, times, NOISE.astype(np.float32))
    whole = read_table(path, Policy())[0]
    rows = there(whole)
    assert rows.size == N
    found = read_blocks(path, Policy(), size, CELLS)
    if found is None:
        assert size * 1.5 >= N
        return
    if isinstance(found, Finding):  # few rows that jitter do not tell their pace well
        assert jitter == 0.2 and size < 1000 and "pace" in found.message
        return
    for block in all_of(found):
        stream, mine = block.stream, rows[block.first : block.end]
        own = there(stream)
        np.testing.assert_array_equal(stream.values[own], whole.values[mine])
        away = np.abs(stream.times(own) - whole.times(mine)) * whole.rate
        assert away.max() < (1e-3 if jitter == 0.0 and ppm == 0.0 else 1.0)
        assert stream.rate == pytest.approx(whole.rate, rel=1e-3)
        together = (np.diff(stream.run_of(own)) == 0) & (np.diff(whole.run_of(mine)) == 0)
        np.testing.assert_array_equal(
            np.diff(own)[together], np.diff(mine)[together]
        )  # the same lost samples
        assert [block.row_at(int(s)) for s in own[[0, 1, -1]]] == [
            block.first,
            block.first + 1,
            block.end - 1,
        ]
        assert all(block.row_at(int(s) - 1) <= block.first + i for i, s in enumerate(own) if s)
    written = np.flatnonzero(np.diff(times) > 4 * period)
    counted = [f.count for f in found.findings if f.code == "W-GAP"]
    assert sum(counted) == written.size


def test_a_block_is_what_a_file_of_its_rows_would_be(tmp_path):
    random = np.random.default_rng(3)
    times = START + np.floor(20_000 * (np.arange(N) + 0.3 * random.uniform(-1, 1, N))).astype(np.int64)
    blocks = opened(table(tmp_path, times))
    for first, end in ((0, 700), (123, 900), (2000, N)):
        block = blocks.read(first, end)
        alone = tmp_path / "alone"
        alone.mkdir(exist_ok=True)
        whole = read_table(table(alone, times[first:end], NOISE[first:end]), Policy())[0]
        np.testing.assert_array_equal(block.stream.values, whole.values)
        np.testing.assert_array_equal(block.stream.run_index, whole.run_index)
        assert block.stream.rate == whole.rate
        moved = block.stream.run_start + (blocks.epoch - whole.epoch) / 1e9
        np.testing.assert_allclose(moved, whole.run_start, rtol=0, atol=2e-9)


@pytest.mark.parametrize("row", [1, SIZE - 1, SIZE, SIZE + 1, 1000, 4 * SIZE, N - 1])
@pytest.mark.parametrize("fault", ["order", "duplicate", "nan", "large", "no time"])
def test_T01_T02_V01_T18_a_fault_at_an_edge_is_named_as_the_whole_reader_names_it(tmp_path, row, fault):
    times, values = STEADY.copy(), NOISE.copy()
    if fault == "order":
        times[row] = times[row - 1] - 7_000
    elif fault == "duplicate":
        times[row:] -= times[row] - times[row - 1]
    elif fault in ("nan", "large"):
        values[row, 1] = np.nan if fault == "nan" else 1e19
    given = times if fault != "no time" else pl.Series(times).scatter(row, [None])
    found = same_error(table(tmp_path, given, values))
    code = {"order": "E-UNSORTED", "duplicate": "E-DUP-TIME", "nan": "E-NONFINITE", "large": "E-RANGE"}
    assert found.code == code.get(fault, "E-TIME") and found.where["sample"] == row


def test_the_first_of_several_faults_is_named_and_the_cells_come_before_the_order(tmp_path):
    times, values = STEADY.copy(), NOISE.copy()
    times[[900, 2500]] -= 50_000
    assert same_error(table(tmp_path, times)).where["sample"] == 900
    values[[1500, 2600], 0] = np.inf
    found = same_error(table(tmp_path, times, values))
    assert found.code == "E-NONFINITE" and "2 in all" in found.message


def test_V02_a_channel_is_empty_only_if_it_is_so_in_the_whole_file(tmp_path):
    values = NOISE.copy()
    values[SIZE : 2 * SIZE, 1] = np.nan
    policy = Policy(on_nan="gap")
    path = table(tmp_path, STEADY, values)
    blocks, whole = opened(path, policy), read_table(path, policy)[0]
    assert blocks.findings == whole.findings and blocks.findings[0].count == SIZE
    block = blocks.read(SIZE, 2 * SIZE)
    np.testing.assert_array_equal(block.stream.values, whole.values[SIZE : 2 * SIZE])
    values[:, 1] = np.nan
    found = same_error(table(tmp_path, STEADY, values), policy)
    assert found.code == "E-NO-SAMPLES" and found.where["channel"] == "c1"


def test_rows_without_a_number_are_pauses_and_a_block_may_have_nothing_else(tmp_path):
    values, policy = NOISE.copy(), Policy(on_nan="gap")
    values[650:2000] = np.nan
    path = table(tmp_path, STEADY, values)
    blocks, whole = opened(path, policy), read_table(path, policy)[0]
    assert blocks.read(700, 1400).stream is None and blocks.read(700, 1400).row_at(0) == 1400
    block = blocks.read(600, 2100)
    assert [block.row_at(s) for s in (0, 49, 50, 149, 150)] == [600, 649, 2000, 2099, 2100]
    np.testing.assert_array_equal(block.stream.values, whole.values[600 : 600 + 150])
    np.testing.assert_allclose(block.stream.times(), whole.times(np.arange(600, 750)), rtol=0, atol=1e-9)
    counts = {f.code: f.count for f in blocks.findings}
    assert counts == {f.code: f.count for f in whole.findings} == {"P-NAN": 2700, "W-GAP": 1}


def test_findings_of_all_blocks_are_added_up_and_edges_belong_to_one(tmp_path):
    slots = np.arange(N) + 100 * np.searchsorted([SIZE, 2 * SIZE, 2500], np.arange(N), side="right")
    slots += np.searchsorted([100, 1500, 2 * SIZE + 50], np.arange(N), side="right")
    values = np.where(np.arange(N)[:, None] % 9 == 4, [-999.0, 1.0], NOISE)
    policy = Policy(sentinels=(-999.0,))
    path = table(tmp_path, START + 20_000 * slots, values)
    found, whole = opened(path, policy).findings, read_table(path, policy)[0].findings
    assert {f.code: f.count for f in found} == {f.code: f.count for f in whole}
    assert {f.code for f in found} == {"P-SENTINEL", "W-GAP", "W-LOSS"}
    assert "the first of 3 blocks" in next(f.message for f in found if f.code == "W-GAP")


def test_batches_across_an_edge_are_no_duplicates(tmp_path):
    at = np.arange(N)
    late = np.where(at % 10 < 4, (at // 10) * 10 + 4, at)  # four rows wait for the fifth
    path = table(tmp_path, START + 20_000 * late)
    whole = read_table(path, Policy())[0]
    assert not np.isnan(whole.values).any()
    for size in (SIZE, 702, 704):
        for block in all_of(opened(path, size=size)):
            values = block.stream.values
            np.testing.assert_array_equal(values[there(block.stream)], whole.values[block.first : block.end])
            lost = len(values) - (block.end - block.first)
            assert lost <= 3 * (block.end < N)  # a batch whose last row is beyond the end looks late for good


def test_T11_the_unit_is_that_of_the_whole_column(tmp_path):
    """Ten days in ms: late numbers alone would be seconds since 1970."""
    times = np.arange(N) * 300_000
    path = table(tmp_path, times, name="time_ms")
    whole = read_table(path, Policy())[0]
    blocks = opened(path)
    assert blocks.epoch is whole.epoch is None
    for block in all_of(blocks):
        np.testing.assert_allclose(block.stream.times(), times[block.first : block.end] / 1000)
    assert same_error(table(tmp_path, STEADY, name="time_s")).code == "E-UNIT"
    mixed = np.where(np.arange(N) < 2500, STEADY, STEADY * 1000)
    assert same_error(table(tmp_path, mixed, name="time")).code == "E-UNIT"


def test_T08_a_zone_whose_offset_changes_is_read_in_blocks_where_it_is_stored(tmp_path):
    first = datetime(2026, 10, 24, 20, tzinfo=UTC)
    column = pl.Series([first + timedelta(seconds=10 * i) for i in range(N)]).dt.convert_time_zone(
        "Europe/Berlin"
    )
    path = table(tmp_path, column, name="time")
    whole = read_table(path, Policy())[0]
    blocks = opened(path)
    assert (blocks.epoch, blocks.findings) == (whole.epoch, whole.findings)
    times = np.concatenate([block.stream.times() for block in all_of(blocks)])
    np.testing.assert_allclose(times, whole.times(), rtol=0, atol=1e-9)


def test_T09_times_of_another_kind_or_offset_are_left_to_the_whole_reader(tmp_path):
    written = [f"2026-03-28T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}+01:00" for i in range(N)]
    opened(table(tmp_path, written, name="time"))
    changed = [*written[:1000], *(t.replace("+01:00", "+01:30") for t in written[1000:2000])]
    assert "kinds or offsets" in why_whole(table(tmp_path, [*changed, *written[2000:]], name="time"))
    wrong = [*written[:2900], "later", *written[2901:]]
    assert same_error(table(tmp_path, wrong, name="time")).where["sample"] == 2900
    assert same_error(table(tmp_path, [*written[:-1], "later"], name="time")).where["sample"] == N - 1


@pytest.mark.parametrize("fault", ["sort", "dup", "coarse", "pace", "head"])
def test_what_only_the_whole_can_decide_is_read_whole(tmp_path, fault):
    times, values, policy = STEADY.copy(), NOISE.copy(), Policy()
    if fault == "sort":
        times[1000:1010], policy = times[1000:1010][::-1], Policy(sort=True)
    elif fault == "dup":
        times[1400], policy = times[1399], Policy(dup="first")
    elif fault == "coarse":
        times = times // 1_000_000 * 1_000_000
    elif fault == "pace":
        times[1400:] = times[1400] + 40_000 * np.arange(N - 1400)
    else:
        values[: SIZE - 200], policy = np.nan, Policy(on_nan="gap")
    said = {"sort": "sorted", "dup": "one time", "coarse": "pace", "pace": "pace", "head": "fewer than"}
    assert said[fault] in why_whole(table(tmp_path, times, values), policy)


def test_numbers_that_float32_would_swallow_keep_float64(tmp_path):
    values = 1e6 + 1e-3 * NOISE
    blocks = opened(table(tmp_path, STEADY, values))
    block = blocks.read(700, 1400)
    assert block.stream.values.dtype == np.float64
    np.testing.assert_array_equal(block.stream.values, values[700:1400])


@pytest.mark.parametrize(
    ("start", "begins"), [(None, 14.0), (13.995, 13.995), (14.006, 14.006), (12.0, 14.0), (14.1, 14.1)]
)
def test_a_block_begins_where_the_one_before_it_ends(tmp_path, start, begins):
    block = opened(table(tmp_path, STEADY)).read(700, 1400, start)
    assert block.stream.start == pytest.approx(begins, abs=1e-12)


def test_runs_after_a_moved_start_do_not_overlap(tmp_path):
    gaps = START + 20_000 * (np.arange(N) + 100 * np.searchsorted([701, 705], np.arange(N), side="right"))
    blocks = opened(table(tmp_path, gaps))
    spans = blocks.read(700, 1400, 20.0).stream.run_spans
    assert spans[0, 0] == 20.0 and (np.diff(spans.ravel()) >= 0).all()


def test_around_a_moment(tmp_path):
    blocks = opened(table(tmp_path, STEADY))
    for seconds in (0.0, 13.99, 30.0, 59.98, 99.0):
        block = blocks.around(seconds, 100)
        assert block.end - block.first == 100
        assert block.stream.start <= min(seconds, 58.0) and block.stream.end >= min(seconds, 59.9)


def test_short_files_other_files_and_wide_tables(tmp_path):
    path = table(tmp_path, STEADY)
    assert read_blocks(path, Policy(), 2000, CELLS) is None  # one block and a half
    assert isinstance(read_blocks(path, Policy(), 1999, CELLS), TableBlocks)
    wide = read_blocks(path, Policy(), 1999, 1400)
    assert isinstance(wide, TableBlocks) and wide.size == 700
    text = tmp_path / "wrist.csv"
    text.write_text("time,a\n0,1\n1,2\n")
    assert read_blocks(text, Policy(), 1, CELLS) is None


def test_F20_F21_a_cut_changed_or_puffed_up_file_is_refused(tmp_path, monkeypatch):
    path = table(tmp_path, STEADY)
    blocks = opened(path)
    table(tmp_path, STEADY, NOISE + 1.0)
    with pytest.raises(InputError, match="E-CHANGED"):
        blocks.read(0, 700)
    path.write_bytes(path.read_bytes()[:-7])
    assert error_of(path).code == "E-TRUNCATED"
    monkeypatch.setattr(unfolding, "FREE_BYTES", 1000)
    with pytest.raises(UnsafeError, match="E-UNFOLDS"):
        read_blocks(table(tmp_path, STEADY), Policy(max_ratio=0.5), SIZE, CELLS)
