"""Other forms of a curated data set, written beside it: each `export` adds one folder and changes nothing else.

The destination itself is a form already: Hugging Face `audiofolder`, DuckDB and pandas read it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from audiodiff.curate.exports import nemo, shar, webdataset
from audiodiff.storage import Store


class Export(Protocol):
    """Writes the accepted clips of some shards, each with its degraded twins, in one form.

    Every object is complete before the next begins, the same clips give the same bytes, and what an earlier export left
    in the folder is removed. Returns the names of the objects. `scratch` is a local folder for what is under way.
    Raises CommitError where metadata and audio disagree.
    """

    def __call__(self, destination: Store, shards: Sequence[str], scratch: Path) -> list[str]:
        """Write all clips of the shards."""
        ...


EXPORTS: dict[str, Export] = {"webdataset": webdataset.export, "shar": shar.export, "nemo": nemo.export}
"""Every export by name."""
