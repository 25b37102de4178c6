"""The first pass over a recording: its level without the silences, and its loudest stretch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiodiff.encode import write_audio
from audiodiff.survey import EXCERPT_S, Survey, survey
from audiodiff.waveform import Waveform

RATE = 16_000


def tone(seconds: float, amplitude: float) -> np.ndarray:
    """A 440 Hz sine (1, T)."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]


def surveyed(folder: Path, *parts: np.ndarray) -> Survey:
    path = folder / "tape.wav"
    write_audio(path, Waveform(np.concatenate(parts, axis=1), RATE), "wav-float32")
    return survey(path, path.name, dnsmos=False)


def test_level_is_the_rms(tmp_path: Path) -> None:
    assert surveyed(tmp_path, tone(3.0, 0.5)).level == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("silence", [0.0, 1e-4])
def test_level_ignores_silence(tmp_path: Path, silence: float) -> None:
    found = surveyed(tmp_path, tone(20.0, silence), tone(2.0, 0.5), tone(20.0, silence))
    assert found.level == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)


def test_level_of_a_faint_recording_is_its_own(tmp_path: Path) -> None:
    assert surveyed(tmp_path, tone(3.0, 1e-4)).level == pytest.approx(1e-4 / np.sqrt(2), rel=1e-3)


def test_level_of_digital_silence_is_zero(tmp_path: Path) -> None:
    found = surveyed(tmp_path, tone(3.0, 0.0))
    assert (found.level, found.excerpt_start) == (0.0, 0)


def test_excerpt_is_the_loudest_stretch(tmp_path: Path) -> None:
    found = surveyed(tmp_path, tone(15.0, 0.01), tone(EXCERPT_S, 0.5), tone(15.5, 0.01))
    assert found.excerpt_start == 15 * RATE


def test_excerpt_at_the_end_lies_within_the_recording(tmp_path: Path) -> None:
    found = surveyed(tmp_path, tone(12.0, 0.01), tone(3.7, 0.5))
    assert found.excerpt_start + EXCERPT_S * RATE <= found.frames == round(15.7 * RATE)


@pytest.mark.parametrize("seconds", [0.01, 0.4, 3.0])
def test_short_recordings_are_shown_from_the_start(tmp_path: Path, seconds: float) -> None:
    found = surveyed(tmp_path, tone(seconds, 0.5))
    assert (found.excerpt_start, found.frames) == (0, round(seconds * RATE))
    assert found.level == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
