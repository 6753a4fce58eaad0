"""Sessions with known truth, made from a seed: regenerates ``sample_data``.

``python -m pipelines.synthetic OUT`` writes six short sessions (``p1`` to ``p6``), one long day (``day_p7``)
and a README.md that says what is in them. The same seed gives the same signals on every machine: the
synthesis uses only arithmetic that IEEE 754 fixes (see ``pipelines.synthesis.exact``). The bytes of CSV, text
and README are thereby fixed too; those of FLAC and Parquet are, for the versions of soundfile and polars in
constraints.txt: other versions may pack the same samples differently.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from align.errors import AlignError, ParameterError, UnsafeError
from pipelines.store import atomic_write
from pipelines.synthesis.card import describe
from pipelines.synthesis.day import make_day
from pipelines.synthesis.folder import day_files, session_files
from pipelines.synthesis.plan import make_plan
from pipelines.synthesis.wording import remarks

__all__ = ["SEED", "main", "make_sessions"]

SEED = 2026


def make_sessions(out: Path, *, seed: int = SEED, n_people: int = 6, force: bool = False) -> list[Path]:
    """Write ``n_people`` short sessions, one long day of one more person, and README.md into ``out``.

    Args:
        out: folder; made when absent.
        seed: 0 or more; each person's session depends on the seed and the person's number alone, so more
            people leave the first ones as they are.
        n_people: 1 or more; balanced over the kinds of event for multiples of six.
        force: replace what is there.

    Returns:
        The session folders, the long day last.

    Raises:
        ParameterError: ``seed`` or ``n_people`` out of range.
        UnsafeError: E-EXISTS, a session folder is there and ``force`` was not given.
    """
    if seed < 0:
        raise ParameterError("seed", seed, "0 or more")
    if n_people < 1:
        raise ParameterError("n_people", n_people, "1 or more")
    plans = [make_plan(seed, number) for number in range(1, n_people + 1)]
    day = make_day(seed, n_people + 1)
    names = [plan.person.name for plan in plans] + [f"day_p{n_people + 1}"]
    taken = [out / name for name in names if (out / name).exists()]
    if taken and not force:
        raise UnsafeError("E-EXISTS", "exists already", hint="--force replaces it", file=taken[0])
    out.mkdir(parents=True, exist_ok=True)
    for plan in plans:
        _write(out / plan.person.name, session_files(seed, plan, remarks(seed, plan)))
    _write(out / names[-1], day_files(day))
    atomic_write(out / "README.md", describe(seed, plans, day), force=force)
    return [out / name for name in names]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        atomic_write(folder / name, data, force=True)


def main(arguments: list[str] | None = None) -> int:
    """``python -m pipelines.synthetic OUT [--seed N] [--people N] [--force]``; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.synthetic", description="Make sample sessions."
    )
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--force", action="store_true", help="replace what is there")
    given = parser.parse_args(arguments)
    try:
        made = make_sessions(given.out, seed=given.seed, n_people=given.people, force=given.force)
    except AlignError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(str(folder) for folder in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
