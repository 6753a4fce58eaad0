"""``python -m tests.pipelines.undropped``: the command without dropout, whose masks are each process's own."""

from __future__ import annotations

import sys

import torch

from align.coordination.network.dropout import Dropout
from cli.main import main


def unchanged(self: Dropout, x: torch.Tensor) -> torch.Tensor:
    return x


if __name__ == "__main__":
    Dropout.forward = unchanged  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
