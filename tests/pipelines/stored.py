"""Small session folders whose states a sensor shows plainly, with notes and true spans, and shards of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.batch import BatchResult, run_batch
from pipelines.jobs import JobSettings
from pipelines.manifest import inputs_of
from pipelines.settings import load_settings
from tests.coordination.sessions import made_session
from tests.pipelines.batches import Inline

SETTINGS = """[training]
epochs = 3
batch = 3
learning_rate = 0.001
width = 8
dimension = 4
dilations = [1, 2]
dropout = 0.0
text_noise = 0.0
longest = 24
device = "cpu"
[text]
encoder = "hashed"
"""


def write_sessions(out: Path, count: int, n_notes: int = 4) -> Path:
    """A folder of session folders ``p0_day``, ...; one person each."""
    for seed in range(count):
        session = made_session(seed, n_notes=n_notes, timed=True)
        folder = out / session.name
        folder.mkdir(parents=True)
        (stream,) = session.streams
        rows = np.column_stack([stream.times(), stream.values])
        np.savetxt(folder / "wrist.csv", rows, "%.3f", ",", header="time,a,b", comments="")
        notes = [f"{n.time.likely:.2f},{n.text}" for n in session.notes if n.time is not None]
        (folder / "notes.csv").write_text("\n".join(["time,text", *notes]) + "\n")
        truth = [f"{s.start:.2f},{s.end:.2f},{s.label},{s.text}" for s in session.truth or ()]
        (folder / "truth.csv").write_text("\n".join(["start,end,label,text", *truth]) + "\n")
    return out


def write_shards(
    sessions: Path, out: Path, engine: Inline | None = None, *, truth: str = "truth.csv"
) -> BatchResult:
    """``align batch --job prepare`` with half a second per frame, in this process."""
    how = JobSettings(load_settings(None, {"features.hop": 0.5}), truth_file=truth)
    return run_batch(inputs_of([sessions], "sessions", without=out), out, "prepare", how, engine or Inline())
