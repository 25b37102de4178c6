"""NeMo manifests: `train_manifest.jsonl`, ..., one line per clip, whose audio stays where it is.

`audio_filepath` is relative to the manifest, as NeMo resolves it; `text` is the transcript, "" where nobody speaks.
A degraded twin has its clean clip in `clean_filepath`. Source: NVIDIA NeMo, "Preparing Custom ASR Data".
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from audiodiff.curate.exports.clips import as_json, audio_path, describe, duration_s, families, split_of
from audiodiff.curate.exports.parts import sweep
from audiodiff.curate.records import Clip
from audiodiff.storage import Store


def export(destination: Store, shards: Sequence[str], scratch: Path, folder: str = "exports/nemo") -> list[str]:
    """Write one manifest per split; see `Export`."""
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        _write_lines(destination, shards, Path(temporary), folder)
        paths = {f"{folder}/{path.name}": path for path in sorted(Path(temporary).iterdir())}
        for name, path in paths.items():
            destination.write_file(name, path)
    sweep(destination, folder, paths)
    return list(paths)


def _write_lines(destination: Store, shards: Sequence[str], local: Path, folder: str) -> None:
    files: dict[str, BinaryIO] = {}
    with ExitStack() as stack:
        for clips in families(destination, shards):
            names = {clip.clip_id: posixpath.relpath(audio_path(clip), folder) for clip in clips}
            for clip in clips:
                split = split_of(clip)
                if split not in files:
                    path = local / f"{split}_manifest.jsonl"
                    files[split] = stack.enter_context(path.open("wb"))
                files[split].write(as_json(_entry(clip, names)) + b"\n")


def _entry(clip: Clip, names: dict[str, str]) -> dict[str, Any]:
    clean = {"clean_filepath": names[clip.twin_of]} if clip.twin_of else {}
    return {
        "audio_filepath": names[clip.clip_id],
        "duration": duration_s(clip),
        "text": clip.facts.transcript,
        "lang": clip.facts.language,
        **clean,
        **describe(clip),
    }
