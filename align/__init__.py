"""align: what each free-text note refers to in continuous sensor and audio streams.

The map, in the order in which data passes (a stage is a folder; its ``__init__`` names its functions):

    readers       files -> Session(Stream..., Note...)
    features      Stream -> regular frames; a segment in words
    segmentation  frames -> change points
    tokens        segments -> discrete, named codes
    text          notes -> embeddings
    coordination  streams and notes -> one space (torch)
    matching      similarity + time -> Alignment
    warping       the dynamic-time-warping baselines
    metrics       Alignment against truth
    writers       records -> files
    rules         what to watch a live stream for
    monitor       rows and notes as they come -> events

``datatypes`` and ``answers`` hold the records, ``clock`` all rounding of time, ``errors`` every error,
``kernels`` the numba engine room. Importing ``align`` loads numpy only; each name below loads its stage when
first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "AlignError": "align.errors",
    "Alignment": "align.answers",
    "Codebook": "align.answers",
    "Evidence": "align.answers",
    "Link": "align.answers",
    "TokenSequence": "align.answers",
    "Finding": "align.datatypes",
    "Monitor": "align.monitor",
    "Note": "align.datatypes",
    "NoteTime": "align.datatypes",
    "Segmentation": "align.datatypes",
    "Session": "align.datatypes",
    "Span": "align.datatypes",
    "Stream": "align.datatypes",
    "read_notes": "align.readers",
    "read_session": "align.readers",
    "read_stream": "align.readers",
    "read_streams": "align.readers",
    "featurize": "align.features",
    "segment": "align.segmentation",
    "fit_codebook": "align.tokens",
    "tokenize": "align.tokens",
    "fit_coordination": "align.coordination",
    "load_coordination": "align.coordination",
    "match": "align.matching",
    "warp": "align.warping",
    "score": "align.metrics",
}

__version__ = "0.1.0"
__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'align' has no attribute {name!r}; see align.__all__")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
