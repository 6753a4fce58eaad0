"""``align batch``: one job for very many inputs; nothing is lost, and every failure is named."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.readers.policy import Policy
from cli.console import emit, say
from cli.options import policy_options, settings_options

if TYPE_CHECKING:
    from pipelines.batch import BatchResult, Done
    from pipelines.config import Settings

__all__ = ["command"]

_LINE_EVERY = 30.0  # seconds between lines of progress where there is no terminal
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _bytes(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)i?b?", value.strip().lower())
    if not found or float(found[1]) <= 0:
        raise click.BadParameter("allowed: bytes, or a number with K, M or G", context, parameter)
    return int(float(found[1]) * _UNITS[found[2]])


class _Place(click.ParamType):  # type: ignore[type-arg]
    """A path, or a URL of an object store: only what is written here is ever connected to."""

    name = "path"

    def __init__(self, *, folder: bool = False) -> None:
        self.folder = folder

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        from pipelines.cloud import check_url, is_url

        if is_url(value):
            return check_url(value)
        if self.folder:
            return click.Path(path_type=Path, exists=True, file_okay=False).convert(value, parameter, context)
        return Path(value)


def _url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from pipelines.cloud import check_url, is_url

    if value is not None and not is_url(value):
        raise click.BadParameter("allowed: a URL, as s3://bucket/folder", context, parameter)
    return None if value is None else check_url(value)


def _resources(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, float]:
    found = [re.fullmatch(r"(\w+)=(\d+(?:\.\d+)?)", one) for one in value]
    if not all(match and float(match[2]) > 0 for match in found):
        raise click.BadParameter("allowed: a name and a number over 0, as GPU=1", context, parameter)
    return {match[1]: float(match[2]) for match in found if match}


@click.command("batch")
@click.argument("sources", metavar="MANIFEST | PATTERN | FOLDER", nargs=-1, required=True,
                type=_Place())  # fmt: skip
@click.option("--job", default="segment", show_default=True, metavar="NAME",
              help="inspect, segment or tokenize (of stream files), run or prepare (of session folders).")  # fmt: skip
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--root", type=_Place(folder=True),
              help="Folder or URL that all inputs lie in; the default is the manifest's.")  # fmt: skip
@click.option(
    "--results", metavar="URL", callback=_url, help="Put the results below this URL of an object store."
)
@click.option("--model", type=click.Path(path_type=Path), help="Model folder of align train, for --job run.")
@click.option("--codebook", type=click.Path(path_type=Path), metavar="FILE",
              help="Codebook of align tokenize, for --job tokenize.")  # fmt: skip
@click.option("--truth-file", metavar="NAME", help="True spans in each session folder, for --job prepare.")
@click.option("--notes-file", metavar="NAME",
              help="Notes in each, for --job prepare; the default is notes.*")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 1024), metavar="N",
              help="Worker processes; the default is one per core.")  # fmt: skip
@click.option("--engine", default="local", show_default=True, metavar="NAME",
              help="Who does the work: local, or dask, an own cluster here or that of --scheduler.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler that runs already, as tcp://host:8786.")
@click.option("--resource", "resources", multiple=True, callback=_resources, metavar="NAME=AMOUNT",
              help="What a Dask worker must have for one input, as GPU=1.")  # fmt: skip
@click.option("--time-limit", type=click.FloatRange(0, min_open=True), default=3600.0, show_default=True,
              metavar="S", help="Most seconds of one input.")  # fmt: skip
@click.option("--memory-limit", callback=_bytes, metavar="SIZE",
              help="Most memory of one worker, as 2G; the default is none.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Refuse to begin a new batch: there must be one to go on with.")
@click.option("--retry-failed", is_flag=True, help="Do again what failed or was quarantined.")
@click.option("--force", is_flag=True, help="Begin anew, in place of the batch in the folder.")
@click.option(
    "--plan", is_flag=True, help="Say what it will take, from sizes and a few inputs tried; do nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print NDJSON: one line per item, then the result.")
@settings_options("matching.method", "matching.order", "text.encoder", "training.seed", "clocks.repair",
                  "features.hop")  # fmt: skip
@policy_options
def command(
    sources: tuple[Path | str, ...], out: Path, settings: Settings, policy: Policy, **asked: Any
) -> int:  # the rest: one per option above
    """Do one job for very many inputs: what fails is named in OUT/items.jsonl, the others are done.

    A file is a manifest: one path a line (text), or a CSV or JSONL with the column input. A PATTERN stands in
    quotes. The same command again goes on where the last one ended.
    """
    from align.errors import ParameterError
    from pipelines.batch import Again, check_batch, run_batch
    from pipelines.children import Limits, usable_cores
    from pipelines.engines import ENGINES, Asked
    from pipelines.jobs import JOBS, JobSettings
    from pipelines.manifest import inputs_of
    from pipelines.planning import plan_batch

    if asked["engine"] not in ENGINES:
        raise ParameterError("engine", asked["engine"], ", ".join(ENGINES))
    again = Again(force=asked["force"], resume=asked["resume"], retry_failed=asked["retry_failed"])
    model, codebook = (None if asked[n] is None else asked[n].absolute() for n in ("model", "codebook"))
    names = asked["truth_file"], asked["notes_file"]
    how = JobSettings(settings, policy, model, asked["results"], codebook, *names)
    check_batch(out, asked["job"], how, again)
    inputs = inputs_of(sources, JOBS[asked["job"]].takes, root=asked["root"], without=out)
    jobs = min(asked["jobs"] or usable_cores(), len(inputs))
    limits = Limits(asked["time_limit"], asked["memory_limit"])
    if asked["plan"]:
        return _plan(plan_batch(inputs, asked["job"], how, jobs, limits).as_dict(), as_json=asked["as_json"])
    engine = ENGINES[asked["engine"]](Asked(jobs, limits, asked["scheduler"], asked["resources"]))
    with _signals() as stopped, _progress(asked["as_json"]) as show:

        def watch(done: Done | None) -> bool:
            if done is not None:
                show(done)
            return stopped()

        result = run_batch(inputs, out, asked["job"], how, engine, again=again, watch=watch)
    return _summary(result, out, as_json=asked["as_json"])


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask for a clean stop; a second one is not waited for."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[Done], None]]:
    """A bar with rate and time left on a terminal; elsewhere a line now and then; or NDJSON."""
    begin = time.monotonic()
    if as_json:
        yield lambda done: emit({"event": "item", **done.row})
    elif sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        with Progress(BarColumn(), TextColumn("{task.description}"), console=Console(file=sys.stderr),
                      transient=True) as bar:  # fmt: skip
            task = bar.add_task("starting workers", total=None)
            yield lambda done: bar.update(
                task, total=done.total, completed=done.done, description=_said(done, begin)
            )
    else:
        last = begin

        def line(done: Done) -> None:
            nonlocal last
            if time.monotonic() - last >= _LINE_EVERY:
                last = time.monotonic()
                say(_said(done, begin))

        yield line


def _said(done: Done, begin: float) -> str:
    """How far it is: "120 of 1,000, 3 failed, 12.3/s, 1:12 left"."""
    seconds = max(time.monotonic() - begin, 1e-3)
    rate = (done.done - done.kept) / seconds
    parts = [f"{done.done:,} of {done.total:,}"]
    if done.failed:
        parts.append(f"{done.failed:,} failed")
    if rate > 0:
        parts += [f"{rate:.3g}/s", f"{_clock((done.total - done.done) / rate)} left"]
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    """Seconds as "1:02" or "1:02:03"."""
    left = round(seconds)
    if left >= 3600:
        return f"{left // 3600}:{left % 3600 // 60:02}:{left % 60:02}"
    return f"{left // 60}:{left % 60:02}"


def _plan(plan: dict[str, Any], *, as_json: bool) -> int:
    """Print what a batch will take."""
    if as_json:
        emit({"event": "result", "schema": "align.batch-plan/1", **plan})
        return 0
    mega = {name: plan[name] / 1e6 for name in ("bytes", "memory", "memory_per_worker", "result_bytes")}
    failed = f", {plan['failed_of_tried']:,} of which failed" if plan["failed_of_tried"] else ""
    workers = "1 worker" if plan["jobs"] == 1 else f"{plan['jobs']:,} workers"
    for line in (
        f"inputs   {plan['items']:,}, {mega['bytes']:,.1f} MB; {plan['tried']:,} tried{failed}",
        f"time     {_clock(plan['seconds'])} with {workers}: {plan['core_seconds']:,.1f} core-seconds of work,"
        f" {plan['start_seconds']:.1f} s to start",
        f"memory   {mega['memory_per_worker']:,.0f} MB per worker, {mega['memory']:,.0f} MB in all",
        f"results  {mega['result_bytes']:,.1f} MB",
    ):
        click.echo(line)
    return 0


def _summary(result: BatchResult, out: Path, *, as_json: bool) -> int:
    """Name every failure and say how it went; the exit code."""
    for row in result.failures:
        say(_failure(row))
    n_failed = len(result.failures)
    parts = [f"{len(result.rows) - n_failed:,} of {result.total:,} done"]
    if n_failed:
        parts.append(f"{n_failed:,} failed")
    if result.kept:
        parts.append(f"{result.kept:,} kept from before")
    say("; ".join(parts) + ".")
    if result.damaged:
        say(
            f"W-JOURNAL {result.damaged:,} damaged lines of the journal were left out; their items were done again"
        )
    if result.left_over:
        say(f"W-LEFT-OVER {result.left_over:,} results are of inputs that were not given this time")
    if as_json:
        counts = {"items": result.total, "failed": n_failed, "kept": result.kept, "stopped": result.stopped}
        emit({"event": "result", **counts})
    if result.stopped:
        say("stopped; the same command goes on from here")
        return 130
    if not as_json:
        click.echo(str(out / "items.jsonl"))
    return 4 if n_failed else 0


def _failure(row: Mapping[str, Any]) -> str:
    """One failure on one line: what, with which input, why."""
    from align.errors import AlignError

    error = dict(row["error"])
    code, message = error.pop("code"), error.pop("message")
    error.setdefault("file", row["input"])
    said = str(AlignError(code, message, **error))
    return f"{row['status']}  {said}" if row["input"] in said else f"{row['status']}  {row['input']}: {said}"
