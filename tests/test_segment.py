"""Segments cover a recording from end to end, and part where it is quiet."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audiodiff.curate.records import Segment
from audiodiff.curate.segment import By, SegmentRule, segments
from audiodiff.errors import ConfigError
from audiodiff.media import read_audio
from audiodiff.waveform import Block

RATE = 16_000
ASSETS = Path(__file__).parent / "assets"


def sound(*parts: tuple[float, float], noise: float = 0.0, channels: int = 1) -> Block:
    """Parts of (seconds, amplitude): a wavering tone, and noise under everything."""
    pieces = []
    for seconds, amplitude in parts:
        time = np.arange(int(seconds * RATE)) / RATE
        pieces.append(amplitude * np.sin(2 * np.pi * 440 * time) * (1 + 0.3 * np.sin(2 * np.pi * 3 * time)))
    samples = np.concatenate(pieces)
    samples = samples + noise * np.random.default_rng(0).standard_normal(len(samples))
    return np.tile(samples.astype(np.float32), (channels, 1))


def clips(found: list[Segment]) -> list[tuple[float, float]]:
    return [(segment.start / RATE, segment.stop / RATE) for segment in found if not segment.reason]


def assert_tiles(found: list[Segment], total: int) -> None:
    assert found[0].start == 0
    assert found[-1].stop == total
    assert all(before.stop == after.start for before, after in pairwise(found))
    assert all(segment.frames > 0 for segment in found)


@pytest.mark.parametrize("noise", [0.0, 1e-4, 3e-3])
def test_energy_parts_at_long_pauses_and_not_at_short_ones(noise: float) -> None:
    samples = sound((1, 0), (2, 0.2), (0.8, 0), (1, 0.2), (0.2, 0), (0.5, 0.2), (2, 0), noise=noise)
    found = segments(samples, RATE, SegmentRule("energy"))
    assert_tiles(found, samples.shape[1])
    for (start, stop), (wanted_start, wanted_stop) in zip(clips(found), [(0.9, 3.1), (3.7, 5.6)], strict=True):
        assert start == pytest.approx(wanted_start, abs=0.03)
        assert stop == pytest.approx(wanted_stop, abs=0.03)
    assert {segment.reason for segment in found} == {"", "silence"}


def test_a_quiet_recording_is_cut_like_a_loud_one() -> None:
    parts = ((1, 0.0), (2, 0.2), (1, 0.0), (1, 0.2))
    loud = segments(sound(*parts, noise=1e-3), RATE, SegmentRule("energy"))
    quiet = segments(0.02 * sound(*parts, noise=1e-3), RATE, SegmentRule("energy"))
    assert loud == quiet


def test_one_word_in_a_minute_of_room_tone_is_found() -> None:
    samples = sound((40, 0), (1, 0.1), (19, 0), noise=1e-3)
    ((start, stop),) = clips(segments(samples, RATE, SegmentRule("energy")))
    assert (start, stop) == (pytest.approx(39.9, abs=0.03), pytest.approx(41.1, abs=0.03))


def test_an_offset_hides_no_pause() -> None:
    samples = sound((1, 0), (2, 0.2), (1, 0), noise=1e-4)
    assert segments(samples + 0.05, RATE, SegmentRule("energy")) == segments(samples, RATE, SegmentRule("energy"))


def test_steady_sound_is_no_pause() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 10 * RATE)).astype(np.float32)
    assert segments(noise, RATE, SegmentRule("energy")) == [Segment(0, 10 * RATE)]


@pytest.mark.parametrize("by", ["whole", "energy", "voice", "fixed"])
@pytest.mark.parametrize("frames", [1, 7_777, 40 * RATE + 13])
def test_segments_cover_every_sample(by: By, frames: int) -> None:
    rng = np.random.default_rng(frames)
    swell = np.interp(np.arange(frames), np.linspace(0, frames, 40), rng.choice([0.0, 0.01, 0.3], 40))
    samples = (swell * rng.standard_normal(frames)).astype(np.float32)[None]
    found = segments(samples, RATE, SegmentRule(by, longest_s=8.0))
    assert_tiles(found, frames)
    assert all(segment.frames <= 8.0 * RATE for segment in found if not segment.reason)


def test_long_sound_is_cut_where_it_is_quietest() -> None:
    samples = sound((8, 0.3), (0.1, 0.02), (8, 0.3))
    found = segments(samples, RATE, SegmentRule("whole", longest_s=10.0))
    assert clips(found)[0][1] == pytest.approx(8.05, abs=0.06)
    assert all(stop - start > 2.0 for start, stop in clips(found))


def test_silence_is_one_segment_with_its_reason() -> None:
    for by in ("whole", "energy"):
        assert segments(np.zeros((2, RATE), np.float32), RATE, SegmentRule(by)) == [Segment(0, RATE, "silence")]
    assert segments(np.zeros((1, 0), np.float32), RATE, SegmentRule()) == []


def test_short_sounds_are_named() -> None:
    found = segments(sound((1, 0), (0.05, 0.3), (1, 0)), RATE, SegmentRule("energy", pad_s=0.02))
    assert [segment.reason for segment in found] == ["silence", "too_short", "silence"]


def test_the_louder_channel_counts() -> None:
    one = sound((1, 0), (1, 0.2), (1, 0))
    stereo = np.concatenate([np.zeros_like(one), one])
    assert segments(stereo, RATE, SegmentRule("energy")) == segments(one, RATE, SegmentRule("energy"))


def test_fixed_windows_overlap_by_their_hop() -> None:
    samples = sound((25, 0.1))
    rest = segments(samples, RATE, SegmentRule("fixed", longest_s=10.0))
    assert [(s.start // RATE, s.frames // RATE, s.reason) for s in rest] == [(0, 10, ""), (10, 10, ""), (20, 5, "rest")]
    overlapping = segments(samples, RATE, SegmentRule("fixed", longest_s=10.0, hop_s=5.0))
    assert [segment.start // RATE for segment in overlapping] == [0, 5, 10, 15]
    apart = segments(samples, RATE, SegmentRule("fixed", longest_s=5.0, hop_s=10.0))
    assert [(s.start // RATE, s.reason) for s in apart] == [(0, ""), (5, "rest"), (10, ""), (15, "rest"), (20, "")]


def test_voice_finds_speech_between_pauses() -> None:
    speech = read_audio(ASSETS / "en_asterisk_vm-tempgreeting2.g722").samples
    pause = np.zeros((1, 2 * RATE), np.float32)
    samples = np.concatenate([pause, speech, pause], axis=1)
    found = segments(samples, RATE, SegmentRule("voice"))
    assert_tiles(found, samples.shape[1])
    assert found[0].reason == found[-1].reason == "no_voice"
    assert found[0].frames == pytest.approx(2 * RATE, abs=0.4 * RATE)
    assert found[-1].frames == pytest.approx(2 * RATE, abs=0.7 * RATE)


def test_music_is_no_voice() -> None:
    samples = sound((5, 0.2))
    assert [segment.reason for segment in segments(samples, RATE, SegmentRule("voice"))] == ["no_voice"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "luck"},
        {"longest_s": 0.5},
        {"shortest_s": 0.0},
        {"pause_s": 0.0},
        {"pad_s": -1.0},
        {"hop_s": -1.0},
        {"longest_s": 0.02, "shortest_s": 0.001},
        {"longest_s": float("inf")},
        {"hop_s": 1e-6},
    ],
)
def test_impossible_rules(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SegmentRule(**wrong)  # type: ignore[arg-type]
