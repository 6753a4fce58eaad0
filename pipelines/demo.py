"""The demo: train on some sample sessions, align the others, compare with the baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from align.readers import Policy
from pipelines.config import Settings
from pipelines.evaluate import evaluate
from pipelines.run import run_session, write_run
from pipelines.store import prepare_output
from pipelines.train import input_files, read_sessions, train_model, write_model

__all__ = ["DemoResult", "run_demo", "sample_sessions"]

TRAINED_ON = ("p1", "p2", "p3", "p4")
ALIGNED = ("p5", "p6")
_METHODS = {
    "learned": ("contrastive", True),
    "DTW on what was learned": ("dtw", True),
    "no model: captions": ("captions", False),
    "equal slices": ("equal-slices", False),
}


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Scores per method on the sessions that were not trained on, seconds per stage, and where the files are."""

    scores: Mapping[str, Mapping[str, object]]
    seconds: Mapping[str, float]
    reports: tuple[Path, ...]


def sample_sessions(out: Path) -> Path:
    """The folder ``sample_data`` here, or, where there is none (an installed wheel), a new one made in ``out``."""
    here = Path(__file__).resolve().parent.parent / "sample_data"
    if (here / TRAINED_ON[0]).is_dir():
        return here
    from pipelines.synthetic import make_sessions

    made = out / "sample_data"
    make_sessions(made, force=True)
    return made


def run_demo(
    out: Path, settings: Settings, *, force: bool = False, tell: Callable[[str, int, int], None] | None = None
) -> DemoResult:
    """Train, align, score and write ``out``: the model, and one run folder per aligned session.

    Args:
        out: folder to write; with ``force`` an earlier demo in it is replaced.
        settings: of training and matching.
        force: see above.
        tell: progress, as ``tell(stage, done, total)``.

    Raises:
        UnsafeError: E-EXISTS, ``out`` holds something and ``force`` is not given.
    """
    prepare_output(out, force=force, known=("model", "sample_data", *ALIGNED))
    samples = sample_sessions(out)
    seconds = {}
    start = time.perf_counter()
    taught, asked = [samples / n for n in TRAINED_ON], [samples / n for n in ALIGNED]
    lessons = read_sessions(taught, notes_file=None, truth_file="truth.csv", policy=Policy())
    questions = read_sessions(asked, notes_file=None, truth_file="truth.csv", policy=Policy())
    seconds["read"] = time.perf_counter() - start
    model, seconds["train"] = train_model(lessons, settings, tell)
    files = input_files(taught, None, "truth.csv")
    command = ("align", "demo")
    write_model(
        model, out / "model", settings, command=command, inputs=files, seconds=seconds["train"], force=force
    )
    start = time.perf_counter()
    scores = {
        name: evaluate(questions, method, settings.config, model if with_model else None)
        for name, (method, with_model) in _METHODS.items()
    }
    seconds["align and score"] = time.perf_counter() - start
    start = time.perf_counter()
    reports = []
    for folder, session in zip(asked, questions, strict=True):
        result = run_session(session, settings, model)
        inputs = {"stream": tuple(input_files([folder], None, None))}
        write_run(result, out / folder.name, settings, command=command, inputs=inputs, force=force)
        reports.append(out / folder.name / "report.html")
    seconds["reports"] = time.perf_counter() - start
    return DemoResult(scores, seconds, tuple(reports))
