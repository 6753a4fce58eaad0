"""What a batch does with one input: read and compute first, then write; a new job is a row of ``JOBS``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from align.errors import ParameterError, escape_controls
from align.readers.policy import Policy
from pipelines.config import RunConfig, Settings
from pipelines.identity import content_hash, files_hash
from pipelines.manifest import Takes
from pipelines.store import RUN_FILES, atomic_write, prepare_output

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.tokens.saved import Book

__all__ = ["JOBS", "Job", "JobSettings", "Write", "check_job", "result_names"]

Write = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What is the same for every input.

    Attributes:
        settings: of the stages.
        policy: the repairs that are allowed.
        model: a model folder, or None.
        results: URL of an object store below which results go, or None: they stay in the batch's folder.
        codebook: a file of ``align tokenize``, or None.
        truth_file: name of the true spans in each session folder, or None.
        notes_file: name of the notes there, or None for ``notes.*``.
    """

    settings: Settings = field(default_factory=Settings)
    policy: Policy = field(default_factory=Policy)
    model: Path | None = None
    results: str | None = None
    codebook: Path | None = None
    truth_file: str | None = None
    notes_file: str | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON values, for the journal and for a worker; ``from_json`` takes them."""
        return {
            "settings": self.settings.as_dict(),
            "policy": asdict(self.policy),
            "model": None if self.model is None else str(self.model),
            "results": self.results,
            "codebook": None if self.codebook is None else str(self.codebook),
            "truth_file": self.truth_file,
            "notes_file": self.notes_file,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSettings:
        """The settings that ``as_json`` gave.

        Args:
            values: JSON values.
        """
        given = {name: _tuples(one["value"]) for name, one in values["settings"].items()}
        sources = {name: one["source"] for name, one in values["settings"].items()}
        settings = Settings(RunConfig().with_values(given), MappingProxyType(sources))
        policy = Policy(**{name: _tuples(value) for name, value in values["policy"].items()})
        model, codebook = (None if values[n] is None else Path(values[n]) for n in ("model", "codebook"))
        names = values["truth_file"], values["notes_file"]
        return cls(settings, policy, model, values["results"], codebook, *names)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _content(path: Path, how: JobSettings) -> str:
    return content_hash(path)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work.

    Attributes:
        takes: "streams" or "sessions".
        results: suffixes of the files that are made of an input, or names in a folder of the input's name.
        work: (path, name, settings) -> a function that writes the results under a folder.
        content: (path, settings) -> SHA-256 of all of the input that the results hang on.
    """

    takes: Takes
    results: tuple[str, ...]
    work: Callable[[Path, str, JobSettings], Write]
    content: Callable[[Path, JobSettings], str] = _content


def check_job(name: str, how: JobSettings) -> None:
    """Refuse settings that a job has no use for, and a job without what it needs.

    Args:
        name: of the job.
        how: the settings.

    Raises:
        ParameterError: no such job; a model, a codebook or names of files that mean nothing, or none where one is
            needed; the job "prepare" without the seconds per frame, which all shards share.
    """
    if name not in JOBS:
        raise ParameterError("job", name, ", ".join(JOBS))
    if how.model is not None and name != "run":
        raise ParameterError("model", str(how.model), "with the job run only")
    if (how.codebook is not None) != (name == "tokenize"):
        raise ParameterError("codebook", str(how.codebook), "a file with the job tokenize, and with no other")
    if (how.truth_file is not None) != (name == "prepare"):
        allowed = "the name of the true spans with the job prepare, and with no other"
        raise ParameterError("truth_file", how.truth_file, allowed)
    if how.notes_file is not None and name != "prepare":
        raise ParameterError("notes_file", how.notes_file, "with the job prepare only")
    if name == "prepare" and how.settings.config.features.hop == "auto":
        hint = "--hop 0.5; a training on some of the sessions chooses one, the hop in its model.json"
        raise ParameterError("features.hop", "auto", "seconds per frame with the job prepare", hint=hint)


def result_names(job: Job, name: str) -> tuple[str, ...]:
    """The files, relative to the folder of results, that a job makes of an input.

    Args:
        job: of ``JOBS``.
        name: of the input.
    """
    between = "" if all(result.startswith(".") for result in job.results) else "/"
    return tuple(f"{name}{between}{result}" for result in job.results)


def _inspect(path: Path, name: str, how: JobSettings) -> Write:
    from pipelines.inspecting import Item, describe_item

    about = describe_item(Item(path, "session" if path.is_dir() else "stream"), how.policy)
    if "error" in about:
        raise about["error"]
    text = json.dumps({**about, "path": name}, sort_keys=True, default=lambda value: value.tolist()) + "\n"
    return lambda folder: _put(folder / f"{name}.json", text)


def _segment(path: Path, name: str, how: JobSettings) -> Write:
    from align.readers import read_streams

    streams = read_streams(path, how.policy)  # before the rest is loaded: reading needs the most memory
    import polars as pl

    from align.segmentation import segment
    from align.tokens import fit_and_tokenize
    from align.writers import parquet_bytes, segments_frame

    wanted = how.settings.config.segmentation
    cuts = [
        segment(
            stream,
            method=wanted.method,
            penalty=wanted.penalty,
            per_hour=None if wanted.per_hour == "auto" else wanted.per_hour,
            min_duration=None if wanted.min_duration == "auto" else wanted.min_duration,
        )
        for stream in streams
    ]
    codes = [
        fit_and_tokenize(stream, cut)[1].codes.tolist() for stream, cut in zip(streams, cuts, strict=True)
    ]
    columns = (
        pl.lit(escape_controls(name)).alias("input"),
        pl.all(),
        pl.Series("code", [code for part in codes for code in part], pl.Int32),
    )
    data = parquet_bytes(segments_frame(cuts).select(*columns))
    return lambda folder: _put(folder / f"{name}.parquet", data)


def _tokenize(path: Path, name: str, how: JobSettings) -> Write:
    import polars as pl

    from align.writers import parquet_bytes
    from pipelines.store import private_folder
    from pipelines.token_books import Wanted
    from pipelines.tokenize import tokenize_recordings

    assert how.codebook is not None
    wanted = Wanted(books=_books(how.codebook), how=how.settings.config.segmentation)
    with private_folder() as folder:
        tokenize_recordings((path,), folder / "tokens", wanted, how.policy)
        table = pl.read_parquet(folder / "tokens" / "tokens.parquet")
    data = parquet_bytes(table.select(pl.lit(escape_controls(name)).alias("input"), pl.all()))
    return lambda folder: _put(folder / f"{name}.parquet", data)


@lru_cache(maxsize=1)
def _books(file: Path) -> tuple[Book, ...]:
    """A worker reads its codebook once."""
    from align.tokens.saved import load_books

    return load_books(file)


def _run(path: Path, name: str, how: JobSettings) -> Write:
    from pipelines.inputs import model_files, read_inputs
    from pipelines.run import run_session, write_run

    session, inputs = read_inputs((path,), None, how.policy)
    model = None if how.model is None else _model(how.model)
    if how.model is not None:
        inputs["model"] = model_files(how.model)
    result = run_session(session, how.settings, model)

    def write(folder: Path) -> None:
        command = ("align", "run", name)
        write_run(
            result, folder / name, how.settings, command=command, inputs=inputs, force=True, policy=how.policy
        )

    return write


@lru_cache(maxsize=1)
def _model(folder: Path) -> Coordination:
    """A worker reads its model once."""
    from align.coordination import load_coordination

    return load_coordination(folder)


def _prepare(path: Path, name: str, how: JobSettings) -> Write:
    from align.readers import read_session
    from pipelines.shards import shard_bytes

    session = read_session(path, notes_file=how.notes_file, truth_file=how.truth_file, policy=how.policy)
    config = how.settings.config
    assert config.features.hop != "auto"
    data = shard_bytes(session, config.features.hop, raw=config.training.raw)
    return lambda folder: _put(folder / f"{name}.shard", data)


def _with_truth(path: Path, how: JobSettings) -> str:
    from pipelines.train import input_files

    files = input_files([path], how.notes_file, how.truth_file).values()
    return files_hash(path if path.is_dir() else path.parent, [file for part in files for file in part])


def _put(path: Path, data: bytes | str) -> None:
    if not path.parent.is_dir():  # looked into once: a folder may hold very many results
        prepare_output(path.parent, force=True, known=())
    atomic_write(path, data, force=True)


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "inspect": Job("streams", (".json",), _inspect),
        "segment": Job("streams", (".parquet",), _segment),
        "tokenize": Job("streams", (".parquet",), _tokenize),
        "run": Job("sessions", RUN_FILES, _run),
        "prepare": Job("sessions", (".shard",), _prepare, _with_truth),
    }
)
