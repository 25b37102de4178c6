"""The two decoders behind `media.open_audio`: libsndfile, exact for PCM and FLAC, and FFmpeg for the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import av
import numpy as np
import soundfile

from audiodiff.errors import MediaError
from audiodiff.records import MediaInfo
from audiodiff.sniff import Kind
from audiodiff.waveform import Block

av.logging.set_level(av.logging.PANIC)  # what FFmpeg has to say goes into rows, not onto the terminal

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,g722,gsm,matroska,webm,mov,mp4,m4a,mp3,mpc,mpc8,mpeg,"
    "mpegts,nsv,ogg,oma,rm,shn,tak,tta,voc,w64,wav,wv,xwma,amrnb,amrwb,png_pipe,jpeg_pipe,image2"
)  # containers only: playlists and other formats that open further files or addresses stay shut
_BIT_DEPTHS = {
    "PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64,
}  # fmt: skip


class Decoder(Protocol):
    """An open stream; `problems` maps reason codes to sentences and is complete after `blocks`."""

    info: MediaInfo
    problems: dict[str, str]

    def blocks(self) -> Iterator[Block]:
        """Blocks (C, T) until the end or the first damage that cannot be passed."""

    def close(self) -> None:
        """Release what the decoder holds."""


class SndfileDecoder:
    """libsndfile over an open file."""

    def __init__(self, sound: soundfile.SoundFile, block_frames: int) -> None:
        self._sound, self._block_frames = sound, block_frames
        self.problems: dict[str, str] = {}
        tags = tuple(sorted(sound.copy_metadata().items()))
        depth = _BIT_DEPTHS.get(sound.subtype, 16)
        container = sound.format.lower()
        self.info = MediaInfo(
            container, sound.subtype.lower(), sound.samplerate, sound.channels, depth, sound.frames, tags
        )

    def blocks(self) -> Iterator[Block]:
        """Blocks (C, T)."""
        while True:
            try:
                block = self._sound.read(self._block_frames, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                self.problems["corrupt_frames"] = f"decoding stopped at damaged data: {error}"
                return
            if not len(block):
                return
            yield block.T

    def close(self) -> None:
        """Close libsndfile's handle."""
        self._sound.close()


def open_sndfile(file: BinaryIO, kind: Kind, block_frames: int) -> SndfileDecoder:  # noqa: ARG001  one signature
    """Open with libsndfile; raises `MediaError`."""
    try:
        return SndfileDecoder(soundfile.SoundFile(file), block_frames)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise MediaError("undecodable", str(error)) from error


class FfmpegDecoder:
    """FFmpeg's first audio stream over an open file."""

    def __init__(self, container: av.container.InputContainer, headerless: bool) -> None:
        if not container.streams.audio:
            raise MediaError("no_audio", "the file has no audio track")
        self._container = container
        self._stream = container.streams.audio[0]
        self.problems: dict[str, str] = {}
        codec = self._stream.codec_context
        if not codec.sample_rate or not codec.channels:
            raise MediaError("undecodable", "the audio stream has no rate or no channels")
        declared = None if headerless else self._declared_frames()
        tags = {**container.metadata, **self._stream.metadata}
        self.info = MediaInfo(
            container.format.name,
            codec.name,
            codec.sample_rate,
            codec.channels,
            _bit_depth(codec),
            declared if codec.name.startswith("pcm") else None,
            tuple(sorted((key.lower(), value) for key, value in tags.items())),
        )

    def blocks(self) -> Iterator[Block]:
        """Blocks (C, T); damaged packets are left out and noted."""
        codec = self._stream.codec_context
        resampler = av.AudioResampler(format="fltp", layout=codec.layout, rate=codec.sample_rate)
        for frame in self._frames():
            try:
                for converted in resampler.resample(frame):
                    yield _block(converted)
            except (av.FFmpegError, ValueError):
                self.problems["corrupt_frames"] = "frames of another rate or channel layout were left out"
        with contextlib.suppress(av.FFmpegError, ValueError):
            for converted in resampler.resample(None):
                if converted.samples:
                    yield _block(converted)

    def _frames(self) -> Iterator[av.AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self.problems["corrupt_frames"] = f"the container breaks off: {error.strerror}"
                return
            try:
                yield from packet.decode()
            except av.FFmpegError as error:
                if not isinstance(error, av.EOFError):
                    self.problems["corrupt_frames"] = f"damaged packets were left out: {error.strerror}"

    def _declared_frames(self) -> int | None:
        duration, base = self._stream.duration, self._stream.time_base
        if duration is None or base is None:
            return None
        return round(duration * base * self._stream.codec_context.sample_rate)

    def close(self) -> None:
        """Close FFmpeg's container."""
        self._container.close()


def open_ffmpeg(file: BinaryIO, kind: Kind, block_frames: int) -> FfmpegDecoder:  # noqa: ARG001  frames are as coded
    """Open with FFmpeg; raises `MediaError`."""
    try:
        container = av.open(
            file,
            "r",
            format=kind.family if kind.headerless else None,
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("undecodable", f"no audio format that can be decoded ({_cause(error)})") from error
    try:
        return FfmpegDecoder(container, kind.headerless)
    except BaseException:
        container.close()
        raise


def _cause(error: Exception) -> str:
    """FFmpeg's sentence, without the error number and the path of a temporary file."""
    return str(getattr(error, "strerror", None) or error)


def _block(frame: av.AudioFrame) -> Block:
    samples: Block = frame.to_ndarray().astype(np.float32, copy=False)
    return samples


def _bit_depth(codec: av.AudioCodecContext) -> int:
    """The bit depth of a lossless stream; 16 for a lossy one, which has none."""
    depths = {"u8": 8, "s16": 16, "s32": 24}
    if codec.name.startswith("pcm_f"):
        return 32
    name = codec.format.name.rstrip("p")
    return depths.get(name, 16)
