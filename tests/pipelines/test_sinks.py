"""Standard output and files: nothing lost, and of a file nothing twice, wherever the process died."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from align.errors import AlignError, ResourceError
from pipelines.sinks import FileSink, StdoutSink

LINES = [b'{"seq": 0}\n', b'{"seq": 11}\n', b'{"seq": 222}\n']


def numbered(lines: list[bytes], first: int = 0) -> list[tuple[int, bytes]]:
    return list(enumerate(lines, first))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.ndjson"


def test_a_file_cut_at_any_byte_behind_the_position_is_made_whole(file: Path) -> None:
    sink = FileSink(file)
    assert sink.start({}, []) == 0
    assert sink.deliver(numbered(LINES[:1])) == 1
    position = sink.position()
    sink.close()
    whole = b"".join(LINES)
    for size in range(len(LINES[0]), len(whole) + 1):
        with file.open("r+b") as torn:  # the same file, as a process that died left it
            torn.write(whole[:size])
            torn.truncate(size)
        again = FileSink(file)
        arrived = again.start(position, LINES[1:])
        assert arrived == sum(size >= len(b"".join(LINES[: k + 1])) for k in (1, 2))
        rest = numbered(LINES, 0)[1 + arrived :]
        assert not rest or again.deliver(rest) == 3
        assert again.position()["end"] == len(whole)
        again.close()
        assert file.read_bytes() == whole, size
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_this_state_did_not_write_is_not_touched(file: Path) -> None:
    file.write_bytes(b"mine\n")
    with pytest.raises(AlignError, match="E-EXISTS"):
        FileSink(file).start({}, [])
    sink = FileSink(file, force=True)
    assert sink.start({}, []) == 0 and file.read_bytes() == b""
    sink.deliver(numbered(LINES[:1]))
    position = sink.position()
    sink.close()
    for text in (b"", LINES[0] + b"mine\n", LINES[0] + LINES[1] + b"x"):
        file.write_bytes(text)
        with pytest.raises(AlignError, match="E-SINK-CHANGED") as caught:
            FileSink(file).start(position, LINES[1:2])
        assert caught.value.exit_code == 7 and file.read_bytes() == text


def test_rotation_begins_a_new_file_and_a_crash_after_it_doubles_nothing(file: Path) -> None:
    sink = FileSink(file)
    sink.start({}, [])
    sink.deliver(numbered(LINES[:1]))
    position = sink.position()
    old = file.with_name("out.ndjson.1")
    sink.deliver(numbered(LINES[1:2], 1))
    os.rename(file, old)
    sink.deliver(numbered(LINES[2:], 2))
    assert [code for code, _ in sink.notices()] == ["W-SINK-NEW"]
    assert old.read_bytes() == LINES[0] + LINES[1] and file.read_bytes() == LINES[2]
    sink.close()  # and no generation knows of it
    again = FileSink(file)
    assert again.start(position, LINES[1:]) == 2
    again.close()
    assert old.read_bytes() + file.read_bytes() == b"".join(LINES)


def test_a_file_that_was_removed_is_begun_anew_with_what_has_not_arrived(file: Path) -> None:
    sink = FileSink(file)
    sink.start({}, [])
    sink.deliver(numbered(LINES[:1]))
    position = sink.position()
    sink.close()
    os.rename(file, file.with_name("kept"))
    again = FileSink(file)
    assert again.start(position, LINES[1:]) == 0 and [c for c, _ in again.notices()] == ["W-SINK-NEW"]
    again.close()


def test_S06_a_link_in_place_of_the_file_is_not_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"mine\n")
    file.symlink_to(tmp_path / "other")
    with pytest.raises(ResourceError):
        FileSink(file, force=True).start({}, [])
    assert (tmp_path / "other").read_bytes() == b"mine\n"


def test_a_device_is_no_file() -> None:
    with pytest.raises(AlignError, match="E-EXISTS"):
        FileSink(Path(os.devnull)).start({}, [])


def test_R07_a_reader_that_sleeps_is_written_to_as_far_as_it_goes_and_sees_whole_lines() -> None:
    reading, writing = os.pipe()
    sink = StdoutSink(writing)
    lines = numbered([b"%d " % i + b"x" * (37 + i % 900) + b"\n" for i in range(2_000)])
    assert sink.start({}, []) == 0
    first = sink.deliver(lines)
    assert 0 < first < 2_000, "the pipe is full"
    read = os.read(reading, 1 << 20)
    assert read.endswith(b"\n") and read == b"".join(line for _, line in lines[:first])
    while first < 2_000:
        first = sink.deliver(lines[first:])
        read += os.read(reading, 1 << 20)
    assert read == b"".join(line for _, line in lines)
    long = [(2_000, b"y" * 300_000 + b"\n")]
    got = b""
    while sink.deliver(long) == 2_000:
        got += os.read(reading, 1 << 20)
    os.close(writing)
    while block := os.read(reading, 1 << 20):
        got += block
    os.close(reading)
    assert got == long[0][1]


def test_R07_a_reader_that_is_gone_is_noticed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        StdoutSink(writing).deliver([(0, b"x\n")])
    os.close(writing)
