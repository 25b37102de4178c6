"""What files say of themselves, read back by other programs, and that their audio is not touched."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from wavinfo import WavInfoReader

from audiodiff.curate.embedded import embedded_facts
from audiodiff.encode import Encoding, write_audio
from audiodiff.generate.broadcast import SOURCE_TYPE, SYNTHETIC, Description, add_chunks, read_chunks
from audiodiff.media import open_audio, read_audio
from audiodiff.waveform import Waveform

DESCRIPTION = Description(
    title="Dog Barking In Rain",
    text="a dög barking in the rain <b>&\n大 🐕",
    category="ANIMALS",
    subcategory="DOG",
    category_id="ANMLDog",
    keywords=("dog", "rain"),
    library="Forest Library",
    take=2,
    creator="Sound Team",
    reference="3fa29c0d11b2c3d4",
    created="2026-11-24T18:05:09+00:00",
    license="CC0-1.0",
    copyright="none",
    software="audiodiff 0.1.0",
    provenance='{"seed": 7, "prompt": "a dög"}',
    lufs=-19.02,
    true_peak_db=-1.5,
    momentary_lufs=-15.25,
    loop=True,
)


def write(path: Path, frames: int = 4_801, channels: int = 1, encoding: Encoding = "wav-24") -> Path:
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)
    write_audio(path, Waveform(samples, 48_000), encoding)
    return path


def chunks_of(data: bytes) -> list[tuple[bytes, int, int]]:
    """Tag, place and size of each chunk; fails where the sizes do not add up to the file's to the byte."""
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert len(data) % 2 == 0
    assert data[8:12] == b"WAVE"
    found, at = [], 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], at + 8, size))
        at += 8 + size
        if size % 2:
            assert data[at] == 0
            at += 1
    assert at == len(data)
    return found


@pytest.mark.parametrize("frames", [4_800, 4_801])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("text", ["even", "odd", "x" * 1_000])
def test_sizes_add_up_and_the_audio_is_the_same_bytes(tmp_path, frames, channels, loop, text):
    path = write(tmp_path / "a.wav", frames, channels)
    before = path.read_bytes()
    add_chunks(path, replace(DESCRIPTION, text=text, loop=loop))
    after = path.read_bytes()
    tags = [tag for tag, _, _ in chunks_of(after)]
    assert tags == [b"fmt ", b"bext", b"data", *([b"smpl"] if loop else []), b"LIST", b"iXML"]

    def body(data: bytes, wanted: bytes) -> bytes:
        return next(data[at : at + size] for tag, at, size in chunks_of(data) if tag == wanted)

    assert body(after, b"data") == body(before, b"data")
    assert body(after, b"fmt ") == body(before, b"fmt ")
    info, at = body(after, b"LIST"), 4
    while at < len(info):
        size = int.from_bytes(info[at + 4 : at + 8], "little")
        assert info[at + 8 + size - 1] == 0  # texts end with a zero byte
        at += 8 + size + size % 2
    assert at == len(info)


def test_wavinfo_reads_bext(tmp_path):
    path = write(tmp_path / "a.wav")
    add_chunks(path, DESCRIPTION)
    bext = WavInfoReader(path).bext
    assert bext.version == 2
    assert bext.description == f"a dog barking in the rain <b>& ? ?; {SYNTHETIC}"
    assert (bext.originator, bext.originator_ref) == ("Sound Team", "3fa29c0d11b2c3d4")
    assert (bext.originator_date, bext.originator_time, bext.time_reference) == ("2026-11-24", "18:05:09", 0)
    assert (bext.loudness_value, bext.max_true_peak, bext.max_momentary_loudness) == (-19.02, -1.5, -15.25)
    assert bext.coding_history == f"A=PCM,F=48000,W=24,M=mono,T=audiodiff 0.1.0; {SYNTHETIC}\r\n"


def test_wavinfo_reads_the_rest(tmp_path):
    path = write(tmp_path / "a.wav", channels=2)
    add_chunks(path, DESCRIPTION)
    found = WavInfoReader(path)
    assert (found.fmt.bits_per_sample, found.fmt.sample_rate, found.data.frame_count) == (24, 48_000, 4_801)
    assert (found.ixml.project, found.ixml.scene, found.ixml.take) == ("Forest Library", "Dog Barking In Rain", "2")
    assert [track.channel_index for track in found.ixml.track_list] == ["1", "2"]
    xml = found.ixml.raw_xml
    texts = {element.tag: element.text for element in xml.find("USER")}
    assert (texts["CATID"], texts["CATEGORY"], texts["SUBCATEGORY"]) == ("ANMLDog", "ANIMALS", "DOG")
    assert (texts["FXNAME"], texts["KEYWORDS"]) == ("Dog Barking In Rain", "dog, rain")
    assert texts["DESCRIPTION"] == DESCRIPTION.text
    assert xml.findtext("NOTE") == f"{DESCRIPTION.text}; {SYNTHETIC}"
    assert xml.findtext("AUDIODIFF/DIGITAL_SOURCE_TYPE") == SOURCE_TYPE
    assert json.loads(xml.findtext("AUDIODIFF/PROVENANCE"))["seed"] == 7
    assert (found.info.title, found.info.software) == ("Dog Barking In Rain", "audiodiff 0.1.0")
    assert found.info.comment.startswith(SYNTHETIC)
    assert (found.info.copyright, found.info.created_date) == ("none", "2026-11-24")
    loop = found.smpl.sample_loops[0]
    assert (found.smpl.midi_note, found.smpl.sample_period_ns, len(found.smpl.sample_loops)) == (60, 20_833, 1)
    assert (loop.start, loop.end, loop.loop_type, loop.repetition_count) == (0, 4_800, 0, 0)
    assert {(scope, key): value for scope, key, value in found.walk()}["smpl", "midi_note"] == 60


@pytest.mark.parametrize("encoding", ["wav-24", "wav-16", "wav-float32", "flac-24", "flac-16"])
def test_every_decoder_finds_the_same_samples(tmp_path, encoding):
    path = write(tmp_path / f"a.{encoding.partition('-')[0]}", 50_001, 2, encoding)
    before = read_audio(path).samples
    add_chunks(path, DESCRIPTION)
    with open_audio(path) as reader:
        blocks = list(reader)
    assert (reader.frames, reader.problems) == (50_001, ())
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), before)
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0].T, before)
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 50_001


@pytest.mark.parametrize("encoding", ["wav-24", "flac-24"])
@pytest.mark.parametrize("what", [DESCRIPTION, Description("Dog", "a dog"), replace(DESCRIPTION, lufs=-math.inf)])
def test_we_read_back_what_we_wrote(tmp_path, encoding, what):
    path = write(tmp_path / "a", encoding=encoding)
    add_chunks(path, what)
    levels = {name: getattr(what, name) for name in ("lufs", "true_peak_db", "momentary_lufs")}
    unknown = {name: math.nan for name, level in levels.items() if not math.isfinite(level)}
    assert repr(read_chunks(path)) == repr(replace(what, **unknown))  # NaN is not equal to itself


@pytest.mark.parametrize("encoding", ["wav-24", "flac-24"])
def test_a_second_description_takes_the_place_of_the_first(tmp_path, encoding):
    once, twice = write(tmp_path / "once", encoding=encoding), write(tmp_path / "twice", encoding=encoding)
    add_chunks(once, DESCRIPTION)
    add_chunks(twice, replace(DESCRIPTION, text="something else", loop=False))
    add_chunks(twice, DESCRIPTION)
    assert once.read_bytes() == twice.read_bytes()


def test_other_programs_read_the_comments_of_a_flac(tmp_path):
    path = write(tmp_path / "a.flac", encoding="flac-24")
    add_chunks(path, DESCRIPTION)
    with soundfile.SoundFile(path) as file:
        assert (file.title, file.artist, file.album) == ("Dog Barking In Rain", "Sound Team", "Forest Library")
        assert file.comment.startswith(SYNTHETIC)
    with av.open(str(path)) as container:
        tags = {name.upper(): text for name, text in container.metadata.items()}
    assert (tags["LOOPSTART"], tags["LOOPLENGTH"], tags["CATID"]) == ("0", "4801", "ANMLDog")
    assert tags["DIGITALSOURCETYPE"] == SOURCE_TYPE
    assert tags["COMMENT"].endswith(f"{SYNTHETIC}; {DESCRIPTION.text}")


def test_our_own_curation_understands_them(tmp_path):
    path = write(tmp_path / "a.wav")
    add_chunks(path, DESCRIPTION)
    with open_audio(path) as reader:
        facts = embedded_facts(path, reader.info)
    assert (facts.title, facts.collection, facts.license) == ("Dog Barking In Rain", "Forest Library", "CC0-1.0")
    assert facts.caption == DESCRIPTION.text
    assert {"ANIMALS", "DOG", "dog", "rain"} <= set(facts.labels)


def test_what_xml_cannot_hold_is_left_out(tmp_path):
    path = write(tmp_path / "a.wav")
    add_chunks(path, replace(DESCRIPTION, text="a\x00b\x0bc\ud800d\ufffee", title="]]><x/>&amp;", creator="x" * 100))
    found = read_chunks(path)
    assert (found.text, found.title) == ("abcde", "]]><x/>&amp;")
    bext = WavInfoReader(path).bext
    assert (bext.originator, bext.description[:9]) == ("x" * 32, "a?b c?d?e")


def test_files_of_other_kinds_are_refused(tmp_path):
    path = write(tmp_path / "a.wav")
    data = path.read_bytes()
    bad = {"rf64": b"RF64" + data[4:], "cut": data[:-10], "riff": data[:8] + b"AVI " + data[12:], "empty": b""}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"is wanted|longer than the file"):
            add_chunks(tmp_path / name, DESCRIPTION)
        assert (tmp_path / name).read_bytes() == content
    for encoding in ("wav-24", "flac-24"):
        with pytest.raises(ValueError, match="no description"):
            read_chunks(write(tmp_path / "plain", encoding=encoding))


def test_audio_that_looks_like_a_chunk_is_kept(tmp_path):
    path, audio = tmp_path / "a.wav", b"INFO" + bytes(8)
    body = b"WAVEfmt " + struct.pack("<IHHIIHH4sI", 16, 1, 1, 48_000, 96_000, 2, 16, b"data", 12) + audio
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    add_chunks(path, DESCRIPTION)
    data = path.read_bytes()
    assert [data[at : at + size] for tag, at, size in chunks_of(data) if tag == b"data"] == [audio]
