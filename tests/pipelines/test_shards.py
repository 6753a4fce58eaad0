"""pipelines/shards.py: what a shard holds, that it is whole, and that training on shards is training on sessions."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from align.coordination import bundle_files, fit_coordination
from align.coordination.fitting import fit_stored
from align.coordination.inputs.layout import session_table
from align.coordination.loop.journal import Journal, Line
from align.coordination.network.dropout import Dropout
from align.coordination.saved.provenance import session_hash
from align.errors import InputError, ParameterError
from align.readers import Policy
from cli.main import main as command
from pipelines import shards as module
from pipelines.settings import load_settings
from pipelines.shards import INDEX, Wanted, is_shards, main, only_shards, read_shards, write_shards
from pipelines.train import plan_of, read_sessions
from tests.pipelines.stored import SETTINGS, write_sessions
from tests.pipelines.undropped import unchanged

ROOT = Path(__file__).parent.parent.parent
WANTED = Wanted("truth.csv", hop=0.5)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    return write_sessions(tmp_path / "people", 3)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    return file


def test_a_shard_holds_frames_notes_and_truth(sessions: Path, tmp_path: Path) -> None:
    files, written = write_shards([sessions], tmp_path / "shards", WANTED)
    read = read_sessions([sessions], notes_file=None, truth_file="truth.csv", policy=Policy())
    stored = read_shards(tmp_path / "shards")
    assert written == len(files) == len(stored) == 3 and is_shards(tmp_path / "shards")
    for session, own in zip(read, stored, strict=True):
        assert (own.name, own.truth, own.source) == (session.name, session.truth, session_hash(session))
        assert [(n.text, n.time) for n in own.notes] == [(n.text, n.time) for n in session.notes]
        made, held = session_table(session, 0.5), own.load()
        assert (held.first, held.hop, held.names, held.channels, held.units) == (
            made.first,
            made.hop,
            made.names,
            made.channels,
            made.units,
        )
        assert held.blocks[0].tobytes() == made.blocks[0].tobytes()
    assert all(file.stat().st_mode & 0o077 == 0 for file in files), "note texts are in them"


def test_B_what_is_there_is_not_written_again(
    sessions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shards"
    files, _ = write_shards([sessions], out, WANTED)
    before = {file: file.read_bytes() for file in [*files, out / INDEX]}
    files[1].unlink()
    reading = []
    monkeypatch.setattr(module, "_read", lambda *a, honest=module._read: reading.append(a[0]) or honest(*a))
    again, written = write_shards([sessions], out, WANTED)
    assert (again, written, len(reading)) == (files, 1, 1)
    assert {file: file.read_bytes() for file in before} == before
    note = sessions / "p0_day" / "notes.csv"
    note.write_text(note.read_text() + "5,one more\n")
    changed, written = write_shards([sessions], out, WANTED)
    assert written == 1 and changed[0] != files[0] and changed[1:] == files[1:]


def test_the_hop_is_that_of_a_training_on_all_sessions(
    sessions: Path, tmp_path: Path, settings: Path
) -> None:
    write_shards([sessions], tmp_path / "shards", Wanted("truth.csv"))
    read = read_sessions([sessions], notes_file=None, truth_file="truth.csv", policy=Policy())
    model = fit_coordination(read, plan_of(load_settings(settings).config))
    assert {own.hop for own in read_shards(tmp_path / "shards")} == {model.layout.hop}


def test_shards_teach_what_sessions_teach_to_the_byte(tmp_path: Path, settings: Path) -> None:
    """Nine people, so that some are held out and all of the training is gone through; memory for one session."""
    people = write_sessions(tmp_path / "people", 9)
    write_shards([people], tmp_path / "shards", WANTED)
    plan = plan_of(load_settings(settings, {"features.hop": 0.5}).config)
    read = read_sessions([people], notes_file=None, truth_file="truth.csv", policy=Policy())
    wanted = bundle_files(fit_coordination(read, plan))
    lines: list[Line] = []
    stored = read_shards(tmp_path / "shards")
    assert bundle_files(fit_stored(stored, plan, None, Journal(lines.append), held_bytes=1)) == wanted
    assert {line["training"] for line in lines} == {"held-out", "final"}


def test_V_damaged_shards_are_refused(sessions: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    files, _ = write_shards([sessions], out, WANTED)
    whole = files[0].read_bytes()
    files[0].chmod(0o600)
    files[0].write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="E-CHECKSUM"):
        read_shards(out)[0].load()
    files[0].write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"E-SHARDS.*not there whole"):
        read_shards(out)
    files[0].write_bytes(b"\x08" + bytes(len(whole) - 1))
    with pytest.raises(InputError, match="E-CHECKSUM"):
        read_shards(out)
    line = json.loads((out / INDEX).read_text().splitlines()[0])
    (out / INDEX).write_text(json.dumps(line | {"file": "../elsewhere"}) + "\n")
    with pytest.raises(InputError, match="E-SHARDS"):
        read_shards(out)
    (out / INDEX).write_text("no index\n")
    with pytest.raises(InputError, match=r"E-SHARDS.*no index"):
        read_shards(out)


def test_what_cannot_be_learned_from_is_refused(sessions: Path, tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "shards"
    write_shards([sessions], out, WANTED)
    with pytest.raises(ParameterError, match="one folder of shards"):
        only_shards([out, sessions], None, None)
    with pytest.raises(ParameterError, match="truth_file"):
        only_shards([out], None, "truth.csv")
    assert only_shards([sessions], None, None) is None
    plan = plan_of(load_settings(settings, {"features.hop": 0.25}).config)
    with pytest.raises(ParameterError, match="hop"):
        fit_stored(read_shards(out), plan)
    truth = sessions / "p1_day" / "truth.csv"
    truth.write_text(
        "\n".join(
            f",,{row.split(',', 2)[2]}" if k else row for k, row in enumerate(truth.read_text().splitlines())
        )
    )
    write_shards([sessions], out, WANTED)
    with pytest.raises(InputError, match=r"E-SHARDS.*1 stored sessions have notes and no true span"):
        fit_stored(read_shards(out), plan_of(load_settings(settings).config))


def test_the_command_says_what_it_wrote(
    sessions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(sessions), "--out", str(tmp_path / "s"), "--truth-file", "truth.csv", "--hop", "0.5"]
    assert main(words) == 0
    assert "3 shards, 3 of them new" in capsys.readouterr().out
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "s"), "--truth-file", "t"]) == 3
    assert "E-NO-FILE" in capsys.readouterr().err


def asked(shards: Path, out: Path, settings: Path, *options: str) -> list[str]:
    return ["train", str(shards), "-o", str(out), "--config", str(settings), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_M06_X07_killed_while_it_trains_on_shards_and_resumed(tmp_path: Path, settings: Path) -> None:
    """kill -9 as soon as there is a checkpoint; what the resumed training makes is what an untouched one makes."""
    shards, out, whole = tmp_path / "shards", tmp_path / "killed", tmp_path / "whole"
    write_shards([write_sessions(tmp_path / "people", 4)], shards, WANTED)
    settings.write_text(SETTINGS.replace("epochs = 3", "epochs = 40"))
    words = asked(shards, out, settings, "--checkpoint-every", "1")
    program = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main(sys.argv[1:]))"]
    process = subprocess.Popen([*program, *words], env=environment(), cwd=ROOT, stderr=subprocess.DEVNULL)
    latest = time.monotonic() + 120
    while not (out / "final.checkpoint").exists():
        assert process.poll() is None and time.monotonic() < latest, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "model.json").exists(), "it was killed too late to show anything"
    assert command([*words, "--resume"]) == command(asked(shards, whole, settings)) == 0
    for name in ("model.safetensors", "model.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_torchrun_with_two_processes_trains_what_one_does(
    tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real ``torchrun``, gloo between two processes, the whole command; without dropout, whose masks would differ."""
    shards = tmp_path / "shards"
    write_shards([write_sessions(tmp_path / "people", 4)], shards, WANTED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port", str(port), "-m", "tests.pipelines.undropped"]
    done = subprocess.run(
        [*launcher, *asked(shards, tmp_path / "two", settings)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    monkeypatch.setattr(Dropout, "forward", unchanged)
    assert command(asked(shards, tmp_path / "one", settings)) == 0
    two, one = (
        [json.loads(line) for line in (tmp_path / name / "training.jsonl").read_text().splitlines()]
        for name in ("two", "one")
    )
    assert len(two) == len(one) == 3
    for together, alone in zip(two, one, strict=True):
        assert together["step"] == alone["step"] and together["loss"] == pytest.approx(
            alone["loss"], rel=1e-4
        )
    found = load_file(tmp_path / "two" / "model.safetensors")
    for name, weights in load_file(tmp_path / "one" / "model.safetensors").items():
        np.testing.assert_allclose(found[name], weights, atol=1e-4, err_msg=name)
