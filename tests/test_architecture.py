"""The house rules (architecture.md): sizes, names, places. See also test_bans.py and test_docstrings.py."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

import align
from tests.source import LIBRARY, ROOT, SOURCES, Function, nodes, public_names, short, tree


def test_no_file_is_over_400_lines_and_the_median_is_under_200() -> None:
    lengths = {short(p): len(p.read_text("utf-8").splitlines()) for p in SOURCES}
    assert [f"{name}: {n}" for name, n in lengths.items() if n > 400] == []
    assert statistics.median(lengths.values()) < 200


def test_no_function_has_over_7_parameters_and_no_kernel_over_8() -> None:
    crowded = []
    for place, node in nodes(SOURCES, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, Function)
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in named if a.arg not in ("self", "cls")])
        if count > (8 if place.startswith("align/kernels/") else 7):
            crowded.append(f"{place} {node.name}: {count}")
    assert crowded == []


def test_no_junk_drawers() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "lib", "shared", "stuff"}
    assert [short(p) for p in SOURCES if drawers & {p.stem, *p.relative_to(ROOT).parts}] == []


def test_init_files_hold_names_and_no_logic() -> None:
    """Docstring, imports, plain assignments, and the lazy ``__getattr__`` and ``__dir__`` of PEP 562."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    for path in (p for p in SOURCES if p.name == "__init__.py"):
        assert ast.get_docstring(tree(path)), f"{short(path)} has no docstring"
        for node in tree(path).body:
            fine = isinstance(node, allowed) or (
                isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            )
            fine = fine or (isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__"))
            type_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            # numba reads where its cache is when a kernel is first imported: one call has to stand there
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            cache = path.parent.name == "kernels" and is_call
            assert fine or type_only or cache, f"{short(path)}:{node.lineno} is logic"


def test_no_public_name_is_also_a_module() -> None:
    """A lazy package would hand out the module instead of the function."""
    for init in (p for p in LIBRARY if p.name == "__init__.py"):
        modules = {p.stem for p in init.parent.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
        names = align.__all__ if init.parent.name == "align" else public_names(init)
        assert modules & set(names) == set(), short(init)


def test_all_names_what_exists() -> None:
    for path in LIBRARY:
        names = public_names(path)
        if not names:
            continue
        assert len(names) == len(set(names)), (
            f"{short(path)}: __all__ repeats a name"
        )  # ruff sorts it (RUF022)
        bound = {n for node in tree(path).body for n in bound_names(node)} | module_stems(path)
        assert set(names) <= bound, (
            f"{short(path)}: __all__ names {set(names) - bound}, which it does not define"
        )


def bound_names(node: ast.stmt) -> set[str]:
    if isinstance(node, Function | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).split(".")[0] for a in node.names}
    if isinstance(node, ast.Assign):
        lazy = node.value.keys if isinstance(node.value, ast.Dict) else []
        targets = [e for t in node.targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
        names = {t.id for t in targets if isinstance(t, ast.Name)}
        return names | {k.value for k in lazy if isinstance(k, ast.Constant) and isinstance(k.value, str)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def module_stems(path: Path) -> set[str]:
    return {p.stem for p in path.parent.iterdir()} if path.name == "__init__.py" else set()


def test_the_public_names_of_align_exist() -> None:
    assert align.__all__ == sorted(set(align.__all__))
    missing = []
    for name, module in align._PUBLIC.items():
        place = ROOT / module.replace(".", "/")
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        bound = {n for node in tree(file).body for n in bound_names(node)}
        if name not in bound or (public_names(file) and name not in public_names(file)):
            missing.append(f"{module}.{name}")
    assert missing == []
    with pytest.raises(AttributeError, match=r"see align\.__all__"):
        align.no_such_name  # noqa: B018


# --- places


def tracked() -> list[Path]:
    """The project's files, as git lists them (or, outside a repository, as they lie there)."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    names = done.stdout.decode().split("\0")[:-1]
    return [p for p in (ROOT / n for n in names) if p.is_file()]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    files = tracked()
    if not files:
        pytest.skip("not a git repository")
    kinds = {
        ".py",
        ".md",
        ".toml",
        ".txt",
        ".cfg",
        ".json",
        ".csv",
        ".html",
        ".js",
        ".css",
        "",
        ".hea",
        ".yml",
    }
    return {short(p): p.read_text("utf-8", "replace") for p in files if p.suffix in kinds}


def test_no_machine_paths_and_no_registry_hosts(texts: dict[str, str]) -> None:
    # Spelled in pieces, so that this file does not find itself.
    places = re.compile(
        "|".join(
            ["/" + r"work/", "/" + r"root/", "/" + r"home/\w", "pypi" + r"\.org", "files" + r"\.pythonhosted"]
        )
    )
    hosts = re.compile(r"index-url|extra-index|trusted-host")
    found = [
        name
        for name, text in texts.items()
        if places.search(text) or (hosts.search(text) and name.endswith(".toml"))
    ]
    assert found == []


def test_ci_runs_what_a_newcomer_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "lint", "bench"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"):
        assert tool in makefile, tool


def where_is_it() -> list[tuple[str, str]]:
    """(behaviour, path) rows of README's table."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## Where is it?")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|([^|]+)\|([^|]+)\|$", section, re.MULTILINE)[2:]
    return [(what.strip(), path) for what, cell in rows for path in re.findall(r"`([^`]+)`", cell)]


def test_the_table_where_is_it_points_at_files_that_exist() -> None:
    rows = where_is_it()
    assert len(rows) > 15
    assert [f"{what}: {path}" for what, path in rows if not (ROOT / path).exists()] == []


def test_every_stage_is_in_the_map_and_in_a_contract() -> None:
    stages = sorted(p.parent.name for p in (ROOT / "align").glob("*/__init__.py"))
    contracts = (ROOT / "pyproject.toml").read_text()
    assert [s for s in stages if s not in (align.__doc__ or "")] == []
    assert [s for s in stages if f'"{s}",' not in contracts] == []


def test_the_sources_were_found() -> None:
    assert {"align/clock.py", "cli/main.py", "pipelines/config.py"} <= set(map(short, SOURCES))
