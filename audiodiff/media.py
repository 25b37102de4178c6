"""Decode any recording as a stream of blocks: libsndfile for the PCM family and Ogg, FFmpeg (PyAV) for all else.

What a file is, its first bytes decide; the extension counts only for formats without a header. Nothing a file
contains may crash the reader: it raises `MediaError`, or goes on and lists what is wrong in `problems`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np

from audiodiff.decoders import Decoder, open_ffmpeg, open_sndfile
from audiodiff.errors import MediaError
from audiodiff.records import MediaInfo
from audiodiff.sniff import CHAINED_OGG, Kind, extension_kind, is_chained, is_cut_short, read_head, sniff
from audiodiff.waveform import Block, Waveform

BLOCK_FRAMES = 48_000
MOST_CHANNELS = 8
RATES_HZ = range(8_000, 192_001)


class _Opener(Protocol):
    def __call__(self, file: BinaryIO, kind: Kind, block_frames: int) -> Decoder: ...


class AudioReader:
    """An open recording: `info`, then its blocks (C, T) once by iteration, then `frames` and `problems`.

    `problems` are reason codes for the ledger, `messages` say the same in sentences, in the same order; both are
    complete once the blocks are read. A reader reads once: a second iteration is a `RuntimeError`.
    """

    def __init__(self, file: BinaryIO, decoder: Decoder, name: str) -> None:
        self.info: MediaInfo = decoder.info
        self.frames = 0
        self.problems: tuple[str, ...] = ()
        self.messages: tuple[str, ...] = ()
        self._file, self._decoder, self._name = file, decoder, name
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.close()
        self._file.close()

    def __iter__(self) -> Iterator[Block]:
        """Blocks (C, T) of finite float32; raises `MediaError` where nothing at all can be decoded."""
        if self._started:
            raise RuntimeError(f"{self._name!r} has been read; open it again to read it again")
        self._started = True
        for block in self._decoder.blocks():
            self.frames += block.shape[1]
            yield self._finite(block)
        for code, message in self._decoder.problems.items():
            self.note(code, message)
        if self.frames == 0:
            reason = "undecodable" if self._decoder.problems else "empty"
            raise MediaError(reason, f"{self._name!r} holds no audio samples that can be decoded")
        declared = self.info.frames
        if declared is not None and self.frames < declared and "corrupt_frames" not in self.problems:
            self.note("truncated", f"the header promises {declared} frames, the file holds {self.frames}")

    def note(self, code: str, message: str) -> None:
        """Record a problem once."""
        if code not in self.problems:
            self.problems += (code,)
            self.messages += (message,)

    def _finite(self, block: Block) -> Block:
        if np.isfinite(block).all():
            return block
        self.note("non_finite_samples", "samples that are not a number or infinite were set to zero")
        return np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)


def open_audio(path: Path, name: str | None = None, block_frames: int = BLOCK_FRAMES) -> AudioReader:
    """Open a recording for streaming.

    `name` is the file's own name where `path` is a temporary copy. Raises `MediaError` with one of the reasons
    `missing`, `empty`, `undecodable`, `no_audio`, `unsupported_channels`, `unsupported_rate`.
    """
    name = name or path.name
    try:
        file = path.open("rb")
    except OSError as error:
        raise MediaError("missing", f"{name!r} cannot be opened: {error.strerror}") from error
    try:
        return _open(file, name, block_frames)
    except BaseException:
        file.close()
        raise


def read_audio(path: Path) -> Waveform:
    """Read a whole recording into memory; errors as `open_audio`."""
    with open_audio(path) as reader:
        blocks = list(reader)
    return Waveform(np.concatenate(blocks, axis=1), reader.info.sample_rate)


def _open(file: BinaryIO, name: str, block_frames: int) -> AudioReader:
    head = read_head(file)
    if not head:
        raise MediaError("empty", f"{name!r} is empty")
    expected = extension_kind(name)
    kind = sniff(head, expected)
    cut_short = is_cut_short(file, kind)
    if kind.family == "ogg" and is_chained(file):
        kind = CHAINED_OGG
    decoder = _first_that_opens(file, kind, name, block_frames)
    reader = AudioReader(file, decoder, name)
    try:
        _check(decoder.info, name)
    except MediaError:
        decoder.close()
        raise
    if expected.family != "unknown" and kind.family not in {"unknown", expected.family}:
        message = f"the name says {expected.family}, the content is {kind.family}"
        reader.note("mislabelled", message)
    if cut_short:
        reader.note("truncated", "the file ends before its container does")
    return reader


def _first_that_opens(file: BinaryIO, kind: Kind, name: str, block_frames: int) -> Decoder:
    openers: list[_Opener] = [open_sndfile, open_ffmpeg] if kind.sndfile else [open_ffmpeg]
    first: MediaError | None = None
    for opener in openers:
        file.seek(0)
        try:
            return opener(file, kind, block_frames)
        except MediaError as error:
            first = first or error
    assert first is not None
    raise MediaError(first.reason, f"{name!r}: {first}") from first


def _check(info: MediaInfo, name: str) -> None:
    if not 1 <= info.channels <= MOST_CHANNELS:
        raise MediaError("unsupported_channels", f"{name!r} has {info.channels} channels; 1 to {MOST_CHANNELS} work")
    if info.sample_rate not in RATES_HZ:
        raise MediaError("unsupported_rate", f"{name!r} is at {info.sample_rate} Hz; 8,000 to 192,000 Hz work")
