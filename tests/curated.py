"""Clips, hostile ones among them, and a run that curated them, for the tests of the dataset report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audiodiff.curate.records import Clip, Facts, Tag
from audiodiff.records import Lane, Scores
from audiodiff.report.dataset import DatasetSummary, Player, make_player
from audiodiff.waveform import Waveform

RATE = 48_000
HOSTILE = (
    "<script>window.__pwned = 1</script>",
    "</script><script>window.__pwned = 2</script>",
    '"><img src=x onerror="window.__pwned = 3">',
    "{{ 7 * 7 }}${7*7}'\"`",
    "two\nlines\u2028three",
    "reversed \u202egnp.exe",
    "not utf-8 \udcff\ud800",
)
EXPLAIN = {"low_bandwidth": "It stops too low & so on <b>."}


def clip(name: str, lane: Lane = Lane.ACCEPTED, seconds: float = 5.0, **changes: object) -> Clip:
    made = Clip(
        clip_id=name,
        item_id=name,
        source_uri=f"/raw/{name}",
        source_fingerprint="f",
        source_sha256="0" * 64,
        lane=lane,
        reasons=(),
        messages=(),
        engine="curate",
        engine_sha256="",
        recipe="cd" * 8,
        seed=1,
        params="{}",
        run_id="run-1",
        created_at="2026-11-24T02:10:00+00:00",
        shard="shard-00000",
        source_frames=round(seconds * RATE),
        source_rate=RATE,
        scores=Scores(-23.0, -3.0, 0.0, 0.0, 12_000.0, -50.0, 0.9, -70.0, -50.0, 0.0, 3.0, 3.0, 2.5),
    )
    return replace(made, **changes)


def out(name: str, reason: str, lane: Lane = Lane.REJECTED, **changes: object) -> Clip:
    return clip(name, lane, reasons=(reason,), messages=(f"{reason}: 1 where 2 is asked for",), **changes)


def hostile(text: str, place: int) -> Clip:
    facts = Facts(language=text, speaker=text, collection=text, labels=(text,))
    common = {"facts": facts, "license": text, "caption": text, "tags": (Tag(text, 0.9),), "embedding": (place, 1.0)}
    if place % 2:
        return clip(text, Lane.REJECTED, reasons=(text,), messages=(text,), duplicate_of=text, cluster=text, **common)
    return clip(text, split=text, **common)


def summary(**changes: object) -> DatasetSummary:
    made = DatasetSummary(
        run_id="run-1",
        source="/raw",
        destination="/dataset",
        started_at="2026-11-24T02:10:00+00:00",
        finished_at="2026-11-24T02:11:00+00:00",
        preset="captions",
        policy="commercial",
        recipe="cd" * 8,
        params='{"min_duration_s": 1, "note": "<i>"}',
        version="0.1.0",
        recordings=40,
        skipped=7,
        audio_s=900.0,
        wall_s=60.0,
        stage_s=(("decode", 10.0), ("caption", 45.0)),
    )
    return replace(made, **changes)


def tone_player() -> Player:
    t = np.arange(8 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * t)
    return make_player(Waveform(np.stack([tone, tone]).astype(np.float32), RATE), start_s=61.5)
