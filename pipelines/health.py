"""How the live monitor is: numbers for Prometheus and a page for a watchdog, on this machine's own address alone.

No number has the name of a stream, a file or a topic as a label: names may be a patient's.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from align.errors import ResourceError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Health", "HealthServer"]

_SILENT = 30.0  # seconds without a round of the loop: something hangs

_COUNTERS = {
    "records": "lines, messages and rows of recordings taken",
    "rows": "rows of streams taken",
    "notes": "notes taken",
    "bad_records": "records that could not be used, by code of the error",
    "events": "events said, by kind",
    "late_rows": "rows left out because they came too late",
    "duplicate_rows": "rows that came twice",
    "lost_rows": "rows missing by their sequence numbers",
    "redelivered_messages": "messages that came again and were known",
    "commits": "generations written",
    "delivered": "lines that the sink has taken",
}
_GAUGES = {
    "outbox_lines": "lines said that have not arrived",
    "source_behind": "bytes or messages known to wait at the source",
    "source_connected": "1 where the source can hand something over",
    "finality_lag_seconds": "event time from the earliest watermark to the newest row of its stream",
    "streams": "streams that have sent rows",
    "commit_seconds": "what the last generation took",
    "state_bytes": "size of the last generation",
}


class Health:
    """Counts and levels of one process, from its beginning."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], float] = {(name, ""): 0.0 for name in _COUNTERS}
        self.levels: dict[str, float] = dict.fromkeys(_GAUGES, 0.0)
        self._begun = self._round = time.monotonic()

    def count(self, name: str, by: float = 1.0, label: str = "") -> None:
        """Add to a counter.

        Args:
            name: of the counter.
            by: how much.
            label: the code or kind that is counted apart.
        """
        self.counts[name, label] = self.counts.get((name, label), 0.0) + by

    def total(self, name: str, so_far: float) -> None:
        """Set a counter that somebody else counts.

        Args:
            name: of the counter.
            so_far: its value.
        """
        self.counts[name, ""] = so_far

    def went_round(self) -> None:
        """The loop lives."""
        self._round = time.monotonic()

    def report(self) -> tuple[bool, dict[str, object]]:
        """Whether all is well, and the few numbers that say why not."""
        silent = time.monotonic() - self._round
        connected = self.levels["source_connected"] > 0
        about: dict[str, object] = {
            "status": "ok" if connected and silent < _SILENT else "failing",
            "source_connected": connected,
            "seconds_since_last_round": round(silent, 3),
            "seconds_up": round(time.monotonic() - self._begun, 3),
            "outbox_lines": int(self.levels["outbox_lines"]),
            "bad_records": int(sum(n for (name, _), n in self.counts.items() if name == "bad_records")),
        }
        return connected and silent < _SILENT, about


class HealthServer:
    """``/healthz`` (200 or 503, JSON) and ``/metrics`` (Prometheus text) on 127.0.0.1.

    Args:
        health: what is told.
        port: 0 for any that is free.

    Raises:
        ResourceError: E-NOT-INSTALLED, prometheus-client is missing; E-PORT, the port is taken.
    """

    def __init__(self, health: Health, port: int) -> None:
        registry = _registry(health)

        class Handler(BaseHTTPRequestHandler):
            """Answers two paths and logs nothing."""

            def do_GET(self) -> None:
                if self.path == "/healthz":
                    well, about = health.report()
                    self._answer(200 if well else 503, "application/json", json.dumps(about).encode())
                elif self.path == "/metrics":
                    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                else:
                    self._answer(404, "text/plain", b"/healthz and /metrics\n")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: a request is no event of the monitor."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise ResourceError(
                "E-PORT", f"port {port} on 127.0.0.1 is not to be had", hint="choose another"
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True, name="health").start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def _registry(health: Health) -> CollectorRegistry:
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
        from prometheus_client.registry import Collector
    except ModuleNotFoundError as error:
        hint = "pip install 'streamnotes[metrics]'"
        raise ResourceError("E-NOT-INSTALLED", "--metrics needs prometheus-client", hint=hint) from error

    class Collected(Collector):
        """The numbers at the moment of asking."""

        def collect(self) -> list[Metric]:
            families: list[Metric] = []
            counts = dict(health.counts)
            for name, help_ in _COUNTERS.items():
                labelled = {"events": ["kind"], "bad_records": ["code"]}.get(name)
                family = CounterMetricFamily(f"align_{name}", help_, labels=labelled or [])
                for (counted, label), value in counts.items():
                    if counted == name and bool(label) == bool(labelled):
                        family.add_metric([label] if labelled else [], value)
                families.append(family)
            for name, help_ in _GAUGES.items():
                families.append(GaugeMetricFamily(f"align_{name}", help_, value=health.levels[name]))
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    return registry
