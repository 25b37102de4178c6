"""`make bench-restore`: ours and the peers on the same damaged clips, in one run.

`python -m benchmarks.versus --kit DIR [--weights FILE] [--limit N]`: held-back speech under recorded noise (PESQ,
ESTOI, SI-SDR, DNSMOS, LSD), held-back music and the archive presets (SI-SDR, LSD). Outputs are brought into line first.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soxr

from audiodiff.engines.bridge import BridgeEngine, load_default
from audiodiff.engines.checkpoint import load_restorer
from audiodiff.metrics.paired import aligned, log_spectral_distance_db, si_sdr_db
from audiodiff.waveform import Block
from benchmarks.evaluate import RATE_HZ, SNRS_DB, Clip, damage, held_back, limited, noises, opinion, restore
from benchmarks.peers import PEERS, Restore, Samples
from benchmarks.table import markdown

OURS, NOTHING = "audiodiff-48k", "(damaged)"
ARCHIVES = ("shellac78", "vinyl", "cassette", "reel_hiss", "radio_am")


@dataclass(frozen=True, slots=True)
class Score:
    """One clip under one fault through one system; PESQ (wide band) and ESTOI are NaN but for speech in noise."""

    system: str
    test: str
    kind: str
    si_sdr_db: float
    lsd_db: float
    pesq: float
    estoi: float
    dnsmos: float
    seconds_per_second: float


def main() -> None:
    """Parse the arguments, run everybody, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder of the developer kit, with its manifest.csv")
    parser.add_argument("--full-band", type=Path, help="folder of full-band speech: see benchmarks.evaluate")
    parser.add_argument("--weights", type=Path, help="our checkpoint; without it the one that is shipped")
    parser.add_argument("--limit", type=int, default=5, help="clips of each kind")
    args = parser.parse_args()
    engine = load_default("cpu")
    if args.weights:
        engine = BridgeEngine(OURS, load_restorer(args.weights), "cpu")
    systems: dict[str, Restore] = {NOTHING: lambda samples: samples}
    systems |= {name: load() for name, load in PEERS.items()}
    systems[OURS] = lambda samples: restore(samples[None], engine, 1)[0]
    clips = limited(held_back(args.kit, args.full_band), args.limit)
    scores = list(run(systems, clips, noises(args.kit)))
    frame = pd.DataFrame([asdict(score) for score in scores])
    for (test, kind), part in frame.groupby(["test", "kind"], sort=False):
        print(
            f"\n{test}, {kind}: {part.groupby('system').size().max()} clips\n\n{table(part, list(systems))}", flush=True
        )


def run(systems: dict[str, Restore], clips: list[Clip], recorded: list[Block]) -> Iterator[Score]:
    """Every clip under every test through every system."""
    tests = [("noise 0 to 15 dB", f"recorded noise {snr_db} dB") for snr_db in SNRS_DB]
    tests += [("archive presets", preset) for preset in ARCHIVES]
    for test, fault in tests:
        for clip in clips:
            damaged = damage(clip, fault, recorded)[0][0].astype(np.float32)
            kind = "music" if clip.group.kind == "music" else "speech"
            for name, system in systems.items():
                started = time.perf_counter()
                out = system(damaged)
                took_s = time.perf_counter() - started
                yield score(name, test, kind, aligned(out, damaged), clip.samples[0], took_s)


def score(system: str, test: str, kind: str, out: Samples, clean: Samples, took_s: float) -> Score:
    """Measure an output (T,) at the level of the clean clip (T,)."""
    in_noise = kind == "speech" and test.startswith("noise")
    level = np.sqrt(np.square(clean).mean() / max(float(np.square(out).mean()), 1e-12))
    return Score(
        system,
        test,
        kind,
        float(si_sdr_db(out[None], clean[None])[0]),
        float(log_spectral_distance_db(level * out[None], clean[None], RATE_HZ)[0]),
        *(intelligibility(out, clean) if in_noise else (math.nan, math.nan)),
        opinion(out[None]) if kind == "speech" else math.nan,
        took_s / (len(clean) / RATE_HZ),
    )


def intelligibility(out: Samples, clean: Samples) -> tuple[float, float]:
    """PESQ (P.862.2) and ESTOI of (T,) at 16 kHz; NaN where PESQ finds no speech."""
    from pesq import NoUtterancesError, pesq  # noqa: PLC0415  fetched with the peers
    from pystoi import stoi  # noqa: PLC0415

    low = [soxr.resample(samples, RATE_HZ, 16_000) for samples in (clean, out)]
    try:
        quality = float(pesq(16_000, *low, "wb"))
    except NoUtterancesError:
        quality = math.nan
    return quality, float(stoi(*low, 16_000, extended=True))


def table(scores: pd.DataFrame, systems: list[str]) -> str:
    """Means for each system; columns that no clip has are left out."""
    means = scores.groupby("system").mean(numeric_only=True).loc[systems].dropna(axis=1, how="all")
    names = {"si_sdr_db": "SI-SDR dB", "lsd_db": "LSD dB", "pesq": "PESQ", "estoi": "ESTOI", "dnsmos": "DNSMOS"}
    digits = {"si_sdr_db": 1, "lsd_db": 1, "pesq": 2, "estoi": 3, "dnsmos": 2, "seconds_per_second": 3}
    columns = list(means.columns)
    rows = [[name, *(f"{mean[column]:.{digits[column]}f}" for column in columns)] for name, mean in means.iterrows()]
    return markdown(("system", *(names.get(column, "RTF") for column in columns)), rows)


if __name__ == "__main__":
    main()
