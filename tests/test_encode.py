"""Encoding: what is read back is what was written, and the same bytes each time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hostile import tone

from audiodiff.encode import AudioWriter, Encoding, encode_opus, write_audio
from audiodiff.errors import ConfigError
from audiodiff.media import open_audio, read_audio
from audiodiff.waveform import Waveform

RATE_HZ = 48_000
ENCODINGS: tuple[Encoding, ...] = ("flac-24", "flac-16", "wav-24", "wav-16", "wav-float32")


def noise(channels: int = 2, frames: int = 20_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


def round_trip(path, samples, encoding, rate_hz=RATE_HZ):
    write_audio(path, Waveform(samples, rate_hz), encoding)
    return read_audio(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_keeps_rate_channels_and_every_sample(tmp_path, encoding, channels, rate_hz):
    samples = noise(channels, 1_237)
    found = round_trip(tmp_path / "a", samples, encoding, rate_hz)
    assert (found.sample_rate, found.samples.shape) == (rate_hz, samples.shape)
    worst = {"24": 0.5 * 2.0**-23, "16": 1.5 * 2.0**-15, "float32": 0.0}[encoding.partition("-")[2]]
    assert np.abs(found.samples.astype(np.float64) - samples).max() <= worst


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_its_depth(tmp_path, encoding):
    with AudioWriter(tmp_path / "a", RATE_HZ, 1, encoding) as writer:
        writer.write(noise(1, 100))
    with open_audio(tmp_path / "a") as reader:
        assert reader.info.bit_depth == writer.bit_depth == int(encoding.partition("-")[2].removeprefix("float"))
        assert reader.info.container == encoding.partition("-")[0]


@pytest.mark.parametrize("encoding", ["flac-16", "wav-16"])
def test_16_bits_in_are_the_same_16_bits_out(tmp_path, encoding):
    samples = np.arange(-32_768, 32_768, dtype=np.float32)[None] / 32_768
    np.testing.assert_array_equal(round_trip(tmp_path / "a", samples, encoding).samples, samples)


def test_dither_is_unbiased_and_keeps_what_lies_below_a_step(tmp_path):
    level = 0.3 * 2.0**-15
    found = round_trip(tmp_path / "a", np.full((1, 100_000), level, np.float32), "wav-16").samples * 2.0**15
    assert found.mean() == pytest.approx(0.3, abs=0.01)
    assert found.var() == pytest.approx(0.5 * 0.5, abs=0.02)  # TPDF and rounding: a quarter step squared, at any level


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_beyond_full_scale_is_limited_and_counted(tmp_path, encoding):
    samples = np.array([[0.0, 0.5, 1.5, -1.5, -1.0, 300.0]], np.float32)
    with AudioWriter(tmp_path / "a", RATE_HZ, 1, encoding) as writer:
        writer.write(samples)
    found = read_audio(tmp_path / "a").samples
    if encoding == "wav-float32":
        np.testing.assert_array_equal(found, samples)
        assert writer.clipped == 0
    else:
        np.testing.assert_allclose(found, np.clip(samples, -1, 1), atol=2.0**-14)
        assert writer.clipped == 3


def test_the_same_samples_give_the_same_bytes_a_second_later(tmp_path):
    def written(name: str) -> list[bytes]:
        for encoding in ENCODINGS:
            write_audio(tmp_path / f"{name}.{encoding}", Waveform(noise(), RATE_HZ), encoding)
        return [(tmp_path / f"{name}.{encoding}").read_bytes() for encoding in ENCODINGS]

    first = written("first")
    time.sleep(1.1)  # float WAVs carry the time of day in seconds
    assert written("second") == first


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_do_not_change_the_bytes(tmp_path, encoding):
    samples = noise()
    write_audio(tmp_path / "whole", Waveform(samples, RATE_HZ), encoding)
    with AudioWriter(tmp_path / "blocks", RATE_HZ, 2, encoding) as writer:
        for at in range(0, samples.shape[1], 777):
            writer.write(samples[:, at : at + 777])
    assert writer.frames == samples.shape[1]
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "blocks").read_bytes()


@pytest.mark.parametrize("encoding", ["wav-16", "wav-24", "wav-float32"])
def test_past_4_gib_a_wav_has_64_bit_sizes(tmp_path, encoding):
    samples = np.round(noise() * 2**15) / np.float32(2**15)
    with AudioWriter(tmp_path / "a.wav", RATE_HZ, 2, encoding, frames=2**31) as writer:
        writer.write(samples)
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RF64"
    with open_audio(tmp_path / "a.wav") as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), samples)
        assert reader.problems == ()


def test_a_wav_that_fits_is_a_plain_one(tmp_path):
    write_audio(tmp_path / "a.wav", Waveform(noise(), RATE_HZ), "wav-24")
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"


def test_a_wav_of_unsaid_length_does_not_wrap_around(tmp_path):
    endless = np.broadcast_to(np.zeros((1, 1), np.float32), (8, 2**30))
    writer = AudioWriter(tmp_path / "a.wav", RATE_HZ, 8, "wav-16")
    with pytest.raises(ValueError, match="64-bit"), writer:
        writer.write(endless)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_encoding_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"'mp3-8' is unknown; known: flac-24"):
        AudioWriter(tmp_path / "a", RATE_HZ, 1, "mp3-8")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("channels", "rate_hz"), [(9, 48_000), (1, 1_000_000)])
def test_what_flac_cannot_hold_is_an_error_and_leaves_no_file(tmp_path, channels, rate_hz):
    with pytest.raises(ConfigError, match=f"{channels} channels at {rate_hz} Hz"):
        AudioWriter(tmp_path / "a", rate_hz, channels, "flac-24")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_exception_leaves_no_partial_file(tmp_path, encoding):
    writer = AudioWriter(tmp_path / "a", RATE_HZ, 2, encoding)
    writer.write(noise())
    with pytest.raises(ValueError, match="dimension"), writer:
        writer.write(np.zeros((1, 2, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_sounds_the_same_and_is_the_same_each_time(tmp_path, rate_hz, channels):
    waveform = Waveform(tone(channels, rate_hz, rate_hz), rate_hz)
    data = encode_opus(waveform)
    assert encode_opus(waveform) == data
    assert 2_000 < len(data) < 20_000
    (tmp_path / "a.opus").write_bytes(data)
    found = read_audio(tmp_path / "a.opus")
    assert found.samples.shape == (channels, 48_000)
    wanted = waveform.resample(48_000).samples
    assert np.square(found.samples - wanted).mean() < 0.02 * np.square(wanted).mean()


def test_opus_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        encode_opus(Waveform(np.zeros((1, 0), np.float32), RATE_HZ))
