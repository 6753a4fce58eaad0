"""The frame of the command: exit codes, one line per error, streams, locale; no data in what is printed."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from align.errors import InputError, LockedError, ParameterError, ResourceError, UnsafeError
from cli.main import COMMANDS, align, main

ROOT = Path(__file__).parent.parent
SECRET = "patient Miriam Oduya-Kern"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let ``align demo`` raise the given exception, or return the given value."""

    def install(outcome: object) -> None:
        @click.command("demo")
        def command() -> object:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        module = types.ModuleType("cli.demo")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "cli.demo", module)

    return install


def run_script(
    body: str, *, shell: str = '"$0" -c "$1"', **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with this body in its own process, under a shell line that may close or redirect."""
    script = (
        "import sys, types, click\n"
        "@click.command('demo')\n"
        f"def command():\n    {body}\n"
        "module = types.ModuleType('cli.demo'); module.command = command; sys.modules['cli.demo'] = module\n"
        "from cli.main import main\n"
        "sys.exit(main(['demo']))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = ["bash", "-c", shell, sys.executable, script]
    return subprocess.run(
        command, env=env, capture_output=True, check=False, timeout=300, preexec_fn=_interruptible
    )


def _interruptible() -> None:
    """What starts the tests in the background has them ignore Ctrl-C, and their children with them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class PanicException(BaseException):
    """Stands for polars' own, which is no Exception either."""


ERRORS = [
    (InputError("E-RAGGED", "4 fields; expected 3", file="a.csv", line=7), 3, "E-RAGGED a.csv, line 7"),
    (ParameterError("penalty", -1, "a number >= 0"), 2, "E-PARAM penalty is -1"),
    (ResourceError("E-DISK", "no space left", file="out"), 5, "E-DISK out"),
    (LockedError("E-LOCKED", "held by another process", file="out"), 6, "E-LOCKED"),
    (
        UnsafeError("E-EXISTS", "would overwrite", file="out", hint="give --force"),
        7,
        "E-EXISTS out: would overwrite. Give --force.",
    ),
    (MemoryError(SECRET), 5, "E-MEMORY"),
    (OSError(errno.ENOSPC, SECRET, "/out/a.jsonl"), 5, "E-IO /out/a.jsonl: No space left on device"),
    (PermissionError(errno.EACCES, SECRET, "/out"), 5, "E-IO /out: Permission denied"),
    (OSError(errno.EROFS, SECRET, "/out"), 5, "E-IO /out: Read-only file system"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (ValueError(SECRET), 70, "E-BUG ValueError at cli/main.py:"),
    (EOFError(SECRET), 70, "E-BUG EOFError"),
    (PanicException(SECRET), 70, "E-BUG PanicException"),
    (OSError(SECRET), 70, "E-BUG OSError"),
]


@pytest.mark.parametrize(("error", "code", "start"), ERRORS, ids=lambda v: type(v).__name__)
def test_every_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    start: str,
    broken: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(error)
    assert main(["demo"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert start in err and err.count("\n") == 1 and "Traceback" not in err
    assert SECRET not in err


@pytest.mark.parametrize(
    ("error", "code", "start"),
    [e for e in ERRORS if not isinstance(e[0], KeyboardInterrupt)],
    ids=lambda v: type(v).__name__,
)
def test_errors_json_is_one_json_line(
    error: BaseException,
    code: int,
    start: str,
    broken: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(error)
    assert main(["demo", "--errors", "json"]) == code
    err = capsys.readouterr().err
    report = json.loads(err)
    assert err.count("\n") == 1 and report["code"] == start.split()[0]
    assert SECRET not in err
    if isinstance(error, InputError):
        assert report == error.as_dict() and report["line"] == 7


def test_debug_shows_the_traceback_and_the_same_exit_code(
    broken: Callable[[object], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(ValueError("seen"))
    assert main(["demo", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("ALIGN_DEBUG", "1")
    assert main(["demo"]) == 70
    assert "ValueError: seen" in capsys.readouterr().err
    monkeypatch.setenv("ALIGN_DEBUG", "0")
    assert main(["demo"]) == 70
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_names_the_place_in_our_code(
    broken: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    from align.clock import ns_from_iso

    def raised() -> BaseException:
        try:
            ns_from_iso(SECRET)
        except ValueError as error:
            return error
        raise AssertionError("ns_from_iso accepts anything")

    broken(raised())
    assert main(["demo"]) == 70
    err = capsys.readouterr().err
    assert re.search(r"E-BUG ValueError at align/clock\.py:\d+", err) and SECRET not in err


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (4, 4), ("text", 0)])
def test_a_command_returns_its_exit_code(
    returned: object, code: int, broken: Callable[[object], None]
) -> None:
    broken(returned)
    assert main(["demo"]) == code


@pytest.mark.parametrize(("code", "exit_code"), [(None, 0), (3, 3), ("words", 1)])
def test_sys_exit_passes_through(code: object, exit_code: int, broken: Callable[[object], None]) -> None:
    broken(SystemExit(code))
    assert main(["demo"]) == exit_code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["Segmnt"], "Did you mean 'segment'?"),
        (["zzzzzz"], "Commands: demo, inspect"),
        (["--no-such"], "--no-such"),
        (["config", "shwo"], "shwo"),
        (["config", "show", "--nope"], "align config show --help"),
        (["demo", "--errors", "xml"], "allowed: text, json"),
        (["demo", "--errors"], "allowed: text, json"),
        (["a\nb\x1b[31m"], "a\\nb\\x1b[31m"),
    ],
)
def test_usage_errors_exit_2_with_one_line_and_a_hint(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("E-USAGE ") and said in err and "--help'" in err


def test_help_lists_every_command_once_and_each_is_a_module() -> None:
    for name, line in COMMANDS.items():
        assert len(line) < 90 and line.endswith("."), name
    assert align.list_commands(click.Context(align)) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: align {name}") and "--help" in out
    command = align.get_command(click.Context(align), name)
    assert command is not None and command.help, f"align {name} says nothing about itself"
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not undocumented, f"options of align {name} without help: {undocumented}"


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from align import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"align {__version__}\n"


def test_global_options_may_stand_anywhere_but_not_after_two_dashes(
    broken: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    broken(ValueError("x"))
    for arguments in (["--errors", "json", "demo"], ["--errors=json", "demo"], ["demo", "--errors=json"]):
        assert main(arguments) == 70
        assert json.loads(capsys.readouterr().err)["code"] == "E-BUG"
    assert main(["demo", "--", "--debug"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_shell_completion_offers_the_commands(
    align_command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    environment = {"_ALIGN_COMPLETE": "bash_complete", "COMP_WORDS": "align co", "COMP_CWORD": "1"}
    done = align_command(env=environment)
    assert done.stdout == "plain,config\n"
    source = align_command(env={"_ALIGN_COMPLETE": "bash_source"})
    assert "_ALIGN_COMPLETE=bash_complete" in source.stdout


# --- X11 and its kin: streams that are closed, full or not UTF-8


def test_X11_stdout_closed() -> None:
    done = run_script("print('x' * 100_000); open('/dev/null').read()", shell='"$0" -c "$1" >&-')
    assert (done.returncode, done.stderr) == (0, b"")


def test_X11_stdout_closed_does_not_write_into_the_next_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    body = f"f = open({str(target)!r}, 'w'); print('lost', flush=True); f.write('kept'); f.close()"
    assert run_script(body, shell='"$0" -c "$1" >&-').returncode == 0
    assert target.read_text() == "kept"


def test_X11_stderr_closed_keeps_the_exit_code() -> None:
    done = run_script("raise ValueError('x')", shell='"$0" -c "$1" 2>&-')
    assert (done.returncode, done.stdout) == (70, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_X09_stdout_full_is_a_resource_error() -> None:
    done = run_script("print('x')", shell='"$0" -c "$1" >/dev/full')
    assert done.returncode == 5
    assert done.stderr == b"E-IO No space left on device.\n"
    done = run_script("print('x' * 100_000)", shell='"$0" -c "$1" >/dev/full 2>/dev/full')
    assert done.returncode == 5


def test_R07_closed_pipe_is_quiet() -> None:
    body = "[print('x' * 1000) for _ in range(5000)]"
    done = run_script(body, shell='"$0" -c "$1" | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"')
    assert (done.returncode, done.stderr) == (0, b"")


LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def test_X11_C_locale_prints_anything() -> None:
    done = run_script("print('\\u03bcV \\U0001f600 \\udcff')", **LOCALE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u03bcV \\U0001f600 \\udcff\n", b"")
    done = run_script("raise __import__('align').AlignError('E-X', '\\u03bcV \\udcff')", **LOCALE)
    assert (done.returncode, done.stderr) == (70, b"E-X \\u03bcV \\udcff.\n")


def test_F23_unreadable_names_are_printed_escaped() -> None:
    body = (
        "raise __import__('align').errors.InputError('E-EMPTY', 'no bytes', file='a\\n\\x1b[2J\\udcff.csv')"
    )
    done = run_script(body)
    assert (done.returncode, done.stderr) == (3, b"E-EMPTY a\\x0a\\x1b[2J\\udcff.csv: no bytes.\n")


def test_warnings_of_libraries_are_silent_unless_asked_for() -> None:
    body = "__import__('warnings').warn('library chatter')"
    assert run_script(body).stderr == b""
    assert b"library chatter" in run_script(body, ALIGN_DEBUG="1").stderr


def test_an_interrupt_exits_130() -> None:
    body = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    done = run_script(body)
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")
