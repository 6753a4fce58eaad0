"""Whether ours and a peer's results are the same, task by task; a difference is an error, not a footnote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["cost_of", "inertia", "is_path", "same"]

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}
SOFT_TOLERANCE = 1e-4  # of the loss, and of the largest component of the gradient
INERTIA_TOLERANCE = 1e-3  # the barycentre average stops by rules of its own in each library


def same(task: str, data: Arrays, ours: Arrays, peer: Arrays, job: Mapping[str, Any]) -> str:
    """What agrees, in words for the table.

    Raises:
        RuntimeError: the results differ by more than the task allows.
    """
    near = TOLERANCES[job.get("dtype", "float64")]
    if task == "kmeans":
        return _same_inertia(data, ours, peer)
    if task == "soft":
        return _same_gradient(ours, peer)
    if task == "path":
        _check_paths(data, ours, peer, near)
    for name in ("distance", "distances"):
        if name in ours:
            _check(name, ours[name], peer[name], near)
    if task == "nearest" and int(ours["index"]) != int(peer["index"]):
        raise RuntimeError(f"nearest: align found {int(ours['index'])}, the peer {int(peer['index'])}")
    return {"path": "distance; paths valid, of its cost", "nearest": "index, distance"}.get(task, "distances")


def _check(name: str, ours: Array, peer: Array, near: float) -> None:
    excess = np.abs(np.asarray(ours, np.float64) - peer) / np.maximum(np.abs(peer), 1e-300)
    if ours.shape != peer.shape or not (excess <= near).all():
        raise RuntimeError(f"{name}: shapes {ours.shape} and {peer.shape}, differing by {excess.max():.3g}")


def _check_paths(data: Arrays, ours: Arrays, peer: Arrays, near: float) -> None:
    a, b = data["a"], data["b"]
    for name, side in (("align", ours), ("the peer", peer)):
        if not is_path(side["path"], len(a), len(b)):
            raise RuntimeError(f"{name}: not a warping path")
        cost, distance = cost_of(side["path"], a, b), float(side["distance"])
        if abs(cost - distance) > near * distance:
            raise RuntimeError(f"{name}: a path of cost {cost!r} for a distance of {distance!r}")


def is_path(path: Array, n: int, m: int) -> bool:
    """Whether index pairs lead from (0, 0) to (n - 1, m - 1) in steps (1, 1), (1, 0), (0, 1)."""
    path = np.asarray(path)
    if path.ndim != 2 or path.shape[1] != 2 or not len(path):
        return False
    steps = np.diff(path, axis=0)
    ends = path[0].tolist() == [0, 0] and path[-1].tolist() == [n - 1, m - 1]
    return ends and bool(((steps >= 0) & (steps <= 1)).all() and (steps.sum(axis=1) >= 1).all())


def cost_of(path: Array, a: Array, b: Array) -> float:
    """The root of the sum of squares along a path."""
    difference = np.asarray(a, np.float64)[path[:, 0]] - np.asarray(b, np.float64)[path[:, 1]]
    return float(np.sqrt((difference**2).sum()))


def _same_gradient(ours: Arrays, peer: Arrays) -> str:
    _check("loss", ours["loss"], peer["loss"], SOFT_TOLERANCE)
    excess = float(np.abs(ours["gradient"] - peer["gradient"]).max() / np.abs(peer["gradient"]).max())
    if not excess <= SOFT_TOLERANCE:
        raise RuntimeError(f"gradients differ by {excess:.3g} of the largest component")
    return f"loss; gradient to {excess:.1g}"


def _same_inertia(data: Arrays, ours: Arrays, peer: Arrays) -> str:
    mine, other = inertia(data["a"], ours["centres"]), inertia(data["a"], peer["centres"])
    if mine > other * (1 + INERTIA_TOLERANCE):
        raise RuntimeError(f"inertia: align reached {mine!r}, the peer {other!r}")
    return f"inertia {mine:.6g}, the peer's {other:.6g}"


def inertia(series: Array, centres: Array) -> float:
    """Mean over series of the squared distance to the nearest centre."""
    from align.warping.pairwise import dtw_pairwise

    centres = np.asarray(centres).reshape(len(centres), -1)
    return float((dtw_pairwise(series, centres).min(axis=1) ** 2).mean())
