"""The report of a generated library in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from browser import Visit, chromium, visit
from playwright.sync_api import Browser, Locator, expect
from takes import HOSTILE, failed, hostile, out, rain, summary, take, tone

from audiodiff.encode import write_audio
from audiodiff.generate.records import Take
from audiodiff.records import Lane
from audiodiff.report.library import make_take_player, render_library_report
from audiodiff.report.text import visible

expect.set_options(timeout=20_000)  # a slow core may be busy with other tests

DASH = "\N{EN DASH}"
EXPLAIN = {"seam": "It jumps & clicks <b>.", "empty_prompt": "The row says nothing."}
LOOP_S = 0.7


def table() -> list[Take]:
    rows = [hostile(text, line) for line, text in enumerate(HOSTILE, 100)]
    rows += [take("heavy rain on tin", n, line=2, loop=True, count=2, category_id="RAINMetl") for n in range(2)]
    rows += [out("heavy rain on tin", "seam", number=2, line=2, loop=True, count=2, category_id="RAINMetl")]
    rows += [
        take("a slow waltz", 0, line=3, kind="music"),
        out("a slow waltz", "silent", Lane.REJECTED, 1, line=3, kind="music"),
    ]
    rows += [take("platform", 0, line=4, kind="voice", text="The train to Leeds leaves from platform four.")]
    rows += [take(f"footstep {line}", 0, line=line) for line in range(10, 40)]
    rows += [out("footstep 39", "outranked", Lane.REJECTED, 1, line=39, file_name=None)]
    return [*rows, failed("row 5", "empty_prompt", "line 5 has no prompt", line=5)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report where a run puts it, with files beside it of two takes."""
    folder = tmp_path_factory.mktemp("library of sounds")
    rows = table()
    players = {"heavy rain on tin:2": make_take_player(rain(LOOP_S), loop=True)}
    players |= {
        name: make_take_player(tone(8.0)) for name in ("heavy rain on tin:0", "a slow waltz:0", "footstep 10:0")
    }
    for row in rows:
        if row.take_id in players:
            path = folder / str(row.audio_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, tone(), "wav-24")
    path = folder / "runs" / "run-1" / "report.html"
    path.parent.mkdir(parents=True)
    path.write_text(render_library_report(summary(), rows, players, EXPLAIN), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Visit]:
    """The report in a window; whatever a test does there, it may not complain, run foreign code or use a network."""
    with visit(browser, report) as visited:
        yield visited
        assert visited.complaints == []
        assert visited.page.evaluate("window.__pwned") is None
        assert [url for url in visited.requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


def words(visited: Visit) -> list[str]:
    return visited.page.locator("#list .words").all_text_contents()


def card(visited: Visit, name: str) -> Locator:
    return visited.page.locator(".take", has=visited.page.get_by_role("link", name=name, exact=True))


def wait(visited: Visit, condition: str) -> None:
    while not visited.page.evaluate(condition):
        visited.page.wait_for_timeout(20)  # the test's timeout ends it otherwise


def listen(visited: Visit) -> None:
    """From now on `window.loudest` is the loudest sample that left the page."""
    visited.page.evaluate(
        """() => {
          const connect = AudioNode.prototype.connect;
          AudioNode.prototype.connect = function (target, ...rest) {
            if (target !== this.context.destination) return connect.call(this, target, ...rest);
            const meter = new AnalyserNode(this.context), samples = new Float32Array(meter.fftSize);
            connect.call(this, meter);
            window.loudest = 0;
            setInterval(() => {
              meter.getFloatTimeDomainData(samples);
              window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
            }, 20);
            return connect.call(meter, target, ...rest);
          };
        }"""
    )


def test_text_is_shown_as_text(opened: Visit) -> None:
    assert opened.page.locator("img[src=x]").count() == 0
    search = opened.page.get_by_role("searchbox")
    for text in HOSTILE:
        shown = visible(text)
        search.fill(shown)
        assert words(opened) == [shown]
        expect(opened.page.locator(".prompt .asked")).to_contain_text(shown)
        expect(opened.page.locator(".take .why")).to_contain_text(shown)


def test_foreign_code_is_not_run(browser: Browser, report: Path) -> None:
    """The policy of the page itself, beside the escaping: a script that got in would not run."""
    with visit(browser, report) as visited:
        visited.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.__pwned = 1'}))"
        )
        assert visited.page.evaluate("window.__pwned") is None
        assert "Content Security Policy" in "".join(visited.complaints)


def test_takes_stand_under_their_prompts(opened: Visit) -> None:
    prompt = opened.page.locator(".prompt").first
    expect(prompt.locator("h3")).to_have_text("heavy rain on tin")
    expect(prompt.locator(".meta")).to_have_text("line 2 · sfx · RAINMetl · loop · 2 kept of 2 asked, 3 drawn")
    assert prompt.locator(".badge").all_text_contents() == ["accepted", "accepted", "review"]
    expect(prompt.locator(".take").nth(1)).to_contain_text("rank 2, score 0.775")
    expect(prompt.locator(".take").nth(1).locator(".synthetic")).to_be_visible()
    shown = prompt.locator(".take").first.locator(".measures")
    expect(shown.first).to_have_text("loudness\N{MINUS SIGN}23 LUFStrue peak\N{MINUS SIGN}3 dBmatch0.87 ")
    expect(shown.last).to_have_text("loudness\N{MINUS SIGN}31.5 LUFS")
    failure = opened.page.locator("#failures tbody tr")
    assert [text.strip() for text in failure.locator("th, td").all_inner_texts()] == [
        "5",
        DASH,
        "empty prompt line 5 has no prompt",
    ]


def test_search_and_filters_narrow(opened: Visit) -> None:
    page = opened.page
    expect(page.locator("#count")).to_have_text(f"1{DASH}24 of 45 listed")
    page.get_by_role("searchbox").fill("TIN rain")
    assert words(opened) == ["heavy rain on tin"]
    page.get_by_role("searchbox").fill("to leeds")  # what a voice says
    assert words(opened) == ["platform"]
    page.get_by_role("button", name="Show all takes").click()
    page.get_by_role("combobox", name="Kind").select_option("music")
    page.get_by_role("radio", name="rejected 2").check()
    assert page.locator(".take .file").all_text_contents() == ["a-slow-waltz_02.wav"]
    page.get_by_role("button", name="seam").click()
    assert page.locator(".take .file").all_text_contents() == ["heavy-rain-on-tin_03.wav"]
    page.get_by_role("button", name="Show all takes").click()
    page.get_by_role("combobox", name="Category").select_option("RAINMetl")
    assert words(opened) == ["heavy rain on tin"]
    page.get_by_label("Only with players").check()
    expect(page.locator("#count")).to_have_text(f"1{DASH}2 of 2 listed")
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator("#count")).to_have_text("No take matches.")


def test_takes_without_a_file_are_told_in_a_line(opened: Visit) -> None:
    opened.page.get_by_role("searchbox").fill("footstep 39")
    prompt = opened.page.locator(".prompt")
    expect(prompt.locator(".take")).to_have_count(1)
    prompt.get_by_text("1 more drawn and not stored").click()
    expect(prompt.locator(".unstored li")).to_contain_text("outranked: 1 where 2 is asked for · rank 2, score 0.775")
    opened.page.get_by_role("combobox", name="Reason").select_option("outranked")
    expect(prompt.locator(".unstored li")).to_be_visible()  # there is nothing else to see


def test_a_reason_without_takes_leads_to_what_failed(opened: Visit) -> None:
    opened.page.get_by_role("button", name="empty prompt").click()
    expect(opened.page.locator("#failures")).to_be_in_viewport()
    expect(opened.page.locator("#count")).to_have_text(f"1{DASH}24 of 45 listed")


def test_pages_turn(opened: Visit) -> None:
    opened.page.get_by_role("button", name="Next").click()
    expect(opened.page.locator("#count")).to_have_text(f"25{DASH}45 of 45 listed")
    assert words(opened)[-1] == visible(HOSTILE[-1])


def test_players_are_heard_one_at_a_time(opened: Visit) -> None:
    listen(opened)
    first, second = card(opened, "heavy-rain-on-tin_01.wav"), card(opened, "a-slow-waltz_01.wav")
    first.get_by_role("button", name="Play").click()
    wait(opened, "window.loudest > 0.1 && current.position > 0.2")
    second.get_by_role("button", name="Play").click()
    expect(first.get_by_role("button", name="Play")).to_be_visible()
    wait(opened, "current.position > 0.2")
    second.get_by_role("button", name="Pause").click()
    assert opened.page.evaluate("current.position") > 0.2


def test_a_take_ends_at_its_end(opened: Visit) -> None:
    waltz = card(opened, "a-slow-waltz_01.wav")
    waltz.get_by_label("Position").fill("7.8")
    expect(waltz.locator(".time")).to_have_text("7.8 / 8.0")
    waltz.get_by_role("button", name="Play").click()
    expect(waltz.locator(".time")).to_have_text("0.0 / 8.0")
    expect(waltz.get_by_role("button", name="Play")).to_be_visible()


def test_loops_loop_until_told_not_to(opened: Visit) -> None:
    listen(opened)
    loop = card(opened, "heavy-rain-on-tin_03.wav")
    expect(loop.get_by_label("Loop")).to_be_checked()
    loop.get_by_role("button", name="Hear the seam").click()
    started = "output.currentTime - current.audios[0].started"
    wait(opened, f"current.audios[0].source && {started} > 3 * {LOOP_S}")
    assert opened.page.evaluate("current.playing && window.loudest > 0.1")
    assert opened.page.evaluate("current.position") < LOOP_S
    loop.get_by_label("Loop").uncheck()
    expect(loop.get_by_role("button", name="Play")).to_be_visible()


def test_the_browser_decodes_a_loop_to_its_full_length(opened: Visit) -> None:
    """Its lead before and after included, or the loop's points would miss the seam."""
    card(opened, "heavy-rain-on-tin_03.wav").get_by_role("button", name="Hear the seam").click()
    seconds = opened.page.evaluate("current.audios[0].buffer.then((buffer) => buffer.duration)")
    assert seconds == pytest.approx(LOOP_S + 0.2, abs=0.001)


def test_the_page_answers_to_keys(opened: Visit) -> None:
    page = opened.page

    def focused() -> str:
        return str(page.evaluate("document.activeElement.querySelector('.file')?.textContent"))

    page.keyboard.press("ArrowRight")
    assert focused() == "heavy-rain-on-tin_01.wav"
    page.keyboard.press("Space")
    wait(opened, "current.position > 0.1")
    page.keyboard.press("ArrowRight")  # this one has no player, and the other stops
    assert page.evaluate("current") is None
    page.keyboard.press("ArrowDown")
    assert focused() == "a-slow-waltz_01.wav"
    page.keyboard.press("Space")
    wait(opened, "current.position > 0.1")
    page.keyboard.press("ArrowUp")
    assert focused() == "heavy-rain-on-tin_01.wav"
    assert page.evaluate("current.playing")  # it was playing, so the next plays on
    page.keyboard.press("ArrowLeft")
    assert focused() == "heavy-rain-on-tin_01.wav"
    page.keyboard.press("/")
    page.keyboard.type("waltz")
    assert words(opened) == ["a slow waltz"]
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert focused() == "a-slow-waltz_01.wav"


def test_links_lead_to_the_files(opened: Visit) -> None:
    for name in ("heavy-rain-on-tin_01.wav", "heavy-rain-on-tin_03.wav", "a-slow-waltz_01.wav"):
        link = card(opened, name).get_by_role("link", name=name)
        path = Path(unquote(urlparse(str(link.evaluate("(link) => link.href"))).path))
        assert path.name == name
        assert path.read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("rows", [[], [take("one")], [failed("row 5", "empty_prompt", "line 5 has no prompt", 5)]])
def test_runs_of_next_to_nothing(browser: Browser, tmp_path: Path, rows: list[Take]) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_library_report(summary(), rows, {}), encoding="utf-8")
    with visit(browser, path) as visited:
        assert words(visited) == [row.prompt.prompt for row in rows if row.prompt]
        expect(visited.page.locator("#pager")).to_be_hidden()
        assert visited.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_fits_its_window(browser: Browser, report: Path, width: int, scheme: str) -> None:
    with visit(browser, report, width=width, scheme=scheme) as visited:
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert visited.page.evaluate(fits)
        visited.page.get_by_role("button", name="Next").click()  # hostile texts
        visited.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert visited.page.evaluate(fits)
        ink = visited.page.evaluate("getComputedStyle(document.body).color")
        assert ink == ("rgb(36, 34, 30)" if scheme == "light" else "rgb(232, 229, 221)")
