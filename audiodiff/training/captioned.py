"""Collect captioned sound into a pack of log-mel levels for the generator: effects, music, and speech with its phones.

`python -m audiodiff.training.captioned MANIFEST OUT --voice ALIGNMENT --package KIND:LICENCE:CAPTION:DIR ...` writes
one. `{name}` in a package's caption stands for a file's name in words.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from audiodiff.curate.acoustics import acoustics
from audiodiff.diffusion.mel import Mel
from audiodiff.errors import MediaError
from audiodiff.generate.memory import remember, save_memory
from audiodiff.generate.sentences import embed
from audiodiff.generate.speech.phones import phone_ids
from audiodiff.generators.checkpoint import VOICE
from audiodiff.media import read_audio
from audiodiff.training.packing import HELD_OUT
from audiodiff.waveform import Waveform

LEVELS, PHONES, SENTENCES, INDEX = "levels.npy", "phones.npy", "sentences.safetensors", "index.parquet"
ESC, FOLDS = "ESC-10", ("1-", "2-", "3-")
"""The folds that are trained on; 4 and 5 are for whoever judges what was learnt."""

_SKIP_S, _LONGEST_S = 3.0, 150.0
_PEAK, _SPEECH_RMS = 0.7, 0.06
"""All recordings are brought to the same level: how loud a take should be is decided at its delivery."""

_TEMPO_S = 30.0

_PHRASES = {
    "dog bark": ("a dog barking", "a barking dog", "dog bark", "a dog barks loudly"),
    "rain": ("rain", "rain falling", "heavy rain on the ground", "steady rain"),
    "sea waves": ("sea waves", "waves breaking on a beach", "ocean waves", "surf at the sea shore"),
    "baby cry": ("a baby crying", "a crying baby", "an infant crying", "baby cry"),
    "clock tick": ("a clock ticking", "ticking clock", "clock tick", "the tick-tock of a clock"),
    "person sneeze": ("a person sneezing", "a sneeze", "someone sneezes", "person sneeze"),
    "helicopter": ("a helicopter", "a helicopter flying overhead", "helicopter rotor", "a helicopter hovering"),
    "chainsaw": ("a chainsaw", "a chainsaw cutting wood", "chainsaw engine revving", "a chain saw running"),
    "fire crackling": ("a fire crackling", "crackling fire", "a campfire burning", "fireplace crackling"),
    "rooster": ("a rooster crowing", "a crowing rooster", "a cock crows", "rooster"),
}
"""Several ways to say what ESC-10 says in one."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """A recording and what can be said of it. `label` groups recordings that are alike: groups are drawn alike.

    `phones` and `starts_s` are those of speech: the phone that begins at each time.
    """

    path: Path
    kind: str
    label: str
    captions: tuple[str, ...]
    license: str
    attribution: str
    phones: tuple[str, ...] = ()
    starts_s: tuple[float, ...] = ()


def kit_sounds(manifest: Path) -> Iterator[Captioned]:
    """Effects and background sounds of a manifest.csv that are not held out."""
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            path = manifest.parent / row["path"]
            fold = Path(row["original_file"]).name[:2]
            held_out = bool({path.stem, row["source"], row["speaker"]} & HELD_OUT)
            if row["kind"] not in {"sfx", "noise"} or held_out or (ESC in row["source"] and fold not in FOLDS):
                continue
            label = (row["label"] or row["transcript_or_caption"]).lower()
            captions = _PHRASES.get(label, (row["transcript_or_caption"],))
            yield Captioned(path, "sfx", label, captions, row["licence"], row["attribution"])


def kit_music(manifest: Path) -> dict[str, str]:
    """Captions of the manifest's music, by the stem of the file it is an excerpt of."""
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "music"]
    return {Path(row["original_file"]).stem: row["transcript_or_caption"] for row in rows}


def package_sounds(given: str, captions: dict[str, str]) -> Iterator[Captioned]:
    """Audio below the folder of `KIND:LICENCE:CAPTION:DIR`, less what is held out."""
    kind, license_, template, folder = given.split(":", 3)
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix.lower() in {".ogg", ".opus", ".flac", ".wav"} and path.stem not in HELD_OUT:
            name = " ".join(re.findall(r"[a-z]+", path.stem.lower()))
            said = [template.format(name=name), *([captions[path.stem]] if path.stem in captions else [])]
            label = name if kind == "sfx" else path.stem
            yield Captioned(path, kind, label, tuple(said), license_, Path(folder).name)


def voice_sounds(alignment: Path, manifest: Path) -> Iterator[Captioned]:
    """The recordings of an alignment (`training.aligning`) with their phones."""
    with manifest.open(newline="") as file:
        known = {row["path"]: row for row in csv.DictReader(file)}
    for row in pd.read_parquet(alignment).to_dict("records"):
        if len(row["phones"]):
            about = known[row["path"]]
            phones, starts = tuple(row["phones"]), tuple(float(start) for start in row["starts_s"])
            yield Captioned(
                manifest.parent / row["path"], "voice", about["speaker"], (VOICE,),
                about["licence"], about["attribution"], phones, starts,
            )  # fmt: skip


def write_pack(sounds: Sequence[Captioned], folder: Path, threads: int = 2) -> pd.DataFrame:
    """Measure and store the sounds and their sentences; those of no use are named and left out."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, levels, spoken = [], [], []
    start = 0
    with ThreadPoolExecutor(threads) as pool:
        for sound, found in zip(sounds, pool.map(_load, sounds), strict=True):
            if isinstance(found, str):
                print(f"left out: {sound.path.name}: {found}")
                continue
            frames = len(found[0])
            row = asdict(sound) | {"path": sound.path.name, "start": start, "frames": frames, "tempo_bpm": found[2]}
            rows.append({name: value for name, value in row.items() if name not in {"phones", "starts_s"}})
            levels.append(found[0])
            spoken.append(found[1])
            start += frames
    np.save(folder / LEVELS, np.concatenate(levels))
    np.save(folder / PHONES, np.concatenate(spoken))
    index = pd.DataFrame(rows)
    index.to_parquet(folder / INDEX)
    sentences = sorted({sentence for captions in index.captions for sentence in captions})
    save_file(dict(zip(sentences, embed(sentences), strict=True)), folder / SENTENCES)
    return index


def _load(sound: Captioned) -> tuple[NDArray[np.float16], NDArray[np.uint8], float] | str:
    """Levels (N, bands), phones (N,) and tempo, or why the recording is of no use."""
    try:
        found = read_audio(sound.path).mono()
    except MediaError as error:
        return str(error)
    mel = Mel()
    mono = found.resample(mel.rate_hz).samples[0]
    skipped = int(_SKIP_S * mel.rate_hz) if len(mono) > 2 * _LONGEST_S * mel.rate_hz else 0
    mono = mono[skipped : skipped + int(_LONGEST_S * mel.rate_hz)]
    peak = float(np.abs(mono).max(initial=0.0))
    if len(mono) < 2 * mel.n_fft or peak < 1e-3:
        return "too short or silent"
    tempo = _tempo_bpm(mono, mel.rate_hz) if sound.kind == "music" else 0.0
    gain = _SPEECH_RMS / float(np.sqrt(np.square(mono).mean())) if sound.kind == "voice" else _PEAK / peak
    levels = mel.levels(torch.from_numpy(gain * mono).unsqueeze(0))[0].T  # (N, bands)
    return levels.half().numpy(), _spoken(sound, len(levels), mel), tempo


def _tempo_bpm(mono: NDArray[np.float32], rate_hz: int) -> float:
    middle = max(0, len(mono) // 2 - int(_TEMPO_S * rate_hz / 2))
    tempo = acoustics(Waveform(mono[None, middle : middle + int(_TEMPO_S * rate_hz)], rate_hz)).tempo_bpm
    return 0.0 if np.isnan(tempo) else tempo


def _spoken(sound: Captioned, frames: int, mel: Mel) -> NDArray[np.uint8]:
    """The phone of each frame (N,), 0 where none is known."""
    track = np.zeros(frames, np.uint8)
    for phone, start_s in zip(phone_ids(sound.phones), sound.starts_s, strict=True):
        track[round(start_s * mel.frames_per_s) :] = phone
    return track


def _heard(sounds: Sequence[Captioned]) -> Iterator[tuple[str, Waveform]]:
    """Names and sounds of those that can be read."""
    for sound in sounds:
        with suppress(MediaError):
            yield f"{sound.path.parent.name}/{sound.path.name}", read_audio(sound.path)


def main() -> None:
    """Write a pack and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="manifest.csv of the developer kit")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--voice", type=Path, help="alignment of a speaker, written by audiodiff.training.aligning")
    parser.add_argument("--package", action="append", default=[], help="KIND:LICENCE:CAPTION:DIR, may be repeated")
    parser.add_argument("--memory", type=Path, help="also write what the sounds are like (audiodiff.generate.memory)")
    args = parser.parse_args()
    music = kit_music(args.manifest)
    sounds = [*kit_sounds(args.manifest), *(s for p in args.package for s in package_sounds(p, music))]
    if args.voice:
        sounds += voice_sounds(args.voice, args.manifest)
    if args.memory:
        save_memory(remember(_heard(sounds)), args.memory)
    index = write_pack(sounds, args.out)
    index["minutes"] = index.frames / Mel().frames_per_s / 60.0
    print(index.groupby(["kind", "license", "attribution"]).agg({"path": "size", "minutes": "sum"}).to_string())


if __name__ == "__main__":
    main()
