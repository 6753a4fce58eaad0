"""``align check``: would it run? One line per item, from headers, first blocks and notes."""

from __future__ import annotations

from pathlib import Path

import click

from align.errors import AlignError, InputError, escape_controls
from align.readers.policy import Policy
from cli.console import emit
from cli.options import policy_options

__all__ = ["command"]


@click.command("check")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--notes-file", metavar="NAME", help="Notes in each session folder; the default is notes.*")
@click.option("--json", "as_json", is_flag=True, help="Print NDJSON: one line per item, then the result.")
@policy_options
def command(paths: tuple[Path, ...], notes_file: str | None, as_json: bool, policy: Policy) -> int:
    """Say whether files would run, from their headers and notes: "ok" or "failed CODE ..." for each.

    PATH is a session folder, a folder of session folders, a stream file or a file of notes. Exit code 0: all
    would run; 3: none would; 4: some would not.
    """
    from pipelines.inspecting import check_items, items_of

    total = failed = 0
    for path in paths:
        try:
            items = items_of([path])
        except AlignError as error:
            total, failed = total + 1, failed + 1
            _say({"path": str(path), "ok": False}, error, as_json)
            continue
        for answer in check_items(items, policy, notes_file):
            total += 1
            fault = answer.pop("error", None)
            failed += fault is not None
            _say(answer, fault, as_json)
    if as_json:
        emit({"event": "result", "items": total, "failed": failed})
    return 0 if not failed else InputError.exit_code if failed == total else 4


def _say(answer: dict[str, object], error: AlignError | None, as_json: bool) -> None:
    if as_json:
        emit({"event": "item", **answer, **({} if error is None else {"error": error.as_dict()})})
    elif error is None:
        print("ok      " + escape_controls(str(answer["path"])))
    else:
        path = escape_controls(str(answer["path"]))
        said = str(error).replace(f"{path}: ", "", 1).replace(f"{path}, ", "", 1)  # the path once is enough
        print(f"failed  {path}  {said}")
