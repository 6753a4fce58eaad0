"""Object stores: copies are private and go, results are whole objects, and only what was asked for is fetched."""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from align.errors import AlignError, InputError, ParameterError, ResourceError, UnsafeError
from pipelines import cloud
from pipelines.batch import Again, BatchResult, run_batch
from pipelines.cloud import check_url, fetched, is_url, listed, put_results, remove_results, results_are
from pipelines.engines import LocalEngine
from pipelines.jobs import JobSettings
from pipelines.manifest import Input, inputs_of
from tests.pipelines.batches import POISON, Inline, files, left, rows

fsspec = pytest.importorskip("fsspec", reason='needs pip install "streamnotes[cloud]"')


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own folder of temporaries, in which nothing may stay."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    yield tmp_path
    assert not list((tmp_path / "temporary").glob("align-*"))


@pytest.fixture
def memory(place: Path) -> Callable[[Path], str]:
    """Put a folder into fsspec's store in memory, under a bucket of its own; its URL."""

    def put(folder: Path) -> str:
        url = f"memory://b{uuid.uuid4().hex}"
        store, key = fsspec.core.url_to_fs(url)
        for path in folder.rglob("*"):
            if path.is_file():
                store.pipe_file(f"{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return url

    return put


def batch(inputs: tuple[Input, ...], out: Path, engine: Any = None, **more: Any) -> BatchResult:
    how = JobSettings(results=more.pop("results", None))
    return run_batch(inputs, out, "inspect", how, engine or Inline(), again=Again(**more))


def objects(url: str) -> dict[str, bytes]:
    store, key = fsspec.core.url_to_fs(url)
    return {one[len(key) :].strip("/"): store.cat_file(one) for one in store.find(key)}


def test_objects_are_done_as_files_are(place: Path, memory: Callable[[Path], str]) -> None:
    night = files(place / "night", 5, POISON)
    here, there = inputs_of([night], "streams"), inputs_of([memory(night)], "streams")
    assert [item.name for item in here] == [item.name for item in there]
    batch(here, place / "here")
    batch(there, place / "there")
    assert left(place / "there") == left(place / "here")
    assert sum(row["status"] == "ok" for row in rows(place / "there").values()) == 5


def test_results_are_whole_objects_and_what_is_valid_is_kept(
    place: Path, memory: Callable[[Path], str]
) -> None:
    night, url = files(place / "night", 3, ["ragged.csv"]), f"memory://r{uuid.uuid4().hex}/out"
    inputs = inputs_of([night], "streams")
    batch(inputs, place / "here")
    batch(inputs, place / "there", results=url)
    assert objects(url) == left(place / "here" / "results") and len(objects(url)) == 3
    assert not left(place / "there" / "results")
    again = Inline()
    assert batch(inputs, place / "there", again, results=url).kept == 4 and not again.done
    store, key = fsspec.core.url_to_fs(url)
    store.pipe_file(f"{key}/d0/000.csv.json", b"damaged")
    store.rm_file(f"{key}/d1/001.csv.json")
    batch(inputs, place / "there", again, results=url)
    assert sorted(again.done) == ["d0/000.csv", "d1/001.csv"]
    assert objects(url) == left(place / "here" / "results")
    (night / "d0" / "000.csv").write_bytes(b"")
    batch(inputs, place / "there", results=url)
    assert sorted(objects(url)) == ["d1/001.csv.json", "d2/002.csv.json"]
    with pytest.raises(UnsafeError, match="differs in results"):
        batch(inputs, place / "there")
    store.pipe_file(f"{key}/mine", b"keep")
    batch(inputs[:1], place / "there", results=url, force=True)
    assert set(objects(url)) <= {"mine", "bad/ragged.csv.json"}


def test_worker_processes_reach_them_too(place: Path) -> None:
    night = files(place / "night", 3)
    inputs = inputs_of([f"file://{night}/d*/*.csv"], "streams")
    assert [item.name for item in inputs] == ["d0/000.csv", "d1/001.csv", "d2/002.csv"]
    batch(inputs, place / "out", LocalEngine(1), results=f"file://{place}/results")
    batch(inputs_of([night], "streams"), place / "here")
    assert left(place / "results") == left(place / "here" / "results")
    mode = {stat.S_IMODE(p.stat().st_mode) & 0o077 for p in (place / "results").rglob("*.json")}
    assert mode == {0}, "copies of results are as private as results"


def test_a_copy_is_private_and_goes(place: Path, memory: Callable[[Path], str]) -> None:
    night = files(place / "night", 1)
    url = memory(night)
    old = os.umask(0)
    try:
        with fetched(f"{url}/d0/000.csv") as path:
            assert path.read_bytes() == (night / "d0" / "000.csv").read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            with fetched(f"{url}/d0/000.csv") as other:
                assert path.exists() and other.exists(), "one that is in use stays"
    finally:
        os.umask(old)
    assert not path.exists()


def test_S14_copies_of_processes_that_were_killed_are_removed(
    place: Path, memory: Callable[[Path], str]
) -> None:
    dead = place / "temporary" / "align-private-dead"
    dead.mkdir()
    (dead / "a.csv").write_text("left behind")
    with fetched(f"{memory(files(place / 'night', 1))}/d0/000.csv"):
        assert not dead.exists()


def test_sessions_and_records_come_with_what_belongs_to_them(
    place: Path, memory: Callable[[Path], str]
) -> None:
    for name in ("s/p1/flow.csv", "s/p1/notes.csv", "s/p2/flow.csv", "r/a.hea", "r/a.dat", "r/b.dat"):
        (place / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "all" / name).write_text(name)
    url = memory(place / "all")
    (session,) = inputs_of([f"{url}/s"], "sessions")
    assert (session.name, session.path) == ("p1", f"{url}/s/p1")
    with fetched(str(session.path)) as path:
        assert sorted(os.listdir(path)) == ["flow.csv", "notes.csv"] and path.name == "p1"
    with fetched(f"{url}/r/a.hea") as path:
        assert sorted(os.listdir(path.parent)) == ["a.dat", "a.hea"]


def test_S05_a_manifest_names_objects_below_the_root_and_nothing_else(
    place: Path, memory: Callable[[Path], str]
) -> None:
    url = memory(files(place / "night", 3))
    manifest = place / "all.txt"
    manifest.write_text(f"d1/001.csv\n{url}/d0/000.csv\n")
    assert [i.name for i in inputs_of([manifest], "streams", root=url)] == ["d1/001.csv", "d0/000.csv"]
    for line, kind in (
        ("http://169.254.169.254/latest/meta-data", ParameterError),
        ("s3://another/bucket.csv", InputError),
        ("../secret.csv", UnsafeError),
        ("file:///etc/passwd", InputError),
        ("d9/none.csv", InputError),
    ):
        manifest.write_text(f"{line}\n")
        with pytest.raises(kind):
            inputs_of([manifest], "streams", root=url)
        with pytest.raises(AlignError):
            inputs_of([manifest], "streams")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://host/a.csv", ParameterError),
        ("github://a:b@/c.csv", ParameterError),
        ("simplecache::s3://bucket/a.csv", ParameterError),
        ("s3://key:secret@bucket/a.csv", UnsafeError),
        ("s3://bucket/../a.csv", UnsafeError),
        ("s3://bucket//a.csv", UnsafeError),
        ("s3://", UnsafeError),
    ],
)
def test_what_is_no_object_is_refused_and_no_secret_is_said(url: str, kind: type[AlignError]) -> None:
    assert is_url(url) or "::" in url
    with pytest.raises(kind) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


class Store:
    """A store that fails as its library does."""

    protocol = "s3"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def isdir(self, key: str) -> bool:
        raise self.error

    def isfile(self, key: str) -> bool:
        raise self.error

    def put_file(self, file: str, key: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (FileNotFoundError("signed"), InputError, "E-NO-FILE"),
        (PermissionError("signed"), ResourceError, "E-PERMISSION"),
        (RuntimeError("https://x?Signature=signed"), ResourceError, "E-CLOUD"),
        (ImportError("s3fs"), ParameterError, "E-PARAM"),
    ],
)
def test_what_a_store_says_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[AlignError], code: str
) -> None:
    monkeypatch.setattr(cloud, "_store", lambda url: (Store(error), "bucket/a"))

    def copied() -> None:
        with fetched("s3://bucket/a"):
            pass

    def written(folder: Path) -> None:
        (folder / "a").write_text("1")

    for call in (
        copied,
        lambda: put_results(written, ["a"], "s3://bucket"),
        lambda: results_are({"a": "0"}, "s3://bucket"),
        lambda: remove_results(["a"], "s3://bucket"),
        lambda: listed("s3://bucket/a", lambda name: True),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.code == code and "signed" not in str(caught.value)


def test_a_store_that_refuses_a_result_ends_the_batch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of([files(place / "night", 2)], "streams")
    monkeypatch.setattr(cloud, "_put", lambda *arguments: (_ for _ in ()).throw(RuntimeError("signed")))
    with pytest.raises(ResourceError, match="E-CLOUD") as caught:
        batch(inputs, place / "out", results="memory://x/y")
    assert caught.value.exit_code == 5
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(place / "temporary"))
    url = f"memory://z{uuid.uuid4().hex}"
    assert batch(inputs, place / "again", results=url).total == 2
