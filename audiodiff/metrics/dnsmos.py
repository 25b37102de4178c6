"""DNSMOS P.835 opinion scores of speech, on a bounded number of windows of a stream."""

from __future__ import annotations

import threading
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import onnxruntime
import soxr

from audiodiff.metrics.streams import Samples

RATE_HZ = 16_000
WINDOW = int(9.01 * RATE_HZ)  # the network's input
MAX_WINDOWS = 2  # a window costs 0.2 to 0.3 s on a slow core, as much as all other scores of two minutes

# From raw outputs to opinions, for signal, background, overall: `get_polyfit_val` in speechmos/dnsmos.py.
_CALIBRATION = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)

_sessions: dict[str, Any] = {}
_lock = threading.Lock()


class Opinion:
    """Streams (C, T) blocks to DNSMOS P.835.

    The stream is mixed to mono, resampled to 16 kHz and cut into windows of 9.01 s, of which at most two are
    kept, by position alone, so that a recording and its restoration are judged in the same places. A shorter
    recording is repeated to 9.01 s, the rest of a longer one is left out.
    Source: Reddy et al. 2022, DNSMOS P.835; weights and calibration from the package `speechmos` (MIT).
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = soxr.ResampleStream(sample_rate, RATE_HZ, 1, dtype="float32")
        self._rest = np.zeros(0, np.float32)
        self._kept: dict[int, Samples] = {}
        self._stride = 1
        self._count = 0

    def push(self, block: Samples) -> None:
        """Take a block (C, T) of finite samples."""
        self._take(self._resampler.resample_chunk(block.mean(axis=0)))

    def finish(self) -> tuple[float, float, float]:
        """Return signal, background and overall opinion from 1 to 5; NaN if there was no sound."""
        self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if not self._count and len(self._rest):
            self._kept[0] = np.resize(self._rest, WINDOW)  # repeats, as upstream does
        heard = [opinion(window) for window in self._kept.values() if window.any()]
        if not heard:
            return np.nan, np.nan, np.nan
        signal, background, overall = np.mean(heard, axis=0)
        return float(signal), float(background), float(overall)

    def _take(self, samples: Samples) -> None:
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= WINDOW:
            self._keep(self._rest[:WINDOW].copy())
            self._rest = self._rest[WINDOW:]

    def _keep(self, window: Samples) -> None:
        """Keep every `stride`-th window; when they are too many, double the stride. Never the first of many."""
        self._count += 1
        if self._count % self._stride == 0:
            self._kept[self._count] = window
        if len(self._kept) > MAX_WINDOWS:
            self._stride *= 2
            self._kept = {at: kept for at, kept in self._kept.items() if at % self._stride == 0}


def opinion(window: Samples) -> tuple[float, float, float]:
    """Return signal, background and overall opinion of one window (144160,) at 16 kHz."""
    raw = _session().run(None, {"input_1": window[np.newaxis].clip(-1, 1)})[0][0]
    signal, background, overall = (float(np.polyval(c, r)) for c, r in zip(_CALIBRATION, raw, strict=True))
    return signal, background, overall


def _session() -> Any:
    """Return the network, loaded once per process; `speechmos` itself would import librosa and numba."""
    with _lock:
        if "p835" not in _sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # the pipeline has its own threads
            options.inter_op_num_threads = 1
            with as_file(files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx") as path:
                _sessions["p835"] = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return _sessions["p835"]
