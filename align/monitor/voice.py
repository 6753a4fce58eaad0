"""Events about all streams at once: notes, links, matches and what rules say, under the stream name ""."""

from __future__ import annotations

from typing import Any

from align.segmentation.live_events import Event

__all__ = ["Voice"]


class Voice:
    """Numbers the events of stream "" and knows their watermark.

    Attributes:
        seq: number of the next event.
        watermark: seconds before which links and matches are final, None before that is known.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.watermark: float | None = None

    def said(self, event: str, start: float, end: float, **about: Any) -> Event:
        """The next event.

        Args:
            event: its kind.
            start, end: seconds.
            **about: other fields of ``Event``; ``final`` is True, ``revises`` None and ``stream`` "" where not given.
        """
        number, self.seq = self.seq, self.seq + 1
        given = {"stream": "", "final": True, "revises": None, "watermark": self.watermark, **about}
        return Event(seq=number, event=event, start=start, end=end, **given)

    def state(self) -> dict[str, Any]:
        """All that is known, as plain numbers."""
        return {"seq": self.seq, "watermark": self.watermark}

    def restore(self, numbers: dict[str, Any]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers: from ``state``.
        """
        self.seq, self.watermark = int(numbers["seq"]), numbers["watermark"]
