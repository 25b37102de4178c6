"""Takes, hostile ones among them, small sounds, and a run that drew them, for the tests of the library's report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.records import Prompt, Take
from audiodiff.records import Lane
from audiodiff.report.library import LibrarySummary
from audiodiff.waveform import Waveform

RATE = 48_000
HOSTILE = (
    "<script>window.__pwned = 1</script>",
    "</script><script>window.__pwned = 2</script>",
    '"><img src=x onerror="window.__pwned = 3">',
    "{{ 7 * 7 }}${7*7}'\"`",
    "two\nlines\u2028three",
    "reversed \u202egnp.exe",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",  # Hebrew and Arabic, which run from right to left
    "not utf-8 \udcff\ud800",
)


def take(words: str, number: int = 0, lane: Lane = Lane.ACCEPTED, line: int = 1, **changes: object) -> Take:
    """A take of a prompt; `changes` named like fields of `Prompt` go there, all others to the take."""
    asked = {name: changes.pop(name) for name in list(changes) if name in Prompt.__slots__ and name != "seed"}
    name = f"{''.join(c if c.isalnum() and c.isascii() else '-' for c in words[:40])}_{number + 1:02d}.wav"
    made = Take(
        take_id=f"{words}:{number}",
        item_id=words,
        source_uri="/tables/prompts.csv",
        source_fingerprint="f",
        source_sha256="0" * 64,
        lane=lane,
        reasons=(),
        messages=(),
        engine="audiodiff",
        engine_sha256="ab" * 32,
        recipe="cd" * 8,
        seed=9_007_199_254_740_993 + number,  # more than the 53 bits of a JavaScript number
        params="{}",
        run_id="run-1",
        created_at="2026-11-25T02:10:00+00:00",
        shard="shard-00000",
        row=line,
        take=number,
        prompt=replace(Prompt(words), **asked),
        steps=8,
        guidance=2.5,
        rank=number + 1,
        score=0.9 - 0.125 * number,
        file_name=name,
        sha256="0" * 64,
        sample_rate=RATE,
        channels=1,
        bit_depth=24,
        frames=2 * RATE,
        duration_s=2.0,
        delivered_lufs=-23.04,
        delivered_true_peak_db=-3.0,
        measures=TakeMeasures(lufs=-31.5, match=0.87),
        category_id="AMBMisc",
    )
    return replace(made, **changes)


def out(words: str, reason: str, lane: Lane = Lane.REVIEW, number: int = 0, **changes: object) -> Take:
    message = f"{reason}: 1 where 2 is asked for"
    return take(words, number, lane, reasons=(reason,), messages=(message,), **changes)


def failed(words: str, reason: str, message: str, line: int = 1) -> Take:
    """A row of the table that could not be used."""
    nothing = {"file_name": None, "prompt": None, "measures": None, "rank": 0, "category_id": ""}
    return replace(take(words, 0, Lane.FAILED, line), reasons=(reason,), messages=(message,), **nothing)


def hostile(text: str, line: int) -> Take:
    made = take(text, 0, Lane.REVIEW, line, text=text, negative=text, reference=text, edit="continue", category_id=text)
    name = text.replace("\ud800", "") + ".wav"  # no file can have half a character in its name
    return replace(made, reasons=(text,), messages=(text,), file_name=name, license=text)


def summary(**changes: object) -> LibrarySummary:
    made = LibrarySummary(
        run_id="run-1",
        table="/tables/prompts.csv",
        destination="/library",
        generator="audiodiff",
        generator_sha256="ab" * 32,
        license="CC0-1.0",
        recipe="cd" * 8,
        params='{"best_of": 3, "note": "<i>"}',
        version="0.1.0",
        started_at="2026-11-25T02:10:00+00:00",
        finished_at="2026-11-25T02:11:00+00:00",
        wall_s=60.0,
        audio_s=240.0,
        stage_s=(("draw", 40.0), ("judge", 15.0)),
        prompts=20,
        skipped=3,
    )
    return replace(made, **changes)


def tone(seconds: float = 2.0, hz: float = 440.0, channels: int = 1) -> Waveform:
    """A tone that begins and ends within a period: of a whole number of them it is a perfect loop."""
    t = np.arange(round(seconds * RATE)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * hz * t + 0.9)
    return Waveform(np.tile(samples, (channels, 1)).astype(np.float32), RATE)


def rain(seconds: float = 2.0, channels: int = 1, seed: int = 0) -> Waveform:
    """White noise."""
    samples = np.random.default_rng(seed).normal(0, 0.2, (channels, round(seconds * RATE)))
    return Waveform(samples.astype(np.float32), RATE)
