"""All streams of a session cut on their frames, and the stretches in which none of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from align import clock
from align.datatypes import Floats, Segmentation, Session, Stream
from align.features.frames import featurize
from align.features.scaling import robust_scaled
from align.segmentation.cutting import segment

__all__ = ["frames_to_cut", "joint_spans", "segment_frames", "segment_session"]

_SEGMENTS_PER_NOTE = 3.0  # what notes mention lies between things that they do not


def segment_session(session: Session, hop: float) -> tuple[Segmentation, ...]:
    """Cut every stream of a session on its frames.

    With notes, the penalty is the one that gives about three segments a note (the count asked for by the notes
    themselves); without, that of the frames' noise.

    Args:
        session: streams and notes.
        hop: seconds per frame, > 0.

    Returns:
        One segmentation a stream, in order: of a sensor on its samples, of sound on its frames.
    """
    hours = sum(float(np.diff(s.run_spans).sum()) for s in session.streams) / len(session.streams) / 3600
    wanted = _SEGMENTS_PER_NOTE * sum(not n.is_empty for n in session.notes) / hours
    return tuple(segment_frames(s, hop, per_hour=wanted or None) for s in session.streams)


def frames_to_cut(stream: Stream, hop: float | None = None) -> Stream:
    """The frames of a stream as ``segment_frames`` cuts them: columns scaled robustly, nothing missing.

    Args:
        stream: raw stream.
        hop: seconds per frame; default as in ``featurize``.
    """
    frames = featurize(stream, hop=hop)
    return Stream(
        values=np.nan_to_num(robust_scaled(frames.values)),
        rate=frames.rate,
        name=stream.name,
        modality=stream.modality,
        channels=frames.channels,
        run_index=frames.run_index,
        run_start=frames.run_start,
    )


def segment_frames(
    stream: Stream,
    hop: float | None = None,
    *,
    method: str = "l2",
    penalty: float | str = "noise",
    **wishes: Any,
) -> Segmentation:
    """Cut a stream where its frames change level: where a raw signal changes its rhythm, strength or tone.

    The change points of a sensor are carried to its samples. The penalty is that of the frames' noise: dozens of
    features that swing together leave "auto" with little evidence for any single change, and it cuts too seldom.

    Args:
        stream: raw stream.
        hop: seconds per frame; default as in ``featurize``.
        method, penalty: as in ``segment``.
        **wishes: min_duration, per_hour, n_segments or like, as in ``segment``.
    """
    scaled = frames_to_cut(stream, hop)
    cut = segment(scaled, method=method, penalty=penalty, **wishes)
    if stream.modality == "audio":
        return cut
    at = scaled.times(cut.changes)
    runs = np.searchsorted(stream.run_start, at, side="right") - 1
    samples = [
        int(stream.run_index[r]) + clock.nearest_sample(float(t), float(stream.run_start[r]), stream.rate)
        for r, t in zip(runs, at, strict=True)
    ]
    inside = [s for s, r in zip(samples, runs, strict=True) if stream.run_index[r] < s < stream.run_ends[r]]
    return Segmentation.of(
        stream, inside, method=f"{cut.method} on frames", penalty=cut.penalty, cost=cut.cost
    )


def joint_spans(segmentations: Sequence[Segmentation]) -> Floats:
    """(n, 2) seconds: the stretches that lie within one segment of every stream that has data there.

    Args:
        segmentations: of the streams of one session.
    """
    edges = np.unique(np.concatenate([s.spans.ravel() for s in segmentations]))
    middles = 0.5 * (edges[1:] + edges[:-1])
    covered = np.zeros(len(middles), np.bool_)
    for cut in segmentations:
        at = np.searchsorted(cut.spans[:, 0], middles, side="right") - 1
        covered |= (at >= 0) & (middles < cut.spans[np.maximum(at, 0), 1])
    spans = np.column_stack([edges[:-1], edges[1:]])[covered]
    return spans[spans[:, 1] - spans[:, 0] > 1e-6]
