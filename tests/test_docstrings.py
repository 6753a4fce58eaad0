"""Everything public says what it is, and what is exported says what its parameters mean."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import align
from tests.source import KERNELS, LIBRARY, SOURCES, Function, public_names, short, tree


def test_every_public_thing_says_what_it_is() -> None:
    found = []
    for path in SOURCES:
        if path.name == "main.py" and path.parent.name == "cli":
            continue
        if not ast.get_docstring(tree(path)):
            found.append(f"{short(path)}: the module")
        for node in tree(path).body:
            if (
                isinstance(node, ast.ClassDef)
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ):
                found.append(f"{short(path)}:{node.lineno} {node.name}")
    for path in LIBRARY:
        for node in public_functions(path):
            if not ast.get_docstring(node) and not is_trivial(node):
                found.append(f"{short(path)}:{node.lineno} {node.name}")
    assert found == []


def public_functions(path: Path) -> Iterator[Function]:
    """Public functions and public methods of public classes, where ``__all__`` (if any) names them."""
    offered = set(public_names(path))
    for node in tree(path).body:
        name = getattr(node, "name", "_")
        if name.startswith("_") or (offered and name not in offered):
            continue
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (m for m in node.body if isinstance(m, Function) and not m.name.startswith("_"))


INTERNAL = {
    "called",
    "inlined",
}  # how kernels mark what only kernels call; the file says what its arguments are


def is_trivial(node: Function) -> bool:
    """A property or method of at most two statements without parameters: its name says all."""
    names = [a.arg for a in node.args.args if a.arg not in ("self", "cls")]
    return not names and len(node.body) <= 2


def exported() -> Iterator[tuple[Path, Function]]:
    """What users and other stages may call: what a stage exports, the top modules, kernels."""
    offered = {n for init in LIBRARY if init.name == "__init__.py" for n in public_names(init)} | set(
        align.__all__
    )
    for path in LIBRARY:
        top = path.parent.name == "align" or path in KERNELS
        for node in tree(path).body:
            if top or getattr(node, "name", None) in offered:
                yield from (
                    (path, f) for f in public_functions(path) if f is node or f in getattr(node, "body", ())
                )


def test_every_parameter_of_an_exported_function_is_documented() -> None:
    found = []
    for path, node in exported():
        text = ast.get_docstring(node) or ""
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [a.arg for a in arguments if a.arg not in ("self", "cls") and not a.arg.startswith("_")]
        if any(isinstance(d, ast.Name) and d.id in INTERNAL for d in node.decorator_list):
            continue
        missing = [n for n in names if not re.search(rf"\b{re.escape(n)}\b", text)]
        if missing and not is_trivial(node):
            found.append(f"{short(path)}:{node.lineno} {node.name}: {', '.join(missing)}")
    assert found == []
