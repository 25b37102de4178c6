"""What is measured of a take as it was drawn, before it is trimmed, faded and levelled."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from audiodiff.curate.acoustics import acoustics
from audiodiff.generate.heard import Evidence
from audiodiff.generate.seam import Seam, seam
from audiodiff.metrics.meter import Meter
from audiodiff.records import Scores
from audiodiff.waveform import Waveform

if TYPE_CHECKING:  # the records hold measures
    from audiodiff.caption.tagger import Tagged
    from audiodiff.generate.memory import Memory
    from audiodiff.generate.records import Prompt

NAN = math.nan
Samples = NDArray[np.float32]
Curve = NDArray[np.float64]

NOTHING_DB = -120.0
"""What a level reads where there is none."""

_EDGE_S = 0.03
_LOUD, _QUIET = 0.95, 0.1  # quantiles of the levels of 30 ms

MAINS_HZ = (50.0, 60.0)
FRAMES_HZ = (93.75, 86.1328125)
"""Frames a second of the vocoders in use: hops of 512 at 48 and 44.1 kHz, the latter also 256 at 22.05 kHz."""

_LINE_S = 1.0  # at least: lines 50 Hz apart are then narrow
_LINE_HZ, _AROUND_HZ = 0.5, (3.0, 15.0)
_STANDS_OUT_DB = 12.0  # over the median around; two lines of a noise in a hundred do
_FEWEST_LINES = 2
_MOST_HUM_HZ, _MOST_BUZZ_HZ = 600.0, 4_000.0

_RING_FRAME_S, _RING_LOW_HZ, _RING_AROUND = 0.085, 1_000.0, 41  # bins of 12 Hz
_RING_QUIET = 0.1  # quantile over time: a ring never stops


@dataclass(frozen=True, slots=True)
class TakeMeasures:
    """Measures of one take; NaN where one does not apply or cannot be told.

    `drawn_s`: length in seconds. `broken_share`: of samples that are no numbers. `lufs` to `channel_correlation`: as
    in `audiodiff.records.Scores`. `dc_offset`: of full scale, the most of any channel.
    `head_db`, `tail_db`: of the first and last 30 ms against the loudest; `tail_rise_db`: of the tail against the
    quietest. `hum_db`: mains lines, `buzz_db`: lines at multiples of a vocoder's frame rate, `ring_db`: other lines
    above 1 kHz that never stop; each against the whole, -120 for none.
    `noise_share`: 0 a tone, 1 noise. `beat_bpm`: tempo found; `tempo_error`: its ratio to the tempo asked for, less
    one, octaves aside. `seam_*`: of loops, how far the seam stands out (`generate.seam`). `match`: the tagger's
    probability of the class that the prompt names, `clap_match`: CLAP's likeness of prompt and sound.
    `text_evidence`, `weakest_word`: of a voice, in nats a frame (`heard.Evidence`). `memory_likeness`,
    `sibling_likeness`: to the nearest training clip, and to the nearest better take of the prompt, 0 to 1.
    """

    drawn_s: float = NAN
    broken_share: float = NAN
    lufs: float = NAN
    true_peak_db: float = NAN
    clipped_fraction: float = NAN
    silent_fraction: float = NAN
    bandwidth_hz: float = NAN
    clicks_per_s: float = NAN
    channel_correlation: float = NAN
    dc_offset: float = NAN
    head_db: float = NAN
    tail_db: float = NAN
    tail_rise_db: float = NAN
    hum_db: float = NAN
    buzz_db: float = NAN
    ring_db: float = NAN
    loudness_range_lu: float = NAN
    onsets_per_s: float = NAN
    noise_share: float = NAN
    pitch_hz: float = NAN
    beat_bpm: float = NAN
    tempo_error: float = NAN
    dnsmos_ovrl: float = NAN
    seam_change_db: float = NAN
    seam_click_db: float = NAN
    seam_gap_db: float = NAN
    match: float = NAN
    clap_match: float = NAN
    text_evidence: float = NAN
    weakest_word: float = NAN
    memory_likeness: float = NAN
    sibling_likeness: float = NAN


class Listener(Protocol):
    """What knows classes of sound: `audiodiff.caption.tagger.Tagger`."""

    classes: tuple[str, ...]

    def tag(self, clips: Sequence[Waveform]) -> list[Tagged]:
        """The likely classes of each clip."""


class Likeness(Protocol):
    """What tells how well words fit a sound, as CLAP does."""

    def similarity(self, text: str, waveform: Waveform) -> float:
        """-1 to 1."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who listens to a take besides the meters; what is None is not measured.

    `says(waveform, text)` is how likely a voice says its text (`heard.text_evidence`).
    """

    tagger: Listener | None = None
    clap: Likeness | None = None
    memory: Memory | None = None
    says: Callable[[Waveform, str], Evidence] | None = None


def measure(take: Waveform, prompt: Prompt, ears: Ears = Ears()) -> TakeMeasures:
    """Measure a take (C, T) of 1 to 8 channels, 8 to 192 kHz.

    `sibling_likeness` is NaN: it is known once all takes of a prompt are ranked. Samples that are no numbers are heard
    as zeros. Takes a tenth of a second for 4 s on one core, 0.4 s more for DNSMOS of a voice, whose network is large.
    """
    if not take.frames:
        return TakeMeasures(drawn_s=0.0)
    finite = np.isfinite(take.samples)
    sound = take if finite.all() else Waveform(np.where(finite, take.samples, np.float32(0)), take.sample_rate)
    scores = _scores(take, dnsmos=prompt.kind == "voice")
    heard = acoustics(sound)
    head_db, tail_db, tail_rise_db = edges_db(sound)
    mono = sound.mono().samples[0]
    at = seam(sound) if prompt.loop else Seam()
    said = ears.says(sound, prompt.text) if ears.says and prompt.text else None
    return TakeMeasures(
        drawn_s=take.duration_s,
        broken_share=float(1 - finite.mean()),
        lufs=scores.lufs,
        true_peak_db=scores.true_peak_db,
        clipped_fraction=scores.clipped_fraction,
        silent_fraction=scores.silent_fraction,
        bandwidth_hz=scores.bandwidth_hz,
        clicks_per_s=scores.clicks_per_s,
        channel_correlation=scores.channel_correlation,
        dc_offset=float(np.abs(sound.samples.mean(axis=1, dtype=np.float64)).max()),
        head_db=head_db,
        tail_db=tail_db,
        tail_rise_db=tail_rise_db,
        hum_db=lines_db(mono, take.sample_rate, MAINS_HZ, _MOST_HUM_HZ),
        buzz_db=lines_db(mono, take.sample_rate, FRAMES_HZ, _MOST_BUZZ_HZ),
        ring_db=ring_db(mono, take.sample_rate),
        loudness_range_lu=heard.loudness_range_lu,
        onsets_per_s=heard.onsets_per_s,
        noise_share=heard.flatness,
        pitch_hz=heard.pitch_hz,
        beat_bpm=heard.tempo_bpm,
        tempo_error=tempo_error(heard.tempo_bpm, prompt.tempo_bpm),
        dnsmos_ovrl=scores.dnsmos_ovrl,
        seam_change_db=at.change_db,
        seam_click_db=at.click_db,
        seam_gap_db=at.gap_db,
        match=match(sound, prompt, ears.tagger) if ears.tagger else NAN,
        clap_match=ears.clap.similarity(prompt.prompt, sound) if ears.clap else NAN,
        text_evidence=said.mean if said else NAN,
        weakest_word=said.weakest if said else NAN,
        memory_likeness=ears.memory.nearest(sound)[0] if ears.memory else NAN,
    )


def _scores(take: Waveform, dnsmos: bool) -> Scores:
    meter = Meter(take.sample_rate, take.channels, dnsmos)
    meter.push(take.samples)
    return meter.scores()


def edges_db(sound: Waveform) -> tuple[float, float, float]:
    """Levels of the first and the last 30 ms against the loudest, and of the last against the quietest.

    Loudest and quietest are quantiles. A sound that is cut short ends far over its quietest; a steady one does not.
    NaN below 0.3 s, and for silence.
    """
    frame = round(_EDGE_S * sound.sample_rate)
    count = sound.frames // frame
    if count < 10 or not np.abs(sound.samples).max() > 1e-5:
        return NAN, NAN, NAN
    power = np.square(sound.samples, dtype=np.float64).mean(axis=0)  # (T,)
    levels_db = _db(power[: count * frame].reshape(count, frame).mean(axis=1))
    loud_db, quiet_db = np.quantile(levels_db, [_LOUD, _QUIET])
    head_db, tail_db = float(levels_db[0]), float(_db(power[-frame:].mean()))
    return head_db - float(loud_db), tail_db - float(loud_db), tail_db - float(quiet_db)


def lines_db(mono: Samples, rate: int, bases_hz: Sequence[float], most_hz: float) -> float:
    """Power of steady lines at multiples of a base against that of the whole (T,), of the base with most; -120 without.

    At least two lines must stand 12 dB over what is around them. NaN below 1 s, and for silence.
    """
    if len(mono) < _LINE_S * rate or not np.abs(mono).max() > 1e-5:
        return NAN
    size = scipy.fft.next_fast_len(len(mono), real=True)
    spectrum = scipy.fft.rfft((mono - mono.mean()) * np.hanning(len(mono)).astype(np.float32), size)
    power = np.square(np.abs(spectrum)).astype(np.float64)
    bin_hz = rate / size
    found = [_comb(power, bin_hz, np.arange(base, most_hz, base)) for base in bases_hz]
    return max(NOTHING_DB, float(_db(max(found) / power.sum())))


def _comb(power: Curve, bin_hz: float, hertz: Curve) -> float:
    """Power of the lines at these frequencies, of those that stand out of the spectrum (F,)."""
    inside = max(2, round(_LINE_HZ / bin_hz))
    near, far = (round(distance / bin_hz) for distance in _AROUND_HZ)
    reach = np.arange(near, far)
    lines = []
    for centre in np.round(hertz / bin_hz).astype(int):
        if centre - far < 0 or centre + far >= len(power):
            continue
        around = np.median(power[np.concatenate([centre - reach, centre + reach])])
        line = power[centre - inside : centre + inside + 1].sum()
        if line > around * (2 * inside + 1) * 10 ** (_STANDS_OUT_DB / 10):
            lines.append(line)
    return float(sum(lines)) if len(lines) >= _FEWEST_LINES else 0.0


def ring_db(mono: Samples, rate: int) -> float:
    """Power above 1 kHz of narrow lines that never stop against that of the whole (T,); -120 without, NaN below 1 s."""
    frame = round(_RING_FRAME_S * rate)
    if len(mono) < _LINE_S * rate or not np.abs(mono).max() > 1e-5:
        return NAN
    frames = np.lib.stride_tricks.sliding_window_view(mono, frame)[:: frame // 2]
    power = np.square(np.abs(scipy.fft.rfft(frames * np.hanning(frame).astype(np.float32)))).astype(
        np.float64
    )  # (N, F)
    steady = np.quantile(power, _RING_QUIET, axis=0)[round(_RING_LOW_HZ * frame / rate) :]
    around = scipy.ndimage.median_filter(steady, _RING_AROUND)
    lines = steady[steady > around * 10 ** (_STANDS_OUT_DB / 10)]
    return max(NOTHING_DB, float(_db(lines.sum() / power.mean(axis=0).sum())))


def tempo_error(found_bpm: float, asked_bpm: float) -> float:
    """By what share the tempo found differs from the one asked for, half and double tempo aside; NaN without one."""
    if not found_bpm > 0 or not asked_bpm > 0:
        return NAN
    octaves = math.log2(found_bpm / asked_bpm)
    return float(2 ** min(abs(octaves - octave) for octave in (-1, 0, 1)) - 1)


_WORDS: dict[str, tuple[str, ...]] = {
    "baby cry": ("baby|babies|infant|newborn", "cry|cries|crying|wail|wails|wailing"),
    "chainsaw": ("chainsaws?|chain saws?",),
    "clock tick": ("clocks?|watch", "tick|ticks|ticking"),
    "dog bark": ("dogs?|puppy|hound", "bark|barks|barking|woof"),
    "fire crackling": ("fire|campfire|bonfire|fireplace", "crackle|crackles|crackling|burning|campfire|fireplace"),
    "helicopter": ("helicopters?|chopper",),
    "person sneeze": ("sneeze|sneezes|sneezing",),
    "rain": ("rain|rains|raining|rainfall|rainstorm|downpour",),
    "rooster": ("roosters?|cockerel|cock",),
    "sea waves": ("sea|ocean|beach|shore|surf", "wave|waves|surf"),
}
"""What a prompt that names a class of the shipped tagger has words of; other classes are named by their own words."""

_OF_KIND = {"music": "music", "voice": "speech"}


def named_classes(prompt: Prompt, classes: Sequence[str]) -> list[str]:
    """The tagger's classes that a prompt names: of music and voices that of their kind, of effects by their words."""
    if prompt.kind in _OF_KIND:
        return [_OF_KIND[prompt.kind]] if _OF_KIND[prompt.kind] in classes else []
    return [name for name in classes if all(
        re.search(rf"\b({words})\b", prompt.prompt, re.IGNORECASE) for words in _WORDS.get(name, name.split())
    )]  # fmt: skip


def match(sound: Waveform, prompt: Prompt, tagger: Listener) -> float:
    """The tagger's probability that one of the classes the prompt names is heard; NaN if it names none."""
    named = named_classes(prompt, tagger.classes)
    if not named:
        return NAN
    return sum(tag.confidence for tag in tagger.tag([sound])[0].tags if tag.label in named)


def _db(power: Curve | float) -> Curve:
    decibels: Curve = 10 * np.log10(np.maximum(power, 1e-14))
    return decibels
