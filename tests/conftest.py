"""What every test may use, and what none may do: open a network connection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# The same examples on every machine and no time limit per example: machines that run tests are busy.
# test_modes.py runs the kernels twice more with fewer examples
examples = int(os.environ.get("ALIGN_TEST_EXAMPLES", "50"))
settings.register_profile("align", deadline=None, derandomize=True, database=None, max_examples=examples)
settings.load_profile("align")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S11: a test that connects to anything but this machine fails."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError("a test tried to open a network connection")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The development data (``ALIGN_DATA``, default ../shared/data); skips where there is none."""
    folder = Path(os.environ.get("ALIGN_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no development data: set ALIGN_DATA to its folder")
    return folder


@pytest.fixture
def align_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``align ARGUMENTS`` in its own process, in ``tmp_path``; keywords go to ``subprocess.run``."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
        command = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main())"]
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 600} | options
        environment["PYTHONPATH"] = str(ROOT)
        return subprocess.run([*command, *map(str, arguments)], env=environment, check=False, **options)

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of four passes over two sample sessions: enough to run with, not enough to be right."""
    from cli.main import main

    folder = tmp_path_factory.mktemp("trained") / "model"
    sessions = [str(ROOT / "sample_data" / name) for name in ("p1", "p2")]
    settings = ["--epochs", "4", "--encoder", "hashed", "--device", "cpu"]
    assert main(["train", *sessions, "-o", str(folder), "--truth-file", "truth.csv", *settings]) == 0
    return folder
