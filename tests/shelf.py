"""A small curated destination, synthesised: two shards, three splits, mono and stereo, FLAC and WAV, and twins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiodiff import layout
from audiodiff.curate.records import Clip, Facts, Tag
from audiodiff.curate.schema import CLIPS
from audiodiff.encode import AudioWriter, Encoding
from audiodiff.records import Lane
from audiodiff.storage import Store
from audiodiff.waveform import Waveform

RATE = 48_000
SHARDS = ("shard-00000", "shard-00001")


def sweep(number: int, channels: int = 1) -> Waveform:
    """A chirp of about a tenth of a second, another for each number and channel, whose samples 24 bits hold exactly."""
    t = np.arange(4_800 + number) / RATE
    tones = [np.sin(2 * np.pi * (200 + 40 * number + 90 * channel + 3_000 * t) * t) for channel in range(channels)]
    return Waveform((np.round(0.5 * np.stack(tones) * 2**23) / 2**23).astype(np.float32), RATE)


def clip(number: int, shard: str, **changes: object) -> Clip:
    made = Clip(
        clip_id=hashlib.sha256(str(number).encode()).hexdigest()[:16],
        item_id=f"{number:016x}",
        source_uri=f"/raw/{number}.wav",
        source_fingerprint="f",
        source_sha256="0" * 64,
        lane=Lane.ACCEPTED,
        reasons=(),
        messages=(),
        engine="curate",
        engine_sha256="",
        recipe="captions-0123456789ab",
        seed=0,
        params="{}",
        run_id="run-1",
        created_at="2026-11-24T02:10:00+00:00",
        shard=shard,
        start=RATE,
        source_frames=sweep(number).frames,
        source_rate=RATE,
        license="CC-BY-4.0" if number % 2 else "CC0-1.0",
        attribution=f"Sweeper {number}" if number % 2 else "",
        facts=Facts(transcript=f"word {number}", language="en", speaker="ann", title=f'Chirp "{number}"'),
        split=("train", "train", "validation", "test")[number % 4],
        tags=(Tag("Chirp", 0.9),),
        caption=f"A chirp, number {number} \u2013 rising.",
        caption_confidence=0.8,
        embedding=(0.5, float(number)),
    )
    return replace(made, **changes)


def stored(store: Store, made: Clip, sound: Waveform, scratch: Path, encoding: Encoding = "flac-24") -> Clip:
    """The row with its audio, once that is stored."""
    path = scratch / f"chirp.v1-{made.clip_id}.{encoding.partition('-')[0]}"
    with AudioWriter(path, RATE, sound.channels, encoding, sound.frames) as writer:
        writer.write(sound.samples)
    row = replace(
        made,
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        sample_rate=RATE,
        channels=sound.channels,
        bit_depth=writer.bit_depth,
        frames=sound.frames,
        duration_s=sound.duration_s,
    )
    assert row.audio_path is not None
    store.write_file(row.audio_path, path)
    return row


def write_rows(store: Store, folder: str, shard: str, rows: Sequence[Clip]) -> None:
    name = layout.ledger(shard) if folder == "ledger" else f"{folder}/{shard}/metadata.parquet"
    store.write_bytes(name, CLIPS.encode(rows))


def fill(store: Store, scratch: Path) -> dict[str, Waveform]:
    """Write a destination; the sound by clip id. Of each shard: four accepted clips, two twins, one row rejected."""
    sounds: dict[str, Waveform] = {}
    scratch.mkdir(exist_ok=True)
    for place, shard in enumerate(SHARDS):
        clean, twins = [], []
        for number in range(4 * place, 4 * place + 4):
            sound = sweep(number, channels=1 + (number == 2))
            clean.append(stored(store, clip(number, shard), sound, scratch, "wav-24" if number == 3 else "flac-24"))
            sounds[clean[-1].clip_id] = sound
        for row in clean[:2]:
            sound = Waveform(-sounds[row.clip_id].samples, RATE)
            twin = replace(row, clip_id=f"{row.clip_id}-0", twin_of=row.clip_id, degradation='[{"fault": "polarity"}]')
            twins.append(stored(store, twin, sound, scratch))
            sounds[twin.clip_id] = sound
        out = clip(100 + place, shard, lane=Lane.REJECTED, reasons=("too_short",), messages=("0.1 s",), license="")
        write_rows(store, "library", shard, clean)
        write_rows(store, "degraded", shard, twins)
        write_rows(store, "ledger", shard, [*clean, *twins, out])
    return sounds
