"""Foreign restorers through `restore_stream`: what they gain, and that nothing is lost on the way.

`PYTHONPATH=.peers python -m benchmarks.foreign --kit DIR`, after `make bench-restore`. Each engine file of
`deployments/engines` restores a clip that fits one window and one that needs three; its output is compared with that of
the same peer called in this process, on the same windows and on the whole clip in one pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from audiodiff.engines import Sampling
from audiodiff.engines.folder import FolderEngine, load_engine_file
from audiodiff.metrics.paired import aligned, si_sdr_db
from audiodiff.restore import Treatment, restore_stream
from audiodiff.waveform import Block
from benchmarks.evaluate import RATE_HZ, Clip, damage, held_back, limited, noises, rms
from benchmarks.peers import PEERS, Restore
from benchmarks.table import markdown

FOLDER = Path(__file__).parents[1] / "deployments" / "engines"
FAULT = "recorded noise 5 dB"


class Direct(FolderEngine):
    """The engine, but for a function of this process in place of the folders and the program."""

    def __init__(self, engine: FolderEngine, peer: Restore) -> None:
        self.__dict__ |= engine.__dict__
        self.peer = peer

    def _run(self, files: Block, seed: int) -> list[Block]:  # noqa: ARG002
        return [self.peer(samples[0])[None] for samples in files]


def main() -> None:
    """Restore, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder of the developer kit, with its manifest.csv")
    args = parser.parse_args()
    voices = [clip for clip in limited(held_back(args.kit), 5) if clip.group.kind == "speech, female"]
    long = Clip("all of them", voices[0].group, np.concatenate([clip.samples for clip in voices], axis=1))
    rows = []
    for clip in (voices[0], long):
        noisy = damage(clip, FAULT, noises(args.kit))[0].astype(np.float32)
        for path in sorted(FOLDER.glob("*.engine.toml")):
            rows.append((f"{clip.samples.shape[1] / RATE_HZ:.1f} s", *row(path, clip.samples, noisy)))
            print(*rows[-1], flush=True)
    measures = ("delay", "before dB", "after dB", "one pass dB", "to same windows dB", "to one pass dB")
    header = ("clip", "engine", *measures, "RTF", "direct RTF")
    print(markdown(header, rows, labels=2))


def row(path: Path, clean: Block, noisy: Block) -> tuple[str, ...]:
    """One engine on one clip (1, T): SI-SDR, how far below the clip the differences lie, and time."""
    engine = load_engine_file(path)
    direct = Direct(engine, PEERS[engine.tool.command[2]]())
    gain = engine.level / rms(noisy)
    (ours, took_s), (same, direct_s) = (timed(partial(restored, one, noisy, gain)) for one in (engine, direct))
    whole = aligned(direct.peer(gain * noisy[0]) / gain, noisy[0])[None]
    return (
        engine.name,
        str(engine._delay),
        *(f"{float(si_sdr_db(side, clean)[0]):.2f}" for side in (noisy, ours, whole)),
        *(f"{below_db(ours - other, noisy):.1f}" for other in (same, whole)),
        *(f"{seconds / (clean.shape[1] / RATE_HZ):.3f}" for seconds in (took_s, direct_s)),
    )


def restored(engine: FolderEngine, noisy: Block, gain: float) -> Block:
    """The product's path over one clip (1, T)."""
    how = Treatment(Sampling(), batch=engine.batch)
    return np.concatenate([after for _, after in restore_stream([noisy], RATE_HZ, 1, gain, engine, how)], axis=1)


def below_db(difference: Block, signal: Block) -> float:
    """Power of a difference, in dB of that of the signal."""
    return 20.0 * float(np.log10(max(rms(difference), 1e-12) / rms(signal)))


def timed(work: Callable[[], Block]) -> tuple[Block, float]:
    """What it returns, and the seconds it took."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


if __name__ == "__main__":
    main()
