"""What a monitor runs with and does not keep in its state: settings, model, codebooks, rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from align.answers import Codebook
from align.errors import ParameterError
from align.monitor.checkpoint import check_same
from align.monitor.lane import Lane
from align.monitor.watching import WatchSettings
from align.rules import Rules
from align.segmentation.live_events import StreamSettings

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["Parts"]


class Parts:
    """The arguments of a monitor.

    Args:
        settings, streams, model, codebook, rules, watching: as of ``Monitor``.

    Raises:
        ParameterError: rules with phrases and no model.
        InputError: E-MODEL-EMPTY, the model was never trained.
    """

    def __init__(
        self,
        settings: StreamSettings | None,
        streams: Mapping[str, StreamSettings] | None,
        model: Coordination | None,
        codebook: Codebook | Mapping[str, Codebook] | None,
        rules: Rules | None,
        watching: WatchSettings | None,
    ) -> None:
        self.settings, self.streams = settings or StreamSettings(), dict(streams or {})
        self.model, self.codebook, self.rules = model, codebook, rules
        self.watching = watching or WatchSettings()
        if rules is not None and rules.phrases and model is None:
            raise ParameterError("rules", "watched phrases", "phrases with a model only", hint="give a model")
        if model is not None:
            model.trained()

    def settings_of(self, stream: str) -> StreamSettings:
        """How a stream is read and cut.

        Args:
            stream: its name.
        """
        return self.streams.get(stream, self.settings)

    def lane(self, stream: str, n_channels: int) -> Lane:
        """A new stream.

        Args:
            stream: its name.
            n_channels: columns.

        Raises:
            InputError: E-SCHEMA-CHANGE, the settings name another number of channels.
        """
        book = self.codebook.get(stream) if isinstance(self.codebook, Mapping) else self.codebook
        return Lane(stream, n_channels, self.settings_of(stream), book)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells other parts than these from these."""
        books = self.codebook
        if isinstance(books, Mapping):
            hashes: Any = {name: book.hash for name, book in books.items()}
        else:
            hashes = None if books is None else books.hash
        return {
            "model": None if self.model is None else self.model.hash,
            "codebook": hashes,
            "rules": None if self.rules is None else self.rules.hash,
            "watching": dataclasses.asdict(self.watching),
        }

    def check_settings(
        self, settings: StreamSettings | None, streams: Mapping[str, StreamSettings] | None
    ) -> None:
        """Refuse other settings than these.

        Args:
            settings, streams: as expected, None: whatever they are.

        Raises:
            InputError: E-STATE-MISMATCH, field by field.
        """
        if settings is None and streams is None:
            return
        wanted = Parts(settings, streams, None, None, None, None)
        pairs = [("all streams", self.settings, wanted.settings)]
        for name in sorted({*self.streams, *wanted.streams}):
            pairs.append((name, self.settings_of(name), wanted.settings_of(name)))
        check_same(pairs)
