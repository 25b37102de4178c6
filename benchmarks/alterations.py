"""What may happen to a recording, harmless and not, on samples (T,) at 16 kHz, for `benchmarks.faithful`."""

from __future__ import annotations

import numpy as np
import scipy.signal
import torch
import torchaudio.functional
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE_HZ = 16_000
FADE = RATE_HZ // 100


def at_snr(sound: Samples, noise: Samples, snr_db: float) -> Samples:
    """The sound with noise added."""
    gain = rms(sound) / max(rms(noise), 1e-9) * 10 ** (-snr_db / 20)
    return (sound + gain * np.resize(noise, len(sound))).astype(np.float32)


def rms(sound: Samples) -> float:
    """Root of the mean square."""
    return float(np.sqrt((sound**2).mean()))


def dithered(sound: Samples, rng: np.random.Generator) -> Samples:
    """16-bit samples with triangular dither."""
    dither = rng.random(len(sound)) - rng.random(len(sound))
    return (np.round(sound * 32768 + dither) / 32768).astype(np.float32)


def equalised(sound: Samples) -> Samples:
    """Up to 3 dB more or less, over octaves."""
    hz = np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 50)
    gain_db = np.interp(np.log2(hz), np.log2([50, 300, 1000, 3000, 8000]), [2, -1, 1, -1, 3])
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (gain_db / 20), len(sound)).astype(np.float32)


def lowpassed(sound: Samples, hz: float) -> Samples:
    """Without what is above."""
    filtered = scipy.signal.sosfiltfilt(scipy.signal.butter(6, hz, fs=RATE_HZ, output="sos"), sound)
    return filtered.astype(np.float32)


def crackling(sound: Samples, rng: np.random.Generator) -> Samples:
    """Twelve clicks of a millisecond a second, half as high as the highest peak."""
    clicks = np.zeros_like(sound)
    for at in rng.integers(0, len(sound) - 20, 12 * len(sound) // RATE_HZ):
        clicks[at : at + 20] += rng.standard_normal(20) * np.exp(-np.arange(20) / 5)
    return (sound + 0.5 * np.abs(sound).max() * clicks).astype(np.float32)


def stretched(sound: Samples, speed: float) -> Samples:
    """Played at another speed and the same pitch, by a phase vocoder; as long as before."""
    hop, size = 512, 2048
    window = torch.hann_window(size)
    spectrum = torch.stft(torch.from_numpy(sound), size, hop, window=window, return_complex=True)
    advance = torch.linspace(0, np.pi * hop, size // 2 + 1)[:, None]
    slower = torchaudio.functional.phase_vocoder(spectrum, speed, advance)
    return fitted(torch.istft(slower, size, hop, window=window).numpy(), len(sound))


def transposed(sound: Samples, semitones: float) -> Samples:
    """At another pitch and the same speed; formants move along."""
    up, down = 1000, round(1000 * 2 ** (semitones / 12))
    longer = np.pad(sound, (0, len(sound) // 2))
    return fitted(scipy.signal.resample_poly(stretched(longer, up / down), up, down), len(sound))


def formants_moved(sound: Samples, ratio: float) -> Samples:
    """The spectral envelope (30 cepstral coefficients) stretched, the pitch kept."""
    size = 1024
    hz, _, spectrum = scipy.signal.stft(sound, RATE_HZ, nperseg=size, noverlap=size * 3 // 4)
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6), axis=0)
    cepstrum[30:-29] = 0
    envelope = np.fft.rfft(cepstrum, axis=0).real  # (F, N)
    bins = np.arange(len(hz))
    moved = np.stack([np.interp(bins / ratio, bins, column) for column in envelope.T], axis=1)
    changed = spectrum * np.exp(np.clip(moved - envelope, -3, 3))
    return fitted(scipy.signal.istft(changed, RATE_HZ, nperseg=size, noverlap=size * 3 // 4)[1], len(sound))


def fitted(sound: NDArray[np.floating], frames: int) -> Samples:
    """Cut, or padded by silence."""
    return np.pad(sound[:frames], (0, max(0, frames - len(sound)))).astype(np.float32)


def instead(sound: Samples, other: Samples) -> Samples:
    """Another sound at the first one's level and length."""
    return np.resize(other * np.float32(rms(sound) / max(rms(other), 1e-9)), len(sound))


def loud_place(sound: Samples, frames: int, rng: np.random.Generator) -> int:
    """Where to alter `frames` samples so that it is not in a pause: among the louder half."""
    power = np.convolve(sound**2, np.ones(frames) / frames, "valid")
    return int(rng.choice(np.flatnonzero(power >= np.quantile(power, 0.5))))


def spliced(sound: Samples, at: int, piece: Samples) -> Samples:
    """A piece put in place of what was there, cross-faded over 10 ms."""
    fade = np.minimum(1, np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / FADE)
    out = sound.copy()
    out[at : at + len(piece)] += fade * (piece - sound[at : at + len(piece)])
    return out


def word_swapped(sound: Samples, other: Samples, rng: np.random.Generator, seconds: float = 0.4) -> Samples:
    """A word's length of other speech, at the level of what it replaces."""
    frames = round(seconds * RATE_HZ)
    at, start = loud_place(sound, frames, rng), loud_place(other, frames, rng)
    return spliced(sound, at, instead(sound[at : at + frames], other[start : start + frames]))


def word_muted(sound: Samples, rng: np.random.Generator) -> Samples:
    """0.4 s brought down by 50 dB."""
    at = loud_place(sound, 6400, rng)
    return spliced(sound, at, sound[at : at + 6400] * np.float32(0.003))


def word_cut(sound: Samples, rng: np.random.Generator) -> Samples:
    """0.4 s taken out, the rest moved up."""
    at = loud_place(sound, 6400, rng)
    return fitted(np.concatenate([sound[:at], sound[at + 6400 :]]), len(sound))


def garbled(sound: Samples, rng: np.random.Generator) -> Samples:
    """A second in which each 120 ms runs backwards."""
    at, piece = loud_place(sound, RATE_HZ, rng), RATE_HZ * 120 // 1000
    out = sound.copy()
    for start in range(at, at + RATE_HZ - piece + 1, piece):
        out = spliced(out, start, sound[start : start + piece][::-1])
    return out


def smeared(sound: Samples, rng: np.random.Generator) -> Samples:
    """Every onset spread over a quarter of a second."""
    response = rng.standard_normal(RATE_HZ // 4) * np.hanning(RATE_HZ // 4)
    return instead(sound, scipy.signal.fftconvolve(sound, response, "same").astype(np.float32))


def bar_late(sound: Samples, rng: np.random.Generator) -> Samples:
    """Two seconds that come 80 ms late."""
    frames, late = 2 * RATE_HZ, RATE_HZ * 80 // 1000
    at = int(rng.integers(late, len(sound) - frames))
    return spliced(sound, at, sound[at - late : at - late + frames])
