"""Where things lie in a destination; the only place that spells these names."""

from __future__ import annotations

import re

from audiodiff.records import Item, Lane

AUDIO_LANES = (Lane.ACCEPTED, Lane.REVIEW, Lane.REJECTED)
AUDIO_FOLDERS = (*(lane.folder for lane in AUDIO_LANES), "removed", "degraded")
LONGEST_STEM = 80


def shard_name(number: int) -> str:
    """`shard-00042`."""
    return f"shard-{number:05d}"


def shard_number(name: str) -> int:
    """42 for `shard-00042`."""
    return int(name.removeprefix("shard-"))


def ledger(shard: str) -> str:
    """The commit of a shard: before this object exists nothing counts, after it nothing is redone."""
    return f"ledger/{shard}.parquet"


def metadata(audio: str) -> str:
    """The table beside an audio file: one for each folder of a shard."""
    return f"{audio.rpartition('/')[0]}/metadata.parquet"


def examined(shard: str) -> str:
    """What the first pass of a curation found in a shard's recordings, with fingerprints: the index of later runs."""
    return f"examined/{shard}.parquet"


def decided(run_id: str, shard: str) -> str:
    """What was decided over a shard's clips; they become its ledger rows once their audio is written."""
    return run(run_id, f"decided/{shard}.parquet")


def table(folder: str, shard: str) -> str:
    """The metadata of a shard's audio in one folder: `library`, `review`, `degraded`."""
    return metadata(f"{folder}/{shard}/")


def run(run_id: str, name: str) -> str:
    """An object of a run: `plan.parquet`, `config.json`, `report.html`, `summary.json`, ..."""
    return f"runs/{run_id}/{name}"


def previews(run_id: str, shard: str) -> str:
    """The report's excerpts of one shard."""
    return run(run_id, f"previews/{shard}.parquet")


def output_name(item: Item, suffix: str) -> str:
    """A file name any system takes: the source's stem made harmless, and the item's id to keep it unique."""
    return f"{_harmless(item)}-{item.item_id[:8]}.{suffix}"


def clip_name(item: Item, clip_id: str, suffix: str) -> str:
    """The same for one clip of a recording, or for a degraded twin (`0123456789abcdef-1`)."""
    return f"{_harmless(item)}-{clip_id}.{suffix}"


def _harmless(item: Item) -> str:
    stem = item.name.rpartition("/")[2].rpartition(".")[0] or item.name.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:LONGEST_STEM] or "audio"
