"""The books of `generate_library`: `Take` as rows."""

from __future__ import annotations

from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.records import Prompt, Take
from audiodiff.rows import books_of

TAKES = books_of(
    Take,
    parts={"prompt": Prompt, "measures": TakeMeasures},
    renamed={"prompt.seed": "asked_seed", "prompt.duration_s": "asked_duration_s"},
)
"""`seed` and `duration_s` are the take's, `asked_seed` and `asked_duration_s` what its row of the table says."""
