"""The work on a prompt of `generate_library`: draw takes, judge and rank them, finish and name the best, and say so."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from audiodiff import __version__, layout
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.encode import write_audio
from audiodiff.errors import ConfigError, MediaError, StorageError
from audiodiff.gates import explain as explain_any
from audiodiff.generate import judging, prompts
from audiodiff.generate.broadcast import Description, add_chunks
from audiodiff.generate.finish import Finish, Finished, finish, max_momentary_lufs
from audiodiff.generate.judging import judge
from audiodiff.generate.measures import Ears, TakeMeasures, measure
from audiodiff.generate.memory import likeness_among
from audiodiff.generate.provenance import c2pa_identity, c2pa_wanted, provenance, sign_c2pa
from audiodiff.generate.ranking import Ranked, rank
from audiodiff.generate.records import Draw, Prompt, Request, Take, take_id, take_seed
from audiodiff.generate.table import PromptTable
from audiodiff.generate.ucs import Category, Table, categorise, file_name, fx_name
from audiodiff.generators import Generator
from audiodiff.ledger import RETRY
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.records import Item, Lane, Shard
from audiodiff.shards import Clock, Outcome
from audiodiff.waveform import Waveform

Format = Literal["wav-24", "flac-24"]
MORE = 2
"""Rounds at most: a prompt whose takes fail is drawn again, and then its shortfall is told."""

OUTRANKED, NOT_SERVED = "outranked", "not_served"
EXPLANATIONS = {
    **prompts.EXPLANATIONS,
    **judging.EXPLANATIONS,
    OUTRANKED: "Enough takes of its prompt are better; its row has all that is needed to draw it again.",
    NOT_SERVED: "The engine cannot make what the row asks for, or the category is unknown.",
}

_NUMBERED = 2  # numbers stand in all names: of one take wanted, several may be in review


@dataclass(frozen=True, slots=True)
class Job:
    """What all prompts of a run share. `recipe` names everything that decides the result; `params` is it as JSON.

    `draws` takes are drawn for each one asked. `creator` and `library` are the CreatorID and SourceID of UCS names.
    """

    draw: Draw
    draws: int
    finish: Finish
    format: Format
    creator: str
    library: str
    recipe: str
    params: str


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A take as it came from the generator, measured and judged."""

    request: Request
    sound: Waveform
    measures: TakeMeasures
    fit: bool
    print: bytes


class Generation:
    """`Work` for `run_shard`: call it with an item, get its takes. Safe under threads; one model call at a time."""

    def __init__(self, table: PromptTable, job: Job, generator: Generator, ears: Ears, categories: Table) -> None:
        self.table, self.job, self.generator = table, job, generator
        self.ears, self.categories = ears, categories
        self.model = threading.Lock()

    def __call__(self, item: Item, shard: Shard, scratch: Path, clock: Clock) -> Outcome[Take]:
        """Draw one prompt's takes; what is wrong with the prompt becomes its row, storage errors are raised."""
        blank = self._blank(item, shard)
        row = self.table.row(item.name)
        if row.problem:
            return Outcome((replace(blank, reasons=(row.problem.reason,), messages=(row.problem.message,)),))
        assert row.prompt is not None
        blank = replace(blank, prompt=row.prompt)
        try:
            return self._library(item, row.prompt, blank, scratch, clock)
        except ConfigError as error:  # a prompt that this generator cannot serve, or a category that is none
            return Outcome((replace(blank, reasons=(NOT_SERVED,), messages=(str(error),)),))
        except MediaError as error:
            return Outcome((replace(blank, reasons=(error.reason,), messages=(str(error),)),))
        except (StorageError, MemoryError, torch.OutOfMemoryError):
            raise  # not this prompt's doing: the shard is tried again
        except Exception as error:  # one prompt must not hold up a shard; the next run tries it again
            return Outcome((replace(blank, reasons=(RETRY + type(error).__name__,), messages=(str(error),)),))

    def _blank(self, item: Item, shard: Shard) -> Take:
        return Take(
            take_id=take_id(item.item_id, 0),
            item_id=item.item_id,
            source_uri=self.table.object_uri(item.name),
            source_fingerprint=item.fingerprint,
            source_sha256=self.table.sha256(item.name),
            lane=Lane.FAILED,
            reasons=(),
            messages=(),
            engine=self.generator.name,
            engine_sha256=self.generator.sha256,
            recipe=self.job.recipe,
            seed=0,
            params=self.job.params,
            run_id=shard.run_id,
            created_at=datetime.now(UTC).isoformat(),
            shard=shard.name,
            row=self.table.row(item.name).line,
            take=0,
        )

    def _library(self, item: Item, prompt: Prompt, blank: Take, scratch: Path, clock: Clock) -> Outcome[Take]:
        reference = self._reference(prompt, scratch, clock)
        drawn = self._draw_enough(item, prompt, reference, clock)
        takes: list[Take] = []
        files: list[Path] = []
        room = dict.fromkeys(layout.AUDIO_LANES, prompt.count)  # in each lane, so that nobody has to hear them all
        for place, ranked in enumerate(self._ranked(drawn, prompt, clock), start=1):
            one, lane = drawn[ranked.index], ranked.verdict.lane
            take = self._told(blank, one, ranked, place)
            if not room[lane]:
                takes.append(replace(take, lane=Lane.REJECTED, reasons=(*take.reasons, OUTRANKED)))
                continue
            room[lane] -= 1
            delivered, file = self._delivered(take, one, prompt, scratch, clock)
            takes.append(delivered)
            files.append(file)
        return Outcome(tuple(takes), tuple(files), None, sum(one.sound.duration_s for one in drawn))

    def _reference(self, prompt: Prompt, scratch: Path, clock: Clock) -> Waveform | None:
        if not prompt.reference:
            return None
        with clock.stage("fetch"):
            return read_audio(self.table.fetch_reference(prompt.reference, scratch))

    def _draw_enough(self, item: Item, prompt: Prompt, reference: Waveform | None, clock: Clock) -> list[_Drawn]:
        """As many takes as are wanted for the best of them to be chosen, and more where too few are fit."""
        drawn: list[_Drawn] = []
        missing = prompt.count
        for _ in range(MORE):
            numbers = range(len(drawn), len(drawn) + missing * self.job.draws)
            requests = [Request(prompt, n, take_seed(item.item_id, prompt.seed, n), reference) for n in numbers]
            for start in range(0, len(requests), self.generator.batch):
                drawn += self._draw(requests[start : start + self.generator.batch], clock)
            missing = prompt.count - sum(one.fit for one in drawn)
            if missing <= 0:
                break
        return drawn

    def _draw(self, requests: Sequence[Request], clock: Clock) -> list[_Drawn]:
        with self.model, clock.stage("model"):
            sounds = self.generator.generate(requests, self.job.draw)
        with clock.stage("judge"):
            return [self._judged(request, sound) for request, sound in zip(requests, sounds, strict=True)]

    def _judged(self, request: Request, sound: Waveform) -> _Drawn:
        measures = measure(sound, request.prompt, self.ears)
        fit = judge(measures, request.prompt).lane is Lane.ACCEPTED
        print_ = fingerprint(np.nan_to_num(sound.samples, posinf=0.0, neginf=0.0), sound.sample_rate)
        return _Drawn(request, sound, measures, fit, print_)

    def _ranked(self, drawn: Sequence[_Drawn], prompt: Prompt, clock: Clock) -> list[Ranked]:
        with clock.stage("judge"):
            return rank([one.measures for one in drawn], prompt, likeness_among([one.print for one in drawn]))

    def _told(self, blank: Take, drawn: _Drawn, ranked: Ranked, place: int) -> Take:
        """The row of a take before it is delivered."""
        how = self.generator.resolve(drawn.request, self.job.draw)
        return replace(
            blank,
            take_id=take_id(blank.item_id, drawn.request.take),
            lane=ranked.verdict.lane,
            reasons=ranked.verdict.reasons,
            messages=(*ranked.verdict.messages, f"ranked {place}: {ranked.why}"),
            seed=drawn.request.seed,
            take=drawn.request.take,
            steps=how.steps,
            guidance=how.guidance,
            rank=place,
            score=ranked.score,
            measures=ranked.measures,
            license=self.generator.license,
        )

    def _delivered(self, take: Take, drawn: _Drawn, prompt: Prompt, scratch: Path, clock: Clock) -> tuple[Take, Path]:
        """The file of a take: finished, named and described; and the row that tells of it."""
        with clock.stage("deliver"):
            done = finish(drawn.sound, prompt.kind, prompt.loop, self.job.finish)
            category = categorise(prompt, self.categories)
            suffix = f".{self.job.format.partition('-')[0]}"
            number, creator, library = drawn.request.take, self.job.creator, self.job.library
            name = file_name(category, prompt, number, _NUMBERED, creator, library, take.item_id, suffix=suffix)
            write_audio(scratch / name, done.waveform, self.job.format)
            take = _with_audio(take, name, done, category)
            add_chunks(scratch / name, self._description(take, done, category, prompt))
            if c2pa_wanted():
                sign_c2pa(scratch / name, provenance(take), *c2pa_identity())
        with (scratch / name).open("rb") as file:
            return replace(take, sha256=hashlib.file_digest(file, "sha256").hexdigest()), scratch / name

    def _description(self, take: Take, done: Finished, category: Category, prompt: Prompt) -> Description:
        """What is written into the file; no time of day, so that the same take is the same file."""
        return Description(
            title=fx_name(category, prompt),
            text=prompt.text or prompt.prompt,
            category=category.category,
            subcategory=category.subcategory,
            category_id=category.cat_id,
            keywords=tuple(dict.fromkeys(re.findall(r"\w+", prompt.prompt.lower()))),
            library=self.job.library,
            take=take.take + 1,
            creator=self.job.creator,
            reference=take.take_id,
            license=take.license,
            software=f"audiodiff {__version__}",
            provenance=provenance(take),
            lufs=take.delivered_lufs,
            true_peak_db=take.delivered_true_peak_db,
            momentary_lufs=max_momentary_lufs(done.waveform, prompt.loop),
            loop=prompt.loop,
        )


def _with_audio(take: Take, name: str, done: Finished, category: Category) -> Take:
    meter = Meter(done.waveform.sample_rate, done.waveform.channels, dnsmos=False)
    meter.push(done.waveform.samples)
    scores = meter.scores()
    return replace(
        take,
        file_name=name,
        messages=(*take.messages, *done.messages),
        sample_rate=done.waveform.sample_rate,
        channels=done.waveform.channels,
        bit_depth=24,
        frames=done.waveform.frames,
        duration_s=done.waveform.duration_s,
        delivered_lufs=scores.lufs,
        delivered_true_peak_db=scores.true_peak_db,
        category_id=category.cat_id,
    )


def explain(reason: str) -> str:
    """What a reason of a generated library means."""
    return EXPLANATIONS.get(reason) or explain_any(reason)
