"""The numbers: right, without names, and only on this machine."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from align.errors import ResourceError
from pipelines import health as module
from pipelines.health import Health, HealthServer

pytest.importorskip("prometheus_client", reason="needs prometheus-client: pip install 'streamnotes[metrics]'")


def test_healthz_says_503_when_the_source_is_away_or_the_loop_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health()
    server = HealthServer(health, 0)
    address = f"http://127.0.0.1:{server.port}"
    try:
        with pytest.raises(HTTPError) as away:
            urlopen(f"{address}/healthz", timeout=10)
        assert away.value.code == 503 and json.load(away.value)["source_connected"] is False
        health.levels["source_connected"] = 1.0
        health.went_round()
        with urlopen(f"{address}/healthz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        monkeypatch.setattr(module, "_SILENT", -1.0)
        with pytest.raises(HTTPError, match="503"):
            urlopen(f"{address}/healthz", timeout=10)
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{address}/else", timeout=10)
        with pytest.raises(ResourceError, match="E-PORT"):
            HealthServer(health, server.port)
    finally:
        server.close()


def test_metrics_are_what_was_counted() -> None:
    health = Health()
    health.count("rows", 3)
    health.count("events", label="segment")
    health.count("events", label="gap")
    health.count("events", label="gap")
    health.total("late_rows", 7)
    server = HealthServer(health, 0)
    try:
        with urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    finally:
        server.close()
    said = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert said["align_rows_total"] == "3.0" and said["align_late_rows_total"] == "7.0"
    assert said['align_events_total{kind="gap"}'] == "2.0" and said["align_outbox_lines"] == "0.0"
    assert {k for k in said if k.startswith("align_bad_records")} == set()
