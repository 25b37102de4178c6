"""A memory knows copies of its clips, and nothing else; it survives its file."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file
from test_fingerprint import bursts

from audiodiff.curate.duplicates import find_alike
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.errors import EngineError
from audiodiff.generate.memory import (
    MEMORISED,
    likeness_among,
    main,
    read_memory,
    remember,
    save_memory,
    shipped_memory,
)
from audiodiff.waveform import Waveform

RATE = 16_000


def clip(seed, seconds=3.0):
    return Waveform(bursts(seed, seconds, RATE), RATE)


@pytest.fixture(scope="module")
def memory():
    return remember((f"clip {seed}", clip(seed)) for seed in range(30))


def changed(sound: Waveform, how: str) -> Waveform:
    samples = sound.samples
    if how == "softer":
        samples = 0.05 * samples
    elif how == "noise":
        noise = np.random.default_rng(1).standard_normal(samples.shape) * samples.std() / 10
        samples = samples + noise.astype(np.float32)
    elif how == "trimmed":
        samples = samples[:, RATE // 3 :]
    elif how == "at 48 kHz":
        return sound.resample(48_000)
    return Waveform(samples, sound.sample_rate)


@pytest.mark.parametrize("how", ["same", "softer", "noise", "trimmed", "at 48 kHz"])
def test_a_copy_is_remembered(memory, how):
    likeness, name = memory.nearest(changed(clip(7), how))
    assert name == "clip 7"
    assert likeness > MEMORISED


def test_another_sound_is_not(memory):
    assert memory.nearest(clip(99))[0] < 0.4


def test_likeness_is_on_the_scale_of_duplicates(memory):
    take = changed(clip(3), "noise")
    found = find_alike([fingerprint(take.samples, RATE)], memory.prints)
    assert memory.nearest(take) == (found[0].similarity, memory.names[found[0].reference])


def test_silence_is_like_nothing(memory):
    assert memory.nearest(Waveform(np.zeros((1, RATE), np.float32), RATE)) == (0.0, "")
    assert remember([]).nearest(clip(1)) == (0.0, "")


def test_silent_clips_leave_no_trace():
    memory = remember([("silence", Waveform(np.zeros((1, RATE), np.float32), RATE)), ("b", clip(1)), ("a", clip(2))])
    assert memory.names == ("a", "b")


def test_only_the_first_minute_is_kept():
    assert len(remember([("long", clip(0, 70.0))]).prints[0]) < 61 * 190


def test_a_memory_survives_its_file(memory, tmp_path):
    save_memory(memory, tmp_path / "memory.safetensors")
    again = read_memory(tmp_path / "memory.safetensors")
    assert (again.names, again.prints) == (memory.names, memory.prints)
    assert (tmp_path / "memory.safetensors").stat().st_size < 30 * (3 * 190 + 40)
    assert again.nearest(clip(4)) == memory.nearest(clip(4))


def test_an_empty_memory_survives_its_file(tmp_path):
    save_memory(remember([]), tmp_path / "memory.safetensors")
    assert read_memory(tmp_path / "memory.safetensors").names == ()


def test_what_is_no_memory_is_refused(tmp_path):
    path = tmp_path / "memory.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(EngineError, match=r"memory\.safetensors cannot be read"):
        read_memory(path)
    save_file({"prints": np.zeros(3, np.uint8)}, path)
    with pytest.raises(EngineError, match="format None"):
        read_memory(path)
    with pytest.raises(EngineError, match="cannot be read"):
        read_memory(tmp_path / "missing")


def test_made_from_files_and_from_a_manifest(tmp_path, capsys):
    for seed in range(3):
        soundfile.write(tmp_path / f"{seed}.wav", clip(seed).samples.T, RATE)
    (tmp_path / "2.wav").write_bytes(b"no sound")
    (tmp_path / "clips.csv").write_text("path,kind\n1.wav,sfx\n0.wav,sfx\n2.wav,sfx\n")
    out = tmp_path / "memory.safetensors"
    main([str(tmp_path / "clips.csv"), str(out)])
    assert "2 clips" in capsys.readouterr().out
    from_manifest = read_memory(out)
    main([str(tmp_path / "0.wav"), str(tmp_path / "1.wav"), str(out)])
    assert from_manifest.names == read_memory(out).names == ("0.wav", "1.wav")
    assert from_manifest.prints == read_memory(out).prints
    assert from_manifest.nearest(clip(1))[1] == "1.wav"


def test_siblings_by_pairs():
    takes = [clip(0), clip(1), changed(clip(0), "noise"), Waveform(np.zeros((1, RATE), np.float32), RATE)]
    likeness = likeness_among([fingerprint(take.samples, RATE) for take in takes])
    assert likeness.shape == (4, 4)
    assert (likeness == likeness.T).all()
    assert (np.diag(likeness) == 1).all()
    assert likeness[0, 2] > MEMORISED
    assert likeness[0, 1] < 0.4
    assert not likeness[3, :3].any()


def test_the_shipped_memory_knows_every_kind_that_was_trained_on():
    memory = shipped_memory()
    assert len(memory.names) == len(memory.prints) > 1_500
    assert all(any(part in name for name in memory.names) for part in ("esc10", "kathleen", "wesnoth"))
