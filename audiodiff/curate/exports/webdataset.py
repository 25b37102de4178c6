"""WebDataset: `train-000000.tar`, ...; of each clip `<clip id>.flac`, `.json` (what is known) and `.txt` (caption).

A key ends at its first dot, and ids have none. Source: "The WebDataset Format", https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from audiodiff import schema
from audiodiff.curate.exports.clips import as_json, describe
from audiodiff.curate.exports.parts import PART_BYTES, add_bytes, add_file, write_parts
from audiodiff.curate.records import Clip
from audiodiff.storage import Store


def export(
    destination: Store,
    shards: Sequence[str],
    scratch: Path,
    folder: str = "exports/webdataset",
    part_bytes: int = PART_BYTES,
) -> list[str]:
    """Write the clips as WebDataset tars of about `part_bytes`; see `Export`."""
    return write_parts(_Tar, destination, shards, scratch, folder, part_bytes)


class _Tar:
    def __init__(self, folder: Path, split: str, number: int) -> None:
        self.size = 0
        self._path = folder / f"{split}-{number:06d}.tar"
        self._tar = tarfile.open(self._path, "w")  # noqa: SIM115 - closed by `close`

    def add(self, clip: Clip, audio: Path) -> None:
        self.size += audio.stat().st_size
        add_file(self._tar, f"{clip.clip_id}{audio.suffix}", audio)
        add_bytes(self._tar, f"{clip.clip_id}.json", as_json(describe(clip)))
        add_bytes(self._tar, f"{clip.clip_id}.txt", schema.printable_name(clip.caption).encode())

    def close(self) -> list[Path]:
        self._tar.close()
        return [self._path]
