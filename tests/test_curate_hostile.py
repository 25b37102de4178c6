"""Hostile files and names: each has its row and a reason, none stops a curation or is written to."""

from __future__ import annotations

from pathlib import Path

import pytest
from curating import curate_once, rows_of
from hostile import make_hostile
from pile import RATE, take

from audiodiff.encode import write_audio
from audiodiff.ledger import RETRY
from audiodiff.waveform import Waveform


@pytest.mark.timeout(240)
def test_every_hostile_file_has_its_row(tmp_path: Path) -> None:
    pile, evaluation = tmp_path / "pile", tmp_path / "evaluation"
    pile.mkdir()
    evaluation.mkdir()
    write_audio(evaluation / "held-out.flac", Waveform(take(1), RATE), "flac-16")
    files = make_hostile(pile)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in pile.rglob("*")}
    curate_once(str(tmp_path), str(tmp_path / "set"))
    rows = rows_of(str(tmp_path / "set"))
    assert len({row.item_id for row in rows}) == len(files) == len(before)
    assert all(row.reasons for row in rows)  # none names a licence, so that none is accepted
    assert not [row.messages for row in rows if any(reason.startswith(RETRY) for reason in row.reasons)]
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in pile.rglob("*")} == before
