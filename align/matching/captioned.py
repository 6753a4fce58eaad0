"""Evidence without a trained model: what each stretch shows in words, compared with the notes.

The session is described by phrases v (``features.captions``), each holding on segment s with a strength
w(s, v). A text encoder says how likely note n means phrase v: ``q(v | n) = softmax over v of cos(n, v) / T``
with the cosine of v's closest wording. Mean and spread of the cosines between wordings of different phrases
say what is "unrelated" to this encoder: T is half that spread, and one more phrase, "something", has a cosine
of mean plus spread, so a note that the table has no words for means "something": wherever there is data, and
for sound, wherever it is not silent. Then

    log odds(s, n) = log sum over v of q(v | n) (w(s, v) + e) / (mean over the session of w(., v) + e)

is positive where the session shows what the note says more than it usually does. Neighbouring frames are not
independent witnesses: a frame counts ``hop / look``, at most 1, a look being an eighth of a note's usual share of
the recording. In a session of sound alone, what stands out of the background speaks for every note as well but for
those about quiet, two and a half times as often, as background is told frame by frame (``foreground``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Floats, Session
from align.errors import ParameterError
from align.features import natural_hop
from align.features.captions import Description, describe
from align.features.phrases import SOMETHING, TABLE
from align.matching.foreground import Foreground
from align.segmentation.session import joint_spans, segment_session
from align.text.protocol import TextEncoder

__all__ = ["caption_durations", "caption_lifts", "caption_odds", "caption_session", "evidence_from_captions"]

F4 = npt.NDArray[np.float32]

SHARPNESS = 0.5  # T, in spreads of the cosines of unrelated wordings
SURPRISE = 1.0  # spreads above their mean from which a note is taken to mean a phrase
NOTHING = 0.1  # captions have no words for much that is written
FLOOR = 0.05  # e: strength below which a phrase's absence says nothing
LOOKS = 8.0  # independent looks at a note's usual share of the recording
FOREGROUND = Foreground(seen=0.5, unseen=-4.0)  # not every sound has its note
FOREGROUND_LOOKS = 20.0
SPREAD = {"momentary": 0.6, "short": 0.8, "long": 0.8}  # standard deviation of the log duration
MOMENT_S, SHORT_SHARE = 3.0, 0.5
WIDEST = 1.0  # most deviation of the log duration: beyond it a duration says nothing and costs much time


def caption_session(session: Session, encoder: TextEncoder) -> Evidence:
    """The same at the session's natural hop, with segments between the change points of all its streams."""
    hop = natural_hop(session.end - session.start, len(session.notes))
    return evidence_from_captions(session, encoder, joint_spans(segment_session(session, hop)), hop)


def evidence_from_captions(
    session: Session, encoder: TextEncoder, segments: npt.ArrayLike, hop: float
) -> Evidence:
    """How well each frame fits each note, from captions alone.

    Args:
        session: streams and notes; times of the notes are not used here.
        encoder: compares phrases and notes.
        segments: (n, 2) seconds: spans are likelier to start and end where they meet. Frames are judged one by one,
            not by segment: a change point that is missed would wash out the short events on both sides of it.
        hop: seconds per frame, > 0.

    Returns:
        Evidence with method "captions".

    Raises:
        ParameterError: hop not > 0, or segments not (n, 2).
    """
    spans = np.asarray(segments, dtype=np.float64)
    if spans.ndim != 2 or spans.shape[1] != 2:
        raise ParameterError("segments", f"shape {spans.shape}", "(n_segments, 2) seconds")
    made = describe(session, hop)
    meant = meanings(made, encoder, encoder.encode([note.text for note in session.notes]))
    log_odds, gain = _counted(made, meant), np.zeros(0)
    if np.isfinite(made.foreground).any():
        heard = FOREGROUND.weighted(min(1.0, FOREGROUND_LOOKS / LOOKS * _frame_counts(made, len(meant))))
        log_odds = log_odds + np.outer(heard.log_odds(made.foreground), _audible(made, meant))
        gain = heard.gain(made.foreground)
    return Evidence(
        log_odds=log_odds,
        hop=hop,
        first=made.cells.first,
        observed=made.observed,
        durations=_durations(made, meant),
        method="captions",
        nothing=NOTHING,
        streams=tuple(stream.name for stream in session.streams),
        edges=np.rint(spans[1:, 0] / hop).astype(np.int64) - made.cells.first,
        gain=gain,
    )


def caption_odds(made: Description, encoder: TextEncoder, vectors: F4, first: int, n_frames: int) -> F4:
    """(n_frames, n_notes) f4: the log odds above on a grid of one's own; 0 where nothing was observed. Without what
    stands out: a model counts that itself, and rounds that begin with what captions say come to it.

    Args:
        made: of the session, at the hop of that grid.
        encoder: of the texts.
        vectors: (n_notes, dimension) of the notes, by the encoder.
        first: number of the grid's first frame, in hops from zero of the session clock.
        n_frames: of the grid.
    """
    return _on_grid(_counted(made, meanings(made, encoder, vectors)), made, first, n_frames)


def caption_lifts(made: Description, encoder: TextEncoder, vectors: F4, first: int, n_frames: int) -> F4:
    """The same of any texts, each frame for itself: not tempered as one of many that are to place a note.

    Args:
        made, encoder, first, n_frames: as for ``caption_odds``.
        vectors: (n_texts, dimension), by the encoder.
    """
    return _on_grid(_of_frames(made, meanings(made, encoder, vectors)), made, first, n_frames)


def _on_grid(odds: F4, made: Description, first: int, n_frames: int) -> F4:
    out = np.zeros((n_frames, odds.shape[1]), np.float32)
    at = made.cells.first - first
    low, high = max(0, at), min(n_frames, at + made.cells.n)
    if high > low:
        out[low:high] = odds[low - at : high - at]
    return out


def caption_durations(made: Description, encoder: TextEncoder, vectors: F4) -> Floats:
    """(n_notes, 2) mean and standard deviation of the log duration in seconds that captions expect of each note.

    Args:
        made, encoder, vectors: as for ``caption_odds``.
    """
    return _durations(made, meanings(made, encoder, vectors))


def meanings(made: Description, encoder: TextEncoder, notes: F4) -> Floats:
    """(n_notes, n_phrases) q(v | n): how likely each note, a vector, means each phrase; rows add up to 1."""
    if not made.phrases or not len(notes):
        return np.zeros((len(notes), len(made.phrases)))
    wordings = [text for phrase in made.phrases for text in phrase.means]
    owner = np.repeat(np.arange(len(made.phrases)), [len(phrase.means) for phrase in made.phrases])
    vectors = encoder.encode(wordings).astype(np.float64)
    unrelated = (vectors @ vectors.T)[owner[:, None] != owner]
    mean, spread = (float(unrelated.mean()), float(unrelated.std())) if unrelated.size else (0.0, 0.1)
    closest = np.full((len(notes), len(made.phrases)), -np.inf)
    np.maximum.at(closest.T, owner, vectors @ notes.astype(np.float64).T)
    closest[:, [phrase is SOMETHING for phrase in made.phrases]] = mean + SURPRISE * spread
    weight = np.exp((closest - closest.max(axis=1, keepdims=True)) / (SHARPNESS * max(spread, 1e-3)))
    return weight / weight.sum(axis=1, keepdims=True)


def _counted(made: Description, meant: Floats) -> F4:
    """(n_cells, n_notes) the captions' log odds, a frame as one of many that say much the same."""
    return np.asarray(_of_frames(made, meant) * np.float32(_frame_counts(made, len(meant))), np.float32)


def _audible(made: Description, meant: Floats) -> F4:
    """(n_notes,) how likely each note is about something that is heard, and not about quiet."""
    quiet = [phrase is TABLE["quiet"] for phrase in made.phrases]
    return np.asarray(1.0 - meant[:, quiet].sum(axis=1), np.float32)


def _of_frames(made: Description, meant: Floats) -> F4:
    odds = _log_odds(made.strengths, _usual(made), meant)
    odds[~made.observed] = 0.0
    return odds.astype(np.float32)


def _frame_counts(made: Description, n_notes: int) -> float:
    """How many independent witnesses a frame is, at most 1."""
    return min(1.0, made.cells.hop / _look_s(made, n_notes))


def _usual(made: Description) -> npt.NDArray[np.floating]:
    """(n_phrases,) mean strength of each phrase over the session."""
    if not made.observed.any():
        return np.zeros(len(made.phrases))
    return np.asarray(made.strengths[made.observed].mean(axis=0))


def _log_odds(held: npt.NDArray[np.float32], usual: npt.NDArray[np.floating], meant: Floats) -> Floats:
    """(n, n_notes) log of the lift of what each note means; 0 without phrases."""
    if not held.shape[1]:
        return np.zeros((len(held), len(meant)))
    lift = (held.astype(np.float64) + FLOOR) / (usual + FLOOR)
    return np.log(lift @ meant.T)


def _look_s(made: Description, n_notes: int) -> float:
    """Seconds that count as one independent look: an eighth of the usual share of a note."""
    return _share(made, n_notes) / LOOKS


def _share(made: Description, n_notes: int) -> float:
    """Observed seconds per note."""
    return max(float(made.observed.sum()), 1.0) * made.cells.hop / max(n_notes, 1)


def _durations(made: Description, meant: Floats) -> Floats:
    """(n_notes, 2) mean and standard deviation of the log duration in seconds.

    Observed time over notes is the usual share. A moment lasts 3 s or half a share, whichever is less; long
    events share what is left; a short one lasts half of that. A note is a mixture of what it may mean.
    """
    n_notes = len(meant)
    observed = max(float(made.observed.sum()) * made.cells.hop, made.cells.hop)
    share = observed / max(n_notes, 1)
    kinds = ("momentary", "short", "long")
    lasts = np.array([[phrase.lasts == kind for kind in kinds] for phrase in made.phrases], dtype=np.float64)
    mix = meant @ lasts.reshape(-1, 3) if made.phrases else np.tile([0.0, 0.0, 1.0], (n_notes, 1))
    moment = min(MOMENT_S, share / 2)
    rest = max(observed - moment * mix[:, 0].sum(), observed / 2)
    long = rest / max(float(mix[:, 2].sum() + SHORT_SHARE * mix[:, 1].sum()), 1.0)
    log_mean = np.log([moment, SHORT_SHARE * long, long])
    variance = np.array([SPREAD[kind] ** 2 for kind in kinds])
    mean = mix @ log_mean
    spread = np.sqrt(mix @ (variance + log_mean**2) - mean**2)
    return np.column_stack([mean, np.minimum(spread, WIDEST)])
