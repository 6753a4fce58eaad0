"""align config show: what it prints is itself a settings file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main
from pipelines.settings import load_settings


def test_config_show_prints_every_setting_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[segmentation]\npenalty = 12\n[text]\nencoder = "é\\u007f"\n')
    assert main(["config", "show", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    lines = {line.split(" = ")[0]: line for line in shown.splitlines() if " = " in line}
    assert "# file: " in lines["penalty"] and lines["penalty"].startswith("penalty = 12.0 ")
    assert "# default: " in lines["n_codes"]
    again = tmp_path / "again.toml"
    again.write_text(shown)
    assert load_settings(again).config == load_settings(file).config
    assert set(load_settings(again).sources.values()) == {"file"}


def test_config_show_json_ends_with_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event["event"] == "result"
    assert event["settings"]["tokens.n_codes"] == {"value": 64, "source": "default"}


def test_config_show_refuses_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--config", "none.toml"]) == 3
    assert capsys.readouterr().err.startswith("E-NOT-A-FILE none.toml: ")
