"""align/tokens/units under a launcher: two processes, joined as ``torchrun`` joins them, end in the units of one."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from align.coordination.loop.distributed import joined
from align.tokens.units.model import fit_units, units_from_bytes
from tests.tokens.units.test_model import PLAN, switching

ROOT = Path(__file__).parents[3]
# no dropout, which differs between processes
SMALL = dataclasses.replace(PLAN, rounds=1, epochs=1, batch=3, width=8, dropout=0.0)
PARTNER = """
import sys
from pathlib import Path
from tests.tokens.units.test_processes import learned
Path(sys.argv[1]).write_bytes(learned())
"""


def learned() -> bytes:
    """Under a launcher together with the other process, else alone."""
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as world:
        return fit_units(switching(5, 60, 0), SMALL, world=world)[0].as_bytes()


@pytest.mark.slow
def test_two_processes_learn_the_units_of_one(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port, processes = probe.getsockname()[1], []
    for rank in range(2):
        launched = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", PARTNER, str(tmp_path / str(rank))]
        processes.append(subprocess.Popen(command, env={**os.environ, **launched}, cwd=ROOT))
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    first, second = ((tmp_path / rank).read_bytes() for rank in "01")
    assert first == second
    together, alone = units_from_bytes(first), units_from_bytes(learned())
    for a, b in zip(together.network.parameters(), alone.network.parameters(), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), atol=2e-3)  # AdamW follows signs of rounding
    assert np.isclose(together.lines[0]["loss"], alone.lines[0]["loss"], rtol=1e-3)
