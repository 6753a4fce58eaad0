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
from pipelines.settings import load_settings
from pipelines.shards import is_shards, only_shards, read_shards
from pipelines.train import plan_of, read_sessions
from tests.pipelines.batches import Inline, left
from tests.pipelines.stored import SETTINGS, write_sessions, write_shards
from tests.pipelines.undropped import unchanged

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    return write_sessions(tmp_path / "people", 3)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    return file


def test_a_shard_holds_frames_notes_and_truth(sessions: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    write_shards(sessions, out)
    read = read_sessions([sessions], notes_file=None, truth_file="truth.csv", policy=Policy())
    stored, n_failed = read_shards(out)
    assert (len(stored), n_failed, is_shards(out), is_shards(sessions)) == (3, 0, True, False)
    for session, own in zip(read, stored, strict=True):
        assert (own.name, own.truth, own.source) == (session.name, session.truth, session_hash(session))
        assert [(n.text, n.time) for n in own.notes] == [(n.text, n.time) for n in session.notes]
        made, held = session_table(session, 0.5), own.load()
        for name in ("first", "hop", "names", "channels", "units"):
            assert getattr(held, name) == getattr(made, name)
        assert held.blocks[0].tobytes() == made.blocks[0].tobytes()
    files = list((out / "results").iterdir())
    assert len(files) == 3
    assert all(file.stat().st_mode & 0o077 == 0 for file in files), "note texts are in them"


@pytest.mark.parametrize("name", ["notes.csv", "truth.csv", "wrist.csv"])
def test_B01_what_has_not_changed_is_not_made_again(sessions: Path, tmp_path: Path, name: str) -> None:
    out, again = tmp_path / "shards", Inline()
    write_shards(sessions, out)
    before = left(out)
    write_shards(sessions, out, again)
    assert not again.done and left(out) == before
    changed = sessions / "p0_day" / name
    changed.write_text("\n".join(changed.read_text().splitlines()[:-1]) + "\n")
    write_shards(sessions, out, again)
    assert again.done == ["p0_day"], "the true spans count, too"
    assert {key for key, data in left(out).items() if data != before[key]} == {
        "items.jsonl",
        "results/p0_day.shard",
    }


def test_B03_a_session_that_fails_is_named_and_the_others_are_learned_from(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people, out = write_sessions(tmp_path / "people", 3), tmp_path / "shards"
    (people / "p1_day" / "truth.csv").unlink()
    result = write_shards(people, out)
    assert [row["error"]["code"] for row in result.failures] == ["E-NO-FILE"]
    stored, n_failed = read_shards(out)
    assert ([own.name for own in stored], n_failed) == (["p0_day", "p2_day"], 1)
    assert command(asked(out, tmp_path / "model", settings)) == 0
    assert "W-SHARDS 1 sessions failed" in capsys.readouterr().err
    (out / "items.jsonl").unlink()
    with pytest.raises(InputError, match=r"E-SHARDS.*not done"):
        read_shards(out)


def test_shards_teach_what_sessions_teach_to_the_byte(tmp_path: Path, settings: Path) -> None:
    """Nine people, so that some are held out and all of the training is gone through; memory for one session."""
    people = write_sessions(tmp_path / "people", 9)
    write_shards(people, tmp_path / "shards")
    plan = plan_of(load_settings(settings, {"features.hop": 0.5}).config)
    read = read_sessions([people], notes_file=None, truth_file="truth.csv", policy=Policy())
    wanted = bundle_files(fit_coordination(read, plan))
    lines: list[Line] = []
    stored, _ = read_shards(tmp_path / "shards")
    assert bundle_files(fit_stored(stored, plan, None, Journal(lines.append), held_bytes=1)) == wanted
    assert {line["training"] for line in lines} == {"held-out", "final"}


def test_V_damaged_shards_are_refused(sessions: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    write_shards(sessions, out)
    shard, index = out / "results" / "p0_day.shard", out / "items.jsonl"
    whole = shard.read_bytes()
    stored = read_shards(out)[0][0]
    shard.write_bytes((out / "results" / "p1_day.shard").read_bytes())
    with pytest.raises(InputError, match=r"E-CHECKSUM.*changed while"):
        stored.load()
    with pytest.raises(InputError, match=r"E-SHARDS.*same files"):
        read_shards(out)
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="E-CHECKSUM"):
        read_shards(out)[0][0].load()
    for damage, said in ((whole[:-1], r"E-SHARDS.*not there whole"), (b"\x08" + bytes(99), "E-CHECKSUM")):
        shard.write_bytes(damage)
        with pytest.raises(InputError, match=said):
            read_shards(out)
    shard.unlink()
    with pytest.raises(InputError, match=r"E-SHARDS.*not there"):
        read_shards(out)
    line = json.loads(index.read_text().splitlines()[0])
    for text in (
        json.dumps(line | {"outputs": ["../elsewhere"]}),
        json.dumps(line | {"status": "failed"}),
        "none",
    ):
        index.write_text(text + "\n")
        with pytest.raises(InputError, match="E-SHARDS"):
            read_shards(out)


def test_what_cannot_be_learned_from_is_refused(sessions: Path, tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "shards"
    write_shards(sessions, out)
    with pytest.raises(ParameterError, match="one folder of shards"):
        only_shards([out, sessions], None, None)
    with pytest.raises(ParameterError, match="truth_file"):
        only_shards([out], None, "truth.csv")
    assert only_shards([sessions], None, None) is None
    plan = plan_of(load_settings(settings, {"features.hop": 0.25}).config)
    with pytest.raises(ParameterError, match="hop"):
        fit_stored(read_shards(out)[0], plan)
    truth = sessions / "p1_day" / "truth.csv"
    truth.write_text(
        "\n".join(
            f",,{row.split(',', 2)[2]}" if k else row for k, row in enumerate(truth.read_text().splitlines())
        )
    )
    write_shards(sessions, out)
    with pytest.raises(InputError, match=r"E-SHARDS.*1 stored sessions have notes and no true span"):
        fit_stored(read_shards(out)[0], plan_of(load_settings(settings).config))


def test_the_command_makes_what_the_library_does(sessions: Path, tmp_path: Path) -> None:
    words = ["batch", str(sessions), "--job", "prepare", "--jobs", "1", "-o", str(tmp_path / "s")]
    assert command([*words, "--truth-file", "truth.csv", "--hop", "0.5"]) == 0
    write_shards(sessions, tmp_path / "here")
    assert left(tmp_path / "s" / "results") == left(tmp_path / "here" / "results")
    assert command([*words, "--truth-file", "truth.csv"]) == 2, "no seconds per frame"
    assert command([*words, "--hop", "0.5"]) == 2, "no true spans"


def asked(shards: Path, out: Path, settings: Path, *options: str) -> list[str]:
    return ["train", str(shards), "-o", str(out), "--config", str(settings), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_M06_X07_killed_while_it_trains_on_shards_and_resumed(tmp_path: Path, settings: Path) -> None:
    """kill -9 as soon as there is a checkpoint; what the resumed training makes is what an untouched one makes."""
    shards, out, whole = tmp_path / "shards", tmp_path / "killed", tmp_path / "whole"
    write_shards(write_sessions(tmp_path / "people", 4), shards)
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
    write_shards(write_sessions(tmp_path / "people", 4), shards)
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
