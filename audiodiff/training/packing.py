"""Collect clean audio into a pack: decoded, mono, at 48 kHz, measured, and split into training and test.

`python -m audiodiff.training.packing DATASET OUT --package music:GPL-2.0-or-later:DIR ...` writes one. The index says
of every recording where it lies, what it is, how far up its spectrum really reaches, and under which licence it came.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiodiff.curate.records import Clip
from audiodiff.curate.schema import CLIPS
from audiodiff.errors import ConfigError, MediaError
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.training.pack import AUDIO, INDEX, PACK_RATE_HZ, Entry

LONGEST_S, SHORTEST_S = 150.0, 0.5
QUIETEST_PEAK = 1e-3
CLEANEST_RANGE_DB = {"speech": 30.0}
"""Least distance between loud and quiet frames: speech whose pauses are noisy would teach a model to keep noise."""

HELD_OUT = frozenset({
    "tuxpaint-be", "tuxpaint-fr", "Allison Smith", "June Wallack", "Maxim Topal", "wakeword-crowd",
    "apt:colobot-common-sounds", "apt:widelands-data", "github:librosa/data",
    "hyperrogue_hr-domina-mountain", "hr-domina-mountain",
    "storm", "coffee-shop", "train", "ambi_haunted_hum", "ambi_lunar_land",
})  # fmt: skip
"""Speakers, sources and file stems that no shipped model is trained on: evaluation and the demo use them."""

HELD_OUT_ENDINGS = ("_desc_be", "_desc_es", "_desc_fr")
"""The same for Tux Paint, whose file names end in the language that is spoken."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to pack: `kind` is speech, music or noise; `split` is train or test."""

    path: Path
    name: str
    kind: str
    split: str
    license: str
    attribution: str


def write_pack(sources: Sequence[Source], folder: Path, threads: int = 2) -> pd.DataFrame:
    """Decode, downmix to mono, resample and store the sources; those of no use are named and left out."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    chunks: list[NDArray[np.int16]] = []
    start = 0
    with ThreadPoolExecutor(threads) as pool:
        for source, loaded in zip(sources, pool.map(_load, sources), strict=True):
            if isinstance(loaded, str):
                print(f"left out: {source.name}: {loaded}")
                continue
            samples, bandwidth_hz = loaded
            meta = (source.name, source.kind, source.split, source.license, source.attribution)
            entries.append(Entry(*meta, bandwidth_hz, start, len(samples)))
            chunks.append(samples)
            start += len(samples)
    np.save(folder / AUDIO, np.concatenate(chunks))
    index = pd.DataFrame([asdict(entry) for entry in entries])
    index.to_parquet(folder / INDEX)
    return index


def _load(source: Source) -> tuple[NDArray[np.int16], float] | str:
    """The samples (T,) and the bandwidth, or why the recording is of no use."""
    try:
        waveform = read_audio(source.path)
    except MediaError as error:
        return str(error)
    meter = Meter(waveform.sample_rate, waveform.channels, dnsmos=False)
    meter.push(waveform.samples)
    mono = waveform.mono().resample(PACK_RATE_HZ).samples[0][: int(LONGEST_S * PACK_RATE_HZ)]
    peak = float(np.abs(mono).max(initial=0.0))
    if len(mono) < SHORTEST_S * PACK_RATE_HZ or peak < QUIETEST_PEAK:
        return "too short or silent"
    spread_db = dynamic_range_db(mono)
    if source.split == "train" and spread_db < CLEANEST_RANGE_DB.get(source.kind, 0.0):
        return f"only {spread_db:.0f} dB between loud and quiet"
    scaled = mono * (0.98 / max(peak, 0.98))
    return np.round(scaled * 32767.0).astype(np.int16), meter.scores().bandwidth_hz


def dynamic_range_db(mono: NDArray[np.float32]) -> float:
    """Distance between the 95th and the 8th percentile of the levels of 20 ms frames of (T,) at 48 kHz."""
    frames = mono[: len(mono) // 960 * 960].reshape(-1, 960)  # (N, 20 ms)
    levels_db = 10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-10)
    low, high = np.percentile(levels_db, [8.0, 95.0])
    return float(high - low)


def dataset_sources(dataset: Path) -> list[Source]:
    """The recordings of a curated dataset, or of a folder with a manifest.csv; ConfigError for any other folder."""
    if any(dataset.glob("library/*/metadata.parquet")):
        return list(curated_sources(dataset))
    if (dataset / "manifest.csv").exists():
        return list(kit_sources(dataset / "manifest.csv"))
    raise ConfigError(f"{dataset} holds neither a curated dataset (library/) nor a manifest.csv")


def kit_sources(manifest: Path) -> Iterator[Source]:
    """Speech and noise of a manifest.csv for training, and all that is held out.

    Columns: path, kind, source, original_file, speaker, licence, attribution. Labelled sounds of ESC-10 serve as
    noise, except fold 5. Music of the kit is excerpts of the packages, so it is only used where held out.
    """
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            kind = row["kind"]
            if "ESC-10" in row["source"] and not row["original_file"].rpartition("/")[2].startswith("5-"):
                kind = "noise"
            held_out = bool({Path(row["path"]).stem, row["source"], row["speaker"]} & HELD_OUT)
            if kind in {"speech", "noise"} or (kind == "music" and held_out):
                path, split = manifest.parent / row["path"], "test" if held_out else "train"
                yield Source(path, row["path"], kind, split, row["licence"], row["attribution"])


def curated_sources(dataset: Path) -> Iterator[Source]:
    """The clips of a dataset written by `curate_dataset`: what is not in the split `train` is for testing.

    What a clip is, its manifest decides (`kind`), or a transcript, or the surest tag; all else serves as noise.
    """
    for table in sorted(dataset.glob("library/*/metadata.parquet")):
        for clip in CLIPS.decode(table.read_bytes()):
            path, split = dataset / str(clip.audio_path), "train" if clip.split == "train" else "test"
            yield Source(path, str(clip.file_name), _kind(clip), split, clip.license, clip.attribution)


def _kind(clip: Clip) -> str:
    heard = "speech" if clip.facts.transcript else clip.tags[0].label if clip.tags else ""
    kind = dict(clip.facts.others).get("kind", "").lower() or heard
    return kind if kind in {"speech", "music"} else "noise"


def package_sources(given: str) -> Iterator[Source]:
    """Audio below the folder of `KIND:LICENCE:DIR` (an unpacked package), less what is held out."""
    kind, licence, folder = given.split(":", 2)
    for path in sorted(Path(folder).rglob("*")):
        held_out = path.stem in HELD_OUT or path.stem.endswith(HELD_OUT_ENDINGS)
        if path.suffix.lower() in {".ogg", ".opus", ".flac", ".wav", ".mp3"} and not held_out:
            name = Path(folder).name
            yield Source(path, f"{name}/{path.name}", kind, "train", licence, name)


def main() -> None:
    """Write a pack and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of a curated dataset, or with a manifest.csv")
    parser.add_argument("out", type=Path, help="folder to write audio.npy and index.parquet to")
    parser.add_argument("--package", action="append", default=[], help="KIND:LICENCE:DIR, may be repeated")
    args = parser.parse_args()
    sources = [*dataset_sources(args.dataset), *(s for p in args.package for s in package_sources(p))]
    index = write_pack(sources, args.out)
    index["minutes"] = index.frames / PACK_RATE_HZ / 60.0
    print(index.groupby(["kind", "split", "license"]).agg({"name": "size", "minutes": "sum"}).to_string())


if __name__ == "__main__":
    main()
