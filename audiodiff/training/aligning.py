"""Which phone is spoken when: a speaker's recordings aligned with their transcripts, for a voice to learn from.

`python -m audiodiff.training.aligning MANIFEST.csv SPEAKER OUT.parquet` aligns one speaker's recordings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from audiodiff.errors import AudiodiffError, MediaError
from audiodiff.generate.heard import MARGIN_S, NATS, decode, pcm, set_words, text_decoder
from audiodiff.generate.speech.phones import SILENCE
from audiodiff.generate.speech.text import Word, speak_phones
from audiodiff.media import read_audio
from audiodiff.waveform import Waveform

_FRAME_S = 0.01

SCHEMA = pa.schema([
    ("path", pa.string()),
    ("text", pa.string()),
    ("words", pa.list_(pa.string())),
    ("phones", pa.list_(pa.string())),
    ("word_of", pa.list_(pa.int32())),
    ("starts_s", pa.list_(pa.float64())),
    ("ends_s", pa.list_(pa.float64())),
    ("score", pa.float64()),
    ("problem", pa.string()),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alignment:
    """The phones of a recording in order, from its first sample to its last.

    `word_of` is each phone's place in `words`, -1 for silence. `score` is the mean log-likelihood of a frame that is
    not silence, in nats, relative to the best of the text's own sounds: the lower, the worse it fits.
    """

    words: tuple[str, ...]
    phones: tuple[str, ...]
    word_of: tuple[int, ...]
    starts_s: tuple[float, ...]
    ends_s: tuple[float, ...]
    score: float


@dataclass(frozen=True, slots=True)
class _Segment:
    phone: str
    word: int
    start: int  # frames
    end: int
    score: float


class Aligner:
    """Aligns recordings with texts, by PocketSphinx 5 (BSD) and its US English model.

    The first pass, over words, decides on pauses and on which of a word's pronunciations is spoken. The second aligns
    all these phones as if they were one long word, for PocketSphinx's own second pass may not cross the borders of
    words that the first has found, and fails on one recording in ten.
    """

    def __init__(self) -> None:
        self._decoder = text_decoder()
        self._utterances = count()

    def align(self, waveform: Waveform, words: Sequence[Word]) -> Alignment:
        """When each phone of the words is spoken; MediaError `unaligned` where the sound cannot be that text."""
        spoken = [word for word in words if word.source != "pause"]
        sound = pcm(waveform)
        try:
            segments = self._timed(sound, self._pronounced(sound, spoken))
        except RuntimeError as error:
            raise MediaError("unaligned", f"cannot be aligned with its text: {error}") from error
        return _alignment([word.text for word in spoken], segments, waveform.duration_s)

    def _pronounced(self, sound: bytes, words: Sequence[Word]) -> list[tuple[str, int]]:
        """The phones that are said, each with its word's place, -1 for silence."""
        set_words(self._decoder, words)
        decode(self._decoder, sound)
        said: list[tuple[str, int]] = []
        place = 0
        for segment in self._decoder.seg() or ():
            if segment.word == "<sil>":
                said.append((SILENCE, -1))
            elif segment.word not in {"<s>", "</s>"}:
                said += [(phone, place) for phone in self._decoder.lookup_word(segment.word).split()]
                place += 1
        if place < len(words):
            raise RuntimeError("its last words are not heard")
        return said

    def _timed(self, sound: bytes, said: Sequence[tuple[str, int]]) -> list[_Segment]:
        """When these phones are said, and the silence before and after."""
        utterance = f"utterance-{next(self._utterances)}"
        self._decoder.add_word(utterance, " ".join(phone for phone, _ in said))
        self._decoder.set_align_text(utterance)
        decode(self._decoder, sound)
        self._decoder.set_alignment()
        decode(self._decoder, sound)
        segments = []
        for word in self._decoder.get_alignment():
            places = [place for _, place in said] if word.name == utterance else repeat(-1)
            segments += [
                _Segment(phone.name, place, phone.start, phone.start + phone.duration, phone.score)
                for phone, place in zip(word, places, strict=False)
            ]
        return segments


def _alignment(words: Sequence[str], segments: Sequence[_Segment], duration_s: float) -> Alignment:
    """Segments of the sound between its margins as times in the sound itself, silences that touch made one."""
    joined: list[_Segment] = []
    for segment in segments:
        if joined and segment.phone == joined[-1].phone == SILENCE:
            joined[-1] = replace(joined[-1], end=segment.end)
        else:
            joined.append(segment)
    edges = np.array([segment.end for segment in joined[:-1]]) * _FRAME_S - MARGIN_S
    edges_s = [0.0, *np.clip(edges, 0.0, duration_s).tolist(), duration_s]
    timed = [
        (segment.phone, segment.word, start_s, end_s)
        for segment, (start_s, end_s) in zip(joined, pairwise(edges_s), strict=True)
        if end_s > start_s or segment.phone != SILENCE
    ]
    phones, places, starts_s, ends_s = zip(*timed, strict=True)
    speech = [segment for segment in joined if segment.phone != SILENCE]
    score = sum(segment.score for segment in speech) / sum(segment.end - segment.start for segment in speech)
    return Alignment(tuple(words), phones, places, starts_s, ends_s, NATS * score)


def align_speaker(manifest: Path, speaker: str) -> pa.Table:
    """The alignment of every recording of a speaker (`SCHEMA`), `problem` saying why where there is none."""
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    table = table[(table["kind"] == "speech") & (table["speaker"] == speaker)]
    aligner = Aligner()
    rows = []
    for path, text in zip(table["path"], table["transcript_or_caption"], strict=True):
        row: dict[str, object] = {"path": path, "text": text}
        try:
            found = aligner.align(read_audio(manifest.parent / path), speak_phones(text))
            row |= {name: getattr(found, name) for name in Alignment.__slots__}
        except AudiodiffError as error:
            row["problem"] = str(error)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def main(arguments: Sequence[str]) -> None:
    """Align, write the table, and say how it went."""
    manifest, speaker, out = arguments
    aligned = align_speaker(Path(manifest), speaker)
    pq.write_table(aligned, out)
    failed = aligned.num_rows - aligned["problem"].null_count
    print(f"{aligned.num_rows - failed} of {aligned.num_rows} recordings aligned, written to {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
