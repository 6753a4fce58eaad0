"""One small model for all tests of the live engine that need one."""

from __future__ import annotations

import pytest
import torch

from align.coordination import Coordination, fit_coordination
from tests.coordination.sessions import TINY, made_session


@pytest.fixture(scope="session")
def model() -> Coordination:
    """Trained on four sessions with truth, with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    trained = fit_coordination([made_session(seed) for seed in range(4)], TINY)
    torch.set_num_threads(before)
    return trained
