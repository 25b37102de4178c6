"""Run somebody else's program: without a shell, within a time, leaving no process behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from audiodiff.errors import EngineError

GRACE_S = 3.0
"""From the request to stop to the end by force; a container's client needs it to stop its container."""

_LAST_LINES, _LAST_BYTES = 5, 2_000


def run_command(arguments: Sequence[str], folder: Path, timeout_s: float) -> None:
    """Run a program in `folder` until it ends; whatever it has started ends with it.

    Raises `EngineError` with the command, how it ended and the last lines it printed if it cannot be started, takes
    more than `timeout_s` seconds or exits with another status than 0. What it prints is kept in `folder`/log.
    """
    log = folder / "log"  # a file, for a pipe would stay open as long as any grandchild lives
    shown = "`" + shlex.join(part.replace(f"{folder}/", "") for part in arguments) + "`"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603  running what the engine file names is the purpose
                arguments,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, to be ended as one
            )
        except OSError as error:
            raise EngineError(f"{shown} cannot be started: {error.strerror}") from error
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{shown} was stopped after {timeout_s:g} s{_last_lines(log)}") from None
    finally:
        _end_group(process)
    if status != 0:
        how = f"exited with status {status}" if status > 0 else f"was ended by {signal.Signals(-status).name}"
        raise EngineError(f"{shown} {how}{_last_lines(log)}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask what is left of the process group to stop, then end it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            _await_group(process)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says the latter
            break
    process.wait()


def _await_group(process: subprocess.Popen[bytes]) -> None:
    """Return after the grace, or raise `ProcessLookupError` as soon as the group has no member."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        process.poll()  # without this the program itself would stay a member, as a zombie
        os.killpg(process.pid, 0)
        time.sleep(0.02)


def _last_lines(log: Path) -> str:
    text = log.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ": " + " | ".join(lines[-_LAST_LINES:]) if lines else ", having printed nothing"
