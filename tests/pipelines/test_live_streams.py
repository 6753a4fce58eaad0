"""pipelines/live_streams.py: a TOML table per stream, every key checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from align.errors import InputError
from align.monitor import StreamSettings
from pipelines.live_streams import read_streams


def written(folder: Path, text: str) -> Path:
    path = folder / "streams.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_table_leaves_out_is_as_usual(tmp_path: Path) -> None:
    text = '[wrist]\nrate = 50.0\nchannels = ["x", "y"]\nunits = ["g", "g"]\n\n[heart]\nlateness = 9.0\n'
    usual = StreamSettings(rate=1.0, noise=2.0)
    found = read_streams(written(tmp_path, text), usual)
    assert list(found) == ["wrist", "heart"]
    assert found["wrist"] == StreamSettings(rate=50.0, noise=2.0, channels=("x", "y"), units=("g", "g"))
    assert (found["heart"].rate, found["heart"].lateness) == (1.0, 9.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[wrist", "not TOML"),
        ("wrist = 50", "not a table"),
        ("[wrist]\nrates = 50.0", "nearest known one is rate"),
        ("[wrist]\nrate = -1.0", "rate"),
        ('[wrist]\nrate = "fast"', "wrong kind"),
        ('[wrist]\nchannels = ["x", "x"]', "channels"),
    ],
)
def test_a_file_that_says_nothing_possible_is_refused_with_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_streams(written(tmp_path, text), StreamSettings())
    error = caught.value.as_dict()
    assert error["code"] == "E-STREAMS" and said in f"{error['message']} {error['hint']}"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E-NO-FILE"):
        read_streams(tmp_path / "none.toml", StreamSettings())
