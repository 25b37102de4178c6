"""Pipelines of diffusers, loaded by their real `from_pretrained` from tiny folders, offline."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tiny_pipelines import PIPELINES, RATE_HZ, save_pipeline

from audiodiff.errors import ConfigError, EngineError
from audiodiff.generate.records import Draw, Prompt, Request
from audiodiff.generators import open_generator
from audiodiff.generators.limits import guidance_of
from audiodiff.generators.pipelines import FAMILIES, PipelineGenerator, load
from audiodiff.generators.pipelines.family import Call
from audiodiff.waveform import Block, Waveform

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning"),
    pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning"),
    pytest.mark.filterwarnings("ignore:Should have t:UserWarning"),  # torchsde, for a rounding error
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),  # AudioLDM2Pipeline's
    pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning"),  # load_config's
]

FEW = Draw(steps=2)
LENGTH_S = 0.1
DEAF = {"ace_step", "ace_step_turbo"}
"""They take no negative prompt."""

Make = Callable[[str], PipelineGenerator]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("pipelines")

    def folder(name: str) -> Path:
        return root / name if (root / name).exists() else save_pipeline(name, root / name)

    return folder


@pytest.fixture(scope="module")
def make(folders: Callable[[str], Path]) -> Make:
    loaded: dict[str, PipelineGenerator] = {}

    def generator(name: str) -> PipelineGenerator:
        if name not in loaded:
            loaded[name] = load(str(folders(name)), "cpu")
        return loaded[name]

    return generator


def request(generator: PipelineGenerator, words: str = "a dog barks", seed: int = 1, **more: Any) -> Request:
    """For whatever kind the generator makes."""
    kind = "voice" if "voice" in generator.kinds else "music"
    reference = more.pop("reference", None)
    return Request(Prompt(words, kind, **{"duration_s": LENGTH_S, "text": words} | more), 0, seed, reference)


def drawn(generator: PipelineGenerator, *requests: Request, draw: Draw = FEW) -> list[Block]:
    return [take.samples for take in generator.generate(requests, draw)]


def differ(one: Block, other: Block) -> bool:
    """By more than rounding."""
    return float(np.abs(one - other).max()) > 1e-4 * float(one.std())


def tone(seconds: float = 0.2, rate: int = 44_100) -> Waveform:
    wave = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(round(seconds * rate)) / rate)
    return Waveform(wave[None].astype(np.float32), rate)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_take_follows_from_its_seed_alone(name: str, make: Make) -> None:
    """Whatever it is drawn together with, and however often."""
    generator = make(name)
    wanted = request(generator)
    (take,) = drawn(generator, wanted)
    assert np.abs(take).max() > 0.0
    assert np.array_equal(drawn(generator, wanted)[0], take)
    others = [request(generator, seed=2), request(generator, "rain on the tin roof of a shed"), wanted]
    others.append(request(generator, negative="hum", duration_s=2 * LENGTH_S))
    seed, words, same, longer = drawn(generator, *others)
    assert not differ(take, same)
    assert differ(take, seed)
    assert differ(take, words)
    assert longer.shape[1] == 2 * take.shape[1]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_length_is_obeyed_to_the_sample(name: str, make: Make) -> None:
    generator = make(name)
    assert generator.sample_rate == RATE_HZ
    for seconds in (0.0333, 0.125):
        (take,) = drawn(generator, request(generator, duration_s=seconds))
        assert (take.dtype, take.shape[1]) == (np.float32, round(seconds * RATE_HZ))


@pytest.mark.parametrize("name", PIPELINES)
def test_negative_prompts_and_influence_are_heard(name: str, make: Make) -> None:
    """By all that are guided and hear negative prompts at all; the others take them too."""
    generator = make(name)
    usual = request(generator)
    guidance = generator.resolve(usual, Draw()).guidance
    plain, negative, strong = drawn(
        generator, usual, request(generator, negative="hum"), request(generator, influence=1.0)
    )
    assert differ(plain, negative) == (guidance > 1.0 and name not in DEAF)
    assert differ(plain, strong) == (guidance > 1.0)


@pytest.mark.parametrize("name", PIPELINES)
def test_defaults_are_those_of_the_pipeline(name: str, make: Make) -> None:
    generator = make(name)
    usual = generator.resolve(request(generator), Draw())
    assert usual == {
        "stable_audio": Draw(100, 7.0), "stable_audio_3": Draw(100, 7.0), "stable_audio_3_distilled": Draw(8, 1.0),
        "stable_audio_3_variations": Draw(100, 7.0), "audioldm_2": Draw(200, 3.5), "audioldm": Draw(10, 2.5),
        "musicldm": Draw(200, 2.0), "ace_step": Draw(8, 7.0), "ace_step_turbo": Draw(8, 1.0), "longcat": Draw(16, 4.0),
    }[name]  # fmt: skip
    told = generator.resolve(request(generator, influence=0.0), Draw(3, 5.0))
    assert told == Draw(3, 1.0)


def test_guidance_grows_with_influence() -> None:
    assert [guidance_of(4.0, influence) for influence in (0.0, 0.25, 0.5, 1.0)] == [1.0, 2.5, 4.0, 7.0]
    assert guidance_of(1.0, 1.0) == 1.0


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_lengths_survive_rounding_down(rate: int) -> None:
    for frames in range(1, 60 * rate, 997):
        assert int(Call([], FEW, frames, rate, []).seconds * rate) == frames


@pytest.mark.parametrize("name", ["stable_audio", "stable_audio_3"])
def test_a_weak_variation_stays_near_its_reference(name: str, make: Make) -> None:
    """Seen in what the seed can change: less and less."""
    generator, sound = make(name), tone()

    def spread(strength: float) -> float:
        varied = [
            request(generator, seed=seed, edit="variation", strength=strength, reference=sound, duration_s=0.0)
            for seed in (1, 2)
        ]
        one, other = drawn(generator, *varied)
        assert one.shape[1] == round(sound.duration_s * RATE_HZ)
        return float(np.abs(one - other).max())

    assert spread(0.05) < 0.5 * spread(1.0)
    with pytest.raises(ConfigError, match="strength of a variation must be above 0"):
        spread(0.0)


@pytest.mark.parametrize("name", ["stable_audio_3", "stable_audio_3_distilled", "ace_step"])
def test_only_the_stretch_is_made_anew(name: str, make: Make) -> None:
    generator, sound = make(name), tone()
    wanted = request(generator, edit="inpaint", start_s=0.08, end_s=0.12, reference=sound)
    other = request(generator, seed=2, edit="inpaint", start_s=0.08, end_s=0.12, reference=sound)
    first, second = drawn(generator, wanted, other)
    kept = sound.resample(RATE_HZ).samples
    assert first.shape[1] == kept.shape[1]
    start, stop = round(0.08 * RATE_HZ), round(0.12 * RATE_HZ)
    for take in (first, second):
        assert np.array_equal(take[:, :start], np.repeat(kept[:, :start], len(take), axis=0))
        assert np.array_equal(take[:, stop:], np.repeat(kept[:, stop:], len(take), axis=0))
    assert differ(first, second)
    assert not differ(first, drawn(generator, wanted)[0])


@pytest.mark.parametrize("name", ["stable_audio_3", "ace_step"])
def test_a_continuation_is_put_behind_its_reference(name: str, make: Make) -> None:
    generator, sound = make(name), tone()
    (take,) = drawn(generator, request(generator, edit="continue", reference=sound))
    before = sound.resample(RATE_HZ).samples
    assert take.shape[1] == before.shape[1] + round(LENGTH_S * RATE_HZ)
    assert np.array_equal(take[0, : before.shape[1]], before[0])
    assert np.abs(take[:, before.shape[1] + 80 :]).max() > 0.0


def test_what_a_pipeline_cannot_do_is_said(make: Make) -> None:
    stable, ace = make("stable_audio"), make("ace_step")
    wrong = [
        (stable, {"kind": "voice"}, "stable_audio makes no voice; it makes music, sfx"),
        (stable, {"edit": "inpaint"}, "cannot do the edit inpaint; it can do new, variation"),
        (stable, {"edit": "variation"}, "variation needs a reference"),
        (stable, {"loop": True}, "makes no loops"),
        (stable, {"duration_s": 1.5}, "makes at most 1 s, and 1.5 s are asked for"),
        (ace, {"kind": "sfx"}, "ace_step makes no sfx; it makes music"),
        (make("audioldm"), {"duration_s": 0.001}, "audio_length_in_s"),
    ]
    for generator, more, message in wrong:
        good = request(generator)
        bad = replace(good, prompt=replace(good.prompt, **more))
        with pytest.raises(ConfigError, match=message):
            generator.generate([good, bad], FEW)


def test_lengths_that_the_pipeline_itself_miscounts(make: Make) -> None:
    """AceStepPipeline draws noise of 8 latent frames for 7."""
    (take,) = drawn(make("ace_step"), request(make("ace_step"), duration_s=0.27))
    assert take.shape[1] == round(0.27 * RATE_HZ)


def test_speech_is_as_long_as_its_text(make: Make) -> None:
    generator = make("longcat")
    short, long = drawn(
        generator, request(generator, "hello", duration_s=0.0), request(generator, "hello to you all", duration_s=0.0)
    )
    assert 0 < short.shape[1] < long.shape[1]
    assert long.shape[1] / RATE_HZ == pytest.approx(13 * 0.082, abs=0.01)  # letters, and seconds of each


def test_weights_decide_the_digest_and_the_card_the_licence(folders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("longcat"), tmp_path / "copy"))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [audio]\n---\n# A model\n")
    first, copy = load(str(folders("longcat")), "cpu"), load(str(folder), "cpu")
    assert (first.license, copy.license) == ("", "Apache-2.0")
    assert copy.sha256 == first.sha256
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    next(iter(tensors.values())).add_(0.01)
    save_file(tensors, weights, {"format": "pt"})
    (folder / "README.md").write_text('---\nlicense: other\nlicense_name: "my terms"\n---\n')
    changed = load(str(folder), "cpu")
    assert changed.sha256 != first.sha256
    assert changed.license == "LicenseRef-my-terms"


@pytest.mark.parametrize("part", ["transformer", "text_encoder"])
def test_pickles_are_not_read(part: str, folders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("longcat"), tmp_path / "copy"))
    (weights,) = (folder / part).glob("*.safetensors")
    pickled = {"transformer": "diffusion_pytorch_model.bin", "text_encoder": "pytorch_model.bin"}[part]
    torch.save(load_file(weights), weights.with_name(pickled))
    weights.unlink()
    with pytest.raises(EngineError, match="diffusers:copy cannot be loaded"):
        load(str(folder), "cpu")


def test_an_unknown_pipeline_is_refused(folders: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(ConfigError, match=r"is a StableDiffusionPipeline; known are StableAudioPipeline, .*MusicLDM"):
        load(str(tmp_path), "cpu")
    indices = [(folders(name) / "model_index.json").read_text() for name in PIPELINES]
    assert {json.loads(index)["_class_name"] for index in indices} == set(FAMILIES)  # all are tested


def test_what_is_no_pipeline_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="model_index"):
        open_generator(f"diffusers:{tmp_path}")
    with pytest.raises(ConfigError, match="neither a folder nor a hub id"):
        open_generator(f"diffusers:{tmp_path / 'missing'}")
    with pytest.raises(EngineError, match="diffusers:tiny/unknown cannot be loaded"):
        open_generator("diffusers:tiny/unknown")


def test_diffusers_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ConfigError, match=r"pip install 'audiodiff\[diffusers\]'"):
        load(str(tmp_path), "cpu")


def test_a_hub_id_is_read_from_the_cache_when_offline(
    folders: Callable[[str], Path], make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    cached, commit = tmp_path / "models--tiny--speech", "0" * 40
    shutil.copytree(folders("longcat"), cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    here = make("longcat")
    for rest in ("tiny/speech", f"tiny/speech@{commit}"):
        generator = load(rest, "cpu")
        assert (generator.name, generator.sha256) == (f"diffusers:{rest}", here.sha256)
    wanted = request(generator)
    assert np.array_equal(drawn(generator, wanted)[0], drawn(here, wanted)[0])
