"""MQTT against a real broker: what is acknowledged is safe, what comes again is known, and SIGKILL loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from align.errors import AlignError
from benchmarks.kills import has_mosquitto
from pipelines.generations import held
from pipelines.monitor import LiveRun, Plan
from pipelines.mqtt import Address, MqttSink, MqttSource
from tests.pipelines.live import SETTINGS, lines, uninterrupted
from tests.source import ROOT

paho = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'streamnotes[mqtt]'")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from benchmarks.kills import broker

    try:
        with broker(tmp_path_factory.mktemp("broker")) as found:
            yield found
    except SystemExit as missing:
        pytest.skip(str(missing))


@pytest.fixture
def mosquitto(port: int) -> int:
    """The port of a mosquitto: amqtt 0.12 does not send again what a killed client had not acknowledged."""
    if not has_mosquitto():
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    return port


def client(port: int, name: str) -> Any:
    from paho.mqtt.enums import CallbackAPIVersion

    made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
    made.connect("127.0.0.1", port)
    made.loop_start()
    return made


def publish(port: int, topic: str, payloads: list[bytes]) -> None:
    publisher = client(port, f"publisher-{topic}".replace("/", "-"))
    for message in [publisher.publish(topic, payload, qos=1) for payload in payloads]:
        message.wait_for_publish(30)
    publisher.disconnect()
    publisher.loop_stop()


def polled(source: MqttSource, count: int, within: float = 30.0) -> list[bytes]:
    until, got = time.monotonic() + within, list[bytes]()
    while len(got) < count and time.monotonic() < until:
        got += [taken.what for taken in source.poll(0.05) if isinstance(taken.what, bytes)]
    return got


def subscribed(source: MqttSource, within: float = 30.0) -> None:
    until = time.monotonic() + within
    while not source.position()["topic"]:
        assert time.monotonic() < until, source.notices()
        source.poll(0.02)


def test_an_address_is_read_and_a_password_in_it_is_refused() -> None:
    assert Address.parse("mqtt://h/a/b/#") == Address("h", 1883, "a/b/#", False)
    assert Address.parse("mqtts://[::1]:99/+/x") == Address("::1", 99, "+/x", True)
    assert Address.parse("mqtts://h/x").port == 8883
    for wrong in ("mqtt://h", "mqtt:///x", "mqtt://h:port/x", "http://h/x"):
        with pytest.raises(AlignError, match="mqtt://HOST:PORT/TOPIC"):
            Address.parse(wrong)
    with pytest.raises(AlignError, match="ALIGN_MQTT_PASSWORD") as caught:
        Address.parse("mqtt://user:secret@h/x")
    assert "secret" not in str(caught.value)


def test_R05_what_was_not_acknowledged_comes_again_and_is_known(mosquitto: int) -> None:
    port = mosquitto
    address = Address.parse(f"mqtt://127.0.0.1:{port}/r05/rows")
    first = MqttSource(address, "r05")
    first.start({})
    subscribed(first)
    publish(port, "r05/rows", [b"%d" % i for i in range(60)])
    got = polled(first, 20)
    first.committed()  # these are safe
    while len(got) < 40:
        got += polled(first, 1)
    position = first.position()  # and these in a generation whose acknowledgements were never sent
    first.close()
    second = MqttSource(address, "r05")
    second.start(position)
    rest, until = polled(second, 60 - len(got)), time.monotonic() + 30
    while second.duplicates < len(got) - 20 and time.monotonic() < until:
        rest += polled(second, 1, within=0.1)
    assert got + rest == [b"%d" % i for i in range(60)]
    assert 0 < second.duplicates <= len(got) and second.position()["messages"] == 60
    second.committed()
    time.sleep(0.2)
    second.close()
    third = MqttSource(address, "r05")
    third.start({**second.position(), "seen": ""})
    assert polled(third, 1, within=0.5) == [], "all was acknowledged"
    third.close()


def test_through_the_broker_and_out_again_the_lines_are_those_of_one_push(port: int, tmp_path: Path) -> None:
    given = lines(240)
    whole = uninterrupted(given, close=False).splitlines()
    heard: list[bytes] = []
    listener = client(port, "listener")
    listener.on_message = lambda c, data, message: heard.append(message.payload)
    listener.subscribe("whole/out", qos=1)
    source = Address.parse(f"mqtt://127.0.0.1:{port}/whole/in")
    sink = Address.parse(f"mqtt://127.0.0.1:{port}/whole/out")
    sent: list[int] = []
    until = time.monotonic() + 60

    def stopped() -> bool:
        if not sent and run._source.position()["topic"]:
            sent.append(1)
            publish(port, "whole/in", [b"\n".join(given[i : i + 3]) for i in range(0, len(given), 3)])
        return len(heard) >= len(whole) or time.monotonic() > until

    with held(tmp_path / "state") as folder:
        plan = Plan(SETTINGS, checkpoint=0.05)
        run = LiveRun(
            folder, plan, lambda name: MqttSource(source, name), lambda name: MqttSink(sink, f"{name}-out")
        )
        run.run(stopped)
    listener.disconnect()
    listener.loop_stop()
    assert heard == whole


def test_a_broker_that_is_away_is_told_and_does_not_hold_the_end(free_port: int) -> None:
    source = MqttSource(Address("127.0.0.1", free_port, "x", False), "away")
    source.start({})
    until, told = time.monotonic() + 20, list[str]()
    while "W-MQTT-AWAY" not in told and time.monotonic() < until:
        source.poll(0.05)
        told += [code for code, _ in source.notices()]
    assert told and not source.connected
    begin = time.monotonic()
    source.close()
    assert time.monotonic() - begin < 2


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("sink", ["file", "mqtt"])
def test_P06_killed_at_random_against_a_real_broker_nothing_is_lost_and_nothing_twice(
    mosquitto: int, sink: str
) -> None:
    """Five kills; ``python -m benchmarks.kills`` does a thousand."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", "--kills", "5", "--sink", sink, "--seed", str(mosquitto)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["kills"] == 5 and result["lost"] == result["altered"] == 0 and result["expected"] > 10
    assert sink == "mqtt" or result["twice"] == 0
