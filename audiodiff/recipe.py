"""A recipe names everything that decides a result, so that results of different recipes are never mixed up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Protocol

from audiodiff import __version__


class Engine(Protocol):
    """What makes or judges the result."""

    name: str
    sha256: str


def recipe_of(preset: str, engine: Engine, settings: Mapping[str, object]) -> tuple[str, str]:
    """Return the recipe (`archive-1f3a9c0d5e77`) and its content as JSON: engine, weights, settings, version."""
    content = dict(settings) | {"engine": engine.name, "engine_sha256": engine.sha256, "version": __version__}
    params = json.dumps(content, sort_keys=True)
    return f"{preset}-{hashlib.sha256(params.encode()).hexdigest()[:12]}", params
