"""How far a run is: a bar on a terminal, an artifact in the Prefect UI."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import ClassVar, Self
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

ARTIFACT_EVERY_S = 5.0


class RunProgress:
    """Counts items of the run in this process; `tick` is called by shards that run in it, `reached` by the flow.

    Shards on other machines cannot tick: for them the count moves as they finish.
    """

    current: ClassVar[RunProgress | None] = None

    def __init__(self, title: str, items: int) -> None:
        self.items, self.done = items, 0
        self._lock = threading.Lock()
        self._artifact = create_progress_artifact(0.0, description=title)
        assert isinstance(self._artifact, UUID)
        self._sent = time.monotonic()
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, disable=not sys.stderr.isatty())
        self._row = self._bar.add_task(title, total=items)

    def __enter__(self) -> Self:
        RunProgress.current = self
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        RunProgress.current = None
        self._bar.stop()
        self._send()

    def tick(self) -> None:
        """One more item is done."""
        with self._lock:
            self.done = min(self.done + 1, self.items)
        self._bar.update(self._row, completed=self.done)

    def reached(self, done: int) -> None:
        """At least so many items are done, all in all; tells the Prefect UI now and then."""
        with self._lock:
            self.done = max(self.done, done)
        self._bar.update(self._row, completed=self.done)
        if time.monotonic() - self._sent > ARTIFACT_EVERY_S:
            self._send()

    def _send(self) -> None:
        assert isinstance(self._artifact, UUID)
        update_progress_artifact(self._artifact, progress=100.0 * self.done / max(self.items, 1))
        self._sent = time.monotonic()
