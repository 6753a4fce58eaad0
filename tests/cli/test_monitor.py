"""``align monitor`` as a process: signals, pipes, locks, and that notes stay out of everything but the engine."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.request import urlopen

import pytest

from align.monitor import Monitor
from cli.monitor import command
from tests.cli.recordings import Done
from tests.pipelines.live import kept, lines, uninterrupted
from tests.source import ROOT

CUT = ["--rate", "50", "--noise", "1", "--lateness", "0.1", "--horizon", "256", "--checkpoint", "0.05"]
Process = subprocess.Popen[bytes]


@contextmanager
def started(state: Path, *more: str, wait: bool = True) -> Iterator[Process]:
    """The command in its own process, once it runs; ended when the block is."""
    program = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main())", "monitor"]
    with subprocess.Popen(
        [*program, "--state", str(state), *CUT, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            while wait and b'"started"' not in told(process):
                assert process.poll() is None
            yield process
        finally:
            process.kill()


def told(process: Process) -> bytes:
    assert process.stderr is not None
    return process.stderr.readline()


def ended(
    process: Process, number: int | None = None, within: float = 100.0
) -> tuple[int, bytes, bytes, float]:
    """Exit code, stdout, stderr and how long it took from the signal."""
    begin = time.monotonic()
    if number is not None:
        process.send_signal(number)
        process.wait(within)  # before its stdin is closed: the end of the source is not what is asked for
    seconds = time.monotonic() - begin
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err, seconds


def give(process: Process, given: list[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n".join(given) + b"\n")
    process.stdin.flush()


def until(true: Callable[[], bool], within: float = 60.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def test_S12_S14_stdin_to_stdout_with_bad_lines_named_and_no_text_anywhere(tmp_path: Path) -> None:
    given = [line.replace(b"remark", b"CANARY-7f3a") for line in lines()]
    planted = [
        *given[:50],
        b'{"note": "CANARY-7f3a',
        b'{"stream": "CANARY-7f3a", "t": "CANARY-7f3a", "v": 1}',
        *given[50:],
    ]
    with started(tmp_path / "state") as process:
        give(process, planted)
        code, out, err, _ = ended(process)
    assert code == 0 and out == uninterrupted(given)
    said = [json.loads(line) for line in err.splitlines()]
    assert [(e["code"], e["line"]) for e in said if e["level"] == "error"] == [("E-JSON", 51), ("E-TIME", 52)]
    state = b"".join(p.read_bytes() for p in (tmp_path / "state").iterdir())
    assert b"CANARY" not in out + err + state


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_R11_told_to_stop_it_leaves_a_state_and_goes_on_from_it(
    tmp_path: Path, number: int, code: int
) -> None:
    given, state, out = lines(), tmp_path / "state", tmp_path / "out"
    with started(state, "--sink", str(out)) as process:
        give(process, given[:200])
        until(lambda: out.exists() and out.stat().st_size > 0)
        found, _, err, seconds = ended(process, number)
    assert found == code and b'"stopped"' in err
    assert seconds < 2 or os.getloadavg()[0] > 2 * (os.cpu_count() or 1), seconds
    with started(state, "--sink", str(out)) as process:
        give(process, given)  # the producer sends all of it again
        assert ended(process)[0] == 0
    said = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert len({(e["stream"], e["seq"]) for e in said}) == len(said)
    assert out.read_bytes() == uninterrupted(given)


def test_R11_a_second_interrupt_is_not_waited_for(tmp_path: Path) -> None:
    with started(tmp_path / "state", "--sink", str(tmp_path / "out")) as process:
        give(process, lines(100))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130
    assert kept(tmp_path / "state").number >= 1


def test_R07_a_reader_that_goes_away_ends_it_well_and_one_that_sleeps_does_not_hold_it(
    tmp_path: Path,
) -> None:
    given = lines(1_000)
    with started(tmp_path / "gone") as process:
        assert process.stdout is not None
        process.stdout.close()
        give(process, given[:1_000])
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
    assert kept(tmp_path / "gone").waiting
    with started(tmp_path / "slow", "--source", str(tmp_path / "in")) as process:
        (tmp_path / "in").write_bytes(b"\n".join(lines(20_000)) + b"\n")  # more than its reader's pipe holds
        until(lambda: (tmp_path / "slow" / "state").exists() and len(kept_or_none(tmp_path / "slow")) > 100)
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - begin < 2 or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def kept_or_none(state: Path) -> tuple[bytes, ...]:
    try:
        return kept(state).waiting
    except (AssertionError, OSError):
        return ()


def test_R13_a_second_process_exits_6_and_names_the_first(tmp_path: Path) -> None:
    with started(tmp_path / "state") as first, started(tmp_path / "state", wait=False) as second:
        code, _, err, _ = ended(second)
        assert code == 6 and f"process {first.pid} on {socket.gethostname()}".encode() in err
        first.kill()
        first.wait()
        with started(tmp_path / "state") as third:
            assert ended(third, signal.SIGTERM)[0] == 0


def test_a_file_is_followed_and_health_and_metrics_are_served_without_names(tmp_path: Path) -> None:
    pytest.importorskip(
        "prometheus_client", reason="needs prometheus-client: pip install 'streamnotes[metrics]'"
    )
    given, source, out = lines(), tmp_path / "in.ndjson", tmp_path / "out"
    source.write_bytes(b"\n".join([*given, b"bad"]) + b"\n")
    with started(
        tmp_path / "state", "--source", str(source), "--sink", str(out), "--metrics", "0", wait=False
    ) as process:
        port = json.loads(told(process))["port"]
        whole = uninterrupted(given, close=False)
        until(lambda: out.exists() and out.read_bytes() == whole)
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200 and json.load(answer)["bad_records"] == 1
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert ended(process, signal.SIGTERM)[0] == 0
    numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(numbers["align_rows_total"]) == 400 and float(numbers["align_notes_total"]) == 3
    assert float(numbers['align_bad_records_total{code="E-JSON"}']) == 1
    assert float(numbers["align_delivered_total"]) == whole.count(b"\n")
    assert 'stream="' not in text and str(tmp_path) not in text


def test_rules_raise_alerts(tmp_path: Path, align: Callable[..., Done]) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[silences."a is lost"]\nstream = "a"\nafter = 1.0\n')
    recording = tmp_path / "r.ndjson"
    rows = [b'{"stream": "%s", "t": %f, "v": 1}' % (b"b" if i > 100 else b"a", i / 50) for i in range(400)]
    recording.write_bytes(b"\n".join(rows))
    done = align("monitor", "--replay", recording, "--state", tmp_path / "s", "--sink", tmp_path / "out",
                 "--rules", rules, "--rate", 50, "--noise", 1)  # fmt: skip
    assert done.code == 0, done.err
    said = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    alerts = [e for e in said if e["event"] == "alert"]
    assert {e["name"] for e in alerts} == {"a is lost"} and (alerts[-1]["start"], alerts[-1]["end"]) == (
        2.0,
        3.0,
    )


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--source", "amqp://x/y"], "allowed: stdin"),
        (["--sink", "ftp://x"], "allowed: stdout"),
        (["--speed", "fast"], "100x"),
        (["--replay", "x", "--source", "y"], "one of them"),
        (["--source", "mqtt://user:secret@h/t"], "ALIGN_MQTT_PASSWORD"),
        (["--sink", "mqtt://h/t/#"], "without"),
        (["--rate", "0"], "rate"),
        (["--checkpoint", "0"], "checkpoint"),
    ],
)
def test_what_means_nothing_is_a_usage_error(
    tmp_path: Path, align: Callable[..., Done], more: list[str], what: str
) -> None:
    done = align("monitor", "--state", tmp_path / "s", *more)
    assert done.code == 2 and what in done.err and "secret" not in done.err


EXAMPLES = ROOT / "docs" / "examples"


def test_the_examples_of_services_give_options_that_there_are() -> None:
    unit = (EXAMPLES / "align-monitor.service").read_text()
    words = shlex.split(unit.partition("ExecStart=")[2].partition("\n")[0])
    assert words[1] == "monitor" and command.make_context("monitor", words[2:]).params["rate"] == 50.0
    container = (EXAMPLES / "Containerfile").read_text()
    entry = json.loads(container.partition("ENTRYPOINT ")[2].partition("\n")[0])
    assert entry[1] == "monitor" and command.make_context("monitor", entry[2:]).params["metrics"] == 9464
    health = json.loads(container.partition("HEALTHCHECK ")[2].partition("CMD ")[2].partition("\n")[0])
    compile(health[-1], "health check", "exec")
    assert ":9464/healthz" in health[-1]


def test_the_kafka_example_imports_and_reads_a_row() -> None:
    specification = spec_from_file_location("kafka_to_monitor", EXAMPLES / "kafka_to_monitor.py")
    assert specification is not None and specification.loader is not None
    example = module_from_spec(specification)
    specification.loader.exec_module(example)
    stream, seconds, values = example.row_of(b'{"stream": "wrist", "t": 1.5, "v": [1, 2]}')
    assert Monitor(example.SETTINGS).push(stream, seconds, values) == []


def test_a_model_links_notes_and_a_codebook_names_segments(
    tmp_path: Path, align: Callable[..., Done], tiny_model: Path
) -> None:
    """A sample session as it would come live: its movement, and two of its notes."""
    wrist = (ROOT / "sample_data" / "p5" / "wrist.csv").read_text().splitlines()
    rows = [line.split(",") for line in wrist[1:]]
    records = [
        (float(t), {"stream": "wrist", "t": float(t), "v": [float(v) if v else None for v in values]})
        for t, *values in rows
    ]
    records += [
        (20.0, {"note": "lost my balance", "t": 20.0}),
        (30.0, {"note": "went for a walk", "t": 30.0}),
    ]
    given = tmp_path / "p5.ndjson"
    given.write_text("".join(json.dumps(r) + "\n" for _, r in sorted(records, key=lambda pair: pair[0])))
    names = [part.partition(" [") for part in wrist[0].split(",")[1:]]
    streams = tmp_path / "streams.toml"
    channels, units = [name for name, _, _ in names], [unit.rstrip("]") for _, _, unit in names]
    streams.write_text(
        f"[wrist]\nrate = 50.0\nchannels = {json.dumps(channels)}\nunits = {json.dumps(units)}\n"
    )
    made = align(
        "tokenize", ROOT / "sample_data" / "p5" / "wrist.csv", "-o", tmp_path / "tokens", "--codes", 3
    )
    assert made.code == 0, made.err
    parts = (
        "--streams",
        streams,
        "--model",
        tiny_model,
        "--codebook",
        tmp_path / "tokens" / "codebook.safetensors",
    )
    place = ("--replay", given, "--state", tmp_path / "state", "--sink", tmp_path / "out")
    done = align("monitor", *place, *parts)
    assert done.code == 0, done.err
    said = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    links = [event for event in said if event["event"] == "link" and event["final"]]
    assert sorted(event["note"] for event in links) == [0, 1]
    tokens = [event for event in said if event["event"] == "token"]
    segments = [e for e in said if e["event"] == "segment" and e["final"]]
    assert [(e["start"], e["end"]) for e in tokens] == [(e["start"], e["end"]) for e in segments]
    assert {event["code"] for event in tokens} <= {0, 1, 2} and b"balance" not in (
        tmp_path / "out"
    ).read_bytes() + done.err.encode()
    again = align("monitor", *place, "--streams", streams)
    again.refused("E-STATE-MISMATCH", 3)
