"""The command in this process, and a small recording to give to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from tests.cli.recordings import Done, table


@pytest.fixture
def align(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``align("run", folder, ...)`` in this process."""

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def run(align: Callable[..., Done]) -> Callable[..., Done]:
    """``align run`` with the text encoder that loads at once."""
    return lambda *arguments: align("run", "--encoder", "hashed", *arguments)


@pytest.fixture
def sensor(tmp_path: Path) -> Path:
    """40 s at 10 Hz whose level rises at 20 s."""
    return table(tmp_path / "sensor.csv", [f"{i / 10:.1f},{i % 5 + 30 * (i >= 200)}" for i in range(400)])
