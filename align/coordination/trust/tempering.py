"""How far a network's evidence counts beside the captions', in a session that is strange to it or to few notes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.coordination.trust.familiarity import STRANGE_FROM, trust_in
from align.coordination.trust.looks import looks_at_a_frame
from align.datatypes import Floats

__all__ = ["tempered", "with_captions"]


def tempered(evidence: Evidence, durations: Floats, sharpness: float) -> Evidence:
    """Of a strange session the network says little, and how long things last there is as captions expect.

    Nor does a frame count more than is usual for notes that last as long: how much it counts among people of training
    was measured on notes of theirs, which may have been far shorter.

    Args:
        evidence: with how strange the session is.
        durations: (n_notes, 2) as captions expect them, mean and standard deviation of the log seconds.
        sharpness: of the model.
    """
    strange, trust = evidence.strange, trust_in(evidence.strange)
    usual = looks_at_a_frame(float(np.exp(np.median(durations[:, 0]))) / evidence.hop)
    least = min(1.0, usual / sharpness)
    counts, meant = np.float32(trust * ((1.0 - strange) + strange * least)), evidence.meanings
    return dataclasses.replace(
        evidence,
        log_odds=counts * evidence.log_odds,
        meanings=meant and dataclasses.replace(meant, log_odds=counts * meant.log_odds),
        gain=trust * evidence.gain,
        durations=(1.0 - strange) * evidence.durations + strange * durations,
        calibration=evidence.calibration if strange < STRANGE_FROM else None,
    )


def with_captions(
    evidence: Evidence, said: npt.NDArray[np.float32], weight: float, vectors: npt.NDArray[np.float32]
) -> Evidence:
    """Add what captions say on the same grid: two witnesses who judge by different things. Empty notes stay at 0.

    Of what else notes may mean captions say nothing, so it counts as much less.

    Args:
        evidence: of the network.
        said: (n_frames, n_notes) f4, the captions' log odds.
        weight: in [0, 1].
        vectors: (n_notes, text dimension); zeros for an empty note.
    """
    heard, meant = vectors.any(axis=1) & evidence.observed[:, None], evidence.meanings
    return dataclasses.replace(
        evidence,
        log_odds=evidence.log_odds + np.float32(weight) * said * heard,
        meanings=meant and dataclasses.replace(meant, shares=(1.0 - weight) * meant.shares),
    )
