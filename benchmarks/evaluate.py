"""Measure a restoration checkpoint on recordings of the developer kit that it was never trained on.

`python -m benchmarks.evaluate --kit DIR --full-band DIR [--weights FILE] [--evaluations 1 2 4] [--limit N]`

Every clip is damaged in known ways, restored on the product's path (`restore_stream`), and compared with itself.
All draws are seeded by (file, fault), so two checkpoints meet the same damage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from audiodiff.degrade.base import add_at_snr
from audiodiff.degrade.chain import Chain
from audiodiff.degrade.noise import Noise
from audiodiff.engines import RestorationEngine, Sampling
from audiodiff.engines.bridge import BridgeEngine, load_default
from audiodiff.engines.checkpoint import load_restorer
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.metrics.paired import log_spectral_distance_db, si_sdr_db
from audiodiff.restore import Treatment, restore_stream
from audiodiff.training.packing import HELD_OUT
from audiodiff.waveform import Block
from benchmarks.table import markdown

RATE_HZ = 48_000
LONGEST_S, SHORTEST_S, SPEED_S = 6, 1, 60


@dataclass(frozen=True, slots=True)
class Group:
    """Recordings held back: `kind` is the table's column, `files` how many are used, `cuts` how many clips of each."""

    kind: str
    files: int
    full_band: bool
    cuts: int = 1


FULL_BAND = Group("speech, full band", 12, full_band=True)
SPEAKERS = {
    "Allison Smith": Group("speech, female", 6, full_band=False),
    "June Wallack": Group("speech, female", 6, full_band=False),
    "Maxim Topal": Group("speech, male", 12, full_band=False),
    "wakeword-crowd": Group("speech, crowd", 8, full_band=False),
}
TITLES = {
    "apt:colobot-common-sounds": Group("music", 9, full_band=True, cuts=2),
    "apt:widelands-data": Group("music", 9, full_band=True, cuts=2),
    "github:librosa/data": Group("music", 9, full_band=True, cuts=2),
    "hyperrogue_hr-domina-mountain": Group("music", 1, full_band=True, cuts=2),
}
NOISES = ("storm.ogg", "coffee-shop.ogg", "train.ogg", "ambi_haunted_hum.flac", "ambi_lunar_land.flac")
SNRS_DB = (0, 5, 10, 15)
ADDITIVE = tuple(f"{kind} noise {snr_db} dB" for kind in ("recorded", "steady") for snr_db in SNRS_DB)
FAULTS = (*ADDITIVE, "hum", "hiss", "crackle", "clip", "bandlimit", "archive", "clean")


@dataclass(frozen=True, slots=True)
class Clip:
    """A clean excerpt (1, T) at 48 kHz."""

    name: str
    group: Group
    samples: Block


@dataclass(frozen=True, slots=True)
class Result:
    """One clip under one fault, damaged (`_in`) and restored (`_out`) against the original.

    `level_db` is the gain of what of the original is left in the restored clip: 0 is right. DNSMOS is NaN for music.
    """

    clip: str
    kind: str
    fault: str
    draw: str
    evaluations: int
    si_sdr_in_db: float
    si_sdr_out_db: float
    lsd_in_db: float
    lsd_out_db: float
    dnsmos_in: float
    dnsmos_out: float
    level_db: float


def main() -> None:
    """Parse the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder of the developer kit, with its manifest.csv")
    parser.add_argument(
        "--full-band", type=Path, help="folder of full-band speech, such as rhasspy/dataset-voice-nathalie, verified"
    )
    parser.add_argument("--weights", type=Path, help="checkpoint; without it the one that is shipped")
    parser.add_argument("--evaluations", type=int, nargs="+", default=[1], help="model evaluations, one run for each")
    parser.add_argument("--limit", type=int, default=1000, help="clips of each kind, fewer for a quick look")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="JSON file for every single result")
    args = parser.parse_args()
    if leaked := {*SPEAKERS, *TITLES, *(Path(name).stem for name in NOISES)} - HELD_OUT:
        raise SystemExit(
            f"{sorted(leaked)} may have been trained on: add them to HELD_OUT in audiodiff/training/packing.py"
        )
    engine = load_default(args.device)
    if args.weights:
        engine = BridgeEngine("audiodiff-48k", load_restorer(args.weights, args.device), args.device)
    clips = limited(held_back(args.kit, args.full_band), args.limit)
    print(f"{engine.name} {engine.sha256[:12]}: {len(clips)} held-back clips, {len(FAULTS)} faults", flush=True)
    results: list[Result] = []
    speed: dict[int, float] = {}
    for evaluations in args.evaluations:
        results += measure(clips, noises(args.kit), engine, evaluations)
        speed[evaluations] = real_time_factor(clips, engine, evaluations)
        print(f"\nEvaluations: {evaluations}; real-time factor {speed[evaluations]:.3f}\n")
        these = [result for result in results if result.evaluations == evaluations]
        print(f"{table(these)}\n\n{summary(these)}", flush=True)
    if args.out:
        write_json(args.out, engine, speed, results)


def held_back(kit: Path, full_band: Path | None = None) -> list[Clip]:
    """The clips, in the order of the manifest's names: the same ones on every machine.

    The kit's own full-band speakers that are held back have noisy pauses (19 to 31 dB below speech), so a model that
    removes *their* noise would lose by it: a cleaner speaker comes from a folder of her own.
    """
    manifest = pd.read_csv(kit / "manifest.csv").sort_values("path")
    clips: list[Clip] = []
    for column, groups in (("speaker", SPEAKERS), ("source", TITLES), ("stem", TITLES)):
        kinds = manifest[manifest.kind == ("speech" if column == "speaker" else "music")]
        keys = kinds.path.map(lambda path: Path(path).stem) if column == "stem" else kinds[column]
        for key, group in groups.items():
            for path in kinds[keys == key].path[: group.files]:
                clips += cut(kit / path, path, group)
    if full_band:
        recordings = sorted(full_band.glob("*.flac"))
        for path in recordings[:: max(1, len(recordings) // FULL_BAND.files)][: FULL_BAND.files]:
            clips += cut(path, path.name, FULL_BAND)
    return clips


def cut(path: Path, name: str, group: Group) -> list[Clip]:
    """Up to `group.cuts` clips of `LONGEST_S`, evenly spread; none of a recording that is too short or silent."""
    samples = read_audio(path).mono().resample(RATE_HZ).samples
    length = min(LONGEST_S * RATE_HZ, samples.shape[1])
    cuts = min(group.cuts, samples.shape[1] // length)
    if length < SHORTEST_S * RATE_HZ or rms(samples) < 1e-3:
        return []
    spare = samples.shape[1] - length
    starts = [spare * (2 * number + 1) // (2 * cuts) for number in range(cuts)]
    return [Clip(f"{name}@{start / RATE_HZ:.2f}", group, samples[:, start : start + length]) for start in starts]


def limited(clips: list[Clip], most: int) -> list[Clip]:
    """At most so many clips of a kind, evenly spread over its recordings."""
    chosen: list[Clip] = []
    for _, members in groupby(sorted(clips, key=lambda clip: clip.group.kind), key=lambda clip: clip.group.kind):
        kind = list(members)
        count = min(most, len(kind))
        chosen += [kind[(2 * number + 1) * len(kind) // (2 * count)] for number in range(count)]
    return chosen


def noises(kit: Path) -> list[Block]:
    """The recorded noises that are held back, each (1, T)."""
    return [read_audio(kit / "noise" / name).mono().resample(RATE_HZ).samples for name in NOISES]


def damage(clip: Clip, fault: str, recorded: list[Block]) -> tuple[Block, str]:
    """The clip (1, T) with a fault of `FAULTS`, and what was drawn."""
    rng = np.random.default_rng(list(hashlib.sha256(f"{clip.name}|{fault}".encode()).digest()))
    clean = torch.from_numpy(clip.samples)
    if fault.startswith("recorded noise"):
        at = int(rng.integers(len(recorded)))
        noise = np.resize(np.roll(recorded[at], -int(rng.integers(recorded[at].shape[1])), axis=1), clean.shape)
        return add_at_snr(clean, torch.from_numpy(noise), float(fault.split()[-2])).numpy(), NOISES[at]
    if fault.startswith("steady noise"):
        steady = Chain((replace(Noise.draw(rng), snr_db=float(fault.split()[-2])),))
        return steady.apply(clean, RATE_HZ).numpy(), steady.to_json()
    chain = Chain.draw(fault, rng)
    while not chain.faults and fault != "clean":  # "archive" may draw nothing; that is what "clean" measures
        chain = Chain.draw(fault, rng)
    return chain.apply(clean, RATE_HZ).numpy(), chain.to_json()


def measure(clips: list[Clip], recorded: list[Block], engine: RestorationEngine, evaluations: int) -> Iterator[Result]:
    """Every clip under every fault that makes sense for it."""
    for clip in clips:
        for fault in FAULTS:
            if fault == "bandlimit" and not clip.group.full_band:
                continue  # its band is narrow already
            damaged, draw = damage(clip, fault, recorded)
            restored = restore(damaged, engine, evaluations)
            yield compare(clip, fault, draw, damaged, restored, evaluations)


def restore(damaged: Block, engine: RestorationEngine, evaluations: int) -> Block:
    """The product's path over one clip (1, T), at the level that a survey would find."""
    how = Treatment(Sampling(evaluations, seed=0))
    parts = [after for _, after in restore_stream([damaged], RATE_HZ, 1, engine.level / rms(damaged), engine, how)]
    return np.concatenate(parts, axis=1)


def compare(clip: Clip, fault: str, draw: str, damaged: Block, restored: Block, evaluations: int) -> Result:
    """Measure damaged and restored (1, T) against the clip."""
    clean = clip.samples
    left = float(np.vdot(restored, clean) / np.vdot(clean, clean))
    return Result(
        clip=clip.name,
        kind=clip.group.kind,
        fault=fault,
        draw=draw,
        evaluations=evaluations,
        si_sdr_in_db=float(si_sdr_db(damaged, clean)[0]) if fault != "clean" else math.inf,
        si_sdr_out_db=float(si_sdr_db(restored, clean)[0]),
        lsd_in_db=float(log_spectral_distance_db(damaged, clean, RATE_HZ)[0]),
        lsd_out_db=float(log_spectral_distance_db(restored, clean, RATE_HZ)[0]),
        dnsmos_in=opinion(damaged) if clip.group.kind != "music" else math.nan,
        dnsmos_out=opinion(restored) if clip.group.kind != "music" else math.nan,
        level_db=20.0 * math.log10(max(left, 1e-6)),
    )


def opinion(samples: Block) -> float:
    """DNSMOS overall of (1, T)."""
    meter = Meter(RATE_HZ, 1, dnsmos=True)
    meter.push(samples)
    return meter.scores().dnsmos_ovrl


def real_time_factor(clips: list[Clip], engine: RestorationEngine, evaluations: int) -> float:
    """Seconds of work per second of audio, on a minute in one piece: a clip alone pays for a whole window."""
    long = np.resize(np.concatenate([clip.samples for clip in clips], axis=1), (1, SPEED_S * RATE_HZ))
    started = time.perf_counter()
    restore(long, engine, evaluations)
    return (time.perf_counter() - started) / SPEED_S


def rms(samples: Block) -> float:
    """Root mean square of (C, T)."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()))


def table(results: list[Result]) -> str:
    """Means for each fault and kind; `worse` is the share of clips whose SI-SDR fell."""
    frame = pd.DataFrame([asdict(result) for result in results])
    frame["worse"] = frame.si_sdr_out_db < frame.si_sdr_in_db
    frame["order"] = frame.fault.map({fault: place for place, fault in enumerate(FAULTS)})
    means = frame.groupby(["order", "fault", "kind"], sort=True).mean(numeric_only=True)
    counts = frame.groupby(["order", "fault", "kind"], sort=True).size()
    header = ("fault", "kind", "n", "SI-SDR dB", "gain", "worse", "LSD dB", "gain", "DNSMOS", "gain", "level dB")
    rows = []
    for (_, fault, kind), mean in zip(means.index, means.to_dict("records"), strict=True):
        sdr, lsd, mos = ((mean[a], mean[b]) for a, b in _PAIRS)
        rows.append((
            fault, kind, str(counts.loc[(FAULTS.index(fault), fault, kind)]), _change(sdr, 1), _gain(sdr, 1),
            f"{100 * mean['worse']:.0f} %" if fault != "clean" else "", _change(lsd, 1), _gain(lsd, 1),
            _change(mos, 2), _gain(mos, 2), f"{mean['level_db']:+.1f}",
        ))  # fmt: skip
    return markdown(header, rows, labels=2)


def summary(results: list[Result]) -> str:
    """Mean gains of SI-SDR on additive noise at 0 to 15 dB, by kind of noise and of recording."""
    frame = pd.DataFrame([asdict(result) for result in results if result.fault in ADDITIVE])
    frame["gain"] = frame.si_sdr_out_db - frame.si_sdr_in_db
    frame["noise"] = frame.fault.str.split().str[0]
    frame["sound"] = frame.kind.str.split(",").str[0]
    means = frame.groupby(["noise", "sound"]).gain.mean()
    parts = [f"{noise} over {sound} {gain:+.1f}" for (noise, sound), gain in means.items()]
    return f"Additive noise at 0 to 15 dB, gain of SI-SDR: {frame.gain.mean():+.1f} dB ({', '.join(parts)})"


_PAIRS = (("si_sdr_in_db", "si_sdr_out_db"), ("lsd_in_db", "lsd_out_db"), ("dnsmos_in", "dnsmos_out"))


def _change(pair: tuple[float, float], digits: int) -> str:
    return "" if math.isnan(pair[1]) else f"{pair[0]:.{digits}f} -> {pair[1]:.{digits}f}"


def _gain(pair: tuple[float, float], digits: int) -> str:
    difference = pair[1] - pair[0]
    return f"{difference:+.{digits}f}" if math.isfinite(difference) else ""


def write_json(path: Path, engine: RestorationEngine, speed: dict[int, float], results: list[Result]) -> None:
    """Every single result, with null where a figure is not finite."""
    rows = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(r).items()} for r in results
    ]
    content = {"engine": engine.name, "engine_sha256": engine.sha256, "real_time_factor": speed, "results": rows}
    path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
