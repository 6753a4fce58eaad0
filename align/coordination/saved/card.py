"""A model's card: what it reads, what it was made from, how sure it may be, and what it is not for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from align.coordination.inputs.channels import MAGNITUDE, channel_of
from align.coordination.saved.bundle import Coordination
from align.coordination.saved.provenance import text_identity

__all__ = ["model_card"]

_HASHES = 5  # of sessions that are printed
_LONG_ROW = 5  # of channels that differ in a number


def model_card(model: Coordination) -> str:
    """The card as Markdown; no note text is in a model, so none is in its card.

    Args:
        model: trained.

    Raises:
        InputError: E-MODEL-EMPTY, the model was never trained.
    """
    parts = (_title, _reads, _made_from, _made_how, _confidence, _limits)
    return "\n\n".join(part(model) for part in parts) + "\n"


def _title(model: Coordination) -> str:
    count = sum(p.numel() for p in model.trained().parameters())
    return (
        f"# Model {model.hash[:12]}\n\n"
        "Says what free-text notes refer to in recordings. Two encoders, of streams and of texts, held to agree by"
        f" the coordination function `{model.plan.function}`; {count:,} parameters."
    )


def _reads(model: Coordination) -> str:
    layout = model.layout
    rows = []
    for name, columns, units in zip(layout.streams, layout.channels, layout.units, strict=True):
        known = sorted({unit for unit in units if unit})
        rows.append(f"| {name} | {_channels(columns)} | {', '.join(known) or 'unknown'} |")
    table = "\n".join(["| stream | channels | units |", "|---|---|---|", *rows])
    text = text_identity(model.encoder)
    kept = "".join(f"; {part} {text[part][:12]}" for part in ("weights", "concepts") if part in text)
    return (
        f"## What it reads\n\n{table}\n\nFrames of {layout.hop:g} s. Texts: `{text['name']}`,"
        f" {text['dimension']} numbers each{kept}."
    )


def _channels(columns: Sequence[str]) -> str:
    """The source's channels behind columns of frames; a long numbered row by its first and last."""
    names = [c for c in dict.fromkeys(map(channel_of, columns)) if MAGNITUDE not in c]
    names = [c for c in names if not any(c.startswith(f"{lead}.") for lead in names)]  # what its beats do
    said: list[str] = []
    for _, row in groupby(names, key=lambda name: name.rstrip("0123456789")):
        own = list(row)
        said += own if len(own) < _LONG_ROW else [f"{own[0]} to {own[-1]}"]
    return ", ".join(said)


def _made_from(model: Coordination) -> str:
    made = model.provenance
    if made is None:
        return "## What it was made from\n\nNot known: the model is older than such records."
    others = len(made.data) - _HASHES
    data = ", ".join(h[:12] for h in made.data[:_HASHES]) + (f" and {others} more" if others > 0 else "")
    return (
        f"## What it was made from\n\n{made.n_sessions} sessions of {made.n_people} people or devices,"
        f" {made.hours:.3g} hours; true spans known in {made.n_labelled} of them. {made.n_notes} notes with"
        f" {made.n_texts} distinct texts. SHA-256 of the sessions, without their texts: {data}."
        f" Made by align {made.version}."
    )


def _made_how(model: Coordination) -> str:
    plan = model.plan
    beside = f" and the objective `{plan.objective}`" if plan.objective else ""
    augmented = f", augmented by {', '.join(plan.augment)}" if plan.augment else ""
    taught = f" It then taught itself {plan.self_training} times from sessions without notes." * bool(
        plan.self_training
    )
    return (
        f"## How\n\nStream encoder `{plan.encoder_kind}` of width {plan.width}, shared space of {plan.dimension}"
        f" dimensions; loss `{plan.loss}`{beside}; {plan.epochs} epochs of {plan.batch} sessions a step at up to"
        f" {plan.learning_rate:g}{augmented}; seed {plan.seed}.{taught}"
    )


def _confidence(model: Coordination) -> str:
    head = "## How sure it may be\n\n"
    times = (
        f"Times written with notes are moved by {model.lag + 0.0:+.3g} s, give or take {model.lag_sd:.3g} s."
    )
    if model.captions:
        times += " What captions say of a stretch in words counts beside what the network says."
    known = model.calibration
    if known is None:
        return head + (
            "Not measured: fewer than eight sessions with true spans, or one person. Probabilities rank, but need"
            f" not be honest. {times}"
        )
    rows = [
        f"| {kind} | {said:.2f} | {true:.2f} | {count:.0f} |"
        for kind, seen in (("a span", known.spans_seen), ("unmatched", known.nothing_seen))
        for said, true, count in np.asarray(seen)
    ]
    table = "\n".join(["| answer | said | came true | notes |", "|---|---|---|---|", *rows])
    return head + f"Calibrated on {known.n_notes} notes of people held out. {times}\n\n{table}"


def _limits(model: Coordination) -> str:
    return (
        "## What it is not for\n\n"
        "- Recordings of other sensors, other places on the body or other rooms than those above: measure first,"
        " with `align eval`.\n"
        "- Notes about things that nobody spoke of in training: they get low probabilities, or wrong spans.\n"
        "- Decisions about a person without somebody who looks at the recording.\n\n"
        "No note text and no vocabulary is stored in it; of wordings that two or more people used, where they lie in"
        " the learned space, so that somebody who guesses such a wording can tell that it was used. It was made from"
        " the recordings above all the same, and weights can remember: share it as you would share them."
    )
