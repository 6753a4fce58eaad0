"""EDF and BDF: physical values, rates, records, annotations; made here by hand, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from align.clock import ns_from_iso
from align.errors import InputError
from align.readers import Policy, read_notes, read_stream, read_streams
from align.readers.edf import read_edf_notes

KEEP = Policy(on_truncated="keep")


def edf(
    path: Path,
    signals: list[tuple[str, str, np.ndarray]],
    *,
    records: int = 3,
    onsets: list[float] | None = None,
    texts: dict[int, bytes] | None = None,
    recording: str = "Startdate 28-MAR-2026 X X X",
) -> Path:
    """Write an EDF file of 2 s records; a signal is (label, unit, i2 samples), one digit is half a unit."""
    reserved = "" if onsets is None else "EDF+D" if np.diff(onsets, 2).any() else "EDF+C"
    rows = [(label, unit, values.reshape(records, -1).astype("<i2")) for label, unit, values in signals]
    if onsets is not None:
        stamps = [f"+{t:g}\x14\x14\0".encode() + (texts or {}).get(i, b"") for i, t in enumerate(onsets)]
        width = max(map(len, stamps)) + 1 & ~1
        raw = b"".join(stamp.ljust(width, b"\0") for stamp in stamps)
        rows.append(("EDF Annotations", "", np.frombuffer(raw, "<i2").reshape(records, -1)))
    n = len(rows)
    head = [("0", 8), ("X X X X", 80), (recording, 80), ("28.03.26", 8), ("22.10.00", 8),
            (str(256 * (n + 1)), 8), (reserved, 44), (str(records), 8), ("2", 8), (str(n), 4)]  # fmt: skip
    per = [[r[0] for r in rows], [""] * n, [r[1] for r in rows], ["-16384"] * n, ["16383.5"] * n,
           ["-32768"] * n, ["32767"] * n, [""] * n, [str(r[2].shape[1]) for r in rows], [""] * n]  # fmt: skip
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    header = "".join(text.ljust(width) for text, width in head)
    header += "".join(text.ljust(width) for texts_, width in zip(per, widths, strict=True) for text in texts_)
    body = b"".join(r[2][i].tobytes() for i in range(records) for r in rows)
    path.write_bytes(header.encode("latin-1") + body)
    return path


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int16)


def patched(path: Path, at: int, field: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[at : at + len(field)] = field
    path.write_bytes(raw)
    return path


def test_values_are_physical_and_the_clock_absolute(tmp_path: Path) -> None:
    stream = read_stream(edf(tmp_path / "night.edf", [("EEG", "uV", ramp(60)), ("EMG", "mV", -ramp(60))]))
    assert (stream.name, stream.rate, stream.channels, stream.units) == (
        "night",
        10,
        ("EEG", "EMG"),
        ("uV", "mV"),
    )
    assert np.array_equal(stream.values[:, 0], np.arange(60) / 2)
    assert np.array_equal(stream.values[:, 1], -np.arange(60) / 2)
    assert stream.epoch == ns_from_iso("2026-03-28T22:10Z")[0]
    assert [f.code for f in stream.findings] == ["W-TZ"]


def test_the_zone_of_the_start_time(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))])
    stream = read_stream(path, Policy(tz="+01:00"))
    assert stream.epoch == ns_from_iso("2026-03-28T21:10Z")[0]
    assert stream.findings == ()


def test_a_withheld_date_is_a_relative_clock(tmp_path: Path) -> None:
    stream = read_stream(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))], recording="Startdate X X X X"))
    assert stream.epoch is None
    assert [f.code for f in stream.findings] == ["W-NO-DATE"]


def test_one_stream_per_rate_and_distinct_channel_names(tmp_path: Path) -> None:
    signals = [("EEG", "uV", ramp(600)), ("SpO2", "%", ramp(6)), ("EEG", "uV", ramp(600))]
    fast, slow = read_streams(edf(tmp_path / "psg.edf", signals))
    assert (fast.name, fast.rate, fast.channels) == ("psg.100Hz", 100.0, ("EEG", "EEG 2"))
    assert (slow.name, slow.rate, slow.channels) == ("psg.1Hz", 1.0, ("SpO2",))
    assert fast.end == slow.end == 6.0


def test_F02_no_records(tmp_path: Path) -> None:
    path = patched(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))]), 236, b"0       ")
    path.write_bytes(path.read_bytes()[:512])
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-NO-SAMPLES"


def test_F10_cut_inside_a_record(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-TRUNCATED"
    assert "3 records declared, 2 found" in caught.value.message
    assert caught.value.where["time"] == 4.0
    kept = read_stream(path, KEEP)
    assert kept.n_samples == 40
    assert "P-TRUNCATED" in [f.code for f in kept.findings]


def test_F10_unknown_number_of_records_and_extra_bytes(tmp_path: Path) -> None:
    path = patched(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))]), 236, b"-1      ")
    stream = read_stream(path)
    assert stream.n_samples == 60
    assert "P-RECORDS" in [f.code for f in stream.findings]
    extra = edf(tmp_path / "b.edf", [("EEG", "uV", ramp(60))])
    extra.write_bytes(extra.read_bytes() + bytes(50))  # more than a whole record
    stream = read_stream(extra)
    assert stream.n_samples == 60
    assert ("W-EXTRA-BYTES", 50) in [(f.code, f.count) for f in stream.findings]


@pytest.mark.parametrize(
    ("at", "field", "name"),
    [(236, b"three   ", "number of records"), (244, b"0       ", "record duration"), (168, b"99.99.99", "start date"),
     (252, b"x   ", "signals"), (184, b"1024    ", "header bytes")],
)  # fmt: skip
def test_F12_a_bad_header_field_is_named(tmp_path: Path, at: int, field: bytes, name: str) -> None:
    path = patched(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))], recording="X"), at, field)
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-HEADER"
    assert name in caught.value.message
    assert caught.value.where["byte"] == at


def test_F12_cut_inside_the_header(tmp_path: Path) -> None:
    whole = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))]).read_bytes()
    for length in (10, 255, 256, 300, 511):
        (tmp_path / "a.edf").write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_streams(tmp_path / "a.edf")
        assert caught.value.code == "E-TRUNCATED", length


def test_F11_the_pauses_of_a_discontinuous_file_stay_gaps(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))], onsets=[0.5, 2.5, 100.0])
    stream = read_stream(path)
    assert stream.run_index.tolist() == [0, 40]
    assert stream.gaps.tolist() == [[4.5, 100.0]]
    assert np.array_equal(stream.values[:, 0], np.arange(60) / 2)


def test_F11_records_that_go_back(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_streams(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))], onsets=[0, 50, 10]))
    assert caught.value.code == "E-UNSORTED"
    assert caught.value.where["sample"] == 40


def test_F11_discontinuous_without_onsets(tmp_path: Path) -> None:
    path = patched(edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))]), 192, b"EDF+D")
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-EDF-D"


def test_annotations_are_notes(tmp_path: Path) -> None:
    texts = {
        0: b"+1.5\x14lights off\x14\0",
        1: "+2\x153\x14Zoë turns\x14sits\x14\0".encode(),
        2: b"+5\x14\xff\x14\0",
    }
    path = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))], onsets=[0, 2, 4], texts=texts)
    notes = read_edf_notes(path)
    assert [n.text for n in notes] == ["lights off", "Zoë turns", "sits", "\udcff"]
    times = [(n.time.earliest, n.time.likely, n.time.latest) for n in notes if n.time]
    assert times == [(1.5, 1.5, 1.5), (2, 3.5, 5), (2, 3.5, 5), (5, 5, 5)]
    assert [n.line for n in notes] == [1, 2, 3, 4]
    assert read_notes(path) == notes
    assert read_stream(path).channels == ("EEG",)


def test_bdf_has_24_bits(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [("EEG", "uV", ramp(60))])
    head = bytearray(path.read_bytes()[:512])
    head[:8] = b"\xffBIOSEMI"
    fields = {3: b"-8388608", 4: b"8388607 ", 5: b"-8388608", 6: b"8388607 "}
    at = 256 + 16 + 80 + 8
    for i, name in enumerate((3, 4, 5, 6)):
        head[at + 8 * i : at + 8 * i + 8] = fields[name]
    samples = [-8388608, -1, 0, 1, 8388607] * 12
    body = b"".join(struct.pack("<i", s)[:3] for s in samples)
    (tmp_path / "b.bdf").write_bytes(bytes(head) + body)
    assert read_stream(tmp_path / "b.bdf").values[:, 0].tolist() == samples


@pytest.mark.data
def test_real_edf(data_dir: Path) -> None:
    stream = read_stream(data_dir / "formats" / "test_generator_2.edf")
    assert (stream.n_channels, stream.rate, stream.end) == (11, 200.0, 600.0)
    assert stream.channels[5] == "sine 1 Hz"
    sine = stream.values[:, 5]
    spectrum = np.abs(np.fft.rfft(sine - sine.mean()))
    assert np.argmax(spectrum) / 600.0 == pytest.approx(1.0)
    assert [n.text for n in read_edf_notes(data_dir / "formats" / "test_generator_2.edf")] == [
        "RECORD START",
        "REC STOP",
    ]
    assert len(read_edf_notes(data_dir / "formats" / "test_edfann.edf")) == 856
