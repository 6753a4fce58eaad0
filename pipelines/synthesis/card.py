"""README.md of the generated sessions: what is in them, what has no note, how to make them again."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.synthesis.day import DATE, OFFSET, Day, clock_text
from pipelines.synthesis.plan import Plan
from pipelines.synthesis.wording import NOTHING

__all__ = ["describe"]

_KINDS = """\
| label | the wrist | the heart | the microphone |
|---|---|---|---|
| WALK | arm swings once per two steps, 1.7 to 2.1 steps a second | rises by about 20 | light footsteps |
| STAIRS | stronger, slower: about 1.4 steps a second | rises steadily, by up to 50 | heavy steps, an echo |
| REST | still, face of the watch up | falls a little | a chair creaks, then nothing |
| FALL | weightless for a moment, a spike, then on the floor | jumps | a thud, something rattles |
| WASH | rubbing, 3 to 4 a second, turning | nearly level | running water, drops |
| BRUSH | forearm raised, 4.5 to 5.5 strokes a second | nearly level | bristles in the same rhythm |
| TYPE | small taps | level | keys |
| LIE | gravity moves to another axis, then still | falls | sheets, then slow breath |
| COUGH | a jerk with each cough | rises by about 15 | coughs |
| TALK | hand at the ear | level | speech-like babble |
| DOOR | a twist, a pull, a knock: three seconds | level | latch, hinge, slam |
| DRINK | hand to the mouth and back | level | a cup, swallows |
"""


def describe(seed: int, plans: Sequence[Plan], day: Day) -> str:
    """The text of README.md."""
    day_name = f"day_p{len(plans) + 1}"
    silent = day.unnoted
    foreign = next(note.text for note in day.notes if note.span is None)
    return f"""\
# Sample sessions

A person's day in miniature, {len(plans)} times, and one long day. Everything is synthetic: no person was
recorded, and the speech is babble. Made from seed {seed} by `pipelines/synthetic.py`; licence Apache-2.0,
like all of the project.

```
python -m pipelines.synthetic sample_data --force
```

makes every file here again, with the same bytes (for the versions in `constraints.txt`; a test compares).

## The short sessions

Each is about 100 seconds of another person with another watch: how it sits on the wrist, its gain and noise,
the person's tempo, strength, voice, resting pulse and how late the notes are written all differ. All times
are seconds from the beginning.

| file | what |
|---|---|
| `wrist.csv` or `wrist.parquet` | accelerometer (m/s2) and gyroscope (deg/s), 50 Hz |
| `heart.csv` | heart rate, once a second, with stretches of seconds that are absent |
| `microphone.flac` | sound, 16 kHz, 16 bit |
| `notes.csv` | `time,text`: the time is in seconds, vague ("around 0:30") or empty |
| `notes_untimed.txt` | the same texts in the same order, without times |
| `truth.csv` | `start,end,label,text` in seconds, one row per note in the same order |

In each session one note is about nothing in the recording (a passport, tickets, a birthday): its row in
`truth.csv` has the label {NOTHING} and no start and end. Every third watch loses one second, and every fourth
stamps its samples up to 3 ms early or late. Between the events (1.4 s and more) the hand fidgets and nothing
in particular happens.

| session | seconds | events in order | happened, but has no note |
|---|---|---|---|
{_rows(plans)}
## The events

{_KINDS}
Steps, strokes, keys, coughs and bangs are at the same moments on the wrist and in the sound.

## The long day

`{day_name}` is {DATE} from 08:00 to 18:00, offset {OFFSET}, with times in ISO 8601. `wrist.csv` holds a
wearable's summary once a second (movement in m/s2, steps a minute, tilt of the forearm in degrees) and
`heart.csv` the heart rate every five seconds, with dropouts; both are absent for 24 minutes after the nap,
while the watch charges. `notes.md` has one note a line: with a date and a time, a time, a vague time ("around
3:15 pm", "after lunch"), or none; `truth.csv` counts seconds from 08:00:00. About nothing in the recording:
"{foreign}". Happened, but has no note: {silent[0]}, {clock_text(silent[1])},
{silent[2] - silent[1]:.0f} seconds (to catch the train).
"""


def _rows(plans: Sequence[Plan]) -> str:
    lines = []
    for plan in plans:
        kinds = ", ".join(event.kind for event in plan.events)
        silent = ", ".join(f"{e.kind} {e.start:.2f} to {e.end:.2f}" for e in plan.events if not e.noted)
        lines.append(f"| `{plan.person.name}` | {plan.duration:.0f} | {kinds} | {silent} |\n")
    return "".join(lines)
