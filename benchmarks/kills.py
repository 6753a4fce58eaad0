"""SIGKILL at random moments against a real broker: is anything lost, is anything there twice?

``python -m benchmarks.kills --kills 1000`` starts mosquitto on a free port of 127.0.0.1 and a publisher, and a live
monitor again and again, each time killed after a random time. What the lives together wrote is compared, byte for byte,
with what one monitor says that was never killed. ``--sink file`` writes to a file, where every line must stand exactly
once; ``--sink mqtt`` to a topic, where a line may come twice but must then be the same, as its reader tells by
``(stream, seq)``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from align.monitor import Monitor, StreamSettings
from pipelines.engine import Engine
from pipelines.generations import StateFolder, held
from pipelines.health import Health
from pipelines.logs import Log
from pipelines.monitor import LiveRun, Plan, warm_up
from pipelines.mqtt import Address, MqttSink, MqttSource
from pipelines.sinks import FileSink, Sink
from pipelines.sources import Taken

SETTINGS = StreamSettings(rate=50.0, noise=1.0, lateness=0.2, horizon=512)
IN, OUT = "in/rows", "out/events"
AT_WORK = 0.8  # share of lives whose time counts from when the broker has answered
PATIENCE = 60.0  # seconds without a step forward after which the last life is given up


def records(n: int, seed: int) -> list[bytes]:
    """``n`` messages: rows of two streams in turn, some blocks, some late and some twice, and notes."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        stream, k = ("wrist", "chest")[i % 2], i // 2
        level = 6.0 * ((k // 60) % 3)
        if i % 97 == 5:
            record: dict[str, object] = {"note": f"remark {i}", "t": k / 50}
        elif i % 31 == 7:
            times = [(k + j / 4) / 50 for j in range(4)]
            record = {
                "stream": stream,
                "t": times,
                "v": (level + rng.standard_normal((4, 2))).round(3).tolist(),
            }
        else:
            back = 3 if i % 41 == 9 else 0
            record = {
                "stream": stream,
                "t": (k - back + 0.5 * (back > 0)) / 50,
                "v": (level + rng.standard_normal(2)).round(3).tolist(),
            }
        lines.append(json.dumps(record).encode())
        if i % 53 == 11:
            lines.append(lines[-4])
    return lines[:n]


def uninterrupted(lines: list[bytes]) -> list[bytes]:
    """What one monitor says of them."""
    engine = Engine(Monitor(SETTINGS), Health(), Log())
    return engine.take([Taken(i, line) for i, line in enumerate(lines, 1)])


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A broker on a free port of this machine, and its port: mosquitto, else amqtt, which is written in Python."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with open(folder / "broker.log", "wb") as log:
        process = subprocess.Popen(_broker_command(folder / "broker.conf", port), stdout=log, stderr=log)
        try:
            until = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit("the broker does not answer")
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def has_mosquitto() -> bool:
    """Is that broker installed?"""
    return _mosquitto() is not None


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _broker_command(settings: Path, port: int) -> list[str]:
    mosquitto = _mosquitto()
    if mosquitto is not None:
        settings.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence false\n"
        )
        return [mosquitto, "-c", str(settings)]
    amqtt = Path(sys.executable).parent / "amqtt"
    if not amqtt.exists():
        raise SystemExit("no broker is installed: apt-get install mosquitto, or pip install amqtt")
    settings.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    return [str(amqtt), "-c", str(settings)]


def publish(port: int, path: Path, rate: float) -> None:
    """Send the lines of a file as messages, ``rate`` a second."""
    client = _client("kills-publisher", port)
    begin, sent = time.monotonic(), []
    for i, line in enumerate(path.read_bytes().splitlines()):
        time.sleep(max(0.0, begin + i / rate - time.monotonic()))
        sent.append(client.publish(IN, line, qos=1))
    for message in sent:
        message.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def collect(port: int, path: Path) -> None:
    """Write the messages of the events' topic to a file, until SIGTERM."""
    with open(path, "ab", buffering=0) as file:

        def keep(client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
            file.write(message.payload + b"\n")

        client = _client("kills-collector", port, keep)
        client.subscribe(OUT, qos=1)
        (path.parent / "collecting").touch()
        signal.sigwait({signal.SIGTERM})
        client.disconnect()
        client.loop_stop()


def _client(
    name: str, port: int, on_message: Callable[[paho.Client, Any, paho.MQTTMessage], None] | None = None
) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.max_inflight_messages_set(1000)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def live(folder: Path, port: int, sink: str) -> int:
    """One life: a forked child, already warm, that runs until it is told to stop. Its process number."""
    child = os.fork()
    if child:
        return child
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    source = Address.parse(f"mqtt://127.0.0.1:{port}/{IN}")
    target = Address.parse(f"mqtt://127.0.0.1:{port}/{OUT}")

    def make_sink(client: str) -> Sink:
        return FileSink(folder / "events") if sink == "file" else MqttSink(target, f"{client}-out")

    status = 1
    try:
        with open(folder / "log", "a") as log, held(folder / "state") as state:
            plan = Plan(SETTINGS, checkpoint=0.05)
            LiveRun(state, plan, lambda client: MqttSource(source, client), make_sink, log=Log(log)).run(
                lambda: bool(stopped)
            )
        status = 0
    except Exception as error:  # noqa: BLE001 - a forked child must not run on into its parent's code
        print(f"a life ended by itself: {error!r}", file=sys.stderr)
    finally:
        os._exit(status)


def last_life(folder: Path, port: int, sink: str, n: int, n_lines: int) -> None:
    """A life that is let be until all messages were taken and all lines have arrived, or nothing moves any more."""
    child = live(folder, port, sink)
    known, since = (-1, -1), time.monotonic()
    while known != (n, n_lines) and time.monotonic() - since < PATIENCE:
        time.sleep(0.1)
        last = StateFolder(folder / "state").load()[0]
        assert last is not None
        now = int(last.source["position"].get("messages", 0)), last.next_line - len(last.waiting)
        if now != known:
            known, since = now, time.monotonic()
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("the last life did not end well")


def survive(folder: Path, kills: int, sink: str, seed: int, longest: float) -> dict[str, object]:
    """Publish, kill, compare.

    Args:
        folder: empty.
        kills: how many lives are ended by SIGKILL.
        sink: "file" or "mqtt".
        seed: of records and moments.
        longest: seconds of a life, at most.

    Returns:
        what came of it: lines expected, lost, twice, altered, out of order.
    """
    chance = random.Random(seed)
    rate = 400.0
    lines = records(max(400, int(kills * longest / 2 * rate)), seed)
    expected = uninterrupted(lines)
    unique = len(dict.fromkeys(lines))
    (folder / "in").write_bytes(b"\n".join(lines) + b"\n")
    warm_up(SETTINGS)
    with broker(folder) as port:
        me = [sys.executable, "-m", "benchmarks.kills"]
        collector = (
            subprocess.Popen([*me, "--collect", str(port), str(folder / "events")])
            if sink == "mqtt"
            else None
        )
        until = time.monotonic() + 30
        while collector is not None and not (folder / "collecting").exists() and time.monotonic() < until:
            time.sleep(0.05)
        first = live(folder, port, sink)  # it subscribes: what is published before that nobody gets
        while not _subscribed(folder) and time.monotonic() < until:
            time.sleep(0.02)
        publisher = subprocess.Popen([*me, "--publish", str(port), str(folder / "in"), str(rate)])
        begin, child = time.monotonic(), first
        for _ in range(kills):
            if chance.random() < AT_WORK:
                _wait_until_connected(folder)
            time.sleep(chance.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            (folder / "log").unlink(missing_ok=True)
            child = live(folder, port, sink)
        seconds = time.monotonic() - begin
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        publisher.wait(600)
        killing = StateFolder(folder / "state").load()[0]
        assert killing is not None
        last_life(folder, port, sink, unique, len(expected))
        if collector is not None:
            time.sleep(0.5)
            collector.terminate()
            collector.wait(10)
    found = (folder / "events").read_bytes().splitlines(keepends=True)
    told = {"kills": kills, "sink": sink, "seconds": round(seconds, 1), "messages": len(lines)}
    while_killed = {"generations": killing.number, "taken": killing.source["position"].get("messages", 0)}
    return {**told, **while_killed, **compare(expected, found, exactly=sink == "file")}


def _wait_until_connected(folder: Path) -> None:
    until, log = time.monotonic() + 5, folder / "log"
    while time.monotonic() < until and not (log.exists() and b'"connected"' in log.read_bytes()):
        time.sleep(0.005)


def _subscribed(folder: Path) -> bool:
    state = folder / "state" / "state"
    last = StateFolder(folder / "state").load()[0] if state.exists() else None
    return last is not None and bool(last.source["position"].get("topic"))


def compare(expected: list[bytes], found: list[bytes], *, exactly: bool) -> dict[str, object]:
    """Count what is lost, twice, altered or out of order.

    Args:
        expected, found: lines.
        exactly: a line that is there twice counts; else it must only be the same.
    """
    lines: dict[tuple[str, int], bytes] = {}
    altered = twice = 0
    for line in found:
        event = json.loads(line)
        key = event["stream"], event["seq"]
        twice += key in lines
        altered += lines.setdefault(key, line) != line
    wanted = {(e["stream"], e["seq"]): line for line in expected for e in [json.loads(line)]}
    lost = sum(key not in lines for key in wanted)
    other = sum(lines[key] != line for key, line in wanted.items() if key in lines) + len(
        set(lines) - set(wanted)
    )
    good = not lost and not altered and not other and list(lines.values()) == expected
    return {
        "expected": len(expected),
        "lost": lost,
        "twice": twice,
        "altered": altered + other,
        "same_order": list(lines.values()) == expected,
        "good": good and not (exactly and twice),
    }


def main() -> int:
    """Run it and print what came of it as JSON; 0 when nothing was lost and nothing twice."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--sink", choices=["file", "mqtt"], default="file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=0.4, help="seconds of a life, at most")
    parser.add_argument("--publish", nargs=3, metavar=("PORT", "FILE", "RATE"), help=argparse.SUPPRESS)
    parser.add_argument("--collect", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.publish:
        publish(int(asked.publish[0]), Path(asked.publish[1]), float(asked.publish[2]))
        return 0
    if asked.collect:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        collect(int(asked.collect[0]), Path(asked.collect[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result = survive(Path(folder), asked.kills, asked.sink, asked.seed, asked.longest)
    print(json.dumps(result))
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
