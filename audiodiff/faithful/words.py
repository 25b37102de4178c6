"""Words: whether the sounds that were spoken are still spoken."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.faithful.envelope import WINDOW, envelope_agreement, window_levels_db
from audiodiff.faithful.match import RATE_HZ, Samples, under_same_noise

_HOP = RATE_HZ // 100  # the recogniser's frame
_SLACK = 3  # frames by which the edges of a phone may move
_PROBE_DB = 20.0  # noise that a phone has to survive to count as heard
_HEARD_SHARE = 0.35  # of a window's frames have to be reliably heard phones
_FEWEST = 50  # frames reliably heard: half a second
_CLEAR_DB = 15.0  # above what was taken out: in windows with more noise than this, changes are the noise's
_LOUD_DB = 15.0  # below the loudest: the rest are pauses
_SPEECH_DB = 12.0
_NO_PHONES = frozenset({"SIL", "+NSN+", "+SPN+", "(NULL)"})

Phones = NDArray[np.str_]
"""The phone heard in each 10 ms (N,), empty where none was."""

_decoders: dict[str, Any] = {}
_lock = threading.Lock()


def word_agreement(before: Samples, after: Samples) -> float:
    """How much of the speech in `before` (T,) is still heard in `after` (T,), 0 to 1, at 16 kHz, in any language.

    Two witnesses are asked, in windows of 0.4 s and over the whole: the phones that a recogniser hears, counting
    only those that it hears again under a little noise, and the correlation of the spectral envelopes. What
    either finds unchanged is unchanged. The result is the lower of the worst window, of those well above the
    noise that was removed, and of the whole, which is heard under the same noise before and after. NaN where
    the recogniser hears too little in `before` that it would hear again.
    Source: PocketSphinx 5 (BSD), allphone decoding with its US English model; measured against its word decoding
    in docs/faithfulness.md.
    """
    heard, again = phones(before), phones(_probed(before))
    reliable = (heard != "") & _near(heard, again)
    if reliable.sum() < _FEWEST:
        return math.nan
    masked = under_same_noise(before, after)[1]
    missing = reliable & ~_near(heard, phones(masked))
    level_db = window_levels_db(before)
    speech = level_db > np.percentile(level_db, 95) - _SPEECH_DB
    overall = max(1 - missing.sum() / reliable.sum(), float(np.median(envelope_agreement(before, masked)[speech])))
    return float(min(overall, _worst_window(before, after, heard, reliable)))


def phones(samples: Samples) -> Phones:
    """The phone heard in each 10 ms (N,) of an excerpt (T,) at 16 kHz."""
    labels = np.full(len(samples) // _HOP, "", "<U5")
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    with _lock:
        decoder = _decoder()
        decoder.reinit_feat()  # else it listens with the noise of the sound before in its ear
        decoder.start_utt()
        decoder.process_raw((samples * (16_000 / peak)).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            if segment.word not in _NO_PHONES:
                labels[segment.start_frame : segment.end_frame + 1] = segment.word
    return labels


def _worst_window(before: Samples, after: Samples, heard: Phones, reliable: NDArray[np.bool_]) -> float:
    """The least agreement of any window well above what was taken out; 1 if there is none."""
    missing = reliable & ~_near(heard, phones(after))
    count = _windowed(reliable)
    agreement = 1 - _windowed(missing) / np.maximum(count, 1)
    envelope = envelope_agreement(before, after)  # (W,)
    windows = min(len(count), len(envelope))
    level_db, removed_db = window_levels_db(before)[:windows], window_levels_db(before - after)[:windows]
    clear = level_db > np.median(removed_db) + _CLEAR_DB
    loud = level_db > np.percentile(level_db, 95) - _LOUD_DB
    counted = clear & loud & (count[:windows] >= _HEARD_SHARE * WINDOW)
    return float(np.maximum(agreement[:windows], envelope[:windows])[counted].min(initial=1.0))


def _windowed(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many frames of each window are set (W,)."""
    if len(flags) < WINDOW:
        return np.zeros(0, np.int64)
    counts: NDArray[np.int64] = sliding_window_view(flags, WINDOW)[::5].sum(axis=1)
    return counts


def _near(wanted: Phones, heard: Phones) -> NDArray[np.bool_]:
    """Which frames' phones are heard within 30 ms (N,)."""
    padded = np.pad(heard, _SLACK, constant_values="-")
    found: NDArray[np.bool_] = (sliding_window_view(padded, 2 * _SLACK + 1) == wanted[:, np.newaxis]).any(axis=1)
    return found


def _probed(samples: Samples) -> Samples:
    white = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    rms = float(np.sqrt((samples**2).mean()))
    return samples + white * np.float32(rms * 10 ** (-_PROBE_DB / 20))


def _decoder() -> Any:
    """The phone recogniser, loaded once per process; called under the lock, as it keeps state."""
    if "phones" not in _decoders:
        import pocketsphinx  # noqa: PLC0415  not needed by machines that only train

        models = pocketsphinx.get_model_path("en-us")
        # Beams from the package's own allphone test: wider ones take longer and hear the same.
        _decoders["phones"] = pocketsphinx.Decoder(
            hmm=f"{models}/en-us", allphone=f"{models}/en-us-phone.lm.bin", lw=2.0, beam=1e-20, pbeam=1e-20,
            loglevel="FATAL",
        )  # fmt: skip
    return _decoders["phones"]
