"""Decoding: exact where the format is, close where it is not, and never a crash."""

from __future__ import annotations

import io
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import HostileFile, ffmpeg, make_hostile, sndfile, tone

from audiodiff.encode import AudioWriter
from audiodiff.errors import MediaError
from audiodiff.media import BLOCK_FRAMES, open_audio, read_audio

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[HostileFile]]:
    folder = tmp_path_factory.mktemp("hostile")
    return folder, make_hostile(folder)


def outcome(path: Path) -> tuple[str | None, frozenset[str]]:
    """The reason if it cannot be read, else the reader's problems; every sample is checked."""
    try:
        with open_audio(path) as reader:
            for block in reader:
                assert block.dtype == np.float32
                assert len(block) == reader.info.channels
                assert np.isfinite(block).all()
    except MediaError as error:
        return error.reason if "/tmp" not in str(error) else "tells where the file lies", frozenset()  # noqa: S108
    assert reader.frames > 0
    assert len(reader.messages) == len(reader.problems)
    return None, frozenset(reader.problems)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_hostile_file_has_its_outcome(hostile, capfd):
    folder, files = hostile
    assert len(files) >= 37
    expected = {one.name: (one.reason, one.problems) for one in files}
    assert {one.name: outcome(folder / one.name) for one in files} == expected
    assert capfd.readouterr() == ("", "")


def test_hostile_files_are_the_same_every_time(hostile, tmp_path):
    folder, files = hostile
    time.sleep(1.1)  # libsndfile stamps float files with the second
    make_hostile(tmp_path)
    for one in files:
        assert (tmp_path / one.name).read_bytes() == (folder / one.name).read_bytes(), one.name


def test_hostile_files_take_little_memory_and_no_descriptors(hostile):
    folder, files = hostile
    before = open_files()
    tracemalloc.start()
    for one in files:
        outcome(folder / one.name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert open_files() == before


def test_threads_do_not_disturb_each_other(hostile):
    folder, files = hostile
    gate = threading.Barrier(4)

    def all_outcomes(_: int) -> list[tuple[str | None, frozenset[str]]]:
        gate.wait()
        return [outcome(folder / one.name) for one in files]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(all_outcomes, range(4)):
            assert found == [(one.reason, one.problems) for one in files]


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(MediaError, match=r"'gone\.wav' cannot be opened") as caught:
        open_audio(tmp_path / "gone.wav")
    assert caught.value.reason == "missing"


FRAMES = 5_004  # even, for libsndfile counts the padding byte when it writes an odd 8-bit AIFF
LOSSLESS = [
    ("WAV", "PCM_U8", 8), ("WAV", "PCM_16", 16), ("WAV", "PCM_24", 24), ("WAV", "PCM_32", 32), ("WAV", "FLOAT", 32),
    ("WAV", "DOUBLE", 64), ("WAVEX", "PCM_24", 24), ("RF64", "PCM_16", 16), ("RF64", "PCM_24", 24),
    ("RF64", "FLOAT", 32), ("W64", "PCM_16", 16), ("W64", "PCM_24", 24), ("AIFF", "PCM_S8", 8), ("AIFF", "PCM_16", 16),
    ("AIFF", "PCM_24", 24), ("AIFF", "FLOAT", 32), ("FLAC", "PCM_16", 16),
    ("FLAC", "PCM_24", 24), ("CAF", "PCM_16", 16), ("CAF", "PCM_24", 24), ("CAF", "ALAC_16", 16),
    ("CAF", "ALAC_24", 24), ("AU", "PCM_16", 16),
]  # fmt: skip


@pytest.mark.parametrize(("container", "subtype", "depth"), LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_lossless_formats_give_every_sample(tmp_path, container, subtype, depth, channels):
    step = 2.0 ** (1 - min(depth, 24))
    samples = np.round(tone(channels, FRAMES) / step).astype(np.float32) * np.float32(step)
    path = tmp_path / "a"
    path.write_bytes(sndfile(samples, container, subtype, 44_100))
    with open_audio(path) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), samples)
    info = reader.info
    assert (info.sample_rate, info.channels, info.bit_depth, info.frames) == (44_100, channels, depth, FRAMES)
    assert (reader.frames, reader.problems) == (FRAMES, ())


@pytest.mark.parametrize(
    ("name", "container", "codec", "step"),
    [("a.m4a", "ipod", "alac", 2.0**-23), ("a.mka", "matroska", "flac", 2.0**-15), ("a.wv", "wv", "wavpack", 2.0**-7)],
)
def test_lossless_codecs_of_ffmpeg_give_every_sample(tmp_path, name, container, codec, step):
    samples = np.round(tone(frames=20_000) * 2**15) / np.float32(2**15)
    (tmp_path / name).write_bytes(ffmpeg(container, codec, samples))
    found = read_audio(tmp_path / name)
    assert found.samples.shape == samples.shape
    np.testing.assert_allclose(found.samples, samples, atol=step, rtol=0)


LOSSY = [
    ("a.mp3", "mp3", "libmp3lame", 16_000, "mp3", 0), ("a.m4a", "ipod", "aac", 16_000, "aac", 1_024),
    ("a.aac", "adts", "aac", 16_000, "aac", 2_048), ("a.mp4", "mp4", "aac", 16_000, "aac", 1_024),
    ("a.opus", "ogg", "libopus", 48_000, "opus", 0), ("a.webm", "webm", "libopus", 48_000, "opus", 960),
    ("a.g722", "g722", "g722", 16_000, "adpcm_g722", 0), ("a.ac3", "ac3", "ac3", 48_000, "ac3", 1_536),
]  # fmt: skip


@pytest.mark.parametrize(("name", "container", "codec", "rate_hz", "found_codec", "delay"), LOSSY)
def test_lossy_codecs_keep_the_sine(tmp_path, name, container, codec, rate_hz, found_codec, delay):
    (tmp_path / name).write_bytes(ffmpeg(container, codec, tone(frames=rate_hz, rate_hz=rate_hz), rate_hz))
    with open_audio(tmp_path / name) as reader:
        samples = np.concatenate(list(reader), axis=1)
    assert (reader.info.codec, reader.info.sample_rate, reader.problems) == (found_codec, rate_hz, ())
    assert rate_hz <= samples.shape[1] <= rate_hz + delay
    assert_sine(samples[0], rate_hz)


def test_vorbis_keeps_the_sine_and_its_length(tmp_path):
    (tmp_path / "a.ogg").write_bytes(sndfile(tone(frames=44_100, rate_hz=44_100), "OGG", "VORBIS", 44_100))
    found = read_audio(tmp_path / "a.ogg")
    assert found.samples.shape == (1, 44_100)
    assert_sine(found.samples[0], 44_100)


def assert_sine(samples: np.ndarray, rate_hz: int) -> None:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert spectrum.argmax() * rate_hz / len(samples) == pytest.approx(440, abs=1)
    assert np.sqrt(np.square(samples).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("path", sorted(ASSETS.glob("*.g*")), ids=lambda path: path.name)
def test_headerless_recordings_go_by_their_extension(path):
    found = read_audio(path)
    size = path.stat().st_size
    expected = (8_000, size // 33 * 160) if path.suffix == ".gsm" else (16_000, 2 * size)
    assert (found.sample_rate, found.frames) == expected
    assert 0.001 < np.sqrt(np.square(found.samples).mean()) < 0.5


def test_the_name_of_a_temporary_copy_is_the_one_given(tmp_path):
    (tmp_path / "copy").write_bytes((ASSETS / "ru_asterisk_vm-opts.g722").read_bytes())
    with open_audio(tmp_path / "copy", "tape.G722") as reader:
        assert (reader.info.container, sum(block.shape[1] for block in reader)) == ("g722", reader.frames)
    with pytest.raises(MediaError) as caught:
        open_audio(tmp_path / "copy")
    assert caught.value.reason == "undecodable"


@pytest.mark.parametrize("fill", [b"\xff\xfb", b"\xff\xf1", b"\xff\xff"])
def test_headerless_sound_may_look_like_a_frame_of_mpeg(tmp_path, fill):
    (tmp_path / "a.g722").write_bytes(fill * 1_000)
    assert read_audio(tmp_path / "a.g722").frames == 4_000


def test_damage_in_the_middle_is_passed(tmp_path):
    data = bytearray(sndfile(tone(frames=64_000), "FLAC"))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    (tmp_path / "a.flac").write_bytes(data)
    with open_audio(tmp_path / "a.flac") as reader:
        frames = sum(block.shape[1] for block in reader)
    assert "corrupt_frames" in reader.problems
    assert 64_000 - 3 * 4_096 <= frames <= 64_000


def test_a_flac_that_does_not_say_its_length_is_read_to_its_end(tmp_path):
    data = bytearray(sndfile(tone(), "FLAC"))
    data[21] &= 0xF0  # the 36 bits of total samples in STREAMINFO
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    with open_audio(tmp_path / "a.flac") as reader:
        assert sum(block.shape[1] for block in reader) == tone().shape[1]
    assert reader.problems == ()


def test_tags_of_an_id3_header_do_not_hide_a_flac(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"ID3\x04\0\0\0\0\x01\0" + bytes(128) + sndfile(tone(), "FLAC"))
    assert outcome(tmp_path / "a.flac") == (None, frozenset())


def test_a_cut_m4a_with_its_index_first_is_truncated(tmp_path):
    data = ffmpeg("ipod", "aac", tone(frames=16_000))
    at = data.index(b"moov") - 4  # move the index before the sound and its offsets with it
    media = data.index(b"mdat") - 4
    index = bytearray(data[at:])
    table = index.index(b"stco")
    for entry in range(int.from_bytes(index[table + 8 : table + 12], "big")):
        place = slice(table + 12 + 4 * entry, table + 16 + 4 * entry)
        index[place] = (int.from_bytes(index[place], "big") + len(index)).to_bytes(4, "big")
    fast = data[:media] + bytes(index) + data[media:at]
    (tmp_path / "whole.m4a").write_bytes(fast)
    (tmp_path / "cut.m4a").write_bytes(fast[: -(at - media) // 2])
    assert outcome(tmp_path / "whole.m4a") == (None, frozenset())
    reason, problems = outcome(tmp_path / "cut.m4a")
    assert reason is None
    assert "truncated" in problems


@pytest.mark.parametrize("encoding", ["wav-16", "flac-24", "mp3"])
def test_minutes_are_streamed_in_constant_memory(tmp_path, encoding):
    path = tmp_path / "long"
    if encoding == "mp3":
        path.write_bytes(ffmpeg("mp3", "libmp3lame", np.tile(tone(), 120)))
    else:
        with AudioWriter(path, 48_000, 2, encoding) as writer:
            for _ in range(180):
                writer.write(tone(2, 48_000, 48_000))
    tracemalloc.start()
    with open_audio(path) as reader:
        sizes = [block.shape[1] for block in reader]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(sizes[:-1]) == {BLOCK_FRAMES}
    assert sum(sizes) == reader.frames == (960_000 if encoding == "mp3" else 8_640_000)
    assert peak < 4e6  # ten blocks of stereo; the whole is 69 MB


@pytest.mark.parametrize(("second_rate", "problems"), [(44_100, ()), (22_050, ("truncated",))])
def test_a_chained_ogg_is_read_to_its_last_link_or_said_to_break_off(tmp_path, second_rate, problems):
    links = []
    for hertz, rate in ((440, 44_100), (880, second_rate)):
        link = io.BytesIO()
        soundfile.write(link, np.sin(2 * np.pi * hertz * np.arange(rate) / rate), rate, format="OGG")
        links.append(link.getvalue())
    (tmp_path / "chain.ogg").write_bytes(b"".join(links))
    with open_audio(tmp_path / "chain.ogg") as reader:
        samples = np.concatenate(list(reader), axis=1)
    assert reader.problems == problems
    if not problems:
        assert samples.shape[1] == pytest.approx(88_200, abs=500)
        assert np.abs(np.fft.rfft(samples[0, -20_000:])).argmax() == pytest.approx(880 * 20_000 / 44_100, abs=1)


def test_an_ogg_without_an_end_mark_is_whole_unless_it_is_cut(tmp_path):
    whole = io.BytesIO()
    soundfile.write(whole, tone(frames=44_100).T, 44_100, format="OGG")
    data = bytearray(whole.getvalue())
    last = data.rfind(b"OggS")
    data[last + 5] &= ~4
    data[last + 22 : last + 26] = bytes(4)
    checksum = 0
    for byte in data[last:]:  # RFC 3533, section 6: the polynomial 0x04c11db7, unreflected
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    data[last + 22 : last + 26] = checksum.to_bytes(4, "little")
    (tmp_path / "unmarked.ogg").write_bytes(data)
    (tmp_path / "cut.ogg").write_bytes(data[:-100])
    assert outcome(tmp_path / "unmarked.ogg") == (None, frozenset())
    assert "truncated" in outcome(tmp_path / "cut.ogg")[1]


def test_a_reader_reads_once(tmp_path):
    (tmp_path / "a.wav").write_bytes(sndfile(tone()))
    with open_audio(tmp_path / "a.wav", block_frames=1_000) as reader:
        assert [block.shape for block in reader] == [(1, 1_000)] * 8
        with pytest.raises(RuntimeError, match="open it again"):
            next(iter(reader))


def test_files_are_closed_half_way_and_on_errors(tmp_path):
    (tmp_path / "a.mp3").write_bytes(ffmpeg("mp3", "libmp3lame", tone(frames=160_000)))
    before = open_files()
    for _ in range(5):
        with open_audio(tmp_path / "a.mp3", block_frames=100) as reader:
            next(iter(reader))
    assert open_files() == before
