"""A Croissant 1.0 description: the files of a data set and the columns of its table, as JSON-LD.

Source: MLCommons, "Croissant Format Specification", version 1.0. Records (columns of columns) are left out of the
fields: what reads Croissant today does not read them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa

from audiodiff.curate.columns import MEANINGS
from audiodiff.curate.contents import About, Contents
from audiodiff.curate.licences import licences_in
from audiodiff.curate.schema import CLIP_SCHEMA

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    name: f"cr:{name}"
    for name in (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
        "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references",
        "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
    )
}  # fmt: skip
"""The standard context of version 1.0, which readers compare."""

_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.float64(): "sc:Float",
    pa.timestamp("us", "UTC"): "sc:DateTime",
}


def croissant(contents: Contents, about: About) -> str:
    """The description as JSON-LD; file names in it are relative to it."""
    made = datetime.fromisoformat(about.created_at)
    folders = ["library", *(["degraded"] if contents.twins else [])]
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.name,
        "description": about.description,
        "license": _licences(contents),
        "version": f"{made.year}.{made.month}.{made.day}",
        "datePublished": f"{made:%Y-%m-%d}",
        "distribution": [entry for folder in folders for entry in _files(folder)],
        "recordSet": [_records(folder) for folder in folders],
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _licences(contents: Contents) -> list[str]:
    names = sorted({name for spdx in contents.licences for name in licences_in(spdx)})
    return [name if name.startswith("LicenseRef-") else f"https://spdx.org/licenses/{name}.html" for name in names]


def _files(folder: str) -> list[dict[str, Any]]:
    kinds = {
        "tables": ("application/x-parquet", f"{folder}/*/metadata.parquet"),
        "audio": ("audio/flac", f"{folder}/*/*.flac"),
    }
    return [
        {"@type": "cr:FileSet", "@id": f"{folder}-{kind}", "encodingFormat": form, "includes": pattern}
        for kind, (form, pattern) in kinds.items()
    ]


def _records(folder: str) -> dict[str, Any]:
    fields = [_field(folder, column) for column in CLIP_SCHEMA if _inner(column.type) in _TYPES]
    return {"@type": "cr:RecordSet", "@id": folder, "key": {"@id": f"{folder}/clip_id"}, "field": fields}


def _field(folder: str, column: pa.Field) -> dict[str, Any]:
    described = {
        "@type": "cr:Field",
        "@id": f"{folder}/{column.name}",
        "description": MEANINGS.get(column.name, column.name),
        "dataType": _TYPES[_inner(column.type)],
        "source": {"fileSet": {"@id": f"{folder}-tables"}, "extract": {"column": column.name}},
    }
    return described | ({"repeated": True} if pa.types.is_list(column.type) else {})


def _inner(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_list(kind) else kind
