"""What a file is, and which names lie."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from align.errors import InputError
from align.readers.sniff import sniff

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
HEADS = {
    "a.wav": WAV, "a.flac": b"fLaC\x00", "a.ogg": b"OggS\x00", "a.mp3": b"ID3\x04", "a.parquet": b"PAR1....",
    "a.edf": b"0       patient", "a.bdf": b"\xffBIOSEMI", "a.csv": b"t,a\n0,1\n", "a.tsv": b"t\ta\n",
    "a.jsonl": b'{"t": 0}\n', "a.hea": b"100 2 360 650000\n", "a.txt": b"walks\n", "a.md": b"# day\n",
    "a.srt": b"1\n", "a.vtt": b"WEBVTT\n",
}  # fmt: skip
KINDS = {"a.hea": "wfdb", "a.txt": "text", "a.md": "markdown"}


def code(path: Path) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        sniff(path)
    assert caught.value.exit_code == 3
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize("name", HEADS)
def test_each_kind_by_name_and_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEADS[name])
    assert sniff(tmp_path / name) == KINDS.get(name, name[2:])


@pytest.mark.parametrize("name", ["A.CSV", "a.Csv"])
def test_extension_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"t,a\n")
    assert sniff(tmp_path / name) == "csv"


@pytest.mark.parametrize("n", [1, 3])
def test_a_cut_head_keeps_its_kind(tmp_path: Path, n: int) -> None:
    (tmp_path / "a.wav").write_bytes(WAV[:n])
    assert sniff(tmp_path / "a.wav") == "wav"


def test_F01_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    assert code(tmp_path / "a.csv")[0] == "E-EMPTY"


@pytest.mark.parametrize(
    ("name", "content", "both"),
    [("a.wav", HEADS["a.flac"], ("WAV", "FLAC")), ("a.csv", gzip.compress(b"t,a\n"), ("CSV", "GZIP")),
     ("a.csv", HEADS["a.parquet"], ("CSV", "PARQUET")), ("a.parquet", b"t,a\n0,1\n", ("PARQUET", "plain text")),
     ("a.flac", b"\x00\x01\x02\x03" * 40, ("FLAC", "unknown")), ("a.txt", WAV, ("TEXT", "WAV")),
     ("a.csv", b"\x01\x02\x03\x04" * 40, ("CSV", "unknown")), ("a.xyz", b"PK\x03\x04", ("nothing known", "ZIP"))],
)  # fmt: skip
def test_F09_lying_extension_names_both(
    tmp_path: Path, name: str, content: bytes, both: tuple[str, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    found, message = code(tmp_path / name)
    assert found == "E-FORMAT"
    assert all(word in message for word in both)


def test_F22_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path in (
        tmp_path,
        tmp_path / "fifo.csv",
        tmp_path / "dangling.csv",
        tmp_path / "loop.csv",
        Path("/dev/null"),
    ):
        assert code(path)[0] == "E-NOT-A-FILE"
    assert code(tmp_path / "missing.csv")[0] == "E-NO-FILE"


def test_F23_odd_names(tmp_path: Path) -> None:
    for name in ("a\nb.csv", "-rf.csv", "a b'\".csv", "\x1b[31m.csv", os.fsdecode(b"\xff.csv")):
        (tmp_path / name).write_bytes(b"t,a\n")
        assert sniff(tmp_path / name) == "csv"
        assert "\x1b" not in code(tmp_path / (name + ".gone"))[1]
