"""Previews: a short excerpt of an item before, after, and what was removed, ready to hear and to see."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiodiff.encode import encode_opus
from audiodiff.metrics.loudness import Loudness
from audiodiff.report import spectrogram
from audiodiff.waveform import Waveform

MAX_PREVIEW_S = 12.0
OPUS_BIT_RATE = 64_000

_MAX_GAIN_DB = 20.0  # beyond, the two have little in common and amplifying would only show noise
_PEAK = 0.9  # the lossy codec overshoots by some per cent
_SIGNALS = ("before", "after", "removed")
_TYPES: dict[str, pa.DataType] = {
    "item_id": pa.string(),
    "start_s": pa.float64(),
    "duration_s": pa.float64(),
    "sample_rate": pa.int32(),
    "gain_db": pa.float64(),
    **{f"{signal}_{kind}": pa.binary() for kind in ("opus", "png") for signal in _SIGNALS},
}
_SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _TYPES.items()])


@dataclass(frozen=True, slots=True)
class Preview:
    """What the report plays and shows of one item: three Ogg Opus excerpts and their spectrograms.

    `gain_db` was applied to `after` so that it is as loud as `before`; `sample_rate` is the recording's, and
    half of it the top of the spectrograms. `removed` is before minus after as the engine gave it, at the level
    it has in the recording. The three spectrograms share one dB scale.
    """

    item_id: str
    start_s: float
    duration_s: float
    sample_rate: int
    gain_db: float
    before_opus: bytes
    after_opus: bytes
    removed_opus: bytes
    before_png: bytes
    after_png: bytes
    removed_png: bytes


def make_preview(
    item_id: str, before: NDArray[np.float32], after: NDArray[np.float32], sample_rate: int, start_s: float
) -> Preview:
    """Make the preview of an excerpt: (C, T) samples before and after, which begin at `start_s` of the recording.

    Only the first 12 s are used. Raises `ValueError` if there are no samples or the shapes differ.
    """
    if before.shape != after.shape or before.ndim != 2 or before.shape[1] == 0:
        raise ValueError(f"before {before.shape} and after {after.shape} must be the same non-empty (C, T)")
    before, after = (_usable(samples, sample_rate) for samples in (before, after))
    gain_db = _matching_gain_db(before, after, sample_rate)
    signals = (before, after * np.float32(10 ** (gain_db / 20)), before - after)
    maps = [spectrogram.level_map_db(signal, sample_rate) for signal in signals]
    top_db = max(float(level_map.max()) for level_map in maps)
    pngs = [spectrogram.to_png(level_map, top_db) for level_map in maps]
    opus = [encode_opus(Waveform(signal, sample_rate), OPUS_BIT_RATE) for signal in _to_playable(signals)]
    return Preview(item_id, start_s, before.shape[1] / sample_rate, sample_rate, gain_db, *opus, *pngs)


def previews_to_parquet(previews: Iterable[Preview]) -> bytes:
    """One Parquet file of the previews, in their order; equal previews give equal bytes."""
    table = pa.Table.from_pylist([asdict(preview) for preview in previews], schema=_SCHEMA)
    target = io.BytesIO()
    pq.write_table(table, target, compression="none", use_dictionary=False)  # audio and pictures are compressed
    return target.getvalue()


def previews_from_parquet(data: bytes) -> list[Preview]:
    """The previews of a file made by `previews_to_parquet`; raises `pyarrow.ArrowInvalid` for anything else."""
    table = pq.read_table(io.BytesIO(data), schema=_SCHEMA)
    return [Preview(**row) for row in table.to_pylist()]


def _usable(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """At most 12 s of at most two channels, without values that are no numbers."""
    excerpt = np.nan_to_num(samples[:, : int(MAX_PREVIEW_S * sample_rate)], posinf=0.0, neginf=0.0)
    if len(excerpt) <= 2:
        return excerpt
    # The layout is not known here; even channels left, odd ones right keeps front pairs apart in all common ones.
    return np.stack([excerpt[0::2].mean(axis=0), excerpt[1::2].mean(axis=0)])  # (2, T)


def _matching_gain_db(before: NDArray[np.float32], after: NDArray[np.float32], sample_rate: int) -> float:
    """The gain that makes `after` as loud as `before`; 0 where one of them has no loudness."""
    gain_db = _loudness_db(before, sample_rate) - _loudness_db(after, sample_rate)
    return float(np.clip(gain_db, -_MAX_GAIN_DB, _MAX_GAIN_DB)) if np.isfinite(gain_db) else 0.0


def _loudness_db(samples: NDArray[np.float32], sample_rate: int) -> float:
    """BS.1770 loudness, or the level of the whole for excerpts shorter than its 0.4 s; not finite for silence."""
    meter = Loudness(sample_rate, len(samples))
    meter.push(samples)
    lufs, _ = meter.finish()
    if not np.isnan(lufs):
        return lufs
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * float(np.log10(power)) if power else np.nan


def _to_playable(signals: Iterable[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """All signals turned down together, if one of them would clip: their levels stay comparable."""
    signals = list(signals)
    peak = max(float(np.abs(signal).max()) for signal in signals)
    return [signal * np.float32(min(1.0, _PEAK / max(peak, 1e-9))) for signal in signals]
