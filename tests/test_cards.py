"""The card of a data set: what it counts, and that those for whom it is written can read it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from shelf import RATE, SHARDS, clip, fill, stored, sweep, write_rows

from audiodiff.curate.card import About, attribution, dataset_card, write_cards
from audiodiff.curate.columns import MEANINGS
from audiodiff.curate.contents import Contents
from audiodiff.curate.croissant import croissant
from audiodiff.curate.schema import CLIP_SCHEMA
from audiodiff.storage import Store, open_store

ABOUT = About(
    name="Chirps",
    description="Chirps, for tests.",
    preset="captions",
    recipe="captions-0123456789ab",
    version="0.1.0",
    created_at="2026-11-04T02:10:00+00:00",
    policy="commercial",
)


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "dataset"))


def test_contents_count_each_clip_once(local: Store, tmp_path: Path) -> None:
    fill(local, tmp_path / "scratch")
    contents = Contents.of(local, SHARDS)
    assert (contents.clips, contents.twins, contents.captions, contents.transcripts) == (8, 4, 8, 8)
    assert contents.seconds == pytest.approx(sum(sweep(number).duration_s for number in range(8)))
    assert contents.lanes == {"accepted": 8, "rejected": 2}
    assert contents.lane_s["accepted"] == pytest.approx(contents.seconds)
    assert contents.reasons == {"too_short": 2}
    assert contents.splits == {"train": 4, "validation": 2, "test": 2}
    assert contents.licences == {"CC-BY-4.0": 4, "CC0-1.0": 4}
    assert contents.attributions["CC0-1.0", ""] == 4
    assert contents.attributions["CC-BY-4.0", "Sweeper 3"] == 1
    files = [found.size for found in local.list("library/")]
    assert contents.sizes["library"] == sum(files)


def test_cards_lie_beside_the_data_on_any_store_and_repeat_themselves(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path / "scratch")
    write_cards(store, SHARDS, ABOUT)
    names = ("README.md", "ATTRIBUTION.md", "croissant.json")
    first = [store.read_bytes(name) for name in names]
    write_cards(store, SHARDS[::-1], ABOUT)
    assert [store.read_bytes(name) for name in names] == first
    named = first[1].decode().splitlines()
    assert [line for line in named if line.startswith("- Sweeper")] == [
        f"- Sweeper {number} (1 clip)" for number in (1, 3, 5, 7)
    ]


def test_the_front_of_the_card_is_yaml_as_the_hub_wants_it(local: Store, tmp_path: Path) -> None:
    fill(local, tmp_path / "scratch")
    card = dataset_card(Contents.of(local, SHARDS), ABOUT)
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == ["cc-by-4.0", "cc0-1.0"]
    assert front["size_categories"] == ["n<1K"]
    assert front["language"] == ["en"]
    assert "audio-to-audio" in front["task_categories"]
    assert [config["config_name"] for config in front["configs"]] == ["default", "degraded"]
    for said in (
        "| rejected | 2 |",
        "| `too_short` | 2 |",
        "Attribution due: CC-BY-4.0.",
        "| train | 4 |",
        "`bit_depth`",
    ):
        assert said in card


def test_licences_without_a_name_on_the_hub(local: Store, tmp_path: Path) -> None:
    licences = ("GPL-2.0-or-later OR MIT", "LicenseRef-Public-Domain", "", "ODbL-1.0")
    rows = [clip(n, SHARDS[0], license=spdx, split="") for n, spdx in enumerate(licences)]
    write_rows(local, "library", SHARDS[0], [stored(local, row, sweep(0), tmp_path) for row in rows])
    contents = Contents.of(local, SHARDS)
    front = yaml.safe_load(dataset_card(contents, ABOUT).split("---\n")[1])
    assert front["license"] == ["gpl-2.0", "mit", "odbl", "other", "unknown"]
    assert "audio-to-audio" not in front["task_categories"]
    assert "## licence not known" in attribution(contents, ABOUT)


def test_text_from_elsewhere_changes_no_markup(local: Store, tmp_path: Path) -> None:
    odd = clip(1, SHARDS[0], attribution="A | B\n\n# <script> [x](javascript:1)", split="")
    write_rows(local, "library", SHARDS[0], [stored(local, odd, sweep(1), tmp_path)])
    contents = Contents.of(local, SHARDS)
    about = replace(ABOUT, name='Chirps: "x"\n---\nlicense: mit')
    card, named = dataset_card(contents, about), attribution(contents, about)
    assert yaml.safe_load(card.split("\n---\n")[0])["license"] == ["cc-by-4.0"]
    assert "<script>" not in named
    assert not re.search(r"(?<!\\)\]\(", named)  # no link
    assert len(re.findall("^#", named, re.MULTILINE)) == 2


def test_an_empty_destination_has_a_card(local: Store) -> None:
    write_cards(local, [], ABOUT)
    assert "0 clips, 0.00 hours" in local.read_bytes("README.md").decode()
    assert json.loads(local.read_bytes("croissant.json"))["name"] == "Chirps"


def test_every_column_is_explained() -> None:
    assert list(MEANINGS) == CLIP_SCHEMA.names


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning", "ignore:The inplace keyword")
def test_croissant_is_valid_and_leads_to_the_rows(local: Store, tmp_path: Path) -> None:
    import mlcroissant  # noqa: PLC0415 - seconds that other tests need not pay

    fill(local, tmp_path / "scratch")
    write_cards(local, SHARDS, ABOUT)
    described = mlcroissant.Dataset(Path(local.uri, "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert described.metadata.version == "2026.11.4"
    assert described.metadata.license == [f"https://spdx.org/licenses/{name}.html" for name in ("CC-BY-4.0", "CC0-1.0")]
    rows = list(described.records("library"))
    assert {row["library/caption"].decode() for row in rows} == {clip(n, "").caption for n in range(8)}
    assert {row["library/sample_rate"] for row in rows} == {RATE}
    assert len(list(described.records("degraded"))) == 4
    without = json.loads(croissant(replace_twins(Contents.of(local, SHARDS)), ABOUT))
    assert [records["@id"] for records in without["recordSet"]] == ["library"]


def replace_twins(contents: Contents) -> Contents:
    contents.twins = 0
    return contents


LOAD = """
import sys, datasets, numpy
path, cache, wanted = sys.argv[1:]
full = datasets.load_dataset(path, split="full", cache_dir=cache)
assert len(full) == 8 and full.features["audio"].__class__.__name__ == "Audio", full
sounds = numpy.load(wanted)
for row in full:
    assert (row["audio"].get_all_samples().data.numpy() == sounds[row["clip_id"]]).all(), row["clip_id"]
    assert row["caption"].startswith("A chirp") and row["tags"] == [{"label": "Chirp", "confidence": 0.9}]
assert len(full.filter(lambda split: split == "train", input_columns="split")) == 4
assert len(datasets.load_dataset(path, "degraded", split="full", cache_dir=cache)) == 4
"""


def test_hugging_face_loads_the_destination_sample_by_sample(local: Store, tmp_path: Path) -> None:
    """In a process of its own, whose torchcodec finds PyAV's FFmpeg: the system need not have one."""
    import numpy as np  # noqa: PLC0415 - used here alone

    sounds = fill(local, tmp_path / "scratch")
    write_cards(local, SHARDS, ABOUT)
    np.savez(tmp_path / "sounds.npz", **{key: sound.samples for key, sound in sounds.items()})
    arguments = [local.uri, str(tmp_path / "cache"), str(tmp_path / "sounds.npz")]
    env = os.environ | {"LD_LIBRARY_PATH": str(pyav_ffmpeg(tmp_path / "ffmpeg")), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]


def pyav_ffmpeg(folder: Path) -> Path:
    """A folder with the FFmpeg libraries of PyAV's wheel under the names that the loader looks for."""
    folder.mkdir()
    spec = importlib.util.find_spec("av")
    assert spec is not None
    assert spec.origin is not None
    for library in Path(spec.origin).parent.with_name("av.libs").iterdir():
        short = re.sub(r"^(lib\w+)-[0-9a-f]{8}(\.so\.\d+)[.\d]*$", r"\1\2", library.name)
        (folder / library.name).symlink_to(library)
        if re.match(r"lib(av|sw)", short):
            (folder / short).symlink_to(library)
    return folder
