"""Saved models and what can be wrong with them: for the tests of writing and of reading."""

from __future__ import annotations

import hashlib
import json

import pytest
from safetensors.torch import load, save

from align.coordination import load_coordination
from align.coordination.saved.model_format import seal_of
from align.errors import InputError


def written(files, folder):
    """The folder with the files of ``bundle_files`` in it."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def rewritten(folder, change=None, tensors=None):
    """The model with other content, correctly sealed: what someone who means harm would write."""
    about = json.loads((folder / "model.json").read_bytes())
    weights = (folder / "model.safetensors").read_bytes()
    if tensors:
        weights = save({**load(weights), **tensors})
        (folder / "model.safetensors").write_bytes(weights)
        about["sha256"] = hashlib.sha256(weights).hexdigest()
    about |= change or {}
    about["seal"] = seal_of(about)
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def refused(folder, code, error=InputError):
    with pytest.raises(error) as caught:
        load_coordination(folder)
    assert caught.value.code == code, caught.value
    return caught.value
