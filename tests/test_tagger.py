"""The sound tagger: what it says of sounds, what its file holds, and that its training learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audiodiff.caption import Heard
from audiodiff.caption.tagger import (
    BANDS,
    KEY,
    OTHER,
    PHRASES,
    STEP,
    WEIGHTS,
    WINDOW,
    Calibration,
    Tagged,
    Tagger,
    load_tagger,
    log_mel,
    normalise,
    read_tagger,
    save_tagger,
    windows_of,
)
from audiodiff.curate.records import Acoustics, Facts, Tag
from audiodiff.errors import EngineError
from audiodiff.media import read_audio
from audiodiff.nets.tagger import TaggerConfig, TaggerNet, TaggerNets
from audiodiff.records import Scores
from audiodiff.training.sounds import Sound, kit_sounds, read_features
from audiodiff.training.tagging import (
    Scored,
    Trainee,
    Windows,
    augment,
    calibrate,
    measure,
    score,
    train,
    voters,
)
from audiodiff.waveform import Waveform

ASSETS = Path(__file__).parent / "assets"
RATE = 44_100


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> Waveform:
    samples = level * np.random.default_rng(seed).standard_normal((1, int(seconds * RATE)))
    return Waveform(samples.astype(np.float32), RATE)


def tone(seconds: float, hz: float = 440.0) -> Waveform:
    times = np.arange(int(seconds * RATE)) / RATE
    return Waveform((0.3 * np.sin(2 * np.pi * hz * times))[None].astype(np.float32), RATE)


def silence(seconds: float) -> Waveform:
    return Waveform(np.zeros((2, int(seconds * RATE)), np.float32), RATE)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger("cpu")


@pytest.fixture(scope="module")
def music() -> Waveform:
    whole = read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg")
    return Waveform(whole.samples[:, : 10 * whole.sample_rate], whole.sample_rate)


def heard(sound: Waveform, *tags: Tag) -> Heard:
    return Heard("clip", sound, Facts(), Scores(*[math.nan] * 13), Acoustics(), tags)


def test_it_is_loaded_once_and_knows_its_classes(tagger: Tagger) -> None:
    assert load_tagger("cpu") is tagger
    assert tagger.name == "tagger"
    assert len(tagger.sha256) == 64
    assert set(tagger.classes) == {*PHRASES, OTHER}
    assert WEIGHTS.stat().st_size < 2 * 1024 * 1024


def test_music_and_speech_are_told_apart(tagger: Tagger, music: Waveform) -> None:
    speech = read_audio(ASSETS / "en_asterisk_vm-tempgreeting2.g722")
    played, spoken = tagger.tag([music, speech])
    assert played.tags[0].label == "music"
    assert spoken.tags[0].label == "speech"


def test_a_caption_is_the_phrase_of_the_surest_tag(tagger: Tagger, music: Waveform) -> None:
    daring = Tagger(tagger._nets, tagger.classes, Calibration(tagger.calibration.temperature, 0.2), "")
    (caption,) = daring.caption([heard(music)])
    assert caption is not None
    assert (caption.source, caption.text) == ("tagger", "music playing")
    assert caption.confidence == tagger.tag([music])[0].tags[0].confidence


@pytest.mark.parametrize("sound", [silence(3.0), silence(0.0), noise(0.01), noise(4.0), noise(4.0, 1e-3)])
def test_nothing_is_said_of_silence_and_white_noise(tagger: Tagger, sound: Waveform) -> None:
    assert tagger.caption([heard(sound)]) == [None]


def test_tags_that_a_clip_has_are_used(tagger: Tagger) -> None:
    sure, unsure = Tag("rain", 0.99), Tag("rain", tagger.calibration.threshold - 0.01)
    foreign = Tag("bagpipes", 1.0)
    captions = tagger.caption([heard(silence(1.0), foreign, sure), heard(silence(1.0), unsure)])
    assert captions[0] is not None
    assert captions[0].text == "rain falling"
    assert captions[1] is None


def test_tags_are_sorted_few_and_never_other(tagger: Tagger, music: Waveform) -> None:
    for tagged in tagger.tag([music, noise(3.0), tone(3.0)]):
        shares = [tag.confidence for tag in tagged.tags]
        assert shares == sorted(shares, reverse=True)
        assert len(shares) <= 5
        assert all(0.05 <= share <= 1.0 for share in shares)
        assert OTHER not in {tag.label for tag in tagged.tags}


def test_the_embedding_has_unit_norm_and_silence_has_none(tagger: Tagger, music: Waveform) -> None:
    loud, quiet = tagger.tag([music, silence(2.0)])
    assert len(loud.embedding) == 63
    assert np.linalg.norm(loud.embedding) == pytest.approx(1.0, abs=1e-5)
    assert quiet == Tagged((), ())


def test_the_same_clip_is_always_tagged_alike_whatever_is_beside_it(tagger: Tagger, music: Waveform) -> None:
    alone = tagger.tag([music])[0]
    assert tagger.tag([music])[0] == alone
    beside = tagger.tag([noise(40.0), silence(1.0), music, tone(0.3)])[2]
    np.testing.assert_allclose(beside.embedding, alone.embedding, atol=1e-5)
    assert [tag.label for tag in beside.tags] == [tag.label for tag in alone.tags]


def test_gain_channels_and_added_silence_hardly_matter(tagger: Tagger, music: Waveform) -> None:
    quiet = Waveform(0.1 * music.samples, music.sample_rate)
    padded = Waveform(np.pad(music.mono().samples, ((0, 0), (0, 2 * music.sample_rate))), music.sample_rate)
    first, *others = tagger.tag([music, quiet, padded])
    for other in others:
        assert np.dot(first.embedding, other.embedding) > 0.98


def test_windows_cover_the_clip_and_short_ones_are_repeated() -> None:
    levels = torch.arange(300.0).expand(BANDS, 300)
    windows = windows_of(levels)
    assert windows.shape == (4, BANDS, WINDOW)
    assert windows[1, 0, 0] == STEP
    assert windows[-1, 0, -1] == 299
    short = windows_of(levels[:, :50])
    assert short.shape == (1, BANDS, WINDOW)
    assert torch.equal(short[0, :, 50:100], levels[:, :50])


def test_silent_frames_are_left_out_and_gain_is_normalised_away() -> None:
    sound = noise(1.0)
    gap = Waveform(np.concatenate([sound.samples, silence(1.0).samples[:1], sound.samples], axis=1), RATE)
    assert log_mel(gap).shape[1] == pytest.approx(2 * log_mel(sound).shape[1], abs=4)
    windows = windows_of(log_mel(sound))
    torch.testing.assert_close(normalise(windows), normalise(windows + 12.0))


def test_the_file_holds_all_that_is_needed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = TaggerNets(TaggerConfig(classes=3, nets=2, widths=(4, 4, 8), embedding=5))
    save_tagger(nets, ("dog", "cat", OTHER), Calibration(0.7, 0.6), tmp_path / "t.safetensors")
    read = read_tagger(tmp_path / "t.safetensors")
    assert read.classes == ("dog", "cat", OTHER)
    assert read.calibration == Calibration(0.7, 0.6)
    again = save_and_read(read, tmp_path / "u.safetensors")
    assert again.sha256 == read.sha256
    assert again.tag([noise(1.0)]) == read.tag([noise(1.0)])
    assert len(read.tag([noise(1.0)])[0].embedding) == 10


def save_and_read(tagger: Tagger, path: Path) -> Tagger:
    save_tagger(tagger._nets, tagger.classes, tagger.calibration, path)
    return read_tagger(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={KEY: '{"format": "audiodiff-restorer-3"}'})
    with pytest.raises(EngineError, match="audiodiff-restorer-3"):
        read_tagger(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(EngineError, match="cannot be read"):
        read_tagger(path)


def test_training_learns_to_tell_tones_from_noise(tmp_path: Path) -> None:
    torch.manual_seed(0)
    make: list[Callable[[int], Waveform]] = [lambda i: tone(1.0, 300.0 + 200 * i), lambda i: noise(1.0, seed=i)]
    known = [[log_mel(make[i % 2](i))] * 3 for i in range(12)]
    unknown = [[log_mel(make[i % 2](i + 20))] * 3 for i in range(12)]
    labels = [i % 2 for i in range(12)]
    config = TaggerConfig(classes=2, widths=(8, 8, 16), embedding=8)
    trainee = Trainee(TaggerNet(config), Windows(known, labels, [1], seed=0), steps=60, peak=3e-3)
    train([trainee], 60, tmp_path, batch=16)
    scored = score(trainee.mean.module, unknown, labels)
    assert measure(scored, Calibration(1.0, 0.5), other=1)["accuracy"] == 1.0
    assert (tmp_path / "state.safetensors").exists()


def test_augmented_windows_are_finite_and_their_shares_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    windows = windows_of(log_mel(noise(20.0)))
    targets = torch.eye(len(windows))
    planes, shares = augment(windows, targets, generator)
    assert planes.shape == windows.shape
    assert planes.isfinite().all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(len(windows)))
    assert (shares.max(dim=1).values < 0.99).any()


def test_calibration_finds_the_temperature_and_the_precision_asked_for() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2.0 * torch.randn(4000, 4, generator=generator)
    truth = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    scored = Scored(2.0 * logits, truth)  # twice too sure
    calibration = calibrate(scored, other=3)
    assert calibration.temperature == pytest.approx(2.0, abs=0.15)
    figures = measure(scored, calibration, other=3)
    assert figures["precision"] >= 0.9
    assert figures["ece"] < 0.03
    assert measure(scored, Calibration(1.0, 0.5), other=3)["ece"] > 0.06


def test_fold_5_is_left_out_and_what_is_held_out_is_only_evaluated(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    esc = "sfx,github:karoldvl/ESC-10,Rain"
    manifest.write_text(
        "path,kind,source,original_file,speaker,label\n"
        f"sfx/a.ogg,{esc}/1-7-A.ogg,,Rain\nsfx/b.ogg,{esc}/5-7-A.ogg,,Rain\n"
        "sfx/c.ogg,sfx,apt:widelands-data,c.ogg,,hammering\nspeech/d.ogg,speech,x,d.ogg,Allison Smith,\n"
        "sfx/e.ogg,sfx,apt:wesnoth-1.16-data,e.ogg,,a burst of flames\nsfx/f.ogg,sfx,x,f.ogg,,a gunshot\n"
    )
    found = {sound.path.name: (sound.label, sound.fold) for sound in kit_sounds(manifest)}
    assert found["a.ogg"] == ("rain", 1)
    assert found["c.ogg"] == (OTHER, 4)
    assert found["d.ogg"] == ("speech", 4)
    assert found["f.ogg"][0] == OTHER
    assert set(found) == {"a.ogg", "c.ogg", "d.ogg", "f.ogg"}


def test_features_are_read_once(tmp_path: Path) -> None:
    sound = Sound(ASSETS / "fr_asterisk_vm-instructions.g722", "speech", 1, "asterisk")
    (first,) = read_features([sound], tmp_path)
    assert first[1].shape[1] > first[0].shape[1] > first[2].shape[1] > 0
    (again,) = read_features([Sound(tmp_path / "gone.wav", "speech", 1, "asterisk")], tmp_path)
    assert torch.equal(first[0], again[0])


def test_voters_are_the_means_of_the_nets() -> None:
    config = TaggerConfig(classes=2)
    windows = Windows([[torch.randn(BANDS, 130)] * 3] * 2, [0, 1], [1], seed=0)
    trainees = [Trainee(TaggerNet(config), windows, 2, 3e-3) for _ in range(2)]
    x = torch.randn(3, BANDS, WINDOW)
    separate = [trainee.mean.module.eval()(x)[0] for trainee in trainees]
    torch.testing.assert_close(voters(trainees)(x)[0], (separate[0] + separate[1]) / 2)
