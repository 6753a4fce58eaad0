"""The microphone of a plan: 16 kHz, a quiet room, and what each event sounds like.

Strikes (steps, keys, doors) are short noise bursts through the resonances of what is struck; water and
brushing are noise shaped in pitch and time; the throat is in ``voice``. Each strike happens at the event's
own beats, so sound and wrist agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipelines.synthesis.exact import Floats, decay, drift, noise, normal, resonate, sine, smooth_step, stream
from pipelines.synthesis.plan import Event, Person, Plan, phase_of
from pipelines.synthesis.voice import AUDIO_RATE, burst, cough, gulp, speech

__all__ = ["AUDIO_RATE", "microphone"]

Samples = npt.NDArray[np.int16]


def microphone(seed: int, plan: Plan) -> Samples:
    """(n,) int16 at 16 kHz: what the microphone heard, never clipped."""
    rng = stream(seed, plan.person.number, 4)
    n = round(plan.duration * AUDIO_RATE)
    track = _room(n, rng)
    for event in plan.events:
        if event.kind in SOUNDS:
            wave = SOUNDS[event.kind](event, plan.person, rng)
            first = round(event.start * AUDIO_RATE)
            last = min(n, first + wave.size)
            track[first:last] += plan.person.loudness * wave[: last - first]
    # what is too loud bends softly instead of breaking off
    bent = track / (1.0 + 0.25 * track * track)
    return np.floor(np.clip(bent, -0.99, 0.99) * 32767 + 0.5).astype(np.int16)


def _room(n: int, rng: np.random.Generator) -> Floats:
    """A quiet room: air, mains hum, and now and then something far away."""
    time = np.arange(n) / AUDIO_RATE
    air = noise(rng, n + 3)
    air = air[3:] + 0.8 * air[2:-1] + 0.5 * air[1:-2] + 0.25 * air[:-3]
    track = 4e-5 * air + 8e-5 * sine(time * 50.0)
    for _ in range(3):
        start = rng.random() * (n - AUDIO_RATE)
        _strike(
            track, start / AUDIO_RATE, 0.006 * resonate(burst(0.5, 0.1, rng), 200 + 500 * rng.random(), 60)
        )
    return track


def _strike(wave: Floats, seconds: float, sound: Floats) -> None:
    """Add ``sound`` into ``wave`` from ``seconds`` on, as far as it fits."""
    first = max(0, round(seconds * AUDIO_RATE))
    last = min(wave.size, first + sound.size)
    wave[first:last] += sound[: last - first]


def _silence(event: Event, tail: float = 0.0) -> Floats:
    return np.zeros(round((event.end - event.start + tail) * AUDIO_RATE))


def _struck(rng: np.random.Generator, fade: float, *modes: tuple[float, float, float]) -> Floats:
    """Something struck: a click through ``modes`` (hertz, bandwidth, weight), each a few per cent off."""
    longest = max(1.0 / bandwidth for _, bandwidth, _ in modes)
    hit = burst(fade * 3 + 2.5 * longest, fade, rng)
    hit[:16] += 1.0
    total = np.zeros_like(hit)
    for frequency, bandwidth, weight in modes:
        total += weight * resonate(hit, frequency * (1 + 0.03 * normal(rng)), bandwidth)
    return total * (1 + 0.15 * normal(rng))


def _walk(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.2)
    for beat in e.beats - e.start:
        _strike(wave, beat, p.vigour * 0.22 * _struck(rng, 0.018, (105, 26, 3.0), (290, 90, 1.0)))
        # the sole rolls off after the heel
        _strike(wave, beat + 0.09, 0.03 * resonate(burst(0.1, 0.03, rng), 1900, 900))
    return wave


def _stairs(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.5)
    for beat in e.beats - e.start:
        step = p.vigour * 0.30 * _struck(rng, 0.03, (85, 20, 3.0), (210, 45, 2.0), (640, 120, 0.8))
        _strike(wave, beat, step)
        for delay, weight in ((0.041, 0.45), (0.083, 0.32), (0.137, 0.22), (0.221, 0.13)):
            _strike(wave, beat + delay, weight * step)  # the stairwell answers
        breath = resonate(burst(0.3, 0.12, rng), 1100, 700)
        _strike(wave, beat + 0.3, 0.02 * breath)
    return wave


def _rest(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e)
    pitch = 310 + 60 * rng.random()
    n = round(0.35 * AUDIO_RATE)
    creak = np.floor(phase_of(np.arange(n) / AUDIO_RATE, np.cumsum(0.012 + 0.01 * rng.random(40))))
    clicks = np.diff(creak, prepend=creak[0]) * noise(rng, n)
    _strike(wave, 0.15, 0.25 * resonate(clicks, pitch, 50))  # the chair
    return wave


def _fall(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.3)
    impact, bounce = (float(b) for b in e.beats[:2] - e.start)
    scuff = resonate(burst(0.25, 0.08, rng), 2300, 1200)
    _strike(wave, impact - 0.35, 0.12 * scuff)
    _strike(wave, impact, 0.75 * _struck(rng, 0.05, (62, 12, 4.0), (140, 35, 2.0), (420, 120, 1.0)))
    _strike(wave, bounce, 0.35 * _struck(rng, 0.04, (75, 18, 3.0), (180, 50, 1.5)))
    for _ in range(5):  # something falls down as well
        rattle = _struck(rng, 0.006, (1500 + 1600 * rng.random(), 130, 1.0), (3600, 300, 0.6))
        _strike(wave, impact + 0.1 + 0.7 * rng.random(), 0.12 * rattle)
    return wave


def _water(n: int, rng: np.random.Generator) -> Floats:
    hiss = noise(rng, n + 1)
    return 0.03 * (hiss[1:] - 0.6 * hiss[:-1]) * (1.0 + 0.25 * drift(rng, n, 1500))


def _wash(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e)
    n = wave.size
    time, seconds = np.arange(n) / AUDIO_RATE, n / AUDIO_RATE
    tap = smooth_step((time - 0.15) / 0.25) * smooth_step((seconds - 0.1 - time) / 0.3)
    rub = phase_of(time + e.start, e.beats)
    wave += _water(n, rng) * tap * (1.0 - 0.3 * np.abs(sine(rub / 2)))
    for _ in range(round(14 * seconds)):  # drops and bubbles
        length = round(0.03 * AUDIO_RATE)
        pitch = (500 + 900 * rng.random()) * (1 + np.arange(length) / length)
        drop = sine(np.cumsum(pitch) / AUDIO_RATE) * decay(length, 130)
        _strike(wave, 0.4 + (seconds - 0.9) * rng.random(), 0.06 * drop)
    return wave


def _brush(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e)
    time = np.arange(wave.size) / AUDIO_RATE + e.start
    stroke = np.abs(sine(phase_of(time, e.beats)))
    inside = (time > e.beats[0]) & (time < e.beats[-1])
    effort = 0.07 * (1.0 + 0.15 * drift(rng, wave.size, 4000))
    bristles = resonate(noise(rng, wave.size), 3100, 900) + 0.5 * resonate(noise(rng, wave.size), 1500, 500)
    wave += effort * stroke * inside * bristles
    return wave


def _type(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.1)
    for beat in e.beats - e.start:
        heavy = 1.7 if rng.random() < 0.15 else 1.0  # the space bar
        key = _struck(rng, 0.003, (2400, 500, 1.0), (4300, 900, 0.8), (240 / heavy, 110, 0.9))
        _strike(wave, beat, 0.10 * heavy * key)
        _strike(wave, beat + 0.07, 0.03 * key)  # the key comes up again
    return wave


def _lie(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e)
    time = np.arange(wave.size) / AUDIO_RATE
    sheets = resonate(noise(rng, wave.size), 2600, 1500) * np.abs(drift(rng, wave.size, 700))
    wave += 0.03 * sheets * smooth_step((1.9 - time) / 0.5)
    breath = resonate(noise(rng, wave.size), 500, 300)
    swell = np.clip(sine(time * 0.27), 0.0, None)
    return wave + 0.004 * breath * swell * smooth_step((time - 1.5) / 1.0)


def _cough(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.2)
    for beat in e.beats - e.start:
        _strike(wave, beat, cough(p.pitch, rng))
    return wave


def _talk(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    return speech(e.end - e.start, e.beats - e.start, p.pitch, rng)


def _door(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.4)
    latch, slam = float(e.beats[0] - e.start), float(e.beats[-1] - e.start)
    click = _struck(rng, 0.004, (1700, 160, 1.0), (3300, 350, 0.7), (520, 120, 0.5))
    _strike(wave, latch, 0.18 * click)
    _strike(wave, latch + 0.13, 0.12 * click)
    n = round((slam - latch - 0.35) * AUDIO_RATE)
    swing = np.arange(n) / n
    squeal = np.cumsum(280 + 240 * swing + 25 * drift(rng, n, 600)) / AUDIO_RATE
    hinge = sine(squeal) + 0.5 * sine(2 * squeal) + 0.3 * sine(3 * squeal)
    _strike(wave, latch + 0.3, 0.035 * hinge * np.abs(drift(rng, n, 500)) * smooth_step(4 * (1 - swing)))
    _strike(
        wave, slam, 0.60 * _struck(rng, 0.03, (78, 16, 3.0), (195, 40, 2.0), (430, 90, 1.2), (1250, 250, 0.5))
    )
    _strike(wave, slam + 0.03, 0.20 * click)
    return wave


def _drink(e: Event, p: Person, rng: np.random.Generator) -> Floats:
    wave = _silence(e, 0.2)
    for beat in e.beats - e.start:
        _strike(wave, beat, gulp(rng))
    for moment, loud in (
        (0.45, 0.05),
        (e.end - e.start - 0.25, 0.11),
    ):  # the cup leaves the table, and returns
        clink = _struck(rng, 0.002, (2150, 30, 2.0), (3720, 45, 1.2), (5400, 90, 0.6), (310, 90, 0.8))
        _strike(wave, moment, loud * clink)
    return wave


SOUNDS: dict[str, Callable[[Event, Person, np.random.Generator], Floats]] = {
    "WALK": _walk,
    "STAIRS": _stairs,
    "REST": _rest,
    "FALL": _fall,
    "WASH": _wash,
    "BRUSH": _brush,
    "TYPE": _type,
    "LIE": _lie,
    "COUGH": _cough,
    "TALK": _talk,
    "DOOR": _door,
    "DRINK": _drink,
}
