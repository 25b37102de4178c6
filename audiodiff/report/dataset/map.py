"""The map: embeddings of clips drawn in the plane that shows most of how they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiodiff.curate.records import Clip

MAX_POINTS = 3_000


@dataclass(frozen=True, slots=True)
class Plane:
    """Points (N, 2) from -1 to 1, and the share of the embeddings' variance that the two axes hold."""

    points: NDArray[np.float64]
    explained: float


class Sample:
    """Clips with an embedding: all that are wanted, and at most `most` others, each with the same chance."""

    def __init__(self, most: int) -> None:
        self.seen = 0
        self._most = most
        self._wanted: list[Clip] = []
        self._others: list[Clip] = []
        self._random = np.random.default_rng(0)

    def add(self, clip: Clip, wanted: bool) -> None:
        """Take a clip, or leave it; Vitter, "Random sampling with a reservoir", 1985, algorithm R."""
        if not clip.embedding:
            return
        self.seen += 1
        if wanted:
            self._wanted.append(clip)
        elif len(self._others) < self._most:
            self._others.append(clip)
        else:
            place = int(self._random.integers(self.seen - len(self._wanted)))
            if place < self._most:
                self._others[place] = clip

    @property
    def clips(self) -> list[Clip]:
        """The clips to draw; those wanted last, so that they lie on top."""
        return self._others + self._wanted


def project(embeddings: NDArray[np.float64]) -> Plane:
    """Embeddings (N, D) in the plane of their first two principal components; the same input, the same plane."""
    centred = embeddings - embeddings.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    strengths, axes = strengths[:2], axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]  # either sign fits
    points = np.zeros((len(centred), 2))
    points[:, : len(axes)] = centred @ axes.T
    low, high = np.percentile(points, [1, 99], axis=0)  # one outlier may not squeeze all others
    points = (2.0 * points - low - high) / np.maximum(high - low, 1e-12)
    variance = float((centred**2).sum())
    explained = float((strengths**2).sum()) / variance if variance else 0.0
    return Plane(np.clip(points, -1.0, 1.0), explained)
