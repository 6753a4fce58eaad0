"""``align models``: what is known of a saved model."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.group("models")
def command() -> None:
    """Say what is known of a saved model."""


@command.command("card")
@click.argument("model", type=click.Path(path_type=Path))
def card(model: Path) -> int:
    """Print a model's card: what it reads, was made from, how sure it may be, what it is not for."""
    from align.coordination import load_coordination
    from align.coordination.saved.card import model_card

    click.echo(model_card(load_coordination(model)), nl=False)
    return 0
