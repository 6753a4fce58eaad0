"""Files of a few kB that would fill the memory are refused before they do, and read when that is asked for."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from align.errors import InputError, UnsafeError
from align.readers import read_streams
from align.readers import unfolding as module
from align.readers.policy import Policy
from pipelines.jobs import JOBS, JobSettings
from pipelines.worker import do_item

ROOT = Path(__file__).parent.parent.parent
COMMAND = """
import sys
from pathlib import Path
from cli.main import main
code = main(["inspect", sys.argv[1]])
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
print(code, peak)
"""


def silence(path: Path, frames: int = 80_000_000) -> None:
    soundfile.write(path, np.zeros(frames, np.int16), 96_000)


def constant(path: Path, rows: int = 200_000_000) -> None:
    """Pages that hold one value, and say how often."""
    zeros = pl.LazyFrame().select(pl.repeat(0.0, rows).alias("time"), pl.repeat(0.0, rows).alias("v"))
    zeros.sink_parquet(path, compression="zstd")


@pytest.mark.parametrize(("name", "write"), [("a.flac", silence), ("a.parquet", constant)])
def test_S07_what_unfolds_a_thousandfold_is_refused_in_little_memory(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2e6
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, tmp_path / name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, peak = map(int, done.stdout.split()[-2:])
    assert (code, "E-UNFOLDS" in done.stderr) == (7, True)
    assert peak < 512e6
    task = {"name": name, "path": str(tmp_path / name), "before": None}
    reply = do_item(task, JOBS["inspect"], JobSettings(), tmp_path / "out", lambda sha: None)
    assert (reply["kind"], reply["error"]["code"]) == ("failed", "E-UNFOLDS"), "of a batch, it alone fails"


@pytest.mark.parametrize("name", ["a.flac", "a.parquet"])
def test_S07_both_bytes_and_ratio_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path, n = tmp_path / name, 500_000
    if name == "a.flac":
        soundfile.write(path, np.zeros(n, np.int16), 96_000)
    else:
        pl.DataFrame({"time": np.arange(n), "v": np.zeros(n)}).select(
            pl.col("time").cast(pl.Int64), "v"
        ).write_parquet(path)
    ratio = 4 * n / path.stat().st_size
    assert len(read_streams(path, Policy(max_ratio=1.0))[0].values) == n, "few bytes, whatever the ratio"
    monkeypatch.setattr(module, "FREE_BYTES", 1000)
    assert len(read_streams(path, Policy(max_ratio=10 * ratio))[0].values) == n
    with pytest.raises(UnsafeError, match="E-UNFOLDS") as caught:
        read_streams(path, Policy(max_ratio=max(1.0, ratio / 10)))
    assert (
        caught.value.exit_code == 7 and caught.value.hint is not None and "--max-ratio" in caught.value.hint
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", gzip.compress(b"time,v\n" + b"0,0\n" * 100_000)),
        ("a.csv.gz", gzip.compress(b"time,v\n0,0\n")),
        ("a.csv", b"\x28\xb5\x2f\xfd" + bytes(100)),
        ("a.npz", b"PK\x03\x04" + bytes(100)),
        ("a.csv", b"PK\x03\x04" + bytes(100)),
    ],
)
def test_S07_what_is_packed_as_a_whole_is_never_unpacked(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"E-FORMAT"):
        read_streams(tmp_path / name)
