"""The `audiodiff` command and the config behind its flags, which is also the form in Prefect's UI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import audiodiff
from audiodiff.encode import write_audio
from audiodiff.engines import ENGINES
from audiodiff.gates import PRESETS
from audiodiff.training.recipes import RECIPES
from audiodiff.waveform import Waveform
from flows.cli import COMMANDS, Command, main, parser
from flows.restore_archive import RestoreConfig
from flows.train_model import TrainConfig


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Status, output and errors of the command, each on one line."""
    try:
        status = main(arguments)
    except SystemExit as left:
        status = int(left.code or 0)
    out, err = capsys.readouterr()
    return status, " ".join(out.split()), " ".join(err.split())


def test_command_is_installed() -> None:
    command = Path(sys.executable).with_name("audiodiff")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"audiodiff {audiodiff.__version__}"


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "--help")
    assert status == 0
    assert "restore Restore every recording" in out
    assert "train Train a restoration model" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_every_field_with_its_bounds(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    status, out, _ = said(capsys, command, "--help")
    assert status == 0
    for name, field in COMMANDS[command].config.model_fields.items():
        flag = name if field.is_required() else f"--{name.replace('_', '-')}"
        assert re.search(rf"(?<!\S){flag}\b", out)
        assert field.description
        assert field.description in out
        default = field.get_default(call_default_factory=True)
        assert field.is_required() or f"(default: {default})" in out
    assert re.search(r"\(at least [01](\.0)?, at most [\d.]+\)", out)
    assert "device" not in COMMANDS[command].config.model_fields or "{auto,cpu,cuda}" in out


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--evaluations", "9"), "audiodiff: evaluations: Input should be less than or equal to 8"),
        (("--strength", "-0.1"), "audiodiff: strength: Input should be greater than or equal to 0"),
        (("--shard-items", "one"), "argument --shard-items: invalid int value: 'one'"),
        (("--preset", "magic"), "argument --preset: invalid choice: 'magic'"),
        (("--encoding", "mp3"), "argument --encoding: invalid choice: 'mp3'"),
        (("--sead", "1"), "unrecognized arguments: --sead"),
    ],
)
def test_a_wrong_value_is_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: tuple[str, ...], sentence: str
) -> None:
    status, out, err = said(capsys, "restore", "in", str(tmp_path / "out"), *wrong)
    assert (status, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_lists_are_words_after_their_flag() -> None:
    given = parser().parse_args(
        ["curate", "in", "out", "--exports", "shar", "nemo", "--keep-away", "a", "--captioners"]
    )
    assert (given.exports, given.keep_away, given.captioners) == (["shar", "nemo"], ["a"], [])
    assert parser().parse_args(["curate", "in", "out"]).captioners == ["metadata", "tagger", "acoustic"]
    with pytest.raises(SystemExit):
        parser().parse_args(["curate", "in", "out", "--exports", "zip"])


def test_no_command_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capsys)
    assert status == 2
    assert "the following arguments are required: COMMAND" in err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("no-such-folder", "no-such-folder does not exist or holds no objects"),
        ("gs://bucket/tapes", "gs:// is not a storage audiodiff knows; give a folder or s3://bucket/prefix"),
    ],
)
def test_a_source_that_is_not_there_is_a_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prefect_server: str,
    source: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = said(capsys, "restore", source, "out", "--engine", "passthrough")
    assert (status, out) == (1, "")
    assert re.search(rf"audiodiff: .*{re.escape(sentence)}$", err)
    assert not (tmp_path / "out").exists()


def test_a_mistyped_folder_shows_no_traceback(tmp_path: Path, prefect_server: str) -> None:
    command = [Path(sys.executable).with_name("audiodiff"), "restore", tmp_path / "tapse", tmp_path / "out"]
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    done = subprocess.run(
        [*command, "--engine", "passthrough"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"audiodiff: source {tmp_path}/tapse does not exist or holds no")
    assert "Traceback" not in done.stderr


def test_restore_and_once_more(capsys: pytest.CaptureFixture[str], tmp_path: Path, prefect_server: str) -> None:
    (tmp_path / "tapes").mkdir()
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    write_audio(tmp_path / "tapes" / "tone.wav", Waveform(tone.astype(np.float32)[None], 16_000), "wav-16")
    given = ("restore", str(tmp_path / "tapes"), str(tmp_path / "out"), "--engine", "passthrough")
    status, out, _ = said(capsys, *given)
    assert status == 0
    assert re.search(r"accepted 1 review 0 rejected 0 failed 0 skipped 0 \(done before\) Report: \S+report\.html$", out)
    status, out, _ = said(capsys, *given)
    assert (status, out) == (0, "Nothing to do: all 1 recordings are done.")


# -- the config's schema, which Prefect's UI makes a form of ----------------------------------------------------------


def parts(schema: object) -> Iterator[dict[str, Any]]:
    """Every object in a JSON schema."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_form_has_only_what_renders_well(command: Command) -> None:
    schema = command.config.model_json_schema()
    for part in parts(schema):
        assert not {"anyOf", "oneOf", "allOf", "const"} & part.keys()
        assert part.get("type") != "null"
        assert part.get("type") != "object" or ("properties" in part and part.get("additionalProperties") is False)
        assert len(part.get("enum", "ab")) >= 2
    assert len(schema["properties"]) <= 12
    assert schema["required"] == list(command.positional)


@pytest.mark.parametrize(
    ("config", "name"),
    [(command.config, name) for command in COMMANDS.values() for name in command.config.model_fields],
)
def test_field_explains_and_bounds_itself(config: type[BaseModel], name: str) -> None:
    field = config.model_json_schema()["properties"][name]
    assert len(field["description"]) > 20
    assert field["description"].endswith(".")
    if field["type"] in {"integer", "number"}:
        assert {"minimum", "maximum", "default"} <= field.keys()


def test_switches_can_be_turned_on_and_off() -> None:
    given = parser().parse_args(["restore", "a", "b", "--no-leave-clean", "--keep-removed"])
    assert (given.leave_clean, given.keep_removed) == (False, True)
    given = parser().parse_args(["restore", "a", "b"])
    assert (given.leave_clean, given.keep_removed) == (True, False)


def test_choices_are_those_of_the_library() -> None:
    fields = RestoreConfig.model_json_schema()["properties"]
    assert all(name in fields["engine"]["description"] for name in ENGINES)
    assert set(fields["preset"]["enum"]) == set(PRESETS)
    assert set(TrainConfig.model_json_schema()["properties"]["recipe"]["enum"]) == set(RECIPES)
