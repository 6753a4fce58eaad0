"""A rules file is checked key by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from align.errors import InputError, ParameterError
from align.rules import PatternRule, PhraseRule, Rules, SilenceRule, read_rules

GOOD = """
[phrases.fall]
text = "fell down"
on = 0.8
min_duration = 1
every = 600
hold = true

[patterns.restless]
stream = "wrist"
tokens = [3, "a* low level", 3]
within = 60.0

[silences.wrist]
stream = "wrist"
after = 30
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_says_what_the_records_say(tmp_path) -> None:
    rules = read_rules(written(tmp_path, GOOD))
    assert rules.phrases == (PhraseRule("fall", "fell down", 0.8, None, 1.0, 600.0, True),)
    assert rules.phrases[0].lower == pytest.approx(0.48)
    assert rules.patterns == (PatternRule("restless", "wrist", (3, "a* low level", 3), 60.0),)
    assert rules.silences == (SilenceRule("wrist", "wrist", 30.0),)
    assert rules.hash == read_rules(written(tmp_path, GOOD)).hash != Rules().hash
    assert read_rules(written(tmp_path, "")) == Rules()
    assert read_rules(written(tmp_path, "[phrases.dizzy]")).phrases == (PhraseRule("dizzy", "dizzy"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[phrase.fall]", "'phrase' is not a kind of rule; .*nearest known one is phrases"),
        ("[phrases.fall]\nonn = 1", "'onn' is not a key of phrases.fall; .*nearest known one is on"),
        ("[phrases.fall]\non = 'high'", "phrases.fall.on is str; allowed: a number"),
        ("[phrases.fall]\non = 1.5", "on is 1.5; allowed: a number above 0, at most 1"),
        ("[phrases.fall]\non = nan", "on is nan"),
        ("[phrases.fall]\non = 0.5\noff = 0.6", "off is 0.6"),
        ("[phrases.fall]\nhold = 1", "hold is int; allowed: true or false"),
        ("[phrases.fall]\nevery = -1", "every is -1.0; allowed: seconds >= 0"),
        ("[patterns.a]\nstream = 'w'", "patterns.a lacks 'tokens'"),
        ("[patterns.a]\nstream = 'w'\ntokens = []", "tokens is 0; allowed: 1 to 64"),
        ("[patterns.a]\nstream = 'w'\ntokens = [1.5]", "a list of codes and names"),
        ("[silences.a]\nstream = 'w'\nafter = 0", "after is 0.0; allowed: seconds > 0"),
        ("[silences.a]\nstream = 'w'\nafter = true", "after is bool; allowed: a number"),
        ("phrases = 3", "phrases is not a table"),
        ("[phrases]\nfall = 3", "phrases.fall is not a table"),
        ("[phrases.a]\n[silences.a]\nstream = 'w'\nafter = 1", "a name is used by two rules"),
        ("[phrases.a\n", "not TOML in UTF-8, at line 1"),
        ("a = " + "[" * 100_000, "not TOML|nested too deeply"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path, text, said) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_rules(written(tmp_path, text))
    assert raised.value.code == "E-RULES"
    assert raised.value.where["file"] == "rules.toml"


def test_a_huge_file_is_refused_and_a_missing_one_is_missing(tmp_path) -> None:
    with pytest.raises(InputError, match="E-RULES"):
        read_rules(written(tmp_path, "#" * 2_000_000))
    with pytest.raises(FileNotFoundError):
        read_rules(tmp_path / "none.toml")


def test_records_refuse_nameless_rules() -> None:
    with pytest.raises(ParameterError):
        PhraseRule(" ")
    with pytest.raises(ParameterError):
        SilenceRule("a", "w", float("inf"))
