"""The wrist (accelerometer, gyroscope) and the heart rate of a plan.

The accelerometer sees gravity in the watch's own axes plus what the hand does; the gyroscope sees the same
turning of gravity, so the two agree, plus swings about gravity. Axes: x along the forearm towards the hand, y
across the wrist, z out of the watch's face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from pipelines.synthesis.exact import Floats, decay, drift, noise, normal, sine, smooth_step, stream
from pipelines.synthesis.plan import Event, Person, Plan, phase_of

__all__ = ["HEART_RATE", "WRIST_RATE", "heart", "wrist"]

WRIST_RATE = 50.0
HEART_RATE = 1.0
GRAVITY = 9.81
DEGREES = 57.29577951308232
LIMIT = 8 * GRAVITY

HANGING, LAP = (-0.93, 0.10, 0.30), (0.12, 0.20, 0.97)
POSTURES = {
    "WALK": HANGING,
    "STAIRS": (-0.80, 0.25, 0.50),
    "REST": (0.20, 0.05, 0.98),
    "FALL": HANGING,
    "WASH": (-0.35, 0.55, 0.75),
    "BRUSH": (0.60, 0.72, 0.30),
    "TYPE": (-0.10, 0.08, 0.99),
    "LIE": (0.25, 0.90, -0.25),
    "COUGH": (0.55, 0.50, 0.60),
    "TALK": (0.86, 0.35, -0.30),
    "DOOR": (-0.15, 0.85, 0.45),
    "DRINK": (0.15, 0.75, 0.60),
}
ON_THE_FLOOR = (0.05, -0.60, 0.75)
AT_THE_MOUTH = (0.80, 0.45, 0.35)

# beats per minute above the person's pulse, towards which an event pulls the heart rate
HEART_TARGETS = {
    "WALK": 24,
    "STAIRS": 52,
    "REST": -5,
    "FALL": 34,
    "WASH": 6,
    "BRUSH": 9,
    "TYPE": 1,
    "LIE": -10,
    "COUGH": 17,
    "TALK": 5,
    "DOOR": 5,
    "DRINK": 2,
}


def wrist(seed: int, plan: Plan) -> tuple[Floats, Floats, Floats]:
    """Times (n,) s, acceleration (n, 3) m/s2 and turn rate (n, 3) deg/s at 50 Hz, as reported."""
    person, rng = plan.person, stream(seed, plan.person.number, 2)
    n = round(plan.duration * WRIST_RATE)
    times = np.arange(n) / WRIST_RATE
    down = _gravity(plan, times, rng)
    acc = GRAVITY * down
    gyro = _turning(down)
    for i, (first, last) in enumerate(_between(plan, n)):
        fidget = 0.25 + 0.5 * rng.random()
        acc[first:last] += _columns(fidget * drift(rng, last - first, 9) for _ in range(3))
        gyro[first:last] += _columns(18 * fidget * drift(rng, last - first, 12) for _ in range(3))
        if i < len(plan.events):
            event = plan.events[i]
            begin, end = round(event.start * WRIST_RATE), round(event.end * WRIST_RATE)
            move, swing = GESTURES[event.kind](times[begin:end], event, person, rng)
            edge = smooth_step((times[begin:end] - event.start) / 0.25)
            edge = edge * smooth_step((event.end - times[begin:end]) / 0.25)
            acc[begin:end] += move * edge[:, None]
            gyro[begin:end] += swing * edge[:, None]
    acc = person.gain * _rotate(person.turn, acc) + _columns(person.noise * noise(rng, n) for _ in range(3))
    gyro = _rotate(person.turn, gyro) + _columns(
        20 * person.noise * noise(rng, n) + normal(rng) for _ in range(3)
    )
    return times, np.clip(acc, -LIMIT, LIMIT), gyro


def _columns(parts: Iterable[Floats]) -> Floats:
    return np.stack(list(parts), axis=1)


def _between(plan: Plan, n: int) -> list[tuple[int, int]]:
    """Sample ranges before, between and after the events."""
    edges = [0]
    for event in plan.events:
        edges += [round(event.start * WRIST_RATE), round(event.end * WRIST_RATE)]
    edges.append(n)
    return list(zip(edges[::2], edges[1::2], strict=True))


def _rotate(turn: Floats, rows: Floats) -> Floats:
    x, y, z = rows[:, :1], rows[:, 1:2], rows[:, 2:]
    return x * turn[:, 0] + y * turn[:, 1] + z * turn[:, 2]


def _gravity(plan: Plan, times: Floats, rng: np.random.Generator) -> Floats:
    """(n, 3) unit vectors: up, in the axes of an ideally worn watch; postures change in about 0.7 s."""
    rows = np.empty((times.size, 3))
    for i, (first, last) in enumerate(_between(plan, times.size)):
        rows[first:last] = _loose(HANGING if rng.random() < 0.5 else LAP, rng)
        if i < len(plan.events):
            event = plan.events[i]
            begin, end = round(event.start * WRIST_RATE), round(event.end * WRIST_RATE)
            rows[begin:end] = _loose(POSTURES[event.kind], rng)
            if event.kind == "FALL":
                rows[round(event.beats[0] * WRIST_RATE) : end] = _loose(ON_THE_FLOOR, rng)
            if event.kind == "DRINK":
                to_mouth, back = event.beats[0] - 0.3, event.beats[-1] + 0.6
                rows[round(to_mouth * WRIST_RATE) : round(back * WRIST_RATE)] = _loose(AT_THE_MOUTH, rng)
    for width in (21, 15):
        # twice, because the mean of two opposite postures is short and its direction would jump
        rows = _averaged(rows, width)
        squares = rows * rows
        rows = rows / np.sqrt(squares[:, :1] + squares[:, 1:2] + squares[:, 2:] + 1e-6)
    return rows


def _averaged(rows: Floats, width: int) -> Floats:
    """Centred moving average over ``width`` (odd) rows, twice; the edge rows are repeated outwards."""
    pad = width - 1
    total = np.concatenate([np.repeat(rows[:1], pad, 0), rows, np.repeat(rows[-1:], pad, 0)])
    for _ in range(2):
        sums = np.cumsum(np.concatenate([np.zeros((1, total.shape[1])), total]), axis=0)
        total = (sums[width:] - sums[:-width]) / width
    return total


def _loose(posture: tuple[float, float, float], rng: np.random.Generator) -> Floats:
    return np.array([p + 0.10 * normal(rng) for p in posture])


def _turning(down: Floats) -> Floats:
    """Degrees per second that turn gravity as seen: the cross product of its change and itself."""
    change = np.zeros_like(down)
    change[1:-1] = (down[2:] - down[:-2]) * (0.5 * WRIST_RATE)
    (a, b, c), (x, y, z) = change.T, down.T
    return DEGREES * np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=1)


def _pulses(times: Floats, beats: Floats, seconds: float, rng: np.random.Generator) -> Floats:
    """A jolt at each beat that dies off within ``seconds``: uneven, both signs."""
    out = np.zeros_like(times)
    for beat in beats:
        first = int(np.searchsorted(times, beat))
        tail = decay(times.size - first, seconds * WRIST_RATE)
        out[first:] += (1.0 + 0.25 * normal(rng)) * tail * sine(np.arange(tail.size) * 0.21 + 0.25)
    return out


def _walk(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    phase = phase_of(t, e.beats)
    bounce, jolt = p.vigour * sine(phase), p.vigour * _pulses(t, e.beats, 0.05, rng)
    move = _columns([-1.9 * bounce - 2.2 * jolt, 1.2 * sine(phase / 2), 0.9 * bounce + 0.8 * jolt])
    arm = p.vigour * sine(phase / 2 + 0.1)
    return move, _columns([22 * bounce, 105 * arm, 18 * sine(phase / 2 + 0.3)])


def _stairs(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    phase = phase_of(t, e.beats)
    lift, jolt = p.vigour * sine(phase - 0.1), p.vigour * _pulses(t, e.beats, 0.07, rng)
    move = _columns([-2.6 * lift - 4.2 * jolt, 0.8 * sine(phase / 2), 2.1 * lift + 2.4 * jolt])
    return move, _columns([30 * lift, 45 * sine(phase / 2), 28 * lift])


def _still(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    breath = sine(t * 0.27)
    move = _columns([0.03 * breath, 0.04 * breath, 0.02 * drift(rng, t.size, 25)])
    return move, _columns(0.8 * breath + 0.3 * drift(rng, t.size, 25) for _ in range(3))


def _fall(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    impact, bounce = e.beats[0], e.beats[1]
    dropping = smooth_step((t - impact + 0.45) / 0.15) * (t < impact)
    flail = dropping + smooth_step((impact + 0.3 - t) / 0.3) * (t >= impact)
    hit = _pulses(t, e.beats[:1], 0.07, rng) + 0.5 * _pulses(t, np.array([bounce]), 0.06, rng)
    move = _columns(
        [7.5 * dropping + 22 * hit, 6 * flail * sine(2.3 * t) - 30 * hit, -2 * dropping + 34 * hit]
    )
    move *= p.vigour
    return move, _columns([230 * flail, -160 * flail * sine(1.7 * t), 120 * flail])


def _wash(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    phase, effort = phase_of(t, e.beats), p.vigour * (1.0 + 0.3 * drift(rng, t.size, 30))
    rub = effort * sine(phase)
    other = effort * sine(phase + 0.3)
    wobble = drift(rng, t.size, 8)
    move = _columns([2.4 * rub, 1.8 * other + 0.6 * wobble, 0.9 * rub * other])
    return move, _columns([95 * rub + 20 * wobble, 55 * other, 40 * rub])


def _brush(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    phase, effort = phase_of(t, e.beats), p.vigour * (1.0 + 0.15 * drift(rng, t.size, 50))
    stroke = effort * sine(phase)
    move = _columns([4.6 * stroke, 0.8 * sine(2 * phase), 0.7 * stroke])
    return move, _columns([14 * stroke, 38 * stroke, 60 * stroke])


def _type(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    tap = p.vigour * _pulses(t, e.beats[::2], 0.03, rng)  # the other hand does every second key
    shift = drift(rng, t.size, 20)
    move = _columns([0.10 * shift, 0.12 * tap, 0.55 * tap])
    return move, _columns([5 * tap, 7 * tap + 2 * shift, 4 * shift])


def _lie(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    move, swing = _still(t, e, p, rng)
    settle = smooth_step((e.start + 1.6 - t) / 0.8)
    rustle = settle[:, None] * _columns(drift(rng, t.size, 6) for _ in range(3))
    return move + 0.9 * rustle, swing + 25 * rustle


def _cough(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    jerk = p.vigour * _pulses(t, e.beats, 0.09, rng)
    move = _columns([2.6 * jerk, -1.1 * jerk, 1.9 * jerk])
    return move, _columns([20 * jerk, 52 * jerk, -14 * jerk])


def _talk(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    nod = drift(rng, t.size, 30)
    move = _columns([0.14 * nod, 0.10 * drift(rng, t.size, 15), 0.10 * nod])
    return move, _columns(5 * drift(rng, t.size, 30) for _ in range(3))


def _door(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    latch, slam = e.beats[0], e.beats[-1]
    twist = sine((t - latch) / 0.8) * (t > latch) * (t < latch + 0.8)
    pull = smooth_step((t - latch - 0.5) / 0.3) * smooth_step((slam - t) / 0.3)
    hit = _pulses(t, e.beats[1:], 0.05, rng)
    move = _columns([1.8 * pull + 3.0 * hit, 0.6 * twist + 1.5 * hit, 0.8 * pull - 2.0 * hit])
    return p.vigour * move, p.vigour * _columns([150 * twist, 35 * pull, -50 * pull + 12 * hit])


def _drink(t: Floats, e: Event, p: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    gulp = _pulses(t, e.beats, 0.10, rng)
    move = _columns([0.20 * gulp, 0.05 * drift(rng, t.size, 15), 0.15 * gulp])
    return move, _columns([6 * gulp, 2 * drift(rng, t.size, 20), 3 * gulp])


Gesture = Callable[[Floats, Event, Person, np.random.Generator], tuple[Floats, Floats]]
GESTURES: dict[str, Gesture] = {
    "WALK": _walk,
    "STAIRS": _stairs,
    "REST": _still,
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


def heart(seed: int, plan: Plan) -> tuple[Floats, Floats]:
    """Times (n,) s and whole beats per minute (n,) once a second; two or three stretches are absent.

    The rate follows its target like a first-order lag, quicker up than down, in a day made miniature.
    """
    rng = stream(seed, plan.person.number, 3)
    n = int(plan.duration)
    target = np.full(n, plan.person.pulse + 4.0)
    for event in plan.events:
        first = event.beats[0] if event.kind == "FALL" else event.start
        target[int(first) + 1 : int(event.end) + 1] = plan.person.pulse + HEART_TARGETS[event.kind]
    rate, level = np.empty(n), plan.person.pulse + 4.0
    for i in range(n):
        level += (target[i] - level) / (4.5 if target[i] > level else 7.0)
        rate[i] = np.floor(level + 0.9 * normal(rng) + 0.5)
    present = np.ones(n, dtype=bool)
    for part in range(2 + int(rng.integers(2))):
        # one stretch in each third of the session, so that they never touch
        first = int((part + 0.1 + 0.6 * rng.random()) * n / 3)
        present[first : first + 4 + int(rng.integers(6))] = False
    return np.flatnonzero(present) / HEART_RATE, rate[present]
