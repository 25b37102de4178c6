"""The restoration report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Visit, chromium, visit
from playwright.sync_api import Browser, expect
from test_report import DASH, EXPLAIN, HOSTILE, MINUS, made, row, summary

from audiodiff.records import Lane
from audiodiff.report import render_report
from audiodiff.report.text import visible


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    preview = made()
    rows = [row(name, Lane.FAILED, ("undecodable",)) for name in HOSTILE]
    rows += [row(f"Reel {number}.wav", gain=number / 100) for number in range(30)]
    rows += [row("Reel odd.wav", Lane.REVIEW, ("antiphase", "<b>reason"))]
    previews = {rows[8].item_id: preview, rows[-1].item_id: preview}
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(summary(), rows, previews, EXPLAIN), encoding="utf-8")
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
    return visited.page.locator(".card .name").all_text_contents()


def audios(visited: Visit) -> list[list[float]]:
    """[ready state, duration, muted, position] of each loaded audio element."""
    elements = visited.page.locator("audio")
    return elements.evaluate_all("all => all.map(a => [a.readyState, a.duration, a.muted, a.currentTime])")


def test_names_are_shown_as_text(opened: Visit) -> None:
    shown = names(opened)
    assert shown[0] == "Reel odd.wav"
    assert shown[1:9] == [visible(name) for name in HOSTILE]
    expect(opened.page.locator(".why").first).to_contain_text("The channels cancel in mono & so on <b>.")
    expect(opened.page.locator(".why").first).to_contain_text("<b>reason")
    expect(opened.page.locator(".card").nth(1)).to_contain_text("no <audio> stream")


def test_pages_turn(opened: Visit) -> None:
    page = opened.page
    expect(page.locator("#count")).to_have_text(f"1{DASH}20 of 39 listed")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#count")).to_have_text(f"21{DASH}39 of 39 listed")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(page.locator("#page")).to_have_text("Page 1 of 2")


def test_filters_search_and_order(opened: Visit) -> None:
    page = opened.page
    page.get_by_label("failed 8").check()
    expect(page.locator(".card")).to_have_count(8)
    page.get_by_label("all 39").check()
    search = page.get_by_role("searchbox", name="Name")
    search.fill("REEL 2")
    expect(page.locator(".card")).to_have_count(11)
    page.get_by_role("combobox", name="Order").select_option("Quality gained most")
    assert names(opened)[:2] == ["Reel 29.wav", "Reel 28.wav"]
    page.get_by_role("combobox", name="Order").select_option("Name")
    assert names(opened)[:2] == ["Reel 2.wav", "Reel 20.wav"]
    search.fill("nothing like it")
    expect(page.locator("#count")).to_have_text("No recording matches.")
    page.get_by_role("button", name="antiphase").click()
    assert names(opened) == ["Reel odd.wav"]
    page.get_by_role("combobox", name="Reason").select_option("Any reason")
    page.get_by_label("Only with players").check()
    assert names(opened) == ["Reel odd.wav", "Reel 0.wav"]


def test_scores_show_their_change(opened: Visit) -> None:
    line = opened.page.locator(".scores").first.get_by_role("row", name="Noise floor")
    assert line.get_by_role("cell").all_text_contents() == [f"{MINUS}{number}" for number in ("50.0", "62.5", "12.5")]
    expect(line.get_by_role("cell").last).to_have_class("better")


def test_players_decode_switch_and_keep_their_position(opened: Visit) -> None:
    page = opened.page
    player = page.locator(".player").first
    player.get_by_role("button", name="Play").click()
    while not all(position > 0.2 for _, _, _, position in audios(opened)):  # the test's timeout ends it otherwise
        page.wait_for_timeout(20)
    for ready, duration, _, _ in audios(opened):
        assert ready >= 3
        assert duration == pytest.approx(3.0, abs=0.05)
    page.keyboard.press("2")
    page.keyboard.press("Space")
    before, after, removed = audios(opened)
    assert [before[2], after[2], removed[2]] == [True, False, True]
    assert after[3] == pytest.approx(before[3], abs=0.15)
    assert 0.2 < after[3] < 3.0
    expect(player.get_by_role("button", name="Play")).to_be_visible()
    held = player.get_by_label("Position").input_value()
    page.keyboard.press("3")
    assert player.get_by_label("Position").input_value() == held
    expect(player.get_by_role("radio", name="Removed")).to_be_checked()


def test_a_click_on_a_spectrogram_seeks_and_selects(opened: Visit) -> None:
    player = opened.page.locator(".player").first
    box = player.locator(".track").nth(1).bounding_box()
    assert box
    player.locator(".track").nth(1).click(position={"x": box["width"] / 2, "y": box["height"] * 0.8})
    expect(player.get_by_role("radio", name="After")).to_be_checked()
    assert float(player.get_by_label("Position").input_value()) == pytest.approx(1.5, abs=0.02)
    playhead = player.locator(".playhead").bounding_box()
    assert playhead
    assert playhead["x"] + 1 == pytest.approx(box["x"] + box["width"] / 2, abs=2)


def test_only_one_player_sounds_at_a_time(opened: Visit) -> None:
    page = opened.page
    page.get_by_label("Only with players").check()
    first, second = page.locator(".player").nth(0), page.locator(".player").nth(1)
    first.get_by_role("button", name="Play").click()
    second.get_by_role("button", name="Play").click()
    expect(first.get_by_role("button", name="Play")).to_be_visible()
    expect(second.get_by_role("button", name="Pause")).to_be_visible()
    assert page.locator("audio").count() == 3


def test_space_in_the_search_field_is_a_letter(opened: Visit) -> None:
    opened.page.get_by_role("searchbox", name="Name").press_sequentially("Reel 1")
    assert names(opened)[0] == "Reel 1.wav"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_its_window(browser: Browser, report: Path, tmp_path: Path, width: int, scheme: str) -> None:
    with visit(browser, report, width=width, scheme=scheme) as visited:
        shot = tmp_path / f"{scheme}-{width}.png"
        visited.page.screenshot(path=shot, full_page=True)
        assert visited.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visited.page.evaluate("[...document.images].every(image => image.naturalWidth === 640)")
        assert shot.stat().st_size > 50_000
