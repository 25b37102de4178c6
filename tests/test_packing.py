"""What of a kit and of packages is packed, and what is held back."""

from __future__ import annotations

from pathlib import Path

from audiodiff.training.packing import kit_sources, package_sources


def test_kit_rows_are_split_by_speaker_and_source(tmp_path: Path) -> None:
    header = "path,kind,source,original_file,speaker,licence,attribution\n"
    rows = [
        "speech/a.flac,speech,x,a,kathleen,CC0-1.0,k",
        "speech/b.flac,speech,x,b,Maxim Topal,CC-BY-3.0,m",
        "noise/storm.ogg,noise,x,storm,,CC0-1.0,s",
        "music/c.ogg,music,y,c,,CC0-1.0,c",
        "sfx/d.ogg,sfx,github:karoldvl/ESC-10,Rain/4-1.ogg,,CC0-1.0,d",
        "sfx/e.ogg,sfx,github:karoldvl/ESC-10,Rain/5-1.ogg,,CC0-1.0,e",
    ]
    (tmp_path / "manifest.csv").write_text(header + "\n".join(rows) + "\n")
    found = {source.name: (source.kind, source.split) for source in kit_sources(tmp_path / "manifest.csv")}
    assert found == {
        "speech/a.flac": ("speech", "train"),
        "speech/b.flac": ("speech", "test"),
        "noise/storm.ogg": ("noise", "test"),
        "sfx/d.ogg": ("noise", "train"),
    }


def test_packages_leave_out_what_is_held_back(tmp_path: Path) -> None:
    for name in ("bell_desc_fr.ogg", "bell_desc_ro.ogg", "storm.ogg", "rain.ogg", "readme.txt"):
        (tmp_path / name).touch()
    found = [source.path.name for source in package_sources(f"speech:GPL-2.0-only:{tmp_path}")]
    assert found == ["bell_desc_ro.ogg", "rain.ogg"]
