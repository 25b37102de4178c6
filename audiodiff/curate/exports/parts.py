"""Exports in numbered parts of bounded size, one series for each split."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from audiodiff.curate.exports.clips import split_of, with_audio
from audiodiff.curate.records import Clip
from audiodiff.storage import Store

PART_BYTES = 2**30
"""What WebDataset and Lhotse advise: large enough to be read in sequence, small enough to be dealt out to workers."""


class Part(Protocol):
    """The files of one part while they are written; `size` is the bytes of audio in it."""

    size: int

    def __init__(self, folder: Path, split: str, number: int) -> None: ...

    def add(self, clip: Clip, audio: Path) -> None:
        """Append a clip."""
        ...

    def close(self) -> list[Path]:
        """Complete the files and return them, below the folder and in the order in which to store them."""
        ...


def write_parts(
    kind: type[Part], destination: Store, shards: Sequence[str], scratch: Path, folder: str, part_bytes: int
) -> list[str]:
    """Write all clips in parts of a kind, twins in their clean clip's; at most `part_bytes` and one family each."""
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        local = Path(temporary)
        written: list[str] = []
        numbers: Counter[str] = Counter()
        begun: dict[str, Part] = {}

        def store(split: str) -> None:
            for path in begun.pop(split).close():
                written.append(f"{folder}/{path.relative_to(local).as_posix()}")
                destination.write_file(written[-1], path)
                path.unlink()

        try:
            for clip, audio in with_audio(destination, shards, local):
                split = split_of(clip)
                if split in begun and not clip.twin_of and begun[split].size + audio.stat().st_size > part_bytes:
                    store(split)
                if split not in begun:
                    begun[split] = kind(local, split, numbers[split])
                    numbers[split] += 1
                begun[split].add(clip, audio)
            for split in sorted(begun):
                store(split)
        finally:  # after an error some are still open
            for part in begun.values():
                part.close()
    sweep(destination, folder, written)
    return sorted(written)


def sweep(destination: Store, folder: str, written: Collection[str]) -> None:
    """Remove what an earlier export, of more clips or other splits, left in the folder."""
    stale = [stored.name for stored in destination.list(f"{folder}/") if stored.name not in set(written)]
    for name in stale:
        destination.delete(name)


def add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Append a file's bytes under a name, without its time, owner and mode."""
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    with path.open("rb") as file:
        tar.addfile(entry, file)


def add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Append bytes under a name."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
