"""A pile of audio with every fault that curation must find, each planted under a name that says it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from audiodiff.encode import Encoding, write_audio
from audiodiff.waveform import Block, Waveform

RATE = 48_000

LANES = {
    "good-0.flac": ("accepted", ()),
    "good-1.flac": ("accepted", ()),
    "good-2.flac": ("accepted", ()),
    "good-3.flac": ("accepted", ()),
    "stereo.flac": ("accepted", ()),
    "same-bytes.flac": ("rejected", ("duplicate_file",)),
    "same-samples.wav": ("rejected", ("duplicate_file",)),
    "coded.mp3": ("rejected", ("duplicate",)),
    "trimmed.flac": ("rejected", ("duplicate",)),
    "softer.flac": ("rejected", ("duplicate",)),
    "leaked.flac": ("rejected", ("leaked",)),
    "clipped.flac": ("rejected", ("clipped",)),
    "offset.flac": ("rejected", ("dc_offset",)),
    "antiphase.flac": ("rejected", ("antiphase",)),
    "resampled.flac": ("rejected", ("resampled",)),
    "silent.flac": ("rejected", ("silence",)),
    "short.flac": ("rejected", ("too_short",)),
    "forbidden.flac": ("rejected", ("licence_forbidden",)),
    "unknown.flac": ("review", ("licence_unknown",)),
    "nameless.flac": ("review", ("attribution_missing",)),
    "cut short.flac": ("review", ("truncated",)),
    "broken.wav": ("failed", ("undecodable",)),
    "notes.pdf": ("failed", ("undecodable",)),
}
"""What must become of each file, under the preset `sfx` and the policy `commercial`."""


def take(seed: int, seconds: float = 3.0, channels: int = 1) -> Block:
    """A sound (C, T) of its own: bursts of filtered noise and gliding tones, with a band up to 24 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 1e-4 * rng.standard_normal((channels, len(time)))
    for at in np.arange(0.0, seconds, 0.15):
        envelope = np.exp(-((time - at - 0.05) ** 2) / (2 * rng.uniform(0.01, 0.05) ** 2))
        glide = rng.uniform(200, 3_000) + rng.uniform(-800, 800) * (time - at)
        tone = np.sin(2 * np.pi * np.cumsum(glide) / RATE)
        noise = np.convolve(rng.standard_normal(len(time)), rng.standard_normal(24), "same") / 5
        samples += envelope * rng.uniform(0.05, 0.25, (channels, 1)) * (tone + rng.uniform(0.1, 1.0) * noise)
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def make_pile(folder: Path) -> None:
    """Write the pile and its `metadata.csv` to `folder/pile`, the evaluation set to `folder/evaluation`."""
    pile, evaluation = folder / "pile", folder / "evaluation"
    pile.mkdir(parents=True)
    evaluation.mkdir()

    def put(name: str, samples: Block, rate: int = RATE) -> Path:
        encoding: Encoding = "wav-16" if name.endswith("wav") else "flac-16"
        write_audio(pile / name, Waveform(samples.astype(np.float32), rate), encoding)
        return pile / name

    sounds = [take(seed) for seed in range(4)]
    first = [put(f"good-{number}.flac", samples) for number, samples in enumerate(sounds)]
    put("stereo.flac", take(10, channels=2))
    shutil.copy(first[0], pile / "same-bytes.flac")
    put("same-samples.wav", sounds[1])
    write_mp3(pile / "coded.mp3", sounds[2])
    put("trimmed.flac", sounds[3][:, RATE // 2 : -RATE // 3])
    put("softer.flac", 0.2 * sounds[0])
    write_audio(evaluation / "held-out.flac", Waveform(take(20, 5.0), RATE), "flac-16")
    put("leaked.flac", 0.7 * take(20, 5.0)[:, RATE:])
    put("clipped.flac", np.clip(6.0 * take(11), -0.9, 0.9))
    put("offset.flac", take(12) + 0.1)
    one = take(13)
    put("antiphase.flac", np.concatenate([one, -one]))
    put("resampled.flac", Waveform(take(14), RATE).resample(16_000).resample(RATE).samples)
    put("silent.flac", np.zeros((1, RATE)))
    put("short.flac", take(15, 0.1))
    for seed, name in enumerate(("forbidden", "unknown", "nameless"), 16):
        put(f"{name}.flac", take(seed))
    whole = put("cut short.flac", take(19))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    (pile / "broken.wav").write_bytes(b"RIFF\xff\xff\xff\x00WAVEjunk" * 9)
    (pile / "notes.pdf").write_bytes(b"%PDF-1.7 take one was better" * 20)
    write_metadata(pile)


def write_metadata(pile: Path) -> None:
    """Licences, authors and captions of everything in the pile."""
    licences = {"forbidden": ("CC-BY-NC-4.0", "A. Author"), "unknown": ("", ""), "nameless": ("CC-BY-4.0", "")}
    with (pile / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "license", "attribution", "caption", "kind"))
        for path in sorted(pile.iterdir()):
            licence, author = licences.get(path.stem, ("CC0-1.0", ""))
            if path.name != "metadata.csv":
                kind = "music" if path.stem == "stereo" else "speech"
                table.writerow((path.name, licence, author, f"a sound called {path.stem}", kind))


def write_mp3(path: Path, samples: NDArray[np.float32]) -> None:
    """(C, T) at 192 kbit/s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=RATE, bit_rate=192_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
