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


_WAV, _AIFF, _FLAC = Kind("wav", sndfile=True), Kind("aiff", sndfile=True), Kind("flac", sndfile=True)
_CAF, _AU = Kind("caf", sndfile=True), Kind("au", sndfile=True)
_OGG, _MP3, _MP4, _MATROSKA, _ADTS = Kind("ogg", sndfile=True), Kind("mp3"), Kind("mp4"), Kind("matroska"), Kind("adts")
_UNKNOWN = Kind("unknown")

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
    (0, b"ID3", _MP3),
    (4, b"ftyp", _MP4),
    (0, b"\x1aE\xdf\xa3", _MATROSKA),
)
_EXTENSIONS: dict[str, Kind] = {
    "wav": _WAV, "wave": _WAV, "bwf": _WAV, "rf64": _WAV, "w64": _WAV, "aif": _AIFF, "aiff": _AIFF, "aifc": _AIFF,
    "flac": _FLAC, "caf": _CAF, "au": _AU, "snd": _AU, "ogg": _OGG, "oga": _OGG, "opus": _OGG, "mp3": _MP3,
    "aac": _ADTS, "m4a": _MP4, "mp4": _MP4, "mov": _MP4, "mkv": _MATROSKA, "webm": _MATROSKA, "mka": _MATROSKA,
    "g722": Kind("g722", headerless=True), "gsm": Kind("gsm", headerless=True),
}  # fmt: skip


def sniff(head: bytes) -> Kind | None:
    """The kind the first bytes announce; None if they announce none."""
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # an MPEG audio frame; layer 0 is AAC's ADTS
        return _ADTS if head[1] & 0x06 == 0 else _MP3
    return None


def extension_kind(name: str) -> Kind:
    """The kind the extension announces, family `unknown` for any other."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower(), _UNKNOWN)


def is_cut_short(file: BinaryIO, kind: Kind) -> bool:
    """Whether the container says it goes on past the end of the file (RIFF, AIFF, Ogg; others cannot say)."""
    size = file.seek(0, os.SEEK_END)
    if kind in {_WAV, _AIFF}:
        return _chunks_end(file, size) > size
    if kind == _OGG:
        file.seek(max(0, size - 65_536))
        tail = file.read()
        page = tail.rfind(b"OggS")
        return page < 0 or page + 5 >= len(tail) or not tail[page + 5] & 4  # flag 4 marks the last page
    if kind.family == "gsm":
        return size % 33 != 0
    return False


def _chunks_end(file: BinaryIO, size: int) -> int:
    """Where the top-level chunk claims to end; 0 where it does not say (streamed, 64-bit sizes)."""
    file.seek(0)
    head = file.read(8)
    if len(head) < 8 or head[:4] not in {b"RIFF", b"FORM"}:
        return 0
    (claimed,) = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:])
    return 0 if claimed >= 0xFFFFFF00 or claimed == 0 else min(int(claimed) + 8, size + 1)
