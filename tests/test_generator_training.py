"""The generator's pack and training: what is packed, what a batch holds, and that a run goes on where it stopped."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from audiodiff.encode import write_audio
from audiodiff.generate.memory import read_memory
from audiodiff.generate.speech.phones import phone_ids
from audiodiff.generators.checkpoint import load_drawer
from audiodiff.nets.meldit import MelDiTConfig
from audiodiff.training import captioned
from audiodiff.training.captioned import INDEX, PHONES
from audiodiff.training.generating import (
    CHECKPOINT,
    CaptionedPack,
    GeneratorRecipe,
    draw_batch,
    new_generator_state,
    train_generator,
    train_step,
)
from audiodiff.training.state import save_state
from audiodiff.waveform import Waveform

RATE = 48_000
SMALL = GeneratorRecipe(
    steps=4, frames=192, windows=(96,), bfloat16=False, net=MelDiTConfig(width=32, blocks=1, heads=2, hidden=32)
)
COLUMNS = ["path", "kind", "source", "original_file", "licence", "attribution", "label", "speaker",
           "transcript_or_caption"]  # fmt: skip


def write_sound(path: Path, seconds: float, seed: int = 0) -> None:
    noise = np.random.default_rng(seed).normal(0.0, 0.1, (1, round(seconds * RATE)))
    noise[:, : round(0.3 * RATE)] *= 0.001  # it begins a little later
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, Waveform(noise.astype(np.float32), RATE), "flac-16")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pack of two effects, a piece of music and a sentence; and its memory."""
    folder = tmp_path_factory.mktemp("kit")
    esc = {"kind": "sfx", "source": "github:karoldvl/ESC-10", "licence": "CC0-1.0", "attribution": "somebody"}
    rows = [
        esc | {"path": "dog.flac", "original_file": "1-1.ogg", "label": "Dog bark", "transcript_or_caption": "a dog"},
        esc | {"path": "held.flac", "original_file": "4-1.ogg", "label": "Dog bark", "transcript_or_caption": "a dog"},
        esc | {"path": "rain.flac", "original_file": "2-1.ogg", "label": "Rain", "transcript_or_caption": "rain"},
        {"path": "said.flac", "kind": "speech", "speaker": "anna", "licence": "CC0-1.0", "attribution": "anna"},
        {"path": "tiny.flac", "kind": "sfx", "label": "click", "transcript_or_caption": "a click"},
    ]
    for number, row in enumerate(rows):
        write_sound(folder / row["path"], 0.05 if row["path"] == "tiny.flac" else 2.0, number)
    write_sound(folder / "songs" / "slow-song2.flac", 3.0, 9)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    aligned = {"path": "said.flac", "phones": [["SIL", "HH", "AY"]], "starts_s": [[0.0, 0.5, 1.0]]}
    pd.DataFrame(aligned).to_parquet(folder / "anna.parquet")
    arguments = [str(folder / "manifest.csv"), str(folder / "pack"), "--voice", str(folder / "anna.parquet"),
                 "--package", f"music:CC-BY-4.0:calm music, {{name}}:{folder / 'songs'}",
                 "--memory", str(folder / "memory.safetensors")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["captioned", *arguments])
        captioned.main()
    return folder / "pack", folder / "memory.safetensors"


def test_a_pack_holds_what_is_trained_on_and_nothing_held_out(packed: tuple[Path, Path]) -> None:
    index = pd.read_parquet(packed[0] / INDEX)
    assert list(index.path) == ["dog.flac", "rain.flac", "slow-song2.flac", "said.flac"]
    assert list(index.kind) == ["sfx", "sfx", "music", "voice"]
    assert set(index.captions[0]) > {"a dog barking"}
    assert list(index.captions[2]) == ["calm music, slow song"]
    assert list(index.start[1:]) == list(np.cumsum(index.frames)[:-1])


def test_phones_lie_where_they_are_spoken(packed: tuple[Path, Path]) -> None:
    index = pd.read_parquet(packed[0] / INDEX)
    phones = np.load(packed[0] / PHONES)
    spoken = phones[int(index.start[3]) :]
    at = [spoken[round(second * 93.75)] for second in (0.25, 0.75, 1.5)]
    assert at == phone_ids(["SIL", "HH", "AY"])
    assert not phones[: int(index.start[3])].any()


def test_the_memory_has_every_sound_that_was_trained_on(packed: tuple[Path, Path]) -> None:
    names = {name.rpartition("/")[2] for name in read_memory(packed[1]).names}
    assert names == {"dog.flac", "rain.flac", "slow-song2.flac", "said.flac"}


def test_a_batch_depends_on_its_step_alone(packed: tuple[Path, Path]) -> None:
    pack = CaptionedPack(packed[0])
    one, same, other = (draw_batch(pack, SMALL, step) for step in (3, 3, 4))
    assert one.levels.shape == (2, 128, 96)
    assert torch.equal(one.levels, same.levels)
    assert not torch.equal(one.levels, other.levels)
    some = torch.cat([draw_batch(pack, SMALL, step).levels for step in range(20)])
    assert abs(float(some.median())) < 0.5  # scaled: most of what sounds lies about zero


def test_a_share_of_sounds_is_told_nothing(packed: tuple[Path, Path]) -> None:
    pack = CaptionedPack(packed[0])
    wishes = [draw_batch(pack, replace(SMALL, silence=0.4), step).wish for step in range(60)]
    silent = torch.cat([wish.kind for wish in wishes]) == 0
    assert 0.2 < float(silent.float().mean()) < 0.6
    assert not torch.cat([wish.text for wish in wishes])[silent].any()
    assert not torch.cat([wish.phones for wish in wishes])[silent].any()


def test_a_run_goes_on_where_it_stopped(packed: tuple[Path, Path], tmp_path: Path) -> None:
    pack = CaptionedPack(packed[0])
    whole = train_generator(pack, SMALL, tmp_path / "whole", "cpu")
    half = new_generator_state(SMALL, torch.device("cpu"))
    for step in range(2):
        train_step(half, SMALL, draw_batch(pack, SMALL, step))
    save_state(half, tmp_path / "half")
    resumed = train_generator(pack, SMALL, tmp_path / "half", "cpu")
    assert resumed.step == whole.step == 4
    for ours, theirs in zip(resumed.net.parameters(), whole.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    drawer = load_drawer(tmp_path / "whole" / CHECKPOINT)
    assert drawer.scale == pack.scale
