"""A rules file -> Rules. Every key is checked; the nearest known one is named."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from align.errors import InputError, ParameterError
from align.rules.records import PatternRule, PhraseRule, Rule, Rules, SilenceRule

__all__ = ["read_rules"]

_KINDS: Mapping[str, type[Rule]] = {"phrases": PhraseRule, "patterns": PatternRule, "silences": SilenceRule}
_NUMBERS = {"on", "off", "min_duration", "every", "within", "after"}
_LARGEST = 1 << 20  # bytes


def read_rules(path: str | os.PathLike[str]) -> Rules:
    """Read a rules file: TOML with a table per rule, under its kind and name.

    ``[phrases.NAME]`` with text, on, off, min_duration; ``[patterns.NAME]`` with stream, tokens, within;
    ``[silences.NAME]`` with stream, after; all with every and hold (``align.rules.records``).

    Args:
        path: of the file.

    Raises:
        InputError: E-RULES, no TOML, an unknown or missing key, or a value that is not allowed.
        OSError: the file cannot be read.
    """
    file = Path(path)
    data = file.read_bytes()
    if len(data) > _LARGEST:
        raise _refused(file, f"{len(data)} bytes; allowed: {_LARGEST}", "write fewer rules")
    try:
        held = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(at " in str(error) else "at an unknown place"
        raise _refused(file, f"not TOML in UTF-8, {place}", "see docs/monitor.md for an example") from error
    except RecursionError as error:
        raise _refused(file, "nested too deeply", "a rule is one table of plain values") from error
    _known(file, held, _KINDS, "a kind of rule")
    made: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for kind, tables in held.items():
        if not isinstance(tables, dict):
            raise _refused(file, f"{kind} is not a table", f"write [{kind}.NAME]")
        for name, table in tables.items():
            made[kind].append(_rule(file, kind, name, table))
    try:
        return Rules(**{kind: tuple(rules) for kind, rules in made.items()})
    except ParameterError as error:
        raise _refused(file, "a name is used by two rules", "give each rule a name of its own") from error


def _rule(file: Path, kind: str, name: str, table: Any) -> Rule:
    made, place = _KINDS[kind], f"{kind}.{name}"
    if not isinstance(table, dict):
        raise _refused(file, f"{place} is not a table", f"write [{place}]")
    fields = {f.name: f for f in dataclasses.fields(made) if f.name != "name"}
    _known(file, table, fields, f"a key of {place}")
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in table:
            raise _refused(file, f"{place} lacks {key!r}", f"add {key} = ...")
    for key, value in table.items():
        allowed = _wrong(key, value)
        if allowed:
            raise _refused(file, f"{place}.{key} is {type(value).__name__}; allowed: {allowed}", "change it")
    given: dict[str, Any] = {k: float(v) if k in _NUMBERS else v for k, v in table.items()}
    try:
        return made(name=name, **given)
    except ParameterError as error:
        raise _refused(file, f"{place}: {error.message}", "change it") from error


def _wrong(key: str, value: Any) -> str:
    """What is allowed where a value is of the wrong type, else ""."""
    if key in _NUMBERS:
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    if key == "hold":
        return "" if isinstance(value, bool) else "true or false"
    if key == "tokens":
        items = value if isinstance(value, list) else [None]
        good = all(isinstance(v, int | str) and not isinstance(v, bool) for v in items)
        return "" if good else "a list of codes and names"
    return "" if isinstance(value, str) else "a text"


def _known(file: Path, given: Iterable[str], allowed: Iterable[str], what: str) -> None:
    names = sorted(allowed)
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, n=1, cutoff=0.4)
            hint = f"the nearest known one is {near[0]}" if near else "remove it"
            raise _refused(file, f"{key!r} is not {what}; allowed: {', '.join(names)}", hint)


def _refused(file: Path, message: str, hint: str) -> InputError:
    return InputError("E-RULES", message, hint=hint, file=file.name)
