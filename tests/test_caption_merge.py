"""One caption of several, and captioners by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiodiff.caption.acoustic import AcousticCaptioner
from audiodiff.caption.audio_llm import AudioLlmCaptioner
from audiodiff.caption.merge import merge
from audiodiff.caption.metadata import MetadataCaptioner
from audiodiff.caption.table import CAPTIONERS, open_captioner
from audiodiff.caption.tagger import Tagger
from audiodiff.curate.records import Caption
from audiodiff.errors import ConfigError

DOG = Caption("metadata", "a dog barks", 0.95)
RAIN = Caption("tagger", "rain falling", 0.8)
BRIGHT = Caption("acoustic", "A short, bright sound.", 0.7)
SPEECH = Caption("acoustic", "Someone speaking for 4.5 seconds with a pitch around A3 (220 Hz), with pauses.", 0.7)


def test_it_says_what_it_is_and_how_it_sounds() -> None:
    assert merge([RAIN, BRIGHT, DOG]) == Caption("metadata+acoustic", "A dog barks. A short, bright sound.", 0.95)
    assert merge([BRIGHT, RAIN]) == Caption("tagger+acoustic", "Rain falling. A short, bright sound.", 0.8)
    assert merge([BRIGHT]) == BRIGHT
    assert merge([RAIN]) == Caption("tagger", "Rain falling.", 0.8)
    assert merge([]) is None


def test_an_unsure_name_gives_way() -> None:
    folder = Caption("metadata", "buckle", 0.35)
    assert merge([folder, RAIN]) == Caption("tagger", "Rain falling.", 0.8)
    assert merge([folder]) == Caption("metadata", "Buckle.", 0.35)


def test_two_sentences_at_most() -> None:
    story = Caption("metadata", "A dog barks. A door slams! Then silence.", 0.95)
    assert merge([story, BRIGHT]) == Caption("metadata", "A dog barks. A door slams!", 0.95)


def test_a_voice_is_said_once() -> None:
    voice = Caption("metadata", "a voice speaking German", 0.85)
    whole = merge([voice, SPEECH])
    assert whole is not None
    assert whole.text == "A voice speaking German, with a pitch around A3 (220 Hz), with pauses."
    assert (whole.source, whole.confidence) == ("metadata+acoustic", 0.85)
    only = Caption("acoustic", "Someone speaking for 1 second.", 0.7)
    assert merge([voice, only]) == Caption("metadata", "A voice speaking German.", 0.85)
    assert merge([Caption("metadata", "a short, bright sound of glass", 0.9), BRIGHT]) == Caption(
        "metadata", "A short, bright sound of glass.", 0.9
    )


def test_a_voice_is_not_heard_in_what_is_none() -> None:
    assert merge([RAIN, SPEECH]) == Caption("tagger", "Rain falling.", 0.8)


def test_captioners_open_by_name() -> None:
    assert isinstance(open_captioner("metadata"), MetadataCaptioner)
    assert isinstance(open_captioner("acoustic"), AcousticCaptioner)
    assert isinstance(open_captioner("tagger"), Tagger)
    llm = open_captioner("audio_llm:https://host.example/v1/#listener:7b")
    assert isinstance(llm, AudioLlmCaptioner)
    assert (llm.url, llm.model) == ("https://host.example/v1", "listener:7b")


def test_unknown_captioners_are_refused() -> None:
    with pytest.raises(ConfigError, match=", ".join(CAPTIONERS)):
        open_captioner("oracle")


@pytest.mark.parametrize("name", ["clap", "clap:", "audio_llm", "metadata:x"])
def test_arguments_are_as_they_should_be(name: str) -> None:
    with pytest.raises(ConfigError, match="is asked for as"):
        open_captioner(name)


@pytest.mark.parametrize(
    "target", ["https://host/v1", "#model", "ftp://host/v1#model", "https://key@host/v1#model", "https://h/v1?key=1#m"]
)
def test_addresses_are_as_they_should_be(target: str) -> None:
    with pytest.raises(ConfigError, match="audio_llm takes"):
        open_captioner(f"audio_llm:{target}")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        open_captioner(f"clap:{tmp_path}")
