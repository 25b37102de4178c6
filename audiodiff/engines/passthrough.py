"""The engine that changes nothing: for tests, and to measure what everything around a model costs."""

from __future__ import annotations

import hashlib

from torch import Tensor

from audiodiff.engines import Sampling


class Passthrough:
    """Returns its input."""

    name = "passthrough"
    sha256 = hashlib.sha256(b"passthrough").hexdigest()
    sample_rate = 48_000
    level = 0.1
    hop = 512
    batch = 1

    def margin(self, sampling: Sampling) -> int:  # noqa: ARG002  the engine protocol
        """Any context will do; this much keeps the windows of the shape other engines see."""
        return 9 * self.hop

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:  # noqa: ARG002
        """(B, C, W) as it came."""
        return windows


def load(device: str) -> Passthrough:  # noqa: ARG001  runs anywhere
    """The engine."""
    return Passthrough()
