"""What a recording says of itself: its tags, and the chunks of WAV and AIFF that decoders pass over."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from audiodiff.curate.facts import facts_from, merged
from audiodiff.curate.records import Facts
from audiodiff.records import MediaInfo

_MOST_BYTES = 2**20  # of metadata; an iXML of a field recorder has some 10 kB
_MOST_CHUNKS = 1000  # so that a file of nothing but empty chunks is soon given up
_TECHNICAL = frozenset({
    "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id", "encoder", "encoded_by",
    "creation_time", "software", "duration",
})  # fmt: skip
_INFO = {
    "INAM": "title", "IART": "artist", "ICOP": "copyright", "IGNR": "genre", "IKEY": "keywords", "ISBJ": "description",
    "ICMT": "comment", "IPRD": "album", "ICRD": "date", "ILNG": "language",
}  # fmt: skip
_AIFF = {b"NAME": "title", b"AUTH": "artist", b"(c) ": "copyright", b"ANNO": "comment"}
_IXML_OWN = ("PROJECT", "SCENE", "TAKE", "NOTE")
_IXML_GROUPS = ("ASWG", "UCS", "USER")  # of which each child is an entry; the first that has one gives it


def embedded_facts(path: Path, media: MediaInfo) -> Facts:
    """What is written inside a recording.

    The tags that the decoder found (ID3, Vorbis comments, MP4), and of WAV, RF64 and BW64 files the chunks iXML
    (ixml.info 3.0, with the ASWG and UCS entries), bext (EBU Tech 3285) and LIST INFO, of AIFF files NAME, AUTH, "(c) "
    and ANNO. A damaged chunk gives what can be read of it. Raises OSError where the file cannot be read.
    """
    tags = {name: text for name, text in media.tags if name not in _TECHNICAL and (name, text) != ("language", "und")}
    with path.open("rb") as file:
        chunks = list(_chunks(file))
    xml = (_ixml(data) for tag, data in chunks if tag == b"iXML")
    bext = (_bext(data) for tag, data in chunks if tag == b"bext")
    info = (_info(data) for tag, data in chunks if tag == b"LIST" and data[:4] == b"INFO")
    aiff = ({_AIFF[tag]: _decoded(data)} for tag, data in chunks if tag in _AIFF)
    records: list[Mapping[str, object]] = [*xml, tags, *info, *aiff, *bext]
    return merged(Facts(), *map(facts_from, records))


_WANTED = frozenset({b"iXML", b"bext", b"LIST", *_AIFF})


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of metadata, (tag, data), in the file's order; none of a file that is neither RIFF nor AIFF."""
    form = file.read(12)[:4]
    if form not in {b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"}:
        return
    order = ">" if form in {b"RIFX", b"FORM"} else "<"
    budget, long_size = _MOST_BYTES, 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        tag, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        if tag == b"data" and size == 0xFFFFFFFF:  # its true size is in ds64; a stream that has none says 0 (or this)
            size = long_size or size
        after = file.tell() + size + size % 2
        if tag == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif tag in _WANTED:
            data = file.read(min(size, budget))
            budget -= len(data)
            yield tag, data
        if after >= 2**63:
            return
        file.seek(after)


def _bext(data: bytes) -> dict[str, object]:
    """The entries of a `bext` chunk; numbers and dates stay out of the way of the facts (EBU Tech 3285, 2.3).

    The originator is seldom a person: recorders write their own name there. Recorders also list their settings in the
    description, one "sSPEED=024.000" a line, which is no caption.
    """
    record: dict[str, object] = {}
    description = _decoded(data[:256])
    record["bext_settings" if re.match(r"\w+=", description) else "description"] = description
    for name, start, stop in (
        ("originator", 256, 288),
        ("originator_reference", 288, 320),
        ("origination_date", 320, 330),
        ("origination_time", 330, 338),
        ("coding_history", 602, len(data)),
    ):
        record[f"bext_{name}"] = _decoded(data[start:stop])
    if len(data) >= 346:
        record["bext_time_reference"] = int.from_bytes(data[338:346], "little")  # samples since midnight
    return record


def _info(data: bytes) -> dict[str, object]:
    """The entries of a LIST INFO chunk (Microsoft, Multimedia Data Standards, 1994); unknown ones keep their id."""
    record: dict[str, object] = {}
    at = 4
    while len(head := data[at : at + 8]) == 8:
        tag, size = head[:4].decode("latin-1"), int.from_bytes(head[4:], "little")
        if tag != "ISFT":  # the program that wrote the file
            record[_INFO.get(tag, tag)] = _decoded(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return record


def _ixml(data: bytes) -> dict[str, object]:
    """The entries of an iXML chunk; nothing of one that is no XML or has declarations, whose entities may grow."""
    text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", "replace").strip(
        "\0 \r\n\t"
    )
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        return {}
    try:
        root = ET.fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except (ET.ParseError, ValueError):
        return {}
    record: dict[str, object] = {}
    for name in _IXML_OWN:
        record[name] = root.findtext(name)
    for group in _IXML_GROUPS:
        for found in root.findall(group):
            entries = {child.tag: child.text for child in found} or {group: found.text}
            record = {**entries, **{name: value for name, value in record.items() if value}}
    return record


def _decoded(data: bytes) -> str:
    """Text up to its first zero byte: UTF-8, as newer programs write, or else Latin-1."""
    data = data.partition(b"\0")[0]
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("latin-1").strip()
