"""Files for batches: many small good ones, and poisoned ones in every way that files, times and values can be bad."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["WAYS", "make_files", "write_good"]

_ROWS = 120


def write_good(path: Path, seed: int, rows: int = _ROWS) -> None:
    """A CSV of two channels at 10 Hz whose levels change three times.

    Args:
        path: of the file.
        seed: every file is another one.
        rows: of the table.
    """
    random = np.random.default_rng(seed)
    level = np.repeat(random.integers(0, 20, (4, 2)), -(-rows // 4), axis=0)[:rows]
    values = level + random.normal(0, 0.3, (rows, 2))
    path.write_bytes(_table([f"{i / 10:.1f},{a:.3f},{b:.3f}" for i, (a, b) in enumerate(values)]))


def _table(rows: list[str], header: str = "time,a,b") -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


def _sound(kind: str, rate: int = 8000) -> bytes:
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(4000) / 9) / 2, rate, format=kind)
    return out.getvalue()


def _parquet() -> bytes:
    import polars as pl

    out = io.BytesIO()
    pl.DataFrame({"time": np.arange(50) / 10, "a": np.arange(50.0)}).write_parquet(out)
    return out.getvalue()


def _with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _binary() -> list[tuple[str, str, Callable[[Path], object]]]:
    """(fault, suffix, what writes it) of what is no text: sounds, Parquet, what is no file at all."""
    wav, flac, parquet = _sound("WAV"), _sound("FLAC"), _parquet()
    return [
        ("F04", ".wav", lambda p: p.write_bytes(_with_bytes(wav, 40, b"\xff\xff\xff\xff"))),
        ("F06", ".flac", lambda p: p.write_bytes(flac[: len(flac) // 2])),
        ("F08-rate", ".wav", lambda p: p.write_bytes(_with_bytes(wav, 24, bytes(4)))),
        ("F08-channels", ".wav", lambda p: p.write_bytes(_with_bytes(wav, 22, bytes(2)))),
        ("F09", ".parquet", lambda p: p.write_bytes(wav)),
        ("F10", ".edf", lambda p: p.write_bytes(b"0       " + b" " * 300)),
        ("F20", ".parquet", lambda p: p.write_bytes(parquet[:-20])),
        ("F22-pipe", ".csv", os.mkfifo),
        ("F22-folder", ".csv", lambda p: p.mkdir()),
    ]


def _ways() -> list[tuple[str, str, Callable[[Path], object]]]:
    from tests.cli.test_faults import FAULTS  # the one table of faults that the command's tests go by

    def writer(content: Callable[[], bytes]) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(content())

    text = [(fault, Path(name).suffix, writer(content)) for fault, name, content, _, _ in FAULTS]
    return [*text, *_binary()]


WAYS = _ways


def make_files(folder: Path, n_files: int, n_poison: int) -> tuple[Path, dict[str, str]]:
    """Write a folder of files, a manifest of all of them in it, and say which are poisoned.

    Args:
        folder: made.
        n_files: all of them.
        n_poison: of these: evenly between the others, every way in its turn.

    Returns:
        The manifest; input -> the fault that it has.
    """
    ways = WAYS()
    every = n_files // n_poison if n_poison else n_files + 1
    names, poison = [], {}
    for i in range(n_files):
        part = folder / f"d{i // 1000:03}"
        part.mkdir(parents=True, exist_ok=True)
        if i % every == every // 2 and len(poison) < n_poison:
            fault, suffix, write = ways[len(poison) % len(ways)]
            path = part / f"{i:06}{suffix}"
            write(path)
            poison[path.relative_to(folder).as_posix()] = fault
        else:
            path = part / f"{i:06}.csv"
            write_good(path, i)
        names.append(path.relative_to(folder).as_posix())
    manifest = folder / "all.txt"
    manifest.write_text("".join(f"{name}\n" for name in names))
    return manifest, poison
