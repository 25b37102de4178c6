"""Recordings that try to break a decoder, made by code; each with what must become of it."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 16_000
FRAMES = 8_000


@dataclass(frozen=True, slots=True)
class HostileFile:
    """`reason` is the expected `MediaError`, `problems` the expected reader problems where there is none."""

    name: str
    reason: str | None
    problems: frozenset[str]
    note: str


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    data: bytes
    note: str
    problems: tuple[str, ...] = ()
    reason: str | None = None


def make_hostile(folder: Path) -> list[HostileFile]:
    """Write the files into `folder`, the same bytes every time; at most a second of audio each."""
    made = [*_values(), *_shapes(), *_cut(), *_mislabelled(), *_lying(), *_names(), *_foreign()]
    for one in made:
        Path(os.fsdecode(os.fsencode(folder / one.name))).write_bytes(one.data)
    return [HostileFile(one.name, one.reason, frozenset(one.problems), one.note) for one in made]


def tone(channels: int = 1, frames: int = FRAMES, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """440 Hz at half scale with a little noise, (C, T)."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, (channels, frames))
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(frames) / rate_hz) + noise).astype(np.float32)


def sndfile(
    samples: NDArray[np.floating], container: str = "WAV", subtype: str = "PCM_16", rate: int = RATE_HZ
) -> bytes:
    """(C, T) samples as a file of libsndfile's, without the time of day in the PEAK chunk of a float file."""
    target = io.BytesIO()
    soundfile.write(target, samples.T, rate, subtype, format=container)
    data = target.getvalue()
    time_at = data.find(b"PEAK") + 12 if b"PEAK" in data[:256] else None
    return data if time_at is None else data[:time_at] + bytes(4) + data[time_at + 4 :]


def ffmpeg(container: str, codec: str, samples: NDArray[np.float32], rate: int = RATE_HZ, video: bool = False) -> bytes:
    """Mono (1, T) samples as a file of FFmpeg's, with a small picture if it is a `video`."""
    target = io.BytesIO()
    with av.open(target, "w", format=container, options={"fflags": "+bitexact"}) as out:
        picture = out.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p") if video else None
        stream = out.add_stream(codec, rate=rate, layout="mono")
        if picture is not None:
            image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            image.pts, image.time_base = 0, Fraction(1, 10)
            out.mux(picture.encode(image))
            out.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        codec_context = stream.codec_context
        codec_context.open(strict=False)
        to_codec = av.AudioResampler(codec_context.format, "mono", rate, codec_context.frame_size or None)
        for piece in (*to_codec.resample(frame), *to_codec.resample(None), None):
            out.mux(stream.encode(piece))
    return target.getvalue()


def _values() -> Iterator[_Made]:
    def wav(name: str, samples: NDArray[np.floating], note: str, *problems: str) -> _Made:
        return _Made(name, sndfile(samples, subtype="FLOAT"), note, problems)

    for name, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf)):
        samples = tone()
        samples[0, 100:110] = value
        yield wav(f"{name}.wav", samples, "ten samples that are no number", "non_finite_samples")
    yield wav("all-nan.wav", np.full((1, FRAMES), np.nan), "no sample is a number", "non_finite_samples")
    yield wav("silent.wav", np.zeros((1, FRAMES)), "digital silence")
    yield wav("dc.wav", np.full((1, FRAMES), 0.5), "direct current only")
    yield wav("square.wav", np.sign(tone()), "a full-scale square wave")
    yield wav("hot.wav", 20 * tone(), "samples far beyond full scale")
    yield wav("denormal.wav", np.full((1, FRAMES), 1e-40), "denormal numbers")
    yield wav("antiphase.wav", tone() * np.array([[1.0], [-1.0]], np.float32), "its mono mix is silent")
    huge = np.where(np.arange(FRAMES) == 9, 1e300, 0.1)[None]
    yield _Made("double-1e300.wav", sndfile(huge, subtype="DOUBLE"), "infinite as float32", ("non_finite_samples",))


def _shapes() -> Iterator[_Made]:
    yield _Made("one-sample.wav", sndfile(tone(frames=1)), "a single sample")
    yield _Made("one-sample.flac", sndfile(tone(frames=1), "FLAC"), "a single sample")
    yield _Made("8-channels.flac", sndfile(tone(8), "FLAC"), "as many as are allowed")
    yield _Made("9-channels.wav", sndfile(tone(9)), "one too many", reason="unsupported_channels")
    yield _Made("192-khz.wav", sndfile(tone(), subtype="PCM_24", rate=192_000), "as fast as is allowed")
    yield _Made("384-khz.wav", sndfile(tone(), rate=384_000), "too fast", reason="unsupported_rate")
    yield _Made("5-hz.wav", sndfile(tone(), rate=5), "too slow", reason="unsupported_rate")
    yield _Made("8-bit.wav", sndfile(tone(), subtype="PCM_U8"), "8 bits")
    yield _Made("double.wav", sndfile(tone(), subtype="DOUBLE"), "64-bit floating point")


def _cut() -> Iterator[_Made]:
    yield _Made("empty.wav", b"", "no bytes", reason="empty")
    yield _Made("empty.gsm", b"", "no bytes, no header needed", reason="empty")
    yield _Made("header-only.wav", sndfile(tone(frames=0)), "no samples", reason="empty")
    yield _Made("header-only.flac", sndfile(tone(), "FLAC")[:42], "no frames", reason="empty")
    wav = sndfile(tone())
    yield _Made("cut-in-header.wav", wav[:30], "ends inside the format", reason="undecodable")
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_24")):
        data = sndfile(tone(frames=RATE_HZ), container, subtype)
        for percent in (50, 95):
            name = f"cut-{percent}.{container.lower()}"
            yield _Made(name, data[: len(data) * percent // 100], "ends early", ("truncated",))
    yield _Made("cut-90.rf64", sndfile(tone(), "RF64")[:-1600], "ends early, 64-bit sizes", ("truncated",))
    mp3 = ffmpeg("mp3", "libmp3lame", tone())
    yield _Made("cut-50.mp3", mp3[: len(mp3) // 2], "ends early", ("truncated",))
    yield _Made("cut-at-32.mp3", mp3[:32], "ends inside the first frame", reason="undecodable")
    ogg = ffmpeg("ogg", "libopus", tone(frames=48_000, rate_hz=48_000), 48_000)
    yield _Made("cut-in-last-page.ogg", ogg[:-200], "ends inside its last page", ("truncated",))
    yield _Made("cut-in-header.ogg", ogg[:100], "ends inside the header", reason="undecodable")
    m4a = ffmpeg("ipod", "aac", tone())
    yield _Made("cut-50.m4a", m4a[: len(m4a) // 2], "the index at its end is gone", reason="undecodable")


def _mislabelled() -> Iterator[_Made]:
    image = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452000000010000000108020000009077 53de".replace(" ", ""))
    yield _Made("picture.wav", image + bytes(64), "a PNG", reason="undecodable")
    yield _Made("flac-inside.wav", sndfile(tone(), "FLAC"), "a FLAC", ("mislabelled",))
    yield _Made("mp3-inside.flac", ffmpeg("mp3", "libmp3lame", tone()), "an MP3", ("mislabelled",))
    yield _Made("wav-inside.gsm", sndfile(tone()), "a WAV", ("mislabelled",))
    yield _Made("text.mp3", b"Dear archive, the tape is in the post.\n" * 50, "a letter", reason="undecodable")
    yield _Made("page.wav", b"<!DOCTYPE html><title>404</title>" * 50, "an error page", reason="undecodable")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(zipfile.ZipInfo("tape.wav"), sndfile(tone()))
    yield _Made("archive.ogg", archive.getvalue(), "a ZIP", reason="undecodable")


def wav_header(channels: int, rate_hz: int, data_size: int) -> bytes:
    """A 16-bit WAV header that says just that."""
    frame = 2 * channels & 0xFFFF
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * frame & 0xFFFFFFFF, frame, 16)
    riff = b"RIFF" + struct.pack("<I", min(36 + data_size, 0xFFFFFFFF)) + b"WAVEfmt "
    return riff + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", data_size)


def _lying() -> Iterator[_Made]:
    pcm = (20_000 * tone()).astype("<i2").tobytes()
    yield _Made("says-2-gb.wav", wav_header(1, RATE_HZ, 2_000_000_000) + pcm, "2 GB promised", ("truncated",))
    yield _Made("streamed.wav", wav_header(1, RATE_HZ, 0xFFFFFFFF) + pcm, "a stream of unsaid length, which is fine")
    yield _Made("4-ghz.wav", wav_header(1, 4_000_000_000, len(pcm)) + pcm, "a rate of 4e9 Hz", reason="undecodable")
    yield _Made(
        "65535-channels.wav", wav_header(65_535, RATE_HZ, len(pcm)) + pcm, "65535 channels", reason="undecodable"
    )
    strange = bytearray(wav_header(1, RATE_HZ, len(pcm)) + pcm)
    strange[20:22] = b"\x34\x12"
    yield _Made("unknown-codec.wav", bytes(strange), "a codec nobody knows", reason="undecodable")
    yield _Made("0-channels.wav", wav_header(0, RATE_HZ, len(pcm)) + pcm, "no channels", reason="undecodable")
    yield _Made("garbage-after.wav", sndfile(tone()) + b"\xde\xad" * 500, "garbage after the audio")
    yield _Made("garbage-after.flac", sndfile(tone(), "FLAC") + b"\xde\xad" * 500, "garbage after the audio")


_NAMES = (
    "new\nline.wav", 'dou"ble.wav', "sin'gle.wav", "-rf.wav", "100%d %s %.wav", "<script>alert(1)<&script>.wav",
    "n" * 210 + ".wav", "\u202evaw.рекорд.wav", ".hidden.wav", "  spaces  .wav", "back\\slash.wav",
    os.fsdecode(b"not-utf8-\xff\xfe.wav"), "*[a-z]?{1..9}.wav", "$(touch gone);`id`.wav", "frame%03d.wav",
)  # fmt: skip


def _names() -> Iterator[_Made]:
    for name in _NAMES:
        yield _Made(name, sndfile(tone()), "a hostile name")
    flac = sndfile(tone(), "FLAC")
    yield _Made(os.fsdecode(b"not-utf8-\xff.flac"), flac, "a hostile name for FFmpeg")
    yield _Made("many%05d.flac", flac, "a pattern of names to FFmpeg")


def _foreign() -> Iterator[_Made]:
    yield _Made("video.mp4", ffmpeg("mp4", "aac", tone(), video=True), "the sound of a video")
    yield _Made("video.mkv", ffmpeg("matroska", "aac", tone(), video=True), "the sound of a video")
    yield _Made("silent-film.mp4", _silent_film(), "a video without sound", reason="no_audio")
    rng = np.random.default_rng(1)
    noise = rng.bytes(3_300)
    yield _Made("noise.g722", noise, "random bytes, which are valid G.722")
    yield _Made("noise.gsm", bytes([0x00]) + noise[1:], "random bytes, which decode to noise")
    asset = next((Path(__file__).parent / "assets").glob("*newuser.gsm")).read_bytes()
    yield _Made("cut-frame.gsm", asset[: 33 * 20 + 10], "half a frame at the end", ("truncated",))
    for name, text in (
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsilent.wav\n#EXT-X-ENDLIST\n"),
        ("list.wav", "ffconcat version 1.0\nfile silent.wav\n"),
        ("passwd.m3u8", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
        ("passwd.mp3", "ffconcat version 1.0\nfile /etc/passwd\n"),
    ):
        yield _Made(name, text.encode(), "a playlist that must not be followed", reason="undecodable")


def _silent_film() -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        for index in range(3):
            image = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 50 * index, np.uint8), format="rgb24")
            out.mux(stream.encode(image))
        out.mux(stream.encode(None))
    return target.getvalue()
