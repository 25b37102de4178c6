"""Send a pack to a machine that takes little at a time: Ogg Opus parts of a given size, joined again over there.

`python -m audiodiff.training.travel split PACK PARTS` and, there, once or as parts arrive, `... join PARTS PACK`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import soundfile

from audiodiff.training.pack import AUDIO, INDEX, PACK_RATE_HZ, Pack

OPUS_TOP_HZ = 20_000.0
"""Opus carries nothing above; the joined index says so, lest a model learn to cut there."""

_ARRIVED = "arrived.json"
_BLOCK = 10 * PACK_RATE_HZ
_LEAST_KBPS, _MOST_KBPS = 6.0, 256.0  # of one channel, at the ends of libsndfile's scale


def split(pack: Pack, folder: Path, kbps: float, part_mib: float) -> list[Path]:
    """Write the pack as parts of about `part_mib`, each a recording of its own, beside a copy of the index."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(pack.folder / INDEX, folder / INDEX)
    frames = int(part_mib * 2**20 * 8 / (1_000 * kbps) * PACK_RATE_HZ)
    level = 1.0 - (kbps - _LEAST_KBPS) / (_MOST_KBPS - _LEAST_KBPS)
    parts = []
    for start in range(0, len(pack.samples), frames):
        parts.append(folder / f"part-{start:012d}.ogg")
        with soundfile.SoundFile(
            parts[-1], "w", PACK_RATE_HZ, 1, "OPUS", format="OGG", compression_level=level
        ) as target:
            for at in range(start, min(start + frames, len(pack.samples)), _BLOCK):
                target.write(pack.samples[at : min(at + _BLOCK, start + frames)])
    return parts


def join(parts: Path, folder: Path) -> int:
    """Put the parts that are there where they belong; returns how many samples of the pack are yet to come.

    Recordings that are not whole yet are left out of the joined index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = Pack.read_index(parts)
    total, audio, ledger = int((index.start + index.frames).max()), folder / AUDIO, folder / _ARRIVED
    if not audio.exists():
        np.lib.format.open_memmap(audio, "w+", np.int16, (total,))
    samples = np.load(audio, mmap_mode="r+")
    arrived: dict[str, int] = json.loads(ledger.read_text()) if ledger.exists() else {}
    for part in sorted(parts.glob("part-*.ogg")):
        at = start = int(part.stem.removeprefix("part-"))
        for block in soundfile.blocks(part, _BLOCK, dtype="int16"):
            samples[at : at + len(block)] = block[: total - at]
            at += len(block)
        arrived[str(start)] = at
    samples.flush()
    ledger.write_text(json.dumps(arrived))
    here = np.zeros(total, bool)
    for start_of, end in arrived.items():
        here[int(start_of) : end] = True
    whole = [bool(here[start : start + frames].all()) for start, frames in zip(index.start, index.frames, strict=True)]
    index["bandwidth_hz"] = index.bandwidth_hz.clip(upper=OPUS_TOP_HZ)
    index[whole].to_parquet(folder / INDEX)
    return int((~here).sum())


def main() -> None:
    """Parse the arguments; split or join."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["split", "join"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--kbps", type=float, default=48.0, help="bit rate of the parts")
    parser.add_argument("--part-mib", type=float, default=40.0, help="size of a part")
    args = parser.parse_args()
    if args.what == "split":
        parts = split(Pack(args.source), args.target, args.kbps, args.part_mib)
        print("\n".join(f"{part}: {part.stat().st_size / 2**20:.1f} MiB" for part in parts))
    else:
        print(f"{join(args.source, args.target) / PACK_RATE_HZ / 60:.1f} minutes are yet to come")


if __name__ == "__main__":
    main()
