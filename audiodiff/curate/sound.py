"""A decoded recording, its samples on disk: any stretch of hours is at hand, and memory does not grow with length."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiodiff.media import open_audio
from audiodiff.records import MediaInfo
from audiodiff.waveform import Block


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples (C, T), a read-only memory map, with what the decoder found.

    `pcm_sha256` is that of the samples and their rate: the same for a WAV and its FLAC.
    """

    samples: Block
    media: MediaInfo
    pcm_sha256: str
    problems: tuple[str, ...]
    messages: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Samples of one channel."""
        frames: int = self.samples.shape[1]
        return frames


def decode(path: Path, name: str, scratch: Path) -> Sound:
    """Decode a recording into a file in `scratch`, 4 bytes a sample; errors as `media.open_audio`."""
    store = scratch / "samples"
    with open_audio(path, name) as reader, store.open("wb") as file:
        digest = hashlib.sha256(f"{reader.info.sample_rate} {reader.info.channels}".encode())
        for block in reader:
            data = np.ascontiguousarray(block.T).tobytes()
            digest.update(data)
            file.write(data)
    samples = np.memmap(store, np.float32, "r").reshape(-1, reader.info.channels).T
    return Sound(samples, reader.info, digest.hexdigest(), reader.problems, reader.messages)
