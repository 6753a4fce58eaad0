"""align/coordination/loop/distributed.py: two processes step along the gradient of one (gloo; NCCL needs two cards)."""

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
from safetensors.torch import load, save

from align.coordination import fit_coordination
from align.coordination import training as loop
from align.coordination.loop.distributed import World
from align.coordination.network.dropout import Dropout
from align.coordination.saved.bundle import new_coordinator
from align.errors import ParameterError
from tests.coordination.sessions import TINY, made_session

ROOT = Path(__file__).parents[3]
# no dropout or noise, which differ between processes; pieces of one length, as convolutions see padding;
# steps too short to part the processes, as AdamW's steps follow signs
PLAN = dataclasses.replace(
    TINY,
    epochs=1,
    batch=3,
    dropout=0.0,
    width=8,
    dimension=4,
    longest=24,
    learning_rate=1e-12,
    text_noise=0.0,
)
PARTNER = """
import sys
from pathlib import Path
from tests.coordination.loop.test_distributed import gradients
Path(sys.argv[1]).write_bytes(gradients())
"""


def gradients():
    """Of every step, as bytes: four sessions make a batch of three and a batch of one."""
    torch.set_num_threads(1)
    found, step, honest = {}, torch.optim.AdamW.step, new_coordinator

    def undropped(*about):
        network = honest(*about)
        for module in network.modules():
            if isinstance(module, Dropout):
                module.p = 0.0
        return network

    def noted(self, *about):
        parameters = self.param_groups[0]["params"]
        found[str(len(found))] = torch.cat([p.grad.reshape(-1) for p in parameters])
        return step(self, *about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "new_coordinator", undropped)
        patch.setattr(torch.optim.AdamW, "step", noted)
        model = fit_coordination([made_session(seed, n_notes=2 + seed) for seed in range(4)], PLAN)
    return save({**found, "end": model.network.text.project.weight})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_processes_train_the_network_of_one(tmp_path):
    port, processes = free_port(), []
    for rank in range(2):
        launched = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}  # fmt: skip
        command = [sys.executable, "-c", PARTNER, str(tmp_path / str(rank))]
        processes.append(subprocess.Popen(command, env={**os.environ, **launched}, cwd=ROOT))
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    first, second = ((tmp_path / rank).read_bytes() for rank in "01")
    assert first == second, "the processes step alike and end in the same model"
    together, alone = load(first), load(gradients())
    assert set(alone) == {"0", "1", "end"}
    for name in ("0", "1"):
        assert alone[name].norm() > 0.1
        np.testing.assert_allclose(together[name], alone[name], atol=1e-5, err_msg=f"step {name}")


def test_alone_nothing_is_changed():
    world, rows = World(), torch.arange(6.0).reshape(3, 2)
    parameter = torch.nn.Parameter(torch.zeros(2))
    world.average_gradients([parameter])
    assert world.weight(0) == world.weight(7) == 1.0 and parameter.grad is None
    assert world.gathered(rows) is rows and world.mean([1.0, 2.0]) == [1.0, 2.0]


def test_more_processes_than_sessions_in_a_batch_are_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    with pytest.raises(ParameterError, match="batch is 3"):
        fit_coordination([made_session(0)], PLAN)
