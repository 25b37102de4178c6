"""Lhotse Shar: for each split a folder with `cuts.000000.jsonl.gz` and `recording.000000.tar`, ...

The audio is stored as it is: Lhotse's own writer would encode it anew, FLAC with 16 bits.
Source: lhotse.shar.readers (1.33), which the tests read it with.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiodiff.curate.exports.clips import as_json, describe, duration_s
from audiodiff.curate.exports.parts import PART_BYTES, add_bytes, add_file, write_parts
from audiodiff.curate.records import Clip
from audiodiff.storage import Store


def export(
    destination: Store, shards: Sequence[str], scratch: Path, folder: str = "exports/shar", part_bytes: int = PART_BYTES
) -> list[str]:
    """Write the clips as Lhotse Shar with recordings of about `part_bytes`; see `Export`."""
    return write_parts(_Shar, destination, shards, scratch, folder, part_bytes)


class _Shar:
    def __init__(self, folder: Path, split: str, number: int) -> None:
        self.size = 0
        (folder / split).mkdir(exist_ok=True)
        self._audio = folder / split / f"recording.{number:06d}.tar"
        self._cuts = folder / split / f"cuts.{number:06d}.jsonl.gz"
        self._tar = tarfile.open(self._audio, "w")  # noqa: SIM115 - closed by `close`
        self._file = self._cuts.open("wb")
        self._lines = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)  # no name, no time: the same bytes

    def add(self, clip: Clip, audio: Path) -> None:
        self.size += audio.stat().st_size
        add_file(self._tar, f"{clip.clip_id}{audio.suffix}", audio)
        add_bytes(self._tar, f"{clip.clip_id}.json", as_json(_recording(clip)))
        self._lines.write(as_json(_cut(clip)) + b"\n")

    def close(self) -> list[Path]:
        for file in (self._tar, self._lines, self._file):
            file.close()
        return [self._audio, self._cuts]


def _recording(clip: Clip) -> dict[str, Any]:
    """A Recording; `shar` tells the reader that the audio is the tar's member before it."""
    channels = list(range(clip.channels))
    return {
        "id": clip.clip_id,
        "sources": [{"type": "shar", "channels": channels, "source": ""}],
        "sampling_rate": clip.sample_rate,
        "num_samples": clip.frames,
        "duration": duration_s(clip),
        "channel_ids": channels,
    }


def _cut(clip: Clip) -> dict[str, Any]:
    """A MonoCut or MultiCut of the whole clip with one supervision."""
    channel: int | list[int] = 0 if clip.channels == 1 else list(range(clip.channels))
    return {
        "id": clip.clip_id,
        "start": 0.0,
        "duration": duration_s(clip),
        "channel": channel,
        "supervisions": [_supervision(clip, channel)],
        "recording": _recording(clip),
        "custom": describe(clip),
        "type": "MonoCut" if clip.channels == 1 else "MultiCut",
    }


def _supervision(clip: Clip, channel: int | list[int]) -> dict[str, Any]:
    return {
        "id": clip.clip_id,
        "recording_id": clip.clip_id,
        "start": 0.0,
        "duration": duration_s(clip),
        "channel": channel,
        "text": clip.facts.transcript or None,
        "language": clip.facts.language or None,
        "speaker": clip.facts.speaker or None,
        "custom": {"caption": clip.caption},
    }
