"""What the contact sheet says of all takes of a run: counts, the list that library.js reads, and the failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote

from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.records import Prompt, Take
from audiodiff.records import Lane
from audiodiff.report.library.tally import Tally
from audiodiff.report.text import script_json, visible

LANES = (Lane.ACCEPTED, Lane.REVIEW, Lane.REJECTED)
LISTED_BYTES = 2_000_000
"""Of the page for the takes of one lane, with their prompts: some 2,000 of them. Those with players come on top."""
FAILURES_SHOWN = 300

_TEXT_LIMIT = 300
_UNITS = {"db": "dB", "lufs": "LUFS", "lu": "LU", "hz": "Hz", "s": "s", "bpm": "BPM"}
_DELIVERED = ("delivered_lufs", "delivered_true_peak_db")  # fields of Take
_TELLING = (
    "match",
    "clap_match",
    "text_evidence",
    "tempo_error",
    "seam_change_db",
    "seam_click_db",
    "seam_gap_db",
    "dnsmos_ovrl",
    "sibling_likeness",
    "memory_likeness",
)
"""Fields of TakeMeasures that say whether a take is what was asked for; the others are shown folded."""
_OTHERS = tuple(field.name for field in fields(TakeMeasures) if field.name not in _TELLING)


@dataclass(frozen=True, slots=True)
class Failure:
    """A row without a take: its line in the table, the prompt's words, the reason, and what happened in words."""

    line: int
    prompt: str
    reason: str
    message: str


def measure_title(name: str) -> tuple[str, str]:
    """A measure's title and unit from the name of its field: ("true peak", "dB") for `true_peak_db`."""
    name = name.removeprefix("delivered_")
    if name.endswith("_per_s"):
        return name.removesuffix("_per_s").replace("_", " "), "/s"
    title, _, last = name.rpartition("_")
    unit = _UNITS.get(last, "")
    return (title if unit else name).replace("_", " ") or "loudness", unit


class Digest:
    """Counts, listed takes and failures of a run; `players` tells which takes can be played: those are all listed."""

    def __init__(self, players: Mapping[str, int]) -> None:
        self.tally = Tally()
        self.failures: list[Failure] = []
        self.stored = 0
        self.left_out: Counter[Lane] = Counter()
        self._players = players
        self._listed: list[tuple[tuple[Any, ...], str, list[Any]]] = []  # (place, prompt's id, columns)
        self._prompts: dict[str, list[Any]] = {}
        self._bytes: Counter[Lane] = Counter()
        self._codes: dict[str, dict[str, int]] = {"reasons": {}, "categories": {}}

    def add_all(self, takes: Iterable[Take]) -> Digest:
        """Take every row in; returns itself."""
        for take in takes:
            self.tally.add(take)
            if take.lane is Lane.FAILED:
                self._fail(take)
            else:
                self.stored += take.file_name is not None
                self._list(take)
        return self

    def listing(self, explain: Mapping[str, str]) -> dict[str, Any]:
        """Prompts and takes as library.js reads them, in the order of the table and of the ranks.

        A prompt is [words, kind, line, loop, facts, asked, drawn, kept], a take [prompt, name, link, lane, reasons,
        messages, rank, score, seconds, format, measures, origin, category, synthetic, player].
        """
        self._listed.sort(key=lambda entry: entry[0])
        places = {prompt: place for place, prompt in enumerate(dict.fromkeys(entry[1] for entry in self._listed))}
        counts = [self.tally.prompts[prompt] for prompt in places]
        words = {name: [visible(word) for word in index] for name, index in self._codes.items()}
        return words | {
            "lanes": list(LANES),
            "meanings": [visible(explain.get(reason, "")) for reason in self._codes["reasons"]],
            "measures": [measure_title(name) for name in (*_DELIVERED, *_TELLING, *_OTHERS)],
            "telling": len(_DELIVERED) + len(_TELLING),
            "prompts": [
                [*self._prompts[prompt], count.asked, count.drawn, count.kept]
                for prompt, count in zip(places, counts, strict=True)
            ],
            "takes": [[places[prompt], *columns] for _, prompt, columns in self._listed],
        }

    def _fail(self, take: Take) -> None:
        if len(self.failures) < FAILURES_SHOWN:
            words = take.prompt.prompt or take.prompt.text if take.prompt else ""
            message = "; ".join(take.messages)
            self.failures.append(
                Failure(take.row, visible(words, _TEXT_LIMIT), ", ".join(take.reasons), visible(message, _TEXT_LIMIT))
            )

    def _list(self, take: Take) -> None:
        assert take.prompt is not None  # only a row that failed has none
        columns = self._columns(take)
        prompt = self._prompts.get(take.item_id) or _prompt_columns(take.prompt, take.row)
        size = len(script_json(columns).encode()) + len(script_json(prompt).encode())
        if take.take_id not in self._players and self._bytes[take.lane] + size > LISTED_BYTES:
            self.left_out[take.lane] += 1
            return
        self._bytes[take.lane] += size
        self._prompts[take.item_id] = prompt
        place = (take.row, take.item_id, take.rank or math.inf, take.take)
        self._listed.append((place, take.item_id, columns))

    def _columns(self, take: Take) -> list[Any]:
        return [
            visible(take.file_name or "", _TEXT_LIMIT),
            f"../../{quote(take.audio_path, errors='surrogateescape')}" if take.audio_path else "",
            LANES.index(take.lane),
            [self._code("reasons", reason) for reason in take.reasons],
            [visible(message, _TEXT_LIMIT) for message in take.messages],
            take.rank,
            _number(take.score),
            _number(take.duration_s),
            _format(take),
            _measures(take),
            _origin(take),
            self._code("categories", take.category_id),
            int(take.synthetic),
            self._players.get(take.take_id, -1),
        ]

    def _code(self, table: str, word: str) -> int:
        """The place of a word in one of the listing's tables."""
        index = self._codes[table]
        return index.setdefault(word, len(index))


def _prompt_columns(prompt: Prompt, line: int) -> list[Any]:
    facts = [[name, visible(value, _TEXT_LIMIT)] for name, value in _asked(prompt) if value]
    return [visible(prompt.prompt, _TEXT_LIMIT), prompt.kind, line, int(prompt.loop), facts]


def _asked(prompt: Prompt) -> list[tuple[str, str]]:
    """What a row of the table asks for beside its words; a seed as text, for JavaScript's numbers have 53 bits."""
    edits = {"variation": f"strength {prompt.strength:g}", "inpaint": f"{prompt.start_s:g} to {prompt.end_s:g} s"}
    return [
        ("says", prompt.text),
        ("without", prompt.negative),
        ("length", f"{prompt.duration_s:g} s" if prompt.duration_s else ""),
        ("tempo", f"{prompt.tempo_bpm:g} BPM" if prompt.tempo_bpm else ""),
        ("influence", f"{prompt.influence:g}"),
        ("seed", str(prompt.seed)),
        (prompt.edit, ", ".join(filter(None, (prompt.reference, edits.get(prompt.edit)))) if prompt.reference else ""),
    ]


def _measures(take: Take) -> list[float | None]:
    """The measures of the file, then those of the take as it was drawn."""
    drawn = take.measures or TakeMeasures()
    return [
        *(_number(getattr(take, name)) for name in _DELIVERED),
        *(_number(getattr(drawn, name)) for name in (*_TELLING, *_OTHERS)),
    ]


def _format(take: Take) -> str:
    """The file in words: 48 kHz, stereo, 24 bit."""
    if not take.file_name:
        return ""
    layout = {1: "mono", 2: "stereo"}.get(take.channels, f"{take.channels} channels")
    return f"{take.sample_rate / 1000:g} kHz, {layout}, {take.bit_depth} bit"


def _origin(take: Take) -> str:
    """What draws this take again."""
    parts = [f"take {take.take}", f"seed {take.seed}", f"{take.steps} steps" if take.steps else ""]
    parts += [f"guidance {take.guidance:g}" if math.isfinite(take.guidance) else "", take.license]
    return visible(", ".join(filter(None, parts)), _TEXT_LIMIT)


def _number(value: float) -> float | None:
    """A figure with as many digits as are shown, None where there is none."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
