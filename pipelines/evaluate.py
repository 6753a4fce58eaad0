"""Sessions with known truth, aligned from their notes alone and scored row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from align.answers import Alignment
from align.datatypes import Session, Span
from align.errors import InputError
from align.metrics import pool
from pipelines.config import RunConfig
from pipelines.run import align_by
from pipelines.uses import score_uses

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["SCHEMA", "align_sessions", "evaluate", "scores_of"]

SCHEMA = "align.eval/1"


def align_sessions(
    sessions: Sequence[Session],
    method: str,
    config: RunConfig,
    model: Coordination | None,
    done: Callable[[int], None] | None = None,
) -> list[tuple[Alignment, tuple[Span, ...]]]:
    """Align every session by one method; its truth is put aside first, so that no method can see it.

    Args:
        sessions: with truth.
        method: as in ``pipelines.run.align_by``.
        config: order and text encoder.
        model: or None.
        done: called with 1 after every session.

    Raises:
        InputError: E-TRUTH-ROWS, a truth with another number of rows than its session has notes.
    """
    for session in sessions:
        _check_rows(session)
    pairs = []
    for session in sessions:
        blind = dataclasses.replace(session, truth=None)
        pairs.append((align_by(method, blind, config, model), session.truth or ()))
        if done is not None:
            done(1)
    return pairs


def _check_rows(session: Session) -> None:
    rows = len(session.truth or ())
    if rows != len(session.notes):
        raise InputError(
            "E-TRUTH-ROWS",
            f"session {session.name!r} has {len(session.notes)} notes and {rows} rows of truth",
            hint="truth needs one row per note, in the order of the notes",
        )


def evaluate(
    sessions: Sequence[Session],
    method: str,
    config: RunConfig,
    model: Coordination | None,
    done: Callable[[int], None] | None = None,
) -> dict[str, object]:
    """The result object of ``align eval --json`` (docs/schemas/eval.schema.json).

    Of a model's own answers ("contrastive") it also says how good the model is at its other uses, see ``score_uses``.

    Args:
        sessions, method, config, model, done: as in ``align_sessions``.
    """
    scores = scores_of(align_sessions(sessions, method, config, model, done))
    if model is None or scores["method"] != "contrastive":
        return scores
    return {**scores, **score_uses(model, sessions)}


def scores_of(pairs: Sequence[tuple[Alignment, tuple[Span, ...]]]) -> dict[str, object]:
    """The same of alignments that are there already, each with its truth.

    Raises:
        ParameterError: no pair, or a truth with another number of rows than its alignment has notes.
    """
    scores = pool(pairs).as_dict()
    return {"schema": SCHEMA, "method": pairs[0][0].method, **scores}
