"""The trained model: what it needs to read any session, saved as safetensors + JSON, never as pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from align.answers import Calibration, Evidence, Meanings
from align.coordination.functions.table import coordination_function
from align.coordination.inputs.findings import layout_findings
from align.coordination.inputs.layout import Layout, model_inputs, session_table
from align.coordination.network.edges import edge_gain
from align.coordination.network.encoders import Coordinator, TextProjection, stream_encoder
from align.coordination.network.encoding import encode_frames
from align.coordination.network.odds import FrameOdds
from align.coordination.plan import TrainingPlan
from align.coordination.saved.model_format import (
    ABOUT,
    FAMILIAR,
    FORMAT,
    HEARD,
    LAYOUT,
    WEIGHTS,
    calibration_out,
    check_numbers,
    check_tensors,
    parts_of,
    seal_of,
)
from align.coordination.saved.provenance import Provenance, text_identity
from align.coordination.trust.durations import DurationModel
from align.coordination.trust.familiarity import Familiar
from align.coordination.trust.heard import Heard
from align.coordination.trust.tempering import tempered, with_captions
from align.datatypes import Finding, Session
from align.errors import InputError
from align.features.captions import describe
from align.features.foreground import foreground_of
from align.features.frames import FrameTable
from align.matching.captioned import caption_durations, caption_odds
from align.matching.foreground import Foreground, noted_frames
from align.matching.gains import joint_gain
from align.text.protocol import TextEncoder

__all__ = ["Coordination", "bundle_files", "new_coordinator"]

_NOTHING = 0.02  # where nobody was held out to measure it


@dataclass(frozen=True, slots=True, eq=False)
class Coordination:
    """A trained pair of encoders with all that it takes to align a session.

    ``sharpness``: how much a frame's log odds count (neighbouring frames are not independent); ``lag`` and
    ``lag_sd``: how far, in seconds, an exactly written time must be moved to point into its span, and how loosely
    it does; ``reach``: 1 when it may point anywhere into the span, 0 at its middle alone. ``nothing``: prior
    probability that a note refers to nothing in its recording; ``calibration``: what posteriors were worth on
    people held out, where that was measured. ``captions``: how much what captions say of a frame counts beside what
    the network says, in [0, 1] (``align.matching.captioned``). ``heard``: which texts were heard in training, and
    what they mean, None where that is not known (``trust.heard``). ``foreground``: what it tells that a sound stands
    out of its background, None without sound (``trust.foreground``). ``familiar``: what frames of training look
    like; of a session that looks like nothing of the kind the network's word counts less and the captions' in full.
    ``provenance``: what it was made from, where known.
    """

    layout: Layout
    plan: TrainingPlan
    encoder: TextEncoder
    durations: DurationModel
    network: Coordinator | None = None
    sharpness: float = 1.0
    lag: float = 0.0
    lag_sd: float = 30.0
    reach: float = 1.0
    nothing: float = _NOTHING
    calibration: Calibration | None = None
    captions: float = 0.0
    heard: Heard | None = None
    foreground: Foreground | None = None
    familiar: Familiar | None = None
    provenance: Provenance | None = None

    @classmethod
    def empty(cls, layout: Layout, plan: TrainingPlan, encoder: TextEncoder) -> Coordination:
        """Without a network yet; durations unknown.

        Args:
            layout, plan, encoder: as the fields of the same names.
        """
        none = DurationModel(0.0, np.zeros(encoder.dimension, np.float32), 1.0)
        return cls(layout, plan, encoder, none)

    def with_times(self, lag: float, lag_sd: float, reach: float) -> Coordination:
        """A copy that knows how note times lie.

        Args:
            lag: seconds to add to the time written.
            lag_sd: standard deviation of what is left, seconds, > 0.
            reach: 1 when a time may point anywhere into its span, 0 at its middle alone.
        """
        return dataclasses.replace(self, lag=lag, lag_sd=lag_sd, reach=reach)

    def with_durations(self, durations: DurationModel) -> Coordination:
        """A copy that knows how long things last.

        Args:
            durations: as fitted.
        """
        return dataclasses.replace(self, durations=durations)

    def with_network(
        self, network: Coordinator, sharpness: float, heard: Heard | None = None
    ) -> Coordination:
        """A copy with trained encoders.

        Args:
            network: on the CPU, in evaluation mode.
            sharpness: how much a frame's log odds count, > 0.
            heard: which texts were heard in training, None where that is not known.
        """
        return dataclasses.replace(self, network=network, sharpness=sharpness, heard=heard)

    def with_confidence(
        self,
        nothing: float,
        calibration: Calibration | None,
        captions: float = 0.0,
        foreground: Foreground | None = None,
    ) -> Coordination:
        """A copy that knows how sure it may be.

        Args:
            nothing: prior probability that a note refers to nothing, in (0, 1).
            calibration: measured with that prior, the network's sharpness and the captions' weight, or None.
            captions: that weight, in [0, 1].
            foreground: as fitted, with its weight.
        """
        return dataclasses.replace(
            self, nothing=nothing, calibration=calibration, captions=captions, foreground=foreground
        )

    def with_provenance(self, provenance: Provenance) -> Coordination:
        """A copy that knows what it was made from.

        Args:
            provenance: counts and hashes of the training data.
        """
        return dataclasses.replace(self, provenance=provenance)

    def with_familiar(self, familiar: Familiar) -> Coordination:
        """A copy that knows what frames of training look like.

        Args:
            familiar: as fitted.
        """
        return dataclasses.replace(self, familiar=familiar)

    def strangeness(self, inputs: np.ndarray) -> float:
        """In [0, 1]: how little a session looks like those of training; 0 where that is not known.

        Args:
            inputs: (n_frames, n_features) f4, from ``model_inputs``.
        """
        return 0.0 if self.familiar is None else self.familiar.strangeness(inputs, self.layout)

    def evidence(self, session: Session) -> Evidence:
        """How well each frame of a session fits each of its notes; one column per note.

        A note in which the text encoder finds nothing (an empty one) has log odds 0.

        Args:
            session: with at least one stream that the model knows.

        Raises:
            InputError: E-MODEL-STREAMS, E-MODEL-CHANNELS.
        """
        return self.evidence_for(session, self.encoder.encode([note.text for note in session.notes]))

    def evidence_for(self, session: Session, vectors: np.ndarray) -> Evidence:
        """The same for notes of which only the vectors are known.

        Of a session that is strange to the model the network's log odds count less (``trust_in``), what captions say
        is added and durations are those that they expect, all as much as it is strange. The calibration is of sessions
        like those of training: one that is more strange than not has none.

        Args:
            session: with at least one stream that the model knows; its notes are not looked at.
            vectors: (n_notes, text dimension) f4, one row per note; zeros where there is nothing to go by.

        Raises:
            InputError: E-MODEL-STREAMS, E-MODEL-CHANNELS.
        """
        table = session_table(session, self.layout.hop, self.layout)
        evidence = self.evidence_of(table, model_inputs(table, self.layout), vectors)
        weight = max(self.captions, evidence.strange)
        if not weight or not len(vectors):
            return evidence
        made = describe(session, table.hop)
        if evidence.strange:
            durations = caption_durations(made, self.encoder, vectors)
            evidence = tempered(evidence, durations, self.sharpness)
        said = caption_odds(made, self.encoder, vectors, table.first, table.n_frames)
        return with_captions(evidence, said, weight, vectors)

    def evidence_of(self, table: FrameTable, inputs: np.ndarray, vectors: np.ndarray) -> Evidence:
        """What the network says of frames and vectors, what foreground says of all notes, and how strange all is.

        The network's log odds count less the more of the texts are in words that it never heard, and these may mean
        something else (``trust.heard``).

        Args:
            table: the session's frames.
            inputs: (n_frames, n_features) f4, from ``model_inputs``.
            vectors: as for ``evidence_for``.
        """
        log_odds = np.zeros((table.n_frames, len(vectors)), np.float32)
        gain, strange = np.zeros(0), self.strangeness(inputs)
        durations, silent = self.durations.of(vectors), ~vectors.any(axis=1)
        meanings = None
        if self.network is not None:
            made = encode_frames(self.network.stream, inputs)
            gain = gain if made.edges is None else edge_gain(made.edges)
            del inputs  # as large as what follows
            shown = np.zeros(table.n_frames, np.float32)
            if self.foreground is not None:
                share = foreground_of(table)
                shown = self.foreground.log_odds(share, noted_frames(durations[~silent], table.hop))
                gain = joint_gain(gain, self.foreground.gain(share))
            heard, counts = self.heard, self.sharpness
            if heard is not None:
                projected = self.network.text.projected(vectors)
                counts *= heard.trust(projected[~silent])
            odds = FrameOdds(self.network, made, counts, shown)
            log_odds = odds.of(_directions(self.network, vectors))
            log_odds[:, silent] = 0.0
            if heard is not None:
                shares = np.where(silent.reshape(-1, 1), 0.0, heard.shares(projected))
                meant = shares.any(axis=0)
                if meant.any():
                    others, lasting = odds.of(heard.meanings[meant]), heard.durations[meant]
                    meanings = Meanings(others, lasting.astype(np.float64), shares[:, meant])
        log_odds.flags.writeable = False  # a record copies what others could still write into
        return Evidence(
            log_odds=log_odds,
            hop=table.hop,
            first=table.first,
            observed=table.observed,
            durations=durations,
            tails=self.durations.tails,
            method="contrastive",
            lag=self.lag,
            lag_sd=self.lag_sd,
            reach=self.reach,
            streams=table.names,
            nothing=self.nothing,
            calibration=self.calibration,
            gain=gain,
            strange=strange,
            meanings=meanings,
        )

    def findings(self, session: Session) -> tuple[Finding, ...]:
        """What is read by likeness, missing or left unread of a session's channels, and what sound has more noise than
        in training; none under the names of training.

        Args:
            session: with streams.
        """
        return layout_findings(session, self.layout)

    def embed(
        self, session: Session
    ) -> tuple[FrameTable, npt.NDArray[np.float32], npt.NDArray[np.float32], float]:
        """Where each frame of a session lies in the space shared with texts.

        Args:
            session: with at least one stream that the model knows; its notes are not looked at.

        Returns:
            The session's frames; embeddings (n_frames, d) f4 of unit norm; the logit of "nothing" (n_frames,) f4;
            how strange the session is, in [0, 1]. A frame's log odds of a text are ``scale * agreement - nothing``.

        Raises:
            InputError: E-MODEL-EMPTY, the model was never trained; E-MODEL-STREAMS, E-MODEL-CHANNELS.
        """
        network = self.trained()
        table = session_table(session, self.layout.hop, self.layout)
        inputs = model_inputs(table, self.layout)
        made = encode_frames(network.stream, inputs)
        return table, made.vectors, made.nothing, self.strangeness(inputs)

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) f4: each text in the space shared with frames, unit norm; zeros for a text that says nothing.

        Args:
            texts: any.

        Raises:
            InputError: E-MODEL-EMPTY, the model was never trained.
        """
        network = self.trained()
        vectors = self.encoder.encode(list(texts))
        return np.where(vectors.any(axis=1, keepdims=True), _directions(network, vectors), np.float32(0.0))

    def trained(self) -> Coordinator:
        """The network.

        Raises:
            InputError: E-MODEL-EMPTY, the model was never trained.
        """
        if self.network is None:
            raise InputError("E-MODEL-EMPTY", "the model was never trained")
        return self.network

    @property
    def hash(self) -> str:
        """SHA-256 of the saved bytes."""
        files = bundle_files(self)
        return hashlib.sha256(files[ABOUT]).hexdigest()


@torch.inference_mode()
def _directions(network: Coordinator, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n, text dimension) -> (n, d) in the shared space, unit norm."""
    return np.asarray(network.text(torch.from_numpy(vectors)).numpy())


def new_coordinator(layout: Layout, plan: TrainingPlan, text_dimension: int) -> Coordinator:
    """The networks of a model before training; what they are called in its files follows from this alone.

    Args:
        layout: what the stream encoder reads.
        plan: kind and size of the encoders, and the coordination function.
        text_dimension: columns of the text vectors.
    """
    function = coordination_function(plan.function, plan.dimension)
    text = TextProjection(text_dimension, plan.dimension, noise=plan.text_noise, adapter=plan.text_adapter)
    return Coordinator(stream_encoder(layout, plan), text, function)


def bundle_files(model: Coordination) -> dict[str, bytes]:
    """File name -> bytes of a saved model. No note text is in them.

    The JSON holds the SHA-256 of the tensors' file and a seal, the SHA-256 of its own other content.

    Args:
        model: trained.

    Raises:
        InputError: E-MODEL-EMPTY, it has no network; E-MODEL-NONFINITE, a tensor or number that is not finite.
    """
    from safetensors.torch import save

    layout, durations = model.layout, model.durations
    tensors = {k: v.contiguous() for k, v in model.trained().state_dict().items()}
    tensors |= parts_of(LAYOUT, layout)
    tensors["durations.weights"] = torch.from_numpy(durations.weights.copy())
    if durations.spread is not None:
        tensors["durations.spread"] = torch.from_numpy(durations.spread.copy())
    if model.familiar is not None:
        tensors |= parts_of(FAMILIAR, model.familiar)
    if model.heard is not None:
        tensors |= parts_of(HEARD, model.heard)
    check_tensors(tensors)
    weights = save(tensors)
    about: dict[str, object] = {
        "format": FORMAT,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "text": text_identity(model.encoder),
        "hop": layout.hop,
        "streams": list(layout.streams),
        "channels": [list(c) for c in layout.channels],
        "units": [list(u) for u in layout.units],
        "floors": list(layout.floors),
        "per_hertz": layout.per_hertz,
        "plan": dataclasses.asdict(model.plan),
        "sharpness": model.sharpness,
        "lag": model.lag,
        "lag_sd": model.lag_sd,
        "reach": model.reach,
        "duration_mean": durations.mean,
        "duration_sd": durations.sd,
        "duration_tails": durations.tails,
        "nothing": model.nothing,
        "calibration": calibration_out(model.calibration),
        "captions": model.captions,
        "heard": 0.0 if model.heard is None else model.heard.length,
        "foreground": None if model.foreground is None else dataclasses.asdict(model.foreground),
        "provenance": None if model.provenance is None else dataclasses.asdict(model.provenance),
    }
    check_numbers(about)
    about["seal"] = seal_of(about)
    return {WEIGHTS: weights, ABOUT: (json.dumps(about, indent=1, sort_keys=True) + "\n").encode()}
