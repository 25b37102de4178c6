"""The vocoder against Griffin-Lim of the same mel levels, on recordings that no shipped model was trained on.

`PYTHONPATH=.peers python -m benchmarks.vocoder PACK [--kit DIR] [--weights FILE] [--images DIR]`: the test part of a
pack and, with a kit, its held-back sound effects. `make bench-restore` fetches PESQ and ESTOI into `.peers`.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchaudio
from PIL import Image
from torch import Tensor

from audiodiff.diffusion.mel import Mel
from audiodiff.generators.vocoder import WEIGHTS, load_vocoder
from audiodiff.media import read_audio
from audiodiff.training.pack import Pack
from audiodiff.training.packing import HELD_OUT
from benchmarks.evaluate import opinion
from benchmarks.table import markdown
from benchmarks.versus import intelligibility

MEL = Mel()
LONGEST_S = 6.0
GRIFFIN_LIM = 32
"""Iterations, torchaudio's default, with its default momentum."""
FLOOR = 3e-5  # -90 dB re a full-scale sine, as in training
BANDS = 24
"""Of equal width in mel: flatness is judged in each."""

Synthesise = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording to resynthesise: samples (1, T), a whole number of hops."""

    name: str
    kind: str
    samples: Tensor


@dataclass(frozen=True, slots=True)
class Score:
    """One clip through one system; what is for speech only is NaN elsewhere.

    `mel_db`: mean absolute difference of log-mel levels. `lsd_db`: log-spectral distance, mean of windows of 512, 2048
    and 8192. `level_db`: louder than the original. `noisy_db`: spectral flatness in windows of 8192 above the
    original's: positive is noisier, negative more like tones.
    """

    system: str
    clip: str
    kind: str
    mel_db: float
    lsd_db: float
    level_db: float
    noisy_db: float
    pesq: float
    estoi: float
    dnsmos: float
    rtf: float


def main() -> None:
    """Parse the arguments, run all, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--kit", type=Path, help="folder with a manifest.csv")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--limit", type=int, default=12, help="clips of each kind")
    parser.add_argument("--images", type=Path, help="folder for spectrograms of the first clip of each kind")
    args = parser.parse_args()
    torch.set_num_threads(1)
    systems: dict[str, Synthesise] = {
        f"Griffin-Lim, {GRIFFIN_LIM}": griffin_lim,
        "vocoder": load_vocoder(args.weights).sound,
    }
    clips = [*pack_clips(Pack(args.pack), args.limit), *(kit_clips(args.kit, args.limit) if args.kit else [])]
    scores = pd.DataFrame([asdict(score) for score in run(systems, clips, args.images)])
    for kind, part in scores.groupby("kind", sort=False):
        print(f"\n{kind}: {part['clip'].nunique()} clips\n\n{table(part)}", flush=True)


def pack_clips(pack: Pack, limit: int) -> Iterator[Clip]:
    """Recordings of the test part: of every kind as many, of every speaker or author, widest band first."""
    index = pack.index[pack.index.split == "test"].sort_values("bandwidth_hz", ascending=False, kind="stable")
    turn = index.groupby(["kind", "attribution"]).cumcount()
    for kind, rows in index.assign(turn=turn).sort_values("turn", kind="stable").groupby("kind"):
        for row in rows.head(limit).itertuples():
            samples = pack.read(int(row.start), min(int(row.frames), int(LONGEST_S * MEL.rate_hz)))
            yield Clip(str(row.name), str(kind), whole_hops(torch.from_numpy(samples)[None]))


def kit_clips(kit: Path, limit: int) -> Iterator[Clip]:
    """Sound effects of a kit whose source is held out."""
    with (kit / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "sfx" and row["source"] in HELD_OUT]
    for row in rows[:limit]:
        mono = read_audio(kit / row["path"]).mono().resample(MEL.rate_hz).samples
        samples = torch.from_numpy(mono[:, : int(LONGEST_S * MEL.rate_hz)])
        yield Clip(row["path"], "effects", whole_hops(samples))


def whole_hops(samples: Tensor) -> Tensor:
    """(1, T) without the rest that fills no hop."""
    return samples[:, : samples.shape[1] // MEL.hop * MEL.hop]


def griffin_lim(levels: Tensor) -> Tensor:
    """Griffin-Lim from the least-squares spectrum of mel levels (B, bands, N) to (B, T), as torchaudio does it."""
    amplitudes = torch.linalg.pinv(MEL.filters(levels.device)) @ levels.exp()
    window = torch.hann_window(MEL.n_fft)
    magnitudes = amplitudes.clamp(min=0.0) * float(window.sum()) / 2.0
    torch.manual_seed(0)
    return torchaudio.functional.griffinlim(
        magnitudes, window, MEL.n_fft, MEL.hop, MEL.n_fft, 1.0, GRIFFIN_LIM, 0.99, None, rand_init=True
    )


def run(systems: dict[str, Synthesise], clips: list[Clip], images: Path | None) -> Iterator[Score]:
    """Every clip through every system, and the clip itself."""
    drawn: set[str] = set()
    for clip in clips:
        levels = MEL.levels(clip.samples)
        draws = images is not None and clip.kind not in drawn
        yield score("(original)", clip, clip.samples, 0.0)
        for name, synthesise in systems.items():
            started = time.process_time()
            made = synthesise(levels)
            yield score(name, clip, made, time.process_time() - started)
            if images is not None and draws:
                draw(made, images / f"{clip.kind}-{name.split(',')[0]}.png")
        if images is not None and draws:
            draw(clip.samples, images / f"{clip.kind}-original.png")
            drawn.add(clip.kind)


def score(system: str, clip: Clip, made: Tensor, took_s: float) -> Score:
    """Measure what a system made (1, T) of a clip."""
    true, speech = clip.samples, clip.kind == "speech"
    mel_nepers = (MEL.levels(made) - MEL.levels(true)).abs().mean()
    pair = (made[0].numpy(), true[0].numpy())
    return Score(
        system,
        clip.name,
        clip.kind,
        20.0 / math.log(10.0) * float(mel_nepers),
        float(np.mean([log_spectral_distance_db(made, true, size) for size in (512, 2048, 8192)])),
        10.0 * math.log10(float(made.square().mean() / true.square().mean())),
        flatness_db(made) - flatness_db(true),
        *(intelligibility(*pair) if speech else (math.nan, math.nan)),
        opinion(made.numpy()) if speech else math.nan,
        took_s / (true.shape[1] / MEL.rate_hz),
    )


def amplitudes(samples: Tensor, size: int) -> Tensor:
    """(1, T) to (F, N), of which a full-scale sine has 1."""
    window = torch.hann_window(size)
    transform = torch.stft(samples, size, size // 4, window=window, return_complex=True)[0]
    return transform.abs() * (2.0 / float(window.sum()))


def log_spectral_distance_db(made: Tensor, true: Tensor, size: int) -> float:
    """Root mean square over bins, mean over frames."""
    one, other = (20.0 * (amplitudes(samples, size) + FLOOR).log10() for samples in (made, true))
    return float((one - other).square().mean(dim=0).sqrt().mean())


def flatness_db(samples: Tensor) -> float:
    """Geometric over arithmetic mean of power in bands, mean over bands and frames of up to 12 kHz: 0 dB is flat."""
    power = amplitudes(samples, 8192).square() + FLOOR**2
    edges = 700.0 * (10.0 ** (np.linspace(150.0, 3200.0, BANDS + 1) / 2595.0) - 1.0)  # 100 Hz to 11.3 kHz
    bins = np.round(edges / MEL.rate_hz * 8192).astype(int)
    bands = [power[low:high] for low, high in pairwise(bins)]
    levels = [10.0 * (band.log10().mean(dim=0) - band.mean(dim=0).log10()).mean() for band in bands]
    return float(torch.stack(levels).mean())


def draw(samples: Tensor, path: Path) -> None:
    """A spectrogram of four seconds, -110 to -10 dB, as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels_db = 20.0 * (amplitudes(samples[:, : 4 * MEL.rate_hz], MEL.n_fft) + 1e-6).log10()
    shades = ((levels_db + 110.0) / 100.0).clamp(0.0, 1.0).flip(0).numpy() * 255.0
    Image.fromarray(shades.astype(np.uint8)).resize((1200, 700)).save(path)


def table(scores: pd.DataFrame) -> str:
    """Means for each system; columns that no clip has are left out."""
    means = scores.groupby("system").mean(numeric_only=True).dropna(axis=1, how="all")
    names = {
        "mel_db": ("mel L1 dB", 2),
        "lsd_db": ("LSD dB", 2),
        "level_db": ("level dB", 2),
        "noisy_db": ("noisier by dB", 2),
        "pesq": ("PESQ", 2),
        "estoi": ("ESTOI", 3),
        "dnsmos": ("DNSMOS", 2),
        "rtf": ("RTF", 3),
    }
    columns = [str(column) for column in means.columns]
    rows = [
        [str(name), *(f"{mean[column]:.{names[column][1]}f}" for column in columns)] for name, mean in means.iterrows()
    ]
    return markdown(("system", *(names[column][0] for column in columns)), rows)


if __name__ == "__main__":
    main()
