"""Events to a web address: one POST each, in order, until it is taken. Nothing is sent unless ``--sink`` names one."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from align.errors import ParameterError
from pipelines.sinks import broken_sink

__all__ = ["WebhookSink", "wait_before"]

_TIMEOUT = 10.0  # seconds of one request
_FIRST, _LONGEST = 0.5, 60.0  # seconds between tries
_AGAIN = {408, 425, 429}  # and all from 500 on: the receiver may take it later


def wait_before(attempt: int, asked: str | None, chance: float) -> float:
    """Seconds before the next try: doubling from 0.5 to 60, less up to half of it, and not sooner than was asked.

    Args:
        attempt: 1 after the first failure.
        asked: the receiver's ``Retry-After``, in seconds.
        chance: in [0, 1): spreads the tries of many senders.
    """
    seconds = min(_LONGEST, _FIRST * 2.0 ** min(attempt - 1, 20)) * (1.0 - chance / 2)
    if asked is not None and asked.strip().isascii() and asked.strip().isdigit():
        seconds = max(seconds, min(_LONGEST, float(asked)))
    return seconds


class WebhookSink:
    """POST each event as JSON to one address.

    The header ``Idempotency-Key`` is ``STREAM/SEQ`` in percent-encoding: what comes twice after a crash is told by it.
    A status of 200 to 299 takes the event; 408, 425, 429, 500 and more, and a connection that fails, are tried again
    without end; any other status, redirections too, ends the monitor with the event still in its outbox.

    Args:
        url: ``http://HOST[:PORT]/PATH`` or https.
    """

    kind = "http"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or port == -1:
            allowed = "http://HOST:PORT/PATH or https://.., without a user"
            raise ParameterError(
                "address", parts.scheme + "://..", allowed, hint="a token goes into ALIGN_SINK_TOKEN"
            )
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._todo: deque[tuple[int, bytes]] = deque()
        self._latest = -1  # number of the last line that was handed over
        self._below = 0
        self._change = threading.Condition()
        self._refused: str | None = None
        self._closing = False
        self._told: deque[tuple[str, str]] = deque(maxlen=64)
        self._connection: http.client.HTTPConnection | None = None

    def start(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """Begin to send; which lines arrived, nobody says: all come again."""
        threading.Thread(target=self._send_all, daemon=True, name="webhook").start()
        return 0

    def deliver(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Hand lines over to the sending thread, and say below which number all were taken."""
        with self._change:
            if self._refused is not None:
                raise broken_sink("the address", self._refused)
            fresh = [line for line in lines if line[0] > self._latest]
            if fresh:
                self._todo.extend(fresh)
                self._latest = fresh[-1][0]
                self._change.notify()
            return self._below

    def _send_all(self) -> None:
        while True:
            with self._change:
                while not self._todo and not self._closing:
                    self._change.wait()
                if self._closing:
                    return
                number, line = self._todo[0]
            if not self._send(line):
                return
            with self._change:
                self._todo.popleft()
                self._below = number + 1

    def _send(self, line: bytes) -> bool:
        """Send one line until it is taken; False where it never will be, or the monitor stops."""
        attempt = 0
        while not self._closing:
            status, asked = self._post(line)
            if status is not None and 200 <= status < 300:
                return True
            if status is not None and status < 500 and status not in _AGAIN:
                with self._change:
                    self._refused = f"status {status}"
                return False
            attempt += 1
            reason = "no answer" if status is None else f"status {status}"
            if attempt > 1:  # a kept connection that the other end has closed meanwhile is nothing to tell
                self._told.append(
                    ("W-SINK-AWAY", f"the address does not take events, {reason}; try {attempt}")
                )
            with self._change:
                self._change.wait_for(lambda: self._closing, wait_before(attempt, asked, random.random()))
        return False

    def _post(self, line: bytes) -> tuple[int | None, str | None]:
        """One try: the status, None for no answer; and ``Retry-After``."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": _identity(line)}
        token = os.environ.get("ALIGN_SINK_TOKEN")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            if self._connection is None:
                kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
                self._connection = kind(self._host, self._port, timeout=_TIMEOUT)
            self._connection.request("POST", self._path, line.rstrip(b"\n"), headers)
            answer = self._connection.getresponse()
            answer.read(65_536)
            if answer.will_close or not answer.isclosed():
                self._hang_up()
            return answer.status, answer.headers.get("Retry-After")
        except (OSError, http.client.HTTPException):
            self._hang_up()
            return None, None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def position(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def notices(self) -> list[tuple[str, str]]:
        """What the receiver answered, where it did not take an event."""
        return [self._told.popleft() for _ in range(len(self._told))]

    def close(self) -> None:
        """Stop sending; a request on its way is not waited for."""
        with self._change:
            self._closing = True
            self._change.notify_all()


def _identity(line: bytes) -> str:
    from urllib.parse import quote

    event = json.loads(line)
    return f"{quote(str(event['stream']), safe='')}/{event['seq']}"
