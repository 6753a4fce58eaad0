"""WFDB records: made here in format 16, and the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from align.errors import InputError, ResourceError
from align.readers import read_notes, read_session, read_stream, read_streams, read_truth, session_folders

wfdb = pytest.importorskip("wfdb", reason="needs the extra streamnotes[wfdb]")


def record(folder: Path, name: str = "r1", rows: int = 1000, head: str = "") -> Path:
    """Two signals of format 16 at 100 Hz, gain 200, with correct checksums."""
    digital = np.column_stack([np.arange(rows), -np.arange(rows)]).astype("<i2")
    (folder / f"{name}.dat").write_bytes(digital.tobytes())
    sums = [((int(c.astype(np.int64).sum()) + 32768) % 65536) - 32768 for c in digital.T]
    lines = [f"{name} 2 100 {rows}{head}"]
    lines += [f"{name}.dat 16 200/mV 16 0 {digital[0, i]} {sums[i]} 0 lead{i}" for i in range(2)]
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + "\n")
    return path


def annotate(folder: Path, name: str = "r1") -> None:
    wfdb.wrann(
        name, "atr", np.array([10, 200, 500]), symbol=["+", "N", "+"], aux_note=["(N", "", "(AFIB"],
        fs=100, write_dir=str(folder),
    )  # fmt: skip


def test_units_rate_and_values(tmp_path: Path) -> None:
    stream = read_stream(record(tmp_path))
    assert (stream.name, stream.rate, stream.channels, stream.units) == (
        "r1",
        100.0,
        ("lead0", "lead1"),
        ("mV", "mV"),
    )
    assert np.allclose(stream.values[:, 0], np.arange(1000) / 200)
    assert stream.epoch is None


def test_a_start_with_date_is_absolute(tmp_path: Path) -> None:
    stream = read_stream(record(tmp_path, head=" 22:10:00 28/03/2026"))
    assert stream.epoch == 1774735800 * 10**9
    assert [f.code for f in stream.findings] == ["W-TZ"]


def test_invalid_samples_are_gaps(tmp_path: Path) -> None:
    path = record(tmp_path)
    digital = np.fromfile(tmp_path / "r1.dat", "<i2").reshape(-1, 2)
    digital[100:200] = -32768
    digital[5, 0] = -32768
    digital.tofile(tmp_path / "r1.dat")
    stream = read_stream(path)
    assert stream.gaps.tolist() == [[1.0, 2.0]]
    assert np.isnan(stream.values[5, 0])
    assert [(f.code, f.count) for f in stream.findings] == [("W-MISSING", 201)]


def test_F13_a_wrong_checksum(tmp_path: Path) -> None:
    path = record(tmp_path)
    raw = bytearray((tmp_path / "r1.dat").read_bytes())
    raw[400] ^= 1
    (tmp_path / "r1.dat").write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-CHECKSUM"
    assert caught.value.where["channel"] == "lead0"


def test_F13_a_missing_signal_file(tmp_path: Path) -> None:
    path = record(tmp_path)
    (tmp_path / "r1.dat").unlink()
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-NO-FILE"


def test_F13_a_damaged_header(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_text("r1 two 100 1000\n")
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-DECODE"


def test_S05_a_header_that_points_elsewhere(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_text(path.read_text().replace("r1.dat", "../r1.dat"))
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-DECODE"


def test_the_extra_is_named_when_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path)
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(ResourceError) as caught:
        read_streams(path)
    assert caught.value.code == "E-EXTRA"
    assert "pip install 'streamnotes[wfdb]'" in str(caught.value)


def test_rhythms_are_notes_and_truth(tmp_path: Path) -> None:
    path = record(tmp_path)
    annotate(tmp_path)
    session = read_session(path, truth_file=".atr")
    assert [n.text for n in session.notes] == ["(N", "(AFIB"]
    assert [n.time.likely for n in session.notes if n.time] == [0.1, 5.0]
    assert session.truth is not None
    assert [(s.label, s.start, s.end) for s in session.truth] == [("N", 0.1, 5.0), ("AFIB", 5.0, 10.0)]
    assert read_notes(tmp_path / "r1.atr") == session.notes
    assert read_session(tmp_path).notes == session.notes


def test_a_folder_of_records_is_many_sessions(tmp_path: Path) -> None:
    paths = [record(tmp_path, name) for name in ("b", "a")]
    assert session_folders([tmp_path]) == sorted(paths)


@pytest.mark.data
def test_real_records(data_dir: Path) -> None:
    stream = read_stream(data_dir / "ecg" / "106.hea")
    assert (stream.rate, stream.n_samples, stream.units) == (360.0, 650_000, ("mV", "mV"))
    spans = read_truth(data_dir / "ecg" / "201.atr")
    assert (len(spans), spans[0].label, spans[-1].end) == (35, "AFIB", pytest.approx(650_000 / 360))
    rates = {s.name: s.rate for s in read_streams(data_dir / "formats" / "mixedsignals.hea")}
    assert list(rates.values()) == pytest.approx([249.89, 124.945, 62.4725])
    assert len(session_folders([data_dir / "ecg"])) == 8
