"""One long day in low resolution: ten hours of a wearable's summary, an absolute clock and vague notes.

The wrist reports once a second how much it moved, how many steps a minute and how the forearm tilts; the
heart rate comes every five seconds. While the watch charges after the nap, both are absent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.synthesis.exact import Floats, drift, noise, normal, smooth_step, stream

__all__ = ["DATE", "OFFSET", "OPENS", "Day", "DayNote", "clock_text", "make_day"]

DATE, OFFSET, OPENS, HOURS = "2026-03-28", "+01:00", 8, 10
WRIST_STEP, HEART_STEP = 1, 5  # seconds
MILLI_G = 0.00981  # m/s2


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of the day.

    ``begins`` and ``lasts`` in minutes; ``move`` mg; ``cadence`` steps a minute; ``tilt`` degrees of the
    forearm below the horizon; ``heart`` beats a minute above rest; ``restless`` how much of the movement
    comes and goes. ``when`` is how its note gives the time: "clock", a phrase, or None for no note.
    """

    label: str
    begins: float
    lasts: float
    move: float
    cadence: float
    tilt: float
    heart: float
    restless: float = 0.3
    when: str | None = "clock"
    text: str = ""


EPISODES = (
    Episode("BREAKFAST", 8, 19, 45, 0, -10, 4, 0.8, "date", "had breakfast at the kitchen table"),
    Episode("WALK", 52, 22, 260, 112, 55, 26, 0.1, "clock", "walked to the station"),
    Episode("RUN", 81, 2.5, 900, 165, 20, 62, 0.1, None),
    Episode("STAIRS", 159, 3.5, 330, 88, 40, 58, 0.1, "clock", "felt dizzy on the stairs"),
    Episode(
        "PACING", 206, 15, 150, 70, -35, 15, 0.3, "around", "long phone call, pacing up and down the corridor"
    ),
    Episode("LUNCH", 271, 30, 50, 0, -10, 6, 0.8, "", "lunch in the canteen"),
    Episode("NAP", 322, 58, 2, 0, 5, -11, 0.9, "after lunch", "lay down and slept"),
    Episode("BIKE", 441, 35, 190, 0, 15, 42, 0.2, "around", "bike ride along the river"),
    Episode(
        "PALPITATIONS", 499, 5, 6, 0, 25, 55, 0.5, "clock", "heart racing although I was only sitting there"
    ),
    Episode("GARDEN", 532, 34, 210, 18, 35, 20, 0.9, "before dinner", "weeded the flower beds"),
)
FOREIGN = "the parcel with the new lamp still has not come"
CHARGING = (392.0, 24.0)  # minutes: both streams are absent


@dataclass(frozen=True, slots=True)
class DayNote:
    """A line of notes.md, the same without its clock time, and its truth (``span`` None: about nothing)."""

    line: str
    text: str
    label: str
    span: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Day:
    """``wrist`` (n, 4): second, movement m/s2, cadence, tilt; ``heart`` (m, 2): second, beats a minute."""

    wrist: Floats
    heart: Floats
    notes: tuple[DayNote, ...]
    unnoted: tuple[str, float, float]


def clock_text(seconds: float) -> str:
    """The time of day of ``seconds`` after the day's first moment, as "10:40"."""
    minutes = OPENS * 60 + int(seconds // 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def make_day(seed: int, number: int) -> Day:
    """The day of person ``number``: nine notes on episodes, one on nothing, one episode without a note."""
    rng = stream(seed, number, 6)
    spans = [_span(episode, rng) for episode in EPISODES]
    wrist = _wrist(spans, rng)
    heart = _heart(spans, rng)
    notes = []
    for episode, span in zip(EPISODES, spans, strict=True):
        if episode.when is not None:
            line = _line(episode, span, rng)
            text = line if episode.when not in ("clock", "date") else episode.text
            notes.append(DayNote(line, text, episode.label, span))
    notes.insert(int(rng.integers(3, len(notes) - 1)), DayNote(FOREIGN, FOREIGN, "NOTHING", None))
    silent = next(i for i, episode in enumerate(EPISODES) if episode.when is None)
    return Day(wrist, heart, tuple(notes), (EPISODES[silent].label, *spans[silent]))


def _span(episode: Episode, rng: np.random.Generator) -> tuple[float, float]:
    begins = 60.0 * episode.begins + float(rng.integers(-90, 91))
    return begins, begins + round(60.0 * episode.lasts * (0.9 + 0.2 * rng.random()))


def _line(episode: Episode, span: tuple[float, float], rng: np.random.Generator) -> str:
    """One line as written: a clock time is that of the beginning or a little later."""
    written = clock_text(span[0] + 60 * float(rng.random()) * min(4.0, episode.lasts))
    if episode.when == "date":
        return f"[{DATE} {written}] {episode.text}"
    if episode.when == "clock":
        return f"{written} {episode.text}"
    if episode.when == "around":
        quarter = round((OPENS * 60 + span[0] / 60) / 15) * 15
        half = "am" if quarter < 720 else "pm"
        return f"around {(quarter // 60 - 1) % 12 + 1}:{quarter % 60:02d} {half}, {episode.text}"
    return f"{episode.when}, {episode.text}" if episode.when else episode.text


def _wrist(spans: list[tuple[float, float]], rng: np.random.Generator) -> Floats:
    n = HOURS * 3600 // WRIST_STEP
    times = np.arange(n) * float(WRIST_STEP)
    # between episodes: at a desk or about the house, with a few steps now and then
    bout = smooth_step(drift(rng, n, 150) - 0.8)
    move = 18.0 + 90.0 * bout
    cadence = 55.0 * smooth_step(3.0 * (bout - 0.6))
    tilt = 15.0 + 12.0 * drift(rng, n, 240) + 20.0 * bout
    restless = np.full(n, 0.5)
    for episode, (begins, ends) in zip(EPISODES, spans, strict=True):
        inside = (times >= begins) & (times < ends)
        move[inside], cadence[inside], tilt[inside] = episode.move, episode.cadence, episode.tilt
        restless[inside] = episode.restless
    uneven = 1.0 + restless * drift(rng, n, 20) + 0.15 * noise(rng, n)
    move = np.clip(move * uneven, 0.0, None) + 2.0 * np.abs(noise(rng, n))
    cadence = np.where(cadence > 0, np.clip(cadence + 4.0 * noise(rng, n), 0.0, None), 0.0)
    tilt = np.clip(tilt + 3.0 * drift(rng, n, 30) + 1.5 * noise(rng, n), -90.0, 90.0)
    worn = _worn(times)
    return np.stack([times, MILLI_G * move, cadence, tilt], axis=1)[worn]


def _worn(times: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """False while the watch charges."""
    begins, lasts = CHARGING
    return (times < 60 * begins) | (times >= 60 * (begins + lasts))


def _heart(spans: list[tuple[float, float]], rng: np.random.Generator) -> Floats:
    n = HOURS * 3600 // HEART_STEP
    times = np.arange(n) * float(HEART_STEP)
    target = 66.0 + 3.0 * drift(rng, n, 60)
    for episode, (begins, ends) in zip(EPISODES, spans, strict=True):
        target[(times >= begins) & (times < ends)] += episode.heart
    rate, level = np.empty(n), 68.0
    for i in range(n):
        level += (target[i] - level) * HEART_STEP / (40.0 if target[i] > level else 90.0)
        rate[i] = level + 1.5 * normal(rng)
    present = _worn(times)
    for _ in range(6):  # the strap slips
        first = int(rng.integers(n - 60))
        present[first : first + 6 + int(rng.integers(30))] = False
    return np.stack([times, np.floor(rate + 0.5)], axis=1)[present]
