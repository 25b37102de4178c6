"""Whether a voice says its text: what a recogniser hears, and how well the text's own phones explain the sound."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiodiff.generate.speech.phones import edit_distance
from audiodiff.generate.speech.text import Word, speak_phones
from audiodiff.waveform import Waveform

RATE_HZ = 16_000
MARGIN_S = 0.15
"""Of quiet, put before and after what is listened to: a recording may begin and end within a word."""
_QUIET = 20  # the quietest of so many frames say how loud that quiet is
_PEAK = 16_000
_FRAME_S = 0.01

LEAST_NATS = -10.0
"""Evidence of a sound that cannot be aligned with the text at all."""
SAYS_TEXT = -1.7
"""Evidence above which a sound is the text.

Of 60 recordings of Kathleen and 20 of Allison Smith the least was -0.74 with their own text, and the most -2.74 with
that of another: an area under the ROC curve of 1.00, against noise and reversed speech too. `word_error`
has 0.94 on 30 of the same, for of her own words it takes a fifth for others in the median, and in one recording in ten
four fifths. Band-limited to 3.4 kHz the evidence is 0.1 less in the median, under white noise 10 dB below 2.7 less.
"""
SAYS_EVERY_WORD = -5.0
"""Evidence of the weakest word above which none is another.

All 60 and 19 of 20 were above it; with one word of the text replaced, 15 of 16 were below -5.5.
"""

NATS = 1024 * math.log(1.0001)
"""One unit of PocketSphinx's scores of phones, those of words being 1024 times finer."""

_NO_PHONES = frozenset({"SIL", "+NSN+", "+SPN+", "(NULL)"})

_decoders: dict[str, Any] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Evidence:
    """That a sound is a text, in nats a frame: about 0 where it is, -10 where it is not.

    `mean` is of all words, `weakest` of the one, `word`, for which it is least.
    """

    mean: float
    weakest: float
    word: str


def word_error(waveform: Waveform, text: str) -> float:
    """The words that a recogniser gets wrong, per word of the text: 0 is none, 1 and more all; it is coarse.

    Real speech has 0.2 in the median: for judging takes see `text_evidence`. Errors as `speak_phones`. Source:
    PocketSphinx 5 (BSD) with its US English models.
    """
    wanted = [word.text for word in speak_phones(text) if word.source != "pause"]
    with _lock:
        decoder = _decoder("words", _word_decoder)
        decode(decoder, pcm(waveform))
        heard = decoder.hyp()
    return edit_distance(heard.hypstr.split() if heard else [], wanted) / len(wanted)


def text_evidence(waveform: Waveform, text: str) -> Evidence:
    """How likely the sound is the text, relative to the phones that one hears in it without knowing the text.

    Errors as `speak_phones`. Source: PocketSphinx 5 (BSD), US English; a likelihood ratio as in Young, "Detecting
    misrecognitions and out-of-vocabulary words", ICASSP 1994.
    """
    words = [word for word in speak_phones(text) if word.source != "pause"]
    sound = pcm(waveform)
    with _lock:
        known = _known(_decoder("text", lambda: text_decoder(comparable=True)), sound, words)
        heard = _heard(_decoder("phones", _phone_decoder), sound)
    if heard is None or len(known) < len(words):
        return Evidence(LEAST_NATS, LEAST_NATS, words[0].text)
    ratios = [nats - heard for nats, _ in known]
    weakest = int(np.argmin(ratios))
    mean = float(np.average(ratios, weights=[frames for _, frames in known]))
    return Evidence(max(LEAST_NATS, mean), max(LEAST_NATS, ratios[weakest]), words[weakest].text)


def pcm(waveform: Waveform) -> bytes:
    """A sound as PocketSphinx takes it: mono, 16 kHz, 16 bit, with 0.15 s of its own quiet before and after."""
    samples = waveform.mono().resample(RATE_HZ).samples[0]
    hop = round(_FRAME_S * RATE_HZ)
    samples = np.pad(samples, (0, max(0, hop - len(samples))))
    powers = np.sort(np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1))
    quiet = np.sqrt(powers[: max(1, len(powers) // _QUIET)].mean())
    noise = quiet * np.random.default_rng(0).standard_normal((2, round(MARGIN_S * RATE_HZ)))
    whole = np.concatenate([noise[0], samples, noise[1]])
    scale = _PEAK / max(float(np.abs(whole).max()), 1e-9)
    coded: bytes = np.rint(whole * scale).astype(np.int16).tobytes()
    return coded


def decode(decoder: Any, sound: bytes) -> None:
    """Run a decoder over all of a sound, whatever it has heard before: it remembers the last sound's noise."""
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def set_words(decoder: Any, words: Sequence[Word]) -> None:
    """Make a decoder look for these words in this order, each in any of its ways, with or without pauses."""
    for word in words:
        if decoder.lookup_word(word.text) is None:
            decoder.add_word(word.text, " ".join(word.phones))
    decoder.set_align_text(" ".join(word.text for word in words))


def _known(decoder: Any, sound: bytes, words: Sequence[Word]) -> list[tuple[float, int]]:
    """The log-likelihood of each word, in nats a frame, and its frames; fewer where they cannot be what is said."""
    set_words(decoder, words)
    decode(decoder, sound)
    return [_nats(segment) for segment in decoder.seg() or () if not segment.word.startswith("<")]


def _heard(decoder: Any, sound: bytes) -> float | None:
    """The mean log-likelihood, in nats a frame, of the phones that are heard, None where there are none."""
    decode(decoder, sound)
    heard = [_nats(segment) for segment in decoder.seg() or () if segment.word not in _NO_PHONES]
    if not heard:
        return None
    nats, frames = zip(*heard, strict=True)
    return 1024 * float(np.average(nats, weights=frames))


def _nats(segment: Any) -> tuple[float, int]:
    """The score of a frame and the number of frames; that of a long wrong word is too small for a float."""
    frames = segment.end_frame - segment.start_frame + 1
    return math.log(max(segment.ascore, math.ulp(0.0))) / frames, frames


def _decoder(name: str, load: Callable[[], Any]) -> Any:
    """A decoder, loaded once per process; called and used under the lock, as it keeps state."""
    if name not in _decoders:
        _decoders[name] = load()
    return _decoders[name]


def _word_decoder() -> Any:
    from pocketsphinx import Decoder  # noqa: PLC0415  loaded when first asked to listen

    return Decoder(loglevel="FATAL")


def text_decoder(*, comparable: bool = False) -> Any:
    """One that finds words that are known to be there.

    Its scores are relative to the best of the text's own sounds, or if they are to be comparable to the best of all.
    Pauses are as likely as none: at the default of 0.005 half of those at commas went into the phones around them.
    """
    from pocketsphinx import Decoder  # noqa: PLC0415  loaded when first asked to listen

    return Decoder(lm=None, silprob=0.5, compallsen=comparable, loglevel="FATAL")


def _phone_decoder() -> Any:
    from pocketsphinx import Decoder, get_model_path  # noqa: PLC0415  loaded when first asked to listen

    models = get_model_path("en-us")
    # Beams from the package's own allphone test, as in `faithful.words`.
    return Decoder(
        hmm=f"{models}/en-us", allphone=f"{models}/en-us-phone.lm.bin", lw=2.0, beam=1e-20, pbeam=1e-20,
        compallsen=True, loglevel="FATAL",
    )  # fmt: skip
