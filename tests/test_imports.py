"""Light to start: ``import align`` and every command's help load none of the heavy libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "numba", "polars", "scipy", "librosa", "sklearn", "tslearn", "ruptures", "pandas", "rich")

BLOCKED = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked: a light path must not load it", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_block_blocks() -> None:
    with pytest.raises(AssertionError, match="torch is blocked"):
        python("import torch")


def test_import_align_works_without_the_heavy_libraries() -> None:
    loaded = python("import align; dir(align); print(*sys.modules)").split()
    assert not set(loaded) & set(HEAVY)
    assert "numpy" not in loaded, "the map of the package needs no numpy"


def test_the_records_work_without_the_heavy_libraries() -> None:
    code = (
        "import align, numpy\nprint(align.Stream(numpy.zeros(3), rate=50.0).end, align.AlignError.exit_code)"
    )
    assert python(code).split() == ["0.06", "70"]


def test_I2_align_help_works_without_the_heavy_libraries() -> None:
    begin = time.perf_counter()
    out = python("from cli.main import main; code = main(['--help']); assert code == 0")
    print(f"align --help: {time.perf_counter() - begin:.2f} s")  # said, not asserted: machines differ
    assert "Commands:" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_works_without_the_heavy_libraries(name: str) -> None:
    assert f"Usage: align {name}" in python(
        f"from cli.main import main; assert main([{name!r}, '--help']) == 0"
    )


def test_config_show_works_without_the_heavy_libraries() -> None:
    assert "[segmentation]" in python("from cli.main import main; assert main(['config', 'show']) == 0")
