"""Sound files: everything kept, every cut and lie noticed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from align.clock import ns_from_iso
from align.errors import InputError, ParameterError
from align.readers import Policy, read_stream, read_streams

KEEP = Policy(on_truncated="keep")


def noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.5, 0.5, (n, channels)).astype(np.float32)


def write(path: Path, values: np.ndarray, rate: int = 8000, **about: str) -> Path:
    soundfile.write(path, values, rate, **about)
    return path


@pytest.mark.parametrize(("suffix", "exact"), [("wav", True), ("flac", True), ("ogg", False), ("mp3", False)])
def test_every_channel_and_the_rate_are_kept(tmp_path: Path, suffix: str, exact: bool) -> None:
    values = noise(4000, 2)
    stream = read_stream(write(tmp_path / f"night.{suffix}", values))
    assert (stream.name, stream.modality, stream.rate) == ("night", "audio", 8000.0)
    assert stream.values.shape == (4000, 2)
    assert (stream.start, stream.epoch, stream.n_runs) == (0.0, None, 1)
    if exact:
        assert np.abs(stream.values - values).max() <= 1 / 32768


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_F07_every_kind_of_sample_is_the_same_sound(tmp_path: Path, subtype: str) -> None:
    values = noise(500)
    stream = read_stream(write(tmp_path / "a.wav", values, subtype=subtype))
    step = {"PCM_U8": 1 / 128, "ULAW": 0.02}.get(subtype, 2**-22)
    assert np.abs(stream.values - values).max() <= step


def test_more_frames_than_one_block(tmp_path: Path) -> None:
    values = noise(1 << 20, 2)
    stream = read_stream(write(tmp_path / "a.wav", values, subtype="FLOAT"))
    assert np.array_equal(stream.values, values)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_F01_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        read_streams(tmp_path / name)
    assert caught.value.code == "E-EMPTY"
    assert caught.value.where["file"] == tmp_path / name


def test_F02_no_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((0, 1), np.float32))
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-NO-SAMPLES"


def test_F03_a_wav_cut_at_every_byte(tmp_path: Path) -> None:
    """Refused at every length; inside the sound with the frames declared, found and the last good time."""
    whole = write(tmp_path / "whole.wav", noise(40, 2)).read_bytes()
    begin = whole.index(b"data") + 8
    path = tmp_path / "cut.wav"
    for length in range(12, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_streams(path)
        assert caught.value.code == "E-TRUNCATED", length
        if length >= begin:
            found = (length - begin) // 4
            assert f"40 frames declared, {found} frames found" in caught.value.message
            assert caught.value.where["time"] == found / 8000
            if found:
                kept = read_stream(path, KEEP)
                assert kept.n_samples == found
                assert [f.code for f in kept.findings] == ["P-TRUNCATED"]


def test_F03_what_is_kept_is_the_beginning(tmp_path: Path) -> None:
    values = noise(100)
    path = write(tmp_path / "a.wav", values, subtype="FLOAT")
    path.write_bytes(path.read_bytes()[:-41])
    assert np.array_equal(read_stream(path, KEEP).values, values[:89])


def test_F03_chunks_behind_the_sound_are_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(10))
    path.write_bytes(path.read_bytes() + b"LIST\x04\x00\x00\x00INFO")
    assert read_stream(path).n_samples == 10


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_F04_a_size_field_that_was_never_filled_in(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.wav", noise(50))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-HEADER-SIZE"
    if size:
        kept = read_stream(path, KEEP)
        assert kept.n_samples == 50
        assert [f.code for f in kept.findings] == ["P-HEADER-SIZE"]


def test_F05_a_riff_beyond_4_gib(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(50))
    with path.open("r+b") as file:
        file.truncate((1 << 32) + 10_000)  # sparse
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code == "E-RIFF-OVERFLOW"


@pytest.mark.parametrize(("suffix", "share"), [("flac", 0.9), ("ogg", 0.9), ("ogg", 0.5), ("flac", 0.01)])
def test_F06_cut_compressed_sound_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(8000))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(InputError) as caught:
        read_streams(path)
    assert caught.value.code in ("E-DECODE", "E-TRUNCATED")


def test_F09_a_name_that_lies(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", noise(10)).rename(tmp_path / "a.wav")
    with pytest.raises(InputError) as caught:
        read_streams(tmp_path / "a.wav")
    assert caught.value.code == "E-FORMAT"
    assert "WAV" in caught.value.message
    assert "FLAC" in caught.value.message


def test_V01_a_sample_that_is_no_number(tmp_path: Path) -> None:
    values = noise(100, 2)
    values[30, 1] = np.nan
    values[60] = np.inf
    path = write(tmp_path / "a.wav", values, subtype="FLOAT")
    with pytest.raises(InputError) as caught:
        read_streams(path)
    where = caught.value.where
    assert caught.value.code == "E-NONFINITE"
    assert (where["channel"], where["sample"], where["time"]) == (1, 30, 30 / 8000)
    stream = read_stream(path, Policy(on_nan="gap"))
    assert stream.n_samples == 99
    assert stream.gaps.tolist() == [[60 / 8000, 61 / 8000]]
    assert np.isnan(stream.values[30, 1])
    assert [(f.code, f.count) for f in stream.findings] == [("P-NAN", 3)]


def test_V02_nothing_but_nan(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.full((9, 1), np.nan, np.float32), subtype="FLOAT")
    with pytest.raises(InputError) as caught:
        read_streams(path, Policy(on_nan="gap"))
    assert caught.value.code == "E-NO-SAMPLES"


@pytest.mark.parametrize(
    ("start", "tz", "utc"),
    [
        ("2026-03-28T22:10:00+01:00", None, "2026-03-28T21:10:00Z"),
        ("2026-03-28T22:10:00", "Europe/Berlin", "2026-03-28T21:10:00Z"),
        ("2026-03-30T22:10:00", "Europe/Berlin", "2026-03-30T20:10:00Z"),
        ("2026-03-28T22:10:00.25Z", None, "2026-03-28T22:10:00.25Z"),
    ],
)
def test_the_start_can_be_given(tmp_path: Path, start: str, tz: str | None, utc: str) -> None:
    path = write(tmp_path / "a.wav", noise(10))
    stream = read_stream(path, Policy(start=start, tz=tz))
    assert stream.epoch == ns_from_iso(utc)[0]
    assert stream.findings == ()


def test_a_start_without_zone_is_utc_and_says_so(tmp_path: Path) -> None:
    stream = read_stream(write(tmp_path / "a.wav", noise(10)), Policy(start="2026-03-28 22:10"))
    assert stream.epoch == ns_from_iso("2026-03-28T22:10Z")[0]
    assert [f.code for f in stream.findings] == ["W-TZ"]


def test_T08_a_start_in_the_hour_that_comes_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(10))
    policy = Policy(start="2026-10-25T02:30", tz="Europe/Berlin")
    with pytest.raises(InputError) as caught:
        read_streams(path, policy)
    assert caught.value.code == "E-TZ-AMBIGUOUS"
    later = read_stream(path, Policy(start=policy.start, tz=policy.tz, fold=1))
    assert later.epoch == ns_from_iso("2026-10-25T01:30Z")[0]


def test_a_start_that_is_no_time(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="ISO 8601"):
        read_streams(write(tmp_path / "a.wav", noise(10)), Policy(start="yesterday"))


@pytest.mark.data
def test_real_sound(data_dir: Path) -> None:
    stream = read_stream(data_dir / "sounds" / "session_00" / "audio.ogg")
    assert (stream.rate, stream.n_channels) == (22050.0, 1)
    assert stream.end == pytest.approx(77.215, abs=0.01)
