from __future__ import annotations

import pytest

from audiodiff.curate.facts import facts_from, merged
from audiodiff.curate.records import Facts

KIT = {
    "path": "speech/a.flac", "kind": "speech", "source": "github:rhasspy/dataset-voice-kathleen",
    "original_file": "arctic_a0412.wav", "licence": "CC0-1.0", "attribution": "rhasspy (speaker: Kathleen)",
    "duration_s": "2.291", "sample_rate": "48000", "channels": "1", "transcript_or_caption": "There is a virtue.",
    "origin": "github", "language": "en", "speaker": "kathleen", "label": "", "degradation": "", "clean_path": "",
}  # fmt: skip


def test_a_row_of_the_developer_kit() -> None:
    assert facts_from(KIT) == Facts(
        license="CC0-1.0",
        attribution="rhasspy (speaker: Kathleen)",
        transcript="There is a virtue.",
        language="en",
        speaker="kathleen",
        collection="github:rhasspy/dataset-voice-kathleen",
        others=(("path", "speech/a.flac"), ("kind", "speech"), ("original_file", "arctic_a0412.wav"),
                ("duration_s", "2.291"), ("sample_rate", "48000"), ("channels", "1"), ("origin", "github")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "spoken"),
    [
        ({"kind": "speech"}, True),
        ({"Type": "Speech"}, True),
        ({"speaker_id": 7}, True),
        ({"speaker": ""}, False),
        ({"kind": "sfx"}, False),
        ({"language": "en"}, False),
    ],
)
@pytest.mark.parametrize("column", ["text", "transcript_or_caption"])
def test_text_is_a_transcript_where_somebody_speaks(record: dict[str, object], spoken: bool, column: str) -> None:
    facts = facts_from(record | {column: "a dog barks"})
    assert (facts.transcript, facts.caption) == (("a dog barks", "") if spoken else ("", "a dog barks"))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("License", "license"), ("LICENCE", "license"), ("spdx", "license"), ("artist", "attribution"),
        ("Credit", "attribution"), ("TITLE", "title"), ("text-description", "caption"), ("Text Description", "caption"),
        ("sentence", "transcript"), ("transcription", "transcript"), ("locale", "language"), ("client_id", "speaker"),
        ("album", "collection"), ("dataset", "collection"),
    ],
)  # fmt: skip
def test_names_are_known_however_they_are_written(name: str, field: str) -> None:
    assert getattr(facts_from({name: " x "}), field) == "x"
    assert facts_from({name: "x"}).others == ()


def test_the_more_telling_name_wins_and_the_other_is_kept() -> None:
    facts = facts_from({"artist": "Band", "attribution": "Band, CC BY 4.0", "Attribution": "again"})
    assert facts.attribution == "Band, CC BY 4.0"
    assert facts.others == (("artist", "Band"), ("Attribution", "again"))
    assert facts_from({"transcript": "said", "text": "noted", "speaker": "a"}).others == (("text", "noted"),)


def test_labels_of_all_columns_are_split_and_united() -> None:
    record = {"label": "dog; bark;dog", "tags": ["Inside, small room", "bark", None], "genre": "folk, rock|pop"}
    assert facts_from(record).labels == ("dog", "bark", "Inside, small room", "folk, rock", "pop")
    assert facts_from({"class": "a, b"}).labels == ("a", "b")


def test_nothing_is_made_of_nothing_and_numbers_become_text() -> None:
    record = {"title": None, "license": float("nan"), "caption": "  ", "speaker": b"\0", "a": [], "n": 48000, "b": True}
    assert facts_from(record) == Facts(others=(("n", "48000"), ("b", "True")))
    assert facts_from({"x": {"é": [1, "b"]}}).others == (("x", '{"é": [1, "b"]}'),)


def test_the_first_to_know_gives_a_field() -> None:
    first = Facts(license="CC0-1.0", labels=("dog", "rain"), others=(("take", "1"), ("mic", "Mk4")))
    second = Facts(license="MIT", title="Wet dog", labels=("rain", "wind"), others=(("take", "2"), ("place", "Bath")))
    assert merged(first, second, Facts(title="Third", speaker="Ann")) == Facts(
        license="CC0-1.0",
        title="Wet dog",
        speaker="Ann",
        labels=("dog", "rain", "wind"),
        others=(("take", "1"), ("mic", "Mk4"), ("place", "Bath")),
    )
