"""Train the sound tagger from a kit of labelled sounds: cross-validation, calibration, weights and measurements.

`python -m audiodiff.training.tagging KIT OUT --package music:DIR --package speech:DIR` does all from nothing. Each of
three nets is trained without one of ESC-10's folds 1 to 3; that fold says what the net can do. The nets then vote.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from audiodiff.caption.tagger import BANDS, OTHER, WINDOW, Calibration, log_mel, normalise, save_tagger, windows_of
from audiodiff.nets.tagger import TaggerConfig, TaggerNet, TaggerNets
from audiodiff.training.sounds import ESC, FOLDS, SPEEDS, TEST, Sound, kit_sounds, package_sounds, read_features
from audiodiff.waveform import Waveform

_SPANS = 6.5
"""The moving average of a net spans so many times less than its training: 100 steps of 650."""

_MARGIN = 0.02  # the tag of white noise varies by 0.01 from one draw to the next

Labelled = tuple[list[list[Tensor]], list[int]]
"""The levels (F, N) of sounds at each speed, and their classes."""


class Windows:
    """Draws augmented windows of sounds, each class as often as the others, those of `broad` three times."""

    def __init__(self, features: list[list[Tensor]], labels: list[int], broad: Sequence[int], seed: int) -> None:
        usable = [i for i, levels in enumerate(features) if min(part.shape[1] for part in levels)]
        self._features, self._classes = features, max(labels) + 1
        self._of = {k: [i for i in usable if labels[i] == k] for k in sorted({labels[i] for i in usable})}
        self._shares = np.array([3.0 if k in broad else 1.0 for k in self._of])
        self._random = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Normalised windows (B, F, N) and what share of them each class has (B, classes)."""
        classes = self._random.choice(list(self._of), count, p=self._shares / self._shares.sum())
        windows = torch.stack([self._window(int(k)) for k in classes])
        targets = torch.nn.functional.one_hot(torch.from_numpy(classes), self._classes).float()
        return augment(windows, targets, self._generator)

    def _window(self, label: int) -> Tensor:
        levels = self._features[self._random.choice(self._of[label])][self._random.integers(len(SPEEDS))]
        if levels.shape[1] < WINDOW:
            levels = levels.repeat(1, -(-WINDOW // levels.shape[1]))
        starts = self._random.integers(0, levels.shape[1] - WINDOW + 1, 2)
        crops = [levels[:, start : start + WINDOW] for start in starts]
        crop: Tensor = max(crops, key=lambda crop: float(crop.max()))  # a bark rather than the pause after it
        return crop.roll(int(self._random.integers(WINDOW)), dims=1) if self._random.random() < 0.3 else crop


def augment(windows_db: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix, filter, cover with noise, cut the top off and mask; all on mel powers, which costs next to nothing.

    Windows (B, F, N) in decibels and targets (B, classes); the windows come back normalised.
    """
    count = len(windows_db)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *(shape or (1, 1)), generator=generator)

    levels = windows_db - windows_db.amax(dim=(1, 2), keepdim=True)
    gap_db = draw(0.0, 40.0)
    shares = torch.sigmoid(gap_db[:, :, 0] / 5.0)  # of the louder sound: half at equal levels, nearly all from 20 dB
    mixed = _sum_db(levels, levels.roll(1, 0) - gap_db)
    use = draw(0.0, 1.0) < 0.5
    levels = torch.where(use, mixed, levels)
    targets = torch.where(use[:, 0], shares * targets + (1.0 - shares) * targets.roll(1, 0), targets)
    band = torch.linspace(0.0, 1.0, BANDS)[None, :, None]
    for waves in (0.5, 1.0, 2.0):
        levels = levels + draw(-5.0, 5.0) * torch.cos(math.pi * (waves * band + draw(0.0, 2.0)))
    noise = draw(-90.0, -15.0) + draw(-20.0, 20.0) * band + 4.0 * torch.randn(levels.shape, generator=generator)
    levels = torch.where(draw(0.0, 1.0) < 0.5, _sum_db(levels, noise), levels)
    cut = draw(0.0, 1.0) < 0.25  # telephones and low bit rates end at 4 to 11 kHz
    levels = torch.where(cut & (band > draw(0.5, 0.95)), torch.full_like(levels, -200.0), levels)
    planes = normalise(levels)
    for _ in range(2):
        planes = _mask(planes, 1, 10, generator)
        planes = _mask(planes, 2, 24, generator)
    return planes, targets


def _sum_db(a: Tensor, b: Tensor) -> Tensor:
    scale = math.log(10.0) / 10.0
    total: Tensor = torch.logaddexp(a * scale, b * scale) / scale
    return total


def _mask(planes: Tensor, dim: int, widest: int, generator: torch.Generator) -> Tensor:
    """Set a random stretch along `dim` to the mean (SpecAugment, Park et al. 2019)."""
    length = planes.shape[dim]
    start = torch.randint(0, length, (len(planes), 1), generator=generator)
    width = torch.randint(0, widest + 1, (len(planes), 1), generator=generator)
    index = torch.arange(length)
    masked = (index >= start) & (index < start + width)  # (B, length)
    return planes.masked_fill(masked.unsqueeze(3 - dim), 0.0)


class Trainee:
    """A net in training and its moving average."""

    def __init__(self, net: TaggerNet, windows: Windows, steps: int, peak: float) -> None:
        self.windows = windows
        self.net = net
        average = get_ema_multi_avg_fn(max(0.0, 1.0 - _SPANS / steps))  # type: ignore[no-untyped-call]
        self.mean = AveragedModel(self.net, multi_avg_fn=average, use_buffers=True)
        self._optimizer = torch.optim.AdamW(self.net.parameters(), lr=peak, weight_decay=0.02)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimizer, peak, total_steps=steps + 1)

    def step(self, batch: int) -> float:
        """One step; returns the loss."""
        x, targets = self.windows.draw(batch)
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16):  # 40 % less time where the processor has it
            logits, _ = self.net(x)
        loss = torch.nn.functional.cross_entropy(logits.float(), targets, label_smoothing=0.05)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        self.mean.update_parameters(self.net)
        return loss.item()


def train(trainees: Sequence[Trainee], steps: int, out: Path, batch: int = 32, every_s: float = 60.0) -> None:
    """Train the nets side by side; their means are kept in `out` every minute and at the end."""
    due = time.monotonic() + every_s
    for step in range(steps):
        losses = [trainee.step(batch) for trainee in trainees]
        if time.monotonic() > due or step + 1 == steps:
            print(f"step {step + 1} of {steps}: loss {sum(losses) / len(losses):.3f}", flush=True)
            save_file(voters(trainees).state_dict(), out / "state.safetensors")
            due = time.monotonic() + every_s


def voters(trainees: Sequence[Trainee]) -> TaggerNets:
    """The moving averages of the nets, together."""
    nets = TaggerNets(replace(trainees[0].net.config, nets=len(trainees)))
    for net, trainee in zip(nets.nets, trainees, strict=True):
        net.load_state_dict(trainee.mean.module.state_dict())
    return nets.eval()


@dataclass(frozen=True, slots=True)
class Scored:
    """Logits of sounds (S, classes) by nets that never heard them, and their true classes (S,)."""

    logits: Tensor
    truth: Tensor


def score(net: torch.nn.Module, features: Sequence[list[Tensor]], labels: Sequence[int]) -> Scored:
    """What a net says of whole sounds: the mean over their windows, silent sounds left out."""
    rows, truth = [], []
    net.eval()
    with torch.inference_mode():
        for levels, label in zip(features, labels, strict=True):
            if levels[0].shape[1]:
                rows.append(net(normalise(windows_of(levels[0])))[0].mean(dim=0))
                truth.append(label)
    return Scored(torch.stack(rows), torch.tensor(truth))


def calibrate(scored: Scored, other: int, precision: float = 0.9) -> Calibration:
    """The temperature of least cross-entropy, and the least threshold above which `precision` of what is said holds.

    Source of the first: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    losses = {t: torch.nn.functional.cross_entropy(scored.logits / t, scored.truth) for t in np.arange(0.3, 3.0, 0.02)}
    temperature = float(min(losses, key=lambda t: float(losses[t])))
    shares = (scored.logits / temperature).softmax(dim=1)
    sure, said = shares.max(dim=1)
    sure = sure.masked_fill(said == other, 0.0)
    for threshold in np.arange(0.3, 0.99, 0.01):
        above = sure >= threshold
        if above.any() and (said == scored.truth)[above].float().mean() >= precision:
            break
    return Calibration(round(temperature, 3), round(float(threshold), 3))


def silent_on_noise(nets: TaggerNets, calibration: Calibration, other: int) -> Calibration:
    """The threshold raised to where nothing is said of white noise, which sounds like rain."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 10 * 32_000))
    scored = score(nets, [[log_mel(Waveform(noise.astype(np.float32), 32_000))]], [other])
    shares = (scored.logits[0] / calibration.temperature).softmax(dim=0)
    shares[other] = 0.0
    return replace(calibration, threshold=round(max(calibration.threshold, float(shares.max()) + _MARGIN), 3))


def measure(scored: Scored, calibration: Calibration, other: int) -> dict[str, float]:
    """Accuracy, expected calibration error, and of what the captioner says: how much, how much of it is right.

    `ece` has ten bins of equal width. `abstains_on_other` is the share of foreign sounds that it says nothing of.
    """
    sure, said = (scored.logits / calibration.temperature).softmax(dim=1).max(dim=1)
    right = (said == scored.truth).float()
    bins = (sure * 10).long().clamp(max=9)
    gaps = [float((right[bins == b].sum() - sure[bins == b].sum()).abs()) for b in range(10)]
    spoken, foreign = (said != other) & (sure >= calibration.threshold), scored.truth == other
    return {
        "sounds": len(right),
        "accuracy": float(right.mean()),
        "ece": sum(gaps) / len(right),
        "captioned": float(spoken[~foreign].float().mean()),
        "precision": float(right[spoken].mean()),
        "abstains_on_other": float((~spoken)[foreign].float().mean()),
    }


def confusion(scored: Scored, classes: Sequence[str]) -> dict[str, int]:
    """How often a sound of one class was taken for another: "rain as sea waves" to how often."""
    pairs = zip(scored.truth.tolist(), scored.logits.argmax(dim=1).tolist(), strict=True)
    return dict(Counter(f"{classes[a]} as {classes[b]}" for a, b in pairs if a != b).most_common())


def baseline(known: Labelled, unknown: Labelled) -> Scored:
    """What a net must beat: a linear classifier of level, spread and change of the 64 bands."""
    x, y = _statistics(known)
    mean, spread = x.mean(dim=0), x.std(dim=0)
    weights = 1.0 / y.bincount().clamp(min=1)
    linear = torch.nn.Linear(x.shape[1], len(weights))
    optimizer = torch.optim.AdamW(linear.parameters(), lr=0.02, weight_decay=0.3)
    for _ in range(200):
        loss = torch.nn.functional.cross_entropy(linear((x - mean) / spread), y, weight=weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    x, y = _statistics(unknown)
    return Scored(linear((x - mean) / spread).detach(), y)


def _statistics(labelled: Labelled) -> tuple[Tensor, Tensor]:
    rows, truth = [], []
    for (levels, *_), label in zip(*labelled, strict=True):
        if levels.shape[1] > 1:
            centred = levels - levels.mean()
            rows.append(torch.cat([centred.mean(dim=1), centred.std(dim=1), centred.diff(dim=1).abs().mean(dim=1)]))
            truth.append(label)
    return torch.stack(rows), torch.tensor(truth)


def main() -> None:
    """Train, calibrate, write the weights and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path, help="folder with manifest.csv")
    parser.add_argument("out", type=Path, help="folder for features, state, weights and figures")
    parser.add_argument("--package", action="append", default=[], help="LABEL:DIR, may be repeated")
    parser.add_argument("--weights", type=Path, help="a state.safetensors to go on from")
    parser.add_argument("--peak", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--steps", type=int, default=600, help="steps of 32 windows for each of the three nets")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    given = [part for package in args.package for part in Path(package.split(":", 1)[1]).parts]
    sounds = [*kit_sounds(args.kit / "manifest.csv", given), *(s for p in args.package for s in package_sounds(p))]
    figures = run(sounds, args.out, args.steps, args.peak, args.weights)
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))


def run(sounds: Sequence[Sound], out: Path, steps: int, peak: float, weights: Path | None = None) -> dict[str, object]:
    """Train on the sounds of folds 1 to 3, write `out`/tagger.safetensors, and measure all folds."""
    torch.manual_seed(0)
    classes = sorted({sound.label for sound in sounds})
    other = classes.index(OTHER)
    features, labels = read_features(sounds, out), [classes.index(s.label) for s in sounds]

    def fold(wanted: Sequence[int], source: str = "") -> Labelled:
        rows = [i for i, s in enumerate(sounds) if s.fold in wanted and source in s.source]
        return [features[i] for i in rows], [labels[i] for i in rows]

    held = range(1, FOLDS + 1)
    config = TaggerConfig(len(classes), FOLDS)
    start = TaggerNets(config)
    if weights is not None:
        start.load_state_dict(load_file(weights))
    broad = [classes.index(label) for label in ("speech", OTHER)]  # a baby's cry is one sound, speech is many
    windows = [Windows(*fold([f for f in held if f != k]), broad, seed=k + steps) for k in held]
    trainees = [
        Trainee(cast("TaggerNet", net), drawn, steps, peak) for net, drawn in zip(start.nets, windows, strict=True)
    ]
    train(trainees, steps, out)
    nets = voters(trainees)
    parts = [score(net, *fold([k])) for k, net in zip(held, nets.nets, strict=True)]
    crossed = Scored(torch.cat([p.logits for p in parts]), torch.cat([p.truth for p in parts]))
    calibration = silent_on_noise(nets, calibrate(crossed, other), other)
    save_tagger(nets, classes, calibration, out / "tagger.safetensors")
    labelled = [score(net, *fold([k], ESC)) for k, net in zip(held, nets.nets, strict=True)]
    simple = [baseline(fold([f for f in held if f != k]), fold([k], ESC)) for k in held]
    tested, all_tested = score(nets, *fold([TEST], ESC)), score(nets, *fold([TEST]))
    return {
        "classes": dict(Counter(s.label for s in sounds if s.fold < TEST)),
        "calibration": asdict(calibration),
        "baseline, cross-validated ESC-10": [
            measure(part, Calibration(1.0, 0.0), other)["accuracy"] for part in simple
        ],
        "cross-validated ESC-10": [measure(part, calibration, other)["accuracy"] for part in labelled],
        "cross-validated": measure(crossed, calibration, other),
        "cross-validated confusion": confusion(crossed, classes),
        "fold 4 ESC-10": measure(tested, calibration, other),
        "fold 4 confusion": confusion(all_tested, classes),
        "all held out": measure(all_tested, calibration, other),
    }


if __name__ == "__main__":
    main()
