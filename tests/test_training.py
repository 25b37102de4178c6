"""Packs, batches, losses and the loop, on a pack of a few seconds."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiodiff.degrade.presets import PRESETS
from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.encode import write_audio
from audiodiff.engines import Sampling
from audiodiff.engines.bridge import BridgeEngine
from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.errors import ConfigError
from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig
from audiodiff.nets.unet import UNetConfig
from audiodiff.training.average import average
from audiodiff.training.curves import Curves, draw_curves, read_curves
from audiodiff.training.data import DegradedBatches, replay
from audiodiff.training.loop import State, load_batches, new_state, train, train_step
from audiodiff.training.losses import relative_error
from audiodiff.training.pack import Pack
from audiodiff.training.packing import Source, write_pack
from audiodiff.training.recipes import RECIPES, Recipe, learning_rate, recipe_named
from audiodiff.training.run import TrainingOrder, run_training
from audiodiff.training.state import load_state, save_state
from audiodiff.training.team import Team
from audiodiff.training.travel import join, split
from audiodiff.training.validation import draw_cases, gains_db
from audiodiff.waveform import Waveform

TINY = BandSplitConfig(width=8, hidden=8, dilations=(1, 2))
RECIPE = Recipe(steps=6, batch=2, excerpt_s=0.25, warmup=2, precision="float32", validate_every=3, net=TINY)
SPEECH_RECIPE = replace(
    recipe_named("speech-16k"),
    **{name: getattr(RECIPE, name) for name in ("steps", "batch", "excerpt_s", "warmup", "validate_every")},
    net=UNetConfig(widths=(4, 6, 8), blocks=1, middle=1),
)
EITHER = pytest.mark.parametrize("recipe", [RECIPE, SPEECH_RECIPE], ids=["48k", "speech"])
DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Pulsing tones as speech and music, noise as noise; one recording too short, one that is no audio."""
    folder = tmp_path_factory.mktemp("pack")
    time = np.arange(48_000) / 48_000
    pulse = 0.5 * np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * 3 * time) > 0)
    noise = 0.1 * np.random.default_rng(0).standard_normal(48_000)
    sounds = {"speech": pulse, "music": 0.8 * pulse[::-1], "noise": noise, "short": pulse[:100]}
    sources = []
    for name, sound in sounds.items():
        write_audio(folder / f"{name}.wav", Waveform(sound[None].astype(np.float32), 48_000), "wav-16")
        kind = "speech" if name == "short" else name
        sources.append(Source(folder / f"{name}.wav", name, kind, "train", "CC0-1.0", "generated"))
        sources += [replace(sources[-1], name=f"{name} held back", split="test")] if name != "short" else []
    (folder / "text.wav").write_text("no audio")
    sources.append(Source(folder / "text.wav", "text", "speech", "train", "CC0-1.0", "generated"))
    write_pack(sources, folder)
    return Pack(folder)


def silent(step: int, text: str) -> None:
    pass


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(RECIPES, "tiny", RECIPE)
    return "tiny"


def fresh(recipe: Recipe = RECIPE) -> State:
    return new_state(recipe, DEVICE)


def test_pack_holds_what_is_of_use(pack: Pack) -> None:
    assert list(pack.index.name[pack.index.split == "train"]) == ["speech", "music", "noise"]
    assert (pack.index.frames == 48_000).all()
    assert abs(pack.read(0, 48_000)).max() == pytest.approx(0.5, abs=0.01)
    assert pack.index.bandwidth_hz.iloc[0] < 20_000 < pack.index.bandwidth_hz.iloc[-1]


def test_a_batch_depends_on_its_index_alone(pack: Pack) -> None:
    first, second = DegradedBatches(pack, RECIPE), DegradedBatches(pack, RECIPE)
    _ = second[0]
    assert torch.equal(first[3].damaged, second[3].damaged)
    assert torch.equal(first[3].clean, second[3].clean)
    assert not torch.equal(first[3].damaged, first[4].damaged)
    assert first[3].damaged.shape == (2, 12_000)


def test_processes_share_a_batch_out(pack: Pack) -> None:
    whole = DegradedBatches(pack, RECIPE)[3]
    parts = [DegradedBatches(pack, RECIPE, Team(rank, 2).places(RECIPE.batch))[3] for rank in (0, 1)]
    assert torch.equal(torch.cat([part.damaged for part in parts]), whole.damaged)
    with pytest.raises(ConfigError, match="a batch of 2 cannot be shared out evenly among 3"):
        Team(0, 3).places(RECIPE.batch)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("seconds", [0.8, 1.0, 1.25])
def test_excerpts_are_played_at_the_rate_and_speed_asked_for(rate_hz: int, seconds: float) -> None:
    time = np.arange(48_000) / 48_000
    low, high = (np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (500, 9_900))
    frames = round(seconds * rate_hz)
    played = replay(low + high, frames, rate_hz)
    spectrum = np.abs(np.fft.rfft(played)) / frames * 2  # a line each second^-1, so at the same place at any speed
    assert spectrum[500] == pytest.approx(1.0, abs=0.01)
    assert spectrum[501:].max() == pytest.approx(1.0 if rate_hz == 48_000 else 0.0, abs=0.01)


def test_excerpts_fade_out_below_the_nyquist_frequency_as_an_engines_input_does() -> None:
    click = np.zeros(48_000, np.float32)
    click[24_000] = 1.0
    ours = replay(click, 16_000, 16_000)
    theirs = Waveform(click[None], 48_000).resample(16_000).samples[0]
    difference = np.abs(np.fft.rfft(ours)) - np.abs(np.fft.rfft(theirs))
    assert np.abs(difference).max() < 0.15 / 3
    assert np.abs(difference[:7_300]).max() < 0.01 / 3


def test_a_speech_recipe_draws_voices_up_to_its_own_nyquist_frequency(pack: Pack) -> None:
    batch = DegradedBatches(pack, replace(SPEECH_RECIPE, batch=8))[0]
    assert batch.clean.shape == (8, 4_000)
    spectra = torch.fft.rfft(batch.clean).abs()
    fundamental = spectra.argmax(dim=1) * 4.0  # hertz: a quarter of a second; the pulse is of 440 Hz
    assert ((fundamental > 440 * 0.7) & (fundamental < 440 * 1.4)).all()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_recipes_are_whole(recipe: Recipe) -> None:
    assert sum(recipe.cases.values()) == pytest.approx(1.0)
    assert set(recipe.cases) <= {*PRESETS, "recorded noise"}
    assert recipe.net.bins == recipe.spectrum.bins
    assert json.loads(json.dumps(asdict(recipe)))["rate_hz"] == recipe.rate_hz


def test_until_its_decay_a_longer_run_is_the_same(pack: Pack) -> None:
    assert learning_rate(Recipe(steps=1_000), 250) == learning_rate(Recipe(steps=9_000), 250)


@EITHER
def test_it_learns(pack: Pack, tmp_path: Path, recipe: Recipe) -> None:
    recipe = replace(recipe, steps=40, batch=4, peak_rate=3e-3)
    losses: list[float] = []
    held, source = fresh(recipe), DegradedBatches(pack, recipe)

    def loss(state: State) -> float:
        spectrum, unseen = recipe.spectrum, [source[1_000 + index] for index in range(8)]
        damaged, clean = (torch.cat([getattr(batch, name) for batch in unseen]) for name in ("damaged", "clean"))
        y = spectrum.encode(damaged)
        with torch.no_grad():
            out = spectrum.decode(state.net(y, y, torch.ones(len(y))), clean.shape[-1])
        return float(relative_error(out, clean, damaged, 1e-7).mean())

    losses.append(loss(held))
    train(held, recipe, source, tmp_path, [], tell=silent)
    losses.append(loss(held))
    assert losses[1] < 0.9 * losses[0]


@EITHER
def test_resume_is_exact(pack: Pack, tmp_path: Path, recipe: Recipe) -> None:
    source = DegradedBatches(pack, recipe)
    straight = train(fresh(recipe), recipe, source, tmp_path / "straight", [], tell=silent)
    half = fresh(recipe)
    while half.step < 3:
        train_step(half, recipe, source[half.step])
    save_state(half, tmp_path / "half")
    resumed = fresh(recipe)
    load_state(resumed, tmp_path / "half")
    assert resumed.step == 3
    train(resumed, recipe, source, tmp_path / "half", [], tell=silent)
    for ours, theirs in zip(resumed.average.parameters(), straight.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_workers_make_the_same_batches(pack: Pack) -> None:
    alone, helped = (list(load_batches(DegradedBatches(pack, RECIPE), range(5, 8), workers)) for workers in (0, 1))
    for ours, theirs in zip(helped, alone, strict=True):  # a worker has one thread: sums may round otherwise
        torch.testing.assert_close(ours.damaged, theirs.damaged, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.bandwidth_hz, theirs.bandwidth_hz)


def test_a_pack_travels_as_its_folder(pack: Pack) -> None:
    assert len(pickle.dumps(pack)) < 1_000
    assert (copy.copy(pack).read(10, 50) == pack.read(10, 50)).all()  # by the same `__reduce__`


def test_a_pack_travels_in_parts(pack: Pack, tmp_path: Path) -> None:
    parts = split(pack, tmp_path / "parts", kbps=64.0, part_mib=0.02)
    assert len(parts) > 2
    held_back = parts[-1].rename(tmp_path / parts[-1].name)
    first_missing = join(tmp_path / "parts", tmp_path / "joined")
    assert 0 < first_missing < len(pack.samples)
    held_back.rename(parts[-1])
    assert join(tmp_path / "parts", tmp_path / "joined") == 0
    joined = Pack(tmp_path / "joined")
    assert joined.index.name.tolist() == pack.index.name.tolist()
    assert joined.index.bandwidth_hz.max() <= 20_000
    tone = slice(0, 48_000)
    ours, theirs = joined.samples[tone].astype(float), pack.samples[tone].astype(float)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


@EITHER
def test_validation_is_the_same_every_time_and_zero_for_no_change(pack: Pack, recipe: Recipe) -> None:
    cases = draw_cases(pack, recipe)
    kinds = {case.name.partition(",")[0] for case in cases}
    assert kinds == ({"speech"} if recipe is SPEECH_RECIPE else {"speech", "music"})
    assert all(case.clean.shape == (4, 3 * recipe.rate_hz) for case in cases)
    assert all(torch.equal(a.damaged, b.damaged) for a, b in zip(cases, draw_cases(pack, recipe), strict=True))
    gains = gains_db(fresh(recipe).net, recipe.spectrum, cases)  # an untrained network changes nothing
    assert len(gains) == len(cases) + len(kinds)
    assert max(map(abs, gains.values())) < 0.2, gains


def test_curves_forget_what_came_after_the_step_resumed_from(tmp_path: Path) -> None:
    curves = Curves(tmp_path, 0)
    for step in (1, 2, 3):
        curves.add(step, loss=1.0 / step)
    curves.add(3, speech=2.5)
    curves.close()
    Curves(tmp_path, 2).close()
    frame = read_curves(tmp_path)
    assert frame.step.tolist() == [1, 2]
    assert list((tmp_path / "events").iterdir())
    assert draw_curves(frame, ("loss", "speech")).count("<polyline") == 1


def test_a_run_leaves_checkpoint_card_and_curves_and_goes_on(pack: Pack, tmp_path: Path, tiny: str) -> None:
    order = TrainingOrder(pack.folder, tmp_path, tiny, stop_after_s=0.0)
    first = run_training(order, silent)
    assert first.step == 1
    assert "unfinished" in first.card.read_text()
    last = run_training(replace(order, stop_after_s=math.inf), silent)
    assert (last.step, last.steps) == (6, 6)
    assert {"speech", "music"} < set(last.gains_db)
    assert set(read_curves(tmp_path).columns) >= {"step", "loss", "rate", "speech", "music"}
    assert "<polyline" in (tmp_path / "curves.svg").read_text()
    card = last.card.read_text()
    assert "finished" in card
    assert "| speech | train | CC0-1.0 | 1 |" in card
    straight = run_training(TrainingOrder(pack.folder, tmp_path / "straight", tiny), silent)
    assert last.checkpoint.read_bytes() == straight.checkpoint.read_bytes()
    assert load_restorer(last.checkpoint).net.config == TINY


def test_a_run_of_the_speech_network_leaves_a_checkpoint_that_restores(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "tiny speech", replace(SPEECH_RECIPE, steps=2))
    trained = run_training(TrainingOrder(pack.folder, tmp_path, "tiny speech"), silent)
    assert "| network | `UNet`, 0.0" in trained.card.read_text()
    restorer = load_restorer(trained.checkpoint)
    assert (restorer.net.config, restorer.sample_rate) == (SPEECH_RECIPE.net, 16_000)
    engine = BridgeEngine("speech", restorer, "cpu")
    window = 0.1 * torch.randn(1, 1, 20 * engine.hop, generator=torch.Generator().manual_seed(0))
    assert engine.restore(window, [0], Sampling()).isfinite().all()


def test_the_seed_is_the_recipes_own_unless_one_is_given(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "seven", replace(RECIPE, steps=1, seed=7, cases={"recorded noise": 1.0}))
    for name, seed, told in (("own", None, 7), ("zero", 0, 0)):
        trained = run_training(TrainingOrder(pack.folder, tmp_path / name, "seven", seed=seed), silent)
        assert f"--seed {told}`" in trained.card.read_text()


def test_a_run_may_start_from_a_checkpoint(pack: Pack, tmp_path: Path, tiny: str) -> None:
    first = run_training(TrainingOrder(pack.folder, tmp_path / "first", tiny), silent)
    again = TrainingOrder(pack.folder, tmp_path / "again", tiny, weights=first.checkpoint, stop_after_s=0.0)
    ours = load_restorer(run_training(again, silent).checkpoint).net.state_dict()
    theirs = load_restorer(first.checkpoint).net.state_dict()
    assert all((ours[name] - theirs[name]).abs().max() < 2e-3 for name in ours)


def test_wrong_orders_are_told(pack: Pack, tmp_path: Path, tiny: str) -> None:
    with pytest.raises(ConfigError, match="known: restore-48k"):
        run_training(TrainingOrder(pack.folder, tmp_path, "restore-96k"), silent)
    with pytest.raises(ConfigError, match=r"is no pack: it has no index\.parquet"):
        run_training(TrainingOrder(tmp_path, tmp_path, tiny), silent)
    run_training(TrainingOrder(pack.folder, tmp_path, tiny, stop_after_s=0.0), silent)
    with pytest.raises(ConfigError, match="of another network"):
        run_training(TrainingOrder(pack.folder, tmp_path, "restore-48k"), silent)


def test_the_average_lies_halfway(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "mean")]
    for seed, path in enumerate(paths[:2]):
        torch.manual_seed(seed)
        net = BandSplit(TINY)
        save_restorer(net, Spectrum(), Bridge(), 48_000, 0.1, 0.1, path)
    average(*paths)
    first, second, mean = (load_restorer(path).net.state_dict() for path in paths)
    for name, tensor in mean.items():
        assert torch.allclose(tensor, (first[name] + second[name]) / 2, atol=2e-3)
    assert any(not torch.equal(tensor, first[name]) for name, tensor in mean.items())
    save_restorer(net, Spectrum(), Bridge(), 48_000, 0.1, 0.2, paths[1])
    with pytest.raises(ConfigError, match="differ in network"):
        average(*paths)
