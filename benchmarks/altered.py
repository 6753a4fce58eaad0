"""What is done to sessions before a model is asked about them: another place, device or room, noise, and what is lost.

Options of ``benchmarks.alignment``, each a pure function of a session; what is drawn is drawn by the session's name.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy import signal

from align.coordination.network.augment import rotation, turned_session
from align.datatypes import Floats, Note, Session, Stream

__all__ = [
    "add_options",
    "altered",
    "dropped",
    "hissing",
    "lacking",
    "rustling",
    "slower",
    "smoothed",
    "thinned",
    "turned",
]

_DROPPED = 0.1  # share of a recording


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that ``altered`` reads."""
    add = parser.add_argument
    add("--every", type=int, default=1, help="notes of every so many-th event alone")
    add("--turned", type=float, default=0.0, help="degrees that test sessions' sensors are turned")
    add("--hiss", type=float, help="decibels by which noise lies below the loudest 50 ms")
    add("--noise", type=float, help="white noise in sensors, a share of each channel's standard deviation")
    add("--without", nargs="+", default=[], metavar="NAME", help="streams and channels that are not there")
    add("--rate", type=float, help="hertz at which sensors were sampled")
    add("--smoothed", type=float, help="hertz beyond which sensors were filtered, at their own rate")
    add("--dropped", type=float, help="seconds of each gap, a tenth of the recording in all")


def altered(session: Session, options: argparse.Namespace) -> Session:
    """The session with all that the options say done to it."""
    session = turned(thinned(session, options.every), options.turned)
    changes = (
        (hissing, options.hiss),
        (rustling, options.noise),
        (smoothed, options.smoothed),
        (slower, options.rate),
    )
    for change, value in changes:
        session = session if value is None else change(session, value)
    session = lacking(session, options.without)
    return session if options.dropped is None else dropped(session, options.dropped)


def thinned(session: Session, every: int) -> Session:
    """The session with notes of every so many-th event alone."""
    if every == 1:
        return session
    kept = tuple((session.truth or ())[::every])
    return dataclasses.replace(session, notes=tuple(Note(r.text) for r in kept), truth=kept)


def turned(session: Session, degrees: float) -> Session:
    """The session as if its sensors had sat turned about a random axis, the same for all of them."""
    return turned_session(session, rotation(_rng(session).normal(size=3), np.radians(degrees)))


def hissing(session: Session, decibels: float) -> Session:
    """The session as if white noise so many dB below the loudest 50 ms had been added to its sound."""
    rng, streams = _rng(session), []
    for stream in session.streams:
        if stream.modality == "audio":
            size = max(1, round(0.05 * stream.rate))
            power = np.square(stream.values[: len(stream.values) // size * size], dtype=np.float64)
            loudest = np.nanmax(np.nanmean(power.reshape(-1, size * stream.n_channels), axis=1))
            hiss = np.sqrt(loudest) * 10 ** (-decibels / 20) * rng.normal(size=stream.values.shape)
            stream = dataclasses.replace(stream, values=(stream.values + hiss).astype(stream.values.dtype))
        streams.append(stream)
    return dataclasses.replace(session, streams=tuple(streams))


def rustling(session: Session, share: float) -> Session:
    """The session as if white noise of a share of each channel's standard deviation had been added to its sensors."""
    rng = _rng(session)

    def shaken(stream: Stream) -> Stream:
        noise = share * np.nanstd(stream.values, axis=0) * rng.normal(size=stream.values.shape)
        return dataclasses.replace(stream, values=(stream.values + noise).astype(stream.values.dtype))

    return _with_sensors(session, shaken)


def lacking(session: Session, names: Sequence[str]) -> Session:
    """The session without the streams of these names, and without the channels in whose name one of them stands."""
    streams = []
    for stream in session.streams:
        kept = [i for i, c in enumerate(stream.channels) if not any(name in c for name in names)]
        if stream.name not in names and kept:
            channels, units = (tuple(own[i] for i in kept) for own in (stream.channels, stream.units))
            values = stream.values[:, kept]
            streams.append(dataclasses.replace(stream, values=values, channels=channels, units=units))
    return dataclasses.replace(session, streams=tuple(streams))


def slower(session: Session, rate: float) -> Session:
    """The session as if its sensors that are faster had been sampled at this rate, behind a filter against aliases."""

    def resampled(stream: Stream) -> Stream:
        if stream.rate <= rate:
            return stream
        ratio = Fraction(rate / stream.rate).limit_denominator(200)

        def resample(run: Floats) -> Floats:
            found = signal.resample_poly(run, ratio.numerator, ratio.denominator)
            return found[: max(1, int(len(run) * ratio))]  # no run ends later than it did

        made = _run_by_run(stream, resample)
        counts = [len(x) for x in made]
        index = np.cumsum([0, *counts[:-1]])
        return dataclasses.replace(
            stream, values=np.concatenate(made), rate=stream.rate * float(ratio), run_index=index
        )

    return _with_sensors(session, resampled)


def smoothed(session: Session, hertz: float) -> Session:
    """The session as if its sensors had been smoothed: a Butterworth filter of second order, forwards and backwards."""

    def filtered(stream: Stream) -> Stream:
        if stream.rate <= 2.0 * hertz:
            return stream
        sections = signal.butter(2, hertz, fs=stream.rate, output="sos")
        made = _run_by_run(stream, lambda x: signal.sosfiltfilt(sections, x, axis=0))
        return dataclasses.replace(stream, values=np.concatenate(made))

    return _with_sensors(session, filtered)


def dropped(session: Session, seconds: float) -> Session:
    """The session without a tenth of it, in gaps of so many seconds, the same in all streams; they may overlap."""
    rng = _rng(session)
    begin, end = session.start, session.end
    starts = rng.uniform(begin, max(begin, end - seconds), int(_DROPPED * (end - begin) / seconds))
    streams = []
    for stream in session.streams:
        times = stream.times()
        gone = ((times >= starts[:, None]) & (times < starts[:, None] + seconds)).any(axis=0)
        values = np.where(gone[:, None], np.nan, stream.values).astype(stream.values.dtype)
        streams.append(dataclasses.replace(stream, values=values))
    return dataclasses.replace(session, streams=tuple(streams))


def _rng(session: Session) -> np.random.Generator:
    return np.random.default_rng(list(session.name.encode()))


def _with_sensors(session: Session, change: Callable[[Stream], Stream]) -> Session:
    streams = (change(s) if s.modality == "sensor" else s for s in session.streams)
    return dataclasses.replace(session, streams=tuple(streams))


def _run_by_run(stream: Stream, change: Callable[[Floats], Floats]) -> list[Floats]:
    """What the change makes of each run; samples that are missing are interpolated first, and missing after it."""
    edges = [*stream.run_index.tolist(), len(stream.values)]
    made = []
    for low, high in pairwise(edges):
        run = stream.values[low:high].astype(np.float64)
        known = np.isfinite(run)
        at = np.arange(len(run))
        for c in np.flatnonzero(known.any(axis=0) & ~known.all(axis=0)):
            run[:, c] = np.interp(at, at[known[:, c]], run[known[:, c], c])
        run[:, ~known.any(axis=0)] = 0.0
        found = change(run)
        source = np.minimum((np.arange(len(found)) * len(run)) // len(found), len(run) - 1)
        made.append(np.where(known[source], found, np.nan).astype(stream.values.dtype))
    return made
