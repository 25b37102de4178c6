"""Train the vocoder: `python -m audiodiff.training.vocoding PACK OUT --steps N`, again for going on where it stopped.

No sound is made in training. What the network says of a recording is scored where it says it, in the spectrum: how
phases change, by least squares; tones and noise, by how likely they make the magnitudes.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audiodiff.diffusion.mel import Mel
from audiodiff.generators.vocoder import load_vocoder, save_vocoder
from audiodiff.media import read_audio
from audiodiff.nets.vocoder import VocoderConfig, VocoderNet, own_turn, spectrum
from audiodiff.training.pack import PACK_RATE_HZ, Pack
from audiodiff.training.packing import HELD_OUT

MEL = Mel()
EXCERPT = 66 * MEL.hop  # 0.7 s
QUIETEST = 1e-5  # amplitude that is added to every bin, -100 dB: the floor of Mel
QUIETEST_RMS = 1e-3  # -60 dB, of an excerpt
SAVE_EVERY_S = 120.0
WEIGHTS, STATE = "vocoder-48k.safetensors", "state.safetensors"


class Excerpts:
    """Draws excerpts of a pack's training part and of further clips, every kind as often as the others."""

    def __init__(self, pack: Pack, clips: Sequence[NDArray[np.int16]] = (), seed: int = 0) -> None:
        index = pack.index[pack.index.split == "train"]
        self._pack, self._clips, self._seed = pack, clips, seed
        self._rows = {
            str(kind): rows[["start", "frames"]].to_numpy() for kind, rows in index.groupby("kind", observed=True)
        }
        self.kinds = [*self._rows, *(["effect"] if clips else [])]

    def draw(self, step: int, count: int) -> Tensor:
        """The excerpts (B, EXCERPT) of this step: the same whenever it is asked for."""
        random = np.random.default_rng((self._seed, step))
        return torch.from_numpy(np.stack([self._excerpt(random) for _ in range(count)]))

    def _excerpt(self, random: np.random.Generator) -> NDArray[np.float32]:
        while True:
            kind = self.kinds[random.integers(len(self.kinds))]
            part = self._part(kind, random)
            if np.sqrt(np.square(part).mean()) > QUIETEST_RMS:
                break
        peak_db = random.uniform(-30.0, -0.3)  # what levels of takes are, and some below
        sign = 1.0 if random.random() < 0.5 else -1.0
        scaled: NDArray[np.float32] = part * np.float32(sign * 10.0 ** (peak_db / 20.0) / np.abs(part).max())
        return scaled

    def _part(self, kind: str, random: np.random.Generator) -> NDArray[np.float32]:
        """A stretch from anywhere in a recording; a shorter one lies somewhere in silence."""
        if kind == "effect":
            clip = self._clips[int(random.integers(len(self._clips)))]
            whole = clip.astype(np.float32) / np.float32(32768.0)
        else:
            rows = self._rows[kind]
            lengths = rows[:, 1] if kind == "music" else np.minimum(rows[:, 1], 4 * PACK_RATE_HZ)
            start, frames = rows[random.choice(len(rows), p=lengths / lengths.sum())]
            offset = int(random.integers(max(1, frames - EXCERPT)))
            whole = self._pack.read(int(start) + offset, min(int(frames) - offset, EXCERPT))
        offset = int(random.integers(max(1, len(whole) - EXCERPT)))
        part = whole[offset : offset + EXCERPT]
        before = int(random.integers(EXCERPT - len(part) + 1))
        return np.pad(part, (before, EXCERPT - len(part) - before))


def kit_effects(manifest: Path) -> Iterator[NDArray[np.int16]]:
    """The sound effects of a manifest.csv as mono 48 kHz samples, but ESC-10 (packs hold it) and what is held out."""
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            held_out = {Path(row["path"]).stem, row["source"], row["speaker"]} & HELD_OUT
            if row["kind"] == "sfx" and "ESC-10" not in row["source"] and not held_out:
                mono = read_audio(manifest.parent / row["path"]).mono().resample(PACK_RATE_HZ).samples[0]
                yield np.round(mono.clip(-1.0, 1.0) * 32767.0).astype(np.int16)


def turn_loss(said: Tensor, one: Tensor, other: Tensor, weights: Tensor) -> Tensor:
    """Squared distance of turns (2, B, N, K) from the true unit vectors, from `one` to `other`, complex (B, N, K).

    Least squares make a vector shorter, the less it can be told. Quiet bins count for less, but far from in proportion.
    """
    with torch.no_grad():
        product = other * one.conj()
        power = product.abs() + 1e-14
        target = torch.view_as_real(product / power).permute(3, 0, 1, 2)
        weight = weights * (power / power.mean(dim=(1, 2), keepdim=True)).clamp(min=1e-8) ** 0.3
        weight = weight / weight.sum()
    return (weight * (said - target).square().sum(dim=0)).sum()


def level_loss(tones: Tensor, noise: Tensor, magnitude: Tensor, weights: Tensor) -> Tensor:
    """Mean negative log likelihood of magnitudes (B, N, F) of a tone of unknown phase in Gaussian noise (Rice 1945)."""
    power = noise.square()
    likelihood = torch.special.i0e(2.0 * magnitude * tones / power).log() - (magnitude - tones).square() / power
    loss: Tensor = weights * (power.log() - likelihood)
    return loss.mean() / weights.mean()


def vocoding_loss(net: VocoderNet, samples: Tensor, member: int, precision: str) -> dict[str, Tensor]:
    """The losses of samples (B, T); of the bins that share a turn, `member` stands for all."""
    with torch.autocast(samples.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        parts = net(MEL.levels(samples))
    bins = net.bins_of_turns(member)
    below = (bins - 1).clamp(min=0)  # the lowest has no rise, and its weight is nothing
    true = spectrum(samples, MEL)
    here = true[:, :, bins]
    own = own_turn(MEL, samples.device)[bins]
    weights = MEL.filters(samples.device).sum(dim=0).sqrt()[bins]  # bins of narrow bands are heard apart
    magnitude = (here.abs().square() + QUIETEST**2).sqrt()
    return {
        "step": turn_loss(parts.step[:, :, 1:], here[:, :-1] * own, here[:, 1:], weights),
        "rise": turn_loss(parts.rise, true[:, :, below], here, weights),
        "levels": level_loss(parts.tones[:, :, bins], parts.noise[:, :, bins], magnitude, weights),
    }


@dataclass(slots=True)
class State:
    """A run as far as it has come."""

    net: VocoderNet
    average: VocoderNet
    optimiser: torch.optim.AdamW
    step: int = 0


def new_state(config: VocoderConfig, peak: float, weights: dict[str, Tensor] | None = None) -> State:
    """A run at step 0, initialised at random, always alike, or from given weights."""
    torch.manual_seed(0)
    net, average = VocoderNet(config, MEL), VocoderNet(config, MEL)
    if weights is not None:
        net.load_state_dict(weights)
    average.load_state_dict(net.state_dict())
    average.requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, betas=(0.8, 0.98), weight_decay=0.01, fused=True)
    return State(net, average, optimiser)


def rate(peak: float, step: int, steps: int) -> float:
    """Learning rate: 200 steps of warm-up, constant, and a straight fall to nothing over the last 40 %."""
    return peak * min(1.0, (step + 1) / 200.0, (steps - step) / (0.4 * steps))


def train_step(state: State, samples: Tensor, learning_rate: float, precision: str) -> dict[str, float]:
    """One step of the optimiser; returns its losses."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate
    losses = vocoding_loss(state.net, samples, state.step % state.net.config.group, precision)
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
    state.optimiser.step()
    decay = min(0.998, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for ours, theirs in zip(state.average.parameters(), state.net.parameters(), strict=True):
            ours.lerp_(theirs, 1.0 - decay)
    state.step += 1
    return {name: loss.item() for name, loss in losses.items()}


def save_state(state: State, folder: Path) -> None:
    """Write network, average and optimiser as one file, whole or not at all, and the average as a vocoder."""
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for index, slot in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in slot.items()}
    partial = folder / "state.partial"
    save_file(tensors, partial, metadata={"step": str(state.step)})
    partial.rename(folder / STATE)
    save_vocoder(state.average, folder / WEIGHTS)


def load_state(state: State, folder: Path) -> State:
    """Go on with the run saved in `folder`; `state` must be of the same sizes."""
    tensors = load_file(folder / STATE)
    state.net.load_state_dict(_part(tensors, "net."))
    state.average.load_state_dict(_part(tensors, "average."))
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = value
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": slots, "param_groups": groups})
    state.step = int(slots[0]["step"])
    return state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def main(given: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder written by audiodiff.training.packing")
    parser.add_argument("out", type=Path, help="folder for the state and the weights; a run found there goes on")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--effects", type=Path, help="a manifest.csv whose sound effects are learnt as well")
    parser.add_argument("--weights", type=Path, help="a vocoder to begin with, instead of at random")
    parser.add_argument("--stop-after-s", type=float, default=float("inf"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(given)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = list(kit_effects(args.effects)) if args.effects else []
    excerpts = Excerpts(Pack(args.pack), clips)
    weights = load_vocoder(args.weights).net.state_dict() if args.weights else None
    state = new_state(VocoderConfig(), args.peak, weights)
    if (args.out / STATE).exists():
        load_state(state, args.out)
    train(state, excerpts, args)


def train(state: State, excerpts: Excerpts, args: argparse.Namespace) -> None:
    """Go on to the last step or to the end of the time given, saving every two minutes."""
    started = saved = time.monotonic()
    seen: list[dict[str, float]] = []
    while state.step < args.steps:
        learning_rate = rate(args.peak, state.step, args.steps)
        samples = excerpts.draw(state.step, args.batch)
        seen.append(train_step(state, samples, learning_rate, args.precision))
        if len(seen) == 50:
            means = ", ".join(f"{name} {np.mean([losses[name] for losses in seen]):.4f}" for name in seen[0])
            print(f"step {state.step}: {means} after {time.monotonic() - started:.0f} s", flush=True)
            seen = []
        if time.monotonic() - saved > SAVE_EVERY_S:
            save_state(state, args.out)
            saved = time.monotonic()
        if time.monotonic() - started > args.stop_after_s:
            break
    save_state(state, args.out)


if __name__ == "__main__":
    main()
