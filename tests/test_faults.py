"""Faults are found where they are, and a recording that shows none is called clean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiodiff.degrade.chain import Chain
from audiodiff.degrade.crackle import Crackle
from audiodiff.degrade.distortion import BandLimit, Clip
from audiodiff.degrade.noise import Hiss, Hum, Noise
from audiodiff.faults import find_faults, is_clean
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.records import MediaInfo, Scores
from audiodiff.waveform import Block, Waveform

ASSETS = Path(__file__).parent / "assets"
PROMPT = read_audio(ASSETS / "fr_asterisk_vm-instructions.g722")
MUSIC = read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg").mono()
FAULTS = {
    "noise": Noise(25.0, -2.0, 1_000.0, 3.0, 0.0, 1),
    "hiss": Hiss(35.0, 6_000.0, 2.0, 1),
    "hum": Hum(30.0, 50.0, 8, 2.0, 1),
    "crackle": Crackle(8.0, 6.0, 4.0, 0.5, 1),
    "clip": Clip.draw(np.random.default_rng(1)),
}


def measured(waveform: Waveform) -> tuple[Scores, MediaInfo]:
    meter = Meter(waveform.sample_rate, waveform.channels, dnsmos=False)
    for at in range(0, waveform.frames, 10_007):
        meter.push(waveform.samples[:, at : at + 10_007])
    return meter.scores(), MediaInfo("wav", "pcm", waveform.sample_rate, waveform.channels, 16, None)


def damaged(waveform: Waveform, fault: str) -> Waveform:
    samples = Chain((FAULTS[fault],)).apply(torch.from_numpy(waveform.samples), waveform.sample_rate).numpy()
    return Waveform(samples, waveform.sample_rate)


@pytest.mark.parametrize("file", sorted(ASSETS.glob("*.g722")), ids=lambda path: path.stem)
def test_studio_speech_is_clean(file: Path) -> None:
    scores, media = measured(read_audio(file))
    assert is_clean(scores, find_faults(scores, media))


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_speech_is_not(fault: str) -> None:
    scores, media = measured(damaged(PROMPT, fault))
    assert not is_clean(scores, find_faults(scores, media))


@pytest.mark.parametrize(
    ("fault", "name"), [("noise", "noise"), ("hiss", "noise"), ("crackle", "crackle"), ("clip", "clipping")]
)
@pytest.mark.parametrize("waveform", [PROMPT, MUSIC], ids=["speech", "music"])
def test_faults_are_named(waveform: Waveform, fault: str, name: str) -> None:
    scores, media = measured(damaged(waveform, fault))
    assert name in find_faults(scores, media)
    scores, media = measured(waveform)
    assert name not in find_faults(scores, media)


def test_a_quiet_lead_in_does_not_vouch_for_a_noisy_tape() -> None:
    noisy = damaged(PROMPT, "noise").samples
    lead_in: Block = np.random.default_rng(0).normal(0, 1e-5, (1, 4 * 16_000)).astype(np.float32)
    scores, media = measured(Waveform(np.concatenate([lead_in, noisy, noisy], axis=1), 16_000))
    assert not is_clean(scores, find_faults(scores, media))


def test_a_lost_band_is_one_where_the_rate_promises_more() -> None:
    dull = BandLimit(4_000.0, 0.0, 500.0, -100.0).apply(torch.from_numpy(MUSIC.samples), MUSIC.sample_rate).numpy()
    assert "lost band" in find_faults(*measured(Waveform(dull, MUSIC.sample_rate)))
    assert "lost band" not in find_faults(*measured(Waveform(dull, MUSIC.sample_rate).resample(8_000)))


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0])
def test_silence_and_snippets_prove_nothing(seconds: float) -> None:
    scores, media = measured(Waveform(np.zeros((1, int(16_000 * seconds)), np.float32), 16_000))
    assert not is_clean(scores, find_faults(scores, media))


def test_the_figures_do_not_depend_on_how_the_signal_is_cut() -> None:
    meter = Meter(16_000, 1, dnsmos=False)
    meter.push(PROMPT.samples)
    whole, (parts, _) = meter.scores(), measured(PROMPT)
    assert (whole.steady_noise_db, whole.background_db, whole.clicks_per_s) == pytest.approx(
        (parts.steady_noise_db, parts.background_db, parts.clicks_per_s), abs=1e-3
    )
