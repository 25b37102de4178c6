"""The commit protocol: plan, shards, ledger, publish, resume; on local disks and on S3."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from audiodiff import layout
from audiodiff.books import RESTORATIONS
from audiodiff.errors import CommitError, StorageError
from audiodiff.ledger import committed_shards, read_ledger, read_rows
from audiodiff.plan import Plan, PlanRequest, cut, open_runs, plan_run
from audiodiff.publish import publish
from audiodiff.records import Item, Lane, Row, Shard
from audiodiff.shards import Clock, Outcome, run_shard
from audiodiff.storage import LocalStore, Store


class Copying:
    """Work that copies its input: the smallest thing that exercises the whole protocol."""

    def __init__(self, source: Store, recipe: str, breaks_at: str = "") -> None:
        self.source, self.recipe, self.breaks_at = source, recipe, breaks_at
        self.done: list[str] = []

    def __call__(self, item: Item, shard: Shard, scratch: Path, clock: Clock) -> Outcome:
        if item.name == self.breaks_at:
            raise StorageError(f"{item.name}: the network went away")
        self.done.append(item.name)
        data = self.source.read_bytes(item.name)
        row = Row(
            item_id=item.item_id,
            source_uri=self.source.object_uri(item.name),
            source_fingerprint=item.fingerprint,
            source_sha256=hashlib.sha256(data).hexdigest(),
            lane=Lane.FAILED if data == b"bad" else Lane.REVIEW if data == b"odd" else Lane.ACCEPTED,
            reasons=("undecodable",) if data == b"bad" else (),
            engine="copy",
            engine_sha256="0" * 64,
            recipe=self.recipe,
            seed=0,
            params="{}",
            run_id=shard.run_id,
            created_at="2026-01-01T00:00:00+00:00",
            shard=shard.name,
        )
        if row.lane is Lane.FAILED:
            return Outcome((row,))
        path = scratch / layout.output_name(item, "flac")
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        row = replace(row, file_name=path.name, sha256=sha256, frames=len(data))
        if row.lane is not Lane.ACCEPTED:
            return Outcome((row,), (path,))
        removed = scratch / "removed"
        removed.write_bytes(data[::-1])
        row = replace(row, removed_sha256=hashlib.sha256(data[::-1]).hexdigest())
        return Outcome((row,), (path, removed))


@pytest.fixture
def source(tmp_path: Path) -> LocalStore:
    store = LocalStore(str(tmp_path / "source"))
    for number in range(7):
        store.write_bytes(f"tape {number}.wav", f"sound {number}".encode())
    store.write_bytes("broken.wav", b"bad")
    store.write_bytes("odd.wav", b"odd")
    return store


def request(recipe: str = "r1", run_id: str = "run-1", items: int = 4) -> PlanRequest:
    return PlanRequest(run_id, recipe, json.dumps({"recipe": recipe}), shard_items=items)


def run(source: Store, destination: Store, ask: PlanRequest, breaks_at: str = "") -> tuple[Plan, list[str]]:
    """One whole run; returns its plan and the names worked on."""
    plan = plan_run(source, destination, ask, RESTORATIONS)
    work = Copying(source, ask.recipe, breaks_at)
    for shard in plan.todo:
        run_shard(shard, work, destination, RESTORATIONS)
    if plan.shards:
        publish(destination, plan, RESTORATIONS)
        destination.write_bytes(layout.run(plan.run_id, "summary.json"), b"{}")
    return plan, work.done


def objects(store: Store, *folders: str) -> dict[str, str]:
    return {o.name: store.sha256(o.name) for o in store.list() if o.name.startswith(folders or ("",))}


def audio_of(rows: list[Row]) -> set[str]:
    """All audio that rows speak of."""
    return {name for row in rows for name in (row.audio_path, row.removed_path) if name}


def test_every_input_has_one_row_and_every_file_its_place(source: LocalStore, store: Store) -> None:
    plan, _ = run(source, store, request())
    rows = [row for shard in committed_shards(store) for row in read_rows(store, shard, RESTORATIONS)]
    assert sorted(row.source_uri for row in rows) == sorted(source.object_uri(o.name) for o in source.list())
    assert [len(shard.items) for shard in plan.shards] == [4, 4, 1]
    lanes = {row.source_uri.rsplit("/", 1)[1]: row.lane for row in rows}
    assert lanes["broken.wav"] is Lane.FAILED
    assert lanes["odd.wav"] is Lane.REVIEW
    folders = ("library/", "review/", "rejected/", "removed/")
    stored = {name for name in objects(store, *folders) if not name.endswith(".parquet")}
    assert stored == audio_of(rows)
    assert len([name for name in stored if name.startswith("removed/")]) == 7


def test_second_run_does_and_writes_nothing(source: LocalStore, store: Store) -> None:
    run(source, store, request())
    before = objects(store)
    plan, worked = run(source, store, request(run_id="run-2"))
    assert (plan.shards, plan.skipped, worked) == ((), 9, [])
    assert objects(store) == before


def test_only_what_is_new_or_changed_is_done(source: LocalStore, store: Store) -> None:
    run(source, store, request())
    source.write_bytes("new.wav", b"a new sound")
    source.write_bytes("tape 3.wav", b"another sound")
    source.write_bytes("tape 4.wav", source.read_bytes("tape 4.wav"))  # touched, content the same
    _, worked = run(source, store, request(run_id="run-2"))
    assert sorted(worked) == ["new.wav", "tape 3.wav"]
    rows = [row for shard in committed_shards(store) for row in read_rows(store, shard, RESTORATIONS)]
    assert len(rows) == len({row.item_id for row in rows}) == 10
    stored = [name for name in objects(store, "library/") if name.endswith(".flac")]
    assert len(stored) == 8
    assert store.exists("runs/run-2/replaced-shard-00001.parquet")


def test_another_recipe_replaces_everything(source: LocalStore, store: Store) -> None:
    run(source, store, request())
    _, worked = run(source, store, request("r2", "run-2"))
    assert len(worked) == 9
    rows = [row for shard in committed_shards(store) for row in read_rows(store, shard, RESTORATIONS)]
    assert {row.recipe for row in rows} == {"r2"}
    assert len(rows) == 9
    assert {name for name in objects(store, "library/", "review/", "removed/") if name.endswith(".flac")} == audio_of(
        rows
    )


def test_interrupted_run_resumes_to_the_same_state(source: LocalStore, store: Store, tmp_path: Path) -> None:
    undisturbed = LocalStore(str(tmp_path / "undisturbed"))
    run(source, undisturbed, request())
    with pytest.raises(StorageError, match="network went away"):
        run(source, store, request(), breaks_at="tape 4.wav")  # in the second shard
    plan, worked = run(source, store, request(run_id="run-2"))
    assert plan.run_id == "run-1"
    assert len(plan.todo) == 2
    assert len(worked) == 5  # nothing of the committed shard
    folders = ("library/", "review/", "rejected/", "removed/", "ledger/")
    assert objects(store, *folders) == objects(undisturbed, *folders)
    assert not list(open_runs(store))


def test_resume_takes_new_inputs_along(source: LocalStore, store: Store) -> None:
    with pytest.raises(StorageError):
        run(source, store, request(), breaks_at="tape 4.wav")
    source.write_bytes("late.wav", b"late")
    plan, _ = run(source, store, request(run_id="run-2"))
    assert plan.items == 10
    assert read_ledger(store, RESTORATIONS).shards == {f"shard-{n:05d}" for n in range(4)}


def test_leftovers_of_an_abandoned_recipe_are_swept(source: LocalStore, store: Store) -> None:
    plan = plan_run(source, store, request(), RESTORATIONS)
    orphans = [f"{folder}/{plan.shards[0].name}/half-done.flac" for folder in ("library", "removed")]
    for orphan in orphans:
        store.write_bytes(orphan, b"written before the crash")
    run(source, store, request("r2", "run-2"))
    assert not any(store.exists(orphan) for orphan in orphans)
    assert not list(open_runs(store))


@pytest.mark.parametrize("damage", ["content", "missing", "removed", "metadata", "ledger"])
def test_publish_finds_what_does_not_add_up(source: LocalStore, store: Store, damage: str) -> None:
    plan = plan_run(source, store, request(), RESTORATIONS)
    work = Copying(source, "r1")
    for shard in plan.todo:
        run_shard(shard, work, store, RESTORATIONS)
    row = next(row for row in read_rows(store, plan.shards[1].name, RESTORATIONS) if row.audio_path)
    assert row.audio_path
    if damage == "content":
        store.write_bytes(row.audio_path, b"bit rot")
    elif damage == "missing":
        store.delete(row.audio_path)
    elif damage == "removed":
        assert row.removed_path
        store.write_bytes(row.removed_path, b"bit rot")
    elif damage == "metadata":
        other = store.read_bytes(f"library/{plan.shards[0].name}/metadata.parquet")
        store.write_bytes(layout.metadata(row.audio_path), other)
    else:
        store.write_bytes(layout.ledger(row.shard), store.read_bytes(layout.ledger(plan.shards[0].name)))
    with pytest.raises((CommitError, StorageError)):
        publish(store, plan, RESTORATIONS)


def test_cut_respects_both_limits() -> None:
    items = [Item(str(n), f"{n}", size, "") for n, size in enumerate([5, 5, 5, 20, 1, 1, 1, 1])]
    shards = cut(items, "run", first=7, most_items=3, most_bytes=10)
    assert [[item.size for item in shard.items] for shard in shards] == [[5, 5], [5], [20], [1, 1, 1], [1]]
    assert [shard.name for shard in shards] == [f"shard-{n:05d}" for n in range(7, 12)]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b/tape 1.wav", "tape_1"),
        ("-rf.wav", "rf"),
        ("x\ny'\"%s.wav", "x_y_s"),
        ("caf\udce9.mp3", "caf"),
        (".wav", "wav"),
        ("???", "audio"),
        ("n" * 300 + ".wav", "n" * 80),
    ],
)
def test_output_names_are_harmless(name: str, stem: str) -> None:
    assert layout.output_name(Item("0123456789abcdef", name, 1, ""), "flac") == f"{stem}-01234567.flac"
