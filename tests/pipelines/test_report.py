"""report.html: inert whatever the notes and names hold, complete, the same bytes each time, small."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from align.answers import Alignment, Link, TokenSequence
from align.datatypes import Note, NoteTime, Segmentation, Session, Span, Stream
from align.errors import ParameterError
from pipelines.report import ReportData, headline, render_report

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</SCRIPT ><img src=x onerror=alert(3)>",
    '"><img src=x onerror=alert(4)>',
    "'><svg/onload=alert(5)>",
    "<!--<script>",
    "--><!-- ]]>",
    "</style><style>*{display:none}</style>",
    "</title><base href=//evil.example>",
    "javascript:alert(6)",
    "<a href='javascript:alert(7)'>x</a>",
    "<iframe srcdoc='<script>alert(8)</script>'></iframe>",
    "{{DATA}}{{SCRIPT}}${alert(9)}<%= 7*7 %>",
    "\\u003cscript\\u003ealert(10)\\u003c/script\\u003e",
    "\u2028alert(11)\u2029//",
    "&lt;script&gt;alert(12)&lt;/script&gt;",
    "<math><mtext></table><mglyph><style><img src=x onerror=alert(13)>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<object data='data:text/html;base64,PHNjcmlwdD4='></object>",
    "<form action=//evil.example><button formaction=javascript:alert(14)>",
    "\x00\x1b[31m<script\x00>\u202ealert(15)",
    "\ud800<script>\udfff",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "\ufeff<ScRiPt SrC=//evil.example/x.js>",
)
EPOCH = 1_774_735_800_000_000_000  # 2026-03-28T22:10Z
FIELDS = ("text", "stream", "channel", "unit", "file", "author", "title", "session", "token", "truth", "fact")


class _Page(HTMLParser):
    """Collects what could act: elements, attributes, the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self._open = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        else:
            self.text.append(data)

    @property
    def payload(self) -> dict:
        (block,) = [text for attributes, text in self.scripts if attributes.get("type") == "application/json"]
        return json.loads(block)

    @property
    def running(self) -> list[str]:
        return [text for attributes, text in self.scripts if attributes.get("type") != "application/json"]


def example(hostile: str = "", fields: tuple[str, ...] = FIELDS, *, small: bool = False) -> ReportData:
    """Ten minutes: a wrist (walk, rest, a gap), a heart rate that starts late, a microphone; eight notes."""
    rate, pitch = (1, 4) if small else (25, 2000)

    def name(field: str, plain: str) -> str:
        return plain + hostile if hostile and field in fields else plain

    rng = np.random.default_rng(4)
    t = np.arange(600 * rate) / rate
    walking = ((t > 60) & (t < 150)) | ((t > 330) & (t < 420))
    swing = np.where(walking, 1.0, 0.05)[:, None] * np.sin(2 * np.pi * 1.9 * t[:, None] + np.arange(3))
    keep = (t < 200) | (t >= 260)
    motion = (swing + 0.03 * rng.standard_normal((t.size, 3)) + [0, 0, 1])[keep]
    wrist = Stream(
        motion, float(rate), name("stream", "wrist"), "sensor", ("x", "y", name("channel", "z")),
        (name("unit", "g"),) * 3, np.array([0, 200 * rate]), np.array([0.0, 260.0]), epoch=EPOCH,
    )  # fmt: skip
    beats = 62 + 40 * np.exp(-(((np.arange(580) - 380) / 60) ** 2)) + rng.standard_normal(580)
    beats[100:110] = np.nan
    heart = Stream(beats, 1.0, "heart", "sensor", ("heart rate",), ("bpm",), run_start=np.array([20.0]))
    sound = 0.01 * rng.standard_normal(600 * pitch)
    for start in (100.0, 301.0, 303.5, 480.0):
        burst = slice(int(start * pitch), int(start * pitch) + 4 * pitch // 5)
        sound[burst] += np.hanning(4 * pitch // 5) * np.sin(
            2 * np.pi * (200 + start) * np.arange(4 * pitch // 5) / pitch
        )
    microphone = Stream(sound, float(pitch), "microphone", "audio")

    def note(text: str, time: NoteTime | None, line: int) -> Note:
        return Note(name("text", text), time, name("author", "Ada"), name("file", "notes.md"), line)

    def exactly(s: float) -> NoteTime:
        return NoteTime(s, s, s)

    notes = (
        note("walked to the shop", exactly(110.0), 1),
        note("watch off while washing up\nthen put it on again", NoteTime(150.0, 210.0, 280.0), 2),
        note("coughed twice", exactly(310.0), 3),
        note("walked back, faster, out of breath", exactly(350.0), 4),
        note("some bang, a door?", NoteTime(400.0, 450.0, 520.0), 5),
        note("took the blue pill", None, 6),
        note("slept badly", exactly(-1800.0), 7),
        note("\u200b", exactly(500.0), 8),
    )
    links = (
        Link("aligned", (60.2, 149.8), 0.97, ((330.0, 420.0, 0.02),), (wrist.name,)),
        Link("aligned", (196.0, 264.0), 0.55),
        Link("aligned", (300.9, 304.6), 0.91, ((99.8, 100.9, 0.05),), ("microphone",)),
        Link("aligned", (329.5, 421.0), 0.94, (), (wrist.name, "heart")),
        Link("ambiguous", (479.9, 480.9), 0.41, ((99.9, 100.9, 0.38),), ("microphone",)),
        Link("unmatched", None, 0.83),
        Link("outside", None, 1.0, distance=-1800.0),
        Link("empty", None, 0.0),
    )
    session = Session(name("session", "a morning"), (wrist, heart, microphone), notes, wrist.epoch, "+02:00")
    cut = Segmentation.of(wrist, np.array([60, 150, 270, 360]) * rate, method="pelt")
    tokens = TokenSequence(
        wrist.name, np.array([0, 1, 0, 0, 2, 0]), cut.spans, np.zeros((6, 1)), "c0de",
        (name("token", "rest"), "walk", "brisk walk"),
    )  # fmt: skip
    slices = tuple(Link("aligned", (75.0 * i, 75.0 * i + 75), 0.5) for i in range(8))
    return ReportData(
        session,
        Alignment(notes, links, "contrastive", epoch=wrist.epoch, timezone="+02:00"),
        (cut,),
        (tokens,),
        {"equal slices": Alignment(notes, slices, "slices")},
        (Span(60.0, 150.0, "walk", name("truth", "walks")), Span(float("nan"), float("nan"), "pill", "")),
        name("title", "A morning in miniature"),
        {"method": "contrastive", "model": name("fact", "demo model"), "seed": "0"},
    )


@pytest.fixture(scope="module")
def page() -> _Page:
    return _Page(render_report(example()))


def test_one_running_script_and_its_hash_in_the_policy(page: _Page) -> None:
    (script,) = page.running
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; media-src data: blob:"
    )


def _assert_inert(page: _Page, plain: _Page) -> None:
    """The page has the very elements of one without hostile text: the texts are in the JSON block alone."""
    assert page.elements == plain.elements
    assert page.running == plain.running
    assert page.text == plain.text
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "formaction", "data", "srcdoc", "style"):
            assert (attributes.get(name) or "#").startswith("#")


def _hostile_fields(payload: dict) -> dict[str, str]:
    """What the page's data hold in each of ``FIELDS``."""
    note, (stream, *_) = payload["notes"][0], payload["streams"]
    lanes = stream["lanes"]
    return {
        "text": note["text"],
        "stream": stream["name"],
        "channel": lanes[0]["traces"][2]["name"],
        "unit": lanes[0]["unit"],
        "file": note["file"],
        "author": note["author"],
        "title": payload["title"],
        "session": payload["session"],
        "token": stream["tokens"]["names"]["0"],
        "truth": payload["truth"][0][2],
        "fact": payload["facts"][1][1],
    }


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_S01_S02_hostile_text_is_inert_in_every_field(payload: str, page: _Page) -> None:
    html = render_report(example(payload, small=True))
    found = _Page(html)
    _assert_inert(found, page)
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert not set(block) & set("<>&")
    assert block.isascii()
    fields = _hostile_fields(found.payload)
    assert tuple(fields) == FIELDS
    for text in fields.values():
        assert text.endswith(payload), "shown as it was written"


def test_S01_the_viewer_cannot_make_markup_of_text() -> None:
    folder = Path(__file__).parents[2] / "pipelines" / "viewer"
    scripts = "".join(path.read_text() for path in sorted(folder.glob("*.js")))
    ways = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc|setAttribute\(\"on"
    )
    assert len(scripts) > 10_000
    assert re.findall(ways, scripts) == []
    assert "</script" not in scripts.lower()
    everything = scripts + "".join(
        path.read_text() for path in [folder / "viewer.css", folder / "template.html"]
    )
    assert re.findall(r"https?:|//[a-z]+\.|@import|url\(", everything) == []


def test_same_data_same_bytes_and_ascii_data() -> None:
    first, second = render_report(example()), render_report(example())
    assert first == second
    assert first.encode("utf-8")


def test_every_note_is_there_in_order_with_its_words(page: _Page) -> None:
    notes, data = page.payload["notes"], example()
    assert [note["text"] for note in notes] == [note.text for note in data.alignment.notes]
    assert [note["status"] for note in notes] == [link.status for link in data.alignment.links]
    assert [note["span"] for note in notes][4:6] == [[479.9, 480.9], None]
    assert notes[6]["distance"] == -1800.0
    assert notes[1]["time"] == [150.0, 210.0, 280.0]
    assert page.payload["truth"] == [[60.0, 150.0, "walks", "walk"]]
    assert page.payload["headline"] == (
        "8 notes: 4 placed, 1 placed but unsure, 1 matched nothing, 1 outside the recording, 1 without text."
    )


def test_ten_minutes_stay_under_two_megabytes() -> None:
    assert len(render_report(example()).encode()) < 2_000_000


def test_a_night_stays_under_two_megabytes() -> None:
    rng = np.random.default_rng(0)
    wrist = Stream(rng.standard_normal((8 * 3600 * 50, 6)).astype(np.float32), 50.0, "wrist")
    html = render_report(ReportData(Session("night", (wrist,)), Alignment((), (), "none")))
    assert len(html) < 2_000_000


def test_headline_counts_every_status_once() -> None:
    links = tuple(Link("aligned", (0.0, 1.0), 1.0) for _ in range(1))
    assert headline(Alignment((Note("a"),), links, "m")) == "1 note: 1 placed."


def test_a_long_note_is_cut_and_says_how_much() -> None:
    notes = (Note("a" * 2_500),)
    data = example()
    report = ReportData(data.session, Alignment(notes, (Link("unmatched", None, 0.5),), "m"))
    (note,) = _Page(render_report(report)).payload["notes"]
    assert (len(note["text"]), note["more"]) == (2_000, 500)


def test_two_segmentations_of_one_stream_are_refused() -> None:
    data = example()
    with pytest.raises(ParameterError, match="segmentations"):
        ReportData(data.session, data.alignment, data.segmentations * 2)


def test_baselines_of_other_notes_are_refused() -> None:
    data = example()
    with pytest.raises(ParameterError, match="baselines"):
        ReportData(data.session, data.alignment, baselines={"none": Alignment((), (), "none")})


def test_segments_of_an_unknown_stream_get_their_own_strip() -> None:
    data = example()
    cut = data.segmentations[0]
    other = Segmentation("frames", cut.rate, cut.boundaries, cut.changes, cut.spans)
    report = ReportData(data.session, data.alignment, (other,))
    payload = _Page(render_report(report)).payload
    assert [strip["name"] for strip in payload["strips"]] == ["frames"]
    assert all(stream["segments"] is None for stream in payload["streams"])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: the page is not run here")
def test_S01_a_browser_runs_the_page_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(example("<img src=x onerror=document.title='owned'>", small=True)))
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += (
        " --disable-background-networking --disable-component-update --virtual-time-budget=1000 --dump-dom"
    )
    command = ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    after = _Page(run.stdout)
    tags = [tag for tag, _ in after.elements]
    assert tags.count("canvas") >= 9, "the lanes were drawn"
    assert sum(attributes.get("class") == "card" for _, attributes in after.elements) == 8
    assert "img" not in tags
    assert re.findall(r"<title>(.*?)</title>", run.stdout)[0].startswith("A morning in miniature&lt;img")
    assert not [name for _, attributes in after.elements for name in attributes if name.startswith("on")]


@pytest.mark.data
def test_a_real_recording_with_its_truth() -> None:
    import polars as pl

    folder = Path(os.environ.get("ALIGN_DATA", "../shared/data")) / "hapt" / "user01_exp01"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set ALIGN_DATA")
    table, truth = pl.read_parquet(folder / "imu.parquet"), pl.read_csv(folder / "truth.csv")
    imu = Stream(table.drop("time").to_numpy(), 50.0, "imu", channels=tuple(table.columns[1:]))
    spans = tuple(Span(*row) for row in truth.select("start", "end", "label", "text").iter_rows())
    notes = tuple(Note(span.text) for span in spans)
    links = tuple(Link("aligned", (span.start, span.end), 1.0) for span in spans)
    report = ReportData(Session("user01", (imu,), notes), Alignment(notes, links, "truth"), truth=spans)
    html = render_report(report)
    payload = _Page(html).payload
    assert len(html) < 1_000_000
    assert [lane["traces"][0]["name"] for lane in payload["streams"][0]["lanes"]] == ["acc_x", "gyro_x"]
    assert [note["span"] for note in payload["notes"]] == [row[:2] for row in payload["truth"]]
