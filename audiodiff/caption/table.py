"""The captioners by name; a module is imported when its captioner is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from audiodiff.caption import Captioner
from audiodiff.errors import ConfigError

CAPTIONERS = {
    "metadata": "audiodiff.caption.metadata:MetadataCaptioner",
    "acoustic": "audiodiff.caption.acoustic:AcousticCaptioner",
    "tagger": "audiodiff.caption.tagger:load_tagger",
    "clap:FOLDER": "audiodiff.caption.clap:load_clap",
    "audio_llm:URL#MODEL": "audiodiff.caption.audio_llm:open_audio_llm",
}
"""How a captioner is asked for, to what opens it; what stands behind the colon is given to that."""


def open_captioner(name: str) -> Captioner:
    """The captioner of a name such as "tagger" or "clap:/models/clap".

    Raises ConfigError for an unknown name, listing the known ones, and for an argument that is missing or not taken.
    """
    kind, _, argument = name.partition(":")
    form = next((form for form in CAPTIONERS if form.partition(":")[0] == kind), None)
    if form is None:
        raise ConfigError(f"unknown captioner {name!r}; known: {', '.join(CAPTIONERS)}")
    if (":" in form) != bool(argument):
        raise ConfigError(f"captioner {name!r} is asked for as {form!r}")
    module, _, attribute = CAPTIONERS[form].partition(":")
    opener: Callable[..., Captioner] = getattr(import_module(module), attribute)
    return opener(argument) if argument else opener()
