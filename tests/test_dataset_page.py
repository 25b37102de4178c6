"""The report of a curated dataset in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Visit, chromium, visit
from curated import EXPLAIN, HOSTILE, clip, hostile, out, summary, tone_player
from playwright.sync_api import Browser, expect

from audiodiff.curate.records import Clip, Tag
from audiodiff.records import Lane
from audiodiff.report.dataset import render_dataset_report
from audiodiff.report.text import visible

DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    player = tone_player()
    clips = [hostile(text, place) for place, text in enumerate(HOSTILE)]
    clips += [
        clip(f"rain {n}.wav", seconds=n + 1, caption=f"the rain, take {n}", license="CC0-1.0", split="train")
        for n in range(50)
    ]
    clips += [out("train.wav", "low_bandwidth", caption="a train", embedding=(-40.0, 0.0)), out("odd.wav", "clipped")]
    clips += [clip("x" * 110, embedding=(0.0, 0.0))]
    clips += [clip("bell.wav", caption="a bell", tags=(Tag("Bell", 0.9),), embedding=(40.0, 9.0), split="test")]
    path = tmp_path_factory.mktemp("report") / "report.html"
    page = render_dataset_report(summary(), clips, {"bell.wav": player, "rain 7.wav": player}, EXPLAIN)
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Visit]:
    """The report in a window; whatever a test does there, it may not complain, run foreign code or use a network."""
    with visit(browser, report) as visited:
        yield visited
        assert visited.complaints == []
        assert visited.page.evaluate("window.__pwned") is None
        assert [url for url in visited.requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


def names(visited: Visit) -> list[str]:
    return visited.page.locator("#list .name").all_text_contents()


def wait_until_heard(visited: Visit) -> None:
    while not visited.page.evaluate("[...document.querySelectorAll('audio')].some(audio => audio.currentTime > 0.2)"):
        visited.page.wait_for_timeout(20)  # the test's timeout ends it otherwise


def test_text_is_shown_as_text(opened: Visit) -> None:
    assert opened.page.locator("img[src=x]").count() == 0
    search = opened.page.get_by_role("searchbox")
    for text in HOSTILE:
        shown = visible(text)
        search.fill(shown)
        assert names(opened) == [shown]
        assert opened.page.locator("#list .caption-of bdi").all_text_contents() == [shown]
        expect(opened.page.locator("#map-legend")).to_contain_text(shown)


def test_foreign_code_is_not_run(browser: Browser, report: Path) -> None:
    """The policy of the page itself, beside the escaping: a script that got in would not run."""
    with visit(browser, report) as visited:
        visited.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.__pwned = 1'}))"
        )
        assert visited.page.evaluate("window.__pwned") is None
        assert "Content Security Policy" in "".join(visited.complaints)


def test_pages_turn_and_columns_sort(opened: Visit) -> None:
    page = opened.page
    expect(page.locator("#count")).to_have_text(f"1{DASH}40 of 61 listed")
    assert names(opened)[:2] == ["rain 7.wav", "bell.wav"]  # what can be played comes first
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#count")).to_have_text(f"41{DASH}61 of 61 listed")
    page.get_by_role("button", name="Length").click()
    expect(page.locator("th.col-seconds")).to_have_attribute("aria-sort", "ascending")
    assert names(opened)[0] == "rain 0.wav"
    page.get_by_role("button", name="Length").click()
    assert names(opened)[0] == "rain 49.wav"
    page.get_by_role("button", name="Clip", exact=True).click()
    page.get_by_role("searchbox").fill("RAIN 1")
    assert names(opened)[:3] == ["rain 1.wav", "rain 10.wav", "rain 11.wav"]


def test_filters_and_what_leads_to_them(opened: Visit) -> None:
    page = opened.page
    page.get_by_role("button", name="rain", exact=True).click()
    expect(page.get_by_role("searchbox")).to_have_value('"rain"')
    expect(page.locator("#count")).to_have_text(f"1{DASH}40 of 50 listed")  # no train
    page.get_by_role("button", name="low bandwidth").click()
    assert names(opened) == ["train.wav"]
    expect(page.locator("#list .why-of")).to_contain_text("1 where 2 is asked for")
    page.get_by_role("button", name="Bell", exact=True).click()
    assert names(opened) == ["bell.wav"]
    page.get_by_role("button", name="Show all clips").click()
    page.get_by_role("combobox", name="Split").select_option("test")
    assert names(opened) == ["bell.wav"]
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator("#count")).to_have_text("No clip matches.")


def test_players_in_the_list_play_one_at_a_time(opened: Visit) -> None:
    page = opened.page
    page.get_by_role("button", name="Listen to rain 7.wav").click()
    wait_until_heard(opened)
    expect(page.locator("#list .player")).to_contain_text("The first 6.0 s, from 1:01.5 of its recording on.")
    page.get_by_role("button", name="Listen to bell.wav").click()
    expect(page.locator("#list .player")).to_have_count(1)
    wait_until_heard(opened)
    assert page.locator("audio").count() == 1
    page.get_by_role("button", name="Listen to bell.wav").click()
    expect(page.locator("audio")).to_have_count(0)


def test_a_click_on_the_map_plays(opened: Visit) -> None:
    page = opened.page
    page.locator("#map circle.sounds").click(force=True)
    expect(page.locator("#map-text")).to_contain_text("a bell")
    wait_until_heard(opened)
    expect(page.locator("#map-player").get_by_role("button", name="Pause")).to_be_visible()


def test_the_map_answers_to_keys(opened: Visit) -> None:
    page = opened.page
    page.locator("#map").focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#map-text")).to_contain_text("bell.wav")
    page.keyboard.press("Enter")
    wait_until_heard(opened)


def test_the_legend_singles_a_colour_out(opened: Visit) -> None:
    page = opened.page
    page.get_by_label("Colour by").select_option("outcome")
    rejected = page.locator("#map-legend").get_by_role("button", name="rejected 4")
    rejected.click()
    expect(rejected).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#map circle.faded")).to_have_count(6)
    rejected.click()
    expect(page.locator("#map circle.faded")).to_have_count(0)


@pytest.mark.parametrize("clips", [[], [clip("one.wav")], [out("a", "silence"), out("b", "undecodable", Lane.FAILED)]])
def test_runs_of_next_to_nothing(browser: Browser, tmp_path: Path, clips: list[Clip]) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_dataset_report(summary(), clips, {}), encoding="utf-8")
    with visit(browser, path) as visited:
        assert names(visited) == [entry.source_uri.removeprefix("/raw/") for entry in clips]
        expect(visited.page.locator("#pager")).to_be_hidden()
        expect(visited.page.locator("body")).to_contain_text("No accepted clip has a caption.")
        assert visited.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_fits_its_window(browser: Browser, report: Path, width: int, scheme: str) -> None:
    with visit(browser, report, width=width, scheme=scheme) as visited:
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert visited.page.evaluate(fits)
        assert visited.page.evaluate(f"points.every((point) => {{ show(point); return {fits}; }})")
        ink = visited.page.evaluate("getComputedStyle(document.body).color")
        assert ink == ("rgb(36, 34, 30)" if scheme == "light" else "rgb(232, 229, 221)")
