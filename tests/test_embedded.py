from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from audiodiff.curate.embedded import embedded_facts
from audiodiff.curate.records import Facts
from audiodiff.media import open_audio

RATE = 16_000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE // 4) / RATE)).astype(np.float32)
IXML = """<?xml version="1.0" encoding="UTF-8"?>
<BWFXML><IXML_VERSION>3.0</IXML_VERSION><PROJECT>Gulls</PROJECT><SCENE>12</SCENE><TAKE>3</TAKE>
<NOTE>wind &amp; sea</NOTE>
<USER><DESCRIPTION>A gull cries over surf</DESCRIPTION><LIBRARY>Coast</LIBRARY></USER>
<ASWG><category>ANIMALS</category><subCategory>BIRD</subCategory><catId>AMBBird</catId><fxName>Gull</fxName>
<creator>Ann Field</creator></ASWG></BWFXML>"""


def chunk(tag: bytes, data: bytes, order: str = "<") -> bytes:
    return tag + struct.pack(order + "I", len(data)) + data + b"\0" * (len(data) % 2)


def bext(description: bytes = b"Surf at dawn") -> bytes:
    head = struct.pack("<256s32s32s10s8sQH", description, b"BBC", b"REF1", b"1998-07-02", b"06:30:00", 96_000, 1)
    return head + bytes(602 - len(head)) + "A=PCM,F=48000,T=Köln".encode("latin-1") + b"\0\0"


def wav(path: Path, *chunks: bytes, form: bytes = b"RIFF", after: bool = True) -> Path:
    data = (TONE * 32767).astype("<i2").tobytes()
    body = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    sound = chunk(b"data", data)
    if form != b"RIFF":
        body = chunk(b"ds64", struct.pack("<QQQI", 0, len(data), len(TONE), 0)) + body
        sound = b"data\xff\xff\xff\xff" + data
    body += sound + b"".join(chunks) if after else b"".join(chunks) + sound
    size = 0xFFFFFFFF if form != b"RIFF" else len(body) + 4
    path.write_bytes(form + struct.pack("<I", size) + b"WAVE" + body)
    return path


def facts_of(path: Path) -> Facts:
    with open_audio(path) as reader:
        return embedded_facts(path, reader.info)


@pytest.mark.parametrize("form", [b"RIFF", b"RF64", b"BW64"])
@pytest.mark.parametrize("after", [True, False])
def test_bext_and_ixml(tmp_path: Path, form: bytes, after: bool) -> None:
    facts = facts_of(wav(tmp_path / "a.wav", chunk(b"bext", bext()), chunk(b"iXML", IXML.encode()), form=form,
                         after=after))  # fmt: skip
    others = dict(facts.others)
    assert (facts.title, facts.attribution, facts.collection) == ("Gull", "Ann Field", "Coast")
    assert facts.labels == ("ANIMALS", "BIRD")
    assert facts.caption == "A gull cries over surf"
    assert {name: others[name] for name in ("PROJECT", "SCENE", "TAKE", "NOTE", "catId")} == {
        "PROJECT": "Gulls", "SCENE": "12", "TAKE": "3", "NOTE": "wind & sea", "catId": "AMBBird",
    }  # fmt: skip
    assert {name[5:]: text for name, text in facts.others if name.startswith("bext_")} == {
        "originator": "BBC", "originator_reference": "REF1", "origination_date": "1998-07-02",
        "origination_time": "06:30:00", "time_reference": "96000", "coding_history": "A=PCM,F=48000,T=Köln",
    }  # fmt: skip


def test_a_description_is_a_caption_unless_it_holds_settings(tmp_path: Path) -> None:
    assert facts_of(wav(tmp_path / "a.wav", chunk(b"bext", bext()))).caption == "Surf at dawn"
    settings = facts_of(wav(tmp_path / "b.wav", chunk(b"bext", bext(b"sSPEED=025.000-ND\r\nsTAKE=3"))))
    assert settings.caption == ""
    assert dict(settings.others)["bext_settings"].startswith("sSPEED=")


def test_list_info(tmp_path: Path) -> None:
    info = b"INFO" + chunk(b"INAM", b"Tape 7\0") + chunk(b"IKEY", b"sea; gulls\0") + chunk(b"ILNG", b"de") \
        + chunk(b"ISBJ", b"Waves\0") + chunk(b"IMED", b"Reel") + chunk(b"ISFT", b"Some program")  # fmt: skip
    facts = facts_of(wav(tmp_path / "a.wav", chunk(b"LIST", info)))
    assert (facts.title, facts.labels, facts.language, facts.caption) == ("Tape 7", ("sea", "gulls"), "de", "Waves")
    assert facts.others == (("IMED", "Reel"),)


def test_aiff_text_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.aiff"
    soundfile.write(path, TONE, RATE)
    texts = {b"NAME": b"Tape 8", b"AUTH": b"Ann", b"ANNO": b"side A", b"(c) ": b"1981 Ann"}
    extra = b"".join(chunk(tag, text, ">") for tag, text in texts.items())
    data = path.read_bytes() + extra
    path.write_bytes(data[:4] + struct.pack(">I", len(data) - 8) + data[8:])
    facts = facts_of(path)
    assert (facts.title, facts.attribution) == ("Tape 8", "Ann")
    assert dict(facts.others) == {"comment": "side A", "copyright": "1981 Ann"}


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "m4a"])
def test_tags_of_decoders(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tags = {"title": "Tone", "artist": "Ann", "album": "Tests", "genre": "sine; test"}
    if suffix in {"flac", "ogg"}:
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for name, text in tags.items():
                setattr(file, name, text)
            file.write(TONE)
    else:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libmp3lame" if suffix == "mp3" else "aac", rate=RATE, layout="mono")
            container.metadata.update(tags)
            frame = av.AudioFrame.from_ndarray(TONE[None], "fltp", "mono")
            frame.sample_rate = RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    facts = facts_of(path)
    assert (facts.title, facts.attribution, facts.collection) == ("Tone", "Ann", "Tests")
    assert facts.labels == ("sine", "test")
    assert (facts.language, facts.others) == ("", ())


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><BWFXML><PROJECT>&b;</PROJECT></BWFXML>'


@pytest.mark.parametrize(
    "data",
    [BOMB.encode(), BOMB.encode("utf-16"), b"<BWFXML><PROJECT>", b"", b"\xff" * 99, b"<a>" * 300_000],
    ids=["bomb", "bomb in UTF-16", "cut", "empty", "noise", "deep"],
)
def test_xml_that_is_none_is_left_out(tmp_path: Path, data: bytes) -> None:
    facts = facts_of(wav(tmp_path / "a.wav", chunk(b"iXML", data), chunk(b"bext", bext())))
    assert facts.caption == "Surf at dawn"
    assert "PROJECT" not in dict(facts.others)


def test_a_damaged_chunk_gives_what_can_be_read(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", chunk(b"bext", bext()))
    whole = path.read_bytes()
    start = whole.index(b"bext")
    for end in (start + 2, start + 8, start + 20, start + 340, start + 500):
        path.write_bytes(whole[:end])
        facts = facts_of(path)
        assert "Surf at dawn".startswith(facts.caption)
        assert (facts.caption == "Surf at dawn") == (end >= start + 20)
    path.write_bytes(whole[: start + 4] + b"\xff\xff\xff\xff" + whole[start + 8 :])
    assert facts_of(path).caption == "Surf at dawn"


def test_hostile_sizes_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", *(chunk(b"bext", bytes(2**19)) for _ in range(20)), bytes(2**24))
    with open_audio(path) as reader:
        info = reader.info
    tracemalloc.start()
    began = time.perf_counter()
    embedded_facts(path, info)
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    assert time.perf_counter() - began < 1.0
    tracemalloc.stop()
