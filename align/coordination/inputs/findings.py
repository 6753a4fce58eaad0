"""What a model has to say of a session before it reads it: other channels, more noise, fewer bands than in training."""

from __future__ import annotations

from collections.abc import Iterator

from align.coordination.inputs.bandwidth import ANY_FALL, band_falls, is_lost
from align.coordination.inputs.channels import paired
from align.coordination.inputs.layout import Layout, are_alone, expected_sources, feeding_floors
from align.coordination.inputs.reading import Sources, reading_findings
from align.datatypes import Finding, Session
from align.features.audio import hides_sounds, steady_noise
from align.features.frames import featurize
from align.features.windows import BANDS

__all__ = ["layout_findings"]

_AS_NOISY_DB = 3.0  # above the noisiest recording of training: nothing to speak of


def layout_findings(session: Session, layout: Layout) -> tuple[Finding, ...]:
    """What a model has to say of a session's channels: none when it reads them all under their own names, no sound has
    more noise than it knows, and no sensor was smoothed more.

    Args:
        session: with streams.
        layout: of the model.
    """
    return (
        *reading_findings(expected_sources(session), layout.sources),
        *_noise_findings(session, layout),
        *_band_findings(session, layout),
    )


def _noise_findings(session: Session, layout: Layout) -> Iterator[Finding]:
    floors = feeding_floors(session, layout)
    for stream in session.streams:
        floor = floors.get(stream.name, 0.0) if stream.modality == "audio" else 0.0
        if floor < 0.0:
            noise = steady_noise(featurize(stream, hop=layout.hop).values)
            if noise > floor + _AS_NOISY_DB:
                done = "it was taken down to that, and what is quieter may be lost in it"
                if not hides_sounds(noise, floor):
                    done = "it was left, as it may be what was recorded"
                message = (
                    f"steady noise of {stream.name!r} is {-noise:.0f} dB below its loudest; in training it was"
                    f" {-floor:.0f} dB or more: {done}"
                )
                yield Finding("W-MODEL-NOISE", message, 1)


def _band_findings(session: Session, layout: Layout) -> Iterator[Finding]:
    if (layout.falls == ANY_FALL).all():
        return
    feeding = feeding_floors(session, layout)
    made = [featurize(s, hop=layout.hop) for s in session.streams if s.name in feeding]
    block_of = {stream.name: stream.values for stream in made}
    found = Sources(tuple(block_of), tuple(s.channels for s in made), tuple(s.units for s in made)).devices
    for i, j in paired(layout.sources.devices, found, are_alone(session, layout)):
        lost = is_lost(band_falls(found[j], block_of[found[j].stream]), layout.falls[i])
        if lost.any():
            message = (
                f"{found[j].label!r} shows next to nothing above {BANDS[int(lost.argmax())]:g} Hz, where all of"
                " training did (smoothed, or recorded at a lower rate than written?): its bands there are read as"
                " missing"
            )
            yield Finding("W-MODEL-BANDS", message, 1)
