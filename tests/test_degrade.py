"""Every family of faults keeps one contract; each does the damage it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiodiff.degrade.base import Fault, rms
from audiodiff.degrade.chain import Chain
from audiodiff.degrade.channels import Azimuth, GainOffset, Imbalance
from audiodiff.degrade.codec import FORMATS, Codec
from audiodiff.degrade.crackle import Crackle, Scratch, Thumps
from audiodiff.degrade.digital import Alias, Quantise
from audiodiff.degrade.distortion import BandLimit, Clip, SlewLimit
from audiodiff.degrade.echo import PrintThrough
from audiodiff.degrade.equalise import Equalisation
from audiodiff.degrade.gaps import Dropouts, PacketLoss
from audiodiff.degrade.noise import Hiss, Hum, Noise
from audiodiff.degrade.presets import FAMILIES, PRESETS
from audiodiff.degrade.recorded import Material, MeasuredRoom, RecordedNoise
from audiodiff.degrade.room import Room
from audiodiff.degrade.speed import WowFlutter
from audiodiff.encode import write_audio
from audiodiff.errors import ConfigError
from audiodiff.media import read_audio
from audiodiff.waveform import Waveform

RATE = 16_000
SIGNAL = 0.1 * torch.randn(2, 5 * RATE // 2, generator=torch.Generator().manual_seed(0))


def power_db(x: torch.Tensor, low_hz: float, high_hz: float) -> float:
    spectrum = torch.fft.rfft(x.double()).abs().square()
    hertz = torch.fft.rfftfreq(x.shape[-1], 1 / RATE)
    return float(10 * torch.log10(spectrum[..., (hertz >= low_hz) & (hertz < high_hz)].mean()))


@pytest.mark.parametrize("family", FAMILIES)
def test_contract(family: str) -> None:
    first, draws = ([FAMILIES[family].draw(np.random.default_rng(seed)) for seed in range(8)] for _ in range(2))
    assert first == draws
    before = SIGNAL.clone()
    once, twice = (draws[4].apply(SIGNAL, RATE) for _ in range(2))
    assert torch.equal(once, twice)
    assert torch.equal(SIGNAL, before)
    assert once.shape == SIGNAL.shape
    assert once.dtype == torch.float32
    assert not all(torch.equal(draw.apply(SIGNAL, RATE), SIGNAL) for draw in draws)
    for odd in (SIGNAL[0, :1], SIGNAL[0, :777], torch.zeros(500), SIGNAL[None, :, :3_000].repeat(2, 1, 1)):
        out = draws[4].apply(odd, RATE)
        assert out.shape == odd.shape
        assert out.isfinite().all()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_stored_chain_makes_the_same_file_again(preset: str) -> None:
    for seed in range(5):
        chain = Chain.draw(preset, np.random.default_rng(seed))
        again = Chain.from_json(chain.to_json())
        assert again == chain
        assert torch.equal(again.apply(SIGNAL, RATE), chain.apply(SIGNAL, RATE))


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: clean, archive, shellac78"):
        Chain.draw("wax", np.random.default_rng(0))


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
@pytest.mark.parametrize("kind", ["noise", "hiss", "hum"])
def test_added_noise_has_the_ratio_asked_for(kind: str, snr_db: float) -> None:
    fault = {
        "noise": Noise(snr_db, -3.0, 500.0, 6.0, 2.0, 1),
        "hiss": Hiss(snr_db, 5_000.0, 2.0, 1),
        "hum": Hum(snr_db, 50.0, 10, 1.0, 1),
    }[kind]
    added = fault.apply(SIGNAL, RATE) - SIGNAL
    assert float(20 * torch.log10(rms(SIGNAL) / rms(added)).mean()) == pytest.approx(snr_db, abs=0.1)


def test_hum_lies_on_the_mains_harmonics() -> None:
    added = Hum(0.0, 50.0, 5, 0.5, 3).apply(SIGNAL, RATE) - SIGNAL
    for harmonic in range(1, 6):
        assert (
            power_db(added, 50 * harmonic - 2, 50 * harmonic + 2)
            > power_db(added, 50 * harmonic + 20, 50 * harmonic + 30) + 40
        )


def test_hiss_rises_to_its_peak() -> None:
    added = Hiss(10.0, 5_000.0, 3.0, 2).apply(SIGNAL, RATE) - SIGNAL
    assert power_db(added, 4_500, 5_500) > power_db(added, 300, 500) + 6


@pytest.mark.parametrize("soft", [False, True])
def test_clipping_limits_at_its_level(soft: bool) -> None:
    out = Clip(3.0, soft).apply(SIGNAL, RATE)
    limit = rms(SIGNAL) * 10 ** (3 / 20)
    assert (out.abs() <= limit + 1e-6).all()
    assert soft or torch.equal(out[SIGNAL.abs() < limit], SIGNAL[SIGNAL.abs() < limit])


def test_band_limit_cuts_top_and_bottom() -> None:
    out = BandLimit(3_000.0, 300.0, 500.0, -80.0).apply(SIGNAL, RATE)
    passed = power_db(SIGNAL, 500, 2_500)
    assert power_db(out, 500, 2_500) == pytest.approx(passed, abs=0.2)
    assert power_db(out, 5_000, 8_000) < passed - 60
    assert power_db(out, 20, 80) < passed - 40


def test_crackle_is_sparse_and_as_frequent_as_asked() -> None:
    added = Crackle(20.0, 20.0, 1.0, 0.2, 5).apply(SIGNAL.repeat(1, 10), RATE) - SIGNAL.repeat(1, 10)
    active = added[0].abs() > 1e-3
    starts = (active[1:] & ~active[:-1]).sum()
    assert active.float().mean() < 0.05
    assert 100 < int(starts) < 2_000


def tone(hertz: float, seconds: float = 2.0) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)


def gain_db(fault: Fault, hertz: float) -> float:
    before, inner = tone(hertz), slice(RATE // 2, 3 * RATE // 2)
    return float(20 * torch.log10(rms(fault.apply(before, RATE)[inner]) / rms(before[inner])))


def test_slew_limit_bounds_the_slope_and_nothing_else() -> None:
    out = SlewLimit(5.0).apply(SIGNAL, RATE)
    steps = (out[:, 1:] - out[:, :-1]).abs()
    assert (steps <= rms(SIGNAL) * 5_000 / RATE + 1e-6).all()
    slow = tone(20.0)
    torch.testing.assert_close(SlewLimit(20.0).apply(slow, RATE), slow, atol=1e-6, rtol=0)


def test_equalisation_has_its_shelves() -> None:
    fault = Equalisation(300.0, 10.0, 2_000.0, -8.0)
    assert gain_db(fault, 20.0) == pytest.approx(10.0, abs=0.5)
    assert gain_db(fault, 300.0) == pytest.approx(5.0, abs=0.7)
    assert gain_db(fault, 7_500.0) == pytest.approx(-8.0, abs=1.0)


def test_wow_moves_the_pitch_as_far_and_as_fast_as_asked() -> None:
    out = WowFlutter(0.5, 2.0, 10.0, 0.0001, 3).apply(tone(1_000.0, 4.0), RATE)
    analytic = torch.fft.ifft(torch.fft.fft(out) * (torch.arange(len(out)) < len(out) // 2))
    phase_steps = torch.angle(analytic[1:] * analytic[:-1].conj())[RATE // 4 : -RATE // 4]
    hertz = (phase_steps * RATE / (2 * torch.pi)).unfold(0, 800, 800).mean(dim=1)
    assert float(hertz.max()) == pytest.approx(1_020, abs=2)
    assert float(hertz.min()) == pytest.approx(980, abs=2)


def test_an_even_speed_changes_nothing() -> None:
    low = Codec("g722", 0.0).apply(SIGNAL, RATE)  # anything below the top of the band
    low = BandLimit(6_000.0, 0.0, 500.0, -90.0).apply(low, RATE)
    still = WowFlutter(1.0, 1e-9, 10.0, 1e-9, 0).apply(low, RATE)
    assert (still - low)[:, 50:-50].abs().max() < 1e-3 * low.abs().max()


def test_dropouts_dip_by_their_depth_and_leave_the_rest() -> None:
    steady = torch.ones(20 * RATE)
    out = Dropouts(30.0, 40.0, 200.0, 1).apply(steady, RATE)
    assert 10 ** (-40 / 20) <= float(out.min()) < 0.1
    assert 0.7 < float((out == 1).float().mean()) < 1.0


@pytest.mark.parametrize("repeats", [False, True])
def test_packets_are_lost_at_the_rate_asked_for(repeats: bool) -> None:
    signal = torch.randn(60 * RATE, generator=torch.Generator().manual_seed(1))
    out = PacketLoss(0.1, 3.0, 20.0, repeats, 2).apply(signal, RATE)
    changed = (out != signal).reshape(-1, RATE // 50).any(dim=1)
    assert float(changed.float().mean()) == pytest.approx(0.1, abs=0.03)
    bursts = (changed[1:] & ~changed[:-1]).sum() + changed[0]
    assert float(changed.sum() / bursts) == pytest.approx(3.0, abs=0.6)
    assert repeats == bool(out.reshape(-1, RATE // 50)[changed].any())


def test_print_through_echoes_before_and_after() -> None:
    signal = torch.zeros(3 * RATE)
    signal[RATE : RATE + RATE // 2] = tone(1_000.0, 0.5)
    out = PrintThrough(1.0, -40.0, -46.0, 1_000.0).apply(signal, RATE)
    for start, level_db in ((0, -40.0), (2 * RATE, -46.0)):
        echo = out[start + 1_000 : start + RATE // 2 - 1_000]
        assert float(20 * torch.log10(rms(echo) / rms(tone(1_000.0)))) == pytest.approx(level_db, abs=0.5)
    torch.testing.assert_close(out[RATE + 1_000 : RATE + 2_000], signal[RATE + 1_000 : RATE + 2_000], atol=1e-3, rtol=0)


def test_azimuth_shifts_channels_and_dulls_a_single_one() -> None:
    out = Azimuth(500.0).apply(tone(400.0).repeat(2, 1), RATE)
    spectra = torch.fft.rfft(out[:, RATE // 2 : 3 * RATE // 2])[:, 400]
    shift_us = float(torch.angle(spectra[0] * spectra[1].conj())) / (2 * torch.pi * 400.0) * 1e6
    assert shift_us == pytest.approx(250.0, abs=2.0)  # between the centres of two tracks
    assert gain_db(Azimuth(100.0), 7_000.0) == pytest.approx(20 * np.log10(np.sinc(0.7)), abs=0.2)
    assert gain_db(Azimuth(100.0), 100.0) == pytest.approx(0.0, abs=0.05)


def test_imbalance_and_gain_are_what_they_say() -> None:
    out = Imbalance(6.0).apply(SIGNAL, RATE)
    torch.testing.assert_close(out[1], SIGNAL[1])
    torch.testing.assert_close(out[0], SIGNAL[0] * 10 ** (-6 / 20))
    shifted = GainOffset(-20.0, 0.2).apply(SIGNAL, RATE)
    torch.testing.assert_close(shifted, 0.1 * (SIGNAL + 0.2 * rms(SIGNAL)))


@pytest.mark.parametrize("dithered", [False, True])
def test_quantising_leaves_so_many_steps(dithered: bool) -> None:
    out = Quantise(4, dithered, 0).apply(SIGNAL[0], RATE)
    step = SIGNAL[0].abs().max() / 8
    assert len(torch.unique((out / step).round())) <= 19
    assert float(rms(out - SIGNAL[0]) / step) == pytest.approx(0.5 if dithered else 12**-0.5, abs=0.03)


def test_alias_mirrors_what_is_above() -> None:
    out = Alias(8_000).apply(tone(5_000.0), RATE)
    assert power_db(out, 2_980, 3_020) > power_db(out, 4_900, 5_100) + 30


def test_a_room_keeps_the_direct_sound_and_rings_as_long_as_asked() -> None:
    click = torch.zeros(RATE)
    click[100] = 1.0
    out = Room(6.0, 5.0, 3.0, 0.4, 1.5, 1).apply(click, RATE)
    assert (out[:100].abs() < 1e-4).all()
    assert float(out[100]) == pytest.approx(1.0, abs=1e-3)
    decay_db = 10 * torch.log10(out.square().flip(0).cumsum(0).flip(0) + 1e-12)  # Schroeder's integral
    first, last = (int((decay_db < decay_db[100] - down).nonzero()[0]) for down in (5.0, 25.0))
    assert 60.0 / 20.0 * (last - first) / RATE == pytest.approx(0.4, rel=0.35)


@pytest.fixture(scope="module")
def announcement() -> torch.Tensor:
    """Real speech, sampled at 16 kHz."""
    path = Path(__file__).parent / "assets" / "ru_asterisk_vm-opts.g722"
    return torch.from_numpy(read_audio(path).samples[0, : 6 * RATE])


@pytest.mark.parametrize("codec", FORMATS)
def test_codecs_keep_speech_in_time_and_recognisable(codec: str, announcement: torch.Tensor) -> None:
    best = max(FORMATS[codec].kbps, default=0.0)
    out = Codec(codec, best).apply(announcement, RATE)
    again = Codec(codec, best).apply(announcement, RATE)
    assert torch.equal(out, again)
    low = [BandLimit(3_000.0, 0.0, 500.0, -90.0).apply(x, RATE) for x in (announcement, out)]
    scale = torch.dot(*low) / torch.dot(low[0], low[0])
    snr_db = float(20 * torch.log10(rms(low[0]) / rms(low[1] / scale - low[0])))
    assert snr_db > 3.0
    assert float(scale) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(("codec", "edge_hz"), [("gsm", 4_000.0), ("mulaw", 4_000.0), ("amr", 4_000.0)])
def test_telephone_codecs_have_a_telephone_band(codec: str, edge_hz: float, announcement: torch.Tensor) -> None:
    out = Codec(codec, max(FORMATS[codec].kbps, default=0.0)).apply(announcement, RATE)
    assert power_db(out, edge_hz + 500, 8_000) < power_db(announcement, edge_hz + 500, 8_000) - 20


def test_lower_rates_of_a_codec_are_worse(announcement: torch.Tensor) -> None:
    errors = [float(rms(Codec("mp3", kbps).apply(announcement, RATE) - announcement)) for kbps in (24.0, 64.0, 128.0)]
    assert errors == sorted(errors, reverse=True)


def test_unknown_codec_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: mp3, aac"):
        Codec("wax", 64.0)


def test_recorded_damage_is_stored_with_its_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    click = np.zeros((1, 4_000), np.float32)
    click[0, [700, 1_700]] = 0.5, 0.25
    write_audio(tmp_path / "room.wav", Waveform(click, RATE), "wav-float32")
    for name in ("rain", "train"):
        noise = 0.1 * rng.standard_normal((1, 5_000)).astype(np.float32)
        write_audio(tmp_path / f"{name}.wav", Waveform(noise, RATE), "wav-float32")
    noises, rooms = (tmp_path / "rain.wav", tmp_path / "train.wav"), (tmp_path / "room.wav",)
    room = MeasuredRoom(str(rooms[0])).apply(SIGNAL, RATE)
    torch.testing.assert_close(room[:, 1_000:], SIGNAL[:, 1_000:] + 0.5 * SIGNAL[:, :-1_000], atol=1e-5, rtol=0)
    noise = RecordedNoise(tuple(map(str, noises)), 10.0, 4)
    added = noise.apply(SIGNAL, RATE) - SIGNAL
    assert float(20 * torch.log10(rms(SIGNAL) / rms(added)).mean()) == pytest.approx(10.0, abs=0.1)
    material, seen = Material(noises, noises, rooms), set()
    for seed in range(30):
        chain = Chain.draw("archive", np.random.default_rng(seed), material)
        assert Chain.from_json(chain.to_json()) == chain
        seen |= {type(fault) for fault in chain.faults}
    assert {MeasuredRoom, RecordedNoise} < seen


def test_every_preset_draws_within_its_limits() -> None:
    for seed in range(20):
        turns = [
            f.turns_per_minute
            for f in Chain.draw("shellac78", np.random.default_rng(seed)).faults
            if isinstance(f, Scratch)
        ]
        assert all(77 < turn < 79 for turn in turns)
        (mp3,) = Chain.draw("mp3_64k", np.random.default_rng(seed)).faults
        assert mp3 == Codec("mp3", 64.0)
    assert isinstance(Chain.draw("thumps", np.random.default_rng(0)).faults[0], Thumps)
