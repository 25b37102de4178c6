"""The report: previews of real signals and the page's text."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import replace

import av
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from audiodiff.records import Lane, MediaInfo, Row, Scores
from audiodiff.report import (
    Preview,
    RunSummary,
    make_preview,
    previews_from_parquet,
    previews_to_parquet,
    render_report,
)
from audiodiff.report.digest import ACCEPTED_LISTED
from audiodiff.report.render import PREVIEWS_EMBEDDED
from audiodiff.report.text import script_json, visible

RATE = 48_000
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
HOSTILE = (
    "<script>window.__pwned = 1</script>.wav",
    "</script><script>window.__pwned = 2</script>.wav",
    '"><img src=x onerror="window.__pwned = 3">.flac',
    "{{ 7 * 7 }}${7*7}'\"`.wav",
    "two\nlines\u2028three.wav",
    "reversed \u202egnp.exe.wav",
    "-rf %s%n\x00.wav",
    "not utf-8 \udcff\udcfe.wav",
)
EXPLAIN = {"antiphase": "The channels cancel in mono & so on <b>.", "undecodable": "The file cannot be decoded."}


def tone(frequency_hz: float, duration_s: float = 3.0, level_db: float = -12.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(duration_s * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * t))[None].astype(np.float32)


def hiss(duration_s: float = 3.0, level_db: float = -40.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((1, round(duration_s * RATE)))
    return (10 ** (level_db / 20) * noise).astype(np.float32)


def pixels(png: bytes) -> np.ndarray:
    """(H, W) palette indices, low frequencies first."""
    with Image.open(io.BytesIO(png)) as image:
        return np.flipud(np.asarray(image)).astype(int)


def decoded(opus: bytes) -> np.ndarray:
    with av.open(io.BytesIO(opus)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        channels = stream.channels
    joined = np.concatenate(
        [frame if frame.shape[0] == channels else frame.reshape(-1, channels).T for frame in frames], 1
    )
    return joined.astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(samples**2))))


def row(name: str, lane: Lane = Lane.ACCEPTED, reasons: tuple[str, ...] = (), gain: float = 0.5) -> Row:
    scores = Scores(-23.0, -3.0, 0.0, 0.0, 12_000.0, -50.0, 0.9, -70.0, -50.0, 0.0, 3.0, 3.0, 2.5)
    failed = lane is Lane.FAILED
    return Row(
        item_id=hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16],
        source_uri=f"/tapes/{name}",
        source_fingerprint="f",
        source_sha256="0" * 64,
        lane=lane,
        reasons=reasons,
        engine="bridge",
        engine_sha256="ab" * 32,
        recipe="cd" * 8,
        seed=1,
        params="{}",
        run_id="run-1",
        created_at="2026-11-24T02:10:00+00:00",
        shard="shard-00000",
        media=None if failed else MediaInfo("wav", "pcm_s16le", RATE, 2, 16, 90 * RATE),
        before=None if failed else scores,
        after=None if failed else replace(scores, noise_floor_db=-62.5, dnsmos_ovrl=2.5 + gain),
        messages=("no <audio> stream",) if failed else (),
    )


def summary(source: str = "/tapes", audio_s: float = 900.0) -> RunSummary:
    return RunSummary(
        run_id="run-1",
        source=source,
        destination="/restored",
        started_at="2026-11-24T02:10:00+00:00",
        finished_at="2026-11-24T02:11:00+00:00",
        preset="archive",
        engine="bridge",
        engine_sha256="ab" * 32,
        recipe="cd" * 8,
        params='{"evaluations": 2, "note": "<i>"}',
        version="0.1.0",
        audio_s=audio_s,
        wall_s=60.0,
        stage_s=(("decode", 10.0), ("restore", 45.0), ("encode", 5.0)),
        planned=40,
        skipped=7,
    )


def listing(page: str) -> dict:
    found = re.search(r'id="listing">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def made() -> Preview:
    voice, noise = tone(440), hiss()
    return make_preview("item", voice + noise, voice, RATE, 61.5)


@pytest.fixture(scope="module")
def preview() -> Preview:
    return made()


# ---- previews


def test_preview_is_level_matched_and_removed_is_the_difference() -> None:
    voice, noise = tone(440, level_db=-20), hiss(level_db=-45)
    made = make_preview("item", voice + noise, 0.5 * voice, RATE, 61.5)
    assert made.gain_db == pytest.approx(6.0, abs=0.2)
    assert (made.start_s, made.duration_s, made.sample_rate) == (61.5, 3.0, RATE)
    before, after, removed = (decoded(opus) for opus in (made.before_opus, made.after_opus, made.removed_opus))
    assert level_db(after) == pytest.approx(level_db(before), abs=0.3)
    assert level_db(removed) == pytest.approx(level_db(0.5 * voice), abs=0.5)


@pytest.mark.parametrize("samples", [tone(440, 0.2), tone(440, 0.001), np.zeros((1, RATE), np.float32)])
def test_preview_of_short_and_of_silent_excerpts(samples: np.ndarray) -> None:
    made = make_preview("item", samples, samples, RATE, 0.0)
    assert made.gain_db == 0.0
    assert made.duration_s == samples.shape[1] / RATE


def test_preview_uses_twelve_seconds_and_two_channels() -> None:
    six = np.concatenate([tone(300 + 100 * c, 13.0) for c in range(6)])
    made = make_preview("item", six, six, RATE, 0.0)
    assert made.duration_s == 12.0
    sound = decoded(made.before_opus)
    assert sound.shape[0] == 2
    assert sound.shape[1] == pytest.approx(12 * 48_000, abs=1000)


def test_preview_that_would_clip_is_turned_down_as_a_whole() -> None:
    loud = tone(440, level_db=6.0)
    made = make_preview("item", loud, 0.5 * loud, RATE, 0.0)
    before, removed = decoded(made.before_opus), decoded(made.removed_opus)
    assert np.abs(before).max() <= 1.0
    assert level_db(before) - level_db(removed) == pytest.approx(6.0, abs=0.3)


def test_preview_survives_samples_that_are_no_numbers() -> None:
    broken = tone(440).copy()
    broken[0, 100:200] = np.nan
    broken[0, 300] = np.inf
    assert np.isfinite(decoded(make_preview("item", broken, broken, RATE, 0.0).before_opus)).all()


@pytest.mark.parametrize(("before", "after"), [((1, 10), (1, 11)), ((1, 0), (1, 0)), ((10,), (10,))])
def test_preview_rejects_shapes_that_do_not_fit(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="same non-empty"):
        make_preview("item", np.zeros(before, np.float32), np.zeros(after, np.float32), RATE, 0.0)


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_spectrogram_shows_a_tone_at_its_mel_height(rate: int) -> None:
    sound = tone(1000, rate=rate)
    picture = pixels(make_preview("item", sound, sound, rate, 0.0).before_png)
    assert picture.shape == (160, 640)
    expected = np.log10(1 + 1000 / 700) / np.log10(1 + rate / 2 / 700) * 159
    assert picture[:, 320].argmax() == pytest.approx(expected, abs=1.5)


def test_spectrograms_share_one_scale(preview: Preview) -> None:
    before, after, removed = (pixels(png) for png in (preview.before_png, preview.after_png, preview.removed_png))
    row_of_tone = before[:, 320].argmax()
    assert abs(before[row_of_tone, 320] - after[row_of_tone, 320]) <= 1
    assert np.median(removed) == pytest.approx(np.median(before), abs=1)  # the hiss, as bright as in the recording
    assert removed.max() < before.max() - 10  # not stretched to fill its own range


def test_spectrogram_keeps_antiphase_sound_and_single_clicks() -> None:
    voice = tone(1000)
    stereo = np.concatenate([voice, -voice])
    stereo[:, RATE] = 1.0
    picture = pixels(make_preview("item", stereo, stereo, RATE, 0.0).before_png)
    assert picture[:, 320].max() > 40
    click_column = picture[130:].sum(axis=0).argmax()
    assert click_column == pytest.approx(640 / 3, abs=6)


def test_pictures_of_noise_stay_small() -> None:
    made = make_preview("item", hiss(12.0, -20, 1), hiss(12.0, -20, 2), RATE, 0.0)
    assert max(len(png) for png in (made.before_png, made.after_png, made.removed_png)) <= 60 * 1024


def test_previews_are_the_same_every_time_and_survive_parquet(preview: Preview) -> None:
    voice, noise = tone(440), hiss()
    again = make_preview("item", voice + noise, voice, RATE, 61.5)
    assert again == preview
    both = [preview, replace(preview, item_id="other", gain_db=-1.25)]
    data = previews_to_parquet(both)
    assert data == previews_to_parquet(both)
    assert previews_from_parquet(data) == both
    assert previews_from_parquet(previews_to_parquet([])) == []
    with pytest.raises(pa.ArrowInvalid):
        previews_from_parquet(b"no parquet")


# ---- text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ärger 東京 🎻.wav", "Ärger 東京 🎻.wav"),
        ("क्\u200dष", "क्\u200dष"),
        ("a\nb\tc", "a⟨U+000A⟩b⟨U+0009⟩c"),
        ("x\u202egnp", "x⟨U+202E⟩gnp"),
        ("\udcff", "⟨0xFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
    ],
)
def test_invisible_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_text_is_cut() -> None:
    assert visible("a" * 50, limit=10) == "a" * 10 + "…"


def test_json_cannot_close_its_script() -> None:
    value = {"name": "</script><!-- & \u2028\u2029"}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


# ---- the page as text


def test_page_holds_hostile_text_only_escaped() -> None:
    rows = [row(name, Lane.FAILED, ("undecodable",)) for name in HOSTILE]
    page = render_report(summary(source="/tapes/<u>\u202e'\""), rows, {}, EXPLAIN)
    page.encode("utf-8")  # no lone surrogates
    assert "<script>window" not in page
    assert "<u>" not in page
    assert "<i>" not in page
    assert "\u202e" not in page
    assert page.count("</script>") == 2


def test_page_lists_what_needs_a_person_first_and_says_what_it_left_out() -> None:
    rows = [row(f"{number}.wav") for number in range(ACCEPTED_LISTED + 30)]
    rows += [row("odd.wav", Lane.REVIEW, ("antiphase",)), row("bad.wav", Lane.FAILED, ("undecodable",))]
    page = render_report(summary(), iter(rows), {})
    data = listing(page)
    assert [data["lanes"][entry[1]] for entry in data["rows"][:3]] == ["review", "failed", "accepted"]
    assert len(data["rows"]) == ACCEPTED_LISTED + 2
    assert "30 more accepted recordings are in ledger/*.parquet" in page
    assert f"<b>{ACCEPTED_LISTED + 32:,}</b> recordings" in page


def test_items_with_players_are_listed_whatever_their_number(preview: Preview) -> None:
    rows = [row(f"{number}.wav") for number in range(ACCEPTED_LISTED + 1)]
    page = render_report(summary(), rows, {rows[-1].item_id: preview})
    assert listing(page)["rows"][-1][10] == 0


def test_more_previews_than_a_page_can_hold_are_named(preview: Preview) -> None:
    rows = [row(f"{number}.wav") for number in range(PREVIEWS_EMBEDDED + 3)]
    page = render_report(summary(), rows, {entry.item_id: preview for entry in rows})
    assert page.count('id="preview-') == PREVIEWS_EMBEDDED
    assert "Excerpts of 3 more recordings are in previews/*.parquet" in page
    assert [entry[10] for entry in listing(page)["rows"][-3:]] == [-1, -1, -1]


def test_hundred_thousand_rows_stay_a_page_that_opens() -> None:
    template = row("x.wav")
    rows = (replace(template, item_id=str(number), source_uri=f"/tapes/{number}.wav") for number in range(100_000))
    page = render_report(summary(), rows, {})
    assert len(page) < 2_000_000
    assert "95,000 more accepted" in page


def test_page_of_an_empty_run_and_of_scores_that_do_not_apply() -> None:
    assert "Nothing was new in this run." in render_report(summary(audio_s=0.0), [], {})
    nothing = Scores(*[float("nan")] * 13)
    silent = replace(row("a.wav"), before=nothing, after=replace(nothing, lufs=float("-inf")))
    page = render_report(summary(), [silent], {})
    assert "<figure>" not in page
    assert listing(page)["rows"][0][8] == [None] * 8


def test_histograms_name_their_medians() -> None:
    page = render_report(summary(), [row("a.wav"), row("b.wav"), row("c.wav", gain=0.9)], {})
    assert page.count("<figure>") == 4
    assert f'aria-label="Noise floor, before and after: median {MINUS}50.0 → {MINUS}62.5 dBFS, 3 items"' in page
