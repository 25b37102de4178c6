"""`make bench`: how fast the whole pipeline is, where the time goes, what Prefect and storage add, and peak memory.

Recordings are made from the real ones in `tests/assets`, with noise, so that decoder, model and encoder all have
work. The library alone (`run_shard`) and the whole flow do the same job; their difference is the orchestration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import flows.cli  # noqa: F401  sets what Prefect's own server needs to be quiet
from audiodiff.books import RESTORATIONS
from audiodiff.encode import AudioWriter, write_audio
from audiodiff.engines import Sampling, open_engine
from audiodiff.media import read_audio
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.records import Receipt
from audiodiff.restoration import Job, Restoration
from audiodiff.restore import Treatment
from audiodiff.shards import run_shard
from audiodiff.storage import LocalStore
from audiodiff.waveform import Block, Waveform
from benchmarks.table import markdown
from flows.restore_archive import RestoreConfig, restore_archive

ASSETS = Path("tests/assets")
RATE_HZ, FILE_S = 48_000, 30
THREADS = 2
STAGES = ("fetch", "survey", "model", "encode", "score", "preview", "store")
SPEED_GOAL, OVERHEAD_GOAL, MEMORY_GOAL_MIB = 15.0, 0.10, 1536


@dataclass(frozen=True, slots=True)
class Pass:
    """One way over the corpus: seconds of audio, seconds on the clock, thread seconds by stage."""

    name: str
    audio_s: float
    wall_s: float
    stage_s: dict[str, float]

    def share(self, stage: str) -> float:
        """Part of all thread time that a stage took."""
        return self.stage_s.get(stage, 0.0) / (THREADS * self.wall_s)

    def row(self) -> list[str]:
        """Cells of the table; `rest` is decoding and resampling during restoration, and waiting for the model."""
        shares = [self.share(stage) for stage in STAGES]
        cells = [f"{100 * share:.1f} %" for share in (*shares, 1.0 - sum(shares))]
        return [self.name, f"{self.audio_s / self.wall_s:.1f}x", f"{self.wall_s:.1f} s", *cells]


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="audio in the corpus")
    parser.add_argument("--long-minutes", type=float, default=10.0, help="length of the file for peak memory")
    parser.add_argument("--repeats", type=int, default=2, help="times each way; the fastest counts")
    parser.add_argument("--memory-of", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print(memory_of(*args.memory_of))
        return
    with tempfile.TemporaryDirectory(prefix="audiodiff-bench-") as folder:
        speed(Path(folder), args.minutes, args.repeats)
        memory(Path(folder), args.long_minutes)


def speed(folder: Path, minutes: float, repeats: int) -> None:
    """Measure the library and the flow on one corpus and print where the time goes."""
    corpus = folder / "corpus"
    make_corpus(corpus, max(1, round(minutes * 60 / FILE_S)))
    start_s = start_flow(folder)
    rounds = _rounds(corpus, folder, repeats)
    empty, library, flow = (min(ways, key=lambda way: way.wall_s) for ways in zip(*rounds, strict=True))
    print(f"{minutes:g} minutes of 48 kHz mono in FLAC files of {FILE_S} s, preset archive, best of {repeats} runs;")
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {THREADS} items at once, torch {torch.__version__}\n")
    header = ("path", "real time", "wall", *STAGES, "rest")
    print(markdown(header, [way.row() for way in (empty, library, flow)]))
    orchestration = (flow.wall_s - library.wall_s) / flow.wall_s
    storage = flow.share("fetch") + flow.share("store")
    print(f"\nWhole flow: {flow.audio_s / flow.wall_s:.1f}x real time (goal >= {SPEED_GOAL:g}x)")
    print(
        f"Orchestration, (flow - library) / flow: {100 * orchestration:.1f} %; fetch and store: {100 * storage:.1f} %"
    )
    print(f"Together {100 * (orchestration + storage):.1f} % (goal < {100 * OVERHEAD_GOAL:g} %)")
    print(f"Once per process, in none of these: {start_s:.1f} s to start Prefect's own server", flush=True)


def _rounds(corpus: Path, folder: Path, repeats: int) -> list[tuple[Pass, Pass, Pass]]:
    """Every way in turn, so that a machine that gets slower slows all of them."""
    return [
        (
            run_library(corpus, folder / f"empty-{number}", "passthrough"),
            run_library(corpus, folder / f"library-{number}", "audiodiff-48k"),
            run_flow(corpus, folder / f"flow-{number}"),
        )
        for number in range(repeats)
    ]


def make_corpus(folder: Path, files: int, frames: int = FILE_S * RATE_HZ) -> None:
    """Real recordings, end to end, with a little noise, cut into mono FLAC files."""
    folder.mkdir(parents=True)
    material = real_material(RATE_HZ, 1)
    rng = np.random.default_rng(0)
    for number in range(files):
        piece = np.take(material, np.arange(number * frames, (number + 1) * frames), axis=1, mode="wrap")
        noise = rng.standard_normal(piece.shape, np.float32) * np.float32(10.0 ** (rng.uniform(-60.0, -35.0) / 20.0))
        write_audio(folder / f"tape-{number:03d}.flac", Waveform(0.7 * piece + noise, RATE_HZ), "flac-16")


def real_material(sample_rate: int, channels: int) -> Block:
    """Every recording of the assets, one after the other (C, T)."""
    parts = [read_audio(path).mono().resample(sample_rate).samples for path in recordings()]
    return np.repeat(np.concatenate(parts, axis=1), channels, axis=0)


def recordings() -> list[Path]:
    """The assets that are audio."""
    return sorted(path for path in ASSETS.iterdir() if path.suffix in {".flac", ".ogg", ".g722", ".gsm"})


def run_library(source: Path, destination: Path, engine_name: str) -> Pass:
    """Plan and run the shards without Prefect."""
    engine = open_engine(engine_name)
    stores = LocalStore(str(source)), LocalStore(str(destination))
    job = Job("archive", Treatment(Sampling(1)), "flac-24", "bench", "{}")
    planned = plan_run(*stores, PlanRequest("bench", job.recipe, json.dumps({"recipe": job.recipe})), RESTORATIONS)
    started = time.perf_counter()
    receipts = [
        run_shard(shard, Restoration(stores[0], job, engine), stores[1], RESTORATIONS, THREADS)
        for shard in planned.todo
    ]
    return _pass(f"library, {engine_name}", receipts, time.perf_counter() - started)


def _pass(name: str, receipts: list[Receipt], wall_s: float) -> Pass:
    stages: Counter[str] = Counter()
    for receipt in receipts:
        stages.update(dict(receipt.stage_s))
    return Pass(name, sum(receipt.audio_s for receipt in receipts), wall_s, dict(stages))


def run_flow(source: Path, destination: Path) -> Pass:
    """The whole flow: plan, shards, reconciliation, report."""
    started = time.perf_counter()
    result = restore_archive(_config(source, destination))
    wall_s = time.perf_counter() - started
    summary = json.loads((destination / "runs" / result.run_id / "summary.json").read_text())
    return Pass("flow, audiodiff-48k", summary["audio_s"], wall_s, dict(summary["stage_s"]))


def _config(source: Path, destination: Path) -> RestoreConfig:
    return RestoreConfig.model_validate({"source": str(source), "destination": str(destination), "device": "cpu"})


def start_flow(folder: Path) -> float:
    """Seconds of a flow run over a file that is no audio: what the first one in a process pays."""
    open_engine("audiodiff-48k")
    source = folder / "no audio"
    source.mkdir()
    (source / "note.txt").write_text("no audio")
    started = time.perf_counter()
    restore_archive(_config(source, folder / "nowhere"))
    return time.perf_counter() - started


def memory(folder: Path, minutes: float) -> None:
    """Peak memory of a fresh process that restores one stereo file, a short and a long one."""
    print(f"\nPeak memory of one process, stereo 44.1 kHz (goal < {MEMORY_GOAL_MIB} MiB, whatever the length):")
    for length in dict.fromkeys((1.0, minutes)):
        source = folder / f"long-{length:g}"
        source.mkdir()
        make_long_file(source / "tape.wav", length)
        command = [
            sys.executable,
            "-m",
            "benchmarks.pipeline",
            "--memory-of",
            str(source),
            str(folder / f"out-{length:g}"),
        ]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  ourselves
        print(f"  {length:g} minutes: {report.strip()}", flush=True)


def make_long_file(path: Path, minutes: float) -> None:
    """Real recordings over and over, as a 16-bit stereo WAV of 44.1 kHz."""
    material = real_material(44_100, 2)
    left = round(minutes * 60 * 44_100)
    with AudioWriter(path, 44_100, 2, "wav-16", left) as writer:
        while left > 0:
            writer.write(material[:, :left])
            left -= material.shape[1]


def memory_of(source: Path, destination: Path) -> str:
    """Restore in this process and say what it took at its peak."""
    done = run_library(source, destination, "audiodiff-48k")
    # not getrusage: a child inherits its parent's peak there; this one starts anew with the program
    status = Path("/proc/self/status").read_text()
    peak_kib = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    return f"{peak_kib / 1024:.0f} MiB, {done.audio_s / done.wall_s:.1f}x real time"


if __name__ == "__main__":
    main()
