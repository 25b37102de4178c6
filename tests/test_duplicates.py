"""Copies are found, other recordings are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_fingerprint import bursts

from audiodiff.curate.duplicates import Match, clusters, find_alike, find_alike_within
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.degrade.codec import Codec
from audiodiff.waveform import Waveform

RATE = 48_000
OTHERS = [bursts(seed) for seed in range(8)]
PRINTS = [fingerprint(sound, RATE) for sound in OTHERS]


def coded(codec, kbps):
    return lambda sound: Codec(codec, kbps).apply(torch.from_numpy(sound), RATE).numpy()


def noisy(sound):
    noise = np.random.default_rng(5).standard_normal(sound.shape) * sound.std() / 10
    return (sound + noise).astype(np.float32)


COPIES = {
    "mp3": coded("mp3", 64.0),
    "opus": coded("opus", 24.0),
    "gsm": coded("gsm", 0.0),
    "louder, clipped": lambda sound: np.clip(10 * sound, -1, 1),
    "softer": lambda sound: 0.1 * sound,
    "8 kHz and back": lambda sound: Waveform(sound, RATE).resample(8_000).resample(RATE).samples,
    "noise": noisy,
    "trimmed": lambda sound: sound[:, 30_011:120_000],
    "half": lambda sound: sound[:, 40_007 : 40_007 + 72_000],
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found(name):
    found = find_alike([fingerprint(COPIES[name](OTHERS[3]), RATE)], PRINTS)
    assert [match.reference for match in found] == [3]


def test_overlap_is_measured():
    match = find_alike([fingerprint(OTHERS[3][:, 48_000:], RATE)], PRINTS)[0]
    assert match.overlap_s == pytest.approx(1.9, abs=0.15)


def test_other_recordings_are_not_alike():
    noises = [np.random.default_rng(seed).standard_normal((1, 2 * RATE)).astype(np.float32) / 10 for seed in range(4)]
    assert find_alike_within(PRINTS + [fingerprint(noise, RATE) for noise in noises]) == []
    assert find_alike_within([fingerprint(OTHERS[0][:, :72_000], RATE), fingerprint(OTHERS[0][:, 72_000:], RATE)]) == []


def test_empty_prints_match_nothing():
    assert find_alike_within([b"", b"", *PRINTS[:1]]) == []
    assert find_alike([], PRINTS) == find_alike(PRINTS, []) == []


def test_pairs_once_and_the_same_every_time():
    prints = [*PRINTS, fingerprint(noisy(OTHERS[2]), RATE)]
    found = find_alike_within(prints)
    assert [(match.query, match.reference) for match in found] == [(2, 8)]
    assert found == find_alike_within(prints)


def test_clusters_take_their_smallest_number():
    assert clusters(5, [Match(3, 4, 1, 1), Match(1, 4, 1, 1)]) == [0, 1, 2, 1, 1]
