"""The baselines: dynamic time warping of segments against notes, and cuts that never look at the signal."""

import importlib
from typing import Any

from align.warping.bands import Band, column_ranges
from align.warping.barycentre import Clusters, dtw_barycentre, dtw_kmeans, soft_dtw_barycentre
from align.warping.baseline import warp_evidence
from align.warping.batched import dtw_batch
from align.warping.bounds import lb_improved, lb_keogh, warping_envelope
from align.warping.canonical import ctw_path
from align.warping.canonical_notes import ctw_evidence, ctw_session
from align.warping.dtw import dtw_cost_matrix, dtw_distance, dtw_path
from align.warping.edits import (
    edr_cost_matrix,
    edr_distance,
    edr_pairwise,
    edr_path,
    lcss_cost_matrix,
    lcss_distance,
    lcss_pairwise,
    lcss_path,
)
from align.warping.pairwise import dtw_pairwise
from align.warping.search import nearest, subsequence_search
from align.warping.slices import duration_slices, equal_slices
from align.warping.subsequence import (
    subsequence_dtw_cost_matrix,
    subsequence_dtw_distance,
    subsequence_dtw_path,
)
from align.warping.variants import ddtw_distance, ddtw_path, wdtw_distance, wdtw_path
from align.warping.warper import warp

_OF_TORCH = {
    "soft_dtw": "align.warping.soft",
    "soft_dtw_alignment": "align.warping.soft",
    "soft_dtw_divergence": "align.warping.soft",
    "soft_dtw_of_costs": "align.warping.soft",
}

__all__ = [
    "Band",
    "Clusters",
    "column_ranges",
    "ctw_evidence",
    "ctw_path",
    "ctw_session",
    "ddtw_distance",
    "ddtw_path",
    "dtw_barycentre",
    "dtw_batch",
    "dtw_cost_matrix",
    "dtw_distance",
    "dtw_kmeans",
    "dtw_pairwise",
    "dtw_path",
    "duration_slices",
    "edr_cost_matrix",
    "edr_distance",
    "edr_pairwise",
    "edr_path",
    "equal_slices",
    "lb_improved",
    "lb_keogh",
    "lcss_cost_matrix",
    "lcss_distance",
    "lcss_pairwise",
    "lcss_path",
    "nearest",
    "soft_dtw",
    "soft_dtw_alignment",
    "soft_dtw_barycentre",
    "soft_dtw_divergence",
    "soft_dtw_of_costs",
    "subsequence_dtw_cost_matrix",
    "subsequence_dtw_distance",
    "subsequence_dtw_path",
    "subsequence_search",
    "warp",
    "warp_evidence",
    "warping_envelope",
    "wdtw_distance",
    "wdtw_path",
]


def __getattr__(name: str) -> Any:
    if name not in _OF_TORCH:
        raise AttributeError(f"module 'align.warping' has no attribute {name!r}; see align.warping.__all__")
    value = getattr(importlib.import_module(_OF_TORCH[name]), name)
    globals()[name] = value
    return value
