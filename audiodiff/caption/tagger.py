"""The sound tagger: which of a few classes is heard in a clip, how surely, and where the clip lies among others."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchaudio
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiodiff.caption import Heard
from audiodiff.curate.records import Caption, Tag
from audiodiff.errors import EngineError
from audiodiff.nets.tagger import TaggerConfig, TaggerNets
from audiodiff.waveform import Waveform

FORMAT = "audiodiff-tagger-1"
KEY = "audiodiff"
WEIGHTS = Path(__file__).parent.parent / "weights" / "tagger.safetensors"

RATE_HZ, BANDS, HOP = 32_000, 64, 640
WINDOW, STEP = 128, 64
"""Frames of 20 ms: 2.56 s hold a bark or some ticks of a clock, and train twice as fast as 5 s."""

OTHER = "other"
"""The class of what is none of the classes; it is never a tag."""

_SILENCE_DB = -60.0  # below the loudest frame; ESC-10 pads with silence, which says nothing of the sound
_INAUDIBLE_DB = -80.0  # mean power of a frame's bands, the floor of 16 bits
_RANGE_DB, _SCALE_DB = 80.0, 20.0
_FLOOR, _MOST_TAGS = 0.05, 5
_BATCH = 32

PHRASES = {
    "baby cry": "a baby crying",
    "chainsaw": "a chainsaw running",
    "clock tick": "a clock ticking",
    "dog bark": "a dog barking",
    "fire crackling": "a fire crackling",
    "helicopter": "a helicopter flying",
    "person sneeze": "a person sneezing",
    "rain": "rain falling",
    "rooster": "a rooster crowing",
    "sea waves": "sea waves breaking",
    "speech": "a person speaking",
    "music": "music playing",
}
"""Class to what a caption says of it; a class without one is its own phrase."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logits are divided by `temperature`; a caption needs a probability of `threshold`."""

    temperature: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Tagged:
    """Tags, the surest first, and the place in the space of sounds: unit norm, empty for silence."""

    tags: tuple[Tag, ...]
    embedding: tuple[float, ...]


def log_mel(waveform: Waveform) -> Tensor:
    """Mel powers in decibels (F, N) of the mean of the channels, less the frames in which nothing is heard."""
    mono = torch.from_numpy(waveform.mono().resample(RATE_HZ).samples[0].copy())
    if len(mono) < 2 * HOP:  # reflection at the ends needs some samples
        return torch.zeros(BANDS, 0)
    levels_db = 10.0 * torch.log10(_mel()(mono) + 1e-12)  # (F, N)
    loudness_db = levels_db.amax(dim=0)
    floor_db = max(float(loudness_db.max()) + _SILENCE_DB, _INAUDIBLE_DB)
    return levels_db[:, loudness_db > floor_db]


def windows_of(levels_db: Tensor) -> Tensor:
    """Windows (W, F, 128), half overlapping, of levels (F, N > 0); a short sound is repeated."""
    frames = levels_db.shape[1]
    if frames < WINDOW:
        levels_db = levels_db.repeat(1, -(-WINDOW // frames))[:, :WINDOW]
    starts = [*range(0, levels_db.shape[1] - WINDOW, STEP), levels_db.shape[1] - WINDOW]
    return torch.stack([levels_db[:, start : start + WINDOW] for start in starts])


def normalise(windows_db: Tensor) -> Tensor:
    """Windows (W, F, N) in decibels to what the network takes: loudness and gain no longer matter."""
    top = windows_db.amax(dim=(1, 2), keepdim=True)
    limited = torch.maximum(windows_db, top - _RANGE_DB)
    return (limited - limited.mean(dim=(1, 2), keepdim=True)) / _SCALE_DB


@functools.cache
def _mel() -> torchaudio.transforms.MelSpectrogram:
    return torchaudio.transforms.MelSpectrogram(
        RATE_HZ, n_fft=2048, win_length=2 * HOP, hop_length=HOP, f_min=50.0, f_max=14_000.0, n_mels=BANDS
    )


class Tagger:
    """Tags clips and says what the surest tag is; a captioner."""

    name = "tagger"

    def __init__(self, nets: TaggerNets, classes: tuple[str, ...], calibration: Calibration, sha256: str) -> None:
        self.classes, self.calibration, self.sha256 = classes, calibration, sha256
        self._nets = nets.eval().requires_grad_(requires_grad=False)

    def tag(self, clips: Sequence[Waveform]) -> list[Tagged]:
        """Tags of at least 5 %, at most five, and the embedding of each clip; a silent clip has none."""
        heard = [log_mel(clip) for clip in clips]
        parts = [normalise(windows_of(levels)) if levels.shape[1] else levels.new_zeros(0, BANDS, WINDOW)
                 for levels in heard]  # fmt: skip
        counts = [len(part) for part in parts]
        if not sum(counts):
            return [Tagged((), ())] * len(clips)
        logits, embeddings = self._run(torch.cat(parts))
        return list(
            map(self._tagged, torch.split_with_sizes(logits, counts), torch.split_with_sizes(embeddings, counts))
        )

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """What each clip's surest tag says, None below the threshold; tags that a clip already has are used."""
        unknown = [clip for clip in clips if not clip.tags]
        found = iter(self.tag([clip.sound for clip in unknown]))
        return [self._say(clip.tags or next(found).tags) for clip in clips]

    def _run(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        device = next(self._nets.parameters()).device
        with torch.inference_mode():
            outputs = [self._nets(batch.to(device)) for batch in torch.split(windows, _BATCH)]
        logits, embeddings = zip(*outputs, strict=True)
        return torch.cat(logits).cpu(), torch.cat(embeddings).cpu()

    def _tagged(self, logits: Tensor, embeddings: Tensor) -> Tagged:
        """From the logits (W, classes) and embeddings (W, E) of a clip's windows."""
        if not len(logits):
            return Tagged((), ())
        shares = (logits.mean(dim=0) / self.calibration.temperature).softmax(dim=0).tolist()
        tags = [Tag(label, share) for label, share in zip(self.classes, shares, strict=True)
                if label != OTHER and share >= _FLOOR]  # fmt: skip
        tags.sort(key=lambda tag: -tag.confidence)
        embedding = torch.nn.functional.normalize(embeddings.mean(dim=0), dim=0)
        return Tagged(tuple(tags[:_MOST_TAGS]), tuple(embedding.tolist()))

    def _say(self, tags: Sequence[Tag]) -> Caption | None:
        known = [tag for tag in tags if tag.label in self.classes]
        best = max(known, key=lambda tag: tag.confidence, default=None)
        if best is None or best.confidence < self.calibration.threshold:
            return None
        return Caption(self.name, PHRASES.get(best.label, best.label), best.confidence)


def save_tagger(nets: TaggerNets, classes: Sequence[str], calibration: Calibration, path: Path) -> None:
    """Write the weights, rounded to half precision, and all that is needed to use them."""
    features = {"sample_rate": RATE_HZ, "bands": BANDS, "hop": HOP, "window": WINDOW}
    header = {
        "format": FORMAT,
        "classes": list(classes),
        "net": asdict(nets.config),
        "features": features,
        "calibration": asdict(calibration),
    }
    weights = {name: _stored(tensor) for name, tensor in nets.state_dict().items()}
    save_file(weights, path, metadata={KEY: json.dumps(header, sort_keys=True)})


def read_tagger(path: Path, device: str = "cpu") -> Tagger:
    """Read weights; those that are damaged or of another format raise `EngineError` naming the file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise EngineError(f"tagger {path} cannot be read: {error}") from error
    header: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    if header.get("format") != FORMAT:
        raise EngineError(f"tagger {path} is of format {header.get('format')!r}, not {FORMAT!r}")
    sizes = header["net"]
    nets = TaggerNets(TaggerConfig(**{**sizes, "widths": tuple(sizes["widths"])}))
    nets.load_state_dict(weights)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    calibration = Calibration(**header["calibration"])
    return Tagger(nets.to(torch.device(device)), tuple(header["classes"]), calibration, digest)


_lock = threading.Lock()
_loaded: dict[str, Tagger] = {}


def load_tagger(device: str = "cpu") -> Tagger:
    """The shipped tagger on a device, read once per process."""
    with _lock:
        if device not in _loaded:
            _loaded[device] = read_tagger(WEIGHTS, device)
        return _loaded[device]


def _stored(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.is_floating_point() else tensor
