"""Fingerprints of synthetic recordings: compact, versioned, empty where there is nothing to tell."""

from __future__ import annotations

import numpy as np
import pytest

from audiodiff.curate.fingerprint import BANDS, VERSION, fingerprint, levels
from audiodiff.errors import ConfigError


def bursts(seed, seconds=3.0, rate=48_000):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    knots = np.arange(0, seconds + 0.2, 0.1)
    voices = [np.interp(t, knots, rng.random(len(knots)) ** 2) for _ in range(8)]
    tones = [
        np.sin(2 * np.pi * np.cumsum(np.interp(t, knots, rng.uniform(250, 3300, len(knots)))) / rate) for _ in t[:8]
    ]
    return (0.1 * sum(v * s for v, s in zip(voices, tones, strict=True))).astype(np.float32)[np.newaxis]


def test_size_and_version():
    found = fingerprint(bursts(0), 48_000)
    assert found[0] == VERSION
    assert 150 < len(found) / 3 < 200
    assert levels(found).shape[1] == BANDS
    assert found == fingerprint(bursts(0), 48_000)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.29])
def test_too_short_is_empty(seconds):
    assert fingerprint(bursts(0)[:, : round(seconds * 48_000)], 48_000) == b""


def test_silence_and_dc_are_empty():
    assert fingerprint(np.zeros((2, 48_000), np.float32), 48_000) == b""
    assert fingerprint(np.full((1, 48_000), 0.5, np.float32), 48_000) == b""


def test_gain_offset_and_channels_drop_out():
    sound = bursts(1)
    plain = levels(fingerprint(sound, 48_000))
    for other in (0.1 * sound, sound + 0.2, np.repeat(sound, 2, axis=0)):
        assert (levels(fingerprint(other.astype(np.float32), 48_000)) == plain).mean() > 0.98


def test_silent_frames_say_nothing():
    sound = np.concatenate([bursts(2), np.zeros((1, 48_000), np.float32)], axis=1)
    found = levels(fingerprint(sound, 48_000))
    assert not found[-20:].any()
    assert found[:60].any(axis=1).all()


def test_another_version_is_refused():
    with pytest.raises(ConfigError, match="version"):
        levels(bytes([VERSION + 1]) + bytes(60))
