"""One session through the whole house: segments, tokens, alignment, baselines, and the files that say so."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from align.answers import Alignment, Calibration, Codebook, Evidence, TokenSequence
from align.datatypes import Finding, Segmentation, Session, Stream
from align.errors import ParameterError
from align.readers.policy import Policy
from pipelines.clocks import one_clock
from pipelines.config import RunConfig, SegmentationConfig, Settings
from pipelines.record import RunFacts, run_record
from pipelines.report import ReportData, render_report
from pipelines.store import atomic_write, check_output, prepare_output

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.matching.anchors import Anchor
    from align.matching.clocks import ClockRepair
    from align.segmentation.stability import Stability

__all__ = [
    "BASELINES",
    "METHODS",
    "RunResult",
    "align_by",
    "as_described",
    "cut_session",
    "findings_of",
    "run_session",
    "segment_and_tokenize",
    "write_run",
]

METHODS = ("auto", "contrastive", "captions", "dtw", "ctw", "equal-slices")
BASELINES = ("dtw", "equal-slices")  # beside every answer
_WITHOUT_POSTERIOR = ("ctw", *BASELINES)
_WITHOUT_MODEL = ("captions", "equal-slices")
_SEGMENTS_PER_CODE = 3
_MOST_FRAMES = 50_000  # of a session whose penalties are all looked at


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """What a run made, before it is written."""

    session: Session
    alignment: Alignment
    segmentations: tuple[Segmentation, ...]
    tokens: tuple[TokenSequence, ...]
    codebooks: tuple[Codebook, ...]
    baselines: Mapping[str, Alignment] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    anchors: tuple[Anchor, ...] = ()
    clocks: tuple[ClockRepair, ...] = ()
    calibration: Calibration | None = None
    stabilities: tuple[Stability, ...] = ()


def align_by(
    method: str,
    session: Session,
    config: RunConfig,
    model: Coordination | None,
    anchors: tuple[Anchor, ...] = (),
    evidence: Evidence | None = None,
) -> Alignment:
    """Align one session by a named method.

    Args:
        method: "auto" (the model's when there is one, else captions), "contrastive" (needs a model),
            "captions" (uses none), "dtw", "ctw" (uses none), "equal-slices".
        session: streams and notes.
        config: order and text encoder are used.
        model: a trained model, or None.
        anchors: links that are known, which the matcher keeps; the baselines know nothing of them.
        evidence: what frames say of notes by that model (of captions: without one), where it is at hand already.

    Raises:
        ParameterError: an unknown method; "contrastive" without a model; anchors for a baseline.
    """
    from align.matching import match
    from align.warping import ctw_session, equal_slices, warp

    _check_method(method, model, anchors)
    if method == "equal-slices":
        even = equal_slices(session.start, session.end, session.notes)
        return dataclasses.replace(even, epoch=session.epoch, timezone=session.timezone)
    if method == "ctw":
        return ctw_session(session, encoder=config.text.encoder)
    used = None if method == "captions" else model
    if method == "dtw":
        return warp(session, used, encoder=config.text.encoder, evidence=evidence)
    order, encoder = config.matching.order, config.text.encoder
    return match(session, used, order=order, encoder=encoder, anchors=anchors, evidence=evidence)


def _check_method(method: str, model: Coordination | None, anchors: tuple[Anchor, ...]) -> None:
    if method not in METHODS:
        raise ParameterError("method", method, ", ".join(METHODS))
    if method == "contrastive" and model is None:
        raise ParameterError("method", method, "with --model only", hint="train one with align train")
    if anchors and method in _WITHOUT_POSTERIOR:
        raise ParameterError(
            "method", method, "auto, contrastive or captions, where corrections are to be kept"
        )


def _evidence(
    method: str, session: Session, config: RunConfig, model: Coordination | None
) -> Evidence | None:
    """What the method and the baseline beside it read, computed once; None for a method that reads none."""
    from align.matching import evidence_of

    if method in ("ctw", "equal-slices"):
        return None
    return evidence_of(session, model, config.text.encoder)


def segment_and_tokenize(
    session: Session, config: RunConfig
) -> tuple[tuple[Segmentation, ...], tuple[TokenSequence, ...], tuple[Codebook, ...]]:
    """Cut every stream on its frames and name the segments by a codebook of the stream's own.

    Sound is described by loudness and brightness of its frames, a sensor by its samples. The codebook has at
    most ``tokens.n_codes`` codes and about one for three segments.
    """
    from align.tokens import fit_codebook, tokenize

    hop = _hop(session, config)
    cuts = cut_session(session, hop, config.segmentation)
    tokens, codebooks = [], []
    for stream, cut in zip(session.streams, cuts, strict=True):
        seen = as_described(stream, hop)
        n_codes = max(1, min(config.tokens.n_codes, round(cut.n_segments / _SEGMENTS_PER_CODE)))
        codebook = fit_codebook([(seen, cut)], n_codes=n_codes, seed=config.training.seed)
        codebooks.append(codebook)
        tokens.append(tokenize(seen, cut, codebook))
    return cuts, tuple(tokens), tuple(codebooks)


def cut_session(session: Session, hop: float, how: SegmentationConfig) -> tuple[Segmentation, ...]:
    """Every stream cut as the settings say; where they say nothing, about three segments a note.

    Args:
        session: streams, and the notes that say how finely.
        hop: seconds per frame.
        how: the settings.

    Raises:
        ParameterError: an unknown method.
    """
    from align.segmentation import METHODS, segment_frames, segment_session

    if how.method not in ("auto", *METHODS):
        raise ParameterError("segmentation.method", how.method, ", ".join(["auto", *METHODS]))
    if (how.method, how.penalty, how.per_hour, how.min_duration) == ("auto", "auto", "auto", "auto"):
        return segment_session(session, hop)
    wanted = None if how.per_hour == "auto" else how.per_hour
    shortest = None if how.min_duration == "auto" else how.min_duration
    return tuple(
        segment_frames(
            stream,
            hop,
            method="l2" if how.method == "auto" else how.method,
            penalty=how.penalty,
            min_duration=shortest,
            per_hour=wanted,
        )
        for stream in session.streams
    )


def _stabilities(session: Session, cuts: Sequence[Segmentation], config: RunConfig) -> tuple[Stability, ...]:
    """How the number of segments hangs on the penalty, of every stream that is short enough to look."""
    from align.segmentation import COSTS, frames_to_cut
    from align.segmentation.stability import stability

    hop, found = _hop(session, config), []
    for stream, cut in zip(session.streams, cuts, strict=True):
        cost = cut.method.removesuffix(" on frames")
        if cost in COSTS and cut.penalty > 0 and (session.end - session.start) / hop <= _MOST_FRAMES:
            found.append(stability(frames_to_cut(stream, hop), cost, cut.penalty))
    return tuple(found)


def _hop(session: Session, config: RunConfig) -> float:
    from align.features import natural_hop

    if config.features.hop == "auto":
        return natural_hop(session.end - session.start, len(session.notes))
    return config.features.hop


def as_described(stream: Stream, hop: float) -> Stream:
    """The stream whose segments are described: a sensor as it is, sound as loudness and brightness of frames.

    Args:
        stream: as read.
        hop: seconds per frame.
    """
    from align.features import sound_summary

    return sound_summary(stream, hop) if stream.modality == "audio" else stream


def run_session(
    session: Session,
    settings: Settings,
    model: Coordination | None = None,
    anchors: tuple[Anchor, ...] = (),
) -> RunResult:
    """Align a session's notes and make everything that a report shows; the frames of a hop are made once for all of it.

    Args:
        session: as read.
        settings: of the run; ``matching.method`` chooses the method, ``clocks.repair`` whether clocks are repaired.
        model: a trained model, or None: captions in words are compared with the notes.
        anchors: links that a person has given.
    """
    from align.features.frames import frames_made_once

    with frames_made_once():
        return _run(session, settings, model, anchors)


def _run(
    session: Session, settings: Settings, model: Coordination | None, anchors: tuple[Anchor, ...]
) -> RunResult:
    config = settings.config
    session, clocks = one_clock(session, config.clocks)
    method = config.matching.method
    used = None if method in _WITHOUT_MODEL else model
    blind = dataclasses.replace(session, truth=None)  # no method can see it; the report shows it
    timings: dict[str, float] = {}

    def timed(stage: str, since: float) -> float:
        now = time.perf_counter()
        timings[stage] = round(now - since, 3)
        return now

    clock = time.perf_counter()
    _check_method(method, used, anchors)
    evidence = _evidence(method, blind, config, used)  # first: a model that does not fit is said at once
    alignment = align_by(method, blind, config, used, anchors, evidence)
    worth = None
    if used is not None and evidence is not None:
        session = dataclasses.replace(
            session, findings=(*session.findings, *_noticed(used, session, evidence))
        )
        worth = None if method in _WITHOUT_POSTERIOR else evidence.calibration
    clock = timed("alignment", clock)
    baselines = {}
    for name in BASELINES:
        if name != method and any(not n.is_empty for n in session.notes):
            baselines[name] = align_by(name, blind, config, used, evidence=evidence)
    del evidence  # a day's is hundreds of megabytes, and nothing below reads it
    clock = timed("baselines", clock)
    cuts, tokens, codebooks = segment_and_tokenize(blind, config)
    stabilities = _stabilities(blind, cuts, config)
    timed("segments", clock)
    facts = {
        "method": alignment.method,
        "model": "none: segments were described in words" if used is None else used.hash[:12],
        "text encoder": _encoder_name(config, used),
        "order": config.matching.order,
        "seed": str(config.training.seed),
    }
    return RunResult(
        session,
        alignment,
        cuts,
        tokens,
        codebooks,
        baselines,
        facts,
        timings,
        anchors,
        clocks,
        worth,
        stabilities,
    )


def _noticed(model: Coordination, session: Session, evidence: Evidence) -> tuple[Finding, ...]:
    """What a model has to say of a session's channels, and of how strange the session is to it."""
    from align.coordination.trust.familiarity import strange_findings

    return (*model.findings(session), *strange_findings(evidence.strange))


def _encoder_name(config: RunConfig, model: Coordination | None) -> str:
    from align.text import text_encoder

    return text_encoder(config.text.encoder).name if model is None else model.encoder.name


def _not_default(policy: Policy) -> dict[str, object]:
    plain, usual = dataclasses.asdict(policy), dataclasses.asdict(Policy())
    return {name: value for name, value in plain.items() if value != usual[name]}


def _as_said(anchor: Anchor) -> dict[str, object]:
    start, end = anchor.span or (None, None)
    return {"note": anchor.note, "start": start, "end": end}


def findings_of(session: Session) -> tuple[Finding, ...]:
    """Everything that was noticed or repaired while a session was read; of a stream with the stream's name."""
    of_streams = [
        dataclasses.replace(found, message=f"{stream.name}: {found.message}")
        for stream in session.streams
        for found in stream.findings
    ]
    return (*session.findings, *of_streams)


def write_run(
    result: RunResult,
    out: Path,
    settings: Settings,
    *,
    command: tuple[str, ...],
    inputs: Mapping[str, tuple[Path, ...]],
    force: bool = False,
    policy: Policy | None = None,
) -> list[str]:
    """Write alignment, segments, tokens, run record and report into ``out``; each file whole or not at all.

    Args:
        result: of ``run_session``.
        out: folder; created, or empty, or with ``force`` an earlier run's.
        settings: for the record.
        command: what was asked for, for the record.
        inputs: role -> files read, hashed into the record.
        force: replace an earlier run.
        policy: the repairs that were allowed while reading, for the record.

    Returns:
        The names of the files written.

    Raises:
        UnsafeError: E-EXISTS; ResourceError: the disk refuses.
    """
    from align.writers import alignment_frame, alignment_jsonl, parquet_bytes, segments_frame, tokens_frame

    check_output(out, force=force)
    session = result.session
    facts = RunFacts(
        command=command,
        method=result.alignment.method,
        seed=settings.config.training.seed,
        device="cpu: aligning one session needs no accelerator",
        epoch=session.epoch,
        timezone=session.timezone,
        config=settings.as_dict(),
        timings=result.timings,
        policy=_not_default(policy or Policy()),
        corrections=tuple(_as_said(anchor) for anchor in result.anchors),
        clocks=tuple(repair.as_dict() for repair in result.clocks),
    )
    record = run_record(facts, inputs=inputs, findings=findings_of(session))
    record["text_encoder"] = result.facts["text encoder"]
    record["model"] = result.facts["model"]
    truth = session.truth
    report = ReportData(
        session,
        result.alignment,
        result.segmentations,
        result.tokens,
        result.baselines,
        truth,
        "",
        result.facts,
        result.stabilities,
        result.clocks,
        result.calibration,
    )
    files: dict[str, bytes | str] = {
        "alignment.jsonl": alignment_jsonl(result.alignment),
        "alignment.parquet": parquet_bytes(alignment_frame(result.alignment)),
        "segments.parquet": parquet_bytes(segments_frame(list(result.segmentations))),
        "tokens.parquet": parquet_bytes(tokens_frame(list(result.tokens))),
        "report.html": render_report(report),
        "run.json": json.dumps(record, indent=1, sort_keys=True) + "\n",
    }
    prepare_output(out, force=force)
    for name, data in files.items():
        atomic_write(out / name, data, force=force)
    return list(files)
