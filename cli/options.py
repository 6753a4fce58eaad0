"""Options that several commands share: what a reader may repair, and what the files do not say themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from align.readers.policy import Policy

__all__ = ["policy_options", "recordings_argument", "settings_options"]

_DEFAULT = Policy()


def _option(*names: str, **settings: Any) -> Callable[..., Any]:
    return click.option(*names, **settings)


_OPTIONS = (
    _option("--on-nan", type=click.Choice(["refuse", "gap"]), default=_DEFAULT.on_nan, show_default=True,
            help="NaN, infinite and empty cells: refuse them, or make them a gap."),
    _option("--on-truncated", type=click.Choice(["refuse", "keep"]), default=_DEFAULT.on_truncated,
            show_default=True, help="A file shorter than it declares: refuse it, or keep what is there."),
    _option("--sort", is_flag=True, help="Sort unsorted timestamps instead of refusing them."),
    _option("--dup", type=click.Choice(["refuse", "first"]), default=_DEFAULT.dup, show_default=True,
            help="Equal timestamps with different values: refuse them, or keep the first."),
    _option("--tail", type=click.Choice(["refuse", "drop"]), default=_DEFAULT.tail, show_default=True,
            help="A last line without a line end: refuse it, or drop it."),
    _option("--na", multiple=True, metavar="TEXT", help="A cell text that means missing. May be repeated."),
    _option("--sentinel", "sentinels", multiple=True, type=float, metavar="NUMBER",
            help="A number that means missing, as -999. May be repeated."),
    _option("--time-column", metavar="NAME", help="Name of the time column."),
    _option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of numeric times."),
    _option("--tz", metavar="ZONE", help='Zone of local times without offset: "Europe/Berlin" or "+02:00".'),
    _option("--fold", type=click.Choice(["0", "1"]), callback=lambda ctx, param, value: value and int(value),
            help="Which of two equal local times when the clocks go back."),
    _option("--max-ratio", type=click.FloatRange(1), default=_DEFAULT.max_ratio, show_default=True, metavar="R",
            help="Times its size that a compressed file may unfold to, from 256 MiB on."),
    _option("--start", metavar="TIME", help="ISO 8601 time at which sound without one began."),
)  # fmt: skip


def recordings_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument ``sensors``: session folders, or the stream files of one session."""
    kind = click.Path(path_type=Path)
    add = click.argument(
        "sensors", metavar="SESSION_FOLDER... | SENSOR...", nargs=-1, required=True, type=kind
    )
    added: Callable[..., Any] = add(command)
    return added


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``Policy`` to a command function, which gets them as one ``policy: Policy``.

    Args:
        command: a function with a parameter ``policy``, under ``@click.command``.

    Example::

        @click.command("inspect")
        @policy_options
        def command(policy: Policy) -> None: ...
    """

    @functools.wraps(command)
    def with_policy(*args: Any, **settings: Any) -> Any:
        mine = {f.name: settings.pop(f.name) for f in fields(Policy) if f.name in settings}
        return command(*args, policy=Policy(**mine), **settings)

    for option in reversed(_OPTIONS):
        with_policy = option(with_policy)
    return with_policy


_OF_SETTING = {
    "features.hop": _option("--hop", "features__hop", type=float, metavar="S", help="Seconds per frame."),
    "clocks.repair": _option("--repair-clock", "clocks__repair", type=click.Choice(["off", "auto"]),
                             help="Repair devices' clocks from movements that two of them felt."),
    "matching.method": _option("--method", "matching__method", metavar="NAME",
                               help="auto, contrastive, captions, dtw, ctw or equal-slices."),
    "matching.order": _option("--order", "matching__order", type=click.Choice(["monotone", "partial", "free"]),
                              help="May a later note precede an earlier one (free), or another author's (partial)?"),
    "text.encoder": _option("--encoder", "text__encoder", metavar="NAME",
                            help="Text encoder: auto, minilm-l6-v2 or hashed."),
    "training.preset": _option("--preset", "training__preset", metavar="NAME", help="small, default or large."),
    "training.epochs": _option("--epochs", "training__epochs", type=int, help="Passes over the sessions."),
    "training.device": _option("--device", "training__device", metavar="NAME", help="auto, cpu, cuda or cuda:N."),
    "training.seed": _option("--seed", "training__seed", type=int, help="Seed of everything random."),
}  # fmt: skip


def settings_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--config`` and the options of some settings to a command, which gets them as ``settings: Settings``.

    Args:
        *names: "stage.name" of the settings that the command offers as options.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_settings(*args: Any, config_file: str | None, **given: Any) -> Any:
            from pipelines.settings import load_settings

            options = {name: given.pop(name.replace(".", "__")) for name in names}
            settings = load_settings(None if config_file is None else Path(config_file), options)
            return command(*args, settings=settings, **given)

        for name in reversed(names):
            with_settings = _OF_SETTING[name](with_settings)
        help_ = "A TOML file of settings; see align config show."
        complete: Callable[..., Any] = _option("--config", "config_file", metavar="FILE", help=help_)(
            with_settings
        )
        return complete

    return decorate
