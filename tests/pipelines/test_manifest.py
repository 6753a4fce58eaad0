"""Which inputs a manifest, a pattern, a folder or a list of files names, and what is refused before any work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from align.errors import AlignError, InputError, UnsafeError
from pipelines.manifest import inputs_of


@pytest.fixture
def night(tmp_path: Path) -> Path:
    for name in ("b.csv", "a/x.csv", "a/notes.csv", "a/truth.csv", "a/y.wav", ".hidden/z.csv", "read.me"):
        file = tmp_path / "night" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("time,v\n0,1\n")
    return tmp_path / "night"


def names(*sources: Path, takes: str = "streams", **more: Path) -> list[str]:
    found = inputs_of(sources, takes, **more)  # type: ignore[arg-type]
    assert all(item.path.exists() for item in found)
    return [item.name for item in found]


def refused(code: str, *sources: Path, **more: Path) -> AlignError:
    with pytest.raises(AlignError, match=code) as caught:
        names(*sources, **more)
    assert caught.value.code == code
    return caught.value


def test_a_folder_is_searched(night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(night) == ["a/x.csv", "a/y.wav", "b.csv"]
    assert names(night, without=night / "a") == ["b.csv"], "results are no inputs"
    assert names(night, root=tmp_path) == ["night/a/x.csv", "night/a/y.wav", "night/b.csv"]
    monkeypatch.chdir(night)
    assert names(Path()) == names(night)


def test_X02_a_folder_that_cannot_be_searched_is_said_and_not_left_out(
    night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: Path | str) -> object:
        if Path(path).name == "a":
            raise OSError(errno.EIO, "injected", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert refused("E-IO", night).exit_code == 5


def test_a_pattern_is_taken_from_its_first_wildcard(night: Path) -> None:
    assert names(night / "*" / "*.csv") == ["a/x.csv"]
    assert names(night / "**" / "*.csv") == ["a/x.csv", "b.csv"]
    refused("E-NO-FILE", night / "*.flac")


def test_files_and_folders_given_one_by_one(night: Path) -> None:
    assert names(night / "b.csv", night / "a" / "x.csv") == ["a/x.csv", "b.csv"]
    assert names(night / "a", night / "b.csv", night / "b.csv") == ["a/x.csv", "a/y.wav", "b.csv"]
    refused("E-NO-FILE", night / "b.csv", night / "c.csv")


def test_sessions_are_folders(night: Path) -> None:
    (night / "c").mkdir()
    (night / "c" / "x.csv").write_text("time,v\n0,1\n")
    (night / "b.csv").unlink()
    assert names(night, takes="sessions") == ["a", "c"]
    assert names(night / "a", night / "c", takes="sessions") == ["a", "c"]
    assert names(night / "*", takes="sessions") == ["a", "c"]
    assert names(night / "a", takes="sessions") == ["a"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.txt", "# two\r\n\r\n night/b.csv \r\nnight/a/x.csv\r\n"),
        ("m.txt", "\ufeffnight/b.csv\nnight/a/x.csv"),
        ("m.csv", "who,path\n1,night/b.csv\n\n# no\n2,night/a/x.csv\n"),
        ("m.tsv", "Input\twho\nnight/b.csv\t1\nnight/a/x.csv\t2\n"),
        ("m.jsonl", '{"input": "night/b.csv"}\n\n"night/a/x.csv"\n'),
    ],
)
def test_B06_manifests_of_every_kind(
    night: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = night.parent / name
    manifest.write_bytes(text.encode())
    monkeypatch.chdir("/")  # paths are relative to the manifest
    assert names(manifest) == ["night/b.csv", "night/a/x.csv"], "in the order of the manifest"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("m.txt", "night/b.csv\nnight/none.csv\n", 2),
        ("m.txt", "night/b.csv\n\nnight/../night/b.csv\n", 3),
        ("m.txt", "night/b.csv\nC:\\night\\b.csv\n", 2),
        ("m.txt", "night/b.csv\n\\\\host\\night\\b.csv\n", 2),
        ("m.txt", "night/b.csv\nNIGHT/B.CSV\n", 2),
        ("m.txt", "a\0b\n", 1),
        ("m.csv", "time,v\n0,1\n", 1),
        ("m.csv", "path,n\nnight/b.csv\n", 2),
        ("m.csv", 'path\n"night/b.csv\n', 2),
        ("m.jsonl", '"night/b.csv"\n{"file": 3}\n', 2),
        ("m.jsonl", "[" * 100_000, 1),
    ],
)
def test_B06_a_manifest_with_a_fault_is_refused_with_its_line(
    night: Path, name: str, text: str, line: int
) -> None:
    manifest = night.parent / name
    manifest.write_text(text)
    error = refused("E-MANIFEST", manifest)
    assert isinstance(error, InputError) and error.where["line"] == line


def test_an_empty_manifest_and_one_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("# nothing\n")
    refused("E-NO-FILE", tmp_path / "m.txt")
    (tmp_path / "m.txt").write_bytes(b"\xff\xfe\n")
    refused("E-ENCODING", tmp_path / "m.txt")


@pytest.mark.parametrize("way", ["../b.csv", "absolute", "link"])
def test_S05_a_manifest_leads_nowhere_else(night: Path, tmp_path: Path, way: str) -> None:
    (night / "a" / "link").symlink_to(night / "b.csv")
    manifest = night / "a" / "m.txt"
    manifest.write_text(str(night / "b.csv") if way == "absolute" else way)
    error = refused("E-OUTSIDE", manifest)
    assert isinstance(error, UnsafeError) and error.exit_code == 7
    assert names(manifest, root=night) == ["a/link" if way == "link" else "b.csv"]


def test_a_name_too_long_for_a_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / ("x" * 240 + ".csv")).write_text("time,v\n0,1\n")
    refused("E-LIMIT", tmp_path)


def test_a_long_manifest_is_read_at_once(night: Path) -> None:
    folder = night / "many"
    folder.mkdir()
    for i in range(3000):
        (folder / f"{i}.csv").touch()
    manifest = night / "m.txt"
    manifest.write_text("".join(f"many/{i}.csv\n" for i in range(3000)))
    assert names(manifest) == [f"many/{i}.csv" for i in range(3000)]
