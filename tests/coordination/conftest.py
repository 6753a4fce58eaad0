"""One thread: small networks on busy machines are slower with more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from align.coordination import Coordination, fit_coordination
from tests.coordination.sessions import TINY, made_session


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def trained(_one_thread: None) -> Coordination:
    """A model of four sessions with truth."""
    return fit_coordination([made_session(seed) for seed in range(4)], TINY)
