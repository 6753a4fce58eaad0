"""One session through the house: methods, what they may see, settings, files, faults of the disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from align.answers import Evidence
from align.datatypes import Finding, Note, NoteTime, Session, Span, Stream
from align.errors import ParameterError, UnsafeError
from align.matching import captioned
from align.text.protocol import TextEncoder
from pipelines.config import RunConfig, Settings
from pipelines.run import METHODS, align_by, findings_of, run_session, segment_and_tokenize, write_run
from pipelines.store import RUN_FILES

CONFIG = RunConfig().with_values({"text.encoder": "hashed"})
SETTINGS = Settings(CONFIG)


@pytest.fixture(scope="module")
def session() -> Session:
    """A minute of two streams: a level that rises at 30 s, with a gap, and noise."""
    rng = np.random.default_rng(3)
    level = (np.arange(500) >= 200) * 30.0 + rng.normal(size=500)
    gas = Stream(level, rate=10.0, name="gas", channels=("gas flow",),
                 run_index=np.array([0, 200]), run_start=np.array([0.0, 30.0]),
                 findings=(Finding("W-GAP", "1 gap"),))  # fmt: skip
    other = Stream(
        rng.normal(size=(300, 2)), rate=5.0, name="other", findings=(Finding("P-NAN", "cells", 2),)
    )
    notes = (Note("gas flow low", NoteTime(5.0, 5.0, 5.0)), Note(" "), Note("gas flow high"),
             Note("before", NoteTime(-50.0, -40.0, -30.0)))  # fmt: skip
    return Session("night", (gas, other), notes, findings=(Finding("W-IGNORED", "1 file"),))


@pytest.mark.parametrize("method", [m for m in METHODS if m != "contrastive"])
def test_every_method_gives_one_link_per_note_and_keeps_the_clock(session: Session, method: str) -> None:
    absolute = dataclasses.replace(session, epoch=10**18, timezone="+02:00")
    found = align_by(method, absolute, CONFIG, None)
    assert found.notes == session.notes
    assert [link.status for link in found.links][1] == "empty"
    assert found.links[3].status == "outside" and found.links[3].distance == -30.0
    assert (found.epoch, found.timezone) == (10**18, "+02:00")


def test_methods_that_cannot_be(session: Session) -> None:
    with pytest.raises(ParameterError, match="equal-slices"):
        align_by("magic", session, CONFIG, None)
    with pytest.raises(ParameterError, match="--model"):
        align_by("contrastive", session, CONFIG, None)


def test_no_method_sees_the_truth(session: Session) -> None:
    """The same answers whatever the truth says; the result carries it on, for the report."""
    truths = [None, (Span(0.0, 60.0, "X"),) * 4, (Span(1.0, 2.0, "Y"),) * 4]
    results = [run_session(dataclasses.replace(session, truth=truth), SETTINGS) for truth in truths]
    for result in results[1:]:
        assert result.alignment.links == results[0].alignment.links
        for name, baseline in result.baselines.items():
            assert baseline.links == results[0].baselines[name].links
    assert results[1].session.truth == truths[1]


def test_baselines_are_those_that_were_not_asked_for(session: Session) -> None:
    def baselines(method: str) -> set[str]:
        settings = Settings(CONFIG.with_values({"matching.method": method}))
        return set(run_session(session, settings).baselines)

    assert baselines("auto") == {"dtw", "equal-slices"}
    assert baselines("dtw") == {"equal-slices"}
    assert run_session(dataclasses.replace(session, notes=()), SETTINGS).baselines == {}


def test_segments_tile_every_stream_and_cross_no_gap(session: Session) -> None:
    cuts, tokens, codebooks = segment_and_tokenize(session, CONFIG)
    assert [cut.stream for cut in cuts] == ["gas", "other"]
    for stream, cut, sequence, codebook in zip(session.streams, cuts, tokens, codebooks, strict=True):
        assert cut.boundaries[0] == 0 and cut.boundaries[-1] == stream.n_samples
        assert set(stream.run_index.tolist()) <= set(cut.boundaries.tolist())
        assert sequence.codebook == codebook.hash and sequence.codes.size == cut.n_segments
        assert 1 <= len(codebook.names) <= max(1, round(cut.n_segments / 3))


def test_the_settings_of_segmentation_are_obeyed(session: Session) -> None:
    def counts(**values: object) -> list[int]:
        config = CONFIG.with_values({f"segmentation.{k}": v for k, v in values.items()})
        return [cut.n_segments for cut in segment_and_tokenize(session, config)[0]]

    assert counts(penalty=1e12) == [2, 1], "one segment for each run"
    assert sum(counts(penalty=0.001)) > 20
    assert counts(penalty=0.001, min_duration=10.0) <= [5, 6]
    wanted = 1200.0 * 60 / 3600  # a segment for every 3 s
    assert all(abs(count - wanted) <= 6 for count in counts(per_hour=1200.0))
    with pytest.raises(ParameterError, match=r"segmentation\.method"):
        counts(method="magic")


def test_findings_of_streams_say_which_stream(session: Session) -> None:
    assert [(f.code, f.message) for f in findings_of(session)] == [
        ("W-IGNORED", "1 file"),
        ("W-GAP", "gas: 1 gap"),
        ("P-NAN", "other: cells"),
    ]


def test_write_run_is_whole_or_not_at_all(session: Session, tmp_path: Path) -> None:
    result, out = run_session(session, SETTINGS), tmp_path / "a" / "out"
    names = write_run(result, out, SETTINGS, command=("align", "run"), inputs={})
    assert set(names) == {p.name for p in out.iterdir()} == set(RUN_FILES)
    found = json.loads((out / "run.json").read_text())
    assert found["degraded"] is True and found["policies"] == {"P-NAN": 2}
    assert found["config"]["text.encoder"]["value"] == "hashed"
    with pytest.raises(UnsafeError):
        write_run(result, out, SETTINGS, command=(), inputs={})
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.name != "run.json"}
    write_run(result, out, SETTINGS, command=("align", "run"), inputs={}, force=True)
    assert before == {p.name: p.read_bytes() for p in out.iterdir() if p.name != "run.json"}


def test_a_model_that_is_not_used_is_not_named(session: Session) -> None:
    """``captions`` and ``equal-slices`` use no model: the record must not say that one was used."""
    settings = Settings(CONFIG.with_values({"matching.method": "equal-slices"}))
    model: object = object()  # would fail if it were asked anything
    result = run_session(session, settings, model)  # type: ignore[arg-type]
    assert result.facts["model"].startswith("none")


@pytest.mark.parametrize("method", ["captions", "dtw", "equal-slices"])
def test_the_evidence_is_made_once_for_the_method_and_the_baseline(
    session: Session, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    honest = captioned.caption_session

    def counted(session: Session, encoder: TextEncoder) -> Evidence:
        made.append(session.name)
        return honest(session, encoder)

    monkeypatch.setattr(captioned, "caption_session", counted)
    settings = Settings(CONFIG.with_values({"matching.method": method}))
    result = run_session(session, settings)
    assert made == ["night"]
    if method == "captions":
        for found, alone in ((result.alignment, "captions"), (result.baselines["dtw"], "dtw")):
            assert found.links == align_by(alone, session, settings.config, None).links
