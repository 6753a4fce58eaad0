"""align/coordination/streaming.py, and what of the layout and the encoder goes through data piece by piece."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.coordination.fitting import fit_stored
from align.coordination.inputs import layout as layouts
from align.coordination.inputs.examples import make_vocabulary, people_apart, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.inputs.reading import read_blocks
from align.coordination.loop.checkpoints import identity
from align.coordination.network.encoders import stream_encoder
from align.coordination.network.encoding import encode_frames
from align.coordination.saved.provenance import session_hash
from align.coordination.streaming import Recent, StoredFrames, StoredSession, stand_in, streamed_examples
from align.errors import InputError, ParameterError
from align.features.scaling import robust_location_scale, robust_scaled
from align.text.hashed import HashedEncoder
from tests.coordination.sessions import TINY, made_session, untold

SESSIONS = [made_session(seed, n_notes=3) for seed in range(4)]
TABLES = [session_table(s, 0.5) for s in SESSIONS]


def stored(sessions, reads=None):
    """As from shards, the frames made anew whenever they are asked for; ``reads`` hears of it."""

    def load(k):
        if reads is not None:
            reads.append(k)
        return session_table(sessions[k], 0.5)

    return [
        StoredSession(s.name, s.notes, s.truth, s.end - s.start, session_hash(s), f"{k}", 0.5, TABLES[k].first,
                      lambda k=k: load(k))
        for k, s in enumerate(sessions)
    ]  # fmt: skip


def test_streamed_examples_are_those_in_memory():
    vocabulary = make_vocabulary([row for s in SESSIONS for row in usable_notes(s)], HashedEncoder())
    layout = fit_layout(TABLES)
    wanted = people_apart(
        [
            span_example(s, t, layout, vocabulary, usable_notes(s))
            for s, t in zip(SESSIONS, TABLES, strict=True)
        ],
        [s.name for s in SESSIONS],
    )
    found = streamed_examples(stored(SESSIONS), layout, vocabulary)
    for a, b in zip(found, wanted, strict=True):
        for name in ("inputs", "target", "notes", "spans"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        assert a.group == b.group and a.table.n_frames == b.table.n_frames and a.soft is None


def test_memory_holds_so_many_bytes_and_always_one():
    reads = []
    vocabulary = make_vocabulary([row for s in SESSIONS for row in usable_notes(s)], HashedEncoder())
    examples = streamed_examples(stored(SESSIONS, reads), fit_layout(TABLES), vocabulary, held_bytes=1)
    assert reads == [], "nothing is read before it is asked for"
    for k in (0, 0, 1, 0):
        assert examples[k].inputs.shape[0] == len(examples[k].target) == TABLES[k].n_frames
    assert reads == [0, 1, 0]
    recent, example = Recent(10**9), examples[2]
    assert recent.get(0, lambda: example) is recent.get(0, lambda: pytest.fail("it is held")) is example
    held = recent.bytes
    assert held == example.inputs.nbytes + example.target.nbytes + example.table.blocks[0].nbytes
    few = Recent(2 * held)
    for k in range(5):
        few.get(k, lambda: example)
        assert few.bytes <= 2 * held
    few.get(3, lambda: pytest.fail("the last two are held"))


def test_a_training_knows_its_shards_without_reading_them():
    reads = []
    vocabulary = make_vocabulary([row for s in SESSIONS for row in usable_notes(s)], HashedEncoder())
    layout = fit_layout(TABLES)
    examples = streamed_examples(stored(SESSIONS, reads), layout, vocabulary)
    other = streamed_examples(
        stored(SESSIONS), dataclasses.replace(layout, shift=layout.shift + 1), vocabulary
    )

    def known_by(some):
        return identity("final", TINY, 0, [stand_in(e) for e in some], vocabulary, {})

    assert known_by(examples) == known_by(streamed_examples(stored(SESSIONS), layout, vocabulary))
    assert len({known_by(examples), known_by(examples[::-1]), known_by(other)}) == 3 and reads == []
    real = span_example(SESSIONS[0], TABLES[0], layout, vocabulary, usable_notes(SESSIONS[0]))
    assert stand_in(real) is real


def test_notes_without_spans_and_several_hops_are_refused():
    several = stored(SESSIONS)
    several[1] = dataclasses.replace(several[1], hop=0.25)
    with pytest.raises(InputError, match="several hops"):
        fit_stored(several, TINY)
    with pytest.raises(InputError, match="2 stored sessions have notes and no true span"):
        fit_stored(stored([*SESSIONS[:2], *map(untold, SESSIONS[2:])]), TINY)
    with pytest.raises(ParameterError, match="self_training"):
        fit_stored(stored(SESSIONS), dataclasses.replace(TINY, self_training=1))


def test_the_layout_of_tables_seen_one_by_one_is_that_of_all_at_once(monkeypatch):
    for sampled in (50, 200_000):
        monkeypatch.setattr(layouts, "_SAMPLED", sampled)
        one_by_one = fit_layout(StoredFrames(stored(SESSIONS)))
        rows = np.concatenate([read_blocks(t, one_by_one.sources).blocks[0] for t in TABLES])
        shift, scale = robust_location_scale(rows[:: 1 + len(rows) // sampled])
        np.testing.assert_array_equal(one_by_one.shift, shift.astype(np.float32))
        np.testing.assert_array_equal(one_by_one.scale, scale.astype(np.float32))
    frames = StoredFrames(stored(SESSIONS))
    assert len(frames) == 4 and len(frames[1:]) == 3 and frames[1:][0].n_frames == TABLES[1].n_frames


@pytest.mark.parametrize("at_once", [1, 5, 12, 1000])
def test_inputs_scaled_some_columns_at_a_time_are_those_of_all_at_once(monkeypatch, at_once):
    monkeypatch.setattr(layouts, "_AT_ONCE", at_once)
    layout, block = fit_layout(TABLES), TABLES[2].blocks[0].copy()
    block[3:9, :7] = np.nan
    table = dataclasses.replace(TABLES[2], blocks=(block,))
    absolute = np.clip((block - layout.shift) / layout.scale, -6.0, 6.0)
    relative = robust_scaled(block, 6.0, 0.1 * layout.scale)
    present = np.isfinite(block).any(axis=1, keepdims=True)
    wanted = np.nan_to_num(np.concatenate([absolute, relative, present], axis=1))
    found = model_inputs(table, layout)
    assert found.dtype == np.float32
    if at_once > 1:
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["convolution", "transformer"])
@pytest.mark.parametrize("edges", [True, False])
def test_a_long_recording_goes_through_the_encoder_in_stretches(kind, edges):
    layout = fit_layout(TABLES)
    plan = dataclasses.replace(
        TINY, encoder_kind=kind, edges=edges, heads=4, layers=1, dilations=(1, 3), longest=64
    )
    torch.manual_seed(0)
    encoder = stream_encoder(layout, plan).eval()
    inputs = np.random.default_rng(0).normal(size=(331, layout.n_features)).astype(np.float32)
    whole = encode_frames(encoder, inputs)
    for stretch in (40, 110, 330):
        some = encode_frames(encoder, inputs, stretch)
        np.testing.assert_allclose(some.vectors, whole.vectors, atol=1e-5)
        np.testing.assert_allclose(some.nothing, whole.nothing, atol=1e-5)
        assert (some.edges is None) == (whole.edges is None) == (not edges)
        if some.edges is not None and whole.edges is not None:
            assert some.edges.shape == (332,)
            np.testing.assert_allclose(some.edges, whole.edges, atol=1e-5)
