"""Our own generator: effects, music and a voice from one network, and the same network to edit recordings.

A diffusion transformer (`nets.meldit`) flows from noise to log-mel levels (`diffusion.flow`), and a vocoder makes them
sound. Both are trained here; model cards: docs/models/generator.md, docs/models/vocoder.md.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiodiff.diffusion.flow import Kept, Velocity, euler, guided, mixed, rolling, steps_from, windowed
from audiodiff.errors import ConfigError
from audiodiff.generate.records import Draw, Prompt, Request
from audiodiff.generate.sentences import embed
from audiodiff.generate.speech.durations import phone_durations, phone_track
from audiodiff.generate.speech.text import speak_phones
from audiodiff.generators.checkpoint import KINDS, VOICE, Drawer, load_drawer
from audiodiff.generators.job import Job, Splice
from audiodiff.generators.limits import guidance_of, refuse
from audiodiff.generators.vocoder import Vocoder, load_vocoder
from audiodiff.nets.meldit import Wish
from audiodiff.waveform import Waveform

DEFAULTS = {"sfx": Draw(16, 3.0), "music": Draw(16, 3.0), "voice": Draw(16, 2.0)}
DEFAULT_S = {"sfx": 4.0, "music": 8.0}
_WINDOW, _HOP = 576, 288
"""Frames: the longest the network was trained on, and how far its windows lie apart in longer sounds."""

_TURN = 0.381966
"""Of its length, by which a loop is turned between steps: the golden section, so that no place comes twice."""

_CONTEXT_S = 2.0
"""Of a recording that is continued, as much is shown to the network."""

_AROUND, _MEET = 32, 2
"""Frames that a vocoder is shown beyond the ends of a loop, and over which the ends are faded into each other."""

_REFERENCE_PEAK = 0.7
"""What training brought recordings to (`training.captioned`)."""


class OwnGenerator:
    """`Generator` of the shipped checkpoints."""

    name = "audiodiff"
    license = "CC0-1.0"
    kinds = frozenset(KINDS)
    edits = frozenset({"new", "variation", "inpaint", "continue", "loop"})
    batch = 8

    def __init__(self, drawer: Drawer, vocoder: Vocoder, device: str) -> None:
        self.drawer, self.vocoder, self.device = drawer, vocoder, device
        self.mel = drawer.mel
        self.sample_rate = drawer.mel.rate_hz
        self.sha256 = hashlib.sha256(f"{drawer.sha256}{vocoder.sha256}".encode()).hexdigest()

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """Its own defaults by kind; influence 0 is no guidance, 1 twice the default's."""
        usual = DEFAULTS[request.prompt.kind]
        guidance = draw.guidance or usual.guidance
        return Draw(draw.steps or usual.steps, guidance_of(guidance, request.prompt.influence))

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        """A take of one channel for each request; those of the same prompt are drawn as one batch, if no voice is.

        Each take of a voice is spoken at a tempo of its own, and so has its own length.
        """
        for request in requests:
            refuse(self, request)
        takes: list[Waveform] = []
        for prompt, alike in groupby(requests, key=lambda request: request.prompt):
            batch = list(alike)
            for part in [[one] for one in batch] if prompt.kind == "voice" else [batch]:
                takes += self._takes(part, draw)
        return takes

    @torch.inference_mode()
    def _takes(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        job = self._job(requests[0])
        how = self.resolve(requests[0], draw)
        noise = torch.stack([self._noise(request.seed, job.frames) for request in requests]).to(self.device)
        wished, free = (self._velocity(wish.repeated(len(requests))) for wish in (job.wish, job.unwished))
        velocity = guided(wished, free, how.guidance)
        times = steps_from(job.first_time, how.steps)
        if job.loop:
            velocity = rolling(velocity, {t: round(_TURN * n * job.frames) for n, t in enumerate(times)})
        data = job.data.expand(len(requests), -1, -1) if job.data is not None else None
        first = torch.full((len(requests),), job.first_time, device=noise.device)
        x = noise if data is None else mixed(noise, data, first)
        kept = Kept(data, job.mask.to(data.device)) if data is not None and job.mask is not None else None
        levels = self.drawer.scale.levels(euler(velocity, x, times, kept))
        sound = self._sound(levels, job)
        sounds = (sound - sound.mean(dim=1, keepdim=True)).cpu().numpy()  # the vocoder knows no zero
        return [Waveform(job.finished(sound)[None], self.sample_rate) for sound in sounds]

    def _noise(self, seed: int, frames: int) -> Tensor:
        """(bands, N), by the CPU's generator so that every device begins alike."""
        return torch.randn(self.mel.bands, frames, generator=torch.Generator().manual_seed(seed))

    def _velocity(self, wish: Wish) -> Velocity:
        def at(x: Tensor, t: float, start: int) -> Tensor:
            times = torch.full((len(x),), t, device=x.device)
            velocity: Tensor = self.drawer.net(x, times, wish.inside(start, x.shape[-1]))
            return velocity

        return windowed(at, _WINDOW, _HOP)

    def _sound(self, levels: Tensor, job: Job) -> Tensor:
        """Levels (B, bands, N) to samples (B, N * hop); of a loop what would follow the end is faded into the start."""
        hop, length = self.mel.hop, job.frames * self.mel.hop
        if not job.loop:
            return self.vocoder.sound(torch.cat([levels, levels[..., -1:]], dim=-1))[:, :length]
        around = min(_AROUND, job.frames)
        wrapped = torch.cat([levels[..., -around:], levels, levels[..., :around]], dim=-1)
        sound = self.vocoder.sound(wrapped)[:, around * hop :]
        meeting = torch.linspace(0.0, 0.5 * math.pi, _MEET * hop, device=sound.device)
        loop = sound[:, :length].clone()
        loop[:, : len(meeting)] *= meeting.sin()
        loop[:, : len(meeting)] += sound[:, length : length + len(meeting)] * meeting.cos()
        return loop

    def _job(self, request: Request) -> Job:
        """What the takes of a prompt share."""
        prompt = request.prompt
        if prompt.kind == "voice":
            return self._spoken(prompt, request.seed)
        if prompt.edit == "new":
            return self._plain(prompt, prompt.duration_s or _whole_beats(prompt))
        assert request.reference is not None
        return self._edited(prompt, request.reference)

    def _plain(self, prompt: Prompt, duration_s: float, phones: Tensor | None = None) -> Job:
        samples = round(duration_s * self.sample_rate)
        frames = self._frames(samples)
        wish = Wish(
            embed([prompt.prompt]), torch.tensor([KINDS.index(prompt.kind) + 1]),
            torch.zeros(1, frames, dtype=torch.long) if phones is None else phones[None],
            torch.tensor([duration_s]), torch.tensor([float(prompt.tempo_bpm)]),
        )  # fmt: skip
        unwished = replace(wish.nothing(), text=embed([prompt.negative]))  # of no words it is zero
        return Job(wish.to(self.device), unwished.to(self.device), frames, samples, prompt.loop)

    def _frames(self, samples: int) -> int:
        patch = self.drawer.net.config.patch
        return max(1, math.ceil(samples / self.mel.hop / patch)) * patch

    def _spoken(self, prompt: Prompt, seed: int) -> Job:
        if prompt.edit != "new" or prompt.loop:
            raise ConfigError("a voice can neither be looped nor made of a reference")
        words = speak_phones(prompt.text)  # the prompt says how, but there is only one voice
        phones = [phone for word in words for phone in word.phones]
        seconds = phone_durations(words, seed=seed)
        if prompt.duration_s:
            seconds = [one * prompt.duration_s / sum(seconds) for one in seconds]
        frames = self._frames(round(sum(seconds) * self.sample_rate))
        track = phone_track(phones, seconds, self.mel.frames_per_s, frames)
        return self._plain(replace(prompt, prompt=VOICE), sum(seconds), track)

    def _edited(self, prompt: Prompt, reference: Waveform) -> Job:
        sound = reference.mono().resample(self.sample_rate).samples[0]
        gain = _REFERENCE_PEAK / max(float(np.abs(sound).max(initial=0.0)), 1e-6)
        sound = gain * sound
        if prompt.edit == "variation":
            length = prompt.duration_s or len(sound) / self.sample_rate
            job = self._plain(prompt, length)
            return replace(job, data=self._levels(sound, job.frames), first_time=1.0 - max(prompt.strength, 0.02))
        if prompt.edit == "inpaint":
            return self._inpainted(prompt, sound)
        return self._continued(prompt, sound)

    def _inpainted(self, prompt: Prompt, sound: NDArray[np.float32]) -> Job:
        """A stretch anew: the network sees what is around it, and only the stretch is put into the recording."""
        if prompt.start_s * self.sample_rate >= len(sound):
            raise ConfigError(f"start_s {prompt.start_s:g} lies behind the reference's end")
        job = self._plain(prompt, len(sound) / self.sample_rate)
        start, stop = (round(at * self.sample_rate) for at in (prompt.start_s, prompt.end_s))
        stop = min(stop, len(sound))
        kept = _outside(job.frames, start / self.mel.hop, stop / self.mel.hop)
        return replace(job, data=self._levels(sound, job.frames), mask=kept, splice=Splice(sound, start, stop))

    def _continued(self, prompt: Prompt, sound: NDArray[np.float32]) -> Job:
        """What comes after a recording: the network sees its end, and the recording is put before what it draws."""
        shown = sound[-round(_CONTEXT_S * self.sample_rate) :]
        shown = shown[len(shown) % self.mel.hop :]
        more = round((prompt.duration_s or DEFAULT_S[prompt.kind]) * self.sample_rate)
        job = self._plain(prompt, (len(shown) + more) / self.sample_rate)
        kept = _outside(job.frames, len(shown) / self.mel.hop, job.frames)
        splice = Splice(sound, len(sound), len(sound) + more, len(sound) - len(shown))
        return replace(job, data=self._levels(shown, job.frames), mask=kept, splice=splice)

    def _levels(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        padded = np.zeros(frames * self.mel.hop, np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        levels = self.mel.levels(torch.from_numpy(padded)[None].to(self.device))[..., :frames]
        return self.drawer.scale.scaled(levels)


def _whole_beats(prompt: Prompt) -> float:
    """The default length, for a tempo rounded to bars of four beats."""
    wanted = DEFAULT_S[prompt.kind]
    if not prompt.tempo_bpm:
        return wanted
    bar = 4.0 * 60.0 / prompt.tempo_bpm
    return max(1, round(wanted / bar)) * bar


def _outside(frames: int, start: float, stop: float) -> Tensor:
    """(1, 1, N): 1 for frames that are kept, 0 from `start` to `stop`."""
    mask = torch.ones(1, 1, frames)
    mask[..., math.floor(start) : math.ceil(stop)] = 0.0
    return mask


def load_default(device: str) -> OwnGenerator:
    """The shipped generator and vocoder."""
    folder = Path(str(resources.files("audiodiff"))) / "weights"
    drawer = load_drawer(folder / "generator.safetensors", device)
    return OwnGenerator(drawer, load_vocoder(folder / "vocoder-48k.safetensors", device), device)
