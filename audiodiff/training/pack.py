"""A pack: clean audio as one flat file of 48 kHz 16-bit samples with an index, quick to draw from.

Written once by `benchmarks`-free code (`python -m audiodiff.training.pack`), read by memory map. The index says of every
recording where it lies, what it is, how far up its spectrum really reaches, and under which licence it came.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audiodiff.errors import MediaError
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter

PACK_RATE_HZ = 48_000
LONGEST_S = 150.0
SHORTEST_S = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """A file to pack: `kind` is speech, music or noise; `split` is train or test."""

    path: Path
    name: str
    kind: str
    split: str
    license: str
    attribution: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a recording lies in the pack. `bandwidth_hz` is measured, not nominal."""

    name: str
    kind: str
    split: str
    license: str
    attribution: str
    bandwidth_hz: float
    start: int
    frames: int


class Pack:
    """A pack opened for reading: `index` (a data frame of `Entry`) and the samples by memory map."""

    def __init__(self, folder: Path) -> None:
        self.index = pd.read_parquet(folder / "index.parquet")
        self.samples = np.load(folder / "audio.npy", mmap_mode="r")

    def read(self, start: int, frames: int) -> np.ndarray:
        """Samples (T,) float32 from an absolute position."""
        return self.samples[start : start + frames].astype(np.float32) / 32768.0


def write_pack(sources: list[Source], folder: Path, threads: int = 2) -> pd.DataFrame:
    """Decode, downmix to mono, resample and store the sources; unreadable ones are named and left out."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    chunks: list[np.ndarray] = []
    start = 0
    with ThreadPoolExecutor(threads) as pool:
        for source, samples, bandwidth_hz in filter(None, pool.map(_load, sources)):
            meta = (source.name, source.kind, source.split, source.license, source.attribution)
            entries.append(Entry(*meta, bandwidth_hz, start, len(samples)))
            chunks.append(samples)
            start += len(samples)
    np.save(folder / "audio.npy", np.concatenate(chunks))
    index = pd.DataFrame([asdict(entry) for entry in entries])
    index.to_parquet(folder / "index.parquet")
    return index


def _load(source: Source) -> tuple[Source, np.ndarray, float] | None:
    try:
        waveform = read_audio(source.path)
    except MediaError as error:
        print(f"left out: {error}")  # noqa: T201  a command line tool
        return None
    meter = Meter(waveform.sample_rate, waveform.channels, dnsmos=False)
    meter.push(waveform.samples)
    mono = waveform.mono().resample(PACK_RATE_HZ).samples[0][: int(LONGEST_S * PACK_RATE_HZ)]
    peak = float(np.abs(mono).max(initial=0.0))
    if len(mono) < SHORTEST_S * PACK_RATE_HZ or peak < 1e-3:
        return None
    scaled = mono * (0.98 / max(peak, 0.98))
    return source, np.round(scaled * 32767.0).astype(np.int16), meter.scores().bandwidth_hz


def kit_sources(manifest: Path, held_out: set[str]) -> Iterator[Source]:
    """Clean speech, music and noise of a manifest.csv (columns path, kind, source, speaker, licence, attribution).

    A row is held back for testing if its file stem, source or speaker is in `held_out`.
    """
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] not in {"speech", "music", "noise"}:
                continue
            keys = {Path(row["path"]).stem, row["source"], row["speaker"]}
            split = "test" if keys & held_out else "train"
            path = manifest.parent / row["path"]
            yield Source(path, row["path"], row["kind"], split, row["licence"], row["attribution"])


def folder_sources(folder: Path, kind: str, licence: str, skip: set[str]) -> Iterator[Source]:
    """Every audio file below a folder (an unpacked Debian package), less those whose stem is in `skip`."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".ogg", ".opus", ".flac", ".wav", ".mp3"} and path.stem not in skip:
            yield Source(path, f"{folder.name}/{path.name}", kind, "train", licence, folder.name)
