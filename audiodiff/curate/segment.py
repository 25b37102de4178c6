"""Cut a recording into clips: whole, by its silences, by voice activity, or at fixed lengths.

Whatever the way, the segments lie end to end and cover the recording, each a clip or with a reason why it is none;
only fixed windows with a hop shorter than themselves overlap.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audiodiff.curate.records import Segment
from audiodiff.errors import ConfigError
from audiodiff.metrics.streams import power_db
from audiodiff.waveform import Block, StreamResampler

By = Literal["whole", "energy", "voice", "fixed"]

_FRAME_S = 0.02
_SILENCE_DB = -80.0  # of full scale; dither and codec noise lie below
_DEPTH_DB = 40.0  # a level so far below the loud frames is a pause however noisy; rooms die away by 30 to 50
_OVER_FLOOR_DB = 6.0  # a level so little over the quietest frames is a pause
_QUIET = 5  # percentile of the levels
_VOICE_RATE_HZ = 16_000
_CHUNK_S = 60.0

Runs = list[tuple[int, int, bool]]
"""Stretches of frames, end to end: first, last + 1, and whether there is sound."""


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """How to cut. A silence of `pause_s` parts two clips, of which each keeps `pad_s`; `hop_s` is of fixed windows.

    Sounds shorter than `shortest_s` are left out, those longer than `longest_s` cut where they are quietest.
    Raises ConfigError for lengths that contradict each other.
    """

    by: By = "energy"
    shortest_s: float = 0.3
    longest_s: float = 30.0
    pause_s: float = 0.5
    pad_s: float = 0.1
    hop_s: float = 0.0

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise ConfigError(f"segmentation by {self.by!r} is unknown; known: {', '.join(get_args(By))}")
        if not 0 < 4 * self.shortest_s <= self.longest_s or not 0.2 <= self.longest_s < 1e6:
            wanted = f"0.2 or more, and at least four times shortest_s {self.shortest_s:g}"
            raise ConfigError(f"longest_s {self.longest_s:g} must be {wanted}")
        if not (0 < self.pause_s < 1e6 and 0 <= self.pad_s < 1e6 and (self.hop_s == 0 or 0.02 <= self.hop_s < 1e6)):
            raise ConfigError("pause_s must be positive, pad_s not negative, hop_s 0 or at least 0.02")


def segments(samples: Block, sample_rate: int, rule: SegmentRule) -> list[Segment]:
    """Cut (C, T); a memory map of hours is read once, block by block. Nothing of an empty recording.

    By energy the threshold lies 40 dB below the loudest frame, or 6 dB over the quietest where that is higher.
    Source: the silence rule of librosa.effects.split, with a floor as in auditok.
    """
    if not samples.shape[1]:
        return []
    if rule.by == "fixed":
        return _windows(samples.shape[1], sample_rate, rule)
    frame = max(1, round(_FRAME_S * sample_rate))
    levels_db = _levels_db(samples, frame)
    if levels_db.max() < _SILENCE_DB:
        return [Segment(0, samples.shape[1], "silence")]
    pause = "silence"
    if rule.by == "whole":
        heard = np.ones(len(levels_db), bool)
    elif rule.by == "energy":
        heard = levels_db > _threshold_db(levels_db)
    else:
        heard, pause = _voiced(samples, sample_rate, frame, len(levels_db)), "no_voice"
    runs = _padded(_without_short_pauses(_runs(heard), round(rule.pause_s / _FRAME_S)), round(rule.pad_s / _FRAME_S))
    return list(_cut(runs, levels_db, frame, samples.shape[1], sample_rate, rule, pause))


def _levels_db(samples: Block, frame: int) -> NDArray[np.float64]:
    """Level of each frame (N,) without its mean, the loudest channel's; the last frame may be shorter."""
    chunk = max(1, int(_CHUNK_S / _FRAME_S)) * frame
    parts: list[NDArray[np.float64]] = []
    for first in range(0, samples.shape[1], chunk):
        block = np.asarray(samples[:, first : first + chunk])
        starts = np.arange(0, block.shape[1], frame)
        sizes = np.diff(np.append(starts, block.shape[1]))
        power = np.add.reduceat(np.square(block), starts, axis=1) / sizes  # (C, N)
        offset = np.add.reduceat(block, starts, axis=1) / sizes
        parts.append((power - np.square(offset)).max(axis=0))
    return np.asarray(power_db(np.concatenate(parts), 1e-14))


def _threshold_db(levels_db: NDArray[np.float64]) -> float:
    quiet, loud = np.percentile(levels_db[levels_db > _SILENCE_DB], _QUIET), levels_db.max()
    floor_db = quiet + _OVER_FLOOR_DB
    steady = loud - quiet < 2 * _OVER_FLOOR_DB  # without pauses the quietest frames are sound, too
    return float(max(loud - _DEPTH_DB, _SILENCE_DB, -np.inf if steady else floor_db))


def _runs(heard: NDArray[np.bool_]) -> Runs:
    edges = np.flatnonzero(np.diff(heard)) + 1
    bounds = [0, *edges.tolist(), len(heard)]
    return [(first, last, bool(heard[first])) for first, last in pairwise(bounds)]


def _without_short_pauses(runs: Runs, shortest: int) -> Runs:
    """Runs in which pauses shorter than `shortest` frames between two sounds count as sound."""
    merged: Runs = []
    for place, (first, last, sound) in enumerate(runs):
        inside = 0 < place < len(runs) - 1
        now = sound or (inside and last - first < shortest)
        if merged and merged[-1][2] == now:
            merged[-1] = (merged[-1][0], last, now)
        else:
            merged.append((first, last, now))
    return merged


def _padded(runs: Runs, pad: int) -> Runs:
    """Runs in which each sound has taken up to `pad` frames of the pauses about it, at most half of one between two."""
    bounds = [first for first, _, _ in runs[1:]]
    for place, (first, last, sound) in enumerate(runs):
        if sound:
            continue
        inside = 0 < place < len(runs) - 1
        room = min(pad, (last - first - 1) // 2 if inside else last - first)
        if place > 0:
            bounds[place - 1] += room
        if place < len(runs) - 1:
            bounds[place] -= room
    edges = [runs[0][0], *bounds, runs[-1][1]]
    return [(a, b, run[2]) for (a, b), run in zip(pairwise(edges), runs, strict=True) if b > a]


def _cut(
    runs: Runs, levels_db: NDArray[np.float64], frame: int, total: int, sample_rate: int, rule: SegmentRule, pause: str
) -> Iterator[Segment]:
    shortest, longest = rule.shortest_s * sample_rate, int(rule.longest_s / _FRAME_S)
    for first, last, sound in runs:
        bounds = [first, *_quietest_cuts(levels_db, first, last, longest), last] if sound else [first, last]
        for a, b in pairwise(bounds):
            start, stop = a * frame, min(b * frame, total)
            reason = pause if not sound else "too_short" if stop - start < shortest else ""
            yield Segment(start, stop - start, reason)


def _quietest_cuts(levels_db: NDArray[np.float64], first: int, last: int, longest: int) -> list[int]:
    """Frames at which to cut a stretch so that no part is longer than `longest`: the quietest of the latter half."""
    cuts: list[int] = []
    while last - first > longest:
        low = first + longest // 2
        high = min(first + longest, last - longest // 4)  # and leave a rest that is worth keeping
        first = low + int(np.argmin(levels_db[low:high]))
        cuts.append(first)
    return cuts


def _windows(total: int, sample_rate: int, rule: SegmentRule) -> list[Segment]:
    length = round(rule.longest_s * sample_rate)
    hop = round(rule.hop_s * sample_rate) or length
    found: list[Segment] = []
    covered = 0
    for start in range(0, max(total - length, 0) + 1, hop):
        if start > covered:
            found.append(Segment(covered, start - covered, "rest"))
        frames = min(length, total - start)
        found.append(Segment(start, frames, "" if frames == length else "rest"))
        covered = start + frames
    return [*found, Segment(covered, total - covered, "rest")] if covered < total else found


_voice_model: list[Any] = []
_voice_lock = threading.Lock()


def _voiced(samples: Block, sample_rate: int, frame: int, count: int) -> NDArray[np.bool_]:
    """Which frames (N,) hold a voice, by Silero VAD, in 230 MB an hour; ConfigError where it is not installed."""
    import torch  # noqa: PLC0415 - half a second that other ways do not need

    threads = torch.get_num_threads()
    try:
        import silero_vad  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("segmentation by voice needs silero-vad: pip install 'audiodiff[voice]'") from error
    torch.set_num_threads(threads)  # which that import sets to one
    heard = np.zeros(count, bool)
    with _voice_lock:  # the model keeps a state
        if not _voice_model:
            _voice_model.append(silero_vad.load_silero_vad(onnx=True))
        mono = np.concatenate(list(_mono(samples, sample_rate)))
        found = silero_vad.get_speech_timestamps(torch.from_numpy(mono), _voice_model[0], return_seconds=False)
    for voice in found:
        scale = sample_rate / _VOICE_RATE_HZ / frame
        heard[int(voice["start"] * scale) : int(np.ceil(voice["end"] * scale))] = True
    return heard


def _mono(samples: Block, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Blocks (T,) of the mean of the channels at 16 kHz."""
    resampler = StreamResampler(1, sample_rate, _VOICE_RATE_HZ)
    chunk = int(_CHUNK_S * sample_rate)
    for first in range(0, samples.shape[1], chunk):
        yield resampler.push(np.asarray(samples[:, first : first + chunk]).mean(axis=0, keepdims=True))[0]
    yield resampler.flush()[0]
