"""Pipelines of diffusers as generators, from a folder or the hub; `docs/howto-generators.md` says what each can do."""

from __future__ import annotations

from audiodiff.errors import ConfigError
from audiodiff.generators.pipelines.ace_step import AceStep
from audiodiff.generators.pipelines.audioldm import AudioLDM, AudioLDM2, MusicLDM
from audiodiff.generators.pipelines.family import Family
from audiodiff.generators.pipelines.files import find_pipeline, load_pipeline
from audiodiff.generators.pipelines.generator import PipelineGenerator
from audiodiff.generators.pipelines.longcat import LongCat
from audiodiff.generators.pipelines.stable_audio import StableAudio
from audiodiff.generators.pipelines.stable_audio_3 import StableAudio3

FAMILIES: dict[str, type[Family]] = {
    "StableAudioPipeline": StableAudio,
    "StableAudio3Pipeline": StableAudio3,
    "StableAudio3AudioToAudioPipeline": StableAudio3,
    "StableAudio3InpaintPipeline": StableAudio3,
    "AudioLDM2Pipeline": AudioLDM2,
    "AceStepPipeline": AceStep,
    "LongCatAudioDiTPipeline": LongCat,
    "AudioLDMPipeline": AudioLDM,
    "MusicLDMPipeline": MusicLDM,
}
"""Classes of diffusers, as a folder's model_index.json names them, and how we call them."""


def load(rest: str, device: str) -> PipelineGenerator:
    """The pipeline in a folder, or of a hub id like `stabilityai/stable-audio-open-1.0`, with `@revision` if wanted.

    Only safetensors are read. On a GPU it works in bfloat16, or float16 where the GPU has no such. Raises `ConfigError`
    for a pipeline that is none of `FAMILIES` and where diffusers is missing, `EngineError` for what cannot be loaded.
    """
    files = find_pipeline(rest)
    if files.class_name not in FAMILIES:
        raise ConfigError(f"{files.name} is a {files.class_name}; known are {', '.join(FAMILIES)}")
    pipeline, sha256, license_ = load_pipeline(files, device)
    return PipelineGenerator(files.name, FAMILIES[files.class_name](pipeline), sha256, license_)
