"""Defaults, preset, TOML file and options -> ``Settings``; every value is checked on its way in."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from align.errors import AlignError, InputError, ParameterError
from pipelines.config import RunConfig, Settings

__all__ = ["load_settings", "preset_names"]

_LARGEST = 1_000_000  # bytes; a settings file is a page, not a data set


def load_settings(file: Path | None = None, options: Mapping[str, object] | None = None) -> Settings:
    """Merge the defaults, the preset, a TOML file and options; the later wins.

    Args:
        file: a TOML file with one table per stage, or None.
        options: "stage.name" -> value of the command line; None is "not given", numbers may be text.

    Returns:
        The checked configuration and the source of each value that is not a default.

    Raises:
        InputError: E-CONFIG, the file is not TOML or names an unknown setting; E-PARAM, a value of the file
            has the wrong type or range; E-NOT-A-FILE, E-LIMIT, E-ENCODING.
        ParameterError: an option has the wrong type or range, or names an unknown setting.
    """
    given = {k: v for k, v in (options or {}).items() if v is not None}
    layers = [("option", {k: _option(k, v) for k, v in given.items()})]
    if file is not None:
        layers.insert(0, ("file", _file_values(Path(file))))
    preset = _last(layers, "training.preset", RunConfig().training.preset)
    if preset != "default":
        layers.insert(0, (f"preset {preset}", _preset_values(preset)))
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        values |= layer
        sources |= dict.fromkeys(layer, source)
    return Settings(RunConfig().with_values(values), MappingProxyType(sources))


def preset_names() -> list[str]:
    """The names that ``training.preset`` takes, "default" first."""
    folder = files("pipelines") / "presets"
    return [
        "default",
        *sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")),
    ]


def _last(layers: list[tuple[str, dict[str, object]]], key: str, default: str) -> str:
    return next((str(layer[key]) for _, layer in reversed(layers) if key in layer), default)


def _preset_values(name: str) -> dict[str, object]:
    if name not in preset_names():
        raise ParameterError("training.preset", name, ", ".join(preset_names()))
    text = (files("pipelines") / "presets" / f"{name}.toml").read_text("utf-8")
    return _table_values(text, f"preset {name}")


def _file_values(file: Path) -> dict[str, object]:
    if not file.is_file():
        raise InputError("E-NOT-A-FILE", "a settings file is a TOML file; this is none", file=file)
    data = file.read_bytes()[: _LARGEST + 1]
    if len(data) > _LARGEST:
        raise InputError("E-LIMIT", f"a settings file holds at most {_LARGEST} bytes", file=file)
    try:
        return _table_values(data.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        raise InputError(
            "E-ENCODING", "not UTF-8", hint="Save it as UTF-8", file=file, byte=error.start
        ) from error


def _table_values(text: str, file: object) -> dict[str, object]:
    """Checked ``"stage.name" -> value`` of TOML text."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        where: dict[str, Any] = {"line": int(place[1]), "column": int(place[2])} if place else {}
        raise InputError("E-CONFIG", "not TOML from here on", file=file, **where) from error
    except RecursionError as error:
        raise InputError(
            "E-CONFIG", "nested too deeply; settings are one table per stage", file=file
        ) from error
    values: dict[str, object] = {}
    for stage, table in tables.items():
        if not isinstance(table, dict):
            raise _unknown(stage, file, _line_of(text, None, stage))
        for name, value in table.items():
            key, line = f"{stage}.{name}", _line_of(text, stage, name)
            if key not in _known():
                raise _unknown(key, file, line)
            values[key] = _checked(key, value, file, line)
        if not table and not any(key.startswith(f"{stage}.") for key in _known()):
            raise _unknown(stage, file, _line_of(text, stage, None))
    return values


def _unknown(key: str, file: object, line: int | None) -> AlignError:
    near = get_close_matches(key, _known(), n=1, cutoff=0.4)
    hint = f"The nearest known setting is {near[0]}; " if near else ""
    return InputError(
        "E-CONFIG", f"unknown setting {key!r}", hint=f"{hint}all: align config show", file=file, line=line
    )


def _line_of(text: str, stage: str | None, name: str | None) -> int | None:
    """The line on which a plainly written setting (or its table) stands; None when written in another way."""
    table = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        table = header[1] if header else table
        if header and table == stage and name is None:
            return number
        if (
            not header
            and table == stage
            and name is not None
            and re.match(rf"\s*{re.escape(name)}\s*[=.]", line)
        ):
            return number
    return None


def _option(key: str, value: object) -> object:
    if key not in _known():
        raise ParameterError("option", key, "a setting that `align config show` lists")
    hint, field = _known()[key]
    if isinstance(value, str) and not _fits(value, hint):
        value = _number(value)
    if not _fits(value, hint) or not _in_range(value, field):
        raise ParameterError(key, value, _allowed(hint, field))
    return _converted(value, hint)


def _checked(key: str, value: object, file: object, line: int | None) -> object:
    hint, field = _known()[key]
    if not _fits(value, hint) or not _in_range(value, field):
        got = repr(value) if isinstance(value, int | float | str | list) else f"a {type(value).__name__}"
        message = f"{key} is {got}; allowed: {_allowed(hint, field)}"
        raise InputError("E-PARAM", message, file=file, line=line)
    return _converted(value, hint)


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@cache
def _known() -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """ "stage.name" -> (type, field) of every setting."""
    known: dict[str, tuple[Any, dataclasses.Field[Any]]] = {}
    for stage, kind in get_type_hints(RunConfig).items():
        hints = get_type_hints(kind)
        known |= {f"{stage}.{f.name}": (hints[f.name], f) for f in dataclasses.fields(kind)}
    return known


def _choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: object, hint: Any) -> bool:
    return any(_is_a(value, kind) for kind in _choices(hint))


def _is_a(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_is_a(v, get_args(kind)[0]) for v in value)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is kind  # True is no int here


def _in_range(value: object, field: dataclasses.Field[Any]) -> bool:
    if isinstance(value, list | tuple):
        return bool(value or field.metadata.get("empty")) and all(_in_range(v, field) for v in value)
    if type(value) not in (int, float):
        return True
    above, least, most = (field.metadata.get(k) for k in ("above", "least", "most"))
    number: Any = value
    return (
        (above is None or number > above)
        and (least is None or number >= least)
        and (most is None or number <= most)
    )


def _converted(value: Any, hint: Any) -> object:
    if type(value) is int and int not in _choices(hint):
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _allowed(hint: Any, field: dataclasses.Field[Any]) -> str:
    signs = {"above": ">", "least": ">=", "most": "<="}
    bounds = [
        f"{sign} {field.metadata[k]:g}" for k, sign in signs.items() if field.metadata.get(k) is not None
    ]
    words = {
        float: "a number",
        int: "a whole number",
        str: "text",
        bool: "true or false",
        NoneType: "nothing",
    }
    parts = []
    for kind in _choices(hint):
        if get_origin(kind) is Literal:
            parts += [f'"{choice}"' for choice in get_args(kind)]
        else:
            item = get_args(kind)[0] if get_origin(kind) is tuple else kind
            limits = " and ".join(bounds) if item in (int, float) else ""
            size = "" if field.metadata.get("empty") else ", not empty"
            name = words[kind] if item is kind else f"a list{size}, each {words[item]}"
            parts.append(f"{name} {limits}".strip())
    return " or ".join(parts)
