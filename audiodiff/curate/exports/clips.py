"""What exports are made of: the accepted clips of a destination with their degraded twins, and their audio."""

from __future__ import annotations

import functools
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiodiff import layout, schema
from audiodiff.curate.records import Clip
from audiodiff.curate.schema import CLIPS
from audiodiff.errors import CommitError, ObjectMissing
from audiodiff.storage import Store

_FETCHERS = 8  # threads; a clip is small, so that S3 answers slower than it sends


def accepted(destination: Store, shard: str) -> list[Clip]:
    """The clean clips of a shard in the order of their ids, none if it has no metadata."""
    return _read(destination, layout.table("library", shard))


def twins(destination: Store, shard: str) -> list[Clip]:
    """The degraded twins of a shard's clips in the order of their ids."""
    return _read(destination, layout.table("degraded", shard))


def families(destination: Store, shards: Sequence[str]) -> Iterator[list[Clip]]:
    """For each shard its clean clips, each followed by its twins, which take its split.

    Raises CommitError for a twin without its clean clip.
    """
    for shard in sorted(shards):
        by_clean = defaultdict(list)
        for twin in twins(destination, shard):
            by_clean[twin.twin_of].append(twin)
        together: list[Clip] = []
        for clip in accepted(destination, shard):
            together += [clip, *(replace(twin, split=clip.split) for twin in by_clean.pop(clip.clip_id, []))]
        if by_clean:
            raise CommitError(f"{shard} has degraded twins of clips that are not in library: {sorted(by_clean)[:5]}")
        yield together


def with_audio(destination: Store, shards: Sequence[str], scratch: Path) -> Iterator[tuple[Clip, Path]]:
    """The clips of `families`, each with a local copy of its audio that lasts until the next shard.

    Raises CommitError where a file's checksum is not that of its row.
    """
    for clips in families(destination, shards):
        with tempfile.TemporaryDirectory(dir=scratch) as folder, ThreadPoolExecutor(_FETCHERS) as pool:
            fetch = functools.partial(_fetch, destination, Path(folder))
            yield from zip(clips, pool.map(fetch, clips), strict=True)


def split_of(clip: Clip) -> str:
    """The clip's split, "all" where the set has none."""
    return clip.split or "all"


def describe(clip: Clip) -> dict[str, Any]:
    """What a trainer wants to know of a clip, as JSON takes it."""
    return {
        "clip_id": clip.clip_id,
        "twin_of": clip.twin_of,
        "degradation": json.loads(clip.degradation or "null"),
        "split": clip.split,
        "caption": clip.caption,
        "caption_confidence": None if math.isnan(clip.caption_confidence) else clip.caption_confidence,
        "transcript": clip.facts.transcript,
        "language": clip.facts.language,
        "speaker": clip.facts.speaker,
        "title": clip.facts.title,
        "labels": list(clip.facts.labels),
        "tags": {tag.label: tag.confidence for tag in clip.tags},
        "license": clip.license,
        "attribution": clip.attribution,
        "source_uri": clip.source_uri,
        "start_s": clip.start / clip.source_rate if clip.source_rate else 0.0,
        "duration_s": duration_s(clip),
        "sample_rate": clip.sample_rate,
        "channels": clip.channels,
        "bit_depth": clip.bit_depth,
        "frames": clip.frames,
        "sha256": clip.sha256,
    }


def as_json(record: dict[str, Any]) -> bytes:
    """A record as one line of JSON, with stray bytes of names spelt out."""
    return schema.printable_name(json.dumps(record, ensure_ascii=False)).encode()


def duration_s(clip: Clip) -> float:
    """Length of the clip's audio, exactly that of its frames: readers compare."""
    return clip.frames / clip.sample_rate


def audio_path(clip: Clip) -> str:
    """The name of the clip's audio in the destination, which every exported clip has."""
    assert clip.audio_path is not None
    return clip.audio_path


def _read(destination: Store, name: str) -> list[Clip]:
    try:
        data = destination.read_bytes(name)
    except ObjectMissing:  # all its items went to other lanes
        return []
    return sorted(CLIPS.decode(data), key=lambda clip: clip.clip_id)


def _fetch(destination: Store, folder: Path, clip: Clip) -> Path:
    name = audio_path(clip)
    path = folder / f"{clip.clip_id}{Path(name).suffix}"
    if destination.fetch(name, path) != clip.sha256:
        raise CommitError(f"{destination.object_uri(name)} does not have the checksum of its row")
    return path
