"""The log: one JSON object a line, floods held back, and a closed stderr is no reason to stop."""

from __future__ import annotations

import io
import json

import pytest

from align.errors import InputError
from pipelines import logs
from pipelines.logs import Log


def said(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_error_is_one_line_with_its_place_and_its_own_time_hides_nothing() -> None:
    out = io.StringIO()
    error = InputError("E-RANGE", "too large", hint="push NaN", channel=1, time=2.5, sample=0)
    Log(out).error(error, line=7)
    (line,) = said(out)
    assert (
        line["code"] == "E-RANGE" and line["line"] == 7 and line["channel"] == 1 and line["level"] == "error"
    )
    assert str(line["time"]).endswith("+00:00"), "when it was said"


def test_a_flood_is_counted_and_other_codes_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    now, out = [0.0], io.StringIO()
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    log = Log(out)
    for _ in range(250):
        log("error", "E-JSON", "not JSON")
    log("warning", "W-OTHER", "still heard")
    assert [line["code"] for line in said(out)] == ["E-JSON"] * 100 + ["W-OTHER"]
    now[0] = 61.0
    log("error", "E-JSON", "not JSON")
    assert [(line["message"], line.get("count")) for line in said(out)[-2:]] == [
        ("more of these were held back", 150),
        ("not JSON", None),
    ]


def test_X11_a_closed_stream_is_no_reason_to_stop() -> None:
    out = io.StringIO()
    out.close()
    Log(out)("info", "started", "goes on")
    assert out.closed
