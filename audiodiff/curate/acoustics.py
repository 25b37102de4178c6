"""What is measured of a clip to describe it: how bright, tonal, high, fast, sharp and long it is.

Every measure is NaN where it does not apply or cannot be told: silence has no brightness, noise no pitch, a steady
sound neither attack nor decay, and music without a clear beat no tempo.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
from av.filter import Graph
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.curate.records import NAN, Acoustics
from audiodiff.faithful import onsets
from audiodiff.faithful.match import RATE_HZ, Samples
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

_LRA_S = 4.0  # the 3 s windows of Tech 3342, and enough of them to differ

_LOWEST_HZ, _HIGHEST_HZ = 48.0, 4_200.0
_PITCH_S, _PITCH_HOP_S = 0.06, 0.02
_FINER = 4  # lags per sample: at 4 kHz a period has four samples
_OCTAVE = 0.93  # the first peak this close to the highest is the period, its multiples being as high
_VOICED = 0.88  # normalised correlation; white noise reaches 0.3, brown noise 0.8 now and then
_STABLE = 0.04  # from one frame to the next: two thirds of a semitone
_FEWEST = 5  # frames: a tenth of a second
_LEAST = 0.1  # of the loud frames

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


def loudness_range_lu(sound: Waveform) -> float:
    """Loudness range of (C, T) in LU by FFmpeg's `ebur128`, NaN below 4 s; source: EBU Tech 3342."""
    if sound.duration_s < _LRA_S:
        return NAN
    heard = sound if sound.channels <= 2 else sound.mono()
    layout = "mono" if heard.channels == 1 else "stereo"
    graph, rate = Graph(), sound.sample_rate
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout=layout, time_base=Fraction(1, rate))
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("ebur128", "metadata=1:framelog=quiet"), sink).configure()
    metadata: dict[str, str] = {}
    for start in range(0, heard.frames, rate):
        packed = np.ascontiguousarray(heard.samples[:, start : start + rate].T).reshape(1, -1)  # (1, T C)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, start
        source.push(frame)
        metadata = _last_metadata(sink) or metadata
    if float(metadata.get("lavfi.r128.I", -70.0)) <= -70.0:  # nothing passed the gate
        return NAN
    return float(metadata["lavfi.r128.LRA"])


def _last_metadata(sink: av.filter.FilterContext) -> dict[str, str]:
    metadata: dict[str, str] = {}
    while True:
        try:
            metadata = sink.pull().metadata
        except (BlockingIOError, av.error.EOFError):  # the filter wants more input
            return metadata


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


# Pitch


def pitch(samples: Samples) -> tuple[float, float]:
    """Median pitch in hertz, and the share of loud frames that have one, of (T,) at 16 kHz without rumble.

    50 Hz to 4.2 kHz; a pitch must last for three frames of 20 ms. Pitch is NaN below a tenth of the frames, and both
    are where fewer than five are loud. Source: normalised autocorrelation, Boersma 1993, Accurate short-term analysis
    of the fundamental frequency; peaks after the first zero only, McLeod and Wyvill 2005, A smarter way to find pitch.
    """
    window, longest = round(_PITCH_S * RATE_HZ), round(RATE_HZ / _LOWEST_HZ) + 2
    if len(samples) < window + longest:
        return NAN, NAN
    frames = sliding_window_view(samples, window + longest)[:: round(_PITCH_HOP_S * RATE_HZ)]  # (N, span)
    power = np.square(frames).mean(axis=1)
    loud = power > power.max() * 10 ** (-_LOUD_DB / 10)
    hertz = np.concatenate([_pitches(part, window, longest) for part in _parts(frames)])  # (N,), NaN without
    hertz[~loud] = np.nan
    with np.errstate(invalid="ignore"):
        moves = np.abs(np.diff(hertz)) > _STABLE * hertz[1:]
    held = ~moves & ~np.isnan(np.diff(hertz))  # (N - 1,) from a frame to the next
    stable = scipy.ndimage.binary_opening(np.pad(held, 1), [True, True])  # two such steps, three frames
    pitched = stable[1:] | stable[:-1]
    if loud.sum() < _FEWEST:
        return NAN, NAN
    share = float(pitched.sum() / loud.sum())
    told = pitched.sum() >= _FEWEST and share >= _LEAST
    return (float(np.median(hertz[pitched])) if told else NAN), share


def _parts(frames: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A thousand frames at a time: minutes of correlations would take gigabytes."""
    return (frames[start : start + 1000] for start in range(0, len(frames), 1000))


def _pitches(frames: NDArray[np.float32], window: int, longest: int) -> Curve:
    """The pitch in hertz of each frame (N, span), NaN for none."""
    size = scipy.fft.next_fast_len(frames.shape[1] + window, real=True)
    product = scipy.fft.rfft(frames, size) * scipy.fft.rfft(frames[:, :window], size).conj()
    correlation = scipy.fft.irfft(product, size * _FINER)[:, : longest * _FINER] * _FINER  # (N, lag)
    total = np.pad(np.cumsum(np.square(frames, dtype=np.float64), axis=1), ((0, 0), (1, 0)))
    energy = (total[:, window:] - total[:, :-window])[:, :longest]  # of the window from each lag on
    energy = scipy.ndimage.zoom(energy, (1, _FINER), order=1, mode="nearest", grid_mode=True)
    curve = correlation / np.sqrt(energy[:, :1] * energy + 1e-12)
    fallen = np.logical_or.accumulate(curve < 0, axis=1)  # a ripple on the first slope is no period
    curve = np.where(fallen, curve, 0.0)
    shortest = int(RATE_HZ * _FINER / _HIGHEST_HZ)
    lag, height = _first_peak(curve[:, shortest:])
    return np.where(height > _VOICED, RATE_HZ * _FINER / (shortest + lag), np.nan)


def _first_peak(curve: Curve) -> tuple[Curve, Curve]:
    """Place, to a fraction by a parabola, and height of the first peak (N,) nearly as high as any of `curve` (N, L)."""
    left, middle, right = curve[:, :-2], curve[:, 1:-1], curve[:, 2:]
    peak = (middle >= left) & (middle > right)
    highest = np.where(peak, middle, 0.0).max(axis=1, keepdims=True)
    at, row = (peak & (middle > _OCTAVE * highest)).argmax(axis=1), np.arange(len(curve))
    low, top, up = left[row, at], middle[row, at], right[row, at]
    bend = np.minimum(low - 2 * top + up, -1e-12)
    return at + 1 + 0.5 * (low - up) / bend, np.where(peak[row, at], top, 0.0)


# Onsets and beat


def _onset_strength(samples: Samples) -> Curve:
    """Rise of the spectrum every 10 ms (N,): the start of the sound counts as one, the cut at its end does not."""
    padded = np.pad(samples, (RATE_HZ // 5, 0))
    reference = 0.03 * float(np.quantile(onsets._bands(padded).max(axis=0), 0.95))
    return onsets._strength(padded, reference + 1e-9)[20:-5]


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
