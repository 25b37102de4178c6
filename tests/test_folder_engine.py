"""Foreign restorers: programs in processes of their own, run over folders of WAV files."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import write_engine
from torch import Tensor

from audiodiff.engines import RestorationEngine, Sampling, open_engine
from audiodiff.engines.command import run_command
from audiodiff.engines.folder import load_engine_file
from audiodiff.engines.probe import measure_delay, probe
from audiodiff.errors import ConfigError, EngineError
from audiodiff.metrics.paired import si_sdr_db
from audiodiff.restore import Treatment, restore_stream
from audiodiff.waveform import Block


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
    return tmp_path / "tool.engine.toml"


def windows(batch: int = 2, channels: int = 2, frames: int = 9_600) -> Tensor:
    return 0.1 * torch.randn(batch, channels, frames, generator=torch.Generator().manual_seed(0))


def restored(engine: RestorationEngine, x: Tensor, seed: int = 0) -> Tensor:
    return engine.restore(x, [x.shape[-1] * number for number in range(len(x))], Sampling(seed=seed))


def gone(process: int) -> bool:
    """Whether a process has ended; one that only waits to be collected by its new parent has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# -- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "error"), [("wav-float32", 0.0), ("wav-24", 1e-7), ("wav-16", 5e-5)])
@pytest.mark.parametrize("mono", [True, False])
def test_the_program_gets_the_windows_and_its_output_comes_back(
    path: Path, encoding: str, error: float, mono: bool
) -> None:
    calls = path.parent / "calls"
    engine = load_engine_file(write_engine(path, "--gain=0.5", f"--calls={calls}", encoding=encoding, mono=mono))
    x = windows(3)
    torch.testing.assert_close(restored(engine, x), 0.5 * x, rtol=0.0, atol=error)
    subtype = {"wav-float32": "FLOAT", "wav-24": "PCM_24", "wav-16": "PCM_16"}[encoding]
    assert calls.read_text().splitlines() == [f"1 {subtype}", f"{6 if mono else 3} {subtype}"]


def test_integers_do_not_clip(path: Path) -> None:
    x = 20.0 * windows()
    assert x.abs().max() > 5.0
    out = restored(load_engine_file(write_engine(path, "--gain=0.5", encoding="wav-16")), x)
    torch.testing.assert_close(out, 0.5 * x, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("delay", [0, 480, 1_440, -240])
def test_a_delay_is_measured_and_removed(path: Path, delay: int) -> None:
    x = windows()
    for given in ("auto", delay):
        out = restored(load_engine_file(write_engine(path, f"--delay={delay}", delay=given)), x)
        torch.testing.assert_close(out, x, rtol=0.0, atol=0.0)


@pytest.mark.parametrize(("flags", "problem"), [(["--gain=-1"], "only -1.00"), (["--delay=9000"], "correlation")])
def test_a_delay_that_cannot_be_measured_must_be_given(path: Path, flags: list[str], problem: str) -> None:
    with pytest.raises(EngineError, match=f"engine 'tool': the delay cannot be measured.*{problem}.*set `delay`"):
        load_engine_file(write_engine(path, *flags))
    load_engine_file(write_engine(path, *flags, delay=0))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_the_probe_finds_delays_at_any_rate(rate: int) -> None:
    sent = probe(rate, 0.1)
    assert float(np.sqrt(np.square(sent).mean())) == pytest.approx(0.1, rel=1e-4)
    noise = 0.05 * np.random.default_rng(0).standard_normal(sent.shape).astype(np.float32)
    for delay in (-300, 0, 1, 777):
        assert measure_delay(np.roll(sent, delay) + noise, sent, rate) == delay


def test_another_rate_is_brought_back(path: Path) -> None:
    time_s = torch.arange(48_000) / 48_000
    x = 0.1 * torch.sin(2 * torch.pi * 440.0 * time_s).expand(1, 2, -1)
    out = restored(load_engine_file(write_engine(path, "--rate=44100")), x)
    assert out.shape == x.shape
    assert float(si_sdr_db(out[0, :, 480:-480], x[0, :, 480:-480]).min()) > 60.0


@pytest.mark.parametrize("change", [-500, 500])
def test_a_small_difference_of_length_is_forgiven(path: Path, change: int) -> None:
    x = windows()
    out = restored(load_engine_file(write_engine(path, "--gain=0.5", f"--lengthen={change}")), x)
    torch.testing.assert_close(out[..., :-500], 0.5 * x[..., :-500])
    torch.testing.assert_close(out[..., -500:], x[..., -500:] * (1.0 if change < 0 else 0.5))


def test_results_may_have_names_of_their_own(path: Path) -> None:
    x = windows()
    out = restored(load_engine_file(write_engine(path, "--suffix=_clean.flac", result="{stem}_clean.flac")), x)
    torch.testing.assert_close(out, x, rtol=0.0, atol=5e-5)


def test_placeholders_reach_the_program(path: Path) -> None:
    script = 'mkdir -p "$2" && cp "$1"/* "$2" && printf "%s\\n" "$@" > "$3/arguments"'
    command = ["sh", "-c", script, "sh", "{in}", "{out}", "{here}", "x{device}", "{seed}", "{other}"]
    write_engine(path, command=command, version="1", files=[])
    restored(load_engine_file(path, "cuda"), windows(), seed=2**31 + 5)
    given = (path.parent / "arguments").read_text().splitlines()
    assert [Path(one).name for one in given[:2]] == ["in", "out"]
    assert given[2:] == [str(path.parent), "xcuda", "5", "{other}"]


def test_a_recording_is_restored_without_seams_and_better(path: Path) -> None:
    rng, rate = np.random.default_rng(0), 44_100
    time_s = np.arange(25 * rate) / rate
    clean = np.stack([0.1 * np.sin(2 * np.pi * hz * time_s) for hz in (440.0, 1_320.0)]).astype(np.float32)
    noisy = clean + 0.02 * rng.standard_normal(clean.shape).astype(np.float32)
    engine = load_engine_file(write_engine(path, "--gate=0.01"))
    after = {batch: streamed(noisy, rate, engine, batch) for batch in (1, engine.batch)}
    np.testing.assert_array_equal(after[1], after[engine.batch])
    before_db, after_db = (si_sdr_db(side, clean).min() for side in (noisy, after[1]))
    assert after_db > before_db + 8.0


def streamed(samples: Block, rate: int, engine: RestorationEngine, batch: int) -> Block:
    blocks = [samples[:, at : at + 30_011] for at in range(0, samples.shape[1], 30_011)]
    how = Treatment(Sampling(), batch=batch)
    return np.concatenate([a for _, a in restore_stream(blocks, rate, len(samples), 1.0, engine, how)], axis=1)


def test_calls_from_many_threads_keep_apart(path: Path) -> None:
    engine = load_engine_file(write_engine(path, "--gain=0.5"))
    inputs = [factor * windows(factor) for factor in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        for x, out in zip(inputs, pool.map(lambda x: restored(engine, x), inputs), strict=True):
            assert torch.equal(out, 0.5 * x)


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--skip=1"], r"`.*` wrote no 00001.wav, but 3 files: 00000.wav, 00002.wav, 00003.wav"),
        (["--poison=1"], r"`.*` wrote damaged sound, '00001.wav': samples that are not a number"),
    ],
)
def test_what_a_good_program_does_not_write(path: Path, flags: list[str], message: str) -> None:
    engine = load_engine_file(write_engine(path, *flags))
    with pytest.raises(EngineError, match=f"engine 'tool': {message}"):
        restored(engine, windows())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--status=3"], r"foreign tool.py' in out --status=3` exited with status 3: .*model file is broken$"),
        (["--lengthen=9000"], r"made 1 channels of 177000 samples from 1 channels of 168000 samples at 48000 Hz"),
        (["--stereo"], r"made 2 channels of 168000 samples from 1 channels"),
        (["--suffix=.flac"], r"wrote no 00000.wav, but 1 files: 00000.flac"),
        (["--nonsense"], r"exited with status 2: .*unrecognized arguments: --nonsense"),
        (["--poison=0"], r"wrote damaged sound"),
    ],
)
def test_a_tool_that_does_not_work_is_found_when_it_is_opened(path: Path, flags: list[str], message: str) -> None:
    with pytest.raises(EngineError, match=f"engine 'tool': `.*{message}"):
        load_engine_file(write_engine(path, *flags))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -SEGV $$", "was ended by SIGSEGV, having printed nothing"),
        ("cp {in}/* {out}; echo oops > {out}/00000.wav", "wrote what cannot be read: '00000.wav'"),
        ("head -c 99999 {in}/00000.wav > {out}/00000.wav", "wrote damaged sound, '00000.wav': the file ends before"),
    ],
)
def test_other_ways_to_fail(path: Path, script: str, message: str) -> None:
    command = ["sh", "-c", script.replace("{in}", '"$1"').replace("{out}", '"$2"'), "sh", "{in}", "{out}"]
    with pytest.raises(EngineError, match=message):
        load_engine_file(write_engine(path, command=command))


def test_a_program_that_is_not_there(path: Path) -> None:
    write_engine(path, command=["/nowhere/tool", "{in}", "{out}"])
    with pytest.raises(EngineError, match=r"`/nowhere/tool in out` cannot be started: No such file or directory"):
        load_engine_file(path)


@pytest.mark.parametrize("sleep_s", [60, 0])
def test_the_time_limit_ends_children_too(path: Path, sleep_s: int) -> None:
    """Those of a program that ended by itself as well."""
    children = path.parent / "children"
    write_engine(path, f"--children={children}", f"--sleep={sleep_s}", timeout_s=8.0)
    started = time.monotonic()
    if sleep_s:
        with pytest.raises(EngineError, match=r"was stopped after 8 s, having printed nothing"):
            load_engine_file(path)
    else:
        load_engine_file(path)
    assert time.monotonic() - started < 30.0
    ids = [int(word) for word in children.read_text().split()]
    assert len(ids) == 2
    assert all(gone(one) for one in ids)


def test_only_the_last_lines_are_quoted(scratch: Path, tmp_path: Path) -> None:
    script = "for number in range(99_999): print('line', number)\nraise SystemExit(1)"
    with pytest.raises(EngineError, match=r"status 1: line 99994 \| line 99995 .*\| line 99998$"):
        run_command([sys.executable, "-c", script], tmp_path, 60.0)


# -- engine files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("command = [", "is no TOML"),
        ("sample_rate = 48000", r"command\. Field required"),
        ('command = ["x", "{in}", "{out}"]\nsample_rate = 48000', "give `version` or `files`"),
        ('command = ["x", "{in}"]\nsample_rate = 48000\nversion = "1"', "must name {in} and {out}"),
        ('command = ["x", "{in}{out}"]\nsample_rate = 48000\nversion = "1"\nresult = "a.wav"', "must name {stem}"),
        ('command = ["x", "{in}{out}"]\nsample_rate = 48\nversion = "1"', r"sample_rate\. Input should be greater"),
        ('command = ["x", "{in}{out}"]\nsample_rate = 48000\nversion = "1"\ndelai = 3', r"delai\. Extra inputs"),
        (
            'command = ["x", "{in}{out}"]\nsample_rate = 48000\nfiles = ["weights"]',
            "'weights' of `files` cannot be read",
        ),
    ],
)
def test_a_wrong_engine_file_is_explained(path: Path, content: str, message: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_engine_file(path)


@pytest.mark.parametrize("name", ["missing.engine.toml", "s3://bucket/tool.engine.toml"])
def test_an_engine_file_must_be_there(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read from this machine"):
        open_engine(name)


def test_the_digest_follows_what_decides_the_result(path: Path) -> None:
    """And nothing else: not the time limit, not the place."""
    weights = path.parent / "weights" / "layers"
    weights.mkdir(parents=True)
    (weights / "one.bin").write_bytes(b"one")
    settings: dict[str, list[str]] = {"files": ["weights", "foreign tool.py"]}

    def digest(*flags: str, to: Path = path, **more: str | float) -> str:
        return load_engine_file(write_engine(to, *flags, **settings, **more)).sha256

    first = digest()
    assert digest(timeout_s=99.0) == first
    digests = [first, digest("--gain=0.9"), digest(version="2"), digest(level=0.2)]
    (weights / "one.bin").write_bytes(b"two")
    digests.append(digest())
    (weights / "one.bin").rename(weights / "two.bin")
    digests.append(digest())
    assert all(a != b for a, b in pairwise(digests))
    moved = path.parent / "moved"
    moved.mkdir()
    (path.parent / "weights").rename(moved / "weights")
    assert digest(to=moved / path.name) == digests[-1]


# -- plug-ins that are packages ---------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with two entry points, one of which does not load, installed as pip would."""
    module = f"restorer_{os.getpid()}"
    site = tmp_path / "site-packages"
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[audiodiff.engines]\nquiet = {module}:load\nbroken = {module}.no:load\n")
    (site / f"{module}.py").write_text("from audiodiff.engines.passthrough import load\n")
    monkeypatch.syspath_prepend(site)
    yield module
    sys.modules.pop(module, None)


def test_installed_packages_offer_engines(installed: str) -> None:
    x = windows()
    engine = open_engine("quiet")
    assert engine is open_engine("quiet")
    assert torch.equal(restored(engine, x), x)
    with pytest.raises(EngineError, match=rf"engine 'broken' \({installed}.no:load\) cannot be loaded"):
        open_engine("broken")
    with pytest.raises(ConfigError, match=r"unknown engine 'rx'; known: .*, broken, quiet, and the path of any"):
        open_engine("rx")
