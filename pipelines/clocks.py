"""One clock for all devices of a session, from movements that they felt together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from align.datatypes import Finding, Session, Stream
from align.errors import InputError
from align.matching.clocks import TYPICAL_PPM, ClockRepair, drift_bound, repair_stream
from align.matching.shared_motion import clock_from_motion, feels_motion
from pipelines.config import ClocksConfig

__all__ = ["clock_outlook", "one_clock"]


def one_clock(session: Session, config: ClocksConfig) -> tuple[Session, tuple[ClockRepair, ...]]:
    """The session with its devices' clocks repaired, where that was asked for and is possible.

    The first stream with a three-axis accelerometer or gyroscope is the reference; each other one is moved onto
    its clock. Notes stay where they are. Every repair is counted (P-CLOCK), every stream whose clock cannot be
    told keeps its own, which is said (W-CLOCK).

    Args:
        session: as read.
        config: "off" changes nothing.

    Returns:
        The session and the repairs, in the order of its streams.
    """
    if config.repair == "off" or len(session.streams) < 2:
        return session, ()
    reference = next((stream for stream in session.streams if feels_motion(stream)), None)
    streams, repairs, findings = [], [], []
    for stream in session.streams:
        try:
            if reference is None or stream is reference:
                streams.append(stream)
                continue
            repair = clock_from_motion(reference, stream, reach=config.reach)
            streams.append(repair_stream(stream, repair))
            repairs.append(repair)
        except InputError as error:
            streams.append(stream)
            findings.append(Finding("W-CLOCK", f"{error.message}; its clock stays as it is"))
    if reference is None:
        findings.append(Finding("W-CLOCK", f"no stream feels motion: {clock_outlook(session.streams)}"))
    whole = dataclasses.replace(session, streams=tuple(streams), findings=(*session.findings, *findings))
    return whole, tuple(repairs)


def clock_outlook(streams: Sequence[Stream]) -> str:
    """What can be known of several devices' clocks before anything is repaired, in words; "" for one stream.

    >>> import numpy as np
    >>> clock_outlook([Stream(np.zeros(10), rate=10.0)])
    ''
    """
    if len(streams) < 2:
        return ""
    seconds = max(s.end for s in streams) - min(s.start for s in streams)
    bound = f"at {TYPICAL_PPM:g} ppm they come apart by up to {_short(drift_bound(seconds))}"
    moving = [stream.name for stream in streams if feels_motion(stream)]
    if len(moving) > 1:
        return f"{', '.join(moving)} felt the same movements: --repair-clock auto may bring them together; {bound}"
    return f"taken to be one clock: not correctable without anchors; {bound}"


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.2g} ms" if seconds < 0.1 else f"{seconds:.3g} s"
