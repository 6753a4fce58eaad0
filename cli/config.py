"""``align config show``: every setting, its value, where it came from and what it means."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.group("config", no_args_is_help=False)
def command() -> None:
    """Show every setting, its value and where it came from."""


@command.command("show")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="A TOML file with one table per stage."
)
@click.option("--preset", help="Show the settings of a preset (small, default, large).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON event instead of TOML.")
def show(file: Path | None, preset: str | None, as_json: bool) -> None:
    """Print all settings as TOML that `--config` reads back, each with its source and meaning."""
    from cli.console import emit
    from pipelines.settings import load_settings

    settings = load_settings(file, {"training.preset": preset})
    if as_json:
        emit({"event": "result", "settings": settings.as_dict()})
    else:
        click.echo(settings.as_toml())
