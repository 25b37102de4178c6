"""The card of a curated data set: README.md as Hugging Face reads it, ATTRIBUTION.md and croissant.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from audiodiff.curate.columns import MEANINGS
from audiodiff.curate.contents import About, Contents
from audiodiff.curate.croissant import croissant
from audiodiff.curate.licences import licences_in, strictest
from audiodiff.curate.schema import CLIP_SCHEMA
from audiodiff.records import Lane
from audiodiff.storage import Store

__all__ = ["About", "attribution", "dataset_card", "write_cards"]

SPLIT = "full"
"""The one split that Hugging Face sees; which clips are for training is in the column `split`."""

_HUB_LICENCES = (
    "agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 "
    "cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
    "cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 gfdl gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 mit odbl odc-by ofl-1.1 "
    "pddl unlicense zlib"
)
"""Licences that the Hub has a name for (https://huggingface.co/docs/hub/repositories-licenses)."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_cards(destination: Store, shards: Sequence[str], about: About) -> None:
    """Write README.md, ATTRIBUTION.md and croissant.json for the shards of a destination, each complete."""
    contents = Contents.of(destination, shards)
    destination.write_bytes("ATTRIBUTION.md", attribution(contents, about).encode())
    destination.write_bytes("croissant.json", croissant(contents, about).encode())
    destination.write_bytes("README.md", dataset_card(contents, about).encode())


def dataset_card(contents: Contents, about: About) -> str:
    """The README.md: YAML that `load_dataset` obeys, then what the set is, how it was made and what to heed."""
    sections = [
        f"---\n{_front(contents, about)}\n---\n\n# {_line(about.name)}\n\n{about.description}",
        _holds(contents),
        _made(contents, about),
        "## Splits\n\nRecordings that sound alike are in one split.\n\n"
        + _table(("split", "clips", "hours"), _shares(contents.splits, contents.split_s)),
        _licences(contents, about),
        "## Columns\n\n" + _table(("column", "type", "meaning"), _columns()),
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def attribution(contents: Contents, about: About) -> str:
    """The ATTRIBUTION.md: under each licence, everybody to be named, and of how many clips."""
    parts = [f"# Attribution: {_line(about.name)}"]
    for spdx in sorted(contents.licences):
        named = sorted((who, count) for (licence, who), count in contents.attributions.items() if licence == spdx)
        lines = [f"- {_line(who) or 'nobody named'} ({count:,} {_clips(count)})" for who, count in named]
        parts.append("\n".join([f"## {spdx or 'licence not known'}", "", *lines]))
    return "\n\n".join(parts) + "\n"


def _front(contents: Contents, about: About) -> str:
    """The YAML between the dashes; JSON is YAML, so every value is written as JSON."""
    folders = {"default": "library"} | ({"degraded": "degraded"} if contents.twins else {})
    counts = {"default": contents.clips, "degraded": contents.twins}
    languages = {language.partition("-")[0].lower() for language in contents.languages}
    front: dict[str, Any] = {
        "pretty_name": " ".join(about.name.split()),
        "license": sorted({_hub_licence(name) for spdx in contents.licences for name in licences_in(spdx) or ("",)}),
        "size_categories": [next((size for most, size in _SIZES if contents.clips < most), "n>1M")],
        "task_categories": _tasks(contents),
        "language": sorted(code for code in languages if re.fullmatch("[a-z]{2,3}", code)),
        "tags": ["audio"],
        "configs": [
            {"config_name": name, "data_files": [{"split": SPLIT, "path": f"{folder}/**"}]}
            for name, folder in folders.items()
        ],
        "dataset_info": [
            {
                "config_name": name,
                "splits": [{"name": SPLIT, "num_examples": counts[name], "num_bytes": contents.sizes[folder]}],
                "download_size": contents.sizes[folder],
                "dataset_size": contents.sizes[folder],
            }
            for name, folder in folders.items()
        ],
    }
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items() if value)


def _hub_licence(spdx: str) -> str:
    name = spdx.lower().partition(" with ")[0].removesuffix("-only").removesuffix("-or-later")
    name = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"}.get(name, name)
    name = "gfdl" if name.startswith("gfdl-") else name
    return name if name in _HUB_LICENCES.split() else "other" if name else "unknown"


def _tasks(contents: Contents) -> list[str]:
    tasks = {
        "text-to-audio": contents.captions,
        "audio-classification": contents.clips,
        "automatic-speech-recognition": contents.transcripts,
        "audio-to-audio": contents.twins,
    }
    return [task for task, clips in tasks.items() if clips]


def _holds(contents: Contents) -> str:
    rates = ", ".join(f"{rate:,} Hz ({count:,})" for rate, count in sorted(contents.rates_hz.items()))
    languages = ", ".join(f"{_line(name)} ({count:,})" for name, count in contents.languages.most_common())
    return "\n".join([
        "## What it holds",
        "",
        f"- {contents.clips:,} {_clips(contents.clips)}, {contents.seconds / 3600:.2f} hours, in `library/`",
        f"- {contents.captions:,} with a caption, {contents.transcripts:,} with a transcript",
        f"- {contents.twins:,} degraded twins in `degraded/`; `twin_of` names the clean clip",
        f"- rates: {rates or 'none'}",
        f"- languages: {languages or 'none stated'}",
        "",
        "Each folder of a shard holds audio and a `metadata.parquet` with a row for each file:",
        "",
        "```python",
        'datasets.load_dataset("PATH", split="full").filter(lambda row: row["split"] == "train")',
        "duckdb.sql(\"select caption, license from 'PATH/library/*/metadata.parquet'\")",
        "```",
    ])  # fmt: skip


def _made(contents: Contents, about: About) -> str:
    lanes = [(lane.value, contents.lanes[lane.value], _hours(contents.lane_s[lane.value])) for lane in Lane]
    reasons = [(_code(reason), count) for reason, count in contents.reasons.most_common()]
    return "\n\n".join([
        "## How it was made",
        f"By audiodiff {_line(about.version)}, preset {_code(about.preset)}, recipe {_code(about.recipe)}, finished "
        f"{_line(about.created_at)}. Every stretch of every recording has a row in `ledger/`, in one of four lanes:",
        _table(("lane", "stretches", "hours"), lanes),
        "Why stretches are not accepted (a stretch may have several reasons):" if reasons else "All were accepted.",
        *([_table(("reason", "stretches"), reasons)] if reasons else []),
    ])  # fmt: skip


def _licences(contents: Contents, about: About) -> str:
    shares = [(spdx or "not known", *rest) for spdx, *rest in _shares(contents.licences, contents.licence_s)]
    return "\n\n".join([
        "## Licences",
        f"Licence policy of the run: {_code(about.policy)}. Each clip keeps its own licence, and so do its twins: "
        "columns `license` (SPDX) and `attribution`. Who is to be named stands in [ATTRIBUTION.md](ATTRIBUTION.md).",
        _table(("licence", "clips", "hours"), shares),
        strictest(contents.licences),
    ])  # fmt: skip


_LIMITS = """## Limits

- Licences, attributions, transcripts, titles and languages are as the sources state them; nobody has checked them.
- Captions and tags are made by machines from what was measured, classified or stated. Each has a confidence.
- Clips keep their recording's rate, channels and level; they are not normalised.
- Degraded twins are simulated. What was measured of the clean clip is left empty in their rows.
- Copies are found by their sound; that two clips are of the same performance may go unseen."""


def _columns() -> list[tuple[str, str, str]]:
    return [(_code(column.name), _code(str(column.type)), MEANINGS.get(column.name, "")) for column in CLIP_SCHEMA]


def _shares(counts: dict[str, int], seconds: dict[str, float]) -> list[tuple[str, int, str]]:
    return [(_line(name), count, _hours(seconds[name])) for name, count in sorted(counts.items())]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _line(text: str) -> str:
    """Text from elsewhere on one line, without markup of its own."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def _code(text: str) -> str:
    """Text in the type of code."""
    return f"`{' '.join(text.split()).replace('`', '')}`"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"


def _clips(count: int) -> str:
    return "clip" if count == 1 else "clips"
