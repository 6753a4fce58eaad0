"""run.json: what ran, on which bytes, and what was repaired; and the schema of align eval."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from align.answers import Alignment, Link
from align.datatypes import Finding, Note, Span
from align.errors import InputError
from align.metrics.alignment import score
from pipelines.record import RunFacts, run_record, versions

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
FINDINGS = (
    Finding("W-RATE", "49.97 Hz measured"),
    Finding("P-NAN", "cells made a gap", 3),
    Finding("P-NAN", "cells made a gap", 4),
)


def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _record(tmp_path: Path, findings: tuple[Finding, ...] = FINDINGS) -> dict[str, object]:
    (tmp_path / "phone.csv").write_text("time,x\n0,1\n")
    facts = RunFacts(
        ("align", "run", "s"), "dtw", 7, "cpu: no GPU found", 1_774_735_800_000_000_000, "+02:00",
        {"segmentation.penalty": {"value": "auto", "source": "default"}}, {"read": 0.123456},
    )  # fmt: skip
    return run_record(facts, inputs={"stream": [tmp_path / "phone.csv"], "model": []}, findings=findings)


def test_the_record_fits_its_schema_and_is_json(tmp_path: Path) -> None:
    record = _record(tmp_path)
    _validator("run").validate(json.loads(json.dumps(record, allow_nan=False)))


def test_P23_inputs_are_hashed(tmp_path: Path) -> None:
    (entry,) = _record(tmp_path)["inputs"]
    raw = (tmp_path / "phone.csv").read_bytes()
    assert (entry["role"], entry["bytes"]) == ("stream", len(raw))
    assert entry["sha256"] == hashlib.sha256(raw).hexdigest()


def test_P11_policies_are_counted_and_degrade_the_run(tmp_path: Path) -> None:
    record = _record(tmp_path)
    assert (record["policies"], record["degraded"]) == ({"P-NAN": 7}, True)
    assert len(record["findings"]) == 3
    clean = _record(tmp_path, FINDINGS[:1])
    assert (clean["policies"], clean["degraded"]) == ({}, False)


def test_versions_name_what_decides_results() -> None:
    found = versions()
    assert {"streamnotes", "numpy", "polars"} <= set(found)


def test_a_folder_as_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E-NOT-A-FILE"):
        run_record(RunFacts(("x",), "m", 0), inputs={"stream": [tmp_path]})


@pytest.mark.parametrize("key", ["schema", "inputs", "versions", "seed", "policies"])
def test_the_schema_misses_a_missing_key(tmp_path: Path, key: str) -> None:
    record = _record(tmp_path)
    del record[key]
    assert not _validator("run").is_valid(record)


def test_scores_fit_the_schema_of_eval() -> None:
    notes = (Note("walks"), Note("sits"))
    links = (Link("aligned", (0.0, 1.0), 0.9), Link("unmatched", None, 0.6))
    scores = score(Alignment(notes, links, "dtw"), (Span(0.0, 2.0, "walk"), Span(3.0, 4.0, "sit")))
    result = {"schema": "align.eval/1", "method": "dtw", **scores.as_dict()}
    validator = _validator("eval")
    validator.validate(json.loads(json.dumps(result, allow_nan=False)))
    assert not validator.is_valid({**result, "mean_iou": 1.2})
    assert not validator.is_valid({k: v for k, v in result.items() if k != "ece"})
