"""`restore_archive` as Prefect runs it, over real recordings and hostile ones, on local disks and on S3."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hostile import make_hostile
from killing import State, half_done, ledger_marks, started, state_of, temporary_files
from prefect.client.orchestration import get_client
from seaweed import Seaweed

from audiodiff.books import RESTORATIONS
from audiodiff.encode import write_audio
from audiodiff.errors import AudiodiffError, ConfigError, StorageError
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.records import Lane, Row
from audiodiff.storage import Store, open_store
from audiodiff.waveform import Waveform
from flows.restore_archive import RestoreConfig, RestoreResult, restore_archive
from tasks import restoring

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Retries at once: the waits between them are for networks."""
    with pytest.MonkeyPatch.context() as patch:
        for task in (restoring.plan, restoring.restore_shard, restoring.reconcile, restoring.report):
            patch.setattr(task, "retry_delay_seconds", [0, 0, 0])
        yield


def restore(source: object, destination: object, **fields: object) -> RestoreResult:
    given = {"engine": "passthrough"} | fields
    return restore_archive(RestoreConfig(source=str(source), destination=str(destination), **given))


def rows_of(destination: object) -> list[Row]:
    store = open_store(str(destination))
    return list(all_rows(store, committed_shards(store), RESTORATIONS))


def digests(folder: Path) -> dict[bytes, str]:
    """Every file's SHA-256; names as bytes, for they need not be UTF-8."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {os.fsencode(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def marks(store: Store) -> dict[str, str]:
    return {found.name: found.fingerprint for found in store.list()}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real recordings, the table that came with them, and a broken file."""
    folder = tmp_path_factory.mktemp("archive") / "tapes"
    shutil.copytree(ASSETS, folder)
    music = folder / "hyperrogue_hr-domina-mountain.ogg"
    (folder / "cut short.ogg").write_bytes(music.read_bytes()[:60_000])
    music.unlink()  # a minute of stereo takes its time
    (folder / "broken.wav").write_bytes(b"RIFF\xff\xff\xff\x00WAVEjunk" * 9)
    return folder


@pytest.fixture(scope="module")
def restored(tapes: Path, prefect_server: str) -> tuple[Path, RestoreResult]:
    """One run over the tapes, two shards at a time."""
    destination = tapes.parent / "restored"
    before = digests(tapes)
    result = restore(tapes, destination, shard_items=3, shards_at_once=2)
    assert digests(tapes) == before
    return destination, result


def test_every_input_has_its_row(tapes: Path, restored: tuple[Path, RestoreResult]) -> None:
    destination, result = restored
    rows = rows_of(destination)
    assert sorted(row.source_uri for row in rows) == sorted(str(path) for path in tapes.iterdir())
    assert len(rows) == sum(result.lanes.values()) == 8
    lanes = {Path(row.source_uri).name: (row.lane, row.reasons) for row in rows}
    assert lanes["broken.wav"] == lanes["ATTRIBUTION.csv"] == (Lane.FAILED, ("undecodable",))
    assert lanes["cut short.ogg"][0] is Lane.REVIEW
    assert result.lanes["accepted"] == 5


def test_report_and_summary_are_written(restored: tuple[Path, RestoreResult]) -> None:
    destination, result = restored
    run = destination / "runs" / result.run_id
    assert result.report_uri == str(run / "report.html")
    assert "broken.wav" in (run / "report.html").read_text()
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["planned"], summary["skipped"], summary["engine"]) == (8, 0, "passthrough")
    assert dict(summary["lanes"]) == result.lanes
    assert json.loads((run / "config.json").read_text())["shard_items"] == 3


def test_duckdb_reads_the_library(restored: tuple[Path, RestoreResult]) -> None:
    destination, _ = restored
    tables = duckdb.read_parquet(f"{destination}/library/*/metadata.parquet")
    found = tables.select("shard", "file_name", "frames").fetchall()
    assert len(found) == 5
    assert all((destination / "library" / shard / name).is_file() for shard, name, _ in found)
    assert all(frames > 0 for _, _, frames in found)


def test_artifacts_show_the_run(restored: tuple[Path, RestoreResult]) -> None:
    _, result = restored
    with get_client(sync_client=True) as client:
        everything = client.read_artifacts()
    flow_run = next(one.flow_run_id for one in everything if one.description == result.run_id)
    shown = {(one.type, one.key): one.data for one in everything if one.flow_run_id == flow_run}
    assert [data for (kind, _), data in shown.items() if kind == "progress"] == [100.0]
    assert "**8 items**" in str(shown["markdown", "restore-summary"])
    assert {"lane": "failed", "items": 2} in json.loads(str(shown["table", "restore-lanes"]))
    reasons = json.loads(str(shown["table", "restore-reasons"]))
    assert {"undecodable", "truncated"} <= {entry["reason"] for entry in reasons}


def test_second_run_does_nothing_and_writes_nothing(tapes: Path, restored: tuple[Path, RestoreResult]) -> None:
    destination, _ = restored
    before = marks(open_store(str(destination)))
    again = restore(tapes, destination, shard_items=3)
    assert (again.run_id, again.lanes, again.skipped) == ("", {}, 8)
    assert marks(open_store(str(destination))) == before


# -- what is wrong with the request or the machine ------------------------------------------------------------------


def test_source_must_hold_something(tmp_path: Path, prefect_server: str) -> None:
    with pytest.raises(ConfigError, match="no-such-folder does not exist or holds no objects"):
        restore(tmp_path / "no-such-folder", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cuda_needs_a_gpu(tapes: Path, tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="no GPU"):
        restore(tapes, tmp_path / "out", device="cuda")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve short recordings, one of them silent and one no recording."""
    folder = tmp_path_factory.mktemp("tones")
    for number in range(10):
        time_s = np.arange(8_000 + 100 * number) / 16_000
        tone = 0.2 * np.sin(2 * np.pi * (200 + 50 * number) * time_s)
        write_audio(folder / f"tone {number}.wav", Waveform(tone.astype(np.float32)[None], 16_000), "wav-16")
    write_audio(folder / "silent.wav", Waveform(np.zeros((1, 8_000), np.float32), 16_000), "wav-16")
    (folder / "not audio.wav").write_text("a note\n")
    return folder


def test_a_failing_shard_fails_the_run_and_the_same_command_resumes(
    tones: Path, tmp_path: Path, prefect_server: str
) -> None:
    destination = tmp_path / "out"
    (destination / "library").mkdir(parents=True)
    blocked = destination / "library" / "shard-00001"
    blocked.write_text("a file where a folder belongs")
    with pytest.raises(AudiodiffError, match=r"1 of 4 shards failed; the others are committed.*shard-00001"):
        restore(tones, destination, shard_items=3)
    store = open_store(str(destination))
    assert committed_shards(store) == ["shard-00000", "shard-00002", "shard-00003"]
    before = ledger_marks(store)
    blocked.unlink()
    result = restore(tones, destination, shard_items=3)
    assert sum(result.lanes.values()) == 12
    assert ledger_marks(store).items() > before.items()


def test_unreachable_s3_is_said_plainly(tones: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match="does not answer"):
        restore(tones, "s3://restored/archive")


def test_from_s3_to_s3(tones: Path, s3: Seaweed, s3_bucket: str, prefect_server: str) -> None:
    root = f"s3://{s3_bucket}/{secrets.token_hex(6)}"
    source = open_store(f"{root}/tapes")
    for path in sorted(tones.iterdir()):
        source.write_file(f"1968/{path.name}", path)
    before = marks(source)
    result = restore(f"{root}/tapes", f"{root}/restored", shard_items=5, shards_at_once=2)
    assert result.lanes == {"accepted": 10, "review": 1, "rejected": 0, "failed": 1}
    assert marks(source) == before
    rows = rows_of(f"{root}/restored")
    store = open_store(f"{root}/restored")
    assert {row.source_uri for row in rows} == {source.object_uri(name) for name in before}
    assert all(store.sha256(row.audio_path) == row.sha256 for row in rows if row.audio_path)
    assert restore(f"{root}/tapes", f"{root}/restored").skipped == 12


def test_hostile_files_each_have_their_row_and_reason(tmp_path: Path, prefect_server: str) -> None:
    source = tmp_path / "hostile"
    source.mkdir()
    files = make_hostile(source)
    before = digests(source)
    result = restore(source, tmp_path / "out")
    assert digests(source) == before
    rows = {row.source_uri.removeprefix(f"{source}/"): row for row in rows_of(tmp_path / "out")}
    assert set(rows) == {file.name for file in files}
    assert sum(result.lanes.values()) == len(files) >= 37
    wrong = []
    for file in files:
        row = rows[file.name]
        expected = {*file.problems} | ({file.reason} if file.reason else set())
        if not expected <= set(row.reasons) or (row.lane is Lane.FAILED) != bool(file.reason):
            wrong.append((file.name, expected, row.lane, row.reasons, row.messages))
    assert not wrong


# -- kill -9 --------------------------------------------------------------------------------------------------------


def check_resumed(destination: str, before: dict[str, str], begun: set[str], expected: State) -> None:
    """After the second run: the undisturbed end state, and no more than one shard done twice."""
    assert len(begun) <= 1
    assert ledger_marks(open_store(destination)).items() >= before.items()
    assert state_of(destination) == expected


def kill_at_random(
    source: str, fresh: Callable[[], str], points: int, environment: dict[str, str]
) -> Iterator[tuple[str, dict[str, str], set[str], State]]:
    """Kill a run at `points` moments spread over its duration, run again; yields what there was after the kill."""
    for undisturbed in (fresh(), fresh()):  # the first starts the process that all others are forked from
        process = started(source, undisturbed, environment)
        began = time.monotonic()
        process.join()
        assert process.exitcode == 0
        duration_s = time.monotonic() - began
    expected, rng = state_of(undisturbed), random.Random(points)
    killed = 0
    while killed < points:
        destination = fresh()
        process = started(source, destination, environment)
        began = time.monotonic()
        process.join(timeout=duration_s * (killed + rng.random()) / points)
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was done before, so the machine is faster now
            duration_s = min(0.95 * duration_s, time.monotonic() - began)
            continue
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        store = open_store(destination)
        before, begun = ledger_marks(store), half_done(store)
        again = started(source, destination, environment)
        again.join()
        assert again.exitcode == 0
        yield destination, before, begun, expected


def test_killed_at_20_points_and_resumed(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    committed = []
    for destination, before, begun, expected in kill_at_random(
        str(tones),
        lambda: str(tmp_path / secrets.token_hex(6)),
        20,
        {"TMPDIR": str(tmp_path / "scratch")},
    ):
        check_resumed(destination, before, begun, expected)
        assert not temporary_files(Path(destination))
        committed.append(len(before))
    assert min(committed) == 0
    assert max(committed) >= 3  # of 4; on a busy machine none may be killed so late as the last
    assert len(set(committed)) >= 3


def test_killed_on_s3_and_resumed(tones: Path, tmp_path: Path, s3: Seaweed, s3_bucket: str) -> None:
    (tmp_path / "scratch").mkdir()
    environment = {"TMPDIR": str(tmp_path / "scratch"), **s3.env()}
    for destination, before, begun, expected in kill_at_random(
        str(tones), lambda: f"s3://{s3_bucket}/{secrets.token_hex(6)}", 4, environment
    ):
        check_resumed(destination, before, begun, expected)


@pytest.mark.parametrize("commits", [0, 2])
def test_killed_command_resumes(
    tones: Path, restored_tones: State, tmp_path: Path, prefect_server: str, commits: int
) -> None:
    """The real command, killed -9 a moment after the plan or some commit."""
    destination = tmp_path / "out"
    process = command(tones, destination, prefect_server)
    store = open_store(str(destination))
    while len(ledger_marks(store)) < commits or not list(destination.glob("runs/*/plan.parquet")):
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.1 * random.Random(commits).random())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before, begun = ledger_marks(store), half_done(store)
    assert len(before) < 4
    again = command(tones, destination, prefect_server)
    output = again.communicate()[0].decode()
    assert again.returncode == 0, output
    assert "Report: " in output
    check_resumed(str(destination), before, begun, restored_tones)
    assert not temporary_files(destination)


@pytest.fixture(scope="module")
def restored_tones(tones: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> State:
    """The end state of an undisturbed run."""
    destination = str(tmp_path_factory.mktemp("undisturbed") / "out")
    restore(tones, destination, shard_items=3)
    return state_of(destination)


def command(source: Path, destination: Path, server: str) -> subprocess.Popen[bytes]:
    """`audiodiff restore` in a process of its own, against the tests' server."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "flows.cli", "restore", str(source), str(destination)),
            *("--engine", "passthrough", "--shard-items", "3"),
        ],
        env={**os.environ, "PREFECT_API_URL": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
