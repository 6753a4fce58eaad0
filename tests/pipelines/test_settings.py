"""Settings: sources in order, nothing unknown, nothing out of range, the file and line of a mistake."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import InputError, ParameterError
from pipelines.config import RunConfig, Settings, TrainingConfig
from pipelines.settings import load_settings, preset_names


@pytest.fixture
def toml(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str | bytes) -> Path:
        file = tmp_path / "align.toml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def test_defaults_need_nothing() -> None:
    settings = load_settings()
    assert settings.config == RunConfig() and settings.sources == {}
    assert all(v["source"] == "default" for v in settings.as_dict().values())


def test_an_option_wins_over_the_file_and_the_file_over_the_default(toml) -> None:  # type: ignore[no-untyped-def]
    file = toml("[segmentation]\npenalty = 12\nmin_duration = 2\n")
    settings = load_settings(file, {"segmentation.penalty": "7.5", "tokens.n_codes": None})
    assert settings.config.segmentation.penalty == 7.5
    assert settings.config.segmentation.min_duration == 2.0
    assert type(settings.config.segmentation.min_duration) is float
    assert settings.sources == {"segmentation.penalty": "option", "segmentation.min_duration": "file"}
    assert settings.as_dict()["segmentation.penalty"] == {"value": 7.5, "source": "option"}


def test_text_that_a_setting_takes_stays_text() -> None:
    assert load_settings(None, {"text.encoder": "12"}).config.text.encoder == "12"
    assert load_settings(None, {"segmentation.penalty": "auto"}).config.segmentation.penalty == "auto"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_says_so(name: str, toml) -> None:  # type: ignore[no-untyped-def]
    by_option = load_settings(None, {"training.preset": name})
    by_file = load_settings(toml(f'[training]\npreset = "{name}"\n'))
    assert by_option.config == by_file.config
    assert by_option.config.training.preset == name
    if name != "default":
        assert f"preset {name}" in by_option.sources.values()


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ("[segmentation]\npenalty = 1\nmin_dration = 3\n", 3, "segmentation.min_duration"),
        ("[segmentatoin]\npenalty = 1\n", 2, "segmentation.penalty"),
        ("\n[tokens.deeper]\nn_codes = 3\n", None, "tokens.n_codes"),
        ("seed = 3\n", 1, "training.seed"),
        ("[serving]\n", 1, ""),
    ],
)
def test_an_unknown_setting_names_its_line_and_the_nearest_known(  # type: ignore[no-untyped-def]
    text: str, line: int | None, near: str, toml
) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(toml(text))
    assert caught.value.code == "E-CONFIG" and caught.value.where.get("line") == line
    assert near in caught.value.hint and str(toml(text)) in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("segmentation.penalty", "-1", "a number >= 0"),
        ("segmentation.penalty", "nan", "a number >= 0"),
        ("segmentation.penalty", "inf", "a number >= 0"),
        ("segmentation.penalty", '"cheap"', '"auto"'),
        ("segmentation.min_duration", "0", "a number > 0 and <= 86400"),
        ("tokens.n_codes", "1000000000", "a whole number >= 1 and <= 65536"),
        ("tokens.n_codes", "2.5", "a whole number"),
        ("tokens.n_codes", "true", "a whole number"),
        ("matching.order", '"random"', '"monotone" or "partial" or "free"'),
        ("text.encoder", "3", "text"),
        ("training.seed", "[1]", "a whole number"),
        ("training.device", "2026-01-01", "text"),
        ("training.dilations", "[1, 0]", "a list, not empty, each a whole number >= 1 and <= 4096"),
        ("training.dilations", "[]", "a list, not empty"),
        ("training.dilations", "[1, 2.5]", "each a whole number"),
    ],
)
def test_S17_a_value_out_of_range_is_named_with_what_is_allowed(  # type: ignore[no-untyped-def]
    setting: str, value: str, allowed: str, toml
) -> None:
    stage, name = setting.split(".")
    with pytest.raises(InputError) as caught:
        load_settings(toml(f"[{stage}]\n{name} = {value}\n"))
    assert caught.value.code == "E-PARAM" and caught.value.where["line"] == 2
    assert setting in str(caught.value) and allowed in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("segmentation.penalty", "-1"),
        ("segmentation.penalty", "nan"),
        ("tokens.n_codes", "many"),
        ("tokens.n_codes", True),
        ("matching.order", "random"),
        ("training.preset", "../large"),
        ("training.speed", 1),
    ],
)
def test_S17_an_option_out_of_range_is_a_usage_error(setting: str, value: object) -> None:
    with pytest.raises(ParameterError) as caught:
        load_settings(None, {setting: value})
    assert caught.value.exit_code == 2 and setting in str(caught.value)


@pytest.mark.parametrize(
    ("data", "code", "where"),
    [
        (b"[segmentation\n", "E-CONFIG", {"line": 1}),
        (b"a = 1\na = 2\n", "E-CONFIG", {"line": 2}),
        (b"a = " + b"[" * 5000, "E-CONFIG", {}),
        (b"a = '\xff'", "E-ENCODING", {"byte": 5}),
        (b"#" * 1_000_001, "E-LIMIT", {}),
    ],
)
def test_a_file_that_is_no_toml_is_named(data: bytes, code: str, where: dict[str, int], toml) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        load_settings(toml(data))
    assert caught.value.code == code and "file" in caught.value.where
    assert where.items() <= dict(caught.value.where).items()


def test_F22_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E-NOT-A-FILE"):
        load_settings(tmp_path)


def test_a_byte_order_mark_is_no_fault(toml) -> None:  # type: ignore[no-untyped-def]
    assert load_settings(toml(b"\xef\xbb\xbf[training]\nseed = 9\n")).config.training.seed == 9


def test_every_setting_has_a_meaning_and_a_default_in_its_range() -> None:
    for stage, kind in get_type_hints(RunConfig).items():
        for field in dataclasses.fields(kind):
            assert field.metadata["meaning"], f"{stage}.{field.name}"
    defaults = {key: entry["value"] for key, entry in Settings().as_dict().items()}
    assert load_settings(None, defaults).config == RunConfig()


def test_the_training_settings_are_those_of_the_training_plan() -> None:
    from align.coordination import TrainingPlan

    # TOML has no null: a file says "auto", "off" or "none" where the plan says None
    nobody = {"nothing_share": "auto", "patience": "off", "objective": "none"}
    training = {f.name: None if f.default == nobody.get(f.name) else f.default
                for f in dataclasses.fields(TrainingConfig)}  # fmt: skip
    plan = {f.name: f.default for f in dataclasses.fields(TrainingPlan)}
    assert set(plan) - set(training) == {"hop", "encoder"}, "those are features.hop and text.encoder"
    assert {name: training[name] for name in plan if name in training} == {
        name: default for name, default in plan.items() if name in training
    }
    assert set(training) - set(plan) == {"preset"}


def test_a_list_comes_out_as_a_tuple(toml) -> None:  # type: ignore[no-untyped-def]
    assert load_settings(toml("[training]\ndilations = [1, 3]\n")).config.training.dilations == (1, 3)
    assert load_settings(toml("[training]\naugment = []\n")).config.training.augment == ()
    with pytest.raises(InputError, match="not empty"):
        load_settings(toml("[training]\ndilations = []\n"))


@given(st.floats(0, 1e300), st.integers(1, 65536), st.integers(0, 2**63 - 1))
def test_toml_out_is_toml_in(penalty: float, n_codes: int, seed: int) -> None:
    options = {"segmentation.penalty": penalty, "tokens.n_codes": n_codes, "training.seed": seed}
    shown = tomllib.loads(load_settings(None, options).as_toml())
    assert math.isclose(shown["segmentation"]["penalty"], penalty, rel_tol=0, abs_tol=0)
    assert (shown["tokens"]["n_codes"], shown["training"]["seed"]) == (n_codes, seed)
