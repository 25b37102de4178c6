"""The two decoders behind `media.open_audio`: libsndfile, exact for PCM and Ogg, and FFmpeg for the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, Protocol

import av
import numpy as np
import soundfile

from audiodiff.errors import MediaError
from audiodiff.records import MediaInfo
from audiodiff.sniff import Kind
from audiodiff.waveform import Block

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,g722,gsm,matroska,webm,mov,mp4,m4a,mp3,mpc,mpc8,mpeg,"
    "mpegts,nsv,ogg,oma,rm,shn,tak,tta,voc,w64,wav,wv,xwma,amrnb,amrwb"
)  # containers only: playlists and other formats that open further files or addresses stay shut
_BIT_DEPTHS = {
    "PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64,
    "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 32,
}  # fmt: skip


class Decoder(Protocol):
    """An open stream; `problems` maps reason codes to sentences and is complete after `blocks`."""

    info: MediaInfo
    problems: dict[str, str]

    def blocks(self) -> Iterator[Block]:
        """Blocks (C, T) until the end or the first damage that cannot be passed."""

    def close(self) -> None:
        """Release what the decoder holds."""


class _Nameless:
    """A file without its name, from which FFmpeg would guess the format and the names of neighbours."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay where a lying header asks for a place before the file: libsndfile would print the error."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self.tell()


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
        return SndfileDecoder(soundfile.SoundFile(_Nameless(file)), block_frames)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        cause = getattr(error, "error_string", error)  # without the path of a temporary file
        raise MediaError("undecodable", str(cause)) from error


class FfmpegDecoder:
    """FFmpeg's first audio stream over an open file."""

    def __init__(self, container: av.container.InputContainer, headerless: bool, block_frames: int) -> None:
        if not container.streams.audio:
            raise MediaError("no_audio", "the file has no audio track")
        self._container, self._block_frames = container, block_frames
        self._stream = container.streams.audio[0]
        self.problems: dict[str, str] = {}
        codec: av.AudioCodecContext | None = self._stream.codec_context
        if codec is None:
            raise MediaError("undecodable", "there is no decoder for the codec of the audio track")
        if not codec.sample_rate or not codec.channels or not codec.format:
            raise MediaError("undecodable", "the audio stream has no rate, no channels or no sample format")
        declared = None if headerless else self._declared_frames()
        exact = codec.name == "flac" or codec.name.startswith("pcm")  # the duration of other streams is an estimate
        self._seen = 0
        self._exact = codec.name == "flac" and self._stream.time_base == Fraction(1, codec.sample_rate)
        tags = {**container.metadata, **self._stream.metadata}
        self.info = MediaInfo(
            container.format.name,
            codec.codec.canonical_name,
            codec.sample_rate,
            codec.channels,
            _bit_depth(codec),
            declared if exact else None,
            tuple(sorted((key.lower(), value) for key, value in tags.items())),
        )

    def blocks(self) -> Iterator[Block]:
        """Blocks (C, T); damaged packets are left out and noted."""
        return _regrouped(self._converted(), self._block_frames)

    def _converted(self) -> Iterator[Block]:
        codec = self._stream.codec_context
        # Packed, for PyAV 18.1 reads past the planes of a planar frame of eight channels.
        resampler = av.AudioResampler(format="flt", layout=codec.layout, rate=codec.sample_rate)
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
        """Decoded frames; damage that sound follows is corruption, at the very end it is a cut."""
        damage = None
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.EOFError:
                continue
            except av.FFmpegError as error:
                damage = error.strerror
                continue
            if damage and frames:
                self.problems["corrupt_frames"] = f"damaged packets were left out: {damage}"
                damage = None
            for frame in frames:
                if self._exact and frame.pts != self._seen:
                    self.problems["corrupt_frames"] = "frames are missing, or not where they should be"
                self._seen = (frame.pts or self._seen) + frame.samples
                yield frame
        if damage:
            self.problems["truncated"] = f"the last packet is not whole: {damage}"

    def _packets(self) -> Iterator[av.Packet[av.AudioStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self.problems["truncated"] = f"the container breaks off: {error.strerror}"
                return
            yield packet

    def _declared_frames(self) -> int | None:
        duration, base = self._stream.duration, self._stream.time_base
        if duration is None or base is None:
            return None
        return round(duration * base * self._stream.codec_context.sample_rate)

    def close(self) -> None:
        """Close FFmpeg's container."""
        self._container.close()


def open_ffmpeg(file: BinaryIO, kind: Kind, block_frames: int) -> FfmpegDecoder:
    """Open with FFmpeg; raises `MediaError`."""
    try:
        container = av.open(
            _Nameless(file),
            "r",
            format=kind.family if kind.headerless else None,
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "none"},
            metadata_errors="replace",
        )
    except av.EOFError as error:
        raise MediaError("empty", "the file ends with its header") from error
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("undecodable", f"no audio format that can be decoded ({_cause(error)})") from error
    try:
        return FfmpegDecoder(container, kind.headerless, block_frames)
    except BaseException:
        container.close()
        raise


def _cause(error: Exception) -> str:
    """FFmpeg's sentence, without the error number and the path of a temporary file."""
    return str(getattr(error, "strerror", None) or error)


def _block(frame: av.AudioFrame) -> Block:
    interleaved = frame.to_ndarray().astype(np.float32, copy=False)  # (1, T * C)
    return interleaved.reshape(-1, frame.layout.nb_channels).T  # (C, T)


def _regrouped(blocks: Iterator[Block], frames: int) -> Iterator[Block]:
    """The same samples in blocks of `frames`, the last one shorter: a coded frame may be as short as 160 samples."""
    held: list[Block] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count >= frames:
            samples = np.concatenate(held, axis=1)
            whole = count - count % frames
            yield from (samples[:, at : at + frames] for at in range(0, whole, frames))
            held, count = [samples[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, axis=1)


def _bit_depth(codec: av.AudioCodecContext) -> int:
    """The bit depth of a lossless stream; 16 for a lossy one, which has none."""
    depths = {"u8": 8, "s16": 16, "s32": 24}
    if codec.name.startswith(("pcm_f", "wavpack")):
        depths |= {"flt": 32, "dbl": 64}
    name = codec.format.name.rstrip("p")
    return depths.get(name, 16)
