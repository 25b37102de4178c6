"""What a file is, by its first bytes, and whether its container is cut short."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Kind:
    """A container family; `sndfile` if libsndfile reads it, `headerless` if only the extension tells."""

    family: str
    sndfile: bool = False
    headerless: bool = False


# libsndfile loses a whole block at the first damage in a FLAC, and all of one without a length: FFmpeg reads those.
_WAV, _AIFF, _FLAC = Kind("wav", sndfile=True), Kind("aiff", sndfile=True), Kind("flac")
_CAF, _AU = Kind("caf", sndfile=True), Kind("au", sndfile=True)
_OGG, _MP3, _MP4, _MATROSKA, _ADTS = Kind("ogg", sndfile=True), Kind("mp3"), Kind("mp4"), Kind("matroska"), Kind("adts")
_UNKNOWN = Kind("unknown")
CHAINED_OGG = Kind("ogg")
"""libsndfile reads the first stream of a chain, FFmpeg all that are alike."""

_W64_GUID = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (0, _W64_GUID, _WAV),
    (0, b"RIFF", _WAV),
    (0, b"RIFX", _WAV),
    (0, b"RF64", _WAV),
    (0, b"BW64", _WAV),
    (0, b"FORM", _AIFF),
    (0, b"fLaC", _FLAC),
    (0, b"caff", _CAF),
    (0, b".snd", _AU),
    (0, b"OggS", _OGG),
    (4, b"ftyp", _MP4),
    (0, b"\x1aE\xdf\xa3", _MATROSKA),
)
_EXTENSIONS: dict[str, Kind] = {
    "wav": _WAV, "wave": _WAV, "bwf": _WAV, "rf64": _WAV, "w64": _WAV, "aif": _AIFF, "aiff": _AIFF, "aifc": _AIFF,
    "flac": _FLAC, "caf": _CAF, "au": _AU, "snd": _AU, "ogg": _OGG, "oga": _OGG, "opus": _OGG, "mp3": _MP3,
    "aac": _ADTS, "m4a": _MP4, "mp4": _MP4, "mov": _MP4, "mkv": _MATROSKA, "webm": _MATROSKA, "mka": _MATROSKA,
    "g722": Kind("g722", headerless=True), "gsm": Kind("gsm", headerless=True),
}  # fmt: skip


def read_head(file: BinaryIO) -> bytes:
    """The first 4 KiB after any ID3 tag, which MP3 files carry by custom and others by accident."""
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        high, upper, lower, low = head[6:]
        file.seek(10 + (high << 21 | upper << 14 | lower << 7 | low))
        return file.read(4096) or head
    return head + file.read(4086)


def sniff(head: bytes, expected: Kind) -> Kind:
    """The kind the first bytes announce, or else `expected` if that has no header, or else family `unknown`."""
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if expected.headerless:
        return expected
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # an MPEG audio frame; layer 0 is AAC's ADTS
        return _ADTS if head[1] & 0x06 == 0 else _MP3
    return _UNKNOWN


def is_chained(file: BinaryIO) -> bool:
    """Whether an Ogg file holds several streams one after the other, as recordings of broadcasts do (RFC 3533, 4)."""
    file.seek(0)
    past_the_first_headers = False
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        begins = bool(head[5] & 2)
        if begins and past_the_first_headers:
            return True
        past_the_first_headers |= not begins
        file.seek(sum(file.read(head[26])), os.SEEK_CUR)
    return False


def extension_kind(name: str) -> Kind:
    """The kind the extension announces, family `unknown` for any other."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower(), _UNKNOWN)


def is_cut_short(file: BinaryIO, kind: Kind) -> bool:
    """Whether the container says it goes on past the end of the file; other containers than these cannot say."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if kind in {_WAV, _AIFF}:
        return _samples_end(file) > size
    if kind == _MP4:
        return _boxes_end(file, size) > size
    if kind == _MP3:
        return _xing_bytes(file) > size
    if kind == _OGG:
        return not _last_page_whole(file, size)
    return kind.family == "gsm" and size % 33 != 0


def _samples_end(file: BinaryIO) -> int:
    """Where the chunk with the samples (`data`, `SSND`) claims to end; 0 where it does not say, as in streams."""
    form = file.read(12)[:4]
    order = ">" if form in {b"FORM", b"RIFX"} else "<"
    long_size = 0
    while len(head := file.read(8)) == 8:
        tag, claimed = head[:4], struct.unpack(order + "I", head[4:])[0]
        if tag in {b"data", b"SSND"}:
            streamed = claimed >= 0xFFFFFF00 or 0x7FFFF000 <= claimed <= 0x7FFFFFFF
            claimed = long_size or (0 if streamed else claimed)
            return file.tell() + claimed if claimed else 0
        if tag == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16))[0]
            claimed -= 16
        file.seek(claimed + claimed % 2, os.SEEK_CUR)
    return 0


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level MP4 box claims to end."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(16)
        claimed = int.from_bytes(head[:4], "big")
        if claimed == 1:  # a 64-bit size follows
            claimed = int.from_bytes(head[8:16], "big")
        if claimed < 8 or not head[4:8].isalnum():  # 0 means to the end of the file; else padding or garbage
            return end
        end += claimed
    return end


def _xing_bytes(file: BinaryIO) -> int:
    """Where an MP3 ends by its Xing or Info header (tag, flags, [frames], bytes); 0 if it has none."""
    head = read_head(file)
    start = file.tell() - len(head)
    at = max(head[:256].find(b"Xing"), head[:256].find(b"Info"))
    if at < 0:
        return 0
    flags = int.from_bytes(head[at + 4 : at + 8], "big")
    at += 12 if flags & 1 else 8
    return start + int.from_bytes(head[at : at + 4], "big") if flags & 2 else 0


def _last_page_whole(file: BinaryIO, size: int) -> bool:
    """Whether the last Ogg page is all there: a table of lengths, then as much.

    That it is marked as the last (flag 4) is not asked: many whole files in the wild are not.
    """
    file.seek(max(0, size - 65_536))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27:
        return False
    lengths = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(lengths)
