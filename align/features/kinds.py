"""What a channel is, judged from its name and unit: accelerometer, heart rate, light, or of its own kind.

Names are judged by their words ("wrist_acc_x", "AccX", "x_acc", "ax" are all one axis of an accelerometer).
What is not recognised keeps its own name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from align.datatypes import Stream

__all__ = ["Group", "groups", "in_g", "in_rad_per_s", "judge_channel", "name_words"]

_KINDS: dict[str, frozenset[str]] = {
    "acceleration": frozenset({"acc", "accel", "accelerometer", "acceleration", "accelerations"}),
    "rotation": frozenset({"gyr", "gyro", "gyroscope", "angular", "angvel", "rotationrate"}),
    "gravity": frozenset({"gravity"}),
    "heart rate": frozenset({"hr", "bpm", "heart", "heartrate", "pulse"}),
    "breathing": frozenset({"resp", "respiration", "respiratory", "breathing", "breath", "airflow"}),
    "temperature": frozenset({"temp", "temperature"}),
    "ecg": frozenset({"ecg", "ekg", "mlii", "mliii", "lead"}),
    "light": frozenset({"light", "lux", "illuminance", "brightness"}),
    "steps": frozenset({"step", "steps", "stepcount", "cadence"}),
    "air pressure": frozenset({"baro", "barometer", "barometric"}),
    "altitude": frozenset({"altitude", "elevation"}),
    "blood oxygen": frozenset({"spo2", "sao2", "oxygen", "saturation"}),
    "skin conductance": frozenset({"eda", "gsr", "conductance", "electrodermal"}),
    "glucose": frozenset({"glucose", "cgm"}),
    "speed": frozenset({"speed", "velocity"}),
}
_UNITS: dict[str, frozenset[str]] = {
    "acceleration": frozenset({"g", "mg", "m/s2", "m/s^2", "m/s²", "m s-2", "m.s-2", "ms-2"}),
    "rotation": frozenset({"rad/s", "deg/s", "°/s", "dps", "rad s-1", "mdps"}),
    "heart rate": frozenset({"bpm", "beats/min", "1/min"}),
    "breathing": frozenset({"breaths/min"}),
    "temperature": frozenset({"degc", "°c", "celsius", "degf", "°f"}),
    "light": frozenset({"lx", "lux"}),
    "air pressure": frozenset({"hpa", "mbar"}),
}
_VOLTS = frozenset({"mv", "uv", "µv", "μv"})
_LEAD = re.compile(
    r"^(m?v[1-9]r?|m?cl[1-6]|av[rlf]|m?l?i{1,3}|[a-z]{2,5}-ecg)$"
)  # of an electrocardiogram, in volts
_SHORT = re.compile(r"^(a|acc|accel|g|gyr|gyro)_?([xyz])$")
_G = 9.80665
_TO_G = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / _G, "m/s^2": 1 / _G, "m/s²": 1 / _G, "m s-2": 1 / _G}
_TO_G |= {"m.s-2": 1 / _G, "ms-2": 1 / _G}
_TO_RAD = {"rad/s": 1.0, "rad s-1": 1.0, "deg/s": np.pi / 180, "°/s": np.pi / 180, "dps": np.pi / 180}
_TO_RAD |= {"mdps": np.pi / 180_000}


@dataclass(frozen=True, slots=True)
class Group:
    """Channels of one stream that belong together: the axes of one device, or one channel alone.

    ``kind`` is one of the recognised kinds, or the channel's own name in words ("gas flow"); ``place`` are
    the words of the name that say neither kind nor axis ("left wrist"); ``columns`` in the order x, y, z.
    """

    kind: str
    place: str
    columns: tuple[int, ...]
    unit: str
    known: bool


def groups(stream: Stream) -> list[Group]:
    """The channels of a sensor stream, sorted into groups, in the order of their first columns."""
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    known: dict[tuple[str, str], bool] = {}
    for column, (name, unit) in enumerate(zip(stream.channels, stream.units, strict=True)):
        kind, place, axis = judge_channel(name, unit)
        label = kind or " ".join(name_words(name)) or name
        key = (label, place if kind else "") if axis or not kind else (label, f"{place}\0{column}")
        found.setdefault(key, []).append((axis, column))
        known[key] = kind is not None
    return [
        Group(
            kind=key[0],
            place=key[1].split("\0")[0],
            columns=tuple(column for _, column in sorted(members)),
            unit=stream.units[members[0][1]],
            known=known[key],
        )
        for key, members in found.items()
    ]


def name_words(name: str) -> list[str]:
    """The words of a channel's name in lower case: "AccX", "acc_x" and "acc x" are two.

    Args:
        name: as written by the source.

    >>> name_words("leftWrist_acc_x")
    ['left', 'wrist', 'acc', 'x']
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [w for w in re.split(r"[^0-9a-zA-Z²°]+", spaced.lower()) if w]


def judge_channel(name: str, unit: str) -> tuple[str | None, str, str]:
    """Kind or None, the other words of the name, and the axis ("x", "y", "z" or "").

    Args:
        name, unit: as written by the source.

    >>> judge_channel("wrist_acc_x", ""), judge_channel("gas flow", "l/s"), judge_channel("V1", "mV")
    (('acceleration', 'wrist', 'x'), (None, '', ''), ('ecg', 'V1', ''))
    """
    short = _SHORT.match(name.lower())
    if short:
        return ("acceleration" if short[1].startswith("a") else "rotation"), "", short[2]
    words = [w for word in name_words(name) for w in _split_axis(word)]
    if "rotation" in words and "rate" in words:  # not the rotation vector of some phones
        words = [w for w in words if w not in ("rotation", "rate")] + ["rotationrate"]
    axis = next((w for w in words if w in ("x", "y", "z")), "")
    rest = [w for w in words if w not in ("x", "y", "z", "axis")]
    for kind, names in _KINDS.items():
        if any(w in names for w in rest):
            named = names | set(kind.split())
            return kind, " ".join(w for w in rest if w not in named), axis
    if unit.strip().lower() in _VOLTS and _LEAD.match(name.strip().lower()):
        return "ecg", name, ""
    for kind, units in _UNITS.items():
        if unit.strip().lower() in units:
            return kind, " ".join(rest), axis
    return None, "", axis


def _split_axis(word: str) -> list[str]:
    short = _SHORT.match(word)
    return [short[1], short[2]] if short and len(short[1]) > 1 else [word]


def in_g(unit: str, resting: float) -> float | None:
    """Factor from the unit to g. Without a unit it is read off gravity: the median length of the vector.

    Args:
        unit: as written by the source.
        resting: median length of the acceleration vector in that unit.

    Returns:
        The factor, or None when neither the unit nor gravity says (a device that removed gravity).
    """
    known = _TO_G.get(unit.strip().lower())
    if known is not None:
        return known
    for gravity in (1.0, _G, 1000.0):
        if 0.7 * gravity <= resting <= 1.3 * gravity:
            return 1.0 / gravity
    return None


def in_rad_per_s(unit: str, largest: float) -> float:
    """Factor from the unit to rad/s. Without a unit: no common gyroscope reaches past 2000 deg/s = 35 rad/s,
    so a ``largest`` number beyond 35 means degrees."""
    known = _TO_RAD.get(unit.strip().lower())
    if known is not None:
        return known
    return np.pi / 180 if largest > 35.0 else 1.0
