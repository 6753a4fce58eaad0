"""What an accelerometer and a gyroscope worn by a person show, cell by cell, as strengths in [0, 1].

General knowledge about such devices, none of it fitted: gravity gives the tilt of the device; steps are a
rhythm of 1.2 to 2.5 Hz; whoever walks is upright, so the tilt while walking is the tilt of an upright body;
at rest, the same tilt means standing, a moderate other tilt sitting, a right angle lying. A device that swings
by more than a trunk does while its wearer walks, or whose name says so ("pocket", "thigh"), is worn on a thigh:
level at rest, and the wearer sits. A device on another limb ("wrist", "watch") says nothing about posture,
nor does acceleration from which gravity was taken ("user", "linear"), unless gravity is a channel, too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.features.cells import Cells, ramp, sample_ranges, window_mean
from align.features.kinds import Group, groups, in_g, in_rad_per_s

__all__ = [
    "LEAST_MOVING_S",
    "MOVES_G",
    "Motion",
    "is_freed",
    "measure_motion",
    "motion_strengths",
    "where_worn",
]

Worn = Literal["trunk", "thigh", "limb"]

#: Standard deviation of acceleration, g, from which a device moves; least seconds of that which show how it swings.
MOVES_G, LEAST_MOVING_S = 0.15, 2.0
_LIMBS = frozenset(
    {"wrist", "watch", "arm", "hand", "finger", "ring", "ankle", "foot", "shoe", "leg", "shank"}
)
_THIGHS = frozenset({"thigh", "pocket", "trousers"})
_FREED = frozenset({"user", "linear"})
_SORTS = _FREED | {"total", "body", "raw", "forces", "velocity", "calibrated"}
_SWING = 1.25  # rad/s, root mean square: trunks turn by 0.6 to 1.1 at each step, thighs by 1.4 and more
_RHYTHM_S = 3.0  # window of the rhythm: four to seven steps
_RHYTHM_RATE = 32.0  # Hz it is looked at: steps and their first harmonics
_TURNS = 0.9  # rad/s about the vertical
_STRIDE = (0.8, 1.3)  # rad/s
_TIPPED = {"trunk": (12.0, 30.0), "thigh": (25.0, 45.0), "limb": (12.0, 30.0)}  # degrees
_REACH_S = 1.5  # how far before and after a change of posture is looked for
_CHUNK = 8192  # windows per block: bounds memory


@dataclass(frozen=True, slots=True)
class Motion:
    """Measurements of one device, one row per cell; NaN where it has no sample.

    ``movement`` standard deviation of acceleration within 1 s (g, or the unit of the source when ``scaled``
    is False); ``gravity`` (n, n_axes) mean acceleration over 1 s; ``rotation`` root mean square of the
    angular rate (rad/s); ``yaw`` mean rate about the vertical (rad/s, signed; without an accelerometer, the
    length of the mean rate about any axis); ``rhythm_hz`` and ``rhythm`` the strongest rhythm between 0.8 and
    4 Hz and its share of the movement; ``worn`` where: on the trunk, on a thigh, or so that it says nothing of
    posture ("limb").
    """

    name: str
    movement: Floats
    gravity: Floats
    rotation: Floats
    yaw: Floats
    rhythm_hz: Floats
    rhythm: Floats
    scaled: bool
    worn: Worn

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(n,) where the device has data."""
        return np.isfinite(self.movement) | np.isfinite(self.rotation)


def measure_motion(stream: Stream, cells: Cells) -> list[Motion]:
    """One ``Motion`` per accelerometer of a stream, with the gyroscope of the same place if there is one, and
    one per gyroscope without an accelerometer. An accelerometer without a valid sample is left out."""
    found = groups(stream)
    turns = {where_worn(g): g for g in found if g.kind == "rotation"}
    weights = {where_worn(g): g for g in found if g.kind == "gravity" and len(g.columns) == 3}
    sensors = [g for g in found if g.kind == "acceleration"]
    sensors += [g for at, g in weights.items() if at not in {where_worn(s) for s in sensors}]
    sensors = [g for g in sensors if np.isfinite(stream.values[:, list(g.columns)]).all(axis=1).any()]
    places = {where_worn(g) for g in sensors}
    alone = [_measure_turns(stream, cells, g) for at, g in turns.items() if at not in places]
    return [
        _measure(
            stream, cells, g, turns.get(where_worn(g)), weights.get(where_worn(g)) if is_freed(g) else None
        )
        for g in sensors
    ] + alone


def where_worn(group: Group) -> str:
    """The words of a group's names that say where it is worn, not what sort of acceleration or rate it is.

    Args:
        group: of a stream.
    """
    return " ".join(w for w in group.place.split() if w not in _SORTS)


def is_freed(group: Group) -> bool:
    """Whether the names say that gravity was taken out.

    Args:
        group: an accelerometer.
    """
    return len(group.columns) == 3 and bool(set(group.place.split()) & _FREED)


def _measure(stream: Stream, cells: Cells, acc: Group, gyro: Group | None, gravity: Group | None) -> Motion:
    values = stream.values[:, list(acc.columns)].astype(np.float64)
    if gravity is not None:
        values += stream.values[:, list(gravity.columns)]
    length = np.linalg.norm(values, axis=1)
    factor = in_g(acc.unit, float(np.median(length[np.isfinite(length)])))
    values *= 1.0 if factor is None else factor
    around = sample_ranges(stream, cells, max(1.0, 3.0 / stream.rate))
    mean = window_mean(values, around)
    variance = window_mean(values**2, around) - mean**2
    has_weight = gravity is not None or not is_freed(acc)
    hz, share = _rhythm(length if has_weight else _mainly(values), stream, cells)
    rotation = yaw = np.full(cells.n, np.nan)
    if gyro is not None:
        rotation, rate = _turns(stream, cells, gyro)
        if len(gyro.columns) == 3 == len(acc.columns):
            up = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
            yaw = (rate * up).sum(axis=1)
    movement = np.sqrt(np.maximum(variance, 0.0).sum(axis=1))
    words = set(f"{stream.name} {acc.place}".lower().replace("_", " ").split())
    swing = rotation[(movement > MOVES_G) & (np.abs(yaw) < _TURNS)] if factor is not None else rotation[:0]
    return Motion(
        name=acc.place or stream.name,
        movement=movement,
        gravity=mean,
        rotation=rotation,
        yaw=yaw,
        rhythm_hz=hz,
        rhythm=share,
        scaled=factor is not None,
        worn=_worn(
            words, swing[np.isfinite(swing)] if has_weight and len(acc.columns) == 3 else None, cells.hop
        ),
    )


def _mainly(values: Floats) -> Floats:
    """(n,) what happens along the direction in which most happens: without gravity a length has twice the rhythm."""
    known = values[np.isfinite(values).all(axis=1)]
    _, axes = np.linalg.eigh(np.cov(known.T) if len(known) > 1 else np.eye(values.shape[1]))
    return np.asarray(values @ axes[:, -1], np.float64)


def _worn(words: set[str], swing: Floats | None, hop: float) -> Worn:
    """By what the names say, else by how fast the device turns where its wearer moves straight on, rad/s by cell."""
    if swing is None or words & _LIMBS:
        return "limb"
    swings = swing.size * hop >= LEAST_MOVING_S and float(np.median(swing)) > _SWING
    return "thigh" if swings or words & _THIGHS else "trunk"


def _measure_turns(stream: Stream, cells: Cells, gyro: Group) -> Motion:
    rotation, rate = _turns(stream, cells, gyro)
    nothing = np.full(cells.n, np.nan)
    return Motion(
        name=gyro.place or stream.name,
        movement=nothing,
        gravity=np.full((cells.n, 3), np.nan),
        rotation=rotation,
        yaw=np.linalg.norm(rate, axis=1),
        rhythm_hz=nothing,
        rhythm=nothing,
        scaled=True,
        worn="limb",
    )


def _turns(stream: Stream, cells: Cells, gyro: Group) -> tuple[Floats, Floats]:
    """Root mean square (n,) and mean (n, n_axes) of the angular rate in windows of 1 s, rad/s."""
    rate = stream.values[:, list(gyro.columns)].astype(np.float64)
    largest = np.abs(rate[np.isfinite(rate)]).max(initial=0.0)
    rate *= in_rad_per_s(gyro.unit, float(largest))
    around = sample_ranges(stream, cells, max(1.0, 3.0 / stream.rate))
    return np.sqrt(np.maximum(window_mean(rate**2, around), 0.0).sum(axis=1)), window_mean(rate, around)


def _rhythm(length: Floats, stream: Stream, cells: Cells) -> tuple[Floats, Floats]:
    """Strongest frequency in 0.8 to 4 Hz of each window of 3 s, and the share of the power between 0.5 and
    10 Hz that lies within 0.4 Hz of it or of its double."""
    hz, share = np.full(cells.n, np.nan), np.full(cells.n, np.nan)
    step = max(1, int(stream.rate / _RHYTHM_RATE))
    rate = stream.rate / step
    size = int(_RHYTHM_S * rate)
    if rate < 10.0 or len(length) < size * step:
        return hz, share
    if step > 1:  # average before thinning: nothing above the new rate folds down
        length = np.convolve(length, np.full(step, 1 / step), mode="same")
    ranges = sample_ranges(stream, cells, _RHYTHM_S)
    whole = np.flatnonzero(ranges[:, 1] - ranges[:, 0] >= 0.7 * size * step)
    taper = np.hanning(size)
    spectrum_hz = np.fft.rfftfreq(4 * size, 1 / rate)
    band = (spectrum_hz >= 0.8) & (spectrum_hz <= 4.0)
    moving = (spectrum_hz >= 0.5) & (spectrum_hz <= 10.0)
    for block in np.array_split(whole, max(1, -(-whole.size // _CHUNK))):
        if not block.size:
            continue
        index = ranges[block, :1] + step * np.arange(size)
        inside = index < ranges[block, 1:]
        window = length[np.minimum(index, len(length) - 1)]
        inside &= np.isfinite(window)
        middle = np.where(inside, window, 0.0).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        window = np.where(inside, window - middle[:, None], 0.0)
        power = np.abs(np.fft.rfft(window * taper, 4 * size)) ** 2
        peak = spectrum_hz[band][power[:, band].argmax(axis=1)]
        near = np.abs(spectrum_hz - peak[:, None]) <= 0.4
        near |= np.abs(spectrum_hz - 2 * peak[:, None]) <= 0.4
        total = (power * moving).sum(axis=1)
        hz[block] = peak
        share[block] = (power * near * moving).sum(axis=1) / np.maximum(total, 1e-300)
    return hz, share


def motion_strengths(motion: Motion, cells: Cells) -> dict[str, Floats]:
    """How strongly each cell shows each kind of motion or posture: (n,) in [0, 1] by key of the table."""
    moving = _movement_in_g(motion)
    rhythmic = ramp(motion.rhythm, 0.35, 0.55)
    pace = np.nan_to_num(motion.rhythm_hz)
    steps = ramp(moving, 0.05, 0.12) * ramp(pace, 1.0, 1.3)
    running = ramp(moving, 0.5, 0.8) * ramp(pace, 2.1, 2.5) * rhythmic
    gravity = _downwards(motion, cells)
    tipped = _tipped(motion.worn, gravity, cells.hop)
    if (
        motion.worn == "thigh"
    ):  # strides swing and jolt it: the rhythm is spread over harmonics, walking is rough
        swing = np.sqrt(np.maximum(np.nan_to_num(motion.rotation) ** 2 - np.nan_to_num(motion.yaw) ** 2, 0.0))
        steps *= ramp(swing, *_STRIDE) * (1.0 - tipped)
        running *= ramp(moving, 0.9, 1.3)
    else:
        steps *= rhythmic * ramp(pace, 2.9, 2.4)
    steps = steps * (1.0 - running)
    turning = ramp(np.abs(motion.yaw), 0.35, 0.9)
    still = motion.known * ramp(np.nan_to_num(moving), 0.08, 0.03)
    still *= ramp(np.nan_to_num(motion.rotation), 0.5, 0.2)
    out = {"still": still, "walking": steps, "running": running, "turning": turning}
    out["restless"] = ramp(moving, 0.08, 0.2) * (1.0 - np.maximum(steps, running)) * (1.0 - turning)
    out |= _stairs(moving, pace, steps)
    if motion.worn != "limb":
        walking = np.maximum(steps, running)
        out["change"] = tipped * (1.0 - walking)
        out |= _postures(motion.worn, gravity, (still, walking, out["change"]), cells.hop)
    return out


def _movement_in_g(motion: Motion) -> Floats:
    """Movement in g; where the unit is unknown, relative: the session's 90th percentile stands for 0.3 g."""
    if motion.scaled:
        return motion.movement
    strong = np.nanpercentile(motion.movement, 90) if np.isfinite(motion.movement).any() else 1.0
    return 0.3 * motion.movement / max(float(strong), 1e-12)


def _stairs(moving: Floats, pace: Floats, steps: Floats) -> dict[str, Floats]:
    """Stairs against the session's own walking: down hits harder, up is slower and softer or as soft."""
    walked = steps > 0.5
    if walked.sum() < 8:
        return {}
    force, beat = np.median(moving[walked]), np.median(pace[walked])
    harder = ramp(moving / force, 1.1, 1.6)
    slower = ramp(pace / beat, 0.98, 0.85) * ramp(moving / force, 1.5, 1.1)
    return {"stairs down": steps * harder, "stairs up": steps * slower}


def _postures(
    worn: Worn, gravity: tuple[Floats, Floats, Floats], shown: tuple[Floats, Floats, Floats], hop: float
) -> dict[str, Floats]:
    """Postures at rest and the changes between them; none where nobody walks: nothing says what upright is."""
    still, steps, change = shown
    walked = (steps > 0.5) & np.isfinite(gravity[0]).all(axis=1)
    if walked.sum() * hop < 2.0:
        return {}
    upright = np.median(gravity[0][walked], axis=0)
    upright /= max(float(np.linalg.norm(upright)), 1e-9)
    now, was, then = (_posture(_angle(direction, upright), worn) for direction in gravity)
    out = {name: still * now[name] for name in now}
    for first, second in itertools.permutations(now, 2):
        out[f"{first} to {second}"] = change * was[first] * then[second]
    return out


def _downwards(motion: Motion, cells: Cells) -> tuple[Floats, Floats, Floats]:
    """(n, 3) unit vectors of gravity: now, and a little before and after."""
    length = np.linalg.norm(motion.gravity, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        down = motion.gravity / length
    reach = max(1, round(_REACH_S / cells.hop))
    return down, _moved(down, -reach), _moved(down, reach)


def _tipped(worn: Worn, gravity: tuple[Floats, Floats, Floats], hop: float) -> Floats:
    """(n,) how strongly the device is being turned against gravity, to stay so."""
    down, before, after = gravity
    half = max(1, round(0.5 / hop))
    swing = _angle(_moved(down, -half), _moved(down, half))
    return np.minimum(ramp(_angle(before, after), *_TIPPED[worn]), ramp(swing, 5.0, 15.0))


def _posture(tilt: Floats, worn: Worn) -> dict[str, Floats]:
    """Memberships by the angle in degrees from upright; they add up to 1 where the angle is known.

    A thigh is level whether its owner sits or lies; people sit more often while they wear a device there.
    """
    known = np.isfinite(tilt)
    if worn == "thigh":
        level = ramp(tilt, 25.0, 45.0)
        return {"standing": known * (1.0 - level), "sitting": level}
    seated, lying = ramp(tilt, 8.0, 20.0), ramp(tilt, 45.0, 65.0)
    return {"standing": known * (1.0 - seated), "sitting": seated * (1.0 - lying), "lying": lying}


def _moved(rows: Floats, by: int) -> Floats:
    """Rows ``by`` cells later (earlier when negative); the first and last rows repeat."""
    index = np.clip(np.arange(len(rows)) + by, 0, len(rows) - 1)
    return np.where(np.isfinite(rows[index]), rows[index], rows)


def _angle(a: Floats, b: Floats) -> Floats:
    """Degrees between unit vectors, row by row."""
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1.0, 1.0)))
