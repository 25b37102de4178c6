"""Our generator with a small network: lengths, seeds, loops, edits of a recording, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiodiff.diffusion.mel import Mel
from audiodiff.errors import ConfigError, EngineError
from audiodiff.generate.records import Draw, Prompt, Request
from audiodiff.generators import open_generator
from audiodiff.generators.checkpoint import Scale, load_drawer, save_generator
from audiodiff.generators.job import Splice
from audiodiff.generators.own import OwnGenerator
from audiodiff.generators.vocoder import load_vocoder
from audiodiff.nets.meldit import MelDiT, MelDiTConfig
from audiodiff.waveform import Waveform

RATE = 48_000
SCALE = Scale(tuple(np.linspace(-4.0, -9.0, 128)), 2.0)
QUICK = Draw(steps=2)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnGenerator:
    """A network of random weights, small enough to be quick, with the shipped vocoder."""
    torch.manual_seed(0)
    net = MelDiT(MelDiTConfig(width=32, blocks=1, heads=2, hidden=32))
    for parameter in (net.leave.weight, net.last):
        torch.nn.init.normal_(parameter, std=0.03)
    path = tmp_path_factory.mktemp("generator") / "small.safetensors"
    save_generator(net, SCALE, Mel(), path)
    return OwnGenerator(load_drawer(path), load_vocoder(), "cpu")


def takes(own: OwnGenerator, prompt: Prompt, *seeds: int, reference: Waveform | None = None) -> list[Waveform]:
    return own.generate([Request(prompt, n, seed, reference) for n, seed in enumerate(seeds)], QUICK)


def tone(seconds: float, hertz: float = 440.0) -> Waveform:
    time_s = np.arange(round(seconds * RATE)) / RATE
    return Waveform(0.5 * np.sin(2 * np.pi * hertz * time_s)[None].astype(np.float32), RATE)


@pytest.mark.parametrize(("duration_s", "frames"), [(0.5, 24_000), (1.2345, 59_256), (0.0, 4 * RATE)])
def test_a_take_is_as_long_as_was_asked_to_the_sample(own: OwnGenerator, duration_s: float, frames: int) -> None:
    assert takes(own, Prompt("rain", duration_s=duration_s), 1)[0].samples.shape == (1, frames)


def test_the_seed_alone_decides_a_take(own: OwnGenerator) -> None:
    first, second = takes(own, Prompt("rain", duration_s=0.5), 1, 2)
    again = takes(own, Prompt("rain", duration_s=0.5), 1, 2)
    assert np.array_equal(first.samples, again[0].samples)
    assert not np.allclose(first.samples, second.samples, atol=1e-3)
    alone = takes(own, Prompt("rain", duration_s=0.5), 2)[0]
    one, other = (Mel().levels(torch.from_numpy(take.samples)) for take in (alone, second))
    assert float((one - other).abs().median()) < 0.05  # last bits depend on the batch, and phases on last bits


def test_words_change_a_take(own: OwnGenerator) -> None:
    rain, dog = (takes(own, Prompt(words, duration_s=0.5), 1)[0] for words in ("steady rain", "a dog barking"))
    assert not np.allclose(rain.samples, dog.samples, atol=1e-3)


def test_what_is_not_to_be_heard_changes_a_take(own: OwnGenerator) -> None:
    plain, without = (takes(own, Prompt("rain", negative=words, duration_s=0.5), 1)[0] for words in ("", "wind"))
    assert not np.allclose(plain.samples, without.samples, atol=1e-3)


def test_influence_is_guidance(own: OwnGenerator) -> None:
    told = [own.resolve(Request(Prompt("rain", influence=share), 0, 0), Draw()) for share in (0.0, 0.5, 1.0)]
    assert [how.guidance for how in told] == [1.0, 3.0, 5.0]
    assert own.resolve(Request(Prompt("rain"), 0, 0), Draw(steps=7, guidance=2.0)) == Draw(7, 2.0)


def test_a_loop_of_a_tempo_has_whole_bars_and_no_step_at_its_seam(own: OwnGenerator) -> None:
    take = takes(own, Prompt("drums", kind="music", loop=True, tempo_bpm=150.0), 1)[0]
    assert take.frames == 5 * round(4 * 60 / 150 * RATE)  # 8 s are five bars of 1.6 s
    steps = np.abs(np.diff(take.samples[0]))
    seam = abs(float(take.samples[0, 0] - take.samples[0, -1]))
    assert seam < np.quantile(steps, 0.999)


def test_the_shortest_loop_is_a_loop_too(own: OwnGenerator) -> None:
    take = takes(own, Prompt("rain", duration_s=0.2, loop=True), 1)[0]
    assert take.frames == 9_600
    steps = np.abs(np.diff(take.samples[0]))
    assert abs(float(take.samples[0, 0] - take.samples[0, -1])) <= steps.max()


def test_a_sound_longer_than_the_window_is_joined_of_several(own: OwnGenerator) -> None:
    take = takes(own, Prompt("rain", duration_s=9.0), 1)[0]
    assert take.frames == 9 * RATE
    seconds = np.sqrt(np.square(take.samples[0].reshape(9, RATE)).mean(axis=1))
    assert seconds.min() > 0.1 * seconds.max()


def test_a_voice_is_as_long_as_its_text_and_each_take_has_its_tempo(own: OwnGenerator) -> None:
    short, long = (Prompt("calm", kind="voice", text=text) for text in ("Yes.", "The river was quiet before the rain."))
    lengths = [take.duration_s for take in takes(own, long, 1, 2, 3)]
    assert len(set(lengths)) == 3
    assert 1.2 < min(lengths) < max(lengths) < 4.0
    assert takes(own, short, 1)[0].duration_s < 1.0
    assert takes(own, replace(long, duration_s=2.0), 1)[0].duration_s == pytest.approx(2.0, abs=1e-3)


def test_inpainting_leaves_the_rest_as_it_was(own: OwnGenerator) -> None:
    reference = tone(2.0)
    prompt = Prompt("rain", edit="inpaint", reference="x.wav", start_s=0.5, end_s=1.0)
    take = takes(own, prompt, 1, reference=reference)[0]
    gain = 0.7 / 0.5
    before, after = slice(0, RATE // 2), slice(RATE, 2 * RATE)
    assert np.allclose(take.samples[:, before], gain * reference.samples[:, before], atol=1e-6)
    assert np.allclose(take.samples[:, after], gain * reference.samples[:, after], atol=1e-6)
    inside = slice(RATE // 2 + 960, RATE - 960)
    assert not np.allclose(take.samples[:, inside], gain * reference.samples[:, inside], atol=0.05)


def test_continuation_begins_with_the_recording(own: OwnGenerator) -> None:
    prompt = Prompt("rain", edit="continue", reference="x.wav", duration_s=1.0)
    take = takes(own, prompt, 1, reference=tone(3.0))[0]
    assert take.frames == 4 * RATE
    assert np.allclose(take.samples[:, : 3 * RATE], 1.4 * tone(3.0).samples, atol=1e-6)


def test_a_variation_is_the_nearer_to_the_recording_the_weaker_it_is(own: OwnGenerator) -> None:
    mel, reference = Mel(), tone(1.0)
    wanted = mel.levels(1.4 * torch.from_numpy(reference.samples))
    distances = []
    for strength in (0.1, 0.5, 1.0):
        prompt = Prompt("rain", edit="variation", reference="x.wav", strength=strength)
        take = takes(own, prompt, 1, reference=reference)[0]
        assert take.frames == RATE
        distances.append(float((mel.levels(torch.from_numpy(take.samples)) - wanted).abs().mean()))
    assert distances == sorted(distances)
    assert distances[0] < 0.7 * distances[-1]


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (Prompt("x", kind="voice", text="yes", loop=True), "a voice can neither be looped"),
        (Prompt("x", kind="voice", text="...", count=1), "has no words"),
        (Prompt("x", edit="variation", reference="x.wav"), "variation needs a reference"),
    ],
)
def test_what_it_cannot_do_is_told(own: OwnGenerator, prompt: Prompt, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        takes(own, prompt, 1)


def test_a_stretch_behind_the_end_is_told(own: OwnGenerator) -> None:
    prompt = Prompt("rain", edit="inpaint", reference="x.wav", start_s=5.0, end_s=6.0)
    with pytest.raises(ConfigError, match="start_s 5 lies behind"):
        takes(own, prompt, 1, reference=tone(1.0))


def test_a_splice_fades_within_its_stretch() -> None:
    whole = Splice(np.ones(10_000, np.float32), 2_000, 6_000).joined(np.zeros(10_000, np.float32))
    assert whole[:2_000].min() == whole[6_000:].min() == 1.0
    assert whole[2_600:5_400].max() == 0.0
    assert np.abs(np.diff(whole)).max() < 0.003


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(EngineError, match=r"broken\.safetensors is not a readable checkpoint"):
        load_drawer(path)


@pytest.mark.timeout(240)
def test_the_shipped_checkpoint_makes_a_sound_that_is_not_silent() -> None:
    take = open_generator("audiodiff").generate([Request(Prompt("rain", duration_s=1.0), 0, 1)], Draw(steps=4))[0]
    assert 0.01 < float(np.abs(take.samples).max()) < 4.0
