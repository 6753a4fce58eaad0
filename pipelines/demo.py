"""The demo: train on some sample sessions, align the others, compare with the baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from align.readers import Policy
from pipelines.config import Settings
from pipelines.evaluate import align_sessions, scores_of
from pipelines.run import findings_of, run_session, write_run
from pipelines.store import prepare_output
from pipelines.train import TrainingFacts, input_files, read_sessions, train_model, write_model

__all__ = ["DemoResult", "run_demo", "sample_sessions"]

TRAINED_ON = ("p1", "p2", "p3", "p4")
ALIGNED = ("p5", "p6")


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
    prepare_output(out, force=force, known=())
    settings = Settings(settings.config.with_values({"matching.method": "contrastive"}), settings.sources)
    samples = sample_sessions(out)
    command = ("align", "demo")
    seconds = {}
    start = time.perf_counter()
    taught, asked = [samples / n for n in TRAINED_ON], [samples / n for n in ALIGNED]
    lessons = read_sessions(taught, notes_file=None, truth_file="truth.csv", policy=Policy())
    questions = read_sessions(asked, notes_file=None, truth_file="truth.csv", policy=Policy())
    seconds["read"] = time.perf_counter() - start
    model, seconds["train"] = train_model(lessons, settings, tell)
    found = [finding for session in lessons for finding in findings_of(session)]
    facts = TrainingFacts(command, input_files(taught, None, "truth.csv"), found, seconds["train"])
    write_model(model, out / "model", settings, facts, force=force)
    start = time.perf_counter()
    results = [run_session(session, settings, model) for session in questions]
    captions = align_sessions(questions, "captions", settings.config, None)
    scores = {
        "learned": scores_of([(r.alignment, r.session.truth or ()) for r in results]),
        "DTW on what was learned": scores_of([(r.baselines["dtw"], r.session.truth or ()) for r in results]),
        "no model: captions": scores_of(captions),
        "equal slices": scores_of([(r.baselines["equal-slices"], r.session.truth or ()) for r in results]),
    }
    seconds["align and score"] = time.perf_counter() - start
    start = time.perf_counter()
    for folder, result in zip(asked, results, strict=True):
        inputs = input_files([folder], None, "truth.csv")
        write_run(result, out / folder.name, settings, command=command, inputs=inputs, force=force)
    seconds["reports"] = time.perf_counter() - start
    return DemoResult(scores, seconds, tuple(out / name / "report.html" for name in ALIGNED))
