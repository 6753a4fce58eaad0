"""What a batch does with one input: settings survive the way to a worker, results are called after inputs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import polars as pl

from align.readers.policy import Policy
from pipelines.jobs import JOBS, JobSettings, result_names
from pipelines.settings import load_settings
from pipelines.store import RUN_FILES
from pipelines.token_books import Wanted
from pipelines.tokenize import tokenize_recordings
from tests.pipelines.batches import good

ROOT = Path(__file__).parent.parent.parent


def test_settings_survive_the_way_to_a_worker(tmp_path: Path) -> None:
    policy = Policy(on_nan="gap", na=("n/a", "-"), sentinels=(-999.0,), tz="+02:00")
    how = JobSettings(load_settings(None, {"matching.order": "free"}), policy, tmp_path / "model")
    again = JobSettings.from_json(json.loads(json.dumps(how.as_json())))
    assert again.as_json() == how.as_json() and (again.policy, again.model) == (policy, how.model)
    assert again.settings.config == how.settings.config
    assert again.settings.sources["matching.order"] == "option"
    assert (
        JobSettings.from_json(json.loads(json.dumps(JobSettings().as_json()))).as_json()
        == JobSettings().as_json()
    )


def test_results_are_called_after_their_inputs() -> None:
    assert result_names(JOBS["segment"], "a/b.csv") == ("a/b.csv.parquet",)
    assert result_names(JOBS["run"], "a/b") == tuple(f"a/b/{name}" for name in RUN_FILES)


def test_a_run_leaves_the_files_of_align_run(tmp_path: Path) -> None:
    session = tmp_path / "s" / "p1"
    good(session / "flow.csv", n=400)
    (session / "notes.csv").write_text('time,text\n25,"level rises"\n')
    how = JobSettings(load_settings(None, {"text.encoder": "hashed"}))
    write = JOBS["run"].work(session, "s/p1", how)
    assert not (tmp_path / "out").exists(), "nothing is written before all is computed"
    write(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out" / "s" / "p1").iterdir()) == sorted(RUN_FILES)
    record = json.loads((tmp_path / "out" / "s" / "p1" / "run.json").read_text())
    jsonschema.validate(record, json.loads((ROOT / "docs" / "schemas" / "run.schema.json").read_text()))
    assert record["command"] == ["align", "run", "s/p1"]


def test_codes_are_those_of_the_codebook_and_of_align_tokenize(tmp_path: Path) -> None:
    files = [good(tmp_path / "in" / f"{i}.csv", seed=i, n=600) for i in range(3)]
    tokenize_recordings(files, tmp_path / "tokens", Wanted(n_codes=3))
    table = pl.read_parquet(tmp_path / "tokens" / "tokens.parquet")
    how = JobSettings(codebook=tmp_path / "tokens" / "codebook.safetensors")
    assert JobSettings.from_json(json.loads(json.dumps(how.as_json()))).codebook == how.codebook
    for i, path in enumerate(files):
        JOBS["tokenize"].work(path, f"x/{i}.csv", how)(tmp_path / "out")
        found = pl.read_parquet(tmp_path / "out" / "x" / f"{i}.csv.parquet")
        assert set(found["input"]) == {f"x/{i}.csv"}
        alone = table.filter(recording=f"{i}.csv")
        assert len(alone) > 1
        for column in ("start", "end", "code"):
            assert found[column].to_list() == alone[column].to_list()


def test_inspect_names_the_input_and_not_where_it_lies(tmp_path: Path) -> None:
    path = good(tmp_path / "a.csv")
    JOBS["inspect"].work(path, "x/a.csv", JobSettings())(tmp_path / "out")
    text = (tmp_path / "out" / "x" / "a.csv.json").read_text()
    assert json.loads(text)["path"] == "x/a.csv" and str(tmp_path) not in text
