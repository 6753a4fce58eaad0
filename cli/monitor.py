"""``align monitor``: cut live streams for weeks; killed at any moment, it goes on and says nothing twice."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from align.monitor import StreamSettings
    from pipelines.monitor import Parts
    from pipelines.sinks import Sink
    from pipelines.sources import Source

__all__ = ["command"]


def _speed(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        speed = math.inf if value == "max" else float(value.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise click.BadParameter("allowed: a factor as 100x, or max", context, parameter)
    return speed


@click.command("monitor")
@click.option("--state", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder that holds where it is; made if need be.")  # fmt: skip
@click.option("--source", default="stdin", show_default=True, metavar="stdin|FILE|mqtt://HOST:PORT/TOPIC",
              help="Where records come from; a file is followed as it grows.")  # fmt: skip
@click.option("--replay", type=click.Path(path_type=Path), metavar="FILE",
              help="Take a recording instead of a source: records (.ndjson, .jsonl) or any stream file.")  # fmt: skip
@click.option("--speed", default="max", show_default=True, callback=_speed, metavar="FACTOR",
              help="How much faster than real time a recording is replayed, as 100x.")  # fmt: skip
@click.option("--sink", default="stdout", show_default=True, metavar="stdout|FILE|mqtt://..|http://..",
              help="Where events go.")  # fmt: skip
@click.option("--rate", type=float, metavar="HZ", help="Samples per second; the default is learned.")
@click.option("--noise", type=float, metavar="SD", help="Noise of every channel; the default is learned.")
@click.option(
    "--penalty", type=float, metavar="NUMBER", help="Price of a change point, in units of the noise."
)
@click.option("--min-duration", type=float, metavar="S", help="Least seconds of a segment.")
@click.option("--lateness", type=float, default=1.0, show_default=True, metavar="S",
              help="Seconds that a row may come after a later one.")  # fmt: skip
@click.option("--gap-factor", type=float, default=4.0, show_default=True, metavar="N",
              help="A pause longer than N sample periods is a gap.")  # fmt: skip
@click.option("--warm-up", type=int, default=512, show_default=True, metavar="ROWS",
              help="Rows from which rate and noise are learned.")  # fmt: skip
@click.option("--horizon", type=int, metavar="ROWS", help="Rows of a stream that are kept at most.")
@click.option("--max-wait", type=float, metavar="S",
              help="Seconds until a silent stream's last segment is made final; the default is never.")  # fmt: skip
@click.option("--checkpoint", type=float, default=1.0, show_default=True, metavar="S",
              help="Seconds between states on the disk; events wait for one.")  # fmt: skip
@click.option("--streams", type=click.Path(path_type=Path), metavar="FILE",
              help="A TOML file of streams: their channels, units, rates and settings.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), metavar="FOLDER",
              help="A trained model: notes become links, phrases of rules are looked for.")  # fmt: skip
@click.option("--codebook", type=click.Path(path_type=Path), metavar="FILE",
              help="Codebooks of `align tokenize`: segments become tokens.")  # fmt: skip
@click.option("--rules", type=click.Path(path_type=Path), metavar="FILE",
              help="A TOML file of what to raise alerts for.")  # fmt: skip
@click.option("--metrics", type=click.IntRange(0, 65_535), metavar="PORT",
              help="Serve /healthz and /metrics (Prometheus) on 127.0.0.1; 0 takes a free port.")  # fmt: skip
@click.option("--keep-open", is_flag=True, help="Where the source ends, leave open what is open.")
@click.option(
    "--migrate", is_flag=True, help="Go on under other settings, or behind a source that had ended."
)
@click.option("--force", is_flag=True, help="Replace a sink file that this state did not write.")
def command(state: Path, source: str, replay: Path | None, sink: str, **asked: Any) -> int:
    """Cut live streams into segments, as events, one line of JSON each.

    Records are lines of JSON: {"stream": "wrist", "t": 12.34, "v": [1.5, null]} (one value per channel; blocks of rows
    with lists), {"note": "..", "t": ..}, {"heartbeat": "wrist", "t": ..}, {"acknowledge": "RULE"}. A bad one is named
    on stderr and left out. Stopped or killed, the same command goes on: every event arrives, and none twice.
    """
    from align.monitor import StreamSettings
    from pipelines.generations import held
    from pipelines.health import Health, HealthServer
    from pipelines.logs import Log
    from pipelines.monitor import LiveRun, Plan, warm_up

    names = ("rate", "noise", "penalty", "min_duration", "lateness", "gap_factor", "warm_up")
    given = {name: asked[name] for name in names}
    if asked["horizon"] is not None:
        given["horizon"] = asked["horizon"]
    settings = StreamSettings(**given)
    parts = _parts(settings, asked)
    plan = Plan(settings, asked["checkpoint"], asked["max_wait"], asked["keep_open"], asked["migrate"], parts)
    make_source = _source(source, replay, asked["speed"])
    make_sink = _sink(sink, force=asked["force"])
    health, log = Health(), Log()
    with ExitStack() as stack:
        folder = stack.enter_context(held(state))
        warm_up(settings)
        if asked["metrics"] is not None:
            server = HealthServer(health, asked["metrics"])
            stack.callback(server.close)
            log("info", "metrics", "/healthz and /metrics on 127.0.0.1", port=server.port)
        stopped = stack.enter_context(_signals())
        LiveRun(folder, plan, make_source, make_sink, health, log).run(lambda: bool(stopped))
    return 130 if signal.SIGINT in stopped else 0


def _parts(settings: StreamSettings, asked: Mapping[str, Any]) -> Parts:
    """What ``--streams``, ``--model``, ``--codebook`` and ``--rules`` name, read; torch only for a model."""
    from pipelines.monitor import Parts

    given: dict[str, Any] = {}
    if asked["streams"] is not None:
        from pipelines.live_streams import read_streams

        given["streams"] = read_streams(asked["streams"], settings)
    if asked["model"] is not None:
        from align.coordination import load_coordination

        given["model"] = load_coordination(asked["model"])
    if asked["codebook"] is not None:
        from align.tokens import load_books

        given["codebook"] = {book.stream: book.codebook for book in load_books(asked["codebook"])}
    if asked["rules"] is not None:
        from align.rules import read_rules

        given["rules"] = read_rules(asked["rules"])
    return Parts(**given)


def _source(source: str, replay: Path | None, speed: float) -> Callable[[str], Source]:
    """What makes the source, once the state's name among brokers is known."""
    from pipelines.sources import StdinSource

    if replay is not None:
        from pipelines.replay import ReplaySource

        if source != "stdin":
            raise click.UsageError("--replay stands in place of --source; give one of them.")
        return lambda client: ReplaySource(replay, speed)
    if source in ("stdin", "-"):
        return lambda client: StdinSource()
    if source.startswith(("mqtt://", "mqtts://")):
        from pipelines.mqtt import Address, MqttSource

        address = Address.parse(source)
        return lambda client: MqttSource(address, client)
    if "://" in source:
        raise click.BadParameter("allowed: stdin, a file, mqtt://HOST:PORT/TOPIC", param_hint="--source")
    from pipelines.tail import FileSource

    return lambda client: FileSource(Path(source))


def _sink(sink: str, *, force: bool) -> Callable[[str], Sink]:
    """What makes the sink, once the state's name among brokers is known."""
    from pipelines.sinks import FileSink, StdoutSink

    if sink in ("stdout", "-"):
        return lambda client: StdoutSink()
    if sink.startswith(("mqtt://", "mqtts://")):
        from pipelines.mqtt import Address, MqttSink

        address = Address.parse(sink)
        return lambda client: MqttSink(address, f"{client}-out")
    if sink.startswith(("http://", "https://")):
        from pipelines.webhook import WebhookSink

        return lambda client: WebhookSink(sink)
    if "://" in sink:
        raise click.BadParameter(
            "allowed: stdout, a file, mqtt://.., http://.., https://..", param_hint="--sink"
        )
    return lambda client: FileSink(Path(sink), force=force)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGTERM, SIGHUP and Ctrl-C ask for a clean stop; a second Ctrl-C is not waited for. Those that came."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if number == signal.SIGINT and signal.SIGINT in asked:
            raise KeyboardInterrupt
        asked.append(number)

    old = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
