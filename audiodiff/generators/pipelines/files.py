"""Where a pipeline's files are, and how they are loaded: from a folder or the hub's cache, never from a pickle."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from audiodiff.curate.spdx import as_spdx
from audiodiff.errors import ConfigError, EngineError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DECIDING = {".safetensors", ".json", ".txt", ".model"}
"""Weights, configurations, and what tokenizers are made of."""

_HEAD = re.compile(r"---\n(.*?)\n---", re.DOTALL)
_LICENCE = re.compile(r"^(license|license_name):[ ]*['\"]?([^'\"\n]+?)['\"]?[ ]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PipelineFiles:
    """A pipeline that was found: its name for people, its class, and its folder or hub id with revision."""

    name: str
    class_name: str
    source: str
    revision: str | None
    offline: bool


def find_pipeline(rest: str) -> PipelineFiles:
    """Read a pipeline's model_index.json; raises `ConfigError` for no folder and no hub id, `EngineError` else."""
    try:
        from diffusers import DiffusionPipeline  # noqa: PLC0415 - an extra
        from huggingface_hub import constants  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("pipelines need diffusers: pip install 'audiodiff[diffusers]'") from error
    folder = Path(rest).expanduser()
    source, _, revision = (str(folder), "", "") if folder.is_dir() else rest.partition("@")
    if not folder.is_dir() and not _HUB_ID.fullmatch(source):
        raise ConfigError(f"{rest!r} is neither a folder nor a hub id like stabilityai/stable-audio-open-1.0")
    offline = folder.is_dir() or constants.HF_HUB_OFFLINE
    name = "diffusers:" + (folder.resolve().name if folder.is_dir() else rest)
    try:
        index = DiffusionPipeline.load_config(source, revision=revision or None, local_files_only=offline)
    except (OSError, ValueError) as error:
        raise EngineError(f"{name} cannot be loaded: {error}") from error
    return PipelineFiles(name, str(index.get("_class_name")), source, revision or None, offline)


def load_pipeline(files: PipelineFiles, device: str) -> tuple[Any, str, str]:
    """A pipeline on a device, the digest of its files and its licence; raises `EngineError` if it does not load."""
    diffusers, transformers = import_module("diffusers"), import_module("transformers")  # the first is an extra
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    try:
        class_ = getattr(diffusers, files.class_name)
        folder = _local(files)
        pipeline = class_.from_pretrained(
            folder, dtype=_dtype(device), use_safetensors=True, local_files_only=True,
            low_cpu_mem_usage=diffusers.utils.is_accelerate_available(),
        )  # fmt: skip
        pipeline.to(device)
    except (OSError, ValueError, ImportError, AttributeError, RuntimeError, SafetensorError) as error:
        raise EngineError(f"{files.name} cannot be loaded: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    if hasattr(pipeline.vae, "use_slicing"):
        pipeline.vae.enable_slicing()
    return pipeline, _digest(folder), _licence(folder)


def _local(files: PipelineFiles) -> Path:
    """The folder, or the snapshot that the hub's library keeps of it."""
    from diffusers import DiffusionPipeline  # noqa: PLC0415 - an extra
    from huggingface_hub import hf_hub_download  # noqa: PLC0415

    if Path(files.source).is_dir():
        return Path(files.source)
    with suppress(OSError):  # it is for the licence only, and some have none
        hf_hub_download(files.source, "README.md", revision=files.revision, local_files_only=files.offline)
    return Path(
        DiffusionPipeline.download(
            files.source, revision=files.revision, use_safetensors=True, local_files_only=files.offline
        )
    )


def _dtype(device: str) -> torch.dtype:
    if not device.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _digest(folder: Path) -> str:
    """SHA-256 over names and content of all files that decide what is drawn."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _DECIDING and path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _licence(folder: Path) -> str:
    """The licence in the head of the model's card as SPDX, `LicenseRef-` where it is none; "" if it names none."""
    card = folder / "README.md"
    head = _HEAD.match(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    said = dict(_LICENCE.findall(head[1])) if head else {}
    name = said.get("license_name") or said.get("license", "")
    return as_spdx(name) or (f"LicenseRef-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}" if name else "")
