"""What the tasks add to the library: credentials from blocks, retries where they help, progress."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np
import pytest
from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from seaweed import Seaweed

from audiodiff.encode import write_audio
from audiodiff.errors import CommitError, ConfigError, EngineError, StorageError
from audiodiff.storage import open_store
from audiodiff.waveform import Waveform
from flows.restore_archive import RestoreConfig, restore_archive
from tasks.credentials import BLOCK_VARIABLE, open_with_credentials
from tasks.progress import RunProgress
from tasks.running import may_pass


def saved(value: object) -> str:
    """The name of a new secret block that holds `value`."""
    name = f"keys-{secrets.token_hex(4)}"
    block: Block = Secret(value=value)  # type: ignore[arg-type]
    block.save(name)
    return f"secret/{name}"


def keys_of(server: Seaweed) -> dict[str, str]:
    return {
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "endpoint_url": server.endpoint,
        "region": "us-east-1",
    }


@pytest.fixture
def no_keys(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing about S3."""
    for name in s3.env():
        monkeypatch.delenv(name)


@pytest.fixture
def bucket(s3: Seaweed) -> str:
    return s3.bucket()


def test_keys_come_from_the_block_alone(
    s3: Seaweed, bucket: str, no_keys: None, prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = saved(keys_of(s3))
    monkeypatch.setenv(BLOCK_VARIABLE, name)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    write_audio(tmp_path / "tone.wav", Waveform(tone.astype(np.float32)[None], 16_000), "wav-16")
    root = f"s3://{bucket}/archive"
    source = open_with_credentials(f"{root}/tapes")
    source.write_file("tone.wav", tmp_path / "tone.wav")
    config = RestoreConfig(source=source.uri, destination=f"{root}/restored", engine="passthrough")
    result = restore_archive(config)
    assert result.lanes["accepted"] == 1
    restored = open_with_credentials(f"{root}/restored")
    written = b"".join(restored.read_bytes(found.name) for found in restored.list("runs/"))
    assert s3.secret_key.encode() not in written
    monkeypatch.delenv(BLOCK_VARIABLE)
    with pytest.raises(StorageError):
        list(open_store(f"{root}/tapes").list())


def test_local_folders_need_no_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, "secret/there-is-no-such-block")
    assert open_with_credentials(str(tmp_path)).uri == str(tmp_path)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [("a bare word", "must hold a JSON object"), ({"access_key": "wrong-field-77"}, "access_key")],
)
def test_a_block_of_another_shape_is_refused(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch, value: object, sentence: str
) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, saved(value))
    with pytest.raises(ConfigError, match=sentence) as caught:
        open_with_credentials("s3://bucket/tapes")
    assert "field-77" not in str(caught.value)


@pytest.mark.parametrize("name", ["keys", "gcp-credentials/keys", "secret/there-is-no-such-block"])
def test_a_block_that_is_not_there_is_a_sentence(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, name)
    with pytest.raises(ConfigError, match=name):
        open_with_credentials("s3://bucket/tapes")


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (StorageError("the network went away"), 3),
        (MemoryError(), 3),
        (ConfigError("a wrong address"), 1),
        (EngineError("a damaged checkpoint"), 1),
        (CommitError("books that do not balance"), 1),
    ],
)
def test_only_what_may_pass_is_tried_again(prefect_server: str, error: Exception, tries: int) -> None:
    tried = []

    @task(retries=2, retry_delay_seconds=0, retry_condition_fn=may_pass)
    def failing() -> None:
        tried.append(1)
        raise error

    @flow
    def asking() -> None:
        failing()

    with pytest.raises(type(error)):
        asking()
    assert len(tried) == tries


def test_progress_reaches_the_artifact(prefect_server: str) -> None:
    title = f"restoring {secrets.token_hex(4)}"

    @flow
    def counting() -> None:
        with RunProgress(title, 4) as progress:
            assert RunProgress.current is progress
            progress.tick()
            progress.reached(3)
            progress.tick()
            progress.tick()  # a repeated shard counts its items twice
            assert progress.done == 4
        assert RunProgress.current is None

    counting()
    with get_client(sync_client=True) as client:
        found = [artifact for artifact in client.read_artifacts() if artifact.description == title]
    assert [json.loads(str(artifact.data)) for artifact in found] == [100.0]
