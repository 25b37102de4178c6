"""Seams of loops: what goes round by construction is not heard, cuts, fades and steps are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from audiodiff.generate.judging import PRESETS
from audiodiff.generate.seam import Seam, seam
from audiodiff.media import read_audio
from audiodiff.waveform import Waveform

RATE = 32_000
LENGTH_S = 3.0
MUSIC = Path(__file__).parent / "assets" / "hyperrogue_hr-domina-mountain.ogg"
LIMITS = PRESETS["sfx"]


def faults(samples, rate=RATE) -> set[str]:
    found = seam(Waveform(np.atleast_2d(samples).astype(np.float32), rate))
    return {
        name
        for name, value, most in [
            ("change", found.change_db, LIMITS.most_seam_change_db),
            ("click", found.click_db, LIMITS.most_seam_click_db),
            ("gap", found.gap_db, LIMITS.most_seam_gap_db),
        ]
        if value > most
    }


def texture(seed=0, low=True):
    """Noise that goes round: random phases, an even spectrum or one that falls."""
    bins = round(LENGTH_S * RATE) // 2 + 1
    rng = np.random.default_rng(seed)
    slope = (1.0 + np.arange(bins) / 300.0) ** (-1.0 if low else 0.0)
    noise = np.fft.irfft(slope * np.exp(2j * np.pi * rng.random(bins)))
    return 0.1 * noise / noise.std()


def melody(seed=0):
    """Plucked notes whose tails go on at the beginning."""
    rng = np.random.default_rng(seed)
    count = round(LENGTH_S * RATE)
    t = np.arange(count) / RATE
    sound = np.zeros(count)
    for start in np.arange(0, LENGTH_S, 0.25):
        note = np.exp(-t / 0.4) * sum(
            np.sin(2 * np.pi * rng.choice([220, 262, 330, 392]) * k * t) / k for k in (1, 2, 3)
        )
        sound += 0.1 * np.roll(note, round(start * RATE))
    return sound


LOOPS = {"dull noise": texture(), "bright noise": texture(low=False), "melody": melody(), "other melody": melody(1)}


@pytest.mark.parametrize("name", LOOPS)
def test_what_goes_round_passes_wherever_it_begins(name):
    for shift in (0, 11_111, 50_000):
        assert faults(np.roll(LOOPS[name], shift)) == set()


@pytest.mark.parametrize("name", ["melody", "other melody"])
def test_a_cut_through_notes_clicks(name):
    assert "click" in faults(LOOPS[name][: -RATE // 3])


def test_a_step_in_level_is_a_change():
    ramp = np.linspace(-6, 6, len(texture()))
    assert "change" in faults(texture() * 10 ** (ramp / 20))


def test_another_colour_at_the_end_is_a_change():
    share = np.linspace(0, 1, len(texture())) ** 2
    assert "change" in faults((1 - share) * texture() + share * texture(low=False))


@pytest.mark.parametrize("name", LOOPS)
def test_a_fade_at_both_ends_leaves_a_hole(name):
    fade = np.minimum(1, np.minimum(np.arange(len(texture())), np.arange(len(texture()))[::-1]) / (0.1 * RATE))
    assert "gap" in faults(LOOPS[name] * fade)


def test_one_sample_is_enough_for_a_click():
    broken = melody()
    broken[0] += 0.05
    assert faults(broken) == {"click"}


def test_music_cut_hard_is_heard_and_crossfaded_is_not():
    music = read_audio(MUSIC).mono()
    rate = music.sample_rate
    start, count, fade = 2 * rate, 4 * rate, rate // 2
    piece = music.samples[0, start : start + count + fade]
    rise = np.sin((np.arange(fade) + 0.5) / fade * np.pi / 2)
    crossed = piece[:count].copy()
    crossed[:fade] = piece[:fade] * rise + piece[count:] * rise[::-1]
    assert "click" in faults(piece[:count], rate)
    assert faults(crossed, rate) == set()


@pytest.mark.parametrize("gain", [1e-3, 1.0, 30.0])
def test_gain_does_not_matter(gain):
    plain, other = (seam(Waveform((g * melody()).astype(np.float32)[None], RATE)) for g in (1.0, gain))
    assert other.change_db == pytest.approx(plain.change_db, abs=0.1)
    assert other.click_db == pytest.approx(plain.click_db, abs=0.1)
    assert other.gap_db == pytest.approx(plain.gap_db, abs=0.1)


@pytest.mark.parametrize("samples", [np.zeros((1, RATE * 2)), np.zeros((2, 0)), np.full((1, RATE // 2), 0.1)])
def test_silence_and_what_is_too_short_have_no_seam(samples):
    found = seam(Waveform(samples.astype(np.float32), RATE))
    assert all(math.isnan(value) for value in (found.change_db, found.click_db, found.gap_db))
    assert math.isnan(Seam().gap_db)


def test_a_mostly_silent_loop_can_be_told():
    sound = np.zeros(2 * RATE)
    sound[RATE : RATE + 2000] = texture()[:2000]
    assert faults(sound) == set()
