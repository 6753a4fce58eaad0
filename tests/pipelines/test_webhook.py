"""Webhooks: one POST an event, in order, tried again until it is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from align.errors import AlignError, ResourceError
from pipelines import webhook
from pipelines.webhook import WebhookSink, wait_before
from tests.pipelines.live import ListSource, kept, lines, live, uninterrupted


class Receiver:
    """Answers with the statuses it is given, then 204; keeps what it took."""

    def __init__(self, statuses: list[int]) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.tries = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.tries += 1
                status = statuses.pop(0) if statuses else 204
                if status == 204:
                    receiver.taken.append((self.headers["Idempotency-Key"], body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Receiver]]:
    monkeypatch.setattr(webhook, "_FIRST", 0.01)
    made: list[Receiver] = []

    class Kept(Receiver):
        def __init__(self, statuses: list[int]) -> None:
            super().__init__(statuses)
            made.append(self)

    yield Kept
    for receiver in made:
        receiver.server.shutdown()
        receiver.server.server_close()


def test_every_event_is_taken_once_in_order_whatever_the_receiver_answers_first(
    receivers: type[Receiver], tmp_path: Path
) -> None:
    receiver = receivers([503, 500, 429, 204, 408, 502])
    given = lines(200)
    assert live(tmp_path / "state", ListSource(given), WebhookSink(receiver.url))[0] == "ended"
    whole = uninterrupted(given).splitlines()
    assert [body for _, body in receiver.taken] == whole and receiver.tries == len(whole) + 5
    keys = [key for key, _ in receiver.taken]
    assert len(set(keys)) == len(keys) and {"/0", "a/0", "b/0"} <= set(keys)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_receiver_that_never_will_ends_it_and_the_event_waits(
    receivers: type[Receiver], tmp_path: Path, status: int
) -> None:
    given = lines(200)
    with pytest.raises(ResourceError, match=f"E-SINK-REFUSED.*status {status}"):
        live(tmp_path / "state", ListSource(given), WebhookSink(receivers([status]).url))
    assert kept(tmp_path / "state").waiting
    mended = receivers([])
    live(tmp_path / "state", ListSource(given), WebhookSink(mended.url))
    assert [body for _, body in mended.taken] == uninterrupted(given).splitlines()


def test_nobody_there_is_tried_again_and_does_not_hold_the_end(
    tmp_path: Path, receivers: type[Receiver]
) -> None:
    receiver = receivers([])
    receiver.server.shutdown()
    receiver.server.server_close()
    until = time.monotonic() + 1.0
    begin = time.monotonic()
    how, log = live(
        tmp_path / "state",
        ListSource(lines(200)),
        WebhookSink(receiver.url),
        stopped=lambda: time.monotonic() > until,
    )
    assert how == "stopped" and time.monotonic() - begin < 10
    assert "W-SINK-AWAY" in {line["code"] for line in log} and kept(tmp_path / "state").waiting


def test_waits_double_are_spread_and_heed_what_was_asked() -> None:
    assert [wait_before(k, None, 0.0) for k in (1, 2, 3, 8, 99)] == [0.5, 1.0, 2.0, 60.0, 60.0]
    assert wait_before(1, None, 0.999) == pytest.approx(0.25, abs=0.001)
    assert wait_before(1, "7", 0.0) == 7.0 and wait_before(1, "999", 0.0) == 60.0
    assert wait_before(1, "Wed, 21 Oct", 0.0) == 0.5


def test_an_address_that_means_nothing_is_refused() -> None:
    for wrong in ("http://", "http://u:secret@h/x", "http://h:x/", "ftp://h/"):
        with pytest.raises(AlignError, match="E-PARAM") as caught:
            WebhookSink(wrong)
        assert "secret" not in str(caught.value)
