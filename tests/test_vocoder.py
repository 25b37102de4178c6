"""The vocoder: what it makes of levels, how phases add up, what its file holds, and that its training learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchaudio
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiodiff.diffusion.mel import Mel
from audiodiff.errors import EngineError
from audiodiff.generators.vocoder import KEY, WEIGHTS, Vocoder, load_vocoder, save_vocoder
from audiodiff.media import read_audio
from audiodiff.nets.vocoder import Parts, VocoderConfig, VocoderNet, own_turn, phases, sound, spectrum, white
from audiodiff.training.pack import AUDIO, INDEX, Pack
from audiodiff.training.vocoding import (
    EXCERPT,
    STATE,
    Excerpts,
    kit_effects,
    level_loss,
    main,
    new_state,
    train_step,
    turn_loss,
)

ASSETS = Path(__file__).parent / "assets"
MEL = Mel()
SMALL = VocoderConfig(width=32, hidden=64, blocks=2, near=4)


def tone(seconds: float, hz: float = 440.0) -> Tensor:
    times = torch.arange(int(seconds * MEL.rate_hz)) / MEL.rate_hz
    return 0.3 * torch.sin(2 * torch.pi * hz * times)[None]


def hiss(seconds: float, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(1, int(seconds * MEL.rate_hz), generator=torch.Generator().manual_seed(seed))


def recording(name: str, start_s: float = 0.0, seconds: float = 3.0) -> Tensor:
    mono = read_audio(ASSETS / name).mono().resample(MEL.rate_hz).samples
    start = int(start_s * MEL.rate_hz)
    frames = int(seconds * MEL.frames_per_s)
    return torch.from_numpy(mono[:, start : start + frames * MEL.hop])


def griffin_lim(levels: Tensor) -> Tensor:
    amplitudes = (torch.linalg.pinv(MEL.filters(levels.device)) @ levels.exp()).clamp(min=0.0)
    window = torch.hann_window(MEL.n_fft)
    magnitudes = amplitudes * float(window.sum()) / 2.0
    torch.manual_seed(0)
    return torchaudio.functional.griffinlim(
        magnitudes, window, MEL.n_fft, MEL.hop, MEL.n_fft, 1.0, 32, 0.99, None, rand_init=True
    )


def spectral_distance_db(ours: Tensor, theirs: Tensor) -> float:
    window = torch.hann_window(1024)
    pair = torch.stft(torch.cat([ours, theirs]), 1024, 256, window=window, return_complex=True).abs() / 512.0
    one, other = (pair + 3e-5).log10() * 20.0
    return float((one - other).square().mean(dim=0).sqrt().mean())


def turning(one: Tensor, other: Tensor) -> Tensor:
    product = other * one.conj()
    return torch.view_as_real(product / product.abs().clamp(min=1e-12)).permute(3, 0, 1, 2)


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return load_vocoder()


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Tones as music, noise as noise, and a recording that is half silent as speech."""
    speech = torch.cat([torch.zeros(1, 2 * MEL.rate_hz), tone(2.0, 200.0)], dim=1)
    parts = {"music": tone(3.0), "noise": hiss(0.3), "speech": speech, "test": hiss(2.0)}
    samples = [np.round(part[0].numpy() * 32767).astype(np.int16) for part in parts.values()]
    starts = np.cumsum([0, *map(len, samples)])[:-1]
    split = ["test" if kind == "test" else "train" for kind in parts]
    index = {"kind": list(parts), "split": split, "start": starts, "frames": list(map(len, samples))}
    pd.DataFrame(index).to_parquet(tmp_path / INDEX)
    np.save(tmp_path / AUDIO, np.concatenate(samples))
    return Pack(tmp_path)


def test_lengths_and_a_file_that_is_small_enough(vocoder: Vocoder) -> None:
    assert vocoder.sound(torch.full((2, 128, 40), -6.0)).shape == (2, 39 * MEL.hop)
    assert WEIGHTS.stat().st_size <= 8 * 1024 * 1024
    assert len(vocoder.sha256) == 64


def test_the_same_levels_sound_the_same_whatever_is_beside_them(vocoder: Vocoder) -> None:
    levels = MEL.levels(torch.cat([tone(0.5), hiss(0.5)]))
    both = vocoder.sound(levels)
    assert torch.equal(vocoder.sound(levels), both)
    for item in range(2):
        assert torch.equal(vocoder.sound(levels[item : item + 1])[0], both[item])


@pytest.mark.parametrize(
    ("name", "start_s"), [("en_asterisk_vm-tempgreeting2.g722", 0.3), ("hyperrogue_hr-domina-mountain.ogg", 8.0)]
)
def test_a_recording_comes_back_closer_than_by_griffin_lim_and_as_loud(
    vocoder: Vocoder, name: str, start_s: float
) -> None:
    original = recording(name, start_s)
    levels = MEL.levels(original)
    ours, theirs = vocoder.sound(levels), griffin_lim(levels)
    assert spectral_distance_db(ours, original) < spectral_distance_db(theirs, original)
    gain_db = 10.0 * float((ours.square().mean() / original.square().mean()).log10())
    assert abs(gain_db) < 1.0


def test_silence_stays_silent(vocoder: Vocoder) -> None:
    levels = MEL.levels(torch.zeros(1, MEL.rate_hz))
    assert not vocoder.sound(levels).any()


def test_a_spectrum_is_turned_back_and_white_noise_has_unit_power() -> None:
    clip = recording("hyperrogue_hr-domina-mountain.ogg", 8.0, 1.0)
    torch.testing.assert_close(sound(spectrum(clip, MEL), MEL), clip[:, : sound(spectrum(clip, MEL), MEL).shape[1]])
    power = white(10.0 * hiss(1.0), MEL)[:, 4:-4, 4:-4].abs().square().mean()
    assert float(power) == pytest.approx(1.0, abs=0.05)


def test_true_turns_add_up_to_phases_that_fit_together() -> None:
    original = spectrum(recording("hyperrogue_hr-domina-mountain.ogg", 8.0), MEL)
    net = VocoderNet(VocoderConfig(width=8, hidden=8, blocks=1, fine=1025), MEL)
    step = turning(original[:, :-1] * own_turn(MEL, original.device), original[:, 1:])
    rise = turning(original[:, :, :-1], original[:, :, 1:])
    step, rise = torch.nn.functional.pad(step, (0, 0, 1, 0)), torch.nn.functional.pad(rise, (1, 0))
    magnitudes = original.abs()
    parts = Parts(magnitudes, 0.0 * magnitudes, 0.98 * step, 0.98 * rise)
    again = spectrum(sound(magnitudes * phases(net, parts), MEL), MEL).abs()
    assert float((again - magnitudes).norm() / magnitudes.norm()) < 1e-2  # -40 dB
    flat = Parts(magnitudes, 0.0 * magnitudes, 0.5 * torch.ones_like(step), 0.98 * rise)
    wrong = spectrum(sound(magnitudes * phases(net, flat), MEL), MEL).abs()
    assert float((wrong - magnitudes).norm() / magnitudes.norm()) > 0.1


def test_levels_of_bands_are_spread_over_all_bins() -> None:
    net = VocoderNet(SMALL, MEL)
    torch.testing.assert_close(net.spread.sum(dim=0), torch.ones(1025))
    clip = hiss(1.0)
    guessed = (MEL.levels(clip).transpose(1, 2) @ net.spread).mean(dim=1)
    true = spectrum(clip, MEL).abs().clamp(min=1e-5).log().mean(dim=1)
    assert float((guessed - true).abs()[:, 4:-4].mean()) < 0.3


def test_the_file_holds_all_that_is_needed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_vocoder(VocoderNet(SMALL, MEL), tmp_path / "one.safetensors")
    first = load_vocoder(tmp_path / "one.safetensors")
    assert (first.net.config, first.mel) == (SMALL, MEL)
    save_vocoder(first.net, tmp_path / "two.safetensors")
    second = load_vocoder(tmp_path / "two.safetensors")
    assert second.sha256 == first.sha256
    levels = MEL.levels(tone(0.3))
    assert torch.equal(second.sound(levels), first.sound(levels))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={KEY: '{"format": "audiodiff-restorer-3"}'})
    with pytest.raises(EngineError, match="audiodiff-restorer-3"):
        load_vocoder(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(EngineError, match="cannot be read"):
        load_vocoder(path)


def test_one_tone_is_learnt() -> None:
    state = new_state(SMALL, peak=5e-3)
    samples = tone(1.0)[:, :EXCERPT]
    seen = [train_step(state, samples, 5e-3, "float32") for _ in range(25)]
    for name in seen[0]:
        early, late = (np.mean([losses[name] for losses in part]) for part in (seen[:5], seen[-5:]))
        assert late < early - 0.05, name


def test_turns_are_scored_best_where_they_are_true_and_short_where_nobody_knows() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1, 200, 50, dtype=torch.complex64, generator=generator)
    weights, true = torch.ones(50), turning(one, other)
    assert float(turn_loss(true, one, other, weights)) == pytest.approx(0.0, abs=1e-6)
    assert float(turn_loss(-true, one, other, weights)) == pytest.approx(4.0, abs=1e-4)
    assert turn_loss(0.0 * true, one, other, weights) < turn_loss(0.5 * true.roll(1, 2), one, other, weights)


@pytest.mark.parametrize(("tones", "noise"), [(1.0, 0.01), (0.01, 1.0), (0.7, 0.3)])
def test_levels_are_scored_best_by_what_they_are_made_of(tones: float, noise: float) -> None:
    drawn = torch.randn(1, 400, 50, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    magnitude, weights = (tones + noise * drawn).abs(), torch.ones(50)
    candidates = [(1.0, 0.01), (0.01, 1.0), (0.7, 0.3)]
    scores = {c: float(level_loss(*[torch.full_like(magnitude, v) for v in c], magnitude, weights)) for c in candidates}
    assert min(scores, key=lambda c: scores[c]) == (tones, noise)


def test_excerpts_are_drawn_evenly_again_alike_and_never_silent(pack: Pack) -> None:
    clip = np.full(1000, 9000, np.int16)
    excerpts = Excerpts(pack, [clip])
    assert sorted(excerpts.kinds) == ["effect", "music", "noise", "speech"]
    drawn = excerpts.draw(3, 40)
    assert drawn.shape == (40, EXCERPT)
    assert torch.equal(drawn, excerpts.draw(3, 40))
    assert not torch.equal(drawn, excerpts.draw(4, 40))
    assert float(drawn.square().mean(dim=1).sqrt().min()) > 1e-4
    lengths = (drawn != 0).sum(dim=1)
    assert 2 < int((lengths == 1000).sum()) < 20  # the effect lies somewhere in silence


def test_effects_of_a_kit_leave_out_what_is_held_out_or_packed(tmp_path: Path) -> None:
    clip = ASSETS / "fr_asterisk_vm-instructions.g722"
    (tmp_path / "m.csv").write_text(
        "path,kind,source,original_file,speaker\n"
        f"{clip},sfx,somebody,a.ogg,\n{clip},sfx,apt:widelands-data,b.ogg,\n"
        f"{clip},sfx,github:karoldvl/ESC-10,5-1.ogg,\n{clip},speech,somebody,c.ogg,\n"
    )
    (effect,) = kit_effects(tmp_path / "m.csv")
    assert len(effect) == pytest.approx(read_audio(clip).duration_s * MEL.rate_hz, abs=2)


def test_an_interrupted_run_goes_on_to_the_same_weights(pack: Pack, tmp_path: Path) -> None:
    common = ["--steps", "3", "--batch", "2"]
    main([str(pack.folder), str(tmp_path / "whole"), *common])
    for _ in range(3):
        main([str(pack.folder), str(tmp_path / "parts"), *common, "--stop-after-s", "0"])
    whole, parts = (load_file(tmp_path / run / STATE) for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name])
    start = load_vocoder(tmp_path / "whole" / WEIGHTS.name)
    main([str(pack.folder), str(tmp_path / "on"), *common, "--weights", str(WEIGHTS), "--stop-after-s", "0"])
    assert not torch.equal(start.net.head.bias, load_vocoder(tmp_path / "on" / WEIGHTS.name).net.head.bias)
