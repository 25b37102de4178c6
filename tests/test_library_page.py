"""The report of a generated library: its figures, its players, and the page's text."""

from __future__ import annotations

import io
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from takes import HOSTILE, RATE, failed, hostile, out, rain, summary, take, tone

from audiodiff.encode import write_audio
from audiodiff.generate.records import Take
from audiodiff.generate.schema import TAKES
from audiodiff.plan import Plan
from audiodiff.records import Lane, Shard
from audiodiff.report.library import TakePlayer, make_take_player, render_library_report
from audiodiff.report.library.digest import FAILURES_SHOWN, Digest, measure_title
from audiodiff.report.library.player import MAX_PLAYER_S
from audiodiff.report.library.render import PLAYERS_EMBEDDED
from audiodiff.report.library.run import choose_heard, write_library_report
from audiodiff.report.library.tally import Count, Tally
from audiodiff.shards import Outcome, commit
from audiodiff.storage import Store
from audiodiff.waveform import Waveform

PAGE_BYTES = 25_000_000


def embedded(page: str, name: str) -> dict:
    found = re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def noise() -> TakePlayer:
    """As large as a player gets: nothing about noise can be left out."""
    return make_take_player(rain(MAX_PLAYER_S + 1, channels=2))


def takes_of(prompts: int, each: int) -> list[Take]:
    """Takes of many prompts, of which the last is in review."""
    return [
        out(f"rain {line}", "content", number=number, line=line, count=each)
        if number == each - 1
        else take(f"rain {line}", number, line=line, count=each)
        for line in range(prompts)
        for number in range(each)
    ]


# ---- figures


def test_counts_say_what_was_asked_and_what_came() -> None:
    tally = Tally()
    for row in (
        take("rain", 0, count=3),
        take("rain", 1, count=3),
        out("rain", "content", number=2, count=3),
        out("rain", "silent", Lane.REJECTED, number=3, count=3),
        take("waltz", 0, kind="music", count=1),
        take("waltz", 1, kind="music", count=1),
        replace(take("hail", 0, Lane.FAILED, count=2), reasons=("error:memory",), file_name=None),
        failed("row 9", "empty_prompt", "the prompt is empty", line=9),
    ):
        tally.add(row)
    assert tally.kinds == {
        "sfx": Count(2, asked=5, drawn=4, delivered=2, shortfall=3, failed=1, seconds=4.0),
        "music": Count(1, asked=1, drawn=2, delivered=2, shortfall=0, failed=0, seconds=4.0),
        "": Count(1, failed=1),
    }
    assert tally.total == Count(4, asked=6, drawn=6, delivered=4, shortfall=3, failed=2, seconds=8.0)
    assert tally.reasons == {"content": 1, "silent": 1, "error:memory": 1, "empty_prompt": 1}
    assert Tally().total == Count()


def test_measures_are_named_by_their_fields() -> None:
    assert measure_title("lufs") == ("loudness", "LUFS")
    assert measure_title("true_peak_db") == ("true peak", "dB")
    assert measure_title("delivered_true_peak_db") == ("true peak", "dB")
    assert measure_title("clicks_per_s") == ("clicks", "/s")
    assert measure_title("clipped_fraction") == ("clipped fraction", "")


def test_takes_stand_in_the_order_of_the_table_and_of_their_ranks() -> None:
    rows = [take("b", 1, line=7, rank=2), take("a", 0, line=2), take("b", 0, line=7), take("b", 2, line=7, rank=0)]
    listing = Digest({}).add_all(rows).listing({})
    assert [prompt[0] for prompt in listing["prompts"]] == ["a", "b"]
    assert [(columns[0], columns[1]) for columns in listing["takes"]] == [
        (0, "a_01.wav"),
        (1, "b_01.wav"),
        (1, "b_02.wav"),
        (1, "b_03.wav"),
    ]


def test_seeds_keep_all_their_digits() -> None:
    page = render_library_report(summary(), [take("rain", 0)], {})
    assert "seed 9007199254740993" in embedded(page, "listing")["takes"][0][11]


# ---- players


def test_loops_are_heard_whole_and_other_takes_from_their_beginning(noise: TakePlayer) -> None:
    assert (noise.duration_s, noise.whole_s, noise.lead_s) == (MAX_PLAYER_S, MAX_PLAYER_S + 1, 0)
    loop = make_take_player(tone(MAX_PLAYER_S + 1), loop=True)
    assert loop.duration_s == loop.whole_s == MAX_PLAYER_S + 1
    with pytest.raises(ValueError, match="without samples"):
        make_take_player(Waveform(np.zeros((1, 0), np.float32), RATE))


@pytest.mark.parametrize("loop", [True, False])
def test_the_codec_makes_no_seam_of_its_own(loop: bool) -> None:
    """A tone that loops without a seam: its largest step where it turns over, against elsewhere (1.0, and 5.2)."""
    player = make_take_player(tone(2, hz=220.5), loop)
    with av.open(io.BytesIO(player.opus)) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]
    start, frames = round(player.lead_s * RATE), round(player.duration_s * RATE)
    around = heard[start : start + frames]
    steps = np.abs(np.diff(np.concatenate([around, around])))
    seam, elsewhere = steps[frames - 50 : frames + 50].max(), steps[2_000 : frames - 2_000].max()
    assert (seam < 1.5 * elsewhere) == loop


def test_all_in_review_are_heard_and_then_the_best_of_each_prompt() -> None:
    heard = choose_heard(takes_of(40, each=3), most=100)
    assert [row.lane for row in heard] == [Lane.REVIEW] * 40 + [Lane.ACCEPTED] * 60
    assert {row.item_id for row in heard[40:80]} == {f"rain {line}" for line in range(40)}
    assert [row.rank for row in heard[40:]] == [1] * 40 + [2] * 20
    assert [row.row for row in heard[40:80]] != sorted(row.row for row in heard[40:80])  # any part of them is spread


# ---- the page as text


def test_page_holds_hostile_text_only_escaped() -> None:
    rows = [hostile(text, line) for line, text in enumerate(HOSTILE)]
    rows += [failed(text, text, text) for text in HOSTILE]
    page = render_library_report(
        summary(table="/in/<u>\u202e'\"", generator="<u>"),
        TAKES.decode(TAKES.encode(rows)),
        {},
        dict.fromkeys(HOSTILE, "<u>"),
    )
    page.encode("utf-8")  # no lone surrogates
    for forbidden in ("<script>window", "<img src=x", "<u>", "<i>", "\u202e", "\u2028"):
        assert forbidden not in page
    assert page.count("</script>") == 2


def test_links_lead_to_the_files_whatever_their_names() -> None:
    rows = [take("a", file_name="50% off #1?.wav"), out("b", "content", file_name="\u96e8.wav")]
    links = [columns[2] for columns in Digest({}).add_all(rows).listing({})["takes"]]
    assert links == ["../../library/shard-00000/50%25%20off%20%231%3F.wav", "../../review/shard-00000/%E9%9B%A8.wav"]


@pytest.mark.parametrize(
    "rows", [[], [failed(f"row {line}", "empty_prompt", "the prompt is empty", line) for line in range(400)]]
)
def test_runs_without_a_take(rows: list[Take]) -> None:
    page = render_library_report(summary(audio_s=0.0), rows, {})
    assert embedded(page, "listing")["takes"] == []
    assert ("Nothing was new in this run." in page) == (not rows)
    assert page.count("the prompt is empty") == min(len(rows), FAILURES_SHOWN)
    assert ("100 more are in the ledger" in page) == bool(rows)


def test_a_large_run_is_quick_and_stays_small(noise: TakePlayer) -> None:
    rows = takes_of(500, each=4)
    players = {row.take_id: noise for row in choose_heard(rows, len(rows))}
    started = time.perf_counter()
    page = render_library_report(summary(), rows, players)
    assert time.perf_counter() - started < 10
    assert len(page.encode()) < PAGE_BYTES
    assert len(embedded(page, "listing")["takes"]) == 2_000
    assert page.count('id="player-') == PLAYERS_EMBEDDED + 1  # and the template
    assert "150 of 2,000 takes with a file have a player on this page" in page


def test_long_texts_and_long_loops_keep_within_the_page() -> None:
    rows = [take(f"{line}" + "\u96e8" * 2_000, line=line) for line in range(2_000)]
    loop = make_take_player(rain(30), loop=True)
    page = render_library_report(summary(), rows, {row.take_id: loop for row in rows})
    assert len(page.encode()) < PAGE_BYTES
    listed = len(embedded(page, "listing")["takes"])
    assert 1_000 < listed < 2_000
    assert f"{2_000 - listed:,} more accepted takes are in the ledger" in page
    assert 20 < page.count('id="player-') - 1 < PLAYERS_EMBEDDED


# ---- from a destination


def test_the_report_of_a_destination(store: Store, tmp_path: Path) -> None:
    rows = [
        take("rain", 0, loop=True),
        out("rain", "content", number=1, loop=True),
        failed("row 9", "empty", "empty", 9),
    ]
    sound = tmp_path / "take.wav"
    write_audio(sound, tone(), "wav-24")
    for row in rows[:2]:
        assert row.audio_path
        store.write_file(row.audio_path, sound)
    shard = Shard("shard-00000", "run-1", ())
    commit(shard, [Outcome(tuple(rows))], store, TAKES)
    found = write_library_report(
        store, Plan("run-1", "cd" * 8, (shard,), (), 3), summary(), lambda reason: f"It is {reason}."
    )
    assert (found.asked, found.drawn, found.delivered, found.failed, found.delivered_s) == (1, 2, 1, 1, 2.0)
    assert found.lanes == (("accepted", 1), ("review", 1), ("rejected", 0), ("failed", 1))
    assert found.report_uri == store.object_uri("runs/run-1/report.html")
    page = store.read_bytes("runs/run-1/report.html").decode()
    assert "It is content." in page
    assert embedded(page, "player-1")["lead_s"] == 0.1
    closing = json.loads(store.read_bytes("runs/run-1/summary.json"))
    assert (closing["generator"], closing["delivered"]) == ("audiodiff", 1)
