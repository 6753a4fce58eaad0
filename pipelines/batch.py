"""Many inputs, one job: what is done and valid is kept, the rest is done, every failure is named.

A folder of a batch holds ``results/`` (called after the inputs), ``items.jsonl`` (one line per input, in the
order given; there once all are done), ``batch.json`` (what was asked, with which versions) and ``journal.jsonl``.
All but the journal hang on the inputs, the settings and the code alone: not on workers, order or interruptions.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align.errors import AlignError, ParameterError, ResourceError, UnsafeError
from pipelines.cloud import remove_results
from pipelines.engines import Engine, Outcome, Task
from pipelines.identity import code_hash, content_hash, model_hash, settings_hash
from pipelines.jobs import JOBS, Job, JobSettings, check_job, result_names
from pipelines.journal import Journal, Lines, read_journal
from pipelines.manifest import Input
from pipelines.record import versions
from pipelines.store import (
    atomic_write,
    check_output,
    named_errors,
    only_writer,
    prepare_output,
    remove_files,
    sweep_stale,
)

__all__ = ["BATCH_FILES", "Again", "BatchResult", "Done", "check_batch", "run_batch"]

BATCH_FILES = ("items.jsonl", "batch.json", "journal.jsonl")
_ITEMS, _RECORD, _JOURNAL = BATCH_FILES
_RESULTS = "results"
_SCHEMA = "align.batch/1"
_LEAST_FREE = 16 << 20  # bytes on the disk, before the first item
_LOOKS = 3  # for a root folder that has gone, half a second apart
_PASSING = ("E-IO", "E-MEMORY")  # the machine has failed and not the input: tried again


@dataclass(frozen=True, slots=True)
class Again:
    """What to do about an earlier batch in the folder.

    Attributes:
        force: begin anew, in place of whatever is there.
        resume: there must be one to go on with.
        retry_failed: do again what failed or was quarantined.
    """

    force: bool = False
    resume: bool = False
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """One more item: ``row`` as in ``items.jsonl``; how many are ``done``, ``failed`` and ``kept`` of ``total``."""

    row: Mapping[str, Any]
    done: int
    failed: int
    kept: int
    total: int


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch.

    Attributes:
        rows: of the items that are done, in the order of the inputs.
        total: inputs.
        kept: items that an earlier run had done.
        left_over: results in the folder whose inputs were not given this time.
        damaged: lines of the journal that could not be used.
        stopped: it was told to stop before all were done.
    """

    rows: tuple[Mapping[str, Any], ...]
    total: int
    kept: int
    left_over: int
    damaged: int
    stopped: bool

    @property
    def failures(self) -> tuple[Mapping[str, Any], ...]:
        """The rows that are not "ok"."""
        return tuple(row for row in self.rows if row["status"] != "ok")


def check_batch(out: Path, job: str, how: JobSettings, again: Again) -> Lines:
    """Say before work starts what would be refused; the journal to go on with. Changes nothing.

    Args:
        out: the folder.
        job: a name of ``JOBS``.
        how: the settings.
        again: about an earlier batch.

    Raises:
        ParameterError: as ``check_job``; nothing to resume.
        InputError: E-NO-FILE, the model.
        UnsafeError: E-EXISTS, the folder holds something else, or a batch of another job, settings, model or
            version; E-SYMLINK.
        ResourceError: the folder cannot be written; E-NO-SPACE.
    """
    check_job(job, how)
    mine = _head(job, how)
    journal = read_journal(out / _JOURNAL) if out.is_dir() else Lines()
    head = next(iter(journal.lines), {})
    is_batch = head.get("journal") == _SCHEMA
    if again.resume and not is_batch:
        raise ParameterError("resume", "no batch in the folder", "the folder of a batch", hint=str(out))
    going_on = is_batch or _is_hardly_begun(out, journal)
    check_output(out, force=again.force or going_on, known=BATCH_FILES)
    if is_batch and not again.force:
        other = [name for name in mine if mine[name] != head.get(name)]
        if other:
            said = f"holds a batch that differs in {', '.join(other)}"
            raise UnsafeError("E-EXISTS", said, hint="--force begins anew", file=out)
    here = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    with named_errors(here):
        disk = os.statvfs(here)
    if disk.f_bavail * disk.f_frsize < _LEAST_FREE:
        raise ResourceError("E-NO-SPACE", f"less than {_LEAST_FREE >> 20} MiB are free", file=here)
    return journal


def _is_hardly_begun(out: Path, journal: Lines) -> bool:
    """Is there nothing but what a batch leaves that ended before its journal's first line?"""
    if journal.good_bytes or not out.is_dir():
        return False
    with named_errors(out):
        held = {name for name in os.listdir(out) if not name.startswith(".align-")}
        return held <= {_JOURNAL, _RESULTS} and not any((out / _RESULTS).glob("*"))


def _head(job: str, how: JobSettings) -> dict[str, object]:
    """What all results hang on beside their inputs; the first line of the journal."""
    settings = {
        name: value for name, value in how.as_json().items() if name not in ("model", "results", "codebook")
    }
    for one in settings["settings"].values():
        one.pop("source")
    return {
        "journal": _SCHEMA,
        "job": job,
        "settings": settings_hash(settings),
        "model": model_hash(how.model),
        "version": code_hash(),
        "results": how.results,
        "codebook": "" if how.codebook is None else content_hash(how.codebook),
    }


@dataclass(frozen=True, slots=True)
class _Items:
    """The inputs of a batch and where their results go."""

    job: Job
    inputs: Sequence[Input]
    out: Path
    url: str | None = None

    def check(self) -> None:
        """No result may be where another one, or a folder of one, has to be."""
        names = {result for item in self.inputs for result in result_names(self.job, item.name)}
        for item in self.inputs:
            for result in result_names(self.job, item.name):
                parts = result.split("/")
                if any("/".join(parts[:n]) in names for n in range(1, len(parts))):
                    hint = "rename one of the inputs"
                    raise UnsafeError("E-OUTPUT-COLLISION", "its result would lie in another's result",
                                      hint=hint, file=item.path)  # fmt: skip

    def discard(self, name: str) -> None:
        """Take away what an item that failed has left."""
        if self.url is not None:
            remove_results(result_names(self.job, name), self.url)
            return
        remove_files(self.out / result for result in result_names(self.job, name))

    def root(self) -> Path | None:
        """The folder that all inputs are in; None when they are in an object store."""
        paths = [item.path for item in self.inputs if isinstance(item.path, Path)]
        return Path(os.path.commonpath([os.path.abspath(path.parent) for path in paths])) if paths else None


def run_batch(
    inputs: Sequence[Input],
    out: Path,
    job: str,
    how: JobSettings,
    engine: Engine,
    *,
    again: Again | None = None,
    watch: Callable[[Done | None], bool] = lambda done: False,
) -> BatchResult:
    """Do a job for every input; go on with what an earlier run of the same batch has left.

    Args:
        inputs: of ``inputs_of``.
        out: the folder; created, or that of the same batch.
        job: a name of ``JOBS``.
        how: the settings.
        engine: who does it.
        again: about an earlier batch in the folder.
        watch: told each item as it is done, and asked with None several times a second: true stops the batch.

    Returns:
        What became of every input. ``items.jsonl`` is written when none is left to do.

    Raises:
        LockedError: E-LOCKED, another batch writes there.
        UnsafeError: E-OUTPUT-COLLISION, and as ``check_batch``.
        ResourceError: the disk refuses results or journal; E-INPUT-GONE, the folder of the inputs has gone;
            workers do not start. The batch can be resumed.
    """
    again = again or Again()
    items = _Items(JOBS[job], inputs, out / _RESULTS, how.results)
    check_batch(out, job, how, again)
    items.check()
    prepare_output(out, force=True, known=())
    with only_writer(out, "batch"):
        journal = check_batch(out, job, how, again)  # now that nobody else writes it
        if again.force:
            _clear(out, journal, how.results)
            journal = Lines()
        remove_files([out / _ITEMS])
        prepare_output(items.out, force=True, known=())
        _sweep(items.out)
        with Journal(out / _JOURNAL, journal.good_bytes) as log:
            if not journal.lines:
                log.add(_head(job, how))
                log.sync()  # before any result: without it the folder is no batch
            state = _State(items, log, _last_lines(journal), again.retry_failed, watch)
            order = {"job": job, "how": how.as_json(), "out": str(items.out.absolute())}
            with closing(engine.outcomes(order, state.tasks(), lambda: watch(None))) as outcomes:
                for outcome in outcomes:  # closed in any case: no worker outlives an error
                    state.take(outcome)
        _sweep(items.out)
        rows = tuple(state.rows[item.name] for item in inputs if item.name in state.rows)
        if len(rows) == len(inputs):
            record = {**_head(job, how), "schema": _SCHEMA, "items": len(rows), **_environment(how)}
            del record["journal"]
            atomic_write(out / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n", force=True)
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            atomic_write(out / _ITEMS, lines, force=True)
    named = {item.name for item in inputs}
    left_over = sum(line["status"] == "ok" and name not in named for name, line in state.before.items())
    return BatchResult(rows, len(inputs), state.kept, left_over, journal.damaged, len(rows) < len(inputs))


class _State:
    """What is known of every item while a batch runs."""

    def __init__(
        self,
        items: _Items,
        log: Journal,
        before: dict[str, dict[str, Any]],
        retry_failed: bool,
        watch: Callable[[Done | None], bool],
    ) -> None:
        self.items, self.log, self.before, self.watch = items, log, before, watch
        self.retry_failed = retry_failed
        self.rows: dict[str, dict[str, Any]] = {}
        self.failed = self.kept = 0

    def tasks(self) -> Iterator[Task]:
        """A task for every input; with what the journal says of it, unless that is to be done again."""
        for item in self.items.inputs:
            line: dict[str, Any] | None = self.before.get(item.name)
            deaths = 0
            if line is not None and line["status"] == "died":
                deaths = 0 if self.retry_failed else line["deaths"]
                line = None
            elif line is not None and line["status"] != "ok":
                passing = line["sha256"] is None or line["error"]["code"] in _PASSING
                line = None if self.retry_failed or passing else line
            yield Task(item.name, item.path, line, deaths)

    def take(self, outcome: Outcome) -> None:
        """Write down one outcome."""
        task, name = outcome.task, outcome.task.name
        line: Mapping[str, Any] = {
            "input": name,
            "status": outcome.kind,
            "error": outcome.error,
            "outputs": dict(outcome.outputs),
            "sha256": outcome.sha256,
        }
        if outcome.kind == "fatal":
            raise _revived(outcome)
        if outcome.kind == "died":
            self.log.add({**line, "deaths": task.deaths})
            return
        if outcome.kind == "kept":
            assert task.before is not None
            line, self.kept = task.before, self.kept + 1
        else:
            if outcome.kind != "ok":
                if outcome.sha256 is None:
                    _look_for(self.items.root(), self.watch)
                self.items.discard(name)
            self.log.add(line)
        self.failed += line["status"] != "ok"
        names = sorted(f"{_RESULTS}/{result}" for result in line["outputs"])
        error = None if line["error"] is None else dict(sorted(line["error"].items()))
        row = {"input": name, "status": line["status"], "error": error, "outputs": names}
        self.rows[name] = {**row, "sha256": line["sha256"]}
        total = len(self.items.inputs)
        self.watch(Done(self.rows[name], len(self.rows), self.failed, self.kept, total))


def _last_lines(journal: Lines) -> dict[str, dict[str, Any]]:
    """Input -> the journal's last line of it."""
    return {line["input"]: dict(line) for line in journal.lines if "input" in line}


def _look_for(root: Path | None, watch: Callable[[Done | None], bool]) -> None:
    """An input cannot be read. If all of them have gone, the batch ends rather than fail each."""
    if root is None:  # each object is asked for by itself
        return
    for look in range(_LOOKS):
        try:
            if any(True for _ in os.scandir(root)):
                return
        except OSError as error:
            print(f"looking for the inputs: {type(error).__name__}", file=sys.stderr)
        if watch(None):
            return
        time.sleep(0.5 * (look + 1))
    raise ResourceError("E-INPUT-GONE", "the folder of the inputs has gone or is empty",
                        hint="the same command goes on when it is back", file=root)  # fmt: skip


def _revived(outcome: Outcome) -> AlignError:
    """The error of a worker that could not write, as if it had happened here."""
    error = dict(outcome.error or {})
    kind = UnsafeError if outcome.exit_code == UnsafeError.exit_code else ResourceError
    return kind(error["code"], error["message"], hint=error["hint"], file=error.get("file"))


def _clear(out: Path, journal: Lines, url: str | None) -> None:
    """Take away the results that an earlier batch's journal names, and nothing else."""
    results = out / _RESULTS
    if url is not None and journal.lines and journal.lines[0].get("results") == url:
        remove_results([name for line in journal.lines for name in line.get("outputs", {})], url)
    held = [out / _ITEMS, out / _RECORD]
    for line in journal.lines:
        for name in line.get("outputs", {}):
            path = Path(os.path.abspath(results / name))
            inside = path.is_relative_to(os.path.abspath(results))
            if inside and Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(results)):
                held.append(path)
    remove_files(held)


def _sweep(folder: Path) -> None:
    """Remove the temporaries of writers that died, everywhere below."""

    def refuse(error: OSError) -> None:
        raise error

    with named_errors(folder):
        for here, _, files in os.walk(folder, onerror=refuse):
            if any(name.endswith(".tmp") for name in files):
                sweep_stale(Path(here))


def _environment(how: JobSettings) -> dict[str, object]:
    """What results may hang on, in words: for people, the journal's hashes decide."""
    asked = how.as_json()
    return {
        "config": asked["settings"],
        "policy": asked["policy"],
        "versions": versions(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
