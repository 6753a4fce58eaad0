"""What speaks for each candidate: numbers from looks at the signal that had no part in proposing it.

The names in ``NAMES`` are the columns, in order. Scores of a boundary, of the best split that a candidate leaves
out, of its segments as classes, of its neighbours' votes, and how often others agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.shape.candidates import Candidate
from align.segmentation.shape.embeddings import (
    Rows,
    convolutions,
    cycle_rows,
    grouped,
    level_rows,
    neighbours,
    whitened,
)
from align.segmentation.shape.widths import Widths

__all__ = ["NAMES", "covering_of_pairs", "evidence", "looks", "pruned"]

Ints = npt.NDArray[np.int64]

_LOOKS = ("narrow", "wide", "coarse", "level", "cycle")
_BOUNDARY = (
    *("least effect", "effect", "mean effect", "gain", "distance"),  # the candidate's boundaries
    *(
        "left least effect",
        "left effect",
        "best left least effect",
        "best left effect",
        "left gain",
    ),  # a split more
    *("rows too few", "least effect less left", "effect less left", "gain less left"),
    *("accuracy", "recall", "least recall", "confusion", "loss"),  # its segments as classes
)
_VOTES = ("neighbours", "neighbours over chance", "least vote", "vote")
_RELATIVE = (
    "least effect",
    "effect",
    "least effect less left",
    "effect less left",
    "accuracy",
    "recall",
    "loss",
)
_WHOLE = ("changes", "log changes", "shortest", "shortest in windows", "longest", "evenness")
_POOL = (
    "least agreement",
    "agreement",
    "expected covering",
    "expected covering less best",
    "sources",
    "profiles",
    "level",
)
_SIGNAL = (
    "log windows",
    "period strength",
    "cycle strength",
    "cycle",
    "period",
    "clearness",
    "clearness of three",
)
_TOGETHER = (  # over the looks at patterns: narrow, wide, cycle
    *("least effect", "effect", "left effect", "recall", "least recall", "neighbour votes"),
    *(
        "less best with as many",
        "best with more",
        "best with one more",
        "best with fewer",
        "best with one fewer",
    ),
    *("recall less best with as many", "best recall with more", "best recall with fewer"),
)
NAMES = (
    *_WHOLE,
    *(f"{look}: {name}" for look in _LOOKS for name in _BOUNDARY),
    *(f"{width}: {name}" for width in ("narrow", "wide") for name in _VOTES),
    *_POOL,
    *_SIGNAL,
    *(f"{look}: {name} {to}" for look in _LOOKS for name in _RELATIVE for to in ("less best", "rank")),
    *(f"together: {name}" for name in _TOGETHER),
)
_NO_BOUNDARY = (5.0, 5.0, 100.0, 10.0)  # a candidate without one: as good as any could be
_LEAST_ROWS = 4
_PATTERN_LOOKS = (0, 1, 4)


def looks(values: Floats, widths: Widths) -> list[Rows]:
    """The five descriptions on which candidates are judged; other thresholds than those that proposed them.

    Args:
        values: (n, d) standardised.
        widths: its widths.
    """
    narrow = convolutions(values, widths.window, 0.31)
    rows = [
        whitened(grouped(narrow, 4)),
        whitened(grouped(convolutions(values, widths.wide, 0.77), 4)),
        whitened(grouped(narrow, 10)),
        level_rows(values, widths.window),
        cycle_rows(values, widths),
    ]
    return [Rows(np.ascontiguousarray(r.values[:, :12]), r.size, r.clearness) for r in rows]


def pruned(found: Sequence[Candidate], rows: Sequence[Rows]) -> list[Candidate]:
    """More candidates: from the longest of three sources, the least clear boundary taken away again and again.

    Args:
        found: candidates.
        rows: from ``looks``.

    Returns:
        ``found`` and the new ones.
    """
    from align.kernels.boundary import boundary_effect

    known = {c.changes for c in found}
    out = list(found)
    for source in ("narrow-4", "wide-4", "narrow-8"):
        changes = _longest(c.changes for c in found if source in c.sources)
        while len(changes) > 1:
            clear = np.zeros(len(changes))
            for look in (rows[0], rows[1], rows[4]):
                bounds = _bounds(changes, look)
                if len(bounds) == len(changes) + 2:
                    for j in range(len(changes)):
                        clear[j] += boundary_effect(look.values, bounds[j], bounds[j + 1], bounds[j + 2])[1]
            del changes[int(clear.argmin())]
            if tuple(changes) not in known:
                known.add(tuple(changes))
                out.append(Candidate(tuple(changes), ("pruned",)))
    return out


def _longest(all_changes: Iterable[tuple[int, ...]]) -> list[int]:
    longest: tuple[int, ...] = ()
    for changes in all_changes:
        longest = changes if len(changes) > len(longest) else longest
    return list(longest)


def evidence(values: Floats, widths: Widths, found: Sequence[Candidate], rows: Sequence[Rows]) -> Floats:
    """The numbers of every candidate.

    Args:
        values: (n, d) standardised.
        widths: its widths.
        found: candidates, at least one.
        rows: from ``looks``.

    Returns:
        (n_candidates, len(NAMES)) f8, finite.
    """
    n = len(values)
    table = [_whole(found, n, widths), *(_on_rows(found, look) for look in rows)]
    for width in (2 * widths.window, 2 * widths.wide):
        table.append(_votes(found, *neighbours(values, width)))
    table += [_agreement(found, n, widths), _signal(len(found), n, widths, rows[0])]
    table += [_relative(part) for part in table[1 : 1 + len(rows)]]
    table.append(
        _together(found, [table[1 + look] for look in _PATTERN_LOOKS], table[len(rows) + 1 : len(rows) + 3])
    )
    return np.concatenate(table, axis=1)


def _whole(found: Sequence[Candidate], n: int, widths: Widths) -> Floats:
    out = []
    for c in found:
        length = np.diff([0, *c.changes, n])
        k = len(c.changes)
        shortest = length.min()
        out.append(
            [
                k,
                np.log1p(k),
                shortest / n,
                shortest / widths.window,
                length.max() / n,
                shortest / length.mean(),
            ]
        )
    return np.array(out, np.float64)


def _bounds(changes: Sequence[int], look: Rows) -> Ints:
    n = len(look.values)
    inner = np.clip(np.round(np.array(changes) / look.size), 1, n - 1).astype(np.int64)
    return np.unique(np.concatenate([[0], inner, [n]]))


def _on_rows(found: Sequence[Candidate], look: Rows) -> Floats:
    from align.kernels.boundary import best_split, boundary_effect, segment_scores

    rows = look.values
    d = rows.shape[1]
    effect = _remembered(lambda a, b, c: boundary_effect(rows, a, b, c))

    def left_out(a: int, c: int) -> tuple[float, ...]:
        b = best_split(rows, a, c, _LEAST_ROWS)
        return effect(a, b, c) if b >= 0 else (0.0, 0.0, 0.0, 0.0)

    split = _remembered(left_out)
    out = []
    for candidate in found:
        bounds = _bounds(candidate.changes, look)
        own = np.array([effect(*bounds[j : j + 3]) for j in range(len(bounds) - 2)] or [_NO_BOUNDARY])
        own[:, 2] *= d if len(bounds) == 2 else 1
        left = np.array([split(*bounds[j : j + 2]) for j in range(len(bounds) - 1)])
        best = left[left[:, 2].argmax()]
        least, most = own.min(axis=0), left.max(axis=0)
        out.append(
            [
                *(least[0], least[1], own[:, 1].mean(), least[2] / d, np.log1p(least[3])),
                *(most[0], most[1], best[0], best[1], most[2] / d),
                *(len(candidate.changes) + 2 - len(bounds), least[0] - most[0], least[1] - most[1]),
                np.log1p(least[2]) - np.log1p(most[2]),
                *segment_scores(rows, bounds),
            ]
        )
    return np.array(out)


def _remembered(function: Callable[..., tuple[float, ...]]) -> Callable[..., tuple[float, ...]]:
    """The same function, each answer worked out once: candidates share most of their boundaries."""
    seen: dict[tuple[int, ...], tuple[float, ...]] = {}

    def lookup(*at: int) -> tuple[float, ...]:
        if at not in seen:
            seen[at] = function(*at)
        return seen[at]

    return lookup


def _votes(found: Sequence[Candidate], near: Ints, middles: Ints) -> Floats:
    from align.kernels.boundary import neighbour_votes

    m = len(middles)
    out = []
    for candidate in found:
        inner = np.clip(np.searchsorted(middles, np.array(candidate.changes, np.int64)), 1, m - 1)
        out.append(neighbour_votes(near, np.unique(np.concatenate([[0], inner, [m]])).astype(np.int64)))
    return np.array(out)


def covering_of_pairs(found: Sequence[Candidate], n: int) -> Floats:
    """Covering of each candidate (row, as truth) by each other one (column).

    Args:
        found: candidates.
        n: samples of the run.

    Returns:
        (n_candidates, n_candidates) in (0, 1].
    """
    from align.kernels.boundary import coverings

    edges = [np.array([0, *c.changes, n], np.int64) for c in found]
    return coverings(np.concatenate(edges), np.cumsum([0, *map(len, edges)]))


def _agreement(found: Sequence[Candidate], n: int, widths: Widths) -> Floats:
    """How many sources have a boundary where a candidate has one, and how well the others cover it on average."""
    near_by = max(4 * widths.window, n // 60)
    sources = sorted({s for c in found for s in c.sources})
    of_source = [[np.array(c.changes) for c in found if s in c.sources] for s in sources]

    def share(changes: int) -> float:
        hits = [
            np.mean([len(other) > 0 and np.abs(other - changes).min() <= near_by for other in others])
            for others in of_source
        ]
        return float(np.mean(hits))

    shares = {at: share(at) for at in {at for c in found for at in c.changes}}
    expected = covering_of_pairs(found, n).mean(axis=0)
    out = []
    for i, c in enumerate(found):
        agreeing = [shares[at] for at in c.changes] or [1.0]
        profiles = sum(s.startswith("profile") for s in c.sources)
        out.append(
            [
                *(min(agreeing), float(np.mean(agreeing)), expected[i], expected[i] - expected.max()),
                *(len(c.sources), profiles, "level" in c.sources),
            ]
        )
    return np.array(out, np.float64)


def _signal(n_candidates: int, n: int, widths: Widths, look: Rows) -> Floats:
    row = [
        *(np.log(n / widths.window), widths.period_strength, widths.cycle_strength),
        *(np.log((w or widths.window) / widths.window) for w in (widths.cycle, widths.period)),
        *(float(look.clearness[0]), float(look.clearness[:3].sum())),
    ]
    return np.tile(row, (n_candidates, 1))


def _relative(part: Floats) -> Floats:
    """Some columns against the best candidate of the same signal, and their rank among all."""
    out = []
    for name in _RELATIVE:
        column = part[:, _BOUNDARY.index(name)]
        out.append(column - (column.min() if name == "loss" else column.max()))
        out.append(column.argsort(kind="stable").argsort(kind="stable") / len(column))
    return np.array(out).T


def _together(found: Sequence[Candidate], parts: Sequence[Floats], votes: Sequence[Floats]) -> Floats:
    """Means over the looks, and how they compare with candidates of more, as many and fewer change points."""

    def mean(name: str) -> Floats:
        return np.mean([part[:, _BOUNDARY.index(name)] for part in parts], axis=0)

    count = np.array([len(c.changes) for c in found])
    effect, recall = mean("least effect"), mean("recall")
    vote = np.mean([part[:, _VOTES.index("least vote")] for part in votes], axis=0)
    effect[count == 0] = 0.0
    return np.column_stack(
        [
            *(effect, mean("effect"), mean("left effect"), recall, mean("least recall"), vote),
            effect - _best_where(effect, count[None, :] == count[:, None]),
            _best_where(effect, count[None, :] > count[:, None]),
            _best_where(effect, count[None, :] == count[:, None] + 1),
            _best_where(effect, count[None, :] < count[:, None]),
            _best_where(effect, count[None, :] == count[:, None] - 1),
            recall - _best_where(recall, count[None, :] == count[:, None]),
            _best_where(recall, count[None, :] > count[:, None]),
            _best_where(recall, count[None, :] < count[:, None]),
        ]
    )


def _best_where(score: Floats, among: npt.NDArray[np.bool_]) -> Floats:
    """Largest score of those in each row's set, -1 where it is empty."""
    return np.where(among, score, -1.0).max(axis=1)
