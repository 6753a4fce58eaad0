"""Notes -> embeddings: encoders behind one protocol (``protocol.py``), chosen by name (``choose.py``)."""

from align.text.choose import text_encoder
from align.text.protocol import TextEncoder

__all__ = ["TextEncoder", "text_encoder"]
