"""The kernel cache: private, keyed by content, and never a reason to fail."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import align
from align.kernel_cache import _is_alone, _is_private, _join, _purge_damaged, _seal, _source_key, _user_cache

ROOT = Path(align.__file__).parent.parent


def run(code: str, **environment: str) -> str:
    """What a fresh process prints, in an environment without anybody's cache settings."""
    hidden = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {k: v for k, v in os.environ.items() if k not in hidden} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


WHERE = "import os, sys, align.kernels; print(os.environ['NUMBA_CACHE_DIR'], 'numba' in sys.modules)"


def test_cache_is_private_and_loads_no_numba(tmp_path):
    folder, numba_loaded = run(WHERE, HOME=str(tmp_path)).split()
    assert Path(folder).parent == tmp_path / ".cache" / "align"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert numba_loaded == "False"


def test_the_users_own_choice_is_kept(tmp_path):
    mine = tmp_path / "mine"
    assert run(WHERE, HOME=str(tmp_path), NUMBA_CACHE_DIR=str(mine)).split()[0] == str(mine)
    assert not (tmp_path / ".cache").exists()


def test_numba_imported_first_is_told(tmp_path):
    code = "import numba, align.kernels; print(numba.config.CACHE_DIR)"
    assert run(code, HOME=str(tmp_path)).startswith(str(tmp_path / ".cache" / "align" / "kernels-"))


def test_key_follows_the_content_of_every_source(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    before = _source_key(tmp_path)
    assert before == _source_key(tmp_path)
    (tmp_path / "b.py").write_text("3")
    assert _source_key(tmp_path) != before


def test_M11_no_home_compiles_for_this_process_only(tmp_path):
    """A home that cannot be made (a file is in its place) leaves a working kernel and no trace."""
    (tmp_path / "home").write_text("a file, not a directory")
    code = (
        "import numpy as np, os; from align.kernels.pelt import prefix_sums;"
        "s = prefix_sums(np.ones((3, 1)), np.zeros(1), np.ones(1), 0, 0);"
        "print(s[0, 3], os.environ['NUMBA_CACHE_DIR'])"
    )
    value, folder = run(code, HOME=str(tmp_path / "home"), TMPDIR=str(tmp_path)).split()
    assert float(value) == 3.0
    assert Path(folder).parent == tmp_path and not Path(folder).exists()


def test_M11_world_writable_cache_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = _user_cache("0123")
    assert cache is not None and _is_private(cache)
    cache.chmod(0o777)
    with pytest.warns(UserWarning, match="written by others"):
        assert _user_cache("0123") is None


def test_M11_symlink_in_place_of_the_cache_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "align").mkdir(mode=0o700)
    (tmp_path / "align" / "kernels-0123").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="written by others"):
        assert _user_cache("0123") is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_M11_a_cache_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = _user_cache("0123")
    assert cache is not None
    os.chown(cache, 12345, 12345)
    with pytest.warns(UserWarning, match="written by others"):
        assert _user_cache("0123") is None


def made_cache(folder: Path) -> list[Path]:
    """A cache of two files, as numba names them, that a process sealed when it ended."""
    (folder / "pelt").mkdir()
    files = [folder / "pelt" / "pelt-12.py311.nbi", folder / "pelt" / "pelt-12.py311.1.nbc"]
    for number, file in enumerate(files):
        file.write_bytes(bytes(range(256)) * (3 + number))
    _seal(folder)
    return files


def truncated(data: bytes) -> bytes:
    return data[:100]


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    return data[:77] + bytes([data[77] ^ 4]) + data[78:]


@pytest.mark.parametrize("harm", [truncated, zeroed, flipped])
@pytest.mark.parametrize("which", [0, 1])
def test_M11_a_damaged_cache_is_purged_once_and_warned_of(tmp_path, harm, which):
    files = made_cache(tmp_path)
    _purge_damaged(tmp_path)
    assert all(file.exists() for file in files), "what fits stays"
    files[which].write_bytes(harm(files[which].read_bytes()))
    with pytest.warns(UserWarning, match="damaged"):
        _purge_damaged(tmp_path)
    assert not any(file.exists() for file in files)
    files[0].write_bytes(b"compiled again")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _purge_damaged(tmp_path)
    assert files[0].exists()


def test_M11_kernels_that_nobody_sealed_yet_and_a_torn_seal_are_no_damage(tmp_path):
    files = made_cache(tmp_path)
    (tmp_path / "pelt" / "new.nbc").write_bytes(b"of a process that still runs")
    files[0].unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _purge_damaged(tmp_path)
        (tmp_path / "sealed.sha256").write_bytes(b"\xff\xfe")
        _purge_damaged(tmp_path)
    assert files[1].exists() and (tmp_path / "pelt" / "new.nbc").exists()


def test_nothing_is_judged_or_sealed_while_another_process_runs(tmp_path):
    """What another process writes meanwhile is no damage."""
    files = made_cache(tmp_path)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    own = os.open(tmp_path, os.O_RDONLY)
    try:
        assert not _is_alone(own)
        fcntl.flock(other, fcntl.LOCK_UN)
        assert _is_alone(own)
    finally:
        os.close(own)
        os.close(other)
    files[0].write_bytes(b"rewritten")
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _join(tmp_path)
    finally:
        os.close(other)
    assert files[0].exists()


def test_M11_a_damaged_kernel_still_computes(tmp_path):
    """The whole way: compiled and sealed by one process, torn, found by the next, whole again in the third."""
    code = (
        "import numpy as np, warnings; warnings.simplefilter('always');"
        "from align.kernels.pelt import prefix_sums;"
        "print(prefix_sums(np.ones((3, 1)), np.zeros(1), np.ones(1), 0, 0)[0, 3])"
    )
    assert float(run(code, HOME=str(tmp_path))) == 3.0
    cached = sorted((tmp_path / ".cache").rglob("*.nb?"))
    assert cached
    for file in cached:
        file.write_bytes(file.read_bytes()[:-20])
    assert float(run(code, HOME=str(tmp_path))) == 3.0
    assert float(run(code, HOME=str(tmp_path))) == 3.0
    assert sorted((tmp_path / ".cache").rglob("*.nb?")) == cached
