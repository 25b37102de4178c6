"""Encode: FLAC and WAV (RF64 past 4 GiB) for delivery, Ogg Opus for the report's excerpts."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from audiodiff.errors import ConfigError
from audiodiff.waveform import Block, Waveform

Encoding = Literal["flac-24", "flac-16", "wav-24", "wav-16", "wav-float32"]

WAV_LIMIT_BYTES = 2**32 - 2**16
"""From here on a WAV needs the 64-bit sizes of RF64; a little is left for the chunks around the audio."""

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "float32": "FLOAT"}
_BYTES = {"16": 2, "24": 3, "float32": 4}


class AudioWriter:
    """Writes (C, T) blocks to a file; the same samples give the same bytes.

    `frames` are those to come, if known: they decide between WAV and RF64. Samples beyond full scale are limited in
    integer encodings and counted in `clipped`. 16 bits get triangular dither, unless a block is 16-bit already.
    On an exception inside the `with` block the partial file is removed. Raises `ConfigError` for an unknown encoding
    and for channels or a rate it cannot hold.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, encoding: Encoding, frames: int = 0) -> None:
        if encoding not in get_args(Encoding):
            raise ConfigError(f"encoding {encoding!r} is unknown; known: {', '.join(get_args(Encoding))}")
        container, _, depth = encoding.partition("-")
        large = frames * channels * _BYTES[depth] > WAV_LIMIT_BYTES
        self.path, self.frames, self.clipped = path, 0, 0
        self.bit_depth = 32 if depth == "float32" else int(depth)
        self._float = depth == "float32"
        self._dither = np.random.default_rng(0)
        self._room = WAV_LIMIT_BYTES // (channels * _BYTES[depth]) if container == "wav" and not large else None
        kind = "RF64" if container == "wav" and large else container.upper()
        self._handle = path.open("wb+")
        try:
            self._file = soundfile.SoundFile(self._handle, "w", sample_rate, channels, _SUBTYPES[depth], format=kind)
        except (soundfile.LibsndfileError, ValueError) as error:
            self._handle.close()
            path.unlink()
            raise ConfigError(f"{encoding} cannot hold {channels} channels at {sample_rate} Hz") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if self._float:
                self._clear_time()
        finally:
            self._handle.close()
            if error is not None:
                self.path.unlink(missing_ok=True)

    def write(self, block: Block) -> None:
        """Append samples (C, T); raises `ValueError` where a WAV opened without its `frames` passes 4 GiB."""
        if self._room is not None and self.frames + block.shape[1] > self._room:
            raise ValueError(f"{self.path.name!r} outgrows a WAV; give `frames` for one with 64-bit sizes")
        samples = np.ascontiguousarray(block.T)
        self._file.write(samples if self._float else self._integers(samples))
        self.frames += block.shape[1]

    def _clear_time(self) -> None:
        """Zero the time of day that libsndfile puts into the PEAK chunk (tag, size, version, time) of float files."""
        self._handle.seek(0)
        at = self._handle.read(256).find(b"PEAK")
        if at >= 0:
            self._handle.seek(at + 12)
            self._handle.write(bytes(4))

    def _integers(self, samples: Block) -> NDArray[np.int32]:
        """Float samples to integers in the upper bits of 32, as libsndfile takes them."""
        full = 2.0 ** (self.bit_depth - 1)
        scaled = samples.astype(np.float64) * full
        if self.bit_depth == 16 and (scaled != np.round(scaled)).any():
            scaled += np.subtract(*np.moveaxis(self._dither.random((*scaled.shape, 2)), -1, 0))  # in order of time
        rounded = np.round(scaled)
        limited = np.clip(rounded, -full, full - 1)
        self.clipped += int((rounded != limited).sum())
        return limited.astype(np.int32) << (32 - self.bit_depth)


def write_audio(path: Path, waveform: Waveform, encoding: Encoding) -> None:
    """Write a whole waveform."""
    with AudioWriter(path, waveform.sample_rate, waveform.channels, encoding, waveform.frames) as writer:
        writer.write(waveform.samples)


def encode_opus(waveform: Waveform, bit_rate: int = 64_000) -> bytes:
    """Ogg Opus at 48 kHz, mono or the first two channels; the same samples give the same bytes.

    Raises `ValueError` for a waveform without samples.
    """
    if not waveform.frames:
        raise ValueError("there are no samples to encode")
    waveform = waveform.resample(48_000)
    target = io.BytesIO()
    layout = "mono" if waveform.channels == 1 else "stereo"
    with av.open(target, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=48_000, layout=layout, bit_rate=bit_rate)
        interleaved = np.ascontiguousarray(waveform.samples[:2].T.reshape(1, -1), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        container.mux([packet for one in (frame, None) for packet in stream.encode(one)])
    return target.getvalue()
