"""A pack: clean audio as one flat file of 48 kHz 16-bit samples with an index, read by memory map.

`packing.py` writes them. Reading needs numpy and pandas only, so that a bare GPU machine can train.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PACK_RATE_HZ = 48_000
INDEX, AUDIO = "index.parquet", "audio.npy"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a recording lies in the pack. `bandwidth_hz` is measured, not nominal."""

    name: str
    kind: str
    split: str
    license: str
    attribution: str
    bandwidth_hz: float
    start: int
    frames: int


class Pack:
    """A pack opened for reading: `index` (a data frame of `Entry`) and the samples by memory map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = self.read_index(folder)
        self.samples: NDArray[np.int16] = np.load(folder / AUDIO, mmap_mode="r")

    @staticmethod
    def read_index(folder: Path) -> pd.DataFrame:
        """The index alone."""
        return pd.read_parquet(folder / INDEX)

    def __reduce__(self) -> tuple[type[Pack], tuple[Path]]:
        """Travel to another process as the folder: the samples would travel as gigabytes."""
        return Pack, (self.folder,)

    def read(self, start: int, frames: int) -> NDArray[np.float32]:
        """Samples (T,) from an absolute position."""
        return self.samples[start : start + frames].astype(np.float32) / np.float32(32768.0)
