"""The `audiodiff` command: every flow as a subcommand whose flags are the flow's config."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import audiodiff
from audiodiff.errors import AudiodiffError

# without a server of its own Prefect starts one in this process: keep that one quiet, unless the user says otherwise
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")

from prefect import Flow

from flows.curate_dataset import CurateConfig, CurateResult, curate_dataset
from flows.generate_library import GenerateConfig, GenerateResult, generate_library
from flows.restore_archive import RestoreConfig, RestoreResult, restore_archive
from flows.train_model import TrainConfig, TrainResult, train_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 or 2 after printing a plain sentence about what is wrong."""
    given = vars(parser().parse_args(arguments))
    command = COMMANDS[given.pop("command")]
    logging.getLogger("prefect.flow_runs").addFilter(_is_not_told_below)
    try:
        result = command.run(command.config(**given))
    except ValidationError as error:
        for problem in error.errors():
            print(f"audiodiff: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        return 2
    except AudiodiffError as error:
        print(f"audiodiff: {error}", file=sys.stderr)
        return 1
    print(command.closing(result))
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser, generated from the configs."""
    top = argparse.ArgumentParser(prog="audiodiff", description=audiodiff.__doc__)
    top.add_argument("--version", action="version", version=f"audiodiff {audiodiff.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.config.__doc__,
            description=f"{command.run.description} {command.note}".strip(),
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        add_fields(one, command.config, command.positional)
    return top


def add_fields(command: argparse.ArgumentParser, config: type[BaseModel], positional: Sequence[str]) -> None:
    """One argument for each field, with its description, choices and default."""
    for name, field in config.model_fields.items():
        if name in positional:
            command.add_argument(name, help=field.description)
        else:
            command.add_argument(f"--{name.replace('_', '-')}", **_options(field))


def _options(field: FieldInfo) -> dict[str, Any]:
    bounds = [f"at least {m.ge}" for m in field.metadata if isinstance(m, Ge)]
    bounds += [f"at most {m.le}" for m in field.metadata if isinstance(m, Le)]
    text = f"{field.description} ({', '.join(bounds)})" if bounds else field.description
    kind: Any = field.annotation
    options: dict[str, Any] = {"default": field.default, "help": text}
    if kind is bool:
        return options | {"action": argparse.BooleanOptionalAction}
    if get_origin(kind) is list:
        (inside,) = get_args(kind)
        some = {"choices": get_args(inside)} if get_origin(inside) is Literal else {"metavar": "X"}
        return options | {"nargs": "*", "default": field.get_default(call_default_factory=True), **some}
    if get_origin(kind) is Literal:
        return options | {"choices": get_args(kind)}
    return options | {"type": kind, "metavar": "N" if kind is int else "X"}


def _is_not_told_below(record: logging.LogRecord) -> bool:
    """Whether a log record is anything but the traceback of an error that `main` tells in one sentence."""
    return not (record.exc_info and isinstance(record.exc_info[1], AudiodiffError))


def _restored(result: RestoreResult) -> str:
    if not result.run_id:
        return f"Nothing to do: all {result.skipped} recordings are done."
    width = max(map(len, result.lanes))
    lanes = "\n".join(f"  {lane:<{width}}  {count:>6,}" for lane, count in result.lanes.items())
    return f"{lanes}\n  skipped{' ' * (width - 7)}  {result.skipped:>6,} (done before)\nReport: {result.report_uri}"


def _curated(result: CurateResult) -> str:
    if result.forecast:
        return result.forecast
    if not result.run_id:
        return f"Nothing to do: all {result.skipped} recordings are done."
    lanes = "\n".join(
        f"  {lane:<9}{clips:>8,} clips {result.hours[lane]:>9.2f} h" for lane, clips in result.clips.items()
    )
    return f"{lanes}\n  skipped  {result.skipped:>8,} recordings (done before)\nReport: {result.report_uri}"


def _generated(result: GenerateResult) -> str:
    if not result.run_id:
        return f"Nothing to do: all {result.skipped} prompts are done."
    return (
        f"  delivered {result.delivered:>7,} of {result.asked:,} takes\n"
        f"  failed    {result.failed:>7,} rows of the table\n"
        f"  skipped   {result.skipped:>7,} prompts (done before)\nReport: {result.report_uri}"
    )


def _trained(result: TrainResult) -> str:
    gains = "".join(f"  {name:<32} {gain:+6.2f} dB\n" for name, gain in result.gains_db.items())
    left = "finished" if result.step >= result.steps else "the same command goes on"
    files = f"Checkpoint: {result.checkpoint}\nCard: {result.card}"
    return f"{gains}Step {result.step:,} of {result.steps:,}; {left}.\n{files}"


@dataclass(frozen=True, slots=True)
class Command:
    """A flow as a subcommand: its config, the arguments without a flag, and what to print at the end."""

    config: type[BaseModel]
    run: Flow[Any, Any]
    positional: tuple[str, ...]
    closing: Callable[[Any], str]
    note: str = ""


COMMANDS: dict[str, Command] = {
    "restore": Command(
        RestoreConfig,
        restore_archive,
        ("source", "destination"),
        _restored,
        "Keys and endpoints for S3 come from the environment.",
    ),
    "curate": Command(
        CurateConfig,
        curate_dataset,
        ("source", "destination"),
        _curated,
        "Keys and endpoints for S3 come from the environment.",
    ),
    "generate": Command(
        GenerateConfig,
        generate_library,
        ("prompts", "destination"),
        _generated,
        "Keys and endpoints for S3 come from the environment.",
    ),
    "train": Command(TrainConfig, train_model, ("dataset", "destination"), _trained),
}


if __name__ == "__main__":
    sys.exit(main())
