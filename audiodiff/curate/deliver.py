"""Second pass over a recording: cut out the clips that are kept, describe them, make their twins, write their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from audiodiff import layout
from audiodiff.caption import Captioner, Heard
from audiodiff.caption.merge import merge
from audiodiff.caption.tagger import Tagger
from audiodiff.curate.acoustics import acoustics
from audiodiff.curate.decide import KEPT
from audiodiff.curate.records import Acoustics, Clip
from audiodiff.curate.schema import CLIPS
from audiodiff.curate.sound import decode
from audiodiff.curate.sources import Source
from audiodiff.degrade.chain import Chain
from audiodiff.encode import AudioWriter, Encoding
from audiodiff.errors import ObjectMissing
from audiodiff.ledger import RETRY
from audiodiff.media import read_audio
from audiodiff.records import Item, Lane, Shard
from audiodiff.shards import Clock, Outcome
from audiodiff.storage import Store
from audiodiff.waveform import Block, Waveform

ENCODING: Encoding = "flac-24"

_BATCH = 8  # clips that captioners get at once, all in memory


@dataclass(frozen=True, slots=True)
class Delivery:
    """`Work` of the second pass: call it with an item, get its outcome; safe under threads.

    `rows` are those decided, by item. Each accepted clip gets `twins` degraded copies by the preset `twin`.
    """

    source: Source
    rows: dict[str, list[Clip]]
    captioners: tuple[Captioner, ...]
    tagger: Tagger
    twins: int
    twin: str

    @classmethod
    def of(
        cls, source: Source, shard: Shard, destination: Store, captioners: Sequence[Captioner], tagger: Tagger,
        twins: int, twin: str,
    ) -> Delivery:  # fmt: skip
        """The work on one shard."""
        rows: dict[str, list[Clip]] = {}
        for clip in CLIPS.decode(destination.read_bytes(layout.decided(shard.run_id, shard.name))):
            rows.setdefault(clip.item_id, []).append(clip)
        return cls(source, rows, tuple(captioners), tagger, twins, twin)

    def __call__(self, item: Item, shard: Shard, scratch: Path, clock: Clock) -> Outcome[Clip]:  # noqa: ARG002  as Work
        """Deliver one recording; errors of storage are raised, a recording that has changed is left to the next run."""
        rows = self.rows[item.item_id]
        if not any(row.lane in KEPT for row in rows):
            return Outcome(tuple(rows))
        try:
            with clock.stage("fetch"):
                path, digest = self.source.fetch(item.name, scratch)
        except ObjectMissing as error:
            return _left(rows[0], "missing", str(error))
        if digest != rows[0].source_sha256:
            return _left(rows[0], "changed", f"{item.name!r} changed while the run was reading it")
        with clock.stage("decode"):
            sound = decode(path, item.name, scratch)
        written: dict[str, list[tuple[Clip, Path]]] = {}
        kept = [row for row in rows if row.lane in KEPT]
        for first in range(0, len(kept), _BATCH):
            batch = kept[first : first + _BATCH]
            sounds = [
                Waveform(np.asarray(sound.samples[:, row.start : row.start + row.source_frames]), row.source_rate)
                for row in batch
            ]
            with clock.stage("describe"):
                described = self._described(item, batch, sounds)
            for row, clip in zip(described, sounds, strict=True):
                written[row.clip_id] = list(self._delivered(item, row, clip.samples, scratch, clock))
        pairs: list[tuple[Clip, Path | None]] = [
            pair for row in rows for pair in written.get(row.clip_id, [(row, None)])
        ]
        files = tuple(audio for _, audio in pairs if audio)
        audio_s = sum(row.source_duration_s for row in rows)
        return Outcome(tuple(clip for clip, _ in pairs), files, audio_s=audio_s)

    def _delivered(
        self, item: Item, row: Clip, samples: Block, scratch: Path, clock: Clock
    ) -> Iterator[tuple[Clip, Path]]:
        """The clip with its audio, then its twins with theirs."""
        with clock.stage("encode"):
            clean, audio = write_clip(row, samples, item, scratch)
        yield clean, audio
        for number in range(self.twins if row.lane is Lane.ACCEPTED else 0):
            with clock.stage("degrade"):
                chain = draw_twin(row.clip_id, number, self.twin)
                damaged = degrade(audio, chain)
            with clock.stage("encode"):
                yield write_clip(twin_of(clean, number, chain), damaged, item, scratch)

    def _described(self, item: Item, rows: Sequence[Clip], sounds: Sequence[Waveform]) -> list[Clip]:
        """The rows with all that captioners say of the clips."""
        tagged = self.tagger.tag(sounds)
        measured = [acoustics(sound) for sound in sounds]
        heard: list[Heard] = []
        for row, sound, figures, tags in zip(rows, sounds, measured, tagged, strict=True):
            assert row.scores is not None
            heard.append(Heard(item.name, sound, row.facts, row.scores, figures, tags.tags))
        said = [captioner.caption(heard) for captioner in self.captioners]
        done: list[Clip] = []
        for place, row in enumerate(rows):
            captions = tuple(caption for one in said if (caption := one[place]))
            whole = merge(captions)
            done.append(
                replace(
                    row,
                    acoustics=measured[place],
                    tags=tagged[place].tags,
                    embedding=tagged[place].embedding,
                    captions=captions,
                    caption=whole.text if whole else "",
                    caption_confidence=whole.confidence if whole else float("nan"),
                )
            )
        return done


def write_clip(row: Clip, samples: Block, item: Item, scratch: Path) -> tuple[Clip, Path]:
    """Encode a clip (C, T); its row as delivered, and the file. Peaks over full scale lower the clip as a whole."""
    peak = float(np.abs(samples).max(initial=0.0))
    gain = np.float32(min(1.0, 0.99 / peak) if peak > 1.0 else 1.0)
    target = scratch / layout.clip_name(item, row.clip_id, "flac")
    with AudioWriter(target, row.source_rate, len(samples), ENCODING, samples.shape[1]) as writer:
        writer.write(gain * samples)
    messages = (*row.messages, f"lowered by {-20.0 * np.log10(gain):.1f} dB") if gain < 1.0 else row.messages
    delivered = replace(
        row,
        messages=messages,
        file_name=target.name,
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        sample_rate=row.source_rate,
        channels=len(samples),
        bit_depth=writer.bit_depth,
        frames=writer.frames,
        duration_s=writer.frames / row.source_rate,
    )
    return delivered, target


def draw_twin(clip_id: str, number: int, preset: str) -> Chain:
    """The damage of a clip's twin, a function of the clip's id and the twin's number; never none at all."""
    seed = list(hashlib.sha256(f"{clip_id}:{number}:{preset}".encode()).digest())
    rng = np.random.default_rng(seed)
    chain = Chain.draw(preset, rng)
    while not chain.faults and preset != "clean":  # "archive" may draw nothing
        chain = Chain.draw(preset, rng)
    return chain


def degrade(clean: Path, chain: Chain) -> Block:
    """The samples (C, T) of a twin, from its clean clip as delivered: whoever has the dataset can make them again."""
    sound = read_audio(clean)
    return chain.apply(torch.from_numpy(sound.samples), sound.sample_rate).numpy()


def _left(row: Clip, reason: str, message: str) -> Outcome[Clip]:
    """A recording for the next run."""
    return Outcome((replace(row, lane=Lane.FAILED, reasons=(RETRY + reason,), messages=(message,)),))


def twin_of(row: Clip, number: int, chain: Chain) -> Clip:
    """The row of a degraded twin; what was measured of the clean clip does not hold for it."""
    return replace(
        row,
        clip_id=f"{row.clip_id}-{number}",
        twin_of=row.clip_id,
        degradation=chain.to_json(),
        scores=None,
        acoustics=Acoustics(),
        dc_offset=float("nan"),
        embedding=(),
        cluster="",
    )
