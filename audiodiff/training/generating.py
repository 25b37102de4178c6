"""Train the generator: a diffusion transformer that flows from noise to the log-mel levels of a captioned sound.

`python -m audiodiff.training.generating PACK OUT` trains on a pack of `training.captioned`. All that is random depends
on the step's number, so that a run goes on exactly where it was stopped.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from audiodiff.diffusion.flow import draw_times, mixed
from audiodiff.diffusion.mel import Mel
from audiodiff.generators.checkpoint import KINDS, Scale, save_generator
from audiodiff.nets.meldit import MelDiT, MelDiTConfig, Wish
from audiodiff.training.captioned import INDEX, LEVELS, PHONES, SENTENCES
from audiodiff.training.curves import Curves
from audiodiff.training.state import STATE, follow, load_state, save_state

CHECKPOINT = "generator.safetensors"
_FLOOR = math.log(1e-5)
_LOG_EVERY, _SAVE_EVERY_S = 50, 120.0
_LONG = 2_000  # frames: what is longer is not drawn more often
_RISE = 2.5  # nepers of a frame over the one three before it: where something begins


@dataclass(frozen=True, slots=True)
class GeneratorRecipe:
    """All that decides a run besides its data. `shares` are of the kinds, `windows` lengths in frames.

    A batch holds about `frames` frames of one length. A share of `silence` is told nothing, which guidance needs.
    `shift` is by how many mel bands an effect is moved at most, which makes more of few recordings.
    """

    steps: int = 6_000
    frames: int = 6_144
    windows: tuple[int, ...] = (96, 192, 384, 576)
    shares: dict[str, float] = field(default_factory=lambda: {"sfx": 0.6, "music": 0.15, "voice": 0.25})
    peak_rate: float = 1e-3
    last_rate: float = 1e-5
    warmup: int = 200
    decay_share: float = 0.6
    ema: float = 0.999
    clip_norm: float = 1.0
    silence: float = 0.12
    shift: int = 2
    bfloat16: bool = True
    seed: int = 0
    net: MelDiTConfig = field(default_factory=MelDiTConfig)


@dataclass(slots=True)
class GeneratorState:
    """A run in progress."""

    net: MelDiT
    average: MelDiT
    optimiser: torch.optim.AdamW
    step: int = 0


@dataclass(frozen=True, slots=True)
class _Sound:
    """A recording of a pack, and frames of it just before which something begins."""

    kind: str
    captions: tuple[str, ...]
    tempo_bpm: float
    start: int
    frames: int
    onsets: NDArray[np.int64]


class CaptionedPack:
    """A pack opened for reading: levels by memory map, phones, sentences, and the sounds."""

    def __init__(self, folder: Path) -> None:
        self.levels: NDArray[np.float16] = np.load(folder / LEVELS, mmap_mode="r")
        self.phones: NDArray[np.uint8] = np.load(folder / PHONES)
        self.sentences = load_file(folder / SENTENCES)
        self.sounds = [self._sound(row) for row in pq.read_table(folder / INDEX).to_pylist()]
        self.weights = {kind: self._weights(kind) for kind in KINDS if any(s.kind == kind for s in self.sounds)}
        self.scale = self._scale()

    def _sound(self, row: dict[str, Any]) -> _Sound:
        names = ("kind", "tempo_bpm", "start", "frames")
        onsets = self._onsets(row["start"], row["frames"])
        return _Sound(**{name: row[name] for name in names}, captions=tuple(row["captions"]), onsets=onsets)

    def _onsets(self, start: int, frames: int) -> NDArray[np.int64]:
        """Frames (K,) just before the level rises, the first one always among them."""
        power = self.levels[start : start + frames].astype(np.float32).max(axis=1)
        rises = np.flatnonzero(power[3:] - power[:-3] > _RISE)
        first = rises[np.diff(rises, prepend=-10) > 5]
        return np.concatenate([[0], first]).astype(np.int64)

    def _scale(self) -> Scale:
        """Mean of each band and the spread of all, over a sample of loud enough frames of each kind."""
        parts = []
        for kind in self.weights:
            starts = [np.arange(s.start, s.start + s.frames, 7) for s in self.sounds if s.kind == kind]
            places = np.concatenate(starts)
            some = np.random.default_rng(0).choice(places, min(20_000, len(places)), replace=False)
            levels = self.levels[np.sort(some)].astype(np.float32)
            parts.append(levels[levels.max(axis=1) > _FLOOR + 3.0])
        levels = np.concatenate(parts)
        mean = levels.mean(axis=0)
        return Scale(tuple(float(value) for value in mean), float((levels - mean).std()))

    def _weights(self, kind: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Sounds of a kind and the chance of each, by the root of its length."""
        places = [place for place, sound in enumerate(self.sounds) if sound.kind == kind]
        chances = np.sqrt([min(self.sounds[place].frames, _LONG) for place in places])
        return np.array(places), chances / chances.sum()


@dataclass(frozen=True, slots=True)
class GeneratorBatch:
    """Scaled levels (B, bands, N) and what is wished."""

    levels: Tensor
    wish: Wish


def draw_batch(pack: CaptionedPack, recipe: GeneratorRecipe, step: int) -> GeneratorBatch:
    """The batch of a step: one length, kinds by their shares."""
    rng = np.random.default_rng((recipe.seed, step))
    frames = int(rng.choice(recipe.windows))
    kinds = [kind for kind in KINDS if kind in pack.weights]
    shares = np.array([recipe.shares[kind] for kind in kinds])
    drawn = rng.choice(len(kinds), max(1, recipe.frames // frames), p=shares / shares.sum())
    parts = [_excerpt(pack, recipe, kinds[kind], frames, rng) for kind in drawn]
    levels, texts, numbers, phones, durations, tempos = zip(*parts, strict=True)
    wish = Wish(
        torch.stack(texts), torch.tensor(numbers), torch.from_numpy(np.stack(phones)).long(),
        torch.tensor(durations, dtype=torch.float32), torch.tensor(tempos, dtype=torch.float32),
    )  # fmt: skip
    return GeneratorBatch(pack.scale.scaled(torch.from_numpy(np.stack(levels)).transpose(1, 2)), wish)


_Part = tuple[NDArray[np.float32], Tensor, int, NDArray[np.uint8], float, float]


def _excerpt(pack: CaptionedPack, recipe: GeneratorRecipe, kind: str, frames: int, rng: np.random.Generator) -> _Part:
    """Levels (N, bands), sentence, number of the kind, phones (N,), seconds that sound, tempo."""
    places, chances = pack.weights[kind]
    sound = pack.sounds[int(rng.choice(places, p=chances))]
    start = _start(sound, frames, rng)
    inside = slice(sound.start + start, sound.start + min(start + frames, sound.frames))
    levels, phones = pack.levels[inside].astype(np.float32), pack.phones[inside]
    levels = np.maximum(levels + rng.normal(0.0, 0.25), _FLOOR)
    if kind == "sfx" and recipe.shift:
        levels = _moved(levels, int(rng.integers(-recipe.shift, recipe.shift + 1)))
    sounding = np.flatnonzero(levels.max(axis=1) > max(_FLOOR + 1.0, levels.max() - 7.0))
    duration_s = float(sounding[-1] + 1 if len(sounding) else len(levels)) / Mel().frames_per_s
    levels = np.pad(levels, ((0, frames - len(levels)), (0, 0)), constant_values=_FLOOR)
    phones = np.pad(phones, (0, frames - len(phones)))
    text = pack.sentences[str(rng.choice(np.array(sound.captions)))]
    kind_number, tempo = KINDS.index(kind) + 1, sound.tempo_bpm
    silent = rng.random()
    if silent < recipe.silence:  # nothing is wished at all
        text, kind_number, phones, tempo = torch.zeros_like(text), 0, np.zeros_like(phones), 0.0
    elif silent < 1.5 * recipe.silence:  # only the kind
        text, tempo = torch.zeros_like(text), 0.0
    return levels, text, kind_number, phones, duration_s, float(tempo)


def _start(sound: _Sound, frames: int, rng: np.random.Generator) -> int:
    """Where an excerpt begins: mostly where something does, else anywhere."""
    if sound.frames <= frames:
        return 0
    usable = sound.onsets[sound.onsets < sound.frames - frames // 2]
    if len(usable) and rng.random() < 0.6:
        return int(rng.choice(usable))
    return int(rng.integers(0, sound.frames - frames + 1))


def _moved(levels: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    moved = np.roll(levels, bands, axis=1)
    if bands > 0:
        moved[:, :bands] = levels[:, :1]
    elif bands < 0:
        moved[:, bands:] = levels[:, -1:]
    return moved


def new_generator_state(recipe: GeneratorRecipe, device: torch.device) -> GeneratorState:
    """A run at step 0."""
    torch.manual_seed(recipe.seed)
    net, average = MelDiT(recipe.net).to(device), MelDiT(recipe.net).to(device)
    average.load_state_dict(net.state_dict())
    average.requires_grad_(requires_grad=False)
    return GeneratorState(net, average, torch.optim.AdamW(net.parameters(), recipe.peak_rate, betas=(0.9, 0.98)))


def train_step(state: GeneratorState, recipe: GeneratorRecipe, batch: GeneratorBatch) -> float:
    """One step of the optimiser; returns the mean squared error of the velocity."""
    device = next(state.net.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = _rate(recipe, state.step)
    generator = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + state.step)
    data, wish = batch.levels.to(device), batch.wish.to(device)
    noise = torch.randn(data.shape, generator=generator, device=device)
    t = draw_times(len(data), generator)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
        velocity = state.net(mixed(noise, data, t), t, wish)
    loss = (velocity.float() - (data - noise)).square().mean()
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimiser.step()
    follow(state.average, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    state.step += 1
    return float(loss.detach())


def _rate(recipe: GeneratorRecipe, step: int) -> float:
    """Linear warm-up, constant, then linear down (see `recipes.learning_rate`)."""
    left = min(1.0, (recipe.steps - step) / max(1.0, recipe.decay_share * recipe.steps))
    decayed = recipe.last_rate + (recipe.peak_rate - recipe.last_rate) * left
    return min(decayed, recipe.peak_rate * (step + 1) / recipe.warmup)


def train_generator(
    pack: CaptionedPack, recipe: GeneratorRecipe, folder: Path, device: str, stop_after_s: float = math.inf
) -> GeneratorState:
    """Run to the recipe's end or for so long, saving every two minutes; a state in the folder is continued."""
    started = saved = time.monotonic()
    state = new_generator_state(recipe, torch.device(device))
    if (folder / STATE).exists():
        load_state(state, folder)
    curves, losses = Curves(folder, state.step), []
    while state.step < recipe.steps and time.monotonic() - started < stop_after_s:
        losses.append(train_step(state, recipe, draw_batch(pack, recipe, state.step)))
        if state.step % _LOG_EVERY == 0:
            curves.add(state.step, loss=float(np.mean(losses)), rate=_rate(recipe, state.step))
            print(f"step {state.step:,}: loss {np.mean(losses):.4f}, {time.monotonic() - started:.0f} s", flush=True)
            losses = []
        if time.monotonic() - saved > _SAVE_EVERY_S:
            _save(state, pack, folder)
            saved = time.monotonic()
    curves.close()
    _save(state, pack, folder)
    return state


def _save(state: GeneratorState, pack: CaptionedPack, folder: Path) -> None:
    save_state(state, folder)
    save_generator(state.average, pack.scale, Mel(), folder / CHECKPOINT)


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder written by audiodiff.training.captioned")
    parser.add_argument("out", type=Path, help="folder of the run; a state found there is continued")
    parser.add_argument("--steps", type=int, default=GeneratorRecipe().steps, help="length of the schedule")
    parser.add_argument("--stop-after-s", type=float, default=math.inf, help="save and leave after this many seconds")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0 leaves it to torch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = GeneratorRecipe(steps=args.steps)
    train_generator(CaptionedPack(args.pack), recipe, args.out, args.device, args.stop_after_s)


if __name__ == "__main__":
    main()
