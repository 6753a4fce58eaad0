"""What is asked about people held out: their own notes, and the same with notes of something else planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.coordination.inputs.examples import Example, Vocabulary
from align.coordination.saved.bundle import Coordination
from align.datatypes import Floats, Note
from align.text.protocol import TextEncoder

__all__ = ["REMARKS", "Trial", "make_trials"]

#: What people write beside observations: nothing here that a stream is recorded for.
REMARKS = (
    "blood pressure taken by the nurse",
    "family came to visit",
    "spoke with the doctor about the results",
    "changed the dose of the medication",
    "filled in the questionnaire",
    "consent form signed",
    "battery of the device replaced",
    "complains about the weather",
    "asked for a second blanket",
    "reading the newspaper",
    "watching a film on television",
    "the physiotherapist will come tomorrow",
    "appointment moved to Friday",
    "in good spirits today",
    "allergic to penicillin",
    "glasses were left at home",
    "wound dressing renewed",
    "temperature measured, no fever",
    "the lift is out of order",
    "breakfast was late",
    "new pair of shoes",
    "sister telephoned",
    "paid the invoice",
    "prefers the window side",
)
_PLANTED = 0.25  # planted notes per own note: a fifth of all
_NEAR = 0.5  # cosine from which a remark may well mean what a note says
_PARAPHRASE = 0.6  # the same between training texts that carry no labels


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One session with notes whose answer is known.

    ``vectors`` (n_notes, text dimension) of ``notes``; ``spans`` (n_notes, 2) frames, NaN: refers to nothing here.
    """

    example: Example
    notes: tuple[Note, ...]
    vectors: npt.NDArray[np.float32]
    spans: Floats

    def evidence(self, model: Coordination) -> Evidence:
        """What ``model`` sees in it."""
        return model.evidence_of(self.example.table, self.example.inputs, self.vectors)


def make_trials(
    held: Sequence[Example], vocabulary: Vocabulary, encoder: TextEncoder, seed: int
) -> tuple[list[Trial], list[Trial]]:
    """Every session as it is, and again with a quarter as many notes planted at random places.

    Half of the planted notes are training texts about things that do not happen in that session, where there are
    any, and half are remarks.

    Args:
        held: labelled examples; a note without a span in one refers to nothing.
        vocabulary: the training texts.
        encoder: of the model.
        seed: of texts and places.
    """
    rng = np.random.default_rng(seed)
    remarks = encoder.encode(REMARKS)
    plain, planted = [], []
    for example in held:
        own = Trial(
            example,
            tuple(Note(vocabulary.texts[i]) for i in example.notes),
            vocabulary.vectors[example.notes],
            example.spans,
        )
        far = np.flatnonzero((own.vectors @ remarks.T).max(axis=0) < _NEAR)
        absent = np.flatnonzero(_absent(example, vocabulary))
        plain.append(own)
        planted.append(_planted(own, vocabulary, absent, (remarks, far), rng))
    return plain, planted


def _absent(example: Example, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """(n_texts,) which training texts mean nothing that the session's notes mean.

    Labels say which texts mean the same; without labels near vectors do.
    """
    same = vocabulary.same
    if same.sum() == len(same):
        same = vocabulary.vectors @ vocabulary.vectors.T >= _PARAPHRASE
    here = np.zeros(len(same), np.bool_)
    for i in example.notes:
        here |= same[i]
    return ~here


def _planted(
    own: Trial,
    vocabulary: Vocabulary,
    absent: npt.NDArray[np.int64],
    remarks: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    rng: np.random.Generator,
) -> Trial:
    vectors, far = remarks
    texts: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    for _ in range(max(1, round(_PLANTED * len(own.notes)))):
        if len(absent) and (not len(far) or rng.random() < 0.5):
            k = int(rng.choice(absent))
            texts.append(vocabulary.texts[k])
            rows.append(vocabulary.vectors[k])
        elif len(far):
            k = int(rng.choice(far))
            texts.append(REMARKS[k])
            rows.append(vectors[k])
    at = np.sort(rng.integers(0, len(own.notes) + 1, len(texts)))
    order = np.insert(np.arange(len(own.notes)), at, len(own.notes) + np.arange(len(texts)))
    notes = (*own.notes, *map(Note, texts))
    return Trial(
        own.example,
        tuple(notes[i] for i in order),
        np.vstack([own.vectors, *rows])[order],
        np.vstack([own.spans, np.full((len(texts), 2), np.nan)])[order],
    )
