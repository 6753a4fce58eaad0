"""Tables that are right: columns, units, clocks, formats."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.clock import ns_from_iso
from align.errors import InputError
from align.readers.policy import Policy
from align.readers.tables import read_table, read_table_and_zone
from align.readers.text_tables import kind_of_text
from align.readers.timestamps import find_time_column, parse_time_column, split_unit

DATA = Path(os.environ.get("ALIGN_DATA", "../shared/data"))


def write(folder: Path, text: str, name: str = "wrist.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_columns_units_and_name(tmp_path: Path) -> None:
    text = "acc_x (g),time,hr [bpm],temp_degC\n1,0.0,60,20\n2,0.5,61,21\n3,1.0,62,22\n"
    (stream,) = read_table(write(tmp_path, text), Policy())
    assert (stream.name, stream.modality, stream.rate) == ("wrist", "sensor", 2.0)
    assert stream.channels == ("acc_x", "hr", "temp_degC") and stream.units == ("g", "bpm", "")
    np.testing.assert_array_equal(stream.values, [[1, 60, 20], [2, 61, 21], [3, 62, 22]])
    assert stream.epoch is None and stream.start == 0.0 and stream.findings == ()


@pytest.mark.parametrize(
    ("name", "separator", "finding"),
    [
        ("a.csv", ",", None),
        ("a.csv", ";", "W-DELIMITER"),
        ("a.csv", "\t", "W-DELIMITER"),
        ("a.tsv", "\t", None),
    ],
)
def test_separators(tmp_path: Path, name: str, separator: str, finding: str | None) -> None:
    text = "t,a,b\n0,1,2\n1,3,4\n".replace(",", separator)
    (stream,) = read_table(write(tmp_path, text, name), Policy())
    np.testing.assert_array_equal(stream.values, [[1, 2], [3, 4]])
    assert [f.code for f in stream.findings] == ([finding] if finding else [])


def test_the_four_formats_agree(tmp_path: Path) -> None:
    time, a = np.arange(200) / 50, np.sin(np.arange(200)).astype(np.float32)
    frame = pl.DataFrame({"time": time, "a": a})
    frame.write_csv(tmp_path / "s.csv")
    frame.write_csv(tmp_path / "s.tsv", separator="\t")
    frame.write_parquet(tmp_path / "s.parquet")
    frame.write_ndjson(tmp_path / "s.jsonl")
    for name in ("s.csv", "s.tsv", "s.parquet", "s.jsonl"):
        (stream,) = read_table(tmp_path / name, Policy())
        np.testing.assert_array_equal(stream.values[:, 0], a)
        assert stream.rate == 50.0 and stream.times()[-1] == pytest.approx(3.98) and stream.findings == ()


def test_spaces_around_cells_take_the_slow_way_and_give_the_same(tmp_path: Path) -> None:
    (stream,) = read_table(write(tmp_path, "t , a , b\n 0 , 1 , 2 \n 1 ,+.5, -1e3\n"), Policy())
    np.testing.assert_array_equal(stream.values, [[1, 2], [0.5, -1000]])


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    (stream,) = read_table(write(tmp_path, "t,a\n0,1\n\n1,2\n2,3\n\n"), Policy())
    assert stream.n_samples == 3 and [(f.code, f.count) for f in stream.findings] == [("W-BLANK-LINE", 2)]
    with pytest.raises(InputError) as caught:
        read_table(write(tmp_path, "t,a\n0,1\n\n1,x\n"), Policy())
    assert caught.value.where["line"] == 4


def test_slow_channel_in_a_fast_table(tmp_path: Path) -> None:
    lines = [f"{i / 50:.2f},{i},{60 + i // 50 if i % 50 == 0 else ''}" for i in range(200)]
    path = write(tmp_path, "time,acc,hr\n" + "\n".join(lines) + "\n")
    (stream,) = read_table(path, Policy(on_nan="gap"))
    assert stream.n_runs == 1 and np.isnan(stream.values[:, 1]).sum() == 196
    np.testing.assert_array_equal(stream.values[::50, 1], [60, 61, 62, 63])


@pytest.mark.parametrize(
    ("header", "cells", "epoch", "rate"),
    [
        ("timestamp_ms", ["1657533977813", "1657533977823", "1657533977833"], 1657533977813000000, 100.0),
        ("timestamp", ["1657533977", "1657533978", "1657533979"], 1657533977000000000, 1.0),
        ("time_ns", ["1657533977000000001", "1657533978000000001"], 1657533977000000001, 1.0),
        ("t [us]", ["1657533977000000", "1657533977500000"], 1657533977000000000, 2.0),
        ("Time", ["2022-07-11T12:06:17+02:00", "2022-07-11T12:06:18+02:00"], 1657533977000000000, 1.0),
        ("datetime", ["2022-07-11 10:06:17,5", "2022-07-11 10:06:18,0"], 1657533977500000000, 2.0),
        ("timestamp_ms", ["0", "20", "40"], None, 50.0),
        ("elapsed_s", ["-1.0", "-0.5", "0.0"], None, 2.0),
        ("Elapsed (ms)", ["100.5", "101.5", "102.5"], None, 1000.0),
        ("seconds", ["0", "1"], None, 1.0),
    ],
)  # fmt: skip
def test_clocks(tmp_path: Path, header: str, cells: list[str], epoch: int | None, rate: float) -> None:
    quoted = [f'"{c}"' if "," in c else c for c in cells]
    path = write(tmp_path, f"{header},a\n" + "".join(f"{c},{i}\n" for i, c in enumerate(quoted)))
    (stream,) = read_table(path, Policy())
    assert (stream.epoch, stream.rate) == (epoch, rate)
    if epoch is not None:
        assert stream.start == 0.0
    elif header == "elapsed_s":
        assert stream.start == -1.0
    elif header == "Elapsed (ms)":
        assert stream.start == 0.1005


def test_an_explicit_unit_has_the_last_word(tmp_path: Path) -> None:
    path = write(tmp_path, "timestamp,a\n1700000000,1\n1700000010,2\n")
    (stream,) = read_table(path, Policy(time_unit="ms"))
    assert stream.epoch is None and stream.rate == 100.0 and stream.start == 1_700_000.0
    assert [f.code for f in read_table(path, Policy())[0].findings] == ["W-TIME-UNIT"]


def test_local_times_and_zones(tmp_path: Path) -> None:
    path = write(tmp_path, "time,a\n2024-07-01T12:00:00,1\n2024-07-01T12:00:01,2\n")
    noon = ns_from_iso("2024-07-01T12:00:00Z")[0]
    for tz, zone, hours in ((None, "", 0), ("+02:00", "+02:00", 2), ("Europe/Berlin", "+02:00", 2)):
        stream, found = read_table_and_zone(path, Policy(tz=tz))
        assert (stream.epoch, found) == (noon - hours * 3600 * 10**9, zone)
        assert [f.code for f in stream.findings] == (["W-TZ"] if tz is None else [])


def test_further_time_columns_are_left_out_and_said(tmp_path: Path) -> None:
    (stream,) = read_table(write(tmp_path, "timestamp,elapsed,a\n0,x,1\n1,y,2\n"), Policy())
    assert stream.channels == ("a",) and [f.code for f in stream.findings] == ["W-TIME-COLUMN"]
    (other,) = read_table(
        write(tmp_path, "timestamp,elapsed,a\n0,0,1\n1,2,2\n"), Policy(time_column="elapsed")
    )
    assert other.channels == ("timestamp", "a") and other.rate == 0.5


@pytest.mark.parametrize(
    "dtype", [pl.Datetime("ms"), pl.Datetime("us", "Europe/Berlin"), pl.Datetime("ns", "UTC")]
)
def test_parquet_datetimes(tmp_path: Path, dtype: pl.Datetime) -> None:
    moment = pl.Series([1_700_000_000_000, 1_700_000_000_500]).cast(pl.Datetime("ms", "UTC"))
    column = moment.dt.replace_time_zone(None).cast(dtype) if dtype.time_zone is None else moment.cast(dtype)
    pl.DataFrame({"when": column, "a": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    stream, zone = read_table_and_zone(tmp_path / "a.parquet", Policy(time_column="when"))
    assert stream.epoch == 1_700_000_000 * 10**9 and stream.rate == 2.0
    assert zone == {"Europe/Berlin": "+01:00", "UTC": "+00:00", None: ""}[dtype.time_zone]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_durations_are_relative(tmp_path: Path, unit: str) -> None:
    step = pl.Series([timedelta(seconds=i * 0.25) for i in range(5)]).cast(pl.Duration(unit))  # type: ignore[arg-type]
    pl.DataFrame({"time": step, "a": range(5)}).write_parquet(tmp_path / "a.parquet")
    (stream,) = read_table(tmp_path / "a.parquet", Policy())
    assert stream.epoch is None and stream.rate == 4.0


def test_float64_epoch_seconds_say_how_exact_they_are(tmp_path: Path) -> None:
    pl.DataFrame({"time": 1.7e9 + np.arange(100) / 50, "a": range(100)}).write_parquet(tmp_path / "a.parquet")
    (stream,) = read_table(tmp_path / "a.parquet", Policy())
    assert stream.rate == 50.0 and [f.code for f in stream.findings] == ["W-TIME-UNIT", "W-TIME-PRECISION"]


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
    nanoseconds=st.integers(0, 999),
)
def test_iso_times_agree_with_the_clock(moment: datetime, minutes: int, nanoseconds: int) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    text = local.isoformat(sep="T", timespec="microseconds")
    text = f"{text[:26]}{nanoseconds:03d}{text[26:]}"
    times = parse_time_column("time", pl.Series([text]), Policy(), file="")
    assert (int(times.ns[0]), times.absolute) == (ns_from_iso(text)[0], True)


@settings(max_examples=60, deadline=None)
@given(ns=st.integers(-9 * 10**18, 9 * 10**18), unit=st.sampled_from(["s", "ms", "us", "ns"]))
def test_numbers_written_as_text_lose_nothing(ns: int, unit: str) -> None:
    digits = {"s": 9, "ms": 6, "us": 3, "ns": 0}[unit]
    whole, part = divmod(abs(ns), 10**digits)
    text = f"{'-' if ns < 0 else ''}{whole}" + (f".{part:0{digits}d}" if digits else "")
    policy = Policy(time_unit=unit)  # type: ignore[arg-type]
    seconds = ns / 1e9
    if seconds > 4_102_444_800 or seconds <= -631_152_000:
        with pytest.raises(InputError, match="E-UNIT"):
            parse_time_column("x", pl.Series([text]), policy, file="")
        return
    assert int(parse_time_column("x", pl.Series([text]), policy, file="").ns[0]) == ns


def test_leap_second_is_folded_and_counted() -> None:
    column = pl.Series(["2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z"])
    times = parse_time_column("time", column, Policy(), file="")
    assert times.ns[0] == times.ns[1] and [(f.code, f.count) for f in times.findings] == [("W-LEAP", 1)]


def test_find_time_column_names() -> None:
    for name in (
        "time",
        "T",
        "Timestamp (ms)",
        "timestamp_ns",
        "date_time",
        "ts",
        "Elapsed_s",
        "UTC time",
        "seconds",
    ):
        assert find_time_column(["a", name], Policy(), file="")[0] == 1
    with pytest.raises(InputError, match="E-NO-TIME"):
        find_time_column(["temperature", "tremor", "times_up"], Policy(), file="")


def test_split_unit_and_kinds() -> None:
    assert split_unit("acc x  (m/s^2)") == ("acc x", "m/s^2")
    assert split_unit("(g)") == ("(g)", "")
    assert kind_of_text("12 bpm") == "a number with something behind it"


def test_changed_while_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import align.readers.tables as tables

    path = write(tmp_path, "t,a\n0,1\n1,2\n")
    real = tables._raw

    def grows(where: Path, policy: Policy, wide: bool) -> object:
        found = real(where, policy, wide)
        with open(where, "a") as file:
            file.write("2,3\n")
        return found

    monkeypatch.setattr(tables, "_raw", grows)
    with pytest.raises(InputError, match="E-CHANGED"):
        read_table(path, Policy())


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="ALIGN_DATA is absent")
def test_data_hapt_reads_as_it_is() -> None:
    folders = sorted((DATA / "hapt").glob("user*"))[::8]
    assert folders
    for folder in folders:
        (stream,) = read_table(folder / "imu.parquet", Policy())
        frame = pl.read_parquet(folder / "imu.parquet")
        assert stream.rate == 50.0 and stream.n_runs == 1 and stream.findings == ()
        np.testing.assert_array_equal(stream.values, frame.drop("time").to_numpy())
        np.testing.assert_allclose(stream.times(), frame["time"].to_numpy(), atol=1e-9)


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="ALIGN_DATA is absent")
def test_data_tug_two_irregular_clocks() -> None:
    folders = sorted((DATA / "tug").glob("s*"))[::6]
    assert folders
    for folder in folders:
        for name, low, high in (("phone", 102.2, 102.9), ("watch", 103.9, 104.6)):
            path = folder / f"{name}.parquet"
            (stream,) = read_table(path, Policy())
            written = pl.read_parquet(path)["timestamp_ms"].to_numpy()
            assert low < stream.rate < high and stream.n_runs <= 2
            assert stream.n_samples - written.size <= 12
            assert stream.epoch is not None and abs(stream.epoch / 1e6 - written[0]) < 40
            assert abs(stream.end - (written[-1] - written[0]) / 1000) < 0.08
            assert {"W-JITTER", "W-RATE"} <= {f.code for f in stream.findings}
