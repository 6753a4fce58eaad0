"""The sounds of a throat: a buzzing or hissing source through the resonances of the mouth (formants)."""

from __future__ import annotations

import numpy as np

from pipelines.synthesis.exact import Floats, decay, drift, noise, normal, resonate, sine, smooth_step

__all__ = ["AUDIO_RATE", "burst", "cough", "gulp", "speech"]

AUDIO_RATE = 16_000

# first three formants in hertz of five vowels: ah, eh, ee, oh, oo
VOWELS = ((730, 1190, 2540), (530, 1840, 2480), (290, 2290, 3010), (570, 860, 2410), (310, 870, 2240))
BANDWIDTHS = (80.0, 110.0, 160.0)


def burst(seconds: float, fade: float, rng: np.random.Generator) -> Floats:
    """White noise that starts at once and dies off by 1/e in ``fade`` seconds."""
    n = round(seconds * AUDIO_RATE)
    ends_softly = smooth_step(np.arange(n, 0, -1) / (0.3 * n))
    return noise(rng, n) * decay(n, fade * AUDIO_RATE) * ends_softly


def cough(pitch: float, rng: np.random.Generator) -> Floats:
    """One cough, 0.3 s: the glottis bursts open, air hisses through the throat, then a short voiced end."""
    n = round(0.34 * AUDIO_RATE)
    time = np.arange(n) / AUDIO_RATE
    hiss = noise(rng, n) * smooth_step(time / 0.006) * decay(n, 0.07 * AUDIO_RATE)
    hiss += 0.35 * noise(rng, n) * smooth_step((time - 0.02) / 0.03) * smooth_step((0.24 - time) / 0.12)
    voiced = _glottis(pitch * 1.3 * (1.25 - time), rng)
    voiced *= smooth_step((time - 0.14) / 0.04) * smooth_step((0.33 - time) / 0.10)
    shift = 1.0 + 0.06 * normal(rng)
    source = hiss + 0.5 * voiced
    throat = 2.6 * resonate(source, 620 * shift, 180) + 1.7 * resonate(source, 1450 * shift, 260)
    return 0.42 * (1.0 + 0.2 * normal(rng)) * (throat + resonate(source, 2700 * shift, 420) + 0.12 * hiss)


def gulp(rng: np.random.Generator) -> Floats:
    """One swallow, 0.15 s: a low bubble whose pitch rises."""
    n = round(0.15 * AUDIO_RATE)
    time = np.arange(n) / AUDIO_RATE
    pitch = (170 + 30 * normal(rng)) * (1 + 5 * time)
    glug = sine(np.cumsum(pitch) / AUDIO_RATE) * smooth_step(time / 0.02) * smooth_step((0.15 - time) / 0.08)
    return 0.05 * glug + 0.012 * resonate(noise(rng, n), 700, 200) * decay(n, 600)


def speech(seconds: float, syllables: Floats, pitch: float, rng: np.random.Generator) -> Floats:
    """Babble with one syllable at each of ``syllables`` (s): a vowel, mostly after a hissed consonant."""
    n = round(seconds * AUDIO_RATE)
    time = np.arange(n) / AUDIO_RATE
    voiced, hiss = np.zeros(n), np.zeros(n)
    formants = np.zeros((3, n))
    vowel = VOWELS[0]
    ends = np.append(syllables[1:], seconds)
    for start, end in zip(syllables, ends, strict=True):
        length = min(0.24, end - start)
        last, vowel = vowel, VOWELS[int(rng.integers(len(VOWELS)))]
        glide = smooth_step((time - start) / 0.06)
        for row, (was, now) in enumerate(zip(last, vowel, strict=True)):
            formants[row] = np.where(time >= start - 0.03, was + (now - was) * glide, formants[row])
        loud = 1.0 + 0.3 * normal(rng)
        voiced += loud * smooth_step((time - start) / 0.03) * smooth_step((start + length - time) / 0.06)
        if rng.random() < 0.6:
            hiss += smooth_step((time - start + 0.09) / 0.03) * smooth_step((start + 0.005 - time) / 0.03)
    formants = np.where(formants > 0, formants, np.array(VOWELS[0], dtype=np.float64)[:, None])
    melody = pitch * (1.0 + 0.07 * drift(rng, n, 4000) + 0.05 * sine(time * 0.4))
    source = _glottis(melody, rng) * voiced
    mouth = np.zeros(n)
    for row, (bandwidth, weight) in enumerate(zip(BANDWIDTHS, (3.0, 1.5, 0.7), strict=True)):
        mouth += weight * resonate(source, formants[row], bandwidth)
    consonants = resonate(noise(rng, n) * hiss, 4700, 1200)
    return 0.16 * mouth + 0.05 * consonants


def _glottis(pitch: Floats, rng: np.random.Generator) -> Floats:
    """Puffs of air ``pitch`` (n,) times a second: a rounded saw-tooth and a little breath."""
    cycles = np.cumsum(pitch) / AUDIO_RATE
    saw = 1.0 - 2.0 * (cycles - np.floor(cycles))
    rounded = saw.copy()
    rounded[2:] = (saw[2:] + 2.0 * saw[1:-1] + saw[:-2]) / 4.0
    return rounded + 0.05 * noise(rng, pitch.size)
