"""One test per named fault of tables: code, place, exit code, and no cell text in the message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from align.errors import InputError, ParameterError
from align.readers.policy import Policy
from align.readers.tables import read_table, read_table_and_zone

SECRET = "Xanthippe"


def write(folder: Path, text: str | bytes, name: str = "wrist.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path, code: str, policy: Policy | None = None, **where: object) -> InputError:
    """The error of reading ``path``: its code, exit code and places are checked here."""
    with pytest.raises(InputError) as caught:
        read_table(path, policy or Policy())
    error = caught.value
    assert error.code == code, str(error)
    assert error.exit_code == 3
    assert SECRET not in str(error).replace(str(path), "")
    assert str(error.where["file"]) == str(path)
    for key, value in where.items():
        assert error.where.get(key) == value, f"{key}: {error.where}"
    return error


def codes(path: Path, policy: Policy | None = None) -> dict[str, int]:
    (stream,) = read_table(path, policy or Policy())
    return {f.code: f.count for f in stream.findings}


def rows(n: int, step: float = 0.02, start: float = 0.0) -> list[str]:
    return [f"{start + i * step:.3f},{i % 7},{-i}" for i in range(n)]


def table(lines: list[str], header: str = "time,a,b") -> str:
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.jsonl"])
def test_F01_empty_file(tmp_path: Path, name: str) -> None:
    refused(write(tmp_path, "", name), "E-EMPTY")


@pytest.mark.parametrize("text", ["time,a\n", "time,a", "time,a\r\n", "\n\n", "time,a\n\n\n"])
def test_F02_header_only(tmp_path: Path, text: str) -> None:
    refused(write(tmp_path, text), "E-NO-SAMPLES")


def test_F02_header_only_parquet_and_jsonl(tmp_path: Path) -> None:
    pl.DataFrame({"time": [], "a": []}).write_parquet(tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "E-NO-SAMPLES")
    refused(write(tmp_path, "\n\n", "a.jsonl"), "E-NO-SAMPLES")


@pytest.mark.parametrize(("bad", "found"), [("0.1,1", 2), ("0.1,1,2,3", 4), ("0.1", 1), ("0.1,1,2,", 4)])
def test_F14_ragged_row(tmp_path: Path, bad: str, found: int) -> None:
    lines = rows(100)
    lines[42] = bad
    error = refused(write(tmp_path, table(lines)), "E-RAGGED", line=44)
    assert f"expected 3 fields, found {found}" in error.message


def test_F14_ragged_row_is_told_from_empty_cells(tmp_path: Path) -> None:
    lines = rows(100)
    lines[10] = "0.200,,1"
    lines[42] = "0.840,1"
    refused(write(tmp_path, table(lines)), "E-RAGGED", Policy(on_nan="gap"), line=44)


def test_F15_last_line_without_end(tmp_path: Path) -> None:
    path = write(tmp_path, table(rows(10))[:-1])
    refused(path, "E-LAST-LINE", line=11)
    (stream,) = read_table(path, Policy(tail="drop"))
    assert stream.n_samples == 9
    assert "P-LAST-LINE" in {f.code for f in stream.findings}


def test_F15_last_line_cut_to_fewer_fields(tmp_path: Path) -> None:
    path = write(tmp_path, table(rows(10))[:-4])
    refused(path, "E-RAGGED", line=11)
    assert read_table(path, Policy(tail="drop"))[0].n_samples == 9


@pytest.mark.parametrize(
    ("cell", "kind"),
    [(SECRET, "text"), ("NA", "mark for a missing value"), ("-", "mark for a missing value"),
     ('"1,5"', "decimal comma"), ("true", "yes or no"), ("0x1F", "hexadecimal"), ("2024-01-02", "date"),
     ("1_000", "something behind")],
)  # fmt: skip
def test_F16_text_in_a_numeric_column(tmp_path: Path, cell: str, kind: str) -> None:
    lines = rows(3000)
    lines[2500] = f"50.0,{cell},2"
    error = refused(write(tmp_path, table(lines)), "E-NUMBER", line=2502, column="a")
    assert kind in error.message
    assert cell.strip('"') not in str(error) or len(cell) < 3


def test_F16_declared_na_is_missing(tmp_path: Path) -> None:
    lines = rows(100)
    lines[50] = "1.0,NA,3"
    (stream,) = read_table(write(tmp_path, table(lines)), Policy(na=("NA",)))
    assert np.isnan(stream.values[50, 0]) and stream.values[50, 1] == 3
    assert {f.code: f.count for f in stream.findings} == {"P-NA": 1}


def test_F16_text_column(tmp_path: Path) -> None:
    error = refused(
        write(tmp_path, f"time,a,who\n0,1,{SECRET}\n1,2,{SECRET}\n"), "E-NUMBER", line=2, column="who"
    )
    assert "text" in error.message


def test_F16_the_first_fault_of_the_file_is_reported(tmp_path: Path) -> None:
    lines = rows(100)
    lines[30], lines[20], lines[60] = "0.6,1,x", "0.4,x,1", "1.2,1"
    refused(write(tmp_path, table(lines)), "E-NUMBER", line=22, column="a")


def test_F17_bom_and_utf16(tmp_path: Path) -> None:
    text = table(rows(50))
    (plain,) = read_table(write(tmp_path, text), Policy())
    for raw in (
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        b"\xfe\xff" + text.encode("utf-16-be"),
    ):
        (stream,) = read_table(write(tmp_path, raw), Policy())
        np.testing.assert_array_equal(stream.values, plain.values)
        assert stream.channels == ("a", "b")


def test_F17_other_encodings(tmp_path: Path) -> None:
    refused(write(tmp_path, b"time,a\n0,1\n1,\xe9\n"), "E-ENCODING", byte=13)
    refused(write(tmp_path, "time,a\n0,1\n1,2\n".encode("utf-16-le")), "E-NUL", line=1)


def test_F17_nul(tmp_path: Path) -> None:
    lines = rows(100)
    lines[42] = "0.84,1\0,2"
    refused(write(tmp_path, table(lines)), "E-NUL", line=44)


@pytest.mark.parametrize("end", ["\r\n", "\r", "mixed"])
def test_F18_line_ends(tmp_path: Path, end: str) -> None:
    text = table(rows(50))
    (plain,) = read_table(write(tmp_path, text), Policy())
    if end == "mixed":
        parts = text.split("\n")
        text = "".join(p + ("\n", "\r\n", "\r")[i % 3] for i, p in enumerate(parts[:-1]))
    else:
        text = text.replace("\n", end)
    (stream,) = read_table(write(tmp_path, text), Policy())
    np.testing.assert_array_equal(stream.values, plain.values)
    np.testing.assert_array_equal(stream.times(), plain.times())


def test_F18_quotes(tmp_path: Path) -> None:
    text = '"time","acc\nx (g)"\n"0.0","1.5"\n"0.1","2.5"\n'
    (stream,) = read_table(write(tmp_path, text), Policy())
    assert stream.channels == ("acc\nx",) and stream.units == ("g",)
    np.testing.assert_array_equal(stream.values[:, 0], [1.5, 2.5])


def test_F18_unclosed_quote_names_the_line_where_it_opened(tmp_path: Path) -> None:
    lines = rows(100)
    lines[42] = f'0.84,"{SECRET},2'
    refused(write(tmp_path, table(lines)), "E-QUOTE", line=44)


@pytest.mark.parametrize(
    ("header", "column"), [("time,a,a", "a"), ("time,,b", 2), ("time,a, ", 3), ("time,a,a ", "a")]
)
def test_F19_duplicate_or_empty_names(tmp_path: Path, header: str, column: object) -> None:
    refused(write(tmp_path, table(rows(5), header)), "E-DUP-COLUMN", line=1, column=column)


@pytest.mark.parametrize("first", ["0.0,1,2", "2024-01-01T00:00:00Z,1,2"])
def test_F19_no_header(tmp_path: Path, first: str) -> None:
    refused(write(tmp_path, table(rows(5), first)), "E-NO-HEADER", line=1)


def test_F19_header_repeated(tmp_path: Path) -> None:
    lines = rows(100)
    lines.insert(60, "time,a,b")
    refused(write(tmp_path, table(lines)), "E-HEADER-REPEAT", line=62)


@pytest.mark.parametrize("keep", [4, 11, 500, -1])
def test_F20_parquet_without_footer(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"time": np.arange(500) / 50, "a": np.arange(500.0)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "E-TRUNCATED")


def test_F20_damaged_parquet(tmp_path: Path) -> None:
    refused(write(tmp_path, b"PAR1" + bytes(range(256)) + b"PAR1", "a.parquet"), "E-DECODE")


def test_F24_many_channels(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10_000))
    row = ",".join(["1"] * 10_000)
    (stream,) = read_table(write(tmp_path, f"time,{names}\n0,{row}\n1,{row}\n"), Policy())
    assert stream.n_channels == 10_000
    error = refused(write(tmp_path, f"time,{names},more\n0,{row},1\n"), "E-LIMIT", line=1)
    assert "10001" in error.message and "--max-channels" in error.hint


def test_T01_one_swap(tmp_path: Path) -> None:
    lines = rows(100)
    lines[40], lines[41] = lines[41], lines[40]
    error = refused(write(tmp_path, table(lines)), "E-UNSORTED", line=43)
    assert "0.82 s" in error.message and "0.8 s" in error.message
    (stream,) = read_table(write(tmp_path, table(lines)), Policy(sort=True))
    np.testing.assert_array_equal(stream.values[:, 1], -np.arange(100))
    assert {f.code: f.count for f in stream.findings}["P-SORT"] == 2


def test_T01_reversed(tmp_path: Path) -> None:
    path = write(tmp_path, table(rows(100)[::-1]))
    refused(path, "E-UNSORTED", line=3)
    np.testing.assert_array_equal(read_table(path, Policy(sort=True))[0].values[:, 1], -np.arange(100))


@pytest.mark.parametrize("values", ["5,-40", "9,9"])
def test_T02_duplicate_times(tmp_path: Path, values: str) -> None:
    lines = rows(100)
    lines.insert(41, f"0.800,{values}")
    path = write(tmp_path, table(lines))
    error = refused(path, "E-DUP-TIME", line=43)
    assert "lines 42 and 43" in error.message
    (stream,) = read_table(path, Policy(dup="first"))
    np.testing.assert_array_equal(stream.values[:, 1], -np.arange(100))
    assert {f.code: f.count for f in stream.findings}["P-DUP-TIME"] == 1


def test_T03_gap_stays_a_gap(tmp_path: Path) -> None:
    (stream,) = read_table(write(tmp_path, table(rows(50) + rows(50, start=11.0))), Policy())
    np.testing.assert_allclose(stream.gaps, [[1.0, 11.0]])
    assert stream.n_samples == 100 and stream.rate == 50.0
    assert codes(write(tmp_path, table(rows(50) + rows(50, start=11.0)))) == {"W-GAP": 1}


def zoned(times: list[str]) -> str:
    return table([f"{t},{i}" for i, t in enumerate(times)], "time,a")


def test_T08_local_hours_that_happen_twice_or_never(tmp_path: Path) -> None:
    policy = Policy(tz="Europe/Berlin")
    twice = zoned(["2024-10-27T01:59:59", "2024-10-27T02:00:00", "2024-10-27T02:00:01"])
    refused(write(tmp_path, twice), "E-TZ-AMBIGUOUS", policy, line=3)
    path = write(tmp_path, zoned(["2024-10-27T02:00:00", "2024-10-27T02:00:01"]))
    first, second = (read_table(path, Policy(tz="Europe/Berlin", fold=f))[0].epoch for f in (0, 1))
    assert first is not None and second is not None and second - first == 3600 * 10**9
    never = zoned(["2024-03-31T01:59:59", "2024-03-31T02:00:00"])
    refused(write(tmp_path, never), "E-TZ-AMBIGUOUS", Policy(tz="Europe/Berlin", fold=0), line=3)
    with pytest.raises(ParameterError):
        read_table(path, Policy(tz="Mars/Olympus"))


def test_T09_offsets(tmp_path: Path) -> None:
    mixed = zoned(["2024-01-01T10:00:00+01:00", "2024-01-01T09:00:01Z", "2024-01-01T10:00:02+0100"])
    stream, zone = read_table_and_zone(write(tmp_path, mixed), Policy())
    assert stream.rate == 1.0 and stream.epoch == 1704099600 * 10**9 and zone == "+01:00"
    naive = zoned(["2024-01-01T10:00:00Z", "2024-01-01T10:00:01Z", "2024-01-01T10:00:02"])
    refused(write(tmp_path, naive), "E-TZ-MIXED", line=4, column="time")


@pytest.mark.parametrize(
    ("header", "first", "unit"),
    [("timestamp_ms", 1_700_000_000, "s"), ("time_s", 1_700_000_000_000, "ms"), ("t (us)", 1_700_000_000_000, "ms")],
)  # fmt: skip
def test_T11_mistaken_unit(tmp_path: Path, header: str, first: int, unit: str) -> None:
    text = table([f"{first + i},{i}" for i in range(5)], f"{header},a")
    error = refused(write(tmp_path, text), "E-UNIT", line=2)
    assert f"--time-unit {unit}" in error.hint and "factor" in error.hint


def test_T11_beyond_any_unit(tmp_path: Path) -> None:
    refused(write(tmp_path, table(["1e9,1", "9e9,2"], "time,a")), "E-UNIT", line=2)
    refused(write(tmp_path, table(["0,1", "1700000000,2"], "time,a")), "E-UNIT", line=3)


def test_T11_float_seconds_keep_their_digits(tmp_path: Path) -> None:
    text = table([f"1700000000.{round(i * 1e9 / 44_100):09d},{i}" for i in range(1000)], "time,a")
    (stream,) = read_table(write(tmp_path, text), Policy())
    assert stream.rate == 44_100.0
    assert stream.epoch == 1_700_000_000 * 10**9
    assert "W-JITTER" not in {f.code for f in stream.findings}


def test_T11_float32_epoch(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {"time": np.float32(1.7e9) + np.arange(5, dtype=np.float32) * 128, "a": range(5)}
    ).write_parquet(path)
    refused(path, "E-TIME-PRECISION", column="time")


def test_T12_years(tmp_path: Path) -> None:
    (old,) = read_table(write(tmp_path, zoned(["1950-01-01T00:00:00Z", "1950-01-01T00:00:01Z"])), Policy())
    assert old.epoch is not None and old.epoch < 0
    (late,) = read_table(write(tmp_path, zoned(["2187-01-01T00:00:00Z", "2187-01-01T00:00:01Z"])), Policy())
    assert late.rate == 1.0
    refused(write(tmp_path, zoned(["2262-01-01T00:00:00Z", "2263-01-01T00:00:01Z"])), "E-TIME-RANGE", line=3)


def test_T13_day_and_month_are_never_guessed(tmp_path: Path) -> None:
    refused(write(tmp_path, zoned(["03/04/2024 10:00:00", "03/04/2024 10:00:01"])), "E-TIME", line=2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_T16_few_samples(tmp_path: Path, n: int) -> None:
    path = write(tmp_path, table(rows(n)))
    (stream,) = read_table(path, Policy())
    assert stream.n_samples == n and stream.rate == (1.0 if n == 1 else 50.0)
    assert codes(path) == ({"W-RATE": 1} if n == 1 else {})


@pytest.mark.parametrize("cell", ["", "NaT", "N/A", "nan", "inf", SECRET, "12:30"])
@pytest.mark.parametrize("iso", [False, True])
def test_T18_bad_cell_in_the_time_column(tmp_path: Path, cell: str, iso: bool) -> None:
    times = [f"2024-01-01T10:00:{i:02d}Z" if iso else str(i) for i in range(50)]
    times[17] = cell
    refused(write(tmp_path, zoned(times)), "E-TIME", line=19, column="time")


def test_T18_null_in_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"time": [0.0, None, 2.0], "a": [1, 2, 3]}).write_parquet(tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "E-TIME", sample=1, column="time")


def test_no_time_column(tmp_path: Path) -> None:
    path = write(tmp_path, "u,a\n0,1\n1,2\n")
    error = refused(path, "E-NO-TIME")
    assert "u, a" in error.message and "--time-column" in error.hint
    assert read_table(path, Policy(time_column="u"))[0].channels == ("a",)
    refused(path, "E-NO-TIME", Policy(time_column="z"))


@pytest.mark.parametrize("cell", ["NaN", "inf", "-Inf", ""])
def test_V01_not_finite(tmp_path: Path, cell: str) -> None:
    lines = rows(100)
    lines[42] = f"0.840,1,{cell}"
    path = write(tmp_path, table(lines))
    error = refused(path, "E-NONFINITE", line=44, channel="b", sample=42, time=0.84)
    assert "--on-nan gap" in error.hint
    (stream,) = read_table(path, Policy(on_nan="gap"))
    assert np.isnan(stream.values[42, 1]) and stream.values[42, 0] == 1 and stream.n_runs == 1
    assert codes(path, Policy(on_nan="gap")) == {"P-NAN": 1}


@pytest.mark.parametrize("where", ["start", "middle", "end"])
def test_V02_rows_without_any_number_are_a_gap(tmp_path: Path, where: str) -> None:
    lines = rows(100)
    hole = {"start": range(10), "middle": range(40, 50), "end": range(90, 100)}[where]
    for i in hole:
        lines[i] = f"{i * 0.02:.3f},NaN,"
    path = write(tmp_path, table(lines))
    (stream,) = read_table(path, Policy(on_nan="gap"))
    assert stream.n_samples == 90 and stream.n_runs == (2 if where == "middle" else 1)
    assert np.isfinite(stream.values).all()
    assert stream.start == (0.2 if where == "start" else 0.0)
    assert codes(path, Policy(on_nan="gap"))["P-NAN"] == 20


def test_V02_all_missing(tmp_path: Path) -> None:
    lines = [f"{i},{i},NaN" for i in range(20)]
    refused(write(tmp_path, table(lines)), "E-NO-SAMPLES", Policy(on_nan="gap"), channel="b")


def test_V04_sentinels(tmp_path: Path) -> None:
    lines = rows(100)
    lines[42] = "0.840,-999,5"
    path = write(tmp_path, table(lines))
    (stream,) = read_table(path, Policy(sentinels=(-999.0,)))
    assert np.isnan(stream.values[42, 0])
    assert codes(path, Policy(sentinels=(-999.0,))) == {"P-SENTINEL": 1}


def test_V06_overflow(tmp_path: Path) -> None:
    lines = rows(100)
    lines[42] = "0.840,1e300,5"
    refused(write(tmp_path, table(lines)), "E-RANGE", line=44, channel="a", sample=42, time=0.84)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float32"])
def test_V07_integers_are_promoted(tmp_path: Path, dtype: str) -> None:
    top = np.array([0, 1, 127], dtype)
    pl.DataFrame({"time": [0.0, 0.5, 1.0], "a": top}).write_parquet(tmp_path / "a.parquet")
    (stream,) = read_table(tmp_path / "a.parquet", Policy())
    np.testing.assert_array_equal(stream.values[:, 0], [0, 1, 127])
    assert stream.values.dtype == np.float32


@pytest.mark.parametrize("column", [[True, False], ["x", SECRET], [[1], [2]]])
def test_V15_parquet_column_without_numbers(tmp_path: Path, column: list[object]) -> None:
    pl.DataFrame({"time": [0.0, 1.0], "a": [1, 2], "b": column}).write_parquet(tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "E-NUMBER", column="b")


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [('{"t": 1, "a": }', "E-JSON", 15), ('{"t": 1, "a": 2,}', "E-JSON", None), ("[1, 2]", "E-JSON", 1),
     ("[" * 100_000, "E-JSON", 1), ('{"t": 1}', "E-RAGGED", None), ('{"t": 1, "a": 2, "b": 3}', "E-RAGGED", None),
     ('{"t": 1, "a": "' + SECRET + '"}', "E-NUMBER", "a"), ('{"t": 1, "a": true}', "E-NUMBER", "a"),
     ('{"t": 1, "a": 1, "a": 2}', "E-DUP-COLUMN", None), ('{"t": null, "a": 1}', "E-TIME", "t"),
     ('{"t": true, "a": 1}', "E-TIME", None), ('{"t": 1, "a": null}', "E-NONFINITE", None)],
)  # fmt: skip
def test_N11_json_lines(tmp_path: Path, line: str, code: str, column: object) -> None:
    text = '{"t": 0, "a": 1}\n' + line + '\n{"t": 2, "a": 3}\n'
    error = refused(write(tmp_path, text, "a.jsonl"), code, line=2)
    assert column is None or error.where["column"] == column
