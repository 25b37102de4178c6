"""Validation: the same damaged excerpts of held-back recordings at every point of a run, in dB gained."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from audiodiff.degrade.base import add_at_snr
from audiodiff.degrade.chain import Chain
from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.shrink import shrink_change
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.metrics.paired import si_sdr_db
from audiodiff.nets import Net
from audiodiff.training.data import DOUBT, LEVEL, Pool, replay
from audiodiff.training.pack import PACK_RATE_HZ, Pack
from audiodiff.training.recipes import Recipe

_CASES = ("recorded noise 0 dB", "recorded noise 10 dB", "noise", "hum", "crackle", "clip", "room", "telephone")
"""Those that a recipe trains for are measured."""

_EXCERPT_S, _EACH = 3, 4
BEST_DB = 60.0
"""SI-SDR counts up to here: a draw may leave an excerpt as it was."""


@dataclass(frozen=True, slots=True)
class Case:
    """Excerpts (B, T) under one fault, of one kind, at the level models work at."""

    name: str
    damaged: Tensor
    clean: Tensor


def draw_cases(pack: Pack, recipe: Recipe, seed: int = 0) -> list[Case]:
    """What the recipe trains on, of the pack's test split, under each fault; empty where the split has none."""
    held_back = pack.index[pack.index.split == "test"]
    pools = {kind: held_back[held_back.kind == kind] for kind in ("speech", "music", "noise")}
    rng = np.random.default_rng(seed)
    cases = []
    faults = [fault for fault in _CASES if any(fault.startswith(name) for name in recipe.cases)]
    for kind in ("speech", "music") if recipe.speech_share < 1.0 else ("speech",):
        if pools[kind].empty or pools["noise"].empty:
            continue
        voices, noises = Pool(pools[kind]), Pool(pools["noise"])
        for fault in faults:
            pairs = [_pair(pack, recipe.rate_hz, voices, noises, fault, rng) for _ in range(_EACH)]
            damaged, clean = (torch.stack(part) for part in zip(*pairs, strict=True))
            cases.append(Case(f"{kind}, {fault}", damaged, clean))
    return cases


@torch.inference_mode()
def gains_db(net: Net, spectrum: Spectrum, cases: list[Case]) -> dict[str, float]:
    """The mean gain of SI-SDR in dB for each case, as an engine restores it by one evaluation."""
    device = next(net.parameters()).device
    gains: dict[str, float] = {}
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for case in cases:
        y = spectrum.encode(case.damaged.to(device))
        estimate = shrink_change(Bridge().sample(net, y, 1, partial(_blur, y)), y, DOUBT)
        restored = spectrum.decode(estimate, case.clean.shape[1]).cpu()
        before, after = (si_sdr_db(signal, case.clean).clamp_max(BEST_DB) for signal in (case.damaged, restored))
        gains[case.name] = float((after - before).mean())
        by_kind[case.name.partition(",")[0]].append(gains[case.name])
    return gains | {kind: float(np.mean(values)) for kind, values in by_kind.items()}


def _blur(y: Tensor, step: int) -> Tensor:
    return torch.randn(y.shape, generator=torch.Generator(y.device).manual_seed(step), device=y.device)


def _pair(
    pack: Pack, rate_hz: int, voices: Pool, noises: Pool, fault: str, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A damaged and a clean excerpt (T,), not of a pause."""
    clean = _excerpt(pack, rate_hz, voices, rng)
    for _ in range(50):
        if clean.std() > 1e-2:
            break
        clean = _excerpt(pack, rate_hz, voices, rng)
    if fault.startswith("recorded noise"):
        damaged = add_at_snr(clean, _excerpt(pack, rate_hz, noises, rng), float(fault.split()[-2]))
    else:
        damaged = Chain.draw(fault, rng).apply(clean, rate_hz)
    gain = LEVEL / damaged.std().clamp_min(1e-4)
    return gain * damaged, gain * clean


def _excerpt(pack: Pack, rate_hz: int, pool: Pool, rng: np.random.Generator) -> Tensor:
    wanted = _EXCERPT_S * PACK_RATE_HZ
    start, frames, _ = pool.draw(rng)
    offset = int(rng.integers(max(1, frames - wanted)))
    samples = np.resize(pack.read(start + offset, min(wanted, frames)), wanted)
    return torch.from_numpy(replay(samples, _EXCERPT_S * rate_hz, rate_hz))
