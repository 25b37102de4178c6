from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
from test_sources import at, names, put, tar_bytes

from audiodiff.curate.records import Facts
from audiodiff.errors import MediaError, ObjectMissing


def test_members_of_tars_are_items(tmp_path: Path) -> None:
    first = tar_bytes({"./k.flac": b"audio", "./k.json": b'{"license": "MIT"}', "./k.txt": b"rain", "./x.npy": b"1"})
    put(tmp_path / "in", {"s/0.tar": first, "s/1.tar": tar_bytes({"d/k.flac": b"more"}), "dir.tar/a.wav": b"plain"})
    source = at(tmp_path / "in")
    assert names(source) == ["dir.tar/a.wav", "s/0.tar/k.flac", "s/0.tar/x.npy", "s/1.tar/d/k.flac"]
    assert source.facts("s/0.tar/k.flac") == Facts(license="MIT", caption="rain")
    assert source.facts("s/1.tar/d/k.flac") == Facts()
    path, digest = source.fetch("s/0.tar/k.flac", tmp_path)
    assert (path, path.read_bytes()) == (tmp_path / "source", b"audio")
    assert digest == hashlib.sha256(b"audio").hexdigest() == source.sha256("s/0.tar/k.flac")
    assert source.fetch("dir.tar/a.wav", tmp_path)[0].read_bytes() == b"plain"
    with pytest.raises(ObjectMissing, match="no member 'lost'"):
        source.fetch("s/0.tar/lost", tmp_path)
    assert names(at(tmp_path / "in/s/0.tar")) == ["0.tar/k.flac", "0.tar/x.npy"]


def test_a_member_changes_with_its_tar(tmp_path: Path) -> None:
    put(tmp_path, {"0.tar": tar_bytes({"k.flac": b"one"})})
    before = list(at(tmp_path).list())
    put(tmp_path, {"0.tar": tar_bytes({"k.flac": b"two", "l.flac": b""})})
    after = list(at(tmp_path).list())
    assert [found.name for found in after] == ["0.tar/k.flac", "0.tar/l.flac"]
    assert before[0].fingerprint != after[0].fingerprint
    assert at(tmp_path).sha256("0.tar/k.flac") == hashlib.sha256(b"two").hexdigest()


def member(kind: bytes, name: str = "k.flac", link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


WHOLE = tar_bytes({"a.flac": b"x" * 2000, "b.flac": b"y" * 2000})
LONG_NAME = tarfile.TarInfo("x")
LONG_NAME.type, LONG_NAME.size = tarfile.GNUTYPE_LONGNAME, 2**40
NEGATIVE = tarfile.TarInfo("x")
NEGATIVE.size = -512
HOSTILE = {
    "absolute": tar_bytes({"/etc/passwd": b"x"}),
    "climbs": tar_bytes({"a/../../x.flac": b"x"}),
    "symlink": member(tarfile.SYMTYPE, link="/etc/passwd"),
    "hardlink": member(tarfile.LNKTYPE, link="k"),
    "device": member(tarfile.CHRTYPE),
    "twice": tar_bytes({"a": b"1", "./a": b"2"}),
    "cut in data": WHOLE[:1500],
    "cut in header": WHOLE[:2800],
    "damaged header": WHOLE[:2560] + b"?" * 512 + WHOLE[3072:],
    "no tar": b"RIFF" * 1000,
    "empty": b"",
    "huge header": LONG_NAME.tobuf(tarfile.GNU_FORMAT) + bytes(2048),
    "negative size": NEGATIVE.tobuf(tarfile.GNU_FORMAT) + bytes(2048),
    "chain of headers": member(tarfile.GNUTYPE_LONGNAME)[:512] * 3000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_tar_is_one_item_that_says_why(tmp_path: Path, data: bytes) -> None:
    put(tmp_path / "in", {"bad.tar": data, "good.tar": tar_bytes({"k.flac": b"1"})})
    source = at(tmp_path / "in")
    assert names(source) == ["bad.tar", "good.tar/k.flac"]
    with pytest.raises(MediaError, match=r"bad\.tar") as caught:
        source.fetch("bad.tar", tmp_path)
    assert caught.value.reason == "broken_tar"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
