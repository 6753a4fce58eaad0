"""align/coordination/losses/gather.py: two processes on this machine have the gradients of one with the whole batch.

Run as a program (``python test_gather.py RANK FILE``) this file is one of the two processes.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import distributed, nn

from align.coordination.losses.gather import gathered
from align.coordination.losses.table import symmetric_nce

COUNTS = {"even": (6, 6), "uneven": (9, 3), "empty": (12, 0)}
N, WIDTH, DIMENSION = 12, 5, 4


class Pair(nn.Module):
    """Two encoders and a temperature, and the loss of what they make of a batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b = nn.Linear(WIDTH, DIMENSION), nn.Linear(WIDTH, DIMENSION)
        self.log_scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x, y):
        a, b = (gathered(nn.functional.normalize(f(z), dim=1)) for f, z in ((self.a, x), (self.b, y)))
        return symmetric_nce(a, b, torch.eye(N, dtype=torch.bool), self.log_scale.exp())


def batch():
    generator = torch.Generator().manual_seed(4)
    return torch.randn(N, WIDTH, generator=generator), torch.randn(N, WIDTH, generator=generator)


def process(rank, file):
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    for task, counts in COUNTS.items():
        own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        together = gathered(torch.arange(N)[own])
        assert torch.equal(together, torch.arange(N)), (task, together)
        assert not together.requires_grad, task
        for name, gradient in mean_gradients(*(z[own] for z in batch())).items():
            torch.testing.assert_close(
                gradient, whole_gradients()[name], rtol=1e-5, atol=1e-7, msg=f"{task} {name}"
            )
    distributed.destroy_process_group()


def mean_gradients(x, y):
    """Of all processes, as data-parallel training steps along them."""
    model = Pair()
    if len(x):
        model(x, y).backward()
    else:  # nothing to encode, but a part in the others' gathering, there and back
        a, b = (gathered(torch.zeros(0, DIMENSION)) for _ in range(2))
        symmetric_nce(a, b, torch.eye(N, dtype=torch.bool), model.log_scale.exp()).backward()
    found = {}
    for name, p in model.named_parameters():
        found[name] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
        distributed.all_reduce(found[name])
        found[name] /= 2
    return found


def whole_gradients():
    """The gradients of the whole batch, found without the other process."""
    model, (x, y) = Pair(), batch()
    a, b = (nn.functional.normalize(f(z), dim=1) for f, z in ((model.a, x), (model.b, y)))
    symmetric_nce(a, b, torch.eye(N, dtype=torch.bool), model.log_scale.exp()).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_alone_it_is_the_identity():
    x = torch.randn(3, 2, requires_grad=True)
    assert gathered(x) is x
    with torch.no_grad():
        assert gathered(x) is x


@pytest.mark.skipif(not distributed.is_available(), reason="this torch was built without torch.distributed")
def test_two_processes_have_the_gradient_of_the_whole_batch(tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(tmp_path / "meeting")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [p.communicate(timeout=180)[0] for p in both]
    finally:
        for p in both:
            p.kill()
    assert [p.returncode for p in both] == [0, 0], "\n".join(said)


if __name__ == "__main__":
    torch.set_num_threads(1)
    process(int(sys.argv[1]), sys.argv[2])
