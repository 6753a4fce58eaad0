"""report.html: signals, segments, tokens and notes on one time axis, in one file that needs nothing else.

Whatever a person or a device wrote (note texts, names of streams, channels, files, authors) enters the page
in one JSON block with ``<`` escaped and reaches the screen through ``textContent`` or a canvas only. The one
script that runs is named by its hash in the page's content security policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from align.answers import Alignment, Calibration, TokenSequence
from align.datatypes import Note, Segmentation, Session, Span
from align.errors import ParameterError
from align.matching.clocks import ClockRepair
from align.segmentation.stability import Stability
from align.writers.jsonl import offset_minutes
from pipelines.clock_plot import clock_svg
from pipelines.drawing import stream_drawing
from pipelines.reliability_plot import reliability_svg
from pipelines.stability_plot import stability_svg

__all__ = ["ReportData", "headline", "render_report"]

_SCRIPTS = ("words.js", "painting.js", "notes.js", "timeline.js", "main.js")
_TEXT_LIMIT = 2_000  # code points of one note that the page shows
_MANY = 50_000  # segments or tokens of one stream that a page can still draw
_WORDS = {
    "aligned": "placed",
    "ambiguous": "placed but unsure",
    "unmatched": "matched nothing",
    "unobservable": "in a gap of the recording",
    "outside": "outside the recording",
    "empty": "without text",
}


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """Everything that one report shows.

    Attributes:
        session: the streams, drawn as they came.
        alignment: the answer, one link per note.
        segmentations: at most one per stream.
        tokens: at most one sequence per stream.
        baselines: name -> alignment of the same notes, thin lanes for comparison.
        truth: what really happened, or None; rows without a span (NaN) are left out.
        title: the page's title; default the session's name.
        facts: what a reader may want to know (method, model, text encoder, seed, ...), shown in this order.
        stabilities: how the number of segments of some streams hangs on the penalty.
        clocks: the repairs of devices' clocks.
        calibration: what the model's probabilities were worth on people held out, where it was measured.
    """

    session: Session
    alignment: Alignment
    segmentations: tuple[Segmentation, ...] = ()
    tokens: tuple[TokenSequence, ...] = ()
    baselines: Mapping[str, Alignment] = field(default_factory=lambda: MappingProxyType({}))
    truth: tuple[Span, ...] | None = None
    title: str = ""
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stabilities: tuple[Stability, ...] = ()
    clocks: tuple[ClockRepair, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        for name, records in (("segmentations", self.segmentations), ("tokens", self.tokens)):
            streams = [record.stream for record in records]
            if len(set(streams)) != len(streams):
                raise ParameterError(name, f"{len(streams)} records", "at most one per stream")
        for alignment in self.baselines.values():
            if len(alignment.notes) != len(self.alignment.notes):
                raise ParameterError("baselines", f"{len(alignment.notes)} notes", "the same notes")


def render_report(data: ReportData) -> str:
    """The page as one ASCII-only string: the same data gives the same bytes.

    Args:
        data: what to show. Signals are thinned to about 4,000 points per channel, so a night stays small.

    Returns:
        HTML; no other file, no network.
    """
    script = "(() => {\n" + "\n".join(_asset(name) for name in _SCRIPTS) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    parts = {
        "HASH": f"'sha256-{digest}'",
        "STYLE": _asset("viewer.css"),
        "SCRIPT": script,
        "DATA": _inert_json(_payload(data)),
        "STABILITY": _stability(data.stabilities),
        "CLOCKS": _clocks(data.clocks),
        "RELIABILITY": _reliability(data.calibration),
    }
    # one pass: what was put in is not searched again
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: parts[match[1]], _asset("template.html"))


def _stability(found: Sequence[Stability]) -> str:
    if not found:
        return ""
    drawings = "\n".join(stability_svg(one) for one in found)
    return (
        '<details id="stability"><summary>How the number of segments hangs on the price of a change point</summary>'
        f"\n{drawings}</details>\n"
    )


def _clocks(found: Sequence[ClockRepair]) -> str:
    if not found:
        return ""
    drawings = "\n".join(clock_svg(one) for one in found)
    title = "How the clocks of the devices were repaired"
    return f'<details id="clocks"><summary>{title}</summary>\n{drawings}</details>\n'


def _reliability(found: Calibration | None) -> str:
    if found is None:
        return ""
    title = "How far the probabilities of this model can be trusted"
    return f'<details id="reliability"><summary>{title}</summary>\n{reliability_svg(found)}</details>\n'


def _asset(name: str) -> str:
    return files("pipelines").joinpath("viewer", name).read_text("utf-8")


def _inert_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def headline(alignment: Alignment) -> str:
    """The answer in one sentence of plain words.

    >>> headline(Alignment((), (), "dtw"))
    'No notes: the recording was only cut into segments.'
    """
    if not alignment.links:
        return "No notes: the recording was only cut into segments."
    counts = Counter(str(link.status) for link in alignment.links)
    found = ", ".join(f"{counts[status]} {word}" for status, word in _WORDS.items() if counts[status])
    n = len(alignment.links)
    return f"{n} note{'' if n == 1 else 's'}: {found}."


def _payload(data: ReportData) -> dict[str, Any]:
    session, names = data.session, {stream.name for stream in data.session.streams}
    cuts = {cut.stream: _segments(cut) for cut in data.segmentations}
    tokens = {sequence.stream: _tokens(sequence) for sequence in data.tokens}
    others = sorted((set(cuts) | set(tokens)) - names)
    return {
        "title": data.title or session.name,
        "session": session.name,
        "headline": headline(data.alignment),
        "start": session.start,
        "end": session.end,
        "epoch_ms": None if session.epoch is None else session.epoch / 1e6,
        "offset_min": 0 if session.epoch is None else offset_minutes(session.timezone),
        "facts": [[name, str(value)] for name, value in data.facts.items()],
        "streams": [
            {
                **stream_drawing(stream, session),
                "segments": cuts.get(stream.name),
                "tokens": tokens.get(stream.name),
            }
            for stream in session.streams
        ],
        "strips": [{"name": name, "segments": cuts.get(name), "tokens": tokens.get(name)} for name in others],
        "method": data.alignment.method,
        "notes": [_note(data.alignment, index) for index in range(len(data.alignment.notes))],
        "baselines": [
            {"name": name, "spans": [_span(link.span) for link in alignment.links]}
            for name, alignment in data.baselines.items()
        ],
        "truth": None if data.truth is None else _truth(data.truth),
    }


def _note(alignment: Alignment, index: int) -> dict[str, Any]:
    note: Note = alignment.notes[index]
    link = alignment.links[index]
    return {
        "text": note.text[:_TEXT_LIMIT],
        "more": max(0, len(note.text) - _TEXT_LIMIT),
        "status": link.status,
        "span": _span(link.span),
        "p": _seconds(link.probability),
        "time": None if note.time is None else [note.time.earliest, note.time.likely, note.time.latest],
        "author": note.author,
        "file": note.file,
        "line": note.line,
        "streams": list(link.streams),
        "alternatives": [[*(_span((a, b)) or (a, b)), _seconds(p)] for a, b, p in link.alternatives],
        "distance": None if link.distance is None else _seconds(link.distance),
    }


def _truth(truth: Sequence[Span]) -> list[list[Any]]:
    return [
        [_seconds(row.start), _seconds(row.end), row.text or row.label, row.label]
        for row in truth
        if math.isfinite(row.start) and math.isfinite(row.end)
    ]


def _seconds(value: float) -> float:
    return round(float(value), 6) + 0.0


def _span(span: tuple[float, float] | None) -> list[float] | None:
    return None if span is None else [_seconds(span[0]), _seconds(span[1])]


def _segments(cut: Segmentation) -> dict[str, Any]:
    drawn = cut.spans if cut.n_segments <= _MANY else cut.spans[:0]
    return {"count": cut.n_segments, "spans": drawn.round(4).tolist(), "method": cut.method}


def _tokens(sequence: TokenSequence) -> dict[str, Any]:
    many = len(sequence.codes) > _MANY
    codes = [] if many else sequence.codes.tolist()
    names = {code: sequence.names[code] for code in sorted(set(codes)) if 0 <= code < len(sequence.names)}
    return {
        "count": len(sequence.codes),
        "spans": [] if many else sequence.spans.round(4).tolist(),
        "codes": codes,
        "names": names,
    }
