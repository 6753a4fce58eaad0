"""What the documents show is run: every command and Python block, in order, beside sample_data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import COMMANDS
from pipelines.settings import load_settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<fence>```+)(?P<kind>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$", re.DOTALL | re.MULTILINE
)
# What a newcomer does once, before anything can be run: looked at, not done again.
SETTING_UP = re.compile(r"(git clone|cd|pip install|python3? -m venv|python3? -m pip install) \S.*")
NOT_RUN = {"text", "json", "toml", "csv"}


@dataclass(frozen=True)
class Block:
    """One fenced block: where it begins, its language and its lines."""

    file: Path
    line: int
    kind: str
    body: str

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line} ({self.kind})"


def blocks(file: Path) -> list[Block]:
    text = file.read_text("utf-8")
    return [
        Block(file, text[: m.start()].count("\n") + 1, m["kind"], m["body"]) for m in FENCE.finditer(text)
    ]


def short(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", DOCUMENTS, ids=short)
def test_the_blocks_of_a_document_run_in_order(file: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    for block in blocks(file):
        if block.kind == "bash":
            run_bash(block, tmp_path)
        elif block.kind == "console":
            run_console(block, tmp_path)
        elif block.kind == "python":
            run([sys.executable, "-c", block.body], block, tmp_path)
        elif block.kind == "json":
            assert [json.loads(line) for line in block.body.splitlines() if line.startswith("{")], block
        elif block.kind == "toml":
            assert tomllib.loads(block.body), block
            (tmp_path / "block.toml").write_text(block.body)
            load_settings(tmp_path / "block.toml")
        else:
            assert block.kind in NOT_RUN, f"{block}: name its language; text is for what is not run"


def run_bash(block: Block, folder: Path) -> None:
    commands = [line for line in block.body.splitlines() if not SETTING_UP.fullmatch(line.strip())]
    for line in [c for c in commands if re.match(r"\s*make\b", c)]:
        commands.remove(line)
        check_make(line.split("#")[0].split(), block)
    if any(c.strip() and not c.startswith("#") for c in commands):
        run(["bash", "-euo", "pipefail", "-c", "\n".join(commands)], block, folder)


def check_make(words: list[str], block: Block) -> None:
    """``make TARGET`` is run by CI itself; here: the target exists and its rules can be read."""
    done = subprocess.run(
        ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 0, f"{block}: {' '.join(words)}\n{done.stderr}"


def run_console(block: Block, folder: Path) -> None:
    """``$ command`` lines, each followed by the output it must have; a line ``...`` stands for any lines."""
    parts = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
    assert not parts[0].strip() and len(parts) > 1, f"{block}: begins with no $"
    for part in parts[1:]:
        command, _, expected = part.partition("\n")
        out = run(["bash", "-c", f'{command} 2>&1 || echo "exit $?"'], block, folder)
        pattern = re.escape(expected.rstrip()).replace(re.escape("\n...\n"), r"\n(?s:.*)\n")
        pattern = re.sub(r"(^|\\\n)\\\.\\\.\\\.$", r"(?s:.*)", pattern)
        assert re.fullmatch(pattern, out.rstrip()), f"{block}: {command}\nprints\n{out}\nnot\n{expected}"


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "110"}


def run(command: list[str], block: Block, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, f"{block} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("file", [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=short)
def test_relative_links_and_anchors_lead_somewhere(file: Path) -> None:
    prose = FENCE.sub("", file.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        assert not target.startswith("http:"), target
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        there = file if not path else file.parent / path
        assert there.exists(), f"{short(file)}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{short(file)}: {target}"


def anchors(file: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", t).strip().lower().replace(" ", "-") for t in titles}


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    text = "\n".join(d.read_text("utf-8") for d in DOCUMENTS)
    code = "\n".join([b.body for d in DOCUMENTS for b in blocks(d) if b.kind in ("bash", "console")])
    code += "\n".join(re.findall(r"`(align [^`]+)`", text))
    named = set(re.findall(r"(?:^|\n|\$ |\| )align ([a-z]\w*)", code))
    assert named - set(COMMANDS) == {"rnu"}  # the misspelling that the guide shows
    assert set(COMMANDS) - named == set()


def test_every_exit_code_and_status_is_documented() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    for code in (0, 2, 3, 4, 5, 6, 7, 70, 130):
        assert re.search(rf"^\| {code} \|", guide, re.MULTILINE), f"exit code {code}"
    for status in ("aligned", "ambiguous", "unmatched", "outside", "empty"):
        assert f"| `{status}` |" in guide, status


def test_a_block_that_fails_or_prints_something_else_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text("```bash\nfalse\n```\n```console\n$ echo a; echo b\na\n...\n$ false\nexit 1\n```\n")
    bad, good = blocks(file)
    with pytest.raises(AssertionError, match="ended with 1"):
        run_bash(bad, tmp_path)
    run_console(good, tmp_path)
    with pytest.raises(AssertionError, match="prints"):
        run_console(Block(file, 1, "console", "$ echo a\nb\n"), tmp_path)
    with pytest.raises(AssertionError, match="make nothing-of-the-kind"):
        run_bash(Block(file, 1, "bash", "make nothing-of-the-kind\n"), tmp_path)
