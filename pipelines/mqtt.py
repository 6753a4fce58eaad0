"""MQTT as a source and as a sink, through paho-mqtt: at least once on the wire, exactly once in what is kept.

Source: a session that the broker keeps (``clean_session`` false, QoS 1) and acknowledgements by hand, sent once a
generation that holds the messages is on the disk. A message that comes again, because its acknowledgement did not
arrive, is known by a hash.
Sink: QoS 1. A line that the broker may have got already comes again after a crash; ``(stream, seq)`` is in it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align.errors import ParameterError, ResourceError
from pipelines.ndjson import MOST_LINE
from pipelines.sources import Taken

if TYPE_CHECKING:
    import paho.mqtt.client as paho

__all__ = ["Address", "MqttSink", "MqttSource"]

_QUEUED = 1_024  # messages between paho's thread and the monitor
_PRESSED = 10  # unacknowledged messages from which a broker may be waiting (mosquitto sends 20 at most)
_MANY = 512  # from which a generation is written anyway: far fewer than are remembered
_REMEMBERED = 2_048  # hashes of messages that may come again
_HASH = 8  # bytes of one
_IN_FLIGHT = 256  # lines on their way to the broker
_GOODBYE = 0.5  # seconds
_URL = re.compile(r"(mqtts?)://(?:([^@/]*)@)?(\[[^]]+\]|[^:/@]+)(?::(\d{1,5}))?/(.+)")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, and a topic."""

    host: str
    port: int
    topic: str
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """An address from ``mqtt://HOST[:PORT]/TOPIC``, or ``mqtts://`` for TLS.

        Args:
            url: without user and password: these are ALIGN_MQTT_USERNAME and ALIGN_MQTT_PASSWORD.

        Raises:
            ParameterError: not such an address; it holds a user.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise ParameterError(
                "address", url.partition("@")[2] or url, "mqtt://HOST:PORT/TOPIC or mqtts://.."
            )
        scheme, user, host, port, topic = found.groups()
        if user is not None:
            hint = (
                "everyone on the machine can read it there; set ALIGN_MQTT_USERNAME and ALIGN_MQTT_PASSWORD"
            )
            raise ParameterError("address", "one with a user in it", "mqtt://HOST:PORT/TOPIC", hint=hint)
        number = int(port) if port else (8883 if scheme == "mqtts" else 1883)
        return cls(host.strip("[]"), number, topic, scheme == "mqtts")


class _Connection:
    """One paho client in its own thread, and what happened to it."""

    def __init__(self, address: Address, client_id: str, *, keep_session: bool) -> None:
        try:
            import paho.mqtt.client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError as error:
            hint = "pip install 'streamnotes[mqtt]'"
            raise ResourceError("E-NOT-INSTALLED", "mqtt:// needs paho-mqtt", hint=hint) from error
        self.address = address
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=not keep_session, manual_ack=True
        )
        if address.tls:
            self.client.tls_set()
        user, password = (os.environ.get(f"ALIGN_MQTT_{name}") for name in ("USERNAME", "PASSWORD"))
        if user is not None:
            self.client.username_pw_set(user, password)
        self.client.reconnect_delay_set(1, 60)
        self.client.on_connect = self._connected
        self.client.on_connect_fail = lambda client, data: self.say(
            "W-MQTT-AWAY", "the broker does not answer"
        )
        self.client.on_disconnect = self._disconnected
        self.refused: str | None = None
        self._told: deque[tuple[str, str]] = deque(maxlen=64)

    def _begin(self) -> None:
        self.client.connect_async(self.address.host, self.address.port, keepalive=30)
        self.client.loop_start()

    def _connected(
        self, client: paho.Client, data: object, flags: paho.ConnectFlags, reason: Any, properties: object
    ) -> None:
        if reason.is_failure:
            self.say("E-MQTT-REFUSED", f"the broker refuses the connection, reason {reason.value}")
        else:
            self.say("connected", "connected to the broker")
            self.after_connect(flags.session_present)

    def after_connect(self, session_present: bool) -> None:
        """Nothing more to do for a sink."""

    def _disconnected(
        self, client: paho.Client, data: object, flags: object, reason: Any, properties: object
    ) -> None:
        if reason.is_failure:
            self.say("W-MQTT-AWAY", f"the connection to the broker was lost, reason {reason.value}")

    def say(self, code: str, words: str) -> None:
        self._told.append((code, words))

    def notices(self) -> list[tuple[str, str]]:
        """What happened to the connection since last asked."""
        return [self._told.popleft() for _ in range(len(self._told))]

    def close(self) -> None:
        """Say goodbye and end the thread; one that is stuck in looking for the broker is not waited for."""
        self.client.disconnect()
        ending = threading.Thread(target=self.client.loop_stop, daemon=True)
        ending.start()
        ending.join(_GOODBYE)


class MqttSource(_Connection):
    """Messages of one topic filter; each holds one line or several.

    Args:
        address: of broker and topic.
        client_id: the broker keeps the session under it: always the same for one state.
    """

    kind = "mqtt"
    ended = False

    def __init__(self, address: Address, client_id: str) -> None:
        super().__init__(address, client_id, keep_session=True)
        self._queue: queue.Queue[tuple[int, bytes]] = queue.Queue(_QUEUED)
        self._closing = threading.Event()
        self._seen: dict[bytes, None] = {}  # hashes, oldest first
        self._unacknowledged: list[int] = []
        self._messages = 0
        self._subscribed_to = ""
        self.duplicates = 0
        self.client.on_message = self._received
        self.client.on_subscribe = self._subscribed

    @property
    def connected(self) -> bool:
        return self.client.is_connected()

    @property
    def behind(self) -> int:
        return self._queue.qsize()

    @property
    def pressed(self) -> bool:
        count = len(self._unacknowledged)
        return count >= _MANY or (count >= _PRESSED and self._queue.empty())

    def start(self, position: Mapping[str, Any]) -> None:
        """Connect, now or when the broker answers.

        Args:
            position: of ``position``.
        """
        raw = base64.b64decode(position.get("seen", ""))
        self._seen = {raw[i : i + _HASH]: None for i in range(0, len(raw), _HASH)}
        self._messages = int(position.get("messages", 0))
        self._subscribed_to = str(position.get("topic", ""))
        self._begin()

    def after_connect(self, session_present: bool) -> None:
        """Subscribe, where the broker does not remember; asking again would send what it retains once more."""
        known, wanted = self._subscribed_to, self.address.topic
        if known and known != wanted:
            self.client.unsubscribe(known)
        if not session_present or known != wanted:
            self.client.subscribe(wanted, qos=1)

    def _subscribed(
        self, client: paho.Client, data: object, mid: int, reasons: list[Any], properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.refused = f"reason {reasons[0].value}"
        else:
            self._subscribed_to = self.address.topic

    def _received(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        """Runs in paho's thread; a queue that is full holds the broker back."""
        while not self._closing.is_set():
            try:
                self._queue.put((message.mid if message.qos else 0, bytes(message.payload)), timeout=0.1)
                return
            except queue.Full:
                continue

    def poll(self, timeout: float) -> list[Taken]:
        """The lines of the messages that have come and did not come before."""
        if self.refused is not None:
            hint = "look at the topic and at what the broker allows this user"
            raise ResourceError(
                "E-MQTT-REFUSED", f"the broker refuses the subscription, {self.refused}", hint=hint
            )
        taken: list[Taken] = []
        try:
            mid, payload = self._queue.get(timeout=timeout)
            while True:
                taken += self._unseen(mid, payload)
                if len(taken) >= 256:
                    break
                mid, payload = self._queue.get_nowait()
        except queue.Empty:
            return taken
        return taken

    def _unseen(self, mid: int, payload: bytes) -> list[Taken]:
        if mid:
            self._unacknowledged.append(mid)
        known = hashlib.blake2b(payload, digest_size=_HASH).digest()
        if known in self._seen:
            self.duplicates += 1
            return []
        self._seen[known] = None
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._messages += 1
        if len(payload) > MOST_LINE:
            return [Taken(self._messages, None)]
        return [Taken(self._messages, line) for line in payload.split(b"\n") if line]

    def position(self) -> dict[str, Any]:
        """How many messages were taken, the hashes of the last, and the topic that the broker knows we want."""
        seen = base64.b64encode(b"".join(self._seen)).decode("ascii")
        return {"messages": self._messages, "seen": seen, "topic": self._subscribed_to}

    def committed(self) -> None:
        """Acknowledge what was handed over."""
        for mid in self._unacknowledged:
            self.client.ack(mid, 1)
        self._unacknowledged.clear()

    def close(self) -> None:
        """Disconnect; the broker keeps what is not acknowledged."""
        self._closing.set()
        super().close()


class MqttSink(_Connection):
    """Lines as messages of one topic.

    Args:
        address: of broker and topic.
        client_id: another than the source's.
    """

    kind = "mqtt"

    def __init__(self, address: Address, client_id: str) -> None:
        if set(address.topic) & set("+#"):
            raise ParameterError("topic", address.topic, "one without + and #, to publish to")
        super().__init__(address, client_id, keep_session=False)
        self._sent: deque[tuple[int, int]] = deque()  # numbers of lines, and their messages'
        self._acknowledged: set[int] = set()
        self.client.on_publish = lambda client, data, mid, reason, properties: self._acknowledged.add(mid)

    def start(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """Connect, now or when the broker answers; which lines arrived, nobody says: all come again."""
        self._begin()
        return 0

    def deliver(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Publish what was not yet, and say below which number the broker has acknowledged all."""
        below = lines[0][0] if lines else 0
        while self._sent and self._sent[0][1] in self._acknowledged:
            number, mid = self._sent.popleft()
            self._acknowledged.discard(mid)
            below = number + 1
        latest = self._sent[-1][0] if self._sent else below - 1
        for number, line in lines:
            if number > latest and len(self._sent) < _IN_FLIGHT and self.client.is_connected():
                message = self.client.publish(self.address.topic, line.rstrip(b"\n"), qos=1)
                self._sent.append((number, message.mid))  # paho sends it again where the connection was lost
        return below

    def position(self) -> dict[str, Any]:
        """Nothing."""
        return {}
