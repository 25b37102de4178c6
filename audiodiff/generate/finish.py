"""The sound of a delivered take: centred, trimmed, faded, at the library's rate, and as loud as its kind should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import resample, sosfilt

from audiodiff.generate.records import Kind
from audiodiff.metrics.loudness import Loudness
from audiodiff.waveform import Block, Waveform

Normalise = Literal["loudness", "peak", "none"]

_OFFSET_S = 0.05  # stretches whose means tell a constant offset from a thump that is not symmetric
_FRAME_S = 0.01
_SILENT_DB = -60.0  # below the loudest 10 ms
_PRE_ROLL_S, _POST_ROLL_S = 0.01, 0.05
_FADE_IN_S, _FADE_OUT_S = 0.002, 0.02  # the first is too short to blunt a stroke, the second hides a cut
_NOTHING = 1e-5  # -100 dBFS
_WINDOW_S = 0.4  # of momentary loudness, EBU Tech 3341
_K_HZ = 48_000
_K_WEIGHTING = np.array([  # BS.1770-4, tables 1 and 2: the head's shelf, then the high-pass; both for 48 kHz
    [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
    [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finish:
    """How takes are finished: "loudness" is the target of their kind, "peak" the true peak, "none" leaves the level.

    Loudness is reached by a gain alone, no limiter; where the true peak would pass its limit a take stays quieter.
    """

    normalise: Normalise = "loudness"
    sfx_lufs: float = -18.0
    """Of the loudest 400 ms."""
    music_lufs: float = -16.0
    """Integrated: a track by AES77-2023 (TD1008), table 1."""
    voice_lufs: float = -19.0
    """Integrated, of a mono file: from two speakers it is 3 LU louder, the -16 LUFS of podcasts."""
    true_peak_db: float = -1.0
    """AES77-2023 and EBU R 128: room for what a codec adds."""
    sample_rate: int = 48_000


@dataclass(frozen=True, slots=True)
class Finished:
    """A take as it is delivered, what there is to say about it, and what was done to it."""

    waveform: Waveform
    messages: tuple[str, ...]
    gain_db: float
    trimmed_start_s: float
    trimmed_end_s: float


def finish(waveform: Waveform, kind: Kind, loop: bool, how: Finish) -> Finished:
    """Make a generated take ready for delivery.

    A loop is neither trimmed nor faded and keeps its length, to the nearest sample of the new rate; it is resampled as
    the periodic signal it is, so that its end still meets its beginning. Silence is returned as it is, with a message.
    """
    centred = Waveform(waveform.samples - _offset(waveform, loop), waveform.sample_rate)
    if np.abs(centred.samples).max(initial=0.0) < _NOTHING:
        return Finished(centred.resample(how.sample_rate), ("there is no sound in it",), 0.0, 0.0, 0.0)
    if loop:
        start, stop = 0, centred.frames
        made = _resample_loop(centred, how.sample_rate)
    else:
        start, stop = _sounding(centred)
        cut = Waveform(centred.samples[:, start:stop], centred.sample_rate)
        made = _faded(cut.resample(how.sample_rate))
    gain_db, messages = _gain_db(made, kind, loop, how)
    louder = Waveform(made.samples * np.float32(10 ** (gain_db / 20)), made.sample_rate)
    trimmed_end_s = (centred.frames - stop) / centred.sample_rate
    return Finished(louder, messages, gain_db, start / centred.sample_rate, trimmed_end_s)


def max_momentary_lufs(waveform: Waveform, loop: bool = False) -> float:
    """The loudness of the loudest 400 ms of one or two channels; silence is around it, or itself if it is a loop.

    Source: ITU-R BS.1770-4, annex 1; EBU Tech 3341, section 2.2 ("momentary").
    """
    window = round(_WINDOW_S * _K_HZ)
    samples = waveform.resample(_K_HZ).samples.astype(np.float64)
    around = np.pad(samples, ((0, 0), (window, window)), mode="wrap" if loop else "constant")
    power = np.square(sosfilt(_K_WEIGHTING, around)).sum(axis=0)  # (T,)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    loudest = float((sums[window:] - sums[:-window]).max()) / window
    return -0.691 + 10 * float(np.log10(max(loudest, 1e-20)))


def _offset(waveform: Waveform, loop: bool) -> Block:
    """The constant part (C, 1): of a loop its mean, else what most stretches have, which no single stroke moves."""
    parts = 1 if loop else max(1, int(waveform.duration_s / _OFFSET_S))
    means = [part.mean(axis=1, keepdims=True) for part in np.array_split(waveform.samples, parts, axis=1)]
    offset: Block = np.median(means, axis=0)
    return offset


def _sounding(waveform: Waveform) -> tuple[int, int]:
    """From where to where it sounds, in samples, a little before and after included."""
    rate, frame = waveform.sample_rate, max(1, round(_FRAME_S * waveform.sample_rate))
    count = -(-waveform.frames // frame)
    filled = np.pad(waveform.samples, ((0, 0), (0, count * frame - waveform.frames)), mode="edge")
    level = filled.reshape(waveform.channels, count, frame).std(axis=2).max(axis=0)  # (N,)
    heard = np.flatnonzero(level > level.max() * 10 ** (_SILENT_DB / 20))
    start = int(heard[0]) * frame - round(_PRE_ROLL_S * rate)
    stop = (int(heard[-1]) + 1) * frame + round(_POST_ROLL_S * rate)
    return max(0, start), min(waveform.frames, stop)


def _resample_loop(waveform: Waveform, sample_rate: int) -> Waveform:
    """A loop at another rate, without a seam: the Fourier series of its samples, read at other places."""
    if sample_rate == waveform.sample_rate:
        return waveform
    frames = round(waveform.frames * sample_rate / waveform.sample_rate)
    periodic = resample(waveform.samples.astype(np.float64), frames, axis=1)
    return Waveform(periodic.astype(np.float32), sample_rate)


def _faded(waveform: Waveform) -> Waveform:
    """With short equal-power fades, each at most half of it."""
    gain = np.ones(waveform.frames, np.float32)
    for seconds, end in ((_FADE_IN_S, gain), (_FADE_OUT_S, gain[::-1])):
        count = min(round(seconds * waveform.sample_rate), waveform.frames // 2)
        end[:count] *= np.sin(np.linspace(0, np.pi / 2, count, endpoint=False))
    return Waveform(waveform.samples * gain, waveform.sample_rate)


def _gain_db(waveform: Waveform, kind: Kind, loop: bool, how: Finish) -> tuple[float, tuple[str, ...]]:
    """The gain towards the target of its kind, and a message where it is not reached."""
    if how.normalise == "none":
        return 0.0, ()
    lufs, peak_db = _levels(waveform)
    most_db = how.true_peak_db - peak_db
    if how.normalise == "peak":
        return most_db, ()
    targets = {"sfx": how.sfx_lufs, "music": how.music_lufs, "voice": how.voice_lufs}
    found = max_momentary_lufs(waveform, loop) if kind == "sfx" else lufs
    if not np.isfinite(found):
        return most_db, (f"too short to have a loudness: normalised to {how.true_peak_db:g} dBTP",)
    missing_db = targets[kind] - found - most_db
    if missing_db <= 0:
        return most_db + missing_db, ()
    return most_db, (f"{missing_db:.1f} dB below {targets[kind]:g} LUFS: peaks are at {how.true_peak_db:g} dBTP",)


def _levels(waveform: Waveform) -> tuple[float, float]:
    """LUFS and dBTP, measured at full scale: the meter gives peaks in thousandths of it."""
    peak = float(np.abs(waveform.samples).max())
    meter = Loudness(waveform.sample_rate, waveform.channels)
    meter.push(waveform.samples / np.float32(peak))
    lufs, true_peak_db = meter.finish()
    gain_db = 20 * float(np.log10(peak))
    return lufs + gain_db, true_peak_db + gain_db
