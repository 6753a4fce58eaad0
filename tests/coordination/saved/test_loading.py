"""align/coordination/saved/loading.py: models of this and every older format load, and nothing else does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

import align
from align.coordination import TrainingPlan, bundle_files, load_coordination
from align.coordination.inputs.bandwidth import ANY_FALL
from align.coordination.saved.model_format import FORMAT, MIGRATIONS, seal_of
from align.errors import InputError, UnsafeError
from align.text.hashed import HashedEncoder
from tests.coordination.saved_models import refused, rewritten, written
from tests.coordination.sessions import made_session, untold

OLD = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="module")
def files(trained):
    return bundle_files(trained)


@pytest.fixture
def folder(files, tmp_path):
    return written(files, tmp_path)


def test_M05_a_model_of_format_1_loads_and_answers_as_it_did():
    """Committed when format 1 was current; the numbers were written then."""
    loaded, session = load_coordination(OLD / "format-1"), untold(made_session(77, n_notes=3))
    wanted = json.loads((OLD / "format-1" / "expected.json").read_text())
    evidence, alignment = loaded.evidence(session), align.match(session, loaded)
    np.testing.assert_allclose(evidence.log_odds, wanted["log_odds"], atol=2e-5)
    np.testing.assert_allclose(evidence.durations, wanted["durations"], rtol=1e-6)
    assert (loaded.sharpness, loaded.nothing) == (wanted["sharpness"], wanted["nothing"])
    edges = np.round(alignment.spans / loaded.layout.hop) * loaded.layout.hop  # answers lay on the grid then
    np.testing.assert_allclose(edges, wanted["spans"])
    np.testing.assert_allclose(
        [link.probability for link in alignment.links], wanted["probability"], atol=1e-4
    )
    assert (loaded.plan.function, loaded.plan.loss, loaded.plan.objective) == ("cosine", "nce", None)
    assert loaded.provenance is None and loaded.calibration is not None


def test_M05_every_older_format_has_a_model_that_is_tested():
    assert {f"align-coordination/{p.name.removeprefix('format-')}" for p in OLD.iterdir()} == set(MIGRATIONS)


def test_an_old_model_saved_again_is_of_todays_format(tmp_path):
    loaded = load_coordination(OLD / "format-1")
    for name, data in bundle_files(loaded).items():
        (tmp_path / name).write_bytes(data)
    again = load_coordination(tmp_path)
    assert json.loads((tmp_path / "model.json").read_bytes())["format"] == FORMAT
    session = untold(made_session(77, n_notes=3))
    np.testing.assert_array_equal(again.evidence(session).log_odds, loaded.evidence(session).log_odds)


def test_a_model_of_format_1_from_before_calibration_loads(tmp_path):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((OLD / "format-1" / name).read_bytes())
    about = json.loads((tmp_path / "model.json").read_bytes())
    del about["calibration"], about["nothing"]
    about["seal"] = seal_of(about)
    (tmp_path / "model.json").write_text(json.dumps(about))
    loaded = load_coordination(tmp_path)
    assert (loaded.calibration, loaded.nothing) == (None, 0.02)


def test_a_model_of_format_2_from_before_densities_reads_powers_by_sample(trained, folder):
    """And knows no falls. At 50 Hz the two are the same, and what was trained at another rate answers as it did."""
    about = json.loads((folder / "model.json").read_bytes())
    tensors = load((folder / "model.safetensors").read_bytes())
    bands = np.array([channel.endswith("Hz") for channel in trained.layout.channels[0]])
    session = untold(made_session(77, n_notes=3))
    by_sample = np.log(session.streams[0].rate / 50.0)
    weights = {k: v for k, v in tensors.items() if k != "layout.falls"}
    weights["layout.shift"] = tensors["layout.shift"] + torch.from_numpy(by_sample * bands).float()
    written({"model.safetensors": save(weights)}, folder)
    older = {k: v for k, v in about.items() if k != "per_hertz"}
    older["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(older | {"seal": seal_of(older)}))
    loaded = load_coordination(folder)
    assert not loaded.layout.per_hertz and (loaded.layout.falls == ANY_FALL).all() and by_sample
    np.testing.assert_allclose(
        loaded.evidence(session).log_odds, trained.evidence(session).log_odds, atol=2e-4
    )


def test_M05_an_old_model_without_all_its_parts(tmp_path):
    (tmp_path / "model.safetensors").write_bytes((OLD / "format-1" / "model.safetensors").read_bytes())
    about = json.loads((OLD / "format-1" / "model.json").read_bytes())
    del about["encoder"]
    about["seal"] = seal_of(about)
    (tmp_path / "model.json").write_text(json.dumps(about))
    refused(tmp_path, "E-MODEL-BROKEN")


# --- faults


def test_M01_anything_but_a_folder_is_never_opened(tmp_path):
    for name, data in (("m.pkl", pickle.dumps({"a": 1})), ("m.pt", b"PK\x03\x04"), ("m.safetensors", b"{}")):
        (tmp_path / name).write_bytes(data)
        assert refused(tmp_path / name, "E-UNSAFE-FORMAT", UnsafeError).exit_code == 7


def test_M01_a_pickle_under_a_models_name_is_refused_unopened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(folder, "E-CHECKSUM")
    data = (folder / "model.safetensors").read_bytes()
    refused(rewritten(folder, {"sha256": hashlib.sha256(data).hexdigest()}), "E-MODEL-BROKEN")
    assert not (tmp_path / "sprung").exists()


def test_no_model_there(tmp_path, folder):
    assert refused(tmp_path / "nowhere", "E-NO-FILE").exit_code == 3
    (folder / "model.json").unlink()
    refused(folder, "E-NO-FILE")


def test_S05_M10_a_link_to_a_file_elsewhere_is_refused(folder, tmp_path):
    (folder / "model.json").rename(tmp_path / "elsewhere.json")
    (folder / "model.json").symlink_to(tmp_path / "elsewhere.json")
    assert refused(folder, "E-SYMLINK", UnsafeError).exit_code == 7


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_M02_truncated(folder, share):
    weights, about = ((folder / n).read_bytes() for n in ("model.safetensors", "model.json"))
    (folder / "model.safetensors").write_bytes(weights[: int(share * len(weights))])
    assert refused(folder, "E-CHECKSUM").exit_code == 3
    (folder / "model.safetensors").write_bytes(weights + b"\0")
    refused(folder, "E-CHECKSUM")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "model.json").write_bytes(about[: int(share * len(about))])
    refused(folder, "E-JSON")


def test_M02_a_flipped_bit_anywhere_is_caught(folder, files):
    rng = np.random.default_rng(0)
    for name, data in files.items():
        for position in rng.integers(0, len(data), 60):
            flipped = bytearray(data)
            flipped[position] ^= 1 << int(rng.integers(0, 8))
            (folder / name).write_bytes(flipped)
            if name == "model.json" and same_json(flipped, data):
                continue  # white space
            with pytest.raises(InputError) as caught:
                load_coordination(folder)
            assert caught.value.code in ("E-CHECKSUM", "E-JSON", "E-MODEL-VERSION")
        (folder / name).write_bytes(data)
    load_coordination(folder)


def same_json(a, b):
    try:
        return json.loads(bytes(a)) == json.loads(b)
    except ValueError:
        return False


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["log_scale", "layout.shift", "durations.weights", "durations.spread"])
def test_M04_weights_that_are_not_finite_are_refused_on_load(folder, name, value):
    tensor = load((folder / "model.safetensors").read_bytes())[name].clone()
    tensor.view(-1)[0] = value
    error = refused(rewritten(folder, tensors={name: tensor}), "E-MODEL-NONFINITE")
    assert repr(name) in str(error)


@pytest.mark.parametrize(
    "change",
    [
        {"sharpness": 0.0},
        {"lag": math.nan},
        {"lag_sd": -1.0},
        {"duration_sd": 0.0},
        {"duration_tails": -1.0},
        {"hop": math.inf},
        {"reach": 1.5},
        {"reach": -0.1},
    ],
)
def test_M04_numbers_out_of_range_are_refused(folder, change):
    refused(rewritten(folder, change), "E-MODEL-NONFINITE")


@pytest.mark.parametrize("found", ["align-coordination/3", "align-coordination/0", None, 7, "x" * 10_000])
def test_M05_another_format(folder, found):
    error = refused(rewritten(folder, {"format": found}), "E-MODEL-VERSION")
    assert "reads align-coordination/1, align-coordination/2" in str(error) and len(str(error)) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"name": "bert"},
        {"name": "hashed-64+concepts"},
        {"name": 3},
        {"dimension": 5},
        {"concepts": "0" * 64},
        {"weights": "1" * 64},
        {"probe": [[0.5] * 5] * 5},
        {"probe": [[1.0]]},
    ],
)
def test_M05_another_text_encoder(folder, change):
    """Also one of the same name whose table of concepts, weights or vectors are others."""
    text = json.loads((folder / "model.json").read_bytes())["text"]
    error = refused(rewritten(folder, {"text": text | change}), "E-MODEL-VERSION")
    assert error.exit_code == 3 and "text encoder" in str(error)


def test_M05_an_encoder_of_ones_own_can_train_but_not_load(trained, tmp_path):
    own = dataclasses.replace(trained, encoder=HashedEncoder(trained.encoder.dimension))
    for name, data in bundle_files(own).items():
        (tmp_path / name).write_bytes(data)
    refused(tmp_path, "E-MODEL-VERSION")


@pytest.mark.parametrize(
    "change",
    [
        {"plan": {}},
        {"plan": None},
        {"streams": []},
        {"streams": ["a", "b"]},
        {"channels": [["x"]]},
        {"floors": [-40.0, -40.0]},
        {"floors": ["quiet"]},
        {"floors": [1.0]},
        {"lag": "late"},
        {"lag": 10**400},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "width": 10**9}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "width": 8000, "dimension": 8000}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "dilations": [1] * 10_000}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "device": "cpu", "extra": 1}},
    ],
)
def test_M03_M05_parts_that_do_not_fit(folder, change):
    """Refused by their shapes: nothing of the size that the file asks for is ever allocated."""
    refused(rewritten(folder, change), "E-MODEL-BROKEN")


def test_M03_missing_and_mistyped_tensors(folder):
    tensors = load((folder / "model.safetensors").read_bytes())
    rewritten(folder, tensors={"log_scale": tensors["log_scale"].double()})
    refused(folder, "E-MODEL-NONFINITE")
    rewritten(folder, tensors={"log_scale": tensors["log_scale"], "no.such": torch.zeros(3)})
    refused(folder, "E-MODEL-BROKEN")


def test_json_that_is_none_or_no_object(folder):
    for text in ("", "[" * 100_000, "nonsense", '{"format":'):
        (folder / "model.json").write_text(text)
        refused(folder, "E-JSON")
    for text in ("[]", "3", "null", "{}"):
        (folder / "model.json").write_text(text)
        refused(folder, "E-MODEL-VERSION")


def test_E_LIMIT_a_description_larger_than_any(folder):
    with (folder / "model.json").open("wb") as file:
        file.truncate(17_000_000)
    refused(folder, "E-LIMIT", UnsafeError)


def test_M10_a_member_of_10_gb_is_refused_unread(folder):
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(10_000_000_000)  # sparse: it takes no room
    assert refused(folder, "E-LIMIT", UnsafeError).exit_code == 7


def test_M10_names_that_lead_elsewhere_are_never_paths(trained, folder, tmp_path):
    """An archive is never unpacked, and a stream called ../../x is a name that no recording has."""
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04../../etc/passwd")
    assert refused(tmp_path / "model.zip", "E-UNSAFE-FORMAT", UnsafeError).exit_code == 7
    loaded = load_coordination(rewritten(folder, {"streams": ["../../x"]}))
    assert loaded.layout.streams == ("../../x",)
    assert {p.name for p in tmp_path.iterdir()} == {"model.zip", "model.json", "model.safetensors"}


def reheaded(folder, header, rest=b""):
    """Tensors whose file begins with any header, correctly hashed and sealed."""
    weights = header + rest
    (folder / "model.safetensors").write_bytes(weights)
    return rewritten(folder, {"sha256": hashlib.sha256(weights).hexdigest()})


@pytest.mark.parametrize("length", [2**63, 2**63 - 1, 2**40, 1_000_001])
def test_M03_a_header_longer_than_any(folder, length):
    refused(reheaded(folder, length.to_bytes(8, "little"), b"{}"), "E-MODEL-BROKEN")


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": [0, 8], "b": [4, 12]},  # overlap
        {"a": [0, 4], "b": [8, 12]},  # hole
        {"a": [8, 4]},
        {"a": [0, 2**62]},
        {"a": [-4, 0]},
    ],
)
def test_M03_tensors_that_overlap_or_leave_the_file(folder, tensors):
    entries = {
        k: {"dtype": "F32", "shape": [max(0, b - a) // 4], "data_offsets": [a, b]}
        for k, (a, b) in tensors.items()
    }
    header = json.dumps(entries).encode()
    refused(reheaded(folder, len(header).to_bytes(8, "little") + header, bytes(12)), "E-MODEL-BROKEN")


def test_M03_shape_and_bytes_disagree(folder):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    refused(reheaded(folder, len(header).to_bytes(8, "little") + header, bytes(4)), "E-MODEL-BROKEN")


def test_M03_a_million_tensors_take_no_memory(folder):
    entry = '"t{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    header = ("{" + ",".join(entry.format(i) for i in range(1_000_000)) + "}").encode()
    data = reheaded(folder, len(header).to_bytes(8, "little") + header)
    before = peak_mb()
    refused(data, "E-MODEL-BROKEN")
    assert peak_mb() - before < 64 + len(header) / 2**20


def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024
