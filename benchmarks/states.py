"""State recovery: how much codes, their number chosen automatically, say about what was going on.

    python -m benchmarks.states [series|hapt ...]

``series``: the 21 tuning series of the ClaSP and CLaP papers, adjusted mutual information (AMI) of samples, mean over
the series. Published on these or the whole collection: CLaP 0.77 to 0.78, Time2State 0.40. ``hapt``: phone recordings
against their activities, by five folds of people: scaling, the number of codes and the codes come from the streams of
the other people; AMI over all samples of all people left out, where an activity was noted. The folders are those of
``ALIGN_DATA`` (default ../shared/data).

Every criterion of ``tokens.choosing`` is a row, as is ``label_states``, which is no codebook: it compares the segments
of one stream with one another. Nothing here was tuned on either set.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from align.datatypes import Segmentation, Session, Stream
from align.features.scaling import robust_location_scale
from align.kernels.kmeans import nearest_centroids
from align.metrics.states import adjusted_mutual_information, labels_of_samples
from align.segmentation import label_states, segment
from align.segmentation.session import segment_frames
from align.segmentation.shape.widths import window_width
from align.tokens.choosing import CRITERIA, choose_codes
from align.tokens.clustering import kmeans
from align.tokens.describe import describe_segments
from benchmarks.alignment import folds, read
from benchmarks.interleaved import machine

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SHAPES = 15  # random convolutions per channel
_LIMIT = 6.0
_TRIED = (*range(1, 13), 14, 17, 20, 24, 30)


@dataclasses.dataclass(frozen=True)
class Codes:
    """Scale and centroids: what makes codes of described segments."""

    shift: Floats
    scale: Floats
    centroids: Floats

    @classmethod
    def fitted(cls, rows: Floats, criterion: str, tried: Sequence[int]) -> Codes:
        """From rows of features, the number of codes chosen by a criterion."""
        shift, scale = robust_location_scale(rows)
        points = scaled(rows, shift, scale)
        chosen = choose_codes(points, [k for k in tried if k <= len(points)], criterion=criterion).n_codes
        return cls(shift, scale, kmeans(points, chosen, restarts=3).centroids)

    def of(self, rows: Floats) -> Ints:
        """The code of every row."""
        labels: Ints = nearest_centroids(scaled(rows, self.shift, self.scale), self.centroids)[0]
        return labels


def scaled(rows: Floats, shift: Floats, scale: Floats) -> Floats:
    """Robust standard deviations, clipped; unknown is typical."""
    points = np.clip((rows - shift) / scale, -_LIMIT, _LIMIT)
    return np.ascontiguousarray(np.where(np.isfinite(points), points, 0.0))


def described(stream: Stream, cut: Segmentation, shapes: int) -> Floats:
    """Features of the segments."""
    return describe_segments(stream, cut, shapes=shapes)[0].astype(np.float64)


def most_common(codes: Ints, edges: Ints, bounds: Ints) -> Ints:
    """Every sample's code: the one that most samples of its change-point segment have."""
    samples = labels_of_samples(bounds, codes)
    best = [np.bincount(samples[a:b]).argmax() for a, b in pairwise(edges)]
    return labels_of_samples(edges, np.array(best))


def series(folder: Path) -> list[tuple[str, float, float]]:
    """(method, mean AMI, mean number of states) on the 21 series."""
    found: dict[str, list[tuple[float, int]]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            values, labels = file["values"].astype(np.float64), file["labels"]
            inner = np.setdiff1d(file["change_points"], [0, len(values)])
        stream = Stream(values, rate=100.0, name=path.stem)
        truth = labels_of_samples(np.concatenate([[0], inner, [len(values)]]), labels)
        cut = segment(stream, method="shape")
        answers = {"label_states, shape": labels_of_samples(cut.boundaries, label_states(stream, cut))}
        width = 2 * window_width((values - values.mean()) / values.std())
        tiles = Segmentation.of(stream, np.arange(width, len(values) - width // 2, width))
        rows = described(stream, tiles, _SHAPES)
        for criterion in CRITERIA:
            codes = Codes.fitted(rows, criterion, range(1, 11)).of(rows)
            answers[f"codes of windows, {criterion}"] = labels_of_samples(tiles.boundaries, codes)
            answers[f"the same, one per segment, {criterion}"] = most_common(
                codes, cut.boundaries, tiles.boundaries
            )
        for method, answer in answers.items():
            score = adjusted_mutual_information(truth, answer)
            found.setdefault(method, []).append((score, len(np.unique(answer))))
    return [(m, *np.mean(pairs, axis=0)) for m, pairs in found.items()]


def activities(session: Session) -> npt.NDArray[np.str_]:
    """The noted activity at every sample of the first stream, "" where none was."""
    times = session.streams[0].times()
    out = np.full(len(times), "", dtype="<U40")
    for row in session.truth or ():
        out[(times >= row.start) & (times < row.end)] = row.label
    return out


def hapt(folder: Path) -> list[tuple[str, float, float]]:
    """(method, AMI, mean number of codes) on people left out."""
    sessions = read(folder.parent, folder.name)
    cuts = {s.name: segment_frames(s.streams[0]) for s in sessions}
    truth = {s.name: activities(s) for s in sessions}
    answers: dict[str, dict[str, Ints]] = {}
    sizes: dict[str, list[int]] = {}
    for train, test in folds(sessions, 5):
        for shapes in (0, _SHAPES):
            rows = {s.name: described(s.streams[0], cuts[s.name], shapes) for s in sessions}
            for criterion in CRITERIA:
                name = f"codes of segments{', with shapes' if shapes else ''}, {criterion}"
                codes = Codes.fitted(np.concatenate([rows[s.name] for s in train]), criterion, _TRIED)
                sizes.setdefault(name, []).append(len(codes.centroids))
                for s in test:
                    found = labels_of_samples(cuts[s.name].boundaries, codes.of(rows[s.name]))
                    answers.setdefault(name, {})[s.name] = found
    lines = []
    for name, found in answers.items():
        lines.append((name, pooled(truth, found), float(np.mean(sizes[name]))))
        lines.append((f"{name}; each recording alone", alone(truth, found), np.nan))
    states = {s.name: label_states(s.streams[0], cuts[s.name]) for s in sessions}
    found = {name: labels_of_samples(cuts[name].boundaries, labels) for name, labels in states.items()}
    counts = float(np.mean([len(np.unique(v)) for v in states.values()]))
    return [*lines, ("label_states; each recording alone", alone(truth, found), counts)]


def pooled(truth: dict[str, npt.NDArray[np.str_]], found: dict[str, Ints]) -> float:
    """AMI over all samples of all recordings at which an activity was noted."""
    names = sorted(found)
    labels, codes = np.concatenate([truth[n] for n in names]), np.concatenate([found[n] for n in names])
    return adjusted_mutual_information(labels[labels != ""], codes[labels != ""])


def alone(truth: dict[str, npt.NDArray[np.str_]], found: dict[str, Ints]) -> float:
    """Mean AMI of the recordings, each for itself."""
    return float(np.mean([pooled(truth, {name: codes}) for name, codes in found.items()]))


PARTS: dict[str, tuple[str, Callable[[Path], list[tuple[str, float, float]]]]] = {
    "series": ("segmentation", series),
    "hapt": ("hapt", hapt),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each part in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    data = Path(os.environ.get("ALIGN_DATA", "../shared/data"))
    for part in options.parts or PARTS:
        folder, run = PARTS[part]
        if not (data / folder).is_dir():
            print(f"{part}: {folder} is not in ALIGN_DATA")
            continue
        began = time.perf_counter()
        print(f"\n| {part} | AMI | states |\n|---|---|---|")
        for method, score, states in run(data / folder):
            print(
                f"| {method} | {score:.3f} | {f'{states:.1f}' if np.isfinite(states) else ''} |", flush=True
            )
        print(f"\n{time.perf_counter() - began:.0f} s; {machine()}", flush=True)


if __name__ == "__main__":
    main()
