"""Any sentence-transformers model as the text encoder, for those who have one; nothing is downloaded unless asked.

Reference: Reimers & Gurevych, Sentence-BERT, EMNLP 2019, section 3.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import ResourceError

__all__ = ["FOLDERS", "PREFIX", "SentenceEncoder"]

PREFIX = "sentence:"  # of the name by which such an encoder is chosen
FOLDERS = "ALIGN_TEXT_MODELS"  # environment variable: a folder that holds models by name
_MAX_CHARACTERS = 20_000  # a huge note must not stall a run
_BATCH = 64


class SentenceEncoder:
    """A sentence-transformers model behind the ``TextEncoder`` protocol.

    Its ``name`` ends in the first 8 hexadecimal digits of the SHA-256 of its weights, so that equal names mean
    equal vectors; of a folder only the last part enters the name.

    Args:
        model: a folder; or the name of one inside the folder that the environment variable ALIGN_TEXT_MODELS names;
            or the name of a model in the hub's cache on this machine, such as "all-mpnet-base-v2".
        download: fetch a model that is not on this machine.

    Raises:
        ResourceError: E-TEXT-ENCODER, sentence-transformers is not installed, or the model is not on this machine.
    """

    def __init__(self, model: str, download: bool = False) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ResourceError(
                "E-TEXT-ENCODER",
                "the encoder asked for needs sentence-transformers, which is not installed",
                hint="pip install 'sentence-transformers>=5', or choose the encoder 'minilm-l6-v2' or 'hashed'",
            ) from error
        found = _folder(model)
        try:
            # code that comes with a model is never run
            self._model: Any = SentenceTransformer(
                found, device="cpu", local_files_only=not download, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ResourceError(
                "E-TEXT-ENCODER",
                "the sentence-transformers model asked for is not on this machine, or is not complete",
                hint=f"give its folder, set {FOLDERS} to the folder that holds it, or fetch it once with"
                " SentenceEncoder(name, download=True)",
            ) from error
        self.name = f"{PREFIX}{Path(model).name}@{_weights_hash(self._model)}"
        self.dimension = int(self._embedded(["probe"]).shape[1])

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) unit-norm float32 rows in order; zeros for a text without a letter or digit."""
        out = np.zeros((len(texts), self.dimension), np.float32)
        rows = [i for i, text in enumerate(texts) if any(c.isalnum() for c in text)]
        if rows:
            plain = [texts[i][:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for i in rows]
            out[rows] = self._embedded(plain)
        return out

    def _embedded(self, texts: list[str]) -> npt.NDArray[np.float32]:
        raw = self._model.encode(
            texts,
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        vectors = np.asarray(raw, np.float32)
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)  # some models end in a layer of their own
        return np.asarray(vectors / np.where(norm > 0, norm, 1.0), np.float32)


def _folder(model: str) -> str:
    """The folder that is meant, or the name as it is, for the hub's cache."""
    held = os.environ.get(FOLDERS)
    inside = Path(held) / model if held else None
    return str(inside) if inside is not None and inside.is_dir() else model


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()[:8]
