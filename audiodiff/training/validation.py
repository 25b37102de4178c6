"""Validation: the same damaged excerpts of held-back recordings at every point of a run, in dB gained."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from audiodiff.degrade.base import add_at_snr
from audiodiff.degrade.chain import Chain
from audiodiff.diffusion.shrink import shrink_change
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.metrics.paired import si_sdr_db
from audiodiff.training.data import DOUBT, LEVEL, Pool
from audiodiff.training.pack import PACK_RATE_HZ, Pack

_CASES = ("recorded noise 0 dB", "recorded noise 10 dB", "noise", "hum", "crackle", "clip")
_EXCERPT_S, _EACH = 3, 4
BEST_DB = 60.0
"""SI-SDR counts up to here: a draw may leave an excerpt as it was."""


@dataclass(frozen=True, slots=True)
class Case:
    """Excerpts (B, T) under one fault, of one kind, at the level models work at."""

    name: str
    damaged: Tensor
    clean: Tensor


def draw_cases(pack: Pack, seed: int = 0) -> list[Case]:
    """Speech and music of the pack's test split under each fault; empty where the split has none of a kind."""
    held_back = pack.index[pack.index.split == "test"]
    pools = {kind: held_back[held_back.kind == kind] for kind in ("speech", "music", "noise")}
    rng = np.random.default_rng(seed)
    cases = []
    for kind in ("speech", "music"):
        if pools[kind].empty or pools["noise"].empty:
            continue
        voices, noises = Pool(pools[kind]), Pool(pools["noise"])
        for fault in _CASES:
            pairs = [_pair(pack, voices, noises, fault, rng) for _ in range(_EACH)]
            damaged, clean = (torch.stack(part) for part in zip(*pairs, strict=True))
            cases.append(Case(f"{kind}, {fault}", damaged, clean))
    return cases


@torch.inference_mode()
def gains_db(net: nn.Module, spectrum: Spectrum, cases: list[Case]) -> dict[str, float]:
    """The mean gain of SI-SDR in dB for each case, as an engine restores it by one evaluation."""
    device = next(net.parameters()).device
    gains: dict[str, float] = {}
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for case in cases:
        y = spectrum.encode(case.damaged.to(device))
        estimate = shrink_change(net(y, y, torch.ones(len(y), device=device)), y, DOUBT)
        restored = spectrum.decode(estimate, case.clean.shape[1]).cpu()
        before, after = (si_sdr_db(signal, case.clean).clamp_max(BEST_DB) for signal in (case.damaged, restored))
        gains[case.name] = float((after - before).mean())
        by_kind[case.name.partition(",")[0]].append(gains[case.name])
    return gains | {kind: float(np.mean(values)) for kind, values in by_kind.items()}


def _pair(pack: Pack, voices: Pool, noises: Pool, fault: str, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A damaged and a clean excerpt (T,), not of a pause."""
    clean = _excerpt(pack, voices, rng)
    for _ in range(50):
        if clean.std() > 1e-2:
            break
        clean = _excerpt(pack, voices, rng)
    if fault.startswith("recorded noise"):
        damaged = add_at_snr(clean, _excerpt(pack, noises, rng), float(fault.split()[-2]))
    else:
        damaged = Chain.draw(fault, rng).apply(clean, PACK_RATE_HZ)
    gain = LEVEL / damaged.std().clamp_min(1e-4)
    return gain * damaged, gain * clean


def _excerpt(pack: Pack, pool: Pool, rng: np.random.Generator) -> Tensor:
    wanted = _EXCERPT_S * PACK_RATE_HZ
    start, frames, _ = pool.draw(rng)
    offset = int(rng.integers(max(1, frames - wanted)))
    return torch.from_numpy(np.resize(pack.read(start + offset, min(wanted, frames)), wanted))
