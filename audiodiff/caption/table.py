"""The captioners by name; what is heavy is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from audiodiff.caption import Captioner
from audiodiff.errors import ConfigError

CAPTIONERS = {
    "metadata": "audiodiff.caption.metadata:MetadataCaptioner",
    "acoustic": "audiodiff.caption.acoustic:AcousticCaptioner",
    "tagger": "audiodiff.caption.tagger:load_tagger",
    "clap": "audiodiff.caption.clap:load_clap",
    "audio_llm": "audiodiff.caption.audio_llm:open_audio_llm",
}
"""Name to what opens it; what stands behind a colon in the given name (`clap:FOLDER`) is its argument."""


def open_captioner(given: str) -> Captioner:
    """The captioner `name` or `name:argument`; raises ConfigError for an unknown one, listing those that are known."""
    name, colon, argument = given.partition(":")
    if name not in CAPTIONERS:
        raise ConfigError(f"unknown captioner {name!r}; known: {', '.join(CAPTIONERS)}")
    module, _, attribute = CAPTIONERS[name].partition(":")
    opener: Callable[..., Captioner] = getattr(import_module(module), attribute)
    return opener(argument) if colon else opener()
