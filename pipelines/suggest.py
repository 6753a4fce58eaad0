"""Session folders -> the spans that a person should describe next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from align.datatypes import Finding
from align.readers import Policy
from pipelines.run import findings_of
from pipelines.search import iso_times
from pipelines.train import read_sessions

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["SCHEMA", "suggestions"]

SCHEMA = "align.suggest/1"


def suggestions(
    paths: Sequence[Path], model: Coordination, k: int, notes_file: str | None, policy: Policy
) -> tuple[list[dict[str, object]], dict[str, object], list[Finding]]:
    """What ``align.coordination.uses.suggestions.suggest`` says of session folders; truth is not opened.

    Args:
        paths: session folders, or folders of them.
        model: trained.
        k: how many at most.
        notes_file: name of the notes in each folder, or None for ``notes.*``.
        policy: opt-in repairs.

    Returns:
        A row per suggestion, best first (``note`` is a note's number from 0, or None); the result object of
        ``align suggest --json``; what was noticed of files and channels.
    """
    from align.coordination.uses.suggestions import suggest

    read = read_sessions(paths, notes_file=notes_file, truth_file=None, policy=policy)
    clocks = {session.name: (session.epoch, session.timezone) for session in read}
    rows: list[dict[str, object]] = [
        {
            "rank": rank,
            "session": one.session,
            "start": round(one.span[0], 6),
            "end": round(one.span[1], 6),
            **iso_times(*clocks[one.session], *one.span),
            "gain": one.gain,
            "why": one.why,
            "note": one.note,
        }
        for rank, one in enumerate(suggest(model, read, k), 1)
    ]
    found = [finding for s in read for finding in (*findings_of(s), *model.findings(s))]
    result: dict[str, object] = {
        "schema": SCHEMA,
        "n_suggestions": len(rows),
        "n_sessions": len(read),
        "findings": [finding.as_dict() for finding in found],
    }
    return rows, result, found
