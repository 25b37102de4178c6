"""What a delivered file says of itself: the chunks of a Broadcast Wave file, the comments of a FLAC."""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""What generated audio is, in the vocabulary of the IPTC that C2PA uses too."""
SYNTHETIC = "synthetic: trainedAlgorithmicMedia (IPTC digital source type)"

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Description:
    """What is written into a file of generated sound; "" and NaN where there is nothing to say.

    `text` is the prompt, `take` counts from 1, `reference` is the take's id, `created` a time of ISO 8601, `license` an
    SPDX expression, `provenance` JSON (`generate.provenance`). `momentary_lufs` is the loudest 400 ms.
    A `loop` goes from the first sample to the last.
    """

    title: str
    text: str
    category: str = ""
    subcategory: str = ""
    category_id: str = ""
    keywords: tuple[str, ...] = ()
    library: str = ""
    take: int = 1
    creator: str = ""
    reference: str = ""
    created: str = ""
    license: str = ""
    copyright: str = ""
    software: str = ""
    provenance: str = ""
    lufs: float = NAN
    true_peak_db: float = NAN
    momentary_lufs: float = NAN
    loop: bool = False


_PLACES = {
    "title": ("USER/FXNAME", "TITLE"),
    "text": ("USER/DESCRIPTION", "DESCRIPTION"),
    "category": ("USER/CATEGORY", "CATEGORY"),
    "subcategory": ("USER/SUBCATEGORY", "SUBCATEGORY"),
    "category_id": ("USER/CATID", "CATID"),
    "keywords": ("USER/KEYWORDS", "KEYWORDS"),
    "library": ("USER/LIBRARY", "ALBUM"),
    "creator": ("USER/CREATOR", "ARTIST"),
    "license": ("USER/LICENSE", "LICENSE"),
    "copyright": ("USER/COPYRIGHT", "COPYRIGHT"),
    "software": ("USER/EMBEDDER", "ENCODER"),
    "take": ("TAKE", "TRACKNUMBER"),
    "reference": ("AUDIODIFF/REFERENCE", "REFERENCE"),
    "created": ("AUDIODIFF/CREATED", "DATE"),
    "provenance": ("AUDIODIFF/PROVENANCE", "PROVENANCE"),
    "source_type": ("AUDIODIFF/DIGITAL_SOURCE_TYPE", "DIGITALSOURCETYPE"),
}
"""What is text, to its element of iXML, with what tools of sound librarians show under USER, and Vorbis comment."""
_LEVELS = ("lufs", "true_peak_db", "momentary_lufs")

_BEXT = struct.Struct("<256s32s32s10s8sQH64s5h180s")  # EBU Tech 3285 version 2, without the coding history
_UNKNOWN = 0x7FFF  # of a loudness, ibid. 2.4
_SAMPLER = struct.Struct("<15I")  # a `smpl` chunk with one loop (Microsoft, Multimedia Data Standards Update, 1994)
_MIDDLE_C = 60
_REPLACED = frozenset({b"bext", b"smpl", b"iXML", b"C2PA"})  # the last signs what the others say
_COMMENTS = 4  # the type of a FLAC's block of Vorbis comments (RFC 9639, section 8.6)
_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML 1.0, section 2.2


def add_chunks(path: Path, description: Description) -> None:
    """Write a description into a WAV or FLAC file, in place of one that is there; the audio stays as it is.

    A WAV gets `bext` (EBU Tech 3285 v2), `iXML`, LIST `INFO` and, for a loop, `smpl`; a FLAC gets Vorbis comments, with
    LOOPSTART and LOOPLENGTH for a loop. `ValueError` for any other file, RF64 among them.
    """
    data = path.read_bytes()
    path.write_bytes(_flac(data, description) if data[:4] == b"fLaC" else _wav(data, description))


def read_chunks(path: Path) -> Description:
    """What `add_chunks` wrote, loudness to a hundredth of a decibel; `ValueError` where it wrote nothing."""
    data = _without_id3(path.read_bytes())
    found = _from_comments(dict(_comments(data))) if data[:4] == b"fLaC" else _from_chunks(dict(_chunks(data)))
    if found is None:
        raise ValueError(f"{path.name!r} has no description of generated sound")
    return found


def _from_chunks(chunks: Mapping[bytes, bytes]) -> Description | None:
    if b"iXML" not in chunks or b"bext" not in chunks:
        return None
    root = ET.fromstring(chunks[b"iXML"])  # noqa: S314 - expat itself bounds the growth of entities
    lufs, _, true_peak, momentary, _ = _BEXT.unpack_from(chunks[b"bext"])[8:13]
    levels = [NAN if level == _UNKNOWN else level / 100 for level in (lufs, true_peak, momentary)]
    return _description(
        {name: root.findtext(element, "") for name, (element, _) in _PLACES.items()}, levels, loop=b"smpl" in chunks
    )


def _from_comments(comments: Mapping[str, str]) -> Description | None:
    levels = [float(comments.get(name.upper(), NAN)) for name in _LEVELS]
    return _description(
        {name: comments.get(key, "") for name, (_, key) in _PLACES.items()}, levels, loop="LOOPSTART" in comments
    )


def _texts(what: Description) -> dict[str, str]:
    """All that is text, by name, without what XML cannot hold."""
    special = {"keywords": ", ".join(what.keywords), "take": str(what.take), "source_type": SOURCE_TYPE}
    texts = {name: special[name] if name in special else getattr(what, name) for name in _PLACES}
    return {name: _ILLEGAL.sub("", text) for name, text in texts.items()}


def _description(texts: dict[str, str], levels: list[float], loop: bool) -> Description | None:
    if texts.pop("source_type") != SOURCE_TYPE:
        return None
    special = {"keywords": tuple(filter(None, texts["keywords"].split(", "))), "take": int(texts["take"])}
    values: dict[str, Any] = texts | special | dict(zip(_LEVELS, levels, strict=True))
    return Description(**values, loop=loop)


def _wav(data: bytes, what: Description) -> bytes:
    """A WAV file with the chunks; `bext` goes before the audio, where a stream is told what will come."""
    info = b"LIST", b"INFO"
    kept = [(tag, body) for tag, body in _chunks(data) if tag not in _REPLACED and (tag, body[:4]) != info]
    chunks = dict(kept)
    _, channels, rate, _, width, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    frames = len(chunks[b"data"]) // width
    before = [(b"bext", _bext(what, channels, rate, bits))]
    after = [(b"LIST", _info(what)), (b"iXML", _ixml(what, channels))]
    if what.loop:
        after.insert(0, (b"smpl", _sampler(rate, frames)))
    at = next(place for place, (tag, _) in enumerate(kept) if tag == b"data")
    body = b"WAVE" + b"".join(_chunk(*one) for one in [*kept[:at], *before, *kept[at:], *after])
    return _chunk(b"RIFF", body)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a RIFF WAVE file, in order."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"a WAV or FLAC file is wanted, not one that begins with {data[:4]!r}")
    at = 12
    while at + 8 <= len(data):
        tag, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > len(data):
            raise ValueError(f"the chunk {tag!r} is longer than the file")
        yield tag, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(tag: bytes, body: bytes) -> bytes:
    """A chunk, filled up to an even length that its size does not count."""
    return struct.pack("<4sI", tag, len(body)) + body + bytes(len(body) % 2)


def _bext(what: Description, channels: int, rate: int, bits: int) -> bytes:
    mode = {1: "mono", 2: "stereo"}.get(channels, "multitrack")
    tool = _ascii(what.software or "audiodiff").replace(",", ";")  # a comma would end the field (EBU R 98)
    history = f"A=PCM,F={rate},W={bits},M={mode},T={tool}; {SYNTHETIC}\r\n"
    text = _ascii(what.text)[: 256 - len(SYNTHETIC) - 2]
    fixed = _BEXT.pack(
        f"{text}; {SYNTHETIC}".encode(),
        _ascii(what.creator).encode(),
        _ascii(what.reference).encode(),
        what.created[:10].encode(),
        what.created[11:19].encode(),
        0, 2, b"",  # no time reference, version 2, no UMID
        _hundredths(what.lufs), _UNKNOWN, *map(_hundredths, (what.true_peak_db, what.momentary_lufs)), _UNKNOWN,
        b"",
    )  # fmt: skip
    return fixed + history.encode()


def _hundredths(level: float) -> int:
    return round(level * 100) if math.isfinite(level) else _UNKNOWN


def _ixml(what: Description, channels: int) -> bytes:
    """An iXML document (ixml.info, version 3.0)."""
    root = ET.Element("BWFXML")
    _put(root, "IXML_VERSION", "3.0")
    texts = _texts(what)
    _put(root, "PROJECT", texts["library"])
    _put(root, "SCENE", texts["title"])
    _put(root, "NOTE", f"{texts['text']}; {SYNTHETIC}")
    tracks = ET.SubElement(root, "TRACK_LIST")
    _put(tracks, "TRACK_COUNT", str(channels))
    for number in range(1, channels + 1):
        track = ET.SubElement(tracks, "TRACK")
        _put(track, "CHANNEL_INDEX", str(number))
        _put(track, "INTERLEAVE_INDEX", str(number))
    for name, text in texts.items():
        _put(root, _PLACES[name][0], text)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml


def _put(parent: ET.Element, name: str, text: str) -> None:
    """Add an element, in the group before its slash if it has one."""
    group, _, leaf = name.rpartition("/")
    within = parent.find(group) if group else parent
    if within is None:
        within = ET.SubElement(parent, group)
    ET.SubElement(within, leaf).text = text


def _info(what: Description) -> bytes:
    entries = {
        b"INAM": what.title,
        b"ICMT": f"{SYNTHETIC}; {what.text}",
        b"ISFT": what.software,
        b"ICOP": what.copyright,
        b"ICRD": what.created[:10],
    }
    chunks = (_chunk(tag, _ascii(text).encode() + b"\0") for tag, text in entries.items() if text)
    return b"INFO" + b"".join(chunks)


def _sampler(rate: int, frames: int) -> bytes:
    """One endless forward loop; its end is the last sample that is played."""
    head = (0, 0, round(1e9 / rate), _MIDDLE_C, 0, 0, 0, 1, 0)
    return _SAMPLER.pack(*head, 0, 0, 0, frames - 1, 0, 0)


def _flac(data: bytes, what: Description) -> bytes:
    """A FLAC file with the comments in place of those it has."""
    blocks, audio = _blocks(data)
    packed = int.from_bytes(blocks[0][1][10:18], "big")  # RFC 9639, section 8.2: 20 bits of rate, ..., 36 of samples
    comments = [f"{key}={value}".encode() for key, value in _to_comments(what, packed & (2**36 - 1))]
    vendor = b"audiodiff"
    body = b"".join(struct.pack("<I", len(one)) + one for one in comments)
    block = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments)) + body
    blocks = [one for one in blocks if one[0] != _COMMENTS]
    blocks.insert(1, (_COMMENTS, block))
    heads = [kind | (0x80 if one == len(blocks) - 1 else 0) for one, (kind, _) in enumerate(blocks)]
    written = (bytes([head]) + len(one).to_bytes(3, "big") + one for head, (_, one) in zip(heads, blocks, strict=True))
    return b"fLaC" + b"".join(written) + audio


def _blocks(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The metadata blocks of a FLAC file, type and content, and the audio after them."""
    blocks: list[tuple[int, bytes]] = []
    at, head = 4, 0
    while head < 0x80:  # the last block's first bit is set
        head, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        blocks.append((head & 0x7F, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return blocks, data[at:]


def _without_id3(data: bytes) -> bytes:
    """The file after the ID3 tag that holds the C2PA manifest of a signed FLAC (`generate.provenance`)."""
    if data[:3] != b"ID3":
        return data
    high, upper, lower, low = data[6:10]  # seven bits each
    return data[10 + (high << 21 | upper << 14 | lower << 7 | low) :]


def _to_comments(what: Description, frames: int) -> Iterator[tuple[str, str]]:
    texts = _texts(what)
    yield from ((_PLACES[name][1], text) for name, text in texts.items() if text)
    yield "COMMENT", f"{SYNTHETIC}; {texts['text']}"  # many players show no other; FFmpeg takes DESCRIPTION for it
    levels = ((name.upper(), getattr(what, name)) for name in _LEVELS)
    yield from ((name, f"{level:.2f}") for name, level in levels if math.isfinite(level))
    if what.loop:
        yield "LOOPSTART", "0"
        yield "LOOPLENGTH", str(frames)


def _comments(data: bytes) -> Iterator[tuple[str, str]]:
    block = next((body for kind, body in _blocks(data)[0] if kind == _COMMENTS), bytes(8))
    at = 4 + int.from_bytes(block[:4], "little")
    count = int.from_bytes(block[at : at + 4], "little")
    at += 4
    for _ in range(count):
        size = int.from_bytes(block[at : at + 4], "little")
        key, _, value = block[at + 4 : at + 4 + size].decode().partition("=")
        yield key, value
        at += 4 + size


def _ascii(text: str) -> str:
    """A text in one line of printable ASCII: letters without their accents, "?" for what has no such letter."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return re.sub(r"[^\x20-\x7e]", "?", " ".join(bare.split()))
