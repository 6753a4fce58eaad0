"""Every kernel test again as plain Python, and again with numba's bounds check: same answers, no overrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WITHOUT_KERNELS = {Path(__file__).name, "test_cache.py"}


@pytest.mark.parametrize("mode", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_kernel_tests_pass_in_mode(mode, tmp_path):
    files = [file for file in sorted(HERE.glob("test_*.py")) if file.name not in WITHOUT_KERNELS]
    assert files
    environment = os.environ | {mode: "1", "NUMBA_CACHE_DIR": str(tmp_path), "ALIGN_TEST_EXAMPLES": "5"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", *map(str, files)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
