"""Real codecs: a round trip through FFmpeg's or libsndfile's encoder, brought back into line with the original."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import NDArray
from torch import Tensor

from audiodiff.errors import ConfigError
from audiodiff.metrics.paired import aligned


@dataclass(frozen=True, slots=True)
class Format:
    """How a codec is run: FFmpeg's encoder and container (or libsndfile's names), its rates, its bit rates.

    `rates_hz` are (least bit rate in kbit/s, sample rate) pairs, as an encoder would choose. `kbps` empty: fixed.
    """

    encoder: str
    container: str
    rates_hz: tuple[tuple[float, int], ...]
    kbps: tuple[float, ...] = ()
    sndfile: bool = False

    def rate_hz(self, kbps: float) -> int:
        """The sample rate for a bit rate."""
        return max((least, rate) for least, rate in self.rates_hz if least <= kbps)[1]


FORMATS: dict[str, Format] = {
    "mp3": Format("libmp3lame", "mp3", ((0, 22_050), (32, 32_000), (48, 44_100)), (24, 32, 48, 64, 96, 128)),
    "aac": Format("aac", "adts", ((0, 22_050), (32, 32_000), (48, 44_100)), (24, 32, 48, 64, 96)),
    "opus": Format("libopus", "ogg", ((0, 48_000),), (6, 9, 12, 16, 24, 32, 48)),
    "vorbis": Format("VORBIS", "OGG", ((0, 22_050), (40, 44_100)), (20, 32, 48, 64, 96), sndfile=True),
    "gsm": Format("GSM610", "WAV", ((0, 8_000),), sndfile=True),
    "g722": Format("g722", "g722", ((0, 16_000),)),
    "amr": Format("libopencore_amrnb", "amr", ((0, 8_000),), (4.75, 5.9, 7.4, 10.2, 12.2)),
    "alaw": Format("pcm_alaw", "wav", ((0, 8_000),)),
    "mulaw": Format("pcm_mulaw", "wav", ((0, 8_000),)),
    "adpcm": Format("adpcm_ima_wav", "wav", ((0, 22_050),)),
}
"""Every codec by name."""

_LATEST_S = 0.12  # no encoder here delays more
_VORBIS_SPAN_KBPS = (15.0, 110.0)  # of mono at the ends of libsndfile's quality scale


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding and decoding. `kbps` is per channel, 0 where the codec has but one; channels go each on its own."""

    codec: str
    kbps: float

    def __post_init__(self) -> None:
        """Refuse a codec that is not in `FORMATS`."""
        if self.codec not in FORMATS:
            raise ConfigError(f"unknown codec {self.codec!r}; known: {', '.join(FORMATS)}")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Any codec at any of its bit rates."""
        return cls.of(str(rng.choice(list(FORMATS))), rng)

    @classmethod
    def of(cls, codec: str, rng: np.random.Generator) -> Self:
        """A codec at one of its bit rates."""
        return cls(codec, float(rng.choice(FORMATS[codec].kbps or (0.0,))))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Encode and decode (..., T); the level, the length and the time of what comes back are the signal's."""
        rate = FORMATS[self.codec].rate_hz(self.kbps)
        rows = torchaudio.functional.resample(signal.reshape(-1, signal.shape[-1]).cpu(), sample_rate, rate)
        peak = rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-9)
        coded = [torch.from_numpy(self._round_trip(row, rate)) for row in (0.7 / peak * rows).numpy()]
        back = torchaudio.functional.resample(peak / 0.7 * torch.stack(coded), rate, sample_rate)
        length = signal.shape[-1]
        back = torch.nn.functional.pad(back, (0, max(0, length - back.shape[1])))[:, :length]
        return back.reshape(signal.shape).to(signal.device)

    def _round_trip(self, row: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        """(T,) samples through the codec, (T,) again."""
        format_ = FORMATS[self.codec]
        encode, decode = (_to_sndfile, _from_sndfile) if format_.sndfile else (_to_ffmpeg, _from_ffmpeg)
        padded = np.pad(row, (0, int(2 * _LATEST_S * rate)))  # for the encoder's delay, and so that none is too short
        coded = decode(encode(padded, rate, format_, self.kbps), format_)
        return aligned(coded, row, most=int(_LATEST_S * rate)).astype(np.float32, copy=False)


def _to_sndfile(row: NDArray[np.float32], rate: int, format_: Format, kbps: float) -> bytes:
    import soundfile  # noqa: PLC0415  a machine that only trains may lack the decoders

    low, high = _VORBIS_SPAN_KBPS
    level = {"compression_level": 1.0 - (kbps - low) / (high - low)} if kbps else {}
    target = io.BytesIO()
    soundfile.write(target, row, rate, format_.encoder, format=format_.container, **level)
    return target.getvalue()


def _from_sndfile(data: bytes, format_: Format) -> NDArray[np.float32]:  # noqa: ARG001  one signature for both
    import soundfile  # noqa: PLC0415

    samples: NDArray[np.float32] = soundfile.read(io.BytesIO(data), dtype="float32")[0]
    return samples


def _to_ffmpeg(row: NDArray[np.float32], rate: int, format_: Format, kbps: float) -> bytes:
    import av  # noqa: PLC0415

    target = io.BytesIO()
    with av.open(target, "w", format=format_.container, options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(format_.encoder, rate=rate, layout="mono")
        codec = stream.codec_context
        assert isinstance(codec, av.AudioCodecContext)
        if kbps:
            codec.bit_rate = int(1_000 * kbps)
        codec.open(strict=False)
        frame = av.AudioFrame.from_ndarray(row[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        to_codec = av.AudioResampler(codec.format, "mono", rate, codec.frame_size or None)
        for piece in (*to_codec.resample(frame), *to_codec.resample(None)):
            out.mux(codec.encode(piece))
        out.mux(codec.encode(None))
    return target.getvalue()


def _from_ffmpeg(data: bytes, format_: Format) -> NDArray[np.float32]:
    import av  # noqa: PLC0415

    name = "aac" if format_.container == "adts" else format_.container
    parts = []
    with av.open(io.BytesIO(data), "r", format=name) as container:
        to_float = av.AudioResampler("flt", "mono")
        for frame in container.decode(audio=0):
            parts += [converted.to_ndarray()[0] for converted in to_float.resample(frame)]
    return np.concatenate(parts).astype(np.float32, copy=False)
