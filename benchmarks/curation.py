"""Curate the developer kit with faults planted in it: what is found, what is found wrongly, and how long it takes.

`python -m benchmarks.curation --kit DIR [--every N]`

First all but some recordings of the kit are taken in. Then come planted copies, leaked evaluation clips, damaged files,
and the recordings left aside, which are no copies. Nothing is delivered: the time is that of reading, cutting,
measuring, fingerprinting and deciding, in one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from audiodiff import layout
from audiodiff.curate.decide import decide_run
from audiodiff.curate.evaluation import reserve
from audiodiff.curate.examine import Examination, Job, examine_shard
from audiodiff.curate.records import Clip
from audiodiff.curate.rules import PRESETS
from audiodiff.curate.schema import CLIPS
from audiodiff.curate.sources import open_source
from audiodiff.degrade.codec import Codec
from audiodiff.encode import write_audio
from audiodiff.media import read_audio
from audiodiff.metrics.cutoff import cutoff_hz
from audiodiff.metrics.paired import aligned
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.records import Lane
from audiodiff.storage import LocalStore, open_store
from audiodiff.waveform import Block, Waveform
from benchmarks.table import markdown

RATE_HZ = 48_000
COPIES, LEAKS, FAKES, CLIPPED, ANTIPHASE, SILENT, CORRUPT = 50, 20, 20, 20, 10, 10, 10
CORE = "all, seconds of one core"
"""What the whole run took of a processor, whoever else was using the machine."""

ASIDE = 10
"""Every tenth recording of the kit comes later, and is no copy of anything."""

_KEEP = {"copy": "duplicate", "leak": "leaked", "clipped": "clipped", "antiphase": "antiphase", "silent": "silence",
         "corrupt": "undecodable"}  # fmt: skip


def main() -> None:
    """Parse the arguments, curate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder of the developer kit, with its manifest.csv")
    parser.add_argument("--every", type=int, default=1, help="take only every N-th recording, for a quick look")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as folder:
        bench(args.kit, args.every, Path(folder))


def bench(kit: Path, every: int, folder: Path) -> None:
    """The two runs and their tables."""
    pile = folder / "pile"
    names = sorted(pd.read_csv(kit / "manifest.csv").path)[::every]
    for name in names[::ASIDE]:
        names.remove(name)
    for name in names:
        link(kit / name, pile / name)
    first, seconds = run(folder, "first")
    print(f"first run: {summary(first)}\n{stages(first, seconds)}\n", flush=True)
    plant(first, folder)
    for name in sorted(pd.read_csv(kit / "manifest.csv").path)[::every][::ASIDE]:
        link(kit / name, pile / "aside" / name)
    second, seconds = run(folder, "second")
    print(f"second run: {summary(second)}\n{stages(second, seconds)}\n", flush=True)
    print(found(second))
    print(judged_copies([*first, *second]))
    print(fakes(first))


def link(source: Path, target: Path) -> None:
    """The recording under another name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def run(folder: Path, name: str) -> tuple[list[Clip], dict[str, float]]:
    """Plan, examine and decide over what is new in the pile; the rows, and seconds by stage."""
    destination = LocalStore(str(folder / "set"))
    limits = replace(PRESETS["sfx"].limits, cutoff_share=float("nan"))  # else poor copies are out before they are found
    rules = replace(PRESETS["sfx"], limits=limits)
    job = Job(rules, "any-known", "bench", "{}", "bench", license_default="CC0-1.0")
    source = open_source(str(folder / "pile"), open_store)
    started, began = time.perf_counter(), time.process_time()
    request = PlanRequest(name, "bench", json.dumps({"recipe": "bench"}), 10_000)
    plan = plan_run(source, destination, request, CLIPS)
    seconds = {"plan": time.perf_counter() - started}
    receipts = [examine_shard(shard, Examination(source, job), destination, threads=1) for shard in plan.todo]
    for receipt in receipts:
        seconds |= {stage: seconds.get(stage, 0.0) + spent for stage, spent in receipt.stage_s}
    evaluation = folder / "evaluation"
    started = time.perf_counter()
    reserved = reserve(open_source(str(evaluation), open_store), destination) if evaluation.exists() else []
    seconds["evaluation"] = time.perf_counter() - started
    started = time.perf_counter()
    decide_run(destination, plan, rules, reserved)
    seconds["decide"] = time.perf_counter() - started
    seconds[CORE] = time.process_time() - began
    rows: list[Clip] = []
    for shard in plan.todo:
        decided = destination.read_bytes(layout.decided(plan.run_id, shard.name))
        destination.write_bytes(layout.ledger(shard.name), decided)
        rows += CLIPS.decode(decided)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), b"{}")
    return rows, seconds


def plant(rows: list[Clip], folder: Path) -> None:
    """Copies, leaks and damage, each under a name that says it, made from recordings the first run has kept."""
    rng = np.random.default_rng(0)
    kept = [row for row in rows if row.lane is Lane.ACCEPTED and 1.5 < row.source_duration_s < 20]
    order = [kept[int(place)] for place in rng.permutation(len(kept))]
    sounds = (read_audio(Path(row.source_uri)).mono().resample(RATE_HZ).samples for row in order)
    planted = folder / "pile" / "planted"
    planted.mkdir(parents=True)

    def put(name: str, samples: Block, target: Path = planted) -> None:
        write_audio(target / f"{name}.flac", Waveform(samples.astype(np.float32), RATE_HZ), "flac-16")

    for number, transform in zip(range(COPIES), TRANSFORMS * COPIES, strict=False):
        put(f"copy-{number}-{transform}", TRANSFORM[transform](next(sounds), rng))
    evaluation = folder / "evaluation"
    evaluation.mkdir()
    for number in range(LEAKS):  # kept apart from the first run: those rows are no leaks, the sounds are new
        sound = 0.5 * shifted(next(sounds))
        put(f"held-out-{number}", sound, evaluation)
        put(f"leak-{number}", TRANSFORM[TRANSFORMS[number % len(TRANSFORMS)]](sound, rng))
    for number in range(CLIPPED):
        sound = shifted(next(sounds))
        put(f"clipped-{number}", np.clip(sound / sound.std() / 3.0, -0.95, 0.95))
    for number in range(ANTIPHASE):
        sound = shifted(next(sounds))
        put(f"antiphase-{number}", 0.5 * np.concatenate([sound, -sound]))
    for number in range(SILENT):
        put(f"silent-{number}", np.zeros((1, RATE_HZ * (number + 1))))
    for number in range(CORRUPT):
        (planted / f"corrupt-{number}.wav").write_bytes(rng.bytes(1_000 * (number + 1)))


def shifted(samples: Block) -> Block:
    """Another sound: the same backwards, at another speed."""
    return Waveform(samples[:, ::-1].copy(), RATE_HZ).resample(41_000).samples


def coded(codec: str, kbps: float) -> object:
    """Through a codec and back."""
    return lambda samples, _: Codec(codec, kbps).apply(torch.from_numpy(samples), RATE_HZ).numpy()


def noisy(samples: Block, rng: np.random.Generator) -> Block:
    """With noise 25 dB below it, and its treble lowered."""
    softened = 0.6 * samples + 0.4 * np.roll(samples, 1, axis=1)
    noise = rng.standard_normal(samples.shape) * samples.std() * 10 ** (-25 / 20)
    return (softened + noise).astype(np.float32)


TRANSFORM = {
    "mp3": coded("mp3", 64.0),
    "opus": coded("opus", 24.0),
    "trimmed": lambda samples, _: samples[:, samples.shape[1] // 7 : -samples.shape[1] // 6],
    "gain": lambda samples, _: 0.2 * samples,
    "resampled": lambda samples, _: Waveform(samples, RATE_HZ).resample(8_000).resample(RATE_HZ).samples,
    "noise": noisy,
}
TRANSFORMS = list(TRANSFORM)


def summary(rows: list[Clip]) -> str:
    """Clips by lane and reason."""
    lanes = Counter(row.lane.value for row in rows)
    reasons = Counter(reason for row in rows for reason in row.reasons)
    return f"{len(rows)} clips: {dict(lanes)}, {dict(reasons.most_common(8))}"


def stages(rows: list[Clip], seconds: dict[str, float]) -> str:
    """Seconds by stage, and how many times faster than real time that is."""
    audio_s = sum(row.source_duration_s for row in rows)
    seconds = seconds | {"all": sum(spent for stage, spent in seconds.items() if stage != CORE)}
    cells = [(stage, f"{spent:.1f}", f"{audio_s / max(spent, 1e-3):,.0f}x") for stage, spent in seconds.items()]
    return markdown(("stage", "s", "real time"), cells, labels=1)


def found(rows: list[Clip]) -> str:
    """Of what was planted, how much was found for the right reason; of what was not, how much was put out as a copy."""
    cells: list[tuple[str, str, str]] = []
    for kind, reason in _KEEP.items():
        mine = [row for row in rows if Path(row.source_uri).name.startswith(f"{kind}-")]
        hits = sum(any(one.startswith(reason) for one in row.reasons) for row in mine)
        if mine:
            cells.append((kind, str(len(mine)), f"{hits / len(mine):.3f}"))
    for transform in TRANSFORMS:
        mine = [
            row for row in rows if Path(row.source_uri).stem.endswith(f"-{transform}") and "copy-" in row.source_uri
        ]
        hits = sum("duplicate" in row.reasons for row in mine)
        cells.append((f"copy: {transform}", str(len(mine)), f"{hits / max(len(mine), 1):.3f}"))
    return markdown(("planted", "n", "found"), cells, labels=1)


def judged_copies(rows: list[Clip]) -> str:
    """Of clips of the kit itself that were put out as copies, how many have the waveform of what they copy."""
    by_id = {row.clip_id: row for row in rows}
    copies = [row for row in rows if "duplicate" in row.reasons and "/planted/" not in row.source_uri]
    sure = [row for row in copies if likeness(row, by_id[row.duplicate_of]) > 0.5]
    others = [
        f"{Path(row.source_uri).name} = {Path(by_id[row.duplicate_of].source_uri).name}"
        for row in copies
        if row not in sure
    ]
    return f"{len(copies)} copies within the kit, {len(sure)} with the same waveform; others: {others[:40]}"


def fakes(rows: list[Clip]) -> str:
    """Of full-band recordings, how many are said to be resampled up: as they are, and after a lower rate."""
    wide = [row for row in rows if row.scores and row.scores.bandwidth_hz > 17_000 and row.source_rate >= 44_100]
    fit = [row for row in wide if row.lane is Lane.ACCEPTED and row.source_duration_s > 1.0]
    chosen = fit[:: max(1, len(fit) // FAKES)][:FAKES]
    least = PRESETS["sfx"].limits.cutoff_share * RATE_HZ / 2
    cells: list[tuple[str, str, str]] = []
    for rate in (RATE_HZ, 32_000, 22_050, 16_000):
        sounds = (read_audio(Path(row.source_uri)).resample(rate).resample(RATE_HZ).samples for row in chosen)
        out = sum(cutoff_hz(samples, RATE_HZ) < least for samples in sounds)
        cells.append((f"{rate} Hz" if rate < RATE_HZ else "none", str(len(chosen)), f"{out / len(chosen):.2f}"))
    return markdown(("lower rate", "n", "out as resampled"), cells, labels=1)


def likeness(first: Clip, second: Clip) -> float:
    """Correlation of two clips where they align best, at 8 kHz."""
    a, b = (read_audio(Path(clip.source_uri)).mono().resample(8_000).samples[0] for clip in (first, second))
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    moved = aligned(long, short)
    return float(abs(np.vdot(moved, short)) / max(np.linalg.norm(moved) * np.linalg.norm(short), 1e-9))


if __name__ == "__main__":
    main()
