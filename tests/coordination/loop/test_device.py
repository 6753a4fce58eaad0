"""align/coordination/loop/device.py: the device asked for, or a clear no."""

from __future__ import annotations

import pytest
import torch

from align.coordination.loop.device import autocast, choose_device, describe_device, reproducible, threads_for
from align.errors import ParameterError, ResourceError


def test_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_takes_cuda_when_there_is_one(monkeypatch):
    for there, kind in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: int(there))
        assert choose_device("auto").type == kind


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "mps", "cpu:0"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ParameterError, match="device"):
        choose_device(name)


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2"), (1, "cuda:99")])
def test_M08_a_missing_card_is_a_clear_error_and_never_the_cpu(monkeypatch, count, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(ResourceError, match="E-DEVICE") as caught:
        choose_device(name)
    assert caught.value.exit_code == 5 and str(count) in caught.value.message


def test_a_card_is_named():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    device = choose_device("cuda:0")
    assert torch.cuda.get_device_name(device) in describe_device(device)


def test_small_networks_train_on_one_thread_and_the_number_comes_back():
    before = torch.get_num_threads()
    with threads_for(96):
        assert torch.get_num_threads() == 1
    with threads_for(4096):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_every_process_of_a_launcher_takes_the_card_of_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:1")
    assert choose_device("cuda:0") == torch.device("cuda:0") and choose_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ResourceError, match="cuda:2 was asked for"):
        choose_device("cuda")


def test_layers_are_bfloat16_only_where_asked_for():
    layer, cpu = torch.nn.Linear(3, 2), torch.device("cpu")
    for precision, dtype in (
        ("auto", torch.float32),
        ("float32", torch.float32),
        ("bfloat16", torch.bfloat16),
    ):
        with autocast(cpu, precision):
            assert layer(torch.zeros(1, 3)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_what_is_drawn_inside_depends_on_the_seed_alone_and_nothing_outside_changes():
    torch.manual_seed(1)
    before, drawn = torch.get_rng_state(), []
    for seed in (7, 7, 8):
        with reproducible(torch.device("cpu"), seed):
            drawn.append(float(torch.rand(())))
    assert drawn[0] == drawn[1] != drawn[2] and torch.equal(torch.get_rng_state(), before)
