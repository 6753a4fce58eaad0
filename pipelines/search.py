"""Recordings on disk -> the spans that a query describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from align.clock import iso_from_ns, ns_from_seconds
from align.datatypes import Finding, Session
from align.errors import ParameterError
from align.readers import Policy, session_files, session_folders, session_of
from align.writers.jsonl import offset_minutes
from pipelines.run import findings_of

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.coordination.uses.embedded import EmbeddedSession, Query

__all__ = ["SCHEMA", "Asked", "iso_times", "read_recordings", "recordings", "search"]

SCHEMA = "align.search/1"
Recording = tuple[str, tuple[Path, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for: a text, further ones added or taken away, and a span of the first recording to start from.

    Attributes:
        query: text.
        plus, minus: further texts.
        like: start and end in seconds of a span of the first recording, added to the texts; or None.
        k: how many spans.
    """

    query: str
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    like: tuple[float, float] | None = None
    k: int = 10


def recordings(paths: Sequence[Path]) -> list[Recording]:
    """Name and stream files of each recording: each session folder, each WFDB record, or all given files as one.

    Args:
        paths: session folders, folders of them and headers of records; or stream files.

    Raises:
        ParameterError: folders among files; InputError: E-NO-FILE, E-NO-STREAMS, E-NOTES-AMBIGUOUS.
    """
    folders = [path.is_dir() or path.suffix.lower() == ".hea" for path in paths]
    if any(folders) and not all(folders):
        raise ParameterError("SENSOR", "folders among files", "session folders, or the files of one session")
    if not any(folders):
        return [(paths[0].stem, tuple(paths))]
    return [
        (found.name if found.is_dir() else found.stem, tuple(session_files(found)[0]))
        for found in session_folders(paths)
    ]


def read_recordings(paths: Sequence[Path], policy: Policy) -> Iterator[Session]:
    """The streams of one recording after the other; files of notes and truth are not opened.

    Args:
        paths: as for ``recordings``.
        policy: opt-in repairs.
    """
    for name, files in recordings(paths):
        yield dataclasses.replace(session_of(files, None, policy), name=name)


def search(
    paths: Sequence[Path],
    model: Coordination,
    asked: Asked,
    policy: Policy,
    done: Callable[[int], None] | None = None,
) -> tuple[list[dict[str, object]], dict[str, object], list[Finding]]:
    """The spans that a query describes best, over all recordings.

    Args:
        paths: as for ``recordings``.
        model: trained.
        asked: what is looked for.
        policy: opt-in repairs.
        done: called with 1 after every recording.

    Returns:
        A row per hit, best first; the result object of ``align search --json``; what was noticed of files and channels.
    """
    from align.coordination.trust.familiarity import strange_findings
    from align.coordination.uses.embedded import embed_session
    from align.coordination.uses.retrieval import search_spans
    from align.features.frames import frames_made_once

    embedded: list[EmbeddedSession] = []
    zones: list[str] = []
    found: list[Finding] = []
    for session in read_recordings(paths, policy):
        with frames_made_once():
            embedded.append(embed_session(model, session))
            noticed = model.findings(session)
        zones.append(session.timezone)
        found += [*findings_of(session), *noticed, *strange_findings(embedded[-1].strange)]
        if done is not None:
            done(1)
    hits = search_spans(model, embedded, _query(embedded[0], asked), asked.k)
    rows: list[dict[str, object]] = [
        {
            "rank": rank,
            "session": embedded[hit.session].name,
            "start": round(hit.start, 6),
            "end": round(hit.end, 6),
            **iso_times(embedded[hit.session].epoch, zones[hit.session], hit.start, hit.end),
            "probability": hit.probability,
            "log_odds": hit.log_odds,
        }
        for rank, hit in enumerate(hits, 1)
    ]
    seconds = sum(float(e.observed.sum()) * e.hop for e in embedded)
    result: dict[str, object] = {
        "schema": SCHEMA,
        "n_hits": len(rows),
        "n_sessions": len(embedded),
        "searched_s": round(seconds, 6),
        "findings": [finding.as_dict() for finding in found],
    }
    return rows, result, found


def _query(first: EmbeddedSession, asked: Asked) -> Query:
    from align.coordination.uses.embedded import combine

    span = [] if asked.like is None else [first.pooled([asked.like])[0]]
    return combine(plus=[*span, asked.query, *asked.plus], minus=list(asked.minus))


def iso_times(epoch: int | None, timezone: str, start: float, end: float) -> dict[str, str | None]:
    """``start_time`` and ``end_time`` in ISO 8601, None without an absolute clock.

    Args:
        epoch: UTC nanoseconds of second 0, or None.
        timezone: offset "+02:00", or "".
        start, end: seconds.
    """
    if epoch is None:
        return {"start_time": None, "end_time": None}
    offset = offset_minutes(timezone)
    start_time, end_time = (iso_from_ns(ns_from_seconds(t, epoch), offset) for t in (start, end))
    return {"start_time": start_time, "end_time": end_time}
