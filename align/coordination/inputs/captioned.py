"""Sessions whose notes are their own captions: what a model can learn from before anybody has written anything.

The formulas of ``features.captions`` describe every stretch in three sorts of words: what was measured ("heart rate
low"), what shape it has ("rhythmic steps") and what people call it ("walking", "going for a walk"). As true spans they
teach an encoder what such words look like, so that an untrained user starts from more than noise:

    model = fit_coordination([captioned_session(s) for s in sessions])

Reference: the three levels of captions of SensorLM (Zhang et al., arXiv 2506.09108, section 3.1), here by formula.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from align.datatypes import Floats, Session, Span
from align.errors import ParameterError
from align.features import natural_hop
from align.features.captions import Description, describe
from align.features.phrases import SOMETHING, Phrase
from align.segmentation.session import joint_spans, segment_session

__all__ = ["captioned_session"]

_HOLDS = 0.5  # strength from which a phrase is said of a stretch
_USUAL_NOTE_S = 30.0  # of a recording without notes
_FLOOR = 0.05  # strength below which a phrase's absence says nothing
_TOUCH_S = 1e-6
_FIGURE = re.compile(r"\s*(?:near\s*)?\{[^}]*\}\s*\w*")


def captioned_session(session: Session, seed: int = 0) -> Session:
    """The session with its captions as truth; its notes and truth are not looked at, but for how many notes there are.

    Each stretch between change points carries the phrase that holds there and is the least usual in the session ("lying
    at rest" rather than "no movement"), in one of its wordings drawn at random; neighbours with the same phrase are one
    span. Where no phrase holds for half of a stretch, nothing is said. Phrases are labels: wordings of one phrase mean
    the same.

    Args:
        session: streams.
        seed: draws the wordings, >= 0.

    Raises:
        ParameterError: seed < 0.
    """
    if seed < 0:
        raise ParameterError("seed", seed, ">= 0")
    seconds = session.end - session.start
    hop = natural_hop(seconds, len(session.notes) or seconds / _USUAL_NOTE_S)
    spans = joint_spans(segment_session(session, hop))
    made = describe(session, hop)
    named = _most_telling(made, spans)
    rng = np.random.default_rng([seed, *session.name.encode()])
    truth: list[Span] = []
    last = -1
    for (start, end), phrase in zip(spans.tolist(), named, strict=True):
        if phrase >= 0 and phrase == last and start - truth[-1].end < _TOUCH_S:
            truth[-1] = dataclasses.replace(truth[-1], end=end)
        elif phrase >= 0:
            words = _wordings(made.phrases[phrase])
            text = words[int(rng.integers(len(words)))]
            truth.append(Span(start, end, made.phrases[phrase].said, text))
        last = phrase
    return dataclasses.replace(session, notes=(), truth=tuple(truth))


def _most_telling(made: Description, spans: Floats) -> list[int]:
    """Per span the phrase that holds there and stands out most from what the session usually shows; -1: none."""
    held = made.over(spans)
    usual = made.strengths[made.observed].mean(axis=0) if made.observed.any() else np.zeros(len(made.phrases))
    surprise = np.log((held + _FLOOR) / (usual + _FLOOR))
    said = held >= _HOLDS
    said[:, [p is SOMETHING for p in made.phrases]] = False
    surprise[~said] = -np.inf
    return [int(row.argmax()) if np.isfinite(row).any() else -1 for row in surprise]


def _wordings(phrase: Phrase) -> list[str]:
    """What was measured, without its figure, and what people call it."""
    return [_FIGURE.sub("", phrase.said), *phrase.means]
