"""The engine room: numba kernels, one file per family, arrays in and arrays out.

Importing any ``align.kernels.<name>`` runs this first, so that numba knows where its cache is.
"""

from pathlib import Path

from align.kernel_cache import use_private_cache

__all__: list[str] = []

use_private_cache(Path(__file__).parent)
