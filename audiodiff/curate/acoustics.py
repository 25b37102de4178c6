"""What is measured of a clip to describe it: how bright, tonal, high, fast, sharp and long it is.

Every measure is NaN where it does not apply or cannot be told: silence has no brightness, noise no pitch, a steady
sound neither attack nor decay, and music without a clear beat no tempo.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.curate.pitch import pitch
from audiodiff.curate.records import NAN, Acoustics
from audiodiff.faithful import onsets
from audiodiff.faithful.match import RATE_HZ, Samples
from audiodiff.metrics.loudness_range import loudness_range_lu
from audiodiff.waveform import Waveform

Curve = NDArray[np.float64]

_SILENT = 1e-5  # peak, -100 dBFS: below is dither
_OPPOSED = 0.05  # of the channels' power is left in their mean; eight that have nothing in common leave 0.125
_RUMBLE_HZ = 35  # an octave under the lowest pitch sought; offset and rumble have pitch and envelope too

_BRIGHT_RATE_HZ = 48_000
_FRAME_S, _BAND_HZ = 0.085, 200.0
_LOUD_DB = 20.0  # below the loudest frame, frames no longer make the impression of a sound
_FEWEST_LOUD = 3  # frames, 0.17 s: the spectrum of a shorter tone is as smooth as that of a noise
_NOISE_FLATNESS = math.exp(-np.euler_gamma)  # of white noise in one frame, whose bins are exponentially distributed

_ONSET_S = 0.01
_ONSET_RISE = 6.0  # kit: steady noise stays below 4, struck and spoken onsets reach 8 to 60
_ONSET_GAP = 5  # frames
_SLOWEST_BPM, _FASTEST_BPM, _USUAL_BPM = 50.0, 200.0, 120.0
_BEATS = 4  # of the slowest tempo that can be told in a clip
_CLEAR = 0.45  # correlation of the onsets with themselves a beat later

_STEP_S, _HOLD = 1e-3, 10  # the envelope holds the peaks of half a period of 50 Hz
_PEAK_QUANTILE = 0.8  # of the loud half: one peak of a noise is no part of its attack
_LOW_DB, _FALL_DB, _START_DB = 30.0, 25.0, 5.0
_LOUD_STOP_DB = 10.0  # below the loudest, sounds do not count
_FLOOR_DB = 32.0  # where the background is nearer than this, it bends the fall
_BEND_DB = 2.5  # RMS distance of a fall from a straight line


def acoustics(sound: Waveform) -> Acoustics:
    """Measure a clip (C, T) of 0.3 s to some minutes, 8 to 192 kHz.

    All but loudness range are those of the mean of the channels (of the first channel where they cancel).
    `speech_share` is NaN here: it takes a voice detector. The start of the sound counts as an onset.
    """
    one = _one_channel(sound)
    if not one.frames or np.abs(one.samples).max() < _SILENT:
        return Acoustics()
    brightness_hz, flatness = _colour(one)
    low_rate = _without_rumble(one.resample(RATE_HZ).samples[0])
    pitch_hz, pitched_share = pitch(low_rate)
    strength = _onset_strength(low_rate)
    envelope = _envelope(low_rate)
    return Acoustics(
        loudness_range_lu=loudness_range_lu(sound),
        brightness_hz=brightness_hz,
        flatness=flatness,
        pitch_hz=pitch_hz,
        pitched_share=pitched_share,
        tempo_bpm=_tempo_bpm(strength),
        onsets_per_s=_onset_count(strength) / sound.duration_s,
        attack_s=_attack_s(envelope),
        decay_s=_decay_s(envelope),
    )


def level_course(sound: Waveform) -> tuple[float, float]:
    """How the level of a clip (C, T) moves while it sounds: (trend_db, spread_db), NaN below half a second.

    `trend_db` is the rise of a straight line from end to end, `spread_db` the distance of the levels of tenths of a
    second from it (RMS). Tenths more than 40 dB under the loudest are no part of the sound before and after it.
    """
    samples = _one_channel(sound).samples[0]
    tenth = sound.sample_rate // 10
    count = len(samples) // tenth
    power = np.square(samples[: count * tenth].reshape(count, tenth), dtype=np.float64).mean(axis=1)  # (N,)
    if count < 5 or power.max() < _SILENT**2:
        return NAN, NAN
    floor = 1e-4 * power.max()  # -40 dB
    sounding = np.flatnonzero(power > floor)
    level_db = 10 * np.log10(np.maximum(power[sounding[0] : sounding[-1] + 1], floor))
    slope, rest_db = _line(level_db) if len(level_db) >= 5 else (NAN, NAN)
    return slope * (len(level_db) - 1), rest_db


def _one_channel(sound: Waveform) -> Waveform:
    """The mean of the channels, or the first (1, T) where they cancel."""
    mean = sound.mono()
    whole = np.square(sound.samples, dtype=np.float64).sum() / sound.channels
    kept = np.square(mean.samples, dtype=np.float64).sum()
    return Waveform(sound.samples[:1], sound.sample_rate) if kept < _OPPOSED * whole else mean


def _without_rumble(samples: Samples) -> Samples:
    sections = scipy.signal.butter(2, _RUMBLE_HZ, "high", fs=RATE_HZ, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, samples), np.float32)


def _colour(sound: Waveform) -> tuple[float, float]:
    """Brightness and flatness: medians over loud frames of (1, T).

    Brightness is the centroid of the A-weighted power: rumble under a crackle is hardly heard. Flatness is that of
    bands of 200 Hz, weighted by their power: noise that is limited to a band, or pink, is noise; NaN with fewer than
    three loud frames. Source: ISO/IEC 15938-4 (MPEG-7), AudioSpectrumFlatness, whose bands are quarters of octaves.
    """
    one = sound.resample(_BRIGHT_RATE_HZ) if sound.sample_rate > _BRIGHT_RATE_HZ else sound
    frame = round(_FRAME_S * one.sample_rate)
    samples = np.pad(one.samples[0], (0, max(0, frame - one.frames)))
    frames = sliding_window_view(samples, frame)[:: frame // 2]  # (N, frame)
    window = np.hanning(frame).astype(np.float32)
    spectrum = scipy.fft.rfft(frames * window, axis=1)  # (N, F)
    bin_hz = one.sample_rate / frame
    first = round(_RUMBLE_HZ / bin_hz)
    power = np.square(np.abs(spectrum[:, first:])).astype(np.float64)
    total = power.sum(axis=1)
    loud = total > total.max() * 10 ** (-_LOUD_DB / 10)
    power, total = power[loud], total[loud]
    hertz = (first + np.arange(power.shape[1])) * bin_hz
    audible = power * _a_weight(hertz)
    centroid = audible @ hertz / audible.sum(axis=1)
    edges = np.arange(0, power.shape[1] - 1, round(_BAND_HZ / bin_hz))
    width = np.diff(edges, append=power.shape[1])
    banded = np.add.reduceat(power, edges, axis=1)  # (N, bands)
    logs = np.add.reduceat(np.log(power + 1e-20 * total[:, np.newaxis]), edges, axis=1) / width
    flatness = (np.exp(logs) * width).sum(axis=1) / banded.sum(axis=1)  # each band's, weighted by its power
    enough = len(power) >= _FEWEST_LOUD
    return float(np.median(centroid)), min(1.0, float(np.median(flatness)) / _NOISE_FLATNESS) if enough else NAN


def _a_weight(hertz: Curve) -> Curve:
    """Gain in power (F,); source: IEC 61672-1, annex E."""
    square = hertz**2
    gain: Curve = 12194**2 * square**2 / np.sqrt((square + 107.7**2) * (square + 737.9**2))
    return (gain / ((square + 20.6**2) * (square + 12194**2))) ** 2


# Onsets and beat


def _onset_strength(samples: Samples) -> Curve:
    """Rise of the spectrum every 10 ms (N,): the start of the sound counts as one, the cut at its end does not."""
    padded = np.pad(samples, (RATE_HZ // 5, 0))
    reference = 0.03 * float(np.quantile(onsets.bands(padded).max(axis=0), 0.95))
    return onsets.strength(padded, reference + 1e-9)[20:-5]


def _onset_count(strength: Curve) -> int:
    peaks, _ = scipy.signal.find_peaks(np.pad(strength, 1), height=_ONSET_RISE, distance=_ONSET_GAP)
    return len(peaks)


def _tempo_bpm(strength: Curve) -> float:
    """The beat whose distance repeats most clearly, near 120 where several do; NaN where none does.

    Source of the weight: Ellis 2007, Beat tracking by dynamic programming, section 3.2.
    """
    shortest, longest = round(60 / _FASTEST_BPM / _ONSET_S), round(60 / _SLOWEST_BPM / _ONSET_S)
    longest = min(longest, len(strength) // _BEATS)
    rise = np.maximum(strength, 0)
    if longest <= shortest + 2 or _onset_count(strength) < _BEATS:
        return NAN
    rise = rise - rise.mean()
    size = scipy.fft.next_fast_len(2 * len(rise), real=True)
    product = scipy.fft.irfft(np.abs(scipy.fft.rfft(rise, size)) ** 2, size)[: 3 * longest + 2]
    curve = product / product[0] * len(rise) / np.maximum(len(rise) - np.arange(len(product)), 1)
    lags = np.arange(shortest, longest + 1)
    height = np.minimum(curve[lags], _near(curve, 2 * lags))  # a beat repeats twice
    weight = np.exp(-0.5 * np.log2(60 / (lags * _ONSET_S) / _USUAL_BPM) ** 2)
    best = int(lags[np.argmax(height * weight)])
    if height[best - shortest] < _CLEAR or best in {shortest, longest}:  # a slope's end is no beat
        return NAN
    twice = 2 * best - 2 + int(np.argmax(curve[2 * best - 2 : 2 * best + 3]))
    low, top, up = curve[twice - 1 : twice + 2]
    lag = (twice + 0.5 * (low - up) / min(low - 2 * top + up, -1e-12)) / 2
    return float(60 / (lag * _ONSET_S))


def _near(curve: Curve, lags: NDArray[np.int64]) -> Curve:
    """The highest of the curve within two frames of each lag."""
    near: Curve = scipy.ndimage.maximum_filter1d(curve, 5)[lags]
    return near


# Attack and decay


def _envelope(samples: Samples) -> Curve:
    """Peaks of the last 10 ms, every millisecond (N,); the sound has been silent before."""
    step = round(_STEP_S * RATE_HZ)
    count = len(samples) // step
    peaks = np.abs(samples[: count * step]).reshape(count, step).max(axis=1).astype(np.float64)
    held: Curve = scipy.ndimage.maximum_filter1d(peaks, _HOLD, origin=(_HOLD - 1) // 2, mode="constant")
    return held


def _attack_s(envelope: Curve) -> float:
    """Seconds from a tenth to nine tenths of the peak; NaN where the sound never is below a tenth of it."""
    top = int(envelope.argmax())
    peak = np.quantile(envelope[envelope > 0.5 * envelope[top]], _PEAK_QUANTILE)
    tenth = 0.1 * peak
    before = np.flatnonzero(envelope[:top] < tenth)
    if len(before):
        start = int(before[-1])
    elif top * _STEP_S < 0.05 and envelope.min() < tenth:  # it starts with the file
        start = -1
    else:
        return NAN
    risen = start + 1 + int(np.argmax(envelope[start + 1 :] >= 0.9 * peak))
    return (risen - start) * _STEP_S


def _decay_s(envelope: Curve) -> float:
    """Seconds for 60 dB, the median of all stops; NaN where the sound does not stop or its fall is not straight.

    A straight line from 5 to 25 dB under the level before the stop, as T20 in ISO 3382-1.
    """
    level_db = 20 * np.log10(np.maximum(envelope, 1e-6))
    top_db = level_db.max()
    heard, _ = scipy.ndimage.label(level_db > top_db - _LOW_DB)
    places = scipy.ndimage.find_objects(heard)
    starts = [place[0].start for place in places if level_db[place].max() > top_db - _LOUD_STOP_DB]
    falls = [_fall_s(level_db[start:stop]) for start, stop in pairwise([*starts, len(level_db)])]
    told = [fall for fall in falls if not math.isnan(fall)]
    return float(np.median(told)) if told else NAN


def _fall_s(level_db: Curve) -> float:
    """The same of one sound and the silence after it (N,)."""
    high = level_db.max()
    last = int(np.flatnonzero(level_db > high - _START_DB)[-1])
    below = level_db[last:] < high - _FALL_DB
    if not below.any() or level_db[last:].min() > high - _FLOOR_DB:
        return NAN
    slope_db, bend_db = _line(level_db[last : last + int(below.argmax()) + 1])
    return -60.0 / slope_db * _STEP_S if slope_db < 0 and bend_db < _BEND_DB else NAN


def _line(level_db: Curve) -> tuple[float, float]:
    """Slope per step, and RMS distance, of the straight line nearest to (N,)."""
    if len(level_db) < 2:
        return NAN, NAN
    steps = np.arange(len(level_db))
    slope, offset = np.polyfit(steps, level_db, 1)
    return float(slope), float(np.sqrt(np.square(level_db - slope * steps - offset).mean()))
