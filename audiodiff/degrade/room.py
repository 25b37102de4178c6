"""Reverberation of simulated rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiodiff.degrade.base import draw_seed

SOUND_M_PER_S = 343.0


@dataclass(frozen=True, slots=True)
class Room:
    """A shoebox room of given size and reverberation time, the source `distance_m` from the microphone.

    The direct sound keeps its time and level; what is added comes after it. Source of the simulation: Scheibler et al.,
    "Pyroomacoustics", arXiv:1710.04196 (the image method of Allen & Berkley, 1979).
    """

    length_m: float
    width_m: float
    height_m: float
    rt60_s: float
    distance_m: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From a booth to a hall; 0.15 to 1 s, longer in larger rooms."""
        length_m, width_m, height_m = (float(rng.uniform(low, high)) for low, high in ((3, 14), (2.5, 10), (2.3, 5)))
        return cls(
            length_m,
            width_m,
            height_m,
            rt60_s=float(rng.uniform(0.15, 0.3 + 0.05 * length_m)),
            distance_m=float(rng.uniform(0.3, 0.8 * width_m)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Reverberate (..., T), every row by the same response."""
        return convolve(signal, torch.from_numpy(self._response(sample_rate)))

    def _response(self, sample_rate: int) -> NDArray[np.float32]:
        """The impulse response (L,) from the direct sound on, which has gain 1."""
        import pyroomacoustics  # noqa: PLC0415  optional: extra `degrade`

        size = np.array([self.length_m, self.width_m, self.height_m])
        volume, surface = float(size.prod()), float(2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2]))
        deadest_s = 24.0 * np.log(10.0) / SOUND_M_PER_S * volume / surface  # Sabine, all walls absorbing
        absorption, order = pyroomacoustics.inverse_sabine(max(self.rt60_s, 1.05 * deadest_s), size)
        room = pyroomacoustics.ShoeBox(
            size, fs=sample_rate, materials=pyroomacoustics.Material(absorption), max_order=order
        )
        source, microphone = self._places(size)
        room.add_source(source)
        room.add_microphone(microphone)
        room.compute_rir()
        response: NDArray[np.float32] = room.rir[0][0].astype(np.float32)
        direct = int(np.abs(response).argmax())
        tail: NDArray[np.float32] = response[direct:] / response[direct]
        return tail

    def _places(self, size: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Source and microphone at least 0.3 m from every wall, `distance_m` apart where the room allows it."""
        rng = np.random.default_rng(self.seed)
        source = rng.uniform(0.3, size - 0.3)
        direction = rng.standard_normal(3) * (1.0, 1.0, 0.3)
        microphone = source + self.distance_m * direction / np.linalg.norm(direction)
        return source, np.clip(microphone, 0.3, size - 0.3)


def convolve(signal: Tensor, response: Tensor) -> Tensor:
    """(..., T) by (L,), cut to T."""
    length = signal.shape[-1] + len(response) - 1
    spectrum = torch.fft.rfft(signal, n=length) * torch.fft.rfft(response.to(signal), n=length)
    wet: Tensor = torch.fft.irfft(spectrum, n=length)
    return wet[..., : signal.shape[-1]].contiguous()
