"""Calibrate the faithfulness measures: what they say of harmless and of harmful changes to real recordings.

`python -m benchmarks.faithful --kit DIR [--seconds S] [--limit N] [--only speech|music]`

Prints one line for each change and measure as it goes, and markdown tables at the end. All draws are seeded.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from audiodiff.faithful import compare
from audiodiff.gates import FAITHFUL_GATES, Measured
from audiodiff.media import read_audio
from audiodiff.records import Faithfulness, Scores
from audiodiff.waveform import Waveform
from benchmarks import alterations as do
from benchmarks.table import markdown

SPEAKERS = ("Allison Smith", "June Wallack", "Maxim Topal", "kathleen", "kerstin", "tuxpaint-fr")
MEASURES = ("words", "pitch", "onsets")
GATE_OF = {gate.reason.removesuffix("_changed"): gate for gate in FAITHFUL_GATES}
NO_SCORES = Scores(*[math.nan] * len(fields(Scores)))

Pair = tuple[do.Samples, do.Samples]


@dataclass(frozen=True, slots=True)
class Control:
    """A change to a recording: `altered` names the measures that must catch it, () if it is harmless."""

    name: str
    altered: tuple[str, ...]
    pair: Pair


def harmless(sound: do.Samples, noise: do.Samples, rng: np.random.Generator) -> Iterator[Control]:
    """Restorations that took away noise and nothing else, and small changes."""
    pairs: dict[str, Pair] = {
        "3 dB louder": (sound, sound * np.float32(1.41)),
        "16-bit dither": (sound, do.dithered(sound, rng)),
        "equaliser, 3 dB": (sound, do.equalised(sound)),
        "error at -20 dB": (sound, do.at_snr(sound, rng.standard_normal(len(sound)).astype(np.float32), 20)),
        "noise of 20 dB SNR removed": (do.at_snr(sound, noise, 20), sound),
        "noise of 10 dB SNR removed": (do.at_snr(sound, noise, 10), sound),
        "noise of 5 dB SNR removed": (do.at_snr(sound, noise, 5), sound),
        "noise lowered, 10 to 18 dB": (do.at_snr(sound, noise, 10), do.at_snr(sound, noise, 18)),
        "crackle removed": (do.crackling(sound, rng), sound),
        "band extended from 3.8 kHz": (do.lowpassed(sound, 3800), sound),
    }
    return (Control(name, (), pair) for name, pair in pairs.items())


def altered_speech(sound: do.Samples, same: do.Samples, other: do.Samples, rng: np.random.Generator) -> list[Control]:
    """What a diffusion model that garbles words or changes the speaker might do."""
    higher = do.transposed(sound, 4)
    return [
        Control("word swapped, 0.4 s", ("words",), (sound, do.word_swapped(sound, same, rng))),
        Control("word swapped, 0.25 s", ("words",), (sound, do.word_swapped(sound, same, rng, 0.25))),
        Control("word muted, 0.4 s", ("words",), (sound, do.word_muted(sound, rng))),
        Control("word cut out, 0.4 s", ("words",), (sound, do.word_cut(sound, rng))),
        Control("a second garbled", ("words",), (sound, do.garbled(sound, rng))),
        Control("other words, same speaker", ("words",), (sound, do.instead(sound, same))),
        Control("another speaker", ("words",), (sound, do.instead(sound, other))),
        Control("a semitone up", ("pitch",), (sound, do.transposed(sound, 1))),
        Control("two semitones down", ("pitch",), (sound, do.transposed(sound, -2))),
        Control("another voice, same words", ("words", "pitch"), (sound, do.formants_moved(higher, 1.1))),
    ]


def altered_music(sound: do.Samples, rng: np.random.Generator) -> list[Control]:
    """What must not happen to music."""
    return [
        Control("a semitone up", ("pitch",), (sound, do.transposed(sound, 1))),
        Control("two semitones down", ("pitch",), (sound, do.transposed(sound, -2))),
        Control("3 % slower", ("onsets",), (sound, do.stretched(sound, 0.97))),
        Control("onsets smeared", ("onsets",), (sound, do.smeared(sound, rng))),
        Control("two seconds 80 ms late", ("onsets",), (sound, do.bar_late(sound, rng))),
        Control("all 80 ms late", ("onsets",), (sound, np.roll(sound, 1280))),
    ]


def under_noise(control: Control, noise: do.Samples) -> Control:
    """The same harm done while noise of 10 dB SNR was removed."""
    before, after = control.pair
    return Control(f"{control.name}, noise of 10 dB removed", control.altered, (do.at_snr(before, noise, 10), after))


def speech_controls(kit: Path, rows: pd.DataFrame, seconds: float) -> Iterator[Control]:
    """All controls of each speaker's excerpt."""
    spoken = [excerpts(kit, rows[rows.speaker == name], seconds) for name in SPEAKERS]
    for index, (sound, same) in enumerate(spoken):
        rng, noise = np.random.default_rng(index), noise_of(kit, rows, index)
        altered = altered_speech(sound, same, spoken[(index + 1) % len(spoken)][0], rng)
        yield from harmless(sound, noise, rng)
        yield from altered
        yield from map(partial(under_noise, noise=noise), (altered[0], altered[5], altered[6], altered[7]))


def music_controls(kit: Path, rows: pd.DataFrame, seconds: float, limit: int) -> Iterator[Control]:
    """All controls of each piece of music."""
    for index, path in enumerate(rows[rows.kind == "music"].path.iloc[:limit]):
        rng, noise = np.random.default_rng(index), noise_of(kit, rows, index)
        sound = read(kit / path)[-round(seconds * do.RATE_HZ) :]
        altered = altered_music(sound, rng)
        yield from harmless(sound, noise, rng)
        yield from altered
        yield from map(partial(under_noise, noise=noise), (altered[0], altered[3], altered[5]))


def excerpts(kit: Path, rows: pd.DataFrame, seconds: float) -> tuple[do.Samples, do.Samples]:
    """Two excerpts of one speaker: short recordings in a row, 0.2 s apart."""
    sounds, frames = [], round(seconds * do.RATE_HZ)
    joined = np.zeros(0, np.float32)
    for path in rows.sample(frac=1, random_state=0).path:
        joined = np.concatenate([joined, read(kit / path), np.zeros(do.RATE_HZ // 5, np.float32)])
        if len(joined) >= frames:
            sounds.append(joined[:frames])
            joined = np.zeros(0, np.float32)
        if len(sounds) == 2:
            break
    return sounds[0], sounds[1]


def noise_of(kit: Path, rows: pd.DataFrame, index: int) -> do.Samples:
    """Recorded noises in turn."""
    paths = rows[rows.kind == "noise"].path
    return read(kit / paths.iloc[index % len(paths)])


def read(path: Path) -> do.Samples:
    """A recording, mono, at 16 kHz."""
    return read_audio(path).mono().resample(do.RATE_HZ).samples[0]


def caught(measure: str, value: float) -> bool:
    """Whether the gate fails for this one value."""
    found = {name: value if name == measure else float("nan") for name in MEASURES}
    return GATE_OF[measure].fails(Measured(NO_SCORES, NO_SCORES, faithful=Faithfulness(**found)))


def table(results: list[tuple[Control, Faithfulness]]) -> str:
    """Range of each measure and how often its gate fails, for each change."""
    grouped: dict[str, list[tuple[Control, Faithfulness]]] = defaultdict(list)
    for control, found in results:
        grouped[control.name].append((control, found))
    rows = []
    for name, group in grouped.items():
        cells = [
            cell(measure, measure in group[0][0].altered, [getattr(f, measure) for _, f in group])
            for measure in MEASURES
        ]
        rows.append([name, "harm" if group[0][0].altered else "none", *cells])
    return markdown(["change", "", *MEASURES], rows, labels=2)


def cell(measure: str, must: bool, values: list[float]) -> str:
    """`lowest-highest (flagged/known)`, bold where the measure must flag."""
    known = [value for value in values if not np.isnan(value)]
    if not known or measure not in GATE_OF:
        return "-" if not known else f"{min(known):.2f}-{max(known):.2f}"
    flagged = sum(caught(measure, value) for value in known)
    text = f"{min(known):.2f}-{max(known):.2f} ({flagged}/{len(known)})"
    return f"**{text}**" if must else text


def errors(results: list[tuple[Control, Faithfulness]]) -> str:
    """False alarms on harmless changes, and misses where a measure must catch."""
    rows = []
    for measure in GATE_OF:
        alarms = [
            caught(measure, getattr(f, measure))
            for c, f in results
            if not c.altered and not np.isnan(getattr(f, measure))
        ]
        misses = [not caught(measure, getattr(f, measure)) for c, f in results if measure in c.altered]
        rows.append([measure, f"{sum(alarms)}/{len(alarms)}", f"{sum(misses)}/{len(misses)}"])
    return markdown(["measure", "false alarms", "misses"], rows)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kit", type=Path, required=True, help="folder of recordings with a manifest.csv")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of an excerpt")
    parser.add_argument("--limit", type=int, default=10, help="pieces of music")
    parser.add_argument("--only", choices=("speech", "music"), help="one kind instead of both")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = pd.read_csv(given.kit / "manifest.csv")
    kinds = {
        "speech": speech_controls(given.kit, rows, given.seconds),
        "music": music_controls(given.kit, rows, given.seconds, given.limit),
    }
    for kind in [given.only] if given.only else list(kinds):
        results = []
        for control in kinds[kind]:
            before, after = (Waveform(np.atleast_2d(sound), do.RATE_HZ) for sound in control.pair)
            found = compare(before, after, speech=kind == "speech")
            results.append((control, found))
            print(kind, control.name, *(f"{getattr(found, name):.3f}" for name in MEASURES), flush=True)
        print(f"\n{kind}\n\n{table(results)}\n\n{errors(results)}\n")


if __name__ == "__main__":
    main()
