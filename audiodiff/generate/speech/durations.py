"""How long each phone lasts: a log-linear model of its neighbours and of its place in word and phrase.

`python -m audiodiff.generate.speech.durations ALIGNMENT.parquet OUT.json` fits it to what `training.aligning` wrote and
prints how well it does on recordings it was not fitted to.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr

from audiodiff.errors import ConfigError
from audiodiff.generate.speech.phones import PAUSE, SILENCE, VOWELS, phone_ids
from audiodiff.generate.speech.text import Word

_MODEL = Path(__file__).parents[2] / "weights" / "durations.json"
_RATES = (0.25, 4.0)

_PAUSE_S = 0.22  # the median of 318 pauses at commas; her recordings are of single sentences, so that
_STOP_S = 0.45  # is a choice, about twice as long
_EDGE_S = 0.05  # before and after: the median of the recordings a voice learns from
_VARIETY = 0.5  # of what tempo differs by in the recordings: takes should differ, and none be odd

_CLASSES = dict.fromkeys(VOWELS, "vowel") | {
    phone: name
    for name, phones in {
        "pause": SILENCE, "nasal": "M N NG", "glide": "L R W Y", "stop": "P T K", "voiced stop": "B D G",
        "fricative": "F TH S SH HH CH", "voiced fricative": "V DH Z ZH JH",
    }.items()
    for phone in phones.split()
}  # fmt: skip
_FEWEST = 10  # times that a trait is seen, to have a weight
_RIDGE = 3.0
_HELD_OUT = 8  # one recording in so many


@dataclass(frozen=True, slots=True)
class DurationModel:
    """A phone's log of seconds is `mean` and the `weights` of its traits.

    What that leaves unexplained has a standard deviation of `tempo_sd` from recording to recording, and of `word_sd`
    from word to word of one.
    """

    mean: float
    tempo_sd: float
    word_sd: float
    weights: dict[str, float]

    def log_s(self, traits: Sequence[str]) -> float:
        """The logarithm of a phone's probable seconds."""
        return self.mean + sum(self.weights.get(trait, 0.0) for trait in traits)


def phone_durations(words: Sequence[Word], rate: float = 1.0, seed: int = 0) -> list[float]:
    """Seconds of each phone of the words in order, pauses too; a `rate` of 2 is twice as fast.

    The seed draws how the tempo of the whole and of each word differs from the usual. The model is of Kathleen's voice
    (CC0-1.0, 57 min). ConfigError for a rate below 0.25 or above 4.
    """
    if not _RATES[0] <= rate <= _RATES[1]:
        raise ConfigError(f"a speaking rate of {rate:g} is out of range; {_RATES[0]:g} to {_RATES[1]:g} work")
    model = _model()
    rng = np.random.default_rng(seed)
    tempo = _VARIETY * model.tempo_sd * rng.standard_normal() - np.log(rate)
    seconds = []
    for place, (word, phones) in enumerate(zip(words, word_traits(words), strict=True)):
        drawn = tempo + _VARIETY * model.word_sd * rng.standard_normal()
        if word.source == "pause":
            silence_s = _EDGE_S if place in {0, len(words) - 1} else _PAUSE_S if word.phones == (PAUSE,) else _STOP_S
            seconds.append(silence_s * float(np.exp(drawn)))
        else:
            seconds += [float(np.exp(model.log_s(traits) + drawn)) for traits in phones]
    return seconds


def phone_track(phones: Sequence[str], durations_s: Sequence[float], frames_per_s: float, frames: int) -> torch.Tensor:
    """The id (`phones.PHONES`) of the phone at the centre of each frame (F,), 0 after the last."""
    ids = np.array([*phone_ids(phones), 0])
    centres_s = (np.arange(frames) + 0.5) / frames_per_s
    return torch.from_numpy(ids[np.searchsorted(np.cumsum(durations_s), centres_s, side="right")])


def word_traits(words: Sequence[Word]) -> list[list[list[str]]]:
    """For each word, for each of its phones, the traits that its duration depends on."""
    phones = [SILENCE if phone == PAUSE else phone for word in words for phone in word.phones]
    around = [SILENCE, SILENCE, *phones, SILENCE, SILENCE]
    to_pause, vowels_to_pause = _to_pause(phones)
    traits: list[list[list[str]]] = []
    at = 0
    for word in words:
        vowels = [phone in VOWELS for phone in word.phones]
        traits.append([])
        for place, phone in enumerate(word.phones):
            _, before, _, after, then = around[at : at + 5]
            left, left_vowels = min(to_pause[at], 4), min(vowels_to_pause[at], 2)
            of_class, edges = _CLASSES[around[at + 2]], f"{place == 0} {place == len(word.phones) - 1}"
            traits[-1].append(
                [
                    f"{before}-{phone}",
                    f"{phone}+{after}",
                    f"{phone}+{_CLASSES[after]}",
                    f"{of_class}+{_CLASSES[after]}+{_CLASSES[then]}",
                    f"{phone}, {left} left",
                    f"{of_class}, {min(left, 3)} and {left_vowels} vowels left",
                    f"{phone}, edges {edges}",
                    f"{of_class}, syllable {min(sum(vowels[:place]), 3)} of {min(sum(vowels), 4)}",
                    f"in {word.text}",
                    f"{place} in {word.text}",
                ]
            )
            at += 1
    return traits


def _to_pause(phones: Sequence[str]) -> tuple[list[int], list[int]]:
    """How many phones, and how many vowels, from each to the next pause, itself counted."""
    counts: list[tuple[int, int]] = []
    left = vowels = 0
    for phone in reversed(phones):
        left, vowels = (0, 0) if phone == SILENCE else (left + 1, vowels + (phone in VOWELS))
        counts.append((left, vowels))
    return [left for left, _ in reversed(counts)], [vowels for _, vowels in reversed(counts)]


@cache
def _model() -> DurationModel:
    return DurationModel(**json.loads(_MODEL.read_text()))


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A phone of a recording: its traits, the log of its seconds, and the recording and word it is in."""

    phone: str
    traits: list[str]
    log_s: float
    recording: int
    word: int


def fit(spoken: Sequence[_Spoken]) -> DurationModel:
    """Ridge regression of the log of seconds on the traits."""
    seen = Counter(trait for phone in spoken for trait in phone.traits)
    names = [trait for trait, count in seen.items() if count >= _FEWEST]
    place = {trait: number for number, trait in enumerate(names)}
    cells = [(row, place[t]) for row, phone in enumerate(spoken) for t in phone.traits if t in place]
    rows, columns = zip(*cells, strict=True)
    matrix = csr_matrix((np.ones(len(cells)), (rows, columns)), (len(spoken), len(names)))
    wanted = np.array([phone.log_s for phone in spoken])
    mean = float(wanted.mean())
    weights: NDArray[np.float64] = lsqr(matrix, wanted - mean, damp=_RIDGE)[0]
    left = wanted - mean - matrix @ weights
    recordings = np.array([phone.recording for phone in spoken])
    tempo = _group_means(left, recordings)
    word = _group_means(left - tempo, recordings * 1000 + np.array([phone.word for phone in spoken]))
    rounded = dict(zip(names, weights.round(4).tolist(), strict=True))
    return DurationModel(mean, float(tempo.std()), float(word.std()), rounded)


def _group_means(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each value's group's mean (N,)."""
    _, member = np.unique(groups, return_inverse=True)
    means: NDArray[np.float64] = np.bincount(member, values) / np.bincount(member)
    return means[member]


def _read(alignment: Path) -> list[_Spoken]:
    """The phones of an alignment, silences left out."""
    spoken = []
    for number, row in enumerate(pq.read_table(alignment).to_pylist()):
        timed = zip(row["word_of"] or (), row["phones"] or (), row["starts_s"] or (), row["ends_s"] or (), strict=True)
        groups = [(at, list(phones)) for at, phones in groupby(timed, key=lambda phone: phone[0])]
        words = [
            Word("" if at < 0 else row["words"][at], tuple(phone for _, phone, _, _ in phones),
                 "pause" if at < 0 else "dictionary")
            for at, phones in groups
        ]  # fmt: skip
        for (at, phones), traits in zip(groups, word_traits(words), strict=True):
            spoken += [
                _Spoken(phone, own, float(np.log(end - start)), number, at)
                for (_, phone, start, end), own in zip(phones, traits, strict=True)
                if at >= 0 and end > start
            ]
    return spoken


def _evaluate(spoken: Sequence[_Spoken]) -> str:
    """How well the model, and the mean of each phone, foretell the recordings it was not fitted to."""
    known = [phone for phone in spoken if phone.recording % _HELD_OUT]
    held = [phone for phone in spoken if not phone.recording % _HELD_OUT]
    model = fit(known)
    by_phone = {name: np.mean([p.log_s for p in known if p.phone == name]) for name in {p.phone for p in known}}
    wanted = np.array([phone.log_s for phone in held])
    said = []
    for name, guessed in (
        ("model", np.array([model.log_s(phone.traits) for phone in held])),
        ("mean of each phone", np.array([by_phone[phone.phone] for phone in held])),
    ):
        error = np.sqrt(np.square(guessed - wanted).mean())
        said.append(f"{name}: RMSE of the log {error:.3f}, correlation {np.corrcoef(guessed, wanted)[0, 1]:.3f}")
    return "\n".join([f"{len(held)} phones of recordings not fitted to", *said])


def main(arguments: Sequence[str]) -> None:
    """Evaluate on held-out recordings, then fit to all and store."""
    alignment, out = map(Path, arguments)
    spoken = _read(alignment)
    print(_evaluate(spoken))
    out.write_text(json.dumps(asdict(fit(spoken)), separators=(",", ":"), indent=0) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
