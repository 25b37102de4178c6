"""Foreign generators: programs in processes of their own that turn a list of requests into sounds."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sines import write_generator

from audiodiff.errors import ConfigError, EngineError
from audiodiff.generate.records import Draw, Prompt, Request
from audiodiff.generators import open_generator
from audiodiff.generators.command import REQUESTS, CommandGenerator, load
from audiodiff.waveform import Waveform

RATE_HZ = 16_000


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder, at a path that needs care; nothing may be left in it."""
    folder = tmp_path / "a scratch 'folder' {in}"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sines.toml"


def opened(path: Path, *flags: str, **settings: Any) -> CommandGenerator:
    return load(str(write_generator(path, *flags, **settings)))


def request(seed: int = 0, reference: Waveform | None = None, **prompt: Any) -> Request:
    return Request(Prompt(**{"prompt": "a hum", "duration_s": 0.25} | prompt), 0, seed, reference)


def hertz(take: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(take.samples[0] * np.hanning(take.frames)))
    return float(np.argmax(spectrum)) * take.sample_rate / take.frames


def click() -> Waveform:
    """A tenth of a second of noise."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, RATE_HZ // 10))
    return Waveform(noise.astype(np.float32), RATE_HZ)


# -- what comes back -------------------------------------------------------------------------------------------------


def test_takes_come_back_in_order(path: Path) -> None:
    write_generator(path, name="My sines", license="CC0-1.0", batch=32)
    generator = open_generator(f"command:{path}")
    assert generator is open_generator(f"command:{path}")
    assert (generator.name, generator.license, generator.batch) == ("My sines", "CC0-1.0", 32)
    assert (generator.sample_rate, generator.kinds, generator.edits) == (RATE_HZ, {"sfx", "music"}, {"new"})
    takes = generator.generate([request(100), request(700, duration_s=0.5), request(400)], Draw())
    assert [take.frames for take in takes] == [4_000, 8_000, 4_000]
    assert [hertz(take) for take in takes] == pytest.approx([300, 900, 600], abs=5)
    assert generator.generate([], Draw()) == []


@pytest.mark.parametrize(
    ("suffix", "rate", "channels"), [(".wav", 16_000, 1), (".flac", 44_100, 2), (".take.ogg", 48_000, 2)]
)
def test_any_format_rate_and_number_of_channels_will_do(path: Path, suffix: str, rate: int, channels: int) -> None:
    flags = [f"--suffix={suffix}", f"--rate={rate}", f"--channels={channels}"]
    (take,) = opened(path, *flags, result="{id}" + suffix).generate([request(300)], Draw())
    assert (take.channels, take.frames, take.sample_rate) == (channels, 4_000, RATE_HZ)
    assert hertz(take) == pytest.approx(500, abs=5)


def test_the_program_is_told_all(path: Path) -> None:
    kept = path.parent / "kept"
    settings: dict[str, Any] = {"kinds": ["voice"], "edits": ["new", "loop"], "steps": 20, "guidance": 3.0}
    generator = opened(path, f"--keep={kept}", **settings)
    said = {"kind": "voice", "text": "Grüß Gott", "negative": "hiss", "loop": True, "tempo_bpm": 90.0}
    generator.generate([request(2**40 + 7, influence=0.75, **said)], Draw(steps=5))
    (row,) = map(json.loads, (kept / REQUESTS).read_text().splitlines())
    assert row == said | {
        "id": "00000", "prompt": "a hum", "duration_s": 0.25, "seed": 7, "steps": 5, "guidance": 4.0,
        "influence": 0.75, "edit": "new", "reference": "", "strength": 0.5, "start_s": 0.0, "end_s": 0.0,
    }  # fmt: skip
    assert generator.resolve(request(influence=0.75), Draw()) == Draw(20, 4.0)


def test_open_lengths(path: Path) -> None:
    """4 s for sounds; 0, which is as long as it takes, for speech."""
    kept = path.parent / "kept"
    generator = opened(path, f"--keep={kept}", "--shorten=-0.5", kinds=["sfx", "voice"])
    takes = generator.generate([request(duration_s=0.0), request(duration_s=0.0, kind="voice", text="hello")], Draw())
    assert [take.duration_s for take in takes] == [4.0, 0.5]


def test_what_is_drawn_is_put_into_the_reference(path: Path) -> None:
    kept, sound = path.parent / "kept", click()
    generator = opened(path, f"--keep={kept}", edits=["new", "variation", "inpaint", "continue"])
    edits: list[dict[str, Any]] = [
        {"edit": "variation", "duration_s": 0.0},
        {"edit": "inpaint", "start_s": 0.02, "end_s": 0.05},
        {"edit": "continue", "duration_s": 0.2},
    ]
    varied, filled, continued = generator.generate([request(100, sound, **edit) for edit in edits], Draw())
    rows = [json.loads(line) for line in (kept / REQUESTS).read_text().splitlines()]
    assert [(row["duration_s"], row["start_s"], row["end_s"]) for row in rows] == [
        (0.1, 0.0, 0.0), (0.1, 0.02, 0.05), (pytest.approx(0.3), 0.1, pytest.approx(0.3))
    ]  # fmt: skip
    given, rate = soundfile.read(kept / rows[1]["reference"], dtype="float32")
    assert rate == RATE_HZ
    assert np.array_equal(given.T, sound.samples)
    whole = sound.mono().samples  # the program makes one channel
    assert (varied.frames, filled.frames, continued.frames) == (1_600, 1_600, 4_800)
    assert not np.array_equal(varied.samples, whole)
    assert np.array_equal(filled.samples[:, :320], whole[:, :320])
    assert np.array_equal(filled.samples[:, 800:], whole[:, 800:])
    assert not np.array_equal(filled.samples[:, 320:800], whole[:, 320:800])
    assert np.array_equal(continued.samples[:, :1_600], whole)
    assert hertz(Waveform(continued.samples[:, 1_600:], RATE_HZ)) == pytest.approx(300, abs=5)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--status=3"], "exited with status 3: the weights are missing"),
        (["--skip=1"], r"wrote no 00001\.wav, but 1 files: 00000\.wav"),
        (["--shorten=0.15"], r"wrote 0\.1 s of 0\.25 s to '00000\.wav'"),
        (["--shorten=0.25"], r"wrote what cannot be read: .*00000\.wav"),
        (["--spoil=1"], r"wrote what cannot be read: .*00001\.wav"),
        (["--poison=1"], r"wrote damaged sound, '00001\.wav': samples that are not a number"),
        (["--unknown"], "exited with status 2: .*unrecognized arguments: --unknown"),
    ],
)
def test_what_a_program_does_wrong_is_said(path: Path, flags: list[str], message: str) -> None:
    with pytest.raises(EngineError, match=f"generator 'sines': `.*{message}"):
        opened(path, *flags).generate([request(), request(1)], Draw())


def test_a_program_that_hangs_is_stopped(path: Path) -> None:
    generator = opened(path, "--sleep=300", timeout_s=4.0)
    started = time.monotonic()
    with pytest.raises(EngineError, match="was stopped after 4 s"):
        generator.generate([request()], Draw())
    assert time.monotonic() - started < 60.0


def test_a_program_that_is_not_there(path: Path) -> None:
    with pytest.raises(EngineError, match=r"no-such-program.* cannot be started: No such file"):
        opened(path, command=["no-such-program", "{in}", "{out}"]).generate([request()], Draw())


def test_what_is_not_offered_is_refused(path: Path) -> None:
    generator = opened(path, longest_s=10.0)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kind": "voice"}, "sines makes no voice; it makes music, sfx"),
        ({"edit": "variation"}, "sines cannot do the edit variation; it can do new"),
        ({"loop": True}, "sines makes no loops"),
        ({"duration_s": 11.0}, "sines makes at most 10 s"),
    ]
    for prompt, message in wrong:
        with pytest.raises(ConfigError, match=message):
            generator.generate([request(), request(**prompt)], Draw())


GOOD = 'command = ["x", "{in}", "{out}"]\nsample_rate = 48000\nkinds = ["sfx"]\nversion = "1"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("command = [", "is no TOML"),
        (GOOD.replace("{out}", "out"), r"`command` must name \{in\} and \{out\}"),
        (GOOD.replace("version", "name"), "give `version` or `files`"),
        (GOOD + 'result = "take.wav"', r"`result` must name \{id\}"),
        (GOOD.replace('"sfx"', '"noise"'), r"kinds\.0\. Input should be 'sfx', 'music' or 'voice'"),
        (GOOD.replace("48000", "48"), r"sample_rate\. Input should be greater"),
        (GOOD + "speed = 3", r"speed\. Extra inputs"),
        (GOOD + 'files = ["weights"]', "'weights' of `files` cannot be read"),
    ],
)
def test_a_wrong_generator_file_is_explained(path: Path, content: str, message: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load(str(path))


def test_a_generator_file_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"'missing\.toml' cannot be read from this machine"):
        open_generator("command:missing.toml")


def test_the_digest_follows_what_decides_the_result(path: Path) -> None:
    first = opened(path).sha256
    assert opened(path, timeout_s=9.0, name="other").sha256 == first
    assert opened(path, "--channels=2").sha256 != first
    assert opened(path, steps=3).sha256 != first
    program = path.parent / "sines.py"
    program.write_text(program.read_text() + "\n")
    assert load(str(path)).sha256 not in {first, opened(path, steps=3).sha256}
