"""The table from what is measured to what people call it: general knowledge, in everyday words.

``said`` is what was measured and is shown; ``means`` are words in which a person may note the same thing and
are only compared with notes. Nothing here was fitted to labelled recordings. To teach the programme a new
kind of event, measure it in ``motion``, ``sound`` or ``levels`` and add a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SOMETHING", "TABLE", "Lasts", "Phrase", "level_phrase"]

#: How long such an event usually is, beside the other notes of the same recording.
Lasts = Literal["momentary", "short", "long"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """``said`` may hold one ``{:.0f}``-like field for the figure measured with it."""

    said: str
    means: tuple[str, ...]
    lasts: Lasts


#: What a note refers to when the table has no words for it: where there is data, and for sound, where it is
#: not silent. Never said, and compared with no note.
SOMETHING = Phrase("something", (), "short")

TABLE: dict[str, Phrase] = {
    # a body and the device it wears
    "still": Phrase("no movement", ("resting", "not moving"), "long"),
    "restless": Phrase("irregular movement", ("moving about", "busy with the hands"), "short"),
    "walking": Phrase("rhythmic steps near {:.1f} Hz", ("walking", "going for a walk"), "long"),
    "running": Phrase("fast strong steps near {:.1f} Hz", ("running", "jogging"), "long"),
    "stairs up": Phrase("slower steps", ("walking up the stairs", "climbing upstairs"), "long"),
    "stairs down": Phrase("harder steps", ("walking down the stairs", "going downstairs"), "long"),
    "turning": Phrase("turning about the vertical", ("turning around", "making a turn"), "momentary"),
    "change": Phrase("orientation changes", ("changing position",), "momentary"),
    "standing": Phrase("upright at rest", ("standing still", "standing upright"), "long"),
    "sitting": Phrase("leaning at rest", ("sitting", "seated in a chair"), "long"),
    "lying": Phrase("lying at rest", ("lying in bed", "lying flat"), "long"),
    "standing to sitting": Phrase("from upright to leaning", ("sitting down",), "momentary"),
    "sitting to standing": Phrase("from leaning to upright", ("standing up from a chair",), "momentary"),
    "standing to lying": Phrase("from upright to lying", ("lying down from standing",), "momentary"),
    "lying to standing": Phrase("from lying to upright", ("getting out of bed",), "momentary"),
    "sitting to lying": Phrase("from leaning to lying", ("lying down from sitting",), "momentary"),
    "lying to sitting": Phrase("from lying to leaning", ("sitting up in bed",), "momentary"),
    # sounds
    "quiet": Phrase("quiet", ("silence", "quiet"), "long"),
    "loud": Phrase("loud", ("a loud noise",), "short"),
    "voice": Phrase("voice-like near {:.0f} Hz", ("speech", "a person talking", "singing"), "short"),
    "cry": Phrase(
        "high calls near {:.0f} Hz",
        ("a baby crying", "screaming", "a bird or a rooster crowing", "a siren, an alarm, ringing"),
        "short",
    ),
    "hum": Phrase("steady low hum", ("an engine running", "a machine, a motor", "an aircraft"), "long"),
    "noise": Phrase("steady noise", ("rain", "running water", "wind"), "long"),
    "swell": Phrase("noise that swells and fades", ("sea waves", "a vehicle passing", "rustling"), "long"),
    "burst": Phrase(
        "single loud bursts", ("coughing", "sneezing", "a dog barking", "a knock on the door"), "momentary"
    ),
    "clicks": Phrase(
        "repeated clicks", ("a clock ticking", "footsteps", "typing", "a fire crackling"), "short"
    ),
    # the heart, from an electrocardiogram
    "sinus": Phrase(
        "even heartbeats near {:.0f} a minute", ("normal sinus rhythm", "a regular heartbeat"), "long"
    ),
    "slow": Phrase(
        "slow even heartbeats near {:.0f} a minute",
        ("sinus bradycardia", "nodal rhythm, junctional rhythm", "a slow heartbeat"),
        "long",
    ),
    "tachycardia": Phrase(
        "fast even heartbeats near {:.0f} a minute",
        ("sinus tachycardia", "supraventricular tachycardia", "a racing heart, palpitations"),
        "short",
    ),
    "fibrillation": Phrase(
        "heartbeats never at the same interval",
        ("atrial fibrillation", "atrial flutter", "an irregular heartbeat"),
        "long",
    ),
    "bigeminy": Phrase("every second heartbeat ectopic", ("ventricular bigeminy",), "short"),
    "trigeminy": Phrase("every third heartbeat ectopic", ("ventricular trigeminy",), "short"),
    "ventricular tachycardia": Phrase(
        "fast run of unusual heartbeats", ("ventricular tachycardia",), "momentary"
    ),
    "escape rhythm": Phrase(
        "run of slow unusual heartbeats", ("idioventricular rhythm", "ventricular escape rhythm"), "short"
    ),
    "ventricular flutter": Phrase(
        "fast waves in place of heartbeats", ("ventricular flutter", "ventricular fibrillation"), "short"
    ),
    "paced": Phrase("broad heartbeats after a spike", ("paced rhythm", "a pacemaker"), "long"),
}

_LEVEL_MEANS: dict[tuple[str, str], tuple[str, ...]] = {
    ("heart rate", "high"): ("the heart is racing", "exercise, exertion", "excited, stressed"),
    ("heart rate", "low"): ("calm, relaxed, asleep",),
    ("breathing", "high"): ("breathing fast, out of breath",),
    ("breathing", "low"): ("breathing slowly",),
    ("temperature", "high"): ("warm, hot, fever",),
    ("temperature", "low"): ("cold, chilly",),
    ("light", "high"): ("bright, lights on, outdoors in daylight",),
    ("light", "low"): ("dark, lights off, night",),
    ("steps", "high"): ("walking", "many steps"),
    ("air pressure", "falling"): ("going up, upstairs, uphill",),
    ("air pressure", "rising"): ("going down, downstairs, downhill",),
    ("altitude", "rising"): ("going up, upstairs, uphill",),
    ("altitude", "falling"): ("going down, downstairs, downhill",),
    ("blood oxygen", "low"): ("short of oxygen, desaturation",),
    ("skin conductance", "high"): ("sweating, stressed, aroused",),
    ("glucose", "high"): ("high blood sugar, after a meal",),
    ("glucose", "low"): ("low blood sugar, hypoglycaemia",),
    ("speed", "high"): ("moving fast",),
}


def level_phrase(channel: str, state: str) -> Phrase:
    """The phrase of a channel's state; a channel that the table does not know speaks for itself.

    >>> level_phrase("gas flow", "high").said
    'gas flow high'
    """
    said = f"{channel} {state}"
    known = next((v for (kind, s), v in _LEVEL_MEANS.items() if s == state and channel.endswith(kind)), ())
    return Phrase(said, (said, *known), "short" if state in ("rising", "falling") else "long")
