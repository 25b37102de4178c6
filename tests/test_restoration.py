"""Restoring one recording: what becomes of it, in a file and in the ledger."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from restoring import PASSTHROUGH, Changing, music
from torch import Tensor

from audiodiff.encode import Encoding, write_audio
from audiodiff.engines import RestorationEngine, Sampling
from audiodiff.engines.bridge import BridgeEngine
from audiodiff.engines.passthrough import Passthrough
from audiodiff.errors import StorageError
from audiodiff.media import read_audio
from audiodiff.records import Item, Lane, Row, Shard
from audiodiff.restoration import Job, Preset, Restoration
from audiodiff.restore import Treatment
from audiodiff.shards import Clock
from audiodiff.storage import LocalStore
from audiodiff.waveform import Block, Waveform


@dataclass
class Bench:
    """One source folder and what `Restoration` makes of its files."""

    folder: Path

    def put(self, name: str, samples: Block, rate: int = 44_100, encoding: Encoding = "flac-24") -> str:
        (self.folder / "source").mkdir(exist_ok=True)
        write_audio(self.folder / "source" / name, Waveform(samples, rate), encoding)
        return name

    def restore(
        self,
        name: str,
        engine: RestorationEngine = PASSTHROUGH,
        encoding: Encoding = "flac-24",
        preset: Preset = "archive",
        preview: bool = False,
        **more: bool,
    ) -> tuple[Row, Path | None]:
        source = LocalStore(str(self.folder / "source"))
        job = Job(preset, Treatment(Sampling()), encoding, "test-0", "{}", **more)
        item = Item(hashlib.sha256(name.encode()).hexdigest()[:16], name, 1, "mark", preview)
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        outcome = Restoration(source, job, engine)(item, Shard("shard-00000", "run", (item,)), scratch, Clock())
        (row,) = outcome.rows
        shown = row.lane is not Lane.FAILED and (preview or row.lane is not Lane.ACCEPTED)
        assert (outcome.preview is not None) == shown
        if outcome.preview and "left_alone" in row.reasons:
            assert outcome.preview.after_opus == outcome.preview.before_opus
        return row, outcome.files[0] if outcome.files else None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (44_100, 2), (48_000, 6), (96_000, 1)])
@pytest.mark.parametrize("encoding", ["flac-24", "wav-float32"])
def test_output_has_the_shape_of_the_source(
    bench: Bench, model: BridgeEngine, rate: int, channels: int, encoding: Encoding
) -> None:
    samples = music(0.7, rate, channels)[:, :-1]
    row, audio = bench.restore(bench.put("tape.flac", samples, rate), model, encoding)
    assert audio is not None
    info = soundfile.info(audio)
    assert (info.frames, info.samplerate, info.channels) == (samples.shape[1], rate, channels)
    assert row.media is not None
    assert (row.frames, row.media.sample_rate, row.media.channels) == (samples.shape[1], rate, channels)
    assert row.sha256 == hashlib.sha256(audio.read_bytes()).hexdigest()
    assert row.bit_depth == (24 if encoding == "flac-24" else 32)


def test_passthrough_item_is_accepted_and_identical(bench: Bench) -> None:
    name = bench.put("tape.flac", music(2.0, 44_100, 2))
    row, audio = bench.restore(name, preview=True)
    assert (row.lane, row.reasons, row.messages) == (Lane.ACCEPTED, (), ())
    assert audio is not None
    np.testing.assert_array_equal(read_audio(audio).samples, read_audio(bench.folder / "source" / name).samples)
    assert row.before == row.after


ASSETS = Path(__file__).parent / "assets"


def test_a_clean_recording_is_left_alone_sample_by_sample(bench: Bench, model: BridgeEngine) -> None:
    prompt = read_audio(ASSETS / "fr_asterisk_vm-instructions.g722")
    name = bench.put("prompt.flac", prompt.samples, 16_000, "flac-16")
    row, audio = bench.restore(name, model, leave_clean=True)
    assert (row.lane, row.reasons, row.faults) == (Lane.ACCEPTED, ("left_alone",), ())
    assert audio is not None
    np.testing.assert_array_equal(read_audio(audio).samples, read_audio(bench.folder / "source" / name).samples)
    row, audio = bench.restore(name, model)  # not asked to: it is changed
    assert "left_alone" not in row.reasons
    hissy = prompt.samples + 0.003 * np.random.default_rng(0).standard_normal(prompt.samples.shape).astype(np.float32)
    row, audio = bench.restore(bench.put("hiss.flac", hissy, 16_000, "flac-16"), model, leave_clean=True)
    assert row.faults == ("noise",)
    assert "left_alone" not in row.reasons


def test_where_next_to_nothing_changed_the_recording_stays(bench: Bench) -> None:
    piano = read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg").samples[:, : 8 * 44_100]
    name = bench.put("piano.flac", piano)  # it never pauses, and so cannot be called clean
    row, audio = bench.restore(name, Changing(0.9), leave_clean=True)
    assert row.reasons == ()
    row, audio = bench.restore(name, Changing(0.99), preview=True, leave_clean=True)
    assert row.reasons == ("left_alone",)
    assert audio is not None
    np.testing.assert_array_equal(read_audio(audio).samples, read_audio(bench.folder / "source" / name).samples)


@pytest.mark.parametrize(
    ("stored", "delivered"), [("flac-16", "flac-24"), ("flac-24", "flac-16"), ("wav-24", "wav-24")]
)
def test_what_is_delivered_and_what_was_removed_add_up_to_the_recording(
    bench: Bench, stored: Encoding, delivered: Encoding
) -> None:
    samples = music(3.3, 44_100, 2)
    name = bench.put(f"tape.{stored[:-3]}", samples, encoding=stored)
    row, audio = bench.restore(name, Changing(0.9), delivered, keep_removed=True)
    assert audio is not None
    removed = audio.parent / "removed" / audio.name
    assert row.removed_sha256 == hashlib.sha256(removed.read_bytes()).hexdigest()
    assert row.removed_path == f"removed/shard-00000/{audio.name}"
    total = read_audio(audio).samples + read_audio(removed).samples
    np.testing.assert_array_equal(total, read_audio(bench.folder / "source" / name).samples)


def test_a_restoration_that_is_late_or_turned_over_is_not_delivered(bench: Bench) -> None:
    class Late(Passthrough):
        def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
            return torch.roll(windows, 7, dims=-1)

    name = bench.put("tape.flac", music(4.0, 48_000), 48_000)
    for engine in (Late(), Changing(-1.0)):
        row, audio = bench.restore(name, engine)
        assert (row.lane, row.reasons) == (Lane.REVIEW, ("shifted",))
        assert audio is not None
        np.testing.assert_array_equal(read_audio(audio).samples, read_audio(bench.folder / "source" / name).samples)


def test_silent_recording_goes_to_review_as_it_is(bench: Bench, model: BridgeEngine) -> None:
    row, audio = bench.restore(bench.put("silent.flac", np.zeros((2, 44_100), np.float32)), model)
    assert (row.lane, row.reasons) == (Lane.REVIEW, ("silent_source",))
    assert audio is not None
    assert not read_audio(audio).samples.any()


def test_antiphase_is_found(bench: Bench) -> None:
    samples = music(2.0, 44_100)
    row, _ = bench.restore(bench.put("swapped lead.flac", np.concatenate([samples, -samples])))
    assert (row.lane, row.reasons) == (Lane.REVIEW, ("antiphase",))


def test_truncated_recording_is_restored_as_far_as_it_goes(bench: Bench) -> None:
    path = bench.folder / "source" / bench.put("cut.wav", music(2.0, 44_100), encoding="wav-16")
    path.write_bytes(path.read_bytes()[: -(2 * 44_100)])
    row, audio = bench.restore("cut.wav")
    assert (row.lane, row.reasons) == (Lane.REVIEW, ("truncated",))
    assert audio is not None
    assert soundfile.info(audio).frames == row.frames == 44_100


def test_samples_that_are_no_numbers_are_silenced(bench: Bench) -> None:
    samples = music(2.0, 44_100)
    samples[0, 1_000:1_100] = np.nan
    samples[0, 2_000] = np.inf
    soundfile.write(bench.folder / "nan.wav", samples.T, 44_100, subtype="FLOAT")
    (bench.folder / "source").mkdir()
    (bench.folder / "nan.wav").rename(bench.folder / "source" / "nan.wav")
    row, audio = bench.restore("nan.wav", encoding="wav-float32")
    assert (row.lane, row.reasons) == (Lane.REVIEW, ("non_finite_samples",))
    assert audio is not None
    restored = read_audio(audio).samples
    assert not restored[0, 1_000:1_100].any()
    np.testing.assert_array_equal(restored[0, 2_001:], samples[0, 2_001:])


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"a note left in the box\n" * 40, "undecodable")])
def test_what_is_no_recording_fails_with_its_reason(bench: Bench, content: bytes, reason: str) -> None:
    (bench.folder / "source").mkdir()
    (bench.folder / "source" / "odd.mp3").write_bytes(content)
    row, audio = bench.restore("odd.mp3")
    assert (row.lane, row.reasons, audio, row.file_name) == (Lane.FAILED, (reason,), None, None)
    assert row.source_sha256 == hashlib.sha256(content).hexdigest()
    assert "odd.mp3" in row.messages[0]


def test_a_vanished_recording_is_to_be_tried_again(bench: Bench) -> None:
    (bench.folder / "source").mkdir()
    row, _ = bench.restore("gone.wav")
    assert (row.lane, row.reasons) == (Lane.FAILED, ("error:missing",))


def test_an_engine_that_breaks_fails_the_item_alone(bench: Bench) -> None:
    class Breaking(Passthrough):
        def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
            raise RuntimeError("a kernel went away")

    row, _ = bench.restore(bench.put("tape.flac", music(1.0, 44_100)), Breaking())
    assert (row.lane, row.reasons) == (Lane.FAILED, ("error:RuntimeError",))
    assert row.messages == ("'tape.flac': a kernel went away",)


def test_memory_and_storage_fail_the_shard(bench: Bench) -> None:
    class Full(Passthrough):
        def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
            raise MemoryError

    name = bench.put("tape.flac", music(1.0, 44_100))
    with pytest.raises(MemoryError):
        bench.restore(name, Full())
    (bench.folder / "source" / "folder.wav").mkdir()
    with pytest.raises(StorageError):
        bench.restore("folder.wav" + "/x" * 3_000)


@pytest.mark.parametrize(("factor", "reason"), [(3.0, "loudness_moved"), (0.3, "loudness_moved")])
def test_no_worse_than_the_input(bench: Bench, factor: float, reason: str) -> None:
    name = bench.put("tape.flac", music(2.0, 44_100))
    row, audio = bench.restore(name, Changing(factor))
    assert row.lane is Lane.REVIEW
    assert reason in row.reasons
    assert "the original was kept" in row.messages
    assert audio is not None
    np.testing.assert_array_equal(read_audio(audio).samples, read_audio(bench.folder / "source" / name).samples)


@pytest.mark.parametrize(
    ("factor", "offset", "reason"),
    [(0.0, 0.0, "silent_output"), (1.0, np.nan, "non_finite_output")],
)
def test_a_ruined_output_is_rejected(bench: Bench, factor: float, offset: float, reason: str) -> None:
    row, audio = bench.restore(bench.put("tape.flac", music(2.0, 44_100)), Changing(factor, offset))
    assert row.lane is Lane.REJECTED
    assert reason in row.reasons
    assert audio is not None


def test_rebuilt_peaks_are_lowered_and_not_clipped(bench: Bench) -> None:
    time = np.arange(3 * 44_100) / 44_100
    samples = (0.95 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)[None]
    row, audio = bench.restore(bench.put("loud.flac", samples), Changing(1.25))
    assert audio is not None
    restored = read_audio(audio).samples
    assert row.lane is Lane.ACCEPTED, row.reasons
    assert 0.95 < np.abs(restored).max() < 1.0
    np.testing.assert_allclose(restored / np.abs(restored).max(), samples / np.abs(samples).max(), atol=1e-3)
    assert "lowered by" in " ".join(row.messages)
    as_float, _ = bench.restore("loud.flac", Changing(1.25), "wav-float32")
    assert "peak_over" in as_float.reasons


def test_an_original_over_full_scale_is_kept_whole(bench: Bench) -> None:
    samples = 8.0 * music(2.0, 44_100)
    assert np.abs(samples).max() > 1.2
    name = bench.put("hot.wav", samples, encoding="wav-float32")
    row, audio = bench.restore(name, Changing(0.2))
    assert "the original was kept" in row.messages
    assert audio is not None
    restored = read_audio(audio).samples
    np.testing.assert_allclose(restored / np.abs(restored).max(), samples / np.abs(samples).max(), atol=1e-4)


def test_sources_stay_untouched_and_results_repeat(bench: Bench, model: BridgeEngine) -> None:
    names = [
        bench.put("a.flac", music(1.0, 44_100, 2)),
        bench.put("b.wav", music(1.2, 16_000), 16_000, "wav-16"),
        bench.put("c.wav", music(0.5, 48_000), 48_000, "wav-float32"),
    ]
    before = digests(bench.folder / "source")
    first = [bench.restore(name, model) for name in names]
    content = [audio.read_bytes() for _, audio in first if audio]
    second = [bench.restore(name, model) for name in names]
    assert digests(bench.folder / "source") == before
    assert [audio.read_bytes() for _, audio in second if audio] == content
    assert [row.sha256 for row, _ in second] == [row.sha256 for row, _ in first]
    assert [row.source_sha256 for row, _ in first] == [before[name] for name in names]


def test_speech_is_scored_by_opinion(bench: Bench) -> None:
    row, _ = bench.restore(bench.put("voice.flac", music(2.0, 16_000), 16_000), preset="speech")
    assert row.before is not None
    assert 1.0 <= row.before.dnsmos_ovrl <= 5.0
