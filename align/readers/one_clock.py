"""Streams of several files on one session clock: shifted, never resampled; or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from align.clock import NS
from align.datatypes import Stream
from align.errors import InputError

__all__ = ["check_overlap", "on_one_clock"]

_LEAST = 1.0  # seconds that two streams must share to belong to one session


def on_one_clock(
    loaded: Sequence[tuple[Path, Stream]], *, notes_are_absolute: bool
) -> tuple[list[Stream], int | None]:
    """Shift every stream onto the clock that begins with the earliest one.

    Args:
        loaded: each stream with its file.
        notes_are_absolute: a note carries a date and time.

    Returns:
        The streams, and the epoch of the session: UTC ns of second 0, None when all clocks are relative.

    Raises:
        InputError: E-NO-START, sound without a start time beside absolute times; E-CLOCK-MIXED, a sensor
            stream of relative times beside absolute ones.
    """
    epochs = [stream.epoch for _, stream in loaded if stream.epoch is not None]
    for path, stream in loaded:
        if stream.epoch is not None:
            continue
        if stream.modality == "audio" and (epochs or notes_are_absolute):
            raise InputError("E-NO-START", "the sound carries no start time, other times here are absolute",
                             hint="say it: --start 2026-03-28T22:10:00+01:00", file=path)  # fmt: skip
        if epochs:
            raise InputError("E-CLOCK-MIXED", "times that count from 0, but other streams here have dates",
                             hint="give every stream absolute times, or none", file=path)  # fmt: skip
    if not epochs:
        return [stream for _, stream in loaded], None
    epoch = min(epochs)
    return [_moved(stream, epoch) for _, stream in loaded], epoch


def check_overlap(streams: Sequence[Stream]) -> None:
    """Refuse streams that fall into groups with nothing to do with each other.

    Two streams hang together when they share at least one second, or the whole of the shorter one.

    Raises:
        InputError: E-NO-OVERLAP with both ranges and the shift that would bring them together.
    """
    ordered = sorted(streams, key=lambda s: s.start)
    reach = ordered[0]
    for stream in ordered[1:]:
        shared = min(reach.end, stream.end) - stream.start
        if shared < min(_LEAST, stream.end - stream.start, reach.end - reach.start):
            shift = reach.start - stream.start
            raise InputError(
                "E-NO-OVERLAP",
                f"{reach.name} covers {reach.start:.6g} to {reach.end:.6g} s and {stream.name} "
                f"{stream.start:.6g} to {stream.end:.6g} s: less than a second in common",
                hint=f"check the clocks; moving {stream.name} by {shift:.6g} s makes them begin together",
            )  # fmt: skip
        if stream.end > reach.end:
            reach = stream


def _moved(stream: Stream, epoch: int) -> Stream:
    assert stream.epoch is not None
    if stream.epoch == epoch:
        return stream
    return replace(stream, run_start=stream.run_start + (stream.epoch - epoch) / NS, epoch=epoch)
