"""What the measures share: one rate, and noise put back so that both signals are heard under the same conditions."""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from audiodiff.waveform import Waveform

Samples = NDArray[np.float32]
"""One channel (T,)."""

RATE_HZ = 16_000
_FFT = 512
_QUANTILE = 0.3  # of a bin's power over time: low enough to pass over what was said and struck, which comes and goes


def mono(sound: Waveform) -> Samples:
    """The mean of the channels at 16 kHz, samples (T,), full scale 1."""
    samples: Samples = sound.mono().resample(RATE_HZ).samples[0]
    return samples


def under_same_noise(before: Samples, after: Samples) -> tuple[Samples, Samples]:
    """Both excerpts (T,) at 16 kHz, each with the steady noise added that the other has more of.

    Recognisers and voice encoders hear a denoised voice as another: their measures compare what is under the
    noise only if both signals have it. The noise is white, shaped to the spectrum of the steady part of the
    difference; the mean power of a Gaussian noise follows from a quantile, its power being exponentially
    distributed (Martin 2001, Noise power spectral density estimation based on optimal smoothing, section II).
    Words, notes and their timing are never carried over.
    """
    steady = _steady_power(before - after)
    removed = _steady_power(before) > _steady_power(after)  # (F,)
    return before + _noise(np.where(removed, 0, steady), before), after + _noise(np.where(removed, steady, 0), after)


def _steady_power(samples: Samples) -> NDArray[np.float64]:
    """Mean power of the noise in each bin (F,)."""
    power: NDArray[np.float64] = np.quantile(np.abs(_stft(samples)) ** 2, _QUANTILE, axis=1) / -np.log(1 - _QUANTILE)
    return power


def _noise(power: NDArray[np.float64], like: Samples) -> Samples:
    """Noise (T,) of that mean power in each bin (F,)."""
    white = _stft(np.random.default_rng(0).standard_normal(len(like)))  # (F, N)
    shape = np.sqrt(power / (np.abs(white) ** 2).mean(axis=1))
    noise = scipy.signal.istft(white * shape[:, np.newaxis], nperseg=_FFT)[1][: len(like)]
    return np.asarray(noise, np.float32)


def _stft(samples: NDArray[np.floating]) -> NDArray[np.complexfloating]:
    spectrum: NDArray[np.complexfloating] = scipy.signal.stft(samples, nperseg=_FFT)[2]
    return spectrum
