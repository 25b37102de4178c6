"""What the training clips sounded like, so that a take can be held against them; and how alike takes are.

`python -m audiodiff.generate.memory FILES_OR_MANIFEST OUT` makes the file that lies beside the weights.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from audiodiff.curate.duplicates import THRESHOLD, find_alike, find_alike_within, windows_of
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.curate.manifests import SUFFIXES, read_manifest
from audiodiff.errors import EngineError, MediaError
from audiodiff.media import read_audio
from audiodiff.storage import open_store
from audiodiff.waveform import Waveform

FORMAT = "audiodiff-memory-1"
KEY = "audiodiff"
WEIGHTS = Path(__file__).parent.parent / "weights" / "memory.safetensors"
MEMORISED = THRESHOLD
"""The likeness from which on a take is a copy of a training clip: that of `curate.duplicates`.

Of the kit's recordings no two others come to more than 0.38 (speech of one voice; effects 0.32, music 0.18). Copies in
MP3 are at 0.84 or more, with noise at 20 dB four fifths are over 0.65.
"""

_LONGEST_S = 60.0  # of a clip, 11 KiB: a take is no longer
_LOOKED_INTO = 16  # clips with the nearest windows
_STEP = 8  # frames between windows, a quarter of one

log = logging.getLogger(__name__)


class Memory:
    """Fingerprints of training clips by name; 188 bytes for each second of them."""

    def __init__(self, names: Sequence[str], prints: Sequence[bytes]) -> None:
        self.names, self.prints = tuple(names), tuple(prints)
        owners, _, windows = windows_of(self.prints, _STEP)
        self._owners, self._windows = owners, windows.astype(np.float32)  # (W,), (W, 64)

    def nearest(self, take: Waveform) -> tuple[float, str]:
        """The likeness 0 to 1 of the training clip most like a take (C, T), and its name; (0, "") where none is near.

        The likeness is that of `curate.duplicates.find_alike`: at least half of the shorter one coincides.
        """
        return self.nearest_print(fingerprint(take.samples, take.sample_rate))

    def nearest_print(self, print_: bytes) -> tuple[float, str]:
        """The same of a fingerprint."""
        candidates = self._candidates(print_)
        found = find_alike([print_], [self.prints[number] for number in candidates], threshold=0.0)
        if not found:
            return 0.0, ""
        return found[0].similarity, self.names[candidates[found[0].reference]]

    def _candidates(self, print_: bytes) -> list[int]:
        """The clips with the windows nearest to any of a fingerprint's: all are looked at, which takes milliseconds."""
        _, _, asked = windows_of([print_], _STEP // 2)
        if not len(asked) or not len(self._windows):
            return []
        nearness = (self._windows @ asked.astype(np.float32).T).max(axis=1)  # (W,)
        best = np.full(len(self.prints), -1.0, np.float32)
        np.maximum.at(best, self._owners, nearness)
        return [int(number) for number in np.argsort(-best, kind="stable")[:_LOOKED_INTO]]


def likeness_among(prints: Sequence[bytes]) -> NDArray[np.float64]:
    """How alike takes are, from 0 to 1, by their fingerprints: symmetric (N, N), 1 on the diagonal."""
    likeness = np.eye(len(prints))
    for match in find_alike_within(prints, threshold=0.0):
        likeness[match.query, match.reference] = likeness[match.reference, match.query] = match.similarity
    return likeness


def remember(clips: Iterable[tuple[str, Waveform]]) -> Memory:
    """The memory of named clips, of each the first minute; those that are silent or under 0.32 s leave no trace."""
    named = {name: fingerprint(_beginning(clip), clip.sample_rate) for name, clip in clips}
    told = {name: print_ for name, print_ in sorted(named.items()) if print_}
    return Memory(list(told), list(told.values()))


def save_memory(memory: Memory, path: Path) -> None:
    """Write a memory, all fingerprints in one row of bytes."""
    ends = np.cumsum([len(print_) for print_ in memory.prints], dtype=np.int64)
    data = np.frombuffer(b"".join(memory.prints), np.uint8)
    header = {"format": FORMAT, "names": memory.names}
    save_file({"prints": data, "ends": ends}, path, metadata={KEY: json.dumps(header)})


def read_memory(path: Path) -> Memory:
    """Read a memory; one that is damaged or of another format raises `EngineError` naming the file."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise EngineError(f"memory {path} cannot be read: {error}") from error
    header: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    if header.get("format") != FORMAT:
        raise EngineError(f"memory {path} is of format {header.get('format')!r}, not {FORMAT!r}")
    data, ends = arrays["prints"].tobytes(), arrays["ends"].tolist()
    prints = (data[start:end] for start, end in pairwise([0, *ends]))
    return Memory(header["names"], list(prints))


@functools.cache
def shipped_memory() -> Memory:
    """The memory of the clips that the shipped generator was trained on."""
    return read_memory(WEIGHTS)


def _beginning(clip: Waveform) -> NDArray[np.float32]:
    return clip.samples[:, : round(_LONGEST_S * clip.sample_rate)]


def _recordings(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Names and paths of recordings; a table stands for those it lists."""
    for path in paths:
        if path.suffix.lower() in SUFFIXES:
            manifest = read_manifest(open_store(str(path.parent)), path.name)
            yield from ((name, path.parent / name) for name in map(manifest.name, range(len(manifest))))
        else:
            yield path.name, path


def _readable(recordings: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Waveform]]:
    for name, path in recordings:
        try:
            yield name, read_audio(path)
        except MediaError as error:
            log.warning("left out: %s", error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a memory of recordings, or of those that a manifest lists."""
    parser = argparse.ArgumentParser(prog="python -m audiodiff.generate.memory", description=main.__doc__)
    parser.add_argument("recordings", nargs="+", type=Path, help="audio files, or a manifest (CSV, Parquet, JSON)")
    parser.add_argument("out", type=Path, help="the file to write, a .safetensors")
    given = parser.parse_args(arguments)
    memory = remember(_readable(_recordings(given.recordings)))
    save_memory(memory, given.out)
    print(f"{len(memory.names)} clips, {given.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
