"""Which clips sound alike: candidates by nearest windows, then the correlation of fingerprints where they align."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiodiff.curate.fingerprint import BANDS, FRAME_S, LEAST_FRAMES, levels

THRESHOLD = 0.65
"""Of 240 copies of recordings of the kit one is at 0.49 and all others at 0.66 or more. Of all other pairs the most
alike, one plate reverberation at two dampings, is at 0.64, and syllables of one voice reach 0.63.
"""
_WINDOW, _STEP, _QUERY_STEP = 32, 8, 4  # frames of 32 ms; with 16 a third of short trimmed copies was missed
_COEFFICIENTS = 8  # over time and over bands: the slowest, for a window seldom starts where the other did
_NEAREST = 16
_LIKELY = 0.4  # cosine of two windows from which on they vote
_SLACK = 2  # frames that an offset may be out
_OVERLAP = 0.5  # of the shorter clip
_CHANCE = 3.0  # frames: what a correlation of short overlaps must reach over the threshold falls as 1/n
_VERIFIED = 48  # references and offsets of each query that are looked into
_CHUNK = 1_000  # clips searched at once


@dataclass(frozen=True, slots=True)
class Match:
    """Two clips alike: their places in what was given, the correlation 0 to 1, and the seconds that they share."""

    query: int
    reference: int
    similarity: float
    overlap_s: float


def find_alike(queries: Sequence[bytes], references: Sequence[bytes], threshold: float = THRESHOLD) -> list[Match]:
    """The references that each query sounds like, the most alike first; deterministic.

    At least half of the shorter clip must coincide. Raises ConfigError for fingerprints of another version.
    """
    found = _matches(queries, references, threshold, within=False)
    return sorted(found, key=lambda match: (match.query, -match.similarity, match.reference))


def find_alike_within(prints: Sequence[bytes], threshold: float = THRESHOLD) -> list[Match]:
    """The pairs that sound alike, each once with `query` < `reference`; otherwise as `find_alike`."""
    found = _matches(prints, prints, threshold, within=True)
    return sorted(found, key=lambda match: (match.query, -match.similarity, match.reference))


def clusters(count: int, matches: Iterable[Match]) -> list[int]:
    """For each of `count` clips the smallest number of those that matches join it to, its own without any."""
    parents = list(range(count))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for match in matches:
        first, second = sorted((root(match.query), root(match.reference)))
        parents[second] = first
    return [root(number) for number in range(count)]


def _matches(queries: Sequence[bytes], references: Sequence[bytes], threshold: float, within: bool) -> list[Match]:
    best: dict[tuple[int, int], Match] = {}
    for query, reference, offset in _likeliest(_candidates(queries, references, within)):
        found = _compare(_recent(queries[query]), _recent(references[reference]), offset)
        pair = (query, reference)
        if found is None or found[0] < threshold or (pair in best and best[pair].similarity >= found[0]):
            continue
        best[pair] = Match(query, reference, *found)
    return list(best.values())


@functools.lru_cache(8192)
def _recent(print_: bytes) -> NDArray[np.float32]:
    return levels(print_).astype(np.float32)


def _likeliest(votes: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Of votes (V, 3) for (query, reference, offset) those of each query that most windows cast.

    Windows that are near by chance vote once; those of copies agree on an offset to a frame or two.
    """
    rounded = votes.copy()
    rounded[:, 2] //= 2 * _SLACK
    _, first, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    chosen = votes[first][np.lexsort((rounded[first, 1], -counts, rounded[first, 0]))]  # by query, most votes first
    _, begin, where = np.unique(chosen[:, 0], return_index=True, return_inverse=True)
    rank = np.arange(len(chosen)) - begin[where]
    return [tuple(vote) for vote in chosen[rank < _VERIFIED].tolist()]


def _compare(first: NDArray[np.float32], second: NDArray[np.float32], offset: int) -> tuple[float, float] | None:
    """Similarity and shared seconds where frame 0 of `first` is about frame `offset` of `second`."""
    best: tuple[float, float] | None = None
    told = [frames[:, 0] != 0 for frames in (first, second)]  # (N,) each: not silent
    least = max(LEAST_FRAMES, _OVERLAP * min(np.count_nonzero(told[0]), np.count_nonzero(told[1])))
    for at in range(offset - _SLACK, offset + _SLACK + 1):
        start, stop = max(0, at), min(len(second), at + len(first))
        if stop - start < least:
            continue
        frames = np.count_nonzero(told[0][start - at : stop - at] & told[1][start:stop])
        if frames < least:
            continue
        a, b = first[start - at : stop - at].ravel(), second[start:stop].ravel()
        correlation = a @ b / np.sqrt((a @ a) * (b @ b))
        similarity = max(0.0, float(correlation - _CHANCE / frames))
        if best is None or similarity > best[0]:
            best = (similarity, (stop - start) * FRAME_S)
    return best


def _candidates(queries: Sequence[bytes], references: Sequence[bytes], within: bool) -> NDArray[np.int64]:
    """Votes (V, 3) of windows that are near each other: query, reference, offset in frames."""
    owners, places, vectors = windows_of(references, _STEP)
    votes = [np.zeros((0, 3), np.int64)]
    if not len(vectors):
        return votes[0]
    index = _index(vectors)
    for asking, starts, chunk in _chunks(queries):
        hits = index.search(chunk, min(_NEAREST, len(vectors)), threads=1)
        keys = np.asarray(hits.keys).reshape(len(chunk), -1).astype(np.int64)
        near = np.asarray(hits.distances).reshape(len(chunk), -1) < 1 - _LIKELY
        rows, columns = np.nonzero(near)
        keys = keys[rows, columns]
        query, reference, offset = asking[rows], owners[keys], places[keys] - starts[rows]
        if within:  # each pair once, the smaller number first
            swap = query > reference
            query, reference = np.where(swap, reference, query), np.where(swap, query, reference)
            offset = np.where(swap, -offset, offset)
        keep = (query != reference) | (not within)
        votes.append(np.stack([query[keep], reference[keep], offset[keep]], axis=1))
    return np.concatenate(votes)


def _index(vectors: NDArray[np.float16]) -> Any:
    """A graph of all windows, built in one thread: with more its edges depend on who comes first."""
    from usearch.index import Index  # noqa: PLC0415 - loads a native library

    # with these 0.997 of the nearest windows are found, twice as fast as by default
    index = Index(
        ndim=_COEFFICIENTS**2, metric="cos", dtype="f16", connectivity=16, expansion_add=32, expansion_search=24
    )
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return index


def _chunks(prints: Sequence[bytes]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float16]]]:
    """The windows of some clips after those of others, so that they need not all be in memory."""
    for first in range(0, len(prints), _CHUNK):
        owners, places, vectors = windows_of(prints[first : first + _CHUNK], _QUERY_STEP)
        if len(vectors):
            yield owners + first, places, vectors


def windows_of(prints: Sequence[bytes], step: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float16]]:
    """Whose they are (W,), at which frame (W,), and the descriptors (W, 64) of all windows; short clips are padded."""
    owners, places, vectors = [], [], [np.zeros((0, _COEFFICIENTS**2), np.float16)]
    for number, print_ in enumerate(prints):
        frames = levels(print_)
        if not len(frames):
            continue
        starts = np.arange(0, max(1, len(frames) - _WINDOW + step), step)
        padded = np.pad(frames, ((0, int(starts[-1]) + _WINDOW), (0, 0)))
        blocks = padded[starts[:, np.newaxis] + np.arange(_WINDOW)].astype(np.float32)  # (W, 32, 24)
        flat = np.einsum("wtb,tk,bl->wkl", blocks, _cosines(_WINDOW), _cosines(BANDS), optimize=True)
        flat = flat.reshape(len(starts), -1)
        owners.append(np.full(len(starts), number))
        places.append(starts)
        vectors.append((flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)).astype(np.float16))
    whose = np.concatenate(owners) if owners else np.zeros(0, np.int64)
    where = np.concatenate(places) if places else np.zeros(0, np.int64)
    return whose, where, np.concatenate(vectors)


@functools.cache
def _cosines(size: int) -> NDArray[np.float32]:
    """The first vectors of an orthonormal cosine transform (size, 8)."""
    transform = np.asarray(scipy.fft.dct(np.eye(size), axis=0, norm="ortho"), np.float32)
    return transform[:_COEFFICIENTS].T
