"""WAV, FLAC, OGG and MP3 through soundfile: every channel kept, the rate of the file, no resampling.

Decoding is by blocks into what was really there: nothing is allocated from a header. libsndfile shortens a
cut file without a word, so the RIFF header is read here too and compared with the size of the file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Stream
from align.errors import InputError
from align.readers.missing import drop_missing
from align.readers.policy import Policy
from align.readers.unfolding import Unfolding
from align.readers.zones import epoch_of_start

__all__ = ["AudioHeader", "read_audio", "read_audio_header"]

_BLOCK = 1 << 20  # values decoded at a time
_MAX_RATE = 10_000_000
_PCM_LIKE = {1, 3, 6, 7, 0xFFFE}  # PCM, float, A-law, mu-law, extensible: their blocks are single frames
_UNKNOWN_SIZE = 0xFFFFFFFF
_NO_LENGTH = 1 << 48  # libsndfile's "length unknown" is 2**63 - 1; nothing recorded is longer than this


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """What a file says of itself: Hz, channels, frames (None: it does not say), and what was noticed."""

    rate: float
    n_channels: int
    n_frames: int | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Riff:
    """The data chunk of a WAV file in bytes: as declared and as found; ``frame`` bytes, 0 when unknown."""

    rate: int
    frame: int
    declared: int
    found: int


def read_audio(path: str | os.PathLike[str], policy: Policy | None = None) -> tuple[Stream, ...]:
    """Read a sound file as one stream of modality "audio", values in [-1, 1] for integer formats.

    The stream starts at second 0; with ``policy.start`` that is the given absolute time.

    Args:
        path: WAV, FLAC, OGG or MP3.
        policy: ``on_truncated`` keeps the frames of a cut file, ``on_nan`` makes NaN and infinity missing,
            ``start`` (with ``tz`` when it has no offset) sets the clock.

    Returns:
        One stream, named after the file; its channels are "0", "1", ...

    Raises:
        InputError: E-NO-SAMPLES, E-TRUNCATED (declared and found frames, last good time), E-HEADER,
            E-HEADER-SIZE, E-RIFF-OVERFLOW, E-RATE, E-CHANNELS, E-NONFINITE, E-DECODE.
        UnsafeError: E-UNFOLDS, much more than the size of the file allows (``policy.max_ratio``).
    """
    path, policy = Path(path), policy or Policy()
    header = read_audio_header(path, policy)
    values = _decode(path, header, Unfolding(path, policy))
    findings = list(header.findings)
    if header.n_frames is not None and len(values) < header.n_frames:
        findings += _truncated(path, policy, header.n_frames, len(values), header.rate)
    if not len(values):
        raise InputError("E-NO-SAMPLES", "the file holds 0 frames of sound", file=path)
    values, index, start, found = drop_missing(values, header.rate, policy, path)
    epoch, zone = epoch_of_start(policy)
    stream = Stream(
        values, header.rate, path.stem, "audio",
        run_index=index, run_start=start, epoch=epoch, findings=(*findings, *found, *zone),
    )  # fmt: skip
    return (stream,)


def read_audio_header(path: Path, policy: Policy) -> AudioHeader:
    """Read what a sound file says of itself and check it against its size; decodes nothing.

    Raises:
        InputError: as ``read_audio``, as far as the header shows it.
    """
    riff = _riff(path)
    findings = _check_riff(path, policy, riff) if riff is not None else []
    with _opened(path) as sound:
        rate, channels, frames = int(sound.samplerate), int(sound.channels), int(sound.frames)
        ogg = sound.format == "OGG"
    if not 0 < rate <= _MAX_RATE:
        raise InputError("E-RATE", f"{rate} samples per second; allowed: 1 to {_MAX_RATE}", file=path)
    if not 0 < channels <= policy.max_channels:
        raise InputError("E-CHANNELS", f"{channels} channels; allowed: 1 to {policy.max_channels}", file=path)
    if ogg and not _ends_ogg(path):
        findings += _truncated(path, policy, None, frames, rate)
    if frames == 0:
        raise InputError("E-NO-SAMPLES", "the file holds 0 frames of sound", file=path)
    return AudioHeader(float(rate), channels, frames if frames < _NO_LENGTH else None, tuple(findings))


def _decode(path: Path, header: AudioHeader, unfolding: Unfolding) -> npt.NDArray[np.floating[Any]]:
    """All frames (n, channels), decoded block by block."""
    blocks: list[npt.NDArray[np.floating[Any]]] = []
    size = max(1, _BLOCK // header.n_channels)
    decoded = 0
    try:
        with _opened(path) as sound:
            dtype = "float64" if sound.subtype == "DOUBLE" else "float32"
            while len(block := sound.read(size, dtype=dtype, always_2d=True)):
                unfolding.add(block.nbytes)
                blocks.append(block)
                decoded += len(block)
    except (RuntimeError, ValueError) as error:
        reason = getattr(error, "error_string", type(error).__name__)
        raise InputError(
            "E-DECODE", f"the sound cannot be decoded past frame {decoded} ({reason})",
            hint="the file is damaged: export it again", file=path, time=decoded / header.rate,
        ) from error  # fmt: skip
    if not blocks:
        return np.empty((0, header.n_channels), np.float32)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _opened(path: Path) -> Any:
    import soundfile

    try:
        return soundfile.SoundFile(os.fsencode(path))
    except (soundfile.LibsndfileError, ValueError) as error:
        reason = getattr(error, "error_string", type(error).__name__)
        raise InputError(
            "E-DECODE", f"the file cannot be opened as sound ({str(reason).strip().rstrip('.')})",
            hint="the file is damaged or of a kind that libsndfile does not know", file=path,
        ) from error  # fmt: skip


def _truncated(path: Path, policy: Policy, declared: int | None, found: int, rate: float) -> list[Finding]:
    """The finding of a kept cut file, or its refusal."""
    promised = "an end mark" if declared is None else f"{declared} frames"
    if policy.on_truncated == "keep":
        return [Finding("P-TRUNCATED", f"{promised} declared, {found} frames found and kept")]
    raise InputError(
        "E-TRUNCATED", f"{promised} declared, {found} frames found, good up to {found / rate:.6g} s",
        hint="copy the file again, or keep what is there with --on-truncated keep",
        file=path, sample=found, time=found / rate,
    )  # fmt: skip


def _check_riff(path: Path, policy: Policy, riff: _Riff) -> list[Finding]:
    """Compare the data chunk's declared size with what follows it."""
    if riff.declared in (0, _UNKNOWN_SIZE) and riff.found:
        # libsndfile reads up to the end of the file past 0xFFFFFFFF, and nothing past 0
        if policy.on_truncated == "keep" and riff.declared:
            return [Finding("P-HEADER-SIZE", f"size field is {riff.declared:#x}; {riff.found} bytes kept")]
        raise InputError(
            "E-HEADER-SIZE", f"the data chunk's size field is {riff.declared:#x}, {riff.found} bytes follow",
            hint="the recorder was not stopped properly: " + (
                "take the length from the file with --on-truncated keep" if riff.declared
                else "write the header anew (sox --ignore-length in.wav out.wav)"
            ),
            file=path,
        )  # fmt: skip
    if riff.found - riff.declared >= 1 << 32:
        raise InputError(
            "E-RIFF-OVERFLOW",
            f"{riff.found} bytes of sound, but the 32-bit size field says {riff.declared}",
            hint="a WAV file over 4 GiB must be RF64: convert it or split it", file=path,
        )  # fmt: skip
    if riff.found >= riff.declared:
        return []
    if not riff.frame:
        raise InputError(
            "E-TRUNCATED", f"{riff.declared} bytes of sound declared, {riff.found} found",
            hint="copy the file again", file=path,
        )  # fmt: skip
    return _truncated(path, policy, riff.declared // riff.frame, riff.found // riff.frame, riff.rate)


def _riff(path: Path) -> _Riff | None:
    """The data chunk of a RIFF, RIFX or RF64 WAV file; None for other files.

    Raises:
        InputError: E-TRUNCATED, the file ends before its data chunk; E-HEADER, there is none.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
            return None
        order = ">" if head[:4] == b"RIFX" else "<"
        rate, frame, long_size = 0, 0, None
        for name, length, start in _chunks(file, order, size):
            if name == b"fmt ":
                fields = file.read(16).ljust(16, b"\0")
                tag, _, rate, _, block, _ = struct.unpack(order + "HHIIHH", fields)
                frame = block if tag in _PCM_LIKE else 0
            elif name == b"ds64":
                long_size = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
            elif name == b"data":
                long = length == _UNKNOWN_SIZE and long_size is not None
                declared = int(long_size) if long and long_size is not None else length
                found = 0 if length == 0 and _only_chunks(file, order, start, size) else size - start
                return _Riff(max(1, rate), frame, declared, found)
    if struct.unpack(order + "I", head[4:8])[0] + 8 > size:
        raise InputError(
            "E-TRUNCATED", f"the file ends at byte {size}, before the sound begins",
            hint="copy the file again", file=path,
        )  # fmt: skip
    raise InputError("E-HEADER", "a WAV file without a data chunk", file=path)


def _chunks(file: Any, order: str, size: int, start: int = 12) -> Iterator[tuple[bytes, int, int]]:
    """(name, declared length, first byte) of each chunk whose header is complete."""
    while start + 8 <= size:
        file.seek(start)
        name, length = struct.unpack(order + "4sI", file.read(8))
        yield name, length, start + 8
        start += 8 + length + length % 2


def _only_chunks(file: Any, order: str, start: int, size: int) -> bool:
    """Whether nothing but whole, named chunks follows: then an empty data chunk is really empty."""
    end = start
    for name, length, first in _chunks(file, order, size, start):
        if not name.isalnum() and not name.strip().isalnum():
            return False
        end = first + length
    return end in (size, size + 1, size - 1)


def _ends_ogg(path: Path) -> bool:
    """Whether the last Ogg page is whole and marked as the end (RFC 3533, section 6, header type 0x04)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * 65_307))  # two pages of the largest size
        tail = file.read()
    page = tail[tail.rfind(b"OggS\0") :]
    if len(page) < 27 or not page[5] & 0x04:
        return False
    lengths = page[27 : 27 + page[26]]
    return len(lengths) == page[26] and len(page) >= 27 + len(lengths) + sum(lengths)
