"""The `audiodiff` command: every flow as a subcommand whose flags are the flow's config."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import audiodiff
from audiodiff.errors import AudiodiffError

# without a server of its own Prefect starts one in this process: keep that one quiet, unless the user says otherwise
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")

from flows.restore_archive import RestoreConfig, RestoreResult, restore_archive


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 or 2 after printing a plain sentence about what is wrong."""
    given = vars(parser().parse_args(arguments))
    given.pop("command")
    logging.getLogger("prefect.flow_runs").addFilter(_is_not_told_below)
    try:
        result = restore_archive(RestoreConfig(**given))
    except ValidationError as error:
        for problem in error.errors():
            print(f"audiodiff: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        return 2
    except AudiodiffError as error:
        print(f"audiodiff: {error}", file=sys.stderr)
        return 1
    print(_closing(result))
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser, generated from the configs."""
    top = argparse.ArgumentParser(prog="audiodiff", description=audiodiff.__doc__)
    top.add_argument("--version", action="version", version=f"audiodiff {audiodiff.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    restore = commands.add_parser(
        "restore",
        help=RestoreConfig.__doc__,
        description=f"{restore_archive.description} Keys and endpoints for S3 come from the environment.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_fields(restore, RestoreConfig, positional=("source", "destination"))
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
    if get_origin(kind) is Literal:
        return options | {"choices": get_args(kind)}
    return options | {"type": kind, "metavar": "N" if kind is int else "X"}


def _is_not_told_below(record: logging.LogRecord) -> bool:
    """Whether a log record is anything but the traceback of an error that `main` tells in one sentence."""
    return not (record.exc_info and isinstance(record.exc_info[1], AudiodiffError))


def _closing(result: RestoreResult) -> str:
    if not result.run_id:
        return f"Nothing to do: all {result.skipped} recordings are done."
    width = max(map(len, result.lanes))
    lanes = "\n".join(f"  {lane:<{width}}  {count:>6,}" for lane, count in result.lanes.items())
    return f"{lanes}\n  skipped{' ' * (width - 7)}  {result.skipped:>6,} (done before)\nReport: {result.report_uri}"


if __name__ == "__main__":
    sys.exit(main())
