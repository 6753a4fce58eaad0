"""The project's own sources as syntax trees: what the tests about rules read."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("align", "pipelines", "cli")
SOURCES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
LIBRARY = [p for p in SOURCES if p.is_relative_to(ROOT / "align")]
KERNELS = [p for p in LIBRARY if p.parent.name == "kernels" and p.name != "__init__.py"]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(paths: list[Path], *kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path in paths:
        for node in ast.walk(tree(path)):
            if isinstance(node, kinds):
                yield f"{short(path)}:{getattr(node, 'lineno', 0)}", node


def public_names(path: Path) -> list[str]:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]:
            names = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else []
            return [ast.literal_eval(e) for e in names]
    return []
