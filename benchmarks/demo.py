"""`make demo`: restore a small box of real recordings, some worn on purpose, and name the report to open."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from audiodiff.books import RESTORATIONS
from audiodiff.degrade.chain import Chain
from audiodiff.encode import Encoding, write_audio
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.media import read_audio
from audiodiff.metrics.paired import log_spectral_distance_db, si_sdr_db
from audiodiff.records import Row
from audiodiff.report.spectrogram import level_map_db, to_png
from audiodiff.storage import LocalStore
from audiodiff.waveform import Waveform
from flows.cli import main as audiodiff_command

ASSETS = Path("tests/assets")
OUT = Path("demo-out")
TAPES, RESTORED, ORIGINALS = OUT / "tapes", OUT / "restored", OUT / "originals"

WORN: tuple[tuple[str, str, str, Encoding], ...] = (
    ("hyperrogue_hr-domina-mountain.ogg", "worn disc - guitar.flac", "crackle hiss", "flac-16"),
    ("hyperrogue_hr-domina-mountain.ogg", "noisy cassette - guitar.wav", "noise hum", "wav-16"),
    ("ru_asterisk_vm-opts.g722", "noisy tape - announcement ru.flac", "noise", "flac-24"),
    ("en_asterisk_vm-tempgreeting2.g722", "overloaded - announcement en.flac", "clip", "flac-24"),
)
"""Asset, name of the worn copy, faults (one seeded draw each), encoding: simulated damage on real recordings."""

FIRST_SEED = 3
"""From here on the draws can be heard: seed 0 leaves the disc at 30 dB."""


def main() -> None:
    """Make the box, restore it through the command line, compare the worn copies with their originals."""
    shutil.rmtree(OUT, ignore_errors=True)
    make_tapes()
    print(f"$ audiodiff restore {TAPES} {RESTORED}")
    status = audiodiff_command(["restore", str(TAPES), str(RESTORED)])
    if status:
        raise SystemExit(status)
    store = LocalStore(str(RESTORED))
    rows = {Path(row.source_uri).name: row for row in all_rows(store, committed_shards(store), RESTORATIONS)}
    print("\nWorn on purpose, so that there is an original to compare with:")
    print(f"  {'recording':<36}{'SI-SDR dB':>18}{'log-spectral dist. dB':>24}")
    for _, name, _, _ in WORN:
        print(f"  {name:<36}{compare(rows[name])}")
    picture = OUT / "before-after.png"
    draw_pair(rows[WORN[0][1]], picture)
    report = next((RESTORED / "runs").glob("*/report.html")).resolve()
    print(f"\nBefore and after as a picture: {picture}\nOpen the report: {report.as_uri()}")


def make_tapes() -> None:
    """Real recordings as they are, worn copies of some, one cut short, one that is no audio at all."""
    TAPES.mkdir(parents=True)
    ORIGINALS.mkdir()
    for asset in sorted(ASSETS.iterdir()):
        if asset.suffix in {".gsm", ".g722", ".ogg"}:
            shutil.copy(asset, TAPES / asset.name)
    for number, (asset_name, name, faults, encoding) in enumerate(WORN):
        original = read_audio(ASSETS / asset_name).resample(44_100)
        worn = wear(original, faults.split(), seed=FIRST_SEED + number)
        write_audio(TAPES / name, worn, encoding)
        write_audio(ORIGINALS / f"{Path(name).stem}.wav", original, "wav-float32")
    whole = (ASSETS / "hyperrogue_hr-domina-mountain.ogg").read_bytes()
    (TAPES / "cut short.ogg").write_bytes(whole[: len(whole) // 3])
    (TAPES / "not audio.mp3").write_text("A note that somebody left in the box.\n")


def wear(original: Waveform, faults: list[str], seed: int) -> Waveform:
    """Apply one seeded draw of each fault."""
    samples = torch.from_numpy(original.samples)
    rng = np.random.default_rng(seed)
    for fault in faults:
        samples = Chain.draw(fault, rng).apply(samples, original.sample_rate)
    peak = float(samples.abs().max())
    return Waveform((samples * min(1.0, 0.98 / peak)).numpy(), original.sample_rate)


def compare(row: Row) -> str:
    """SI-SDR and log-spectral distance of the worn and the restored copy against the original."""
    name = Path(row.source_uri).name
    assert row.audio_path
    original = read_audio(ORIGINALS / f"{Path(name).stem}.wav")
    scores = [
        (float(np.mean(si_sdr_db(copy.samples, original.samples))), distance(copy, original))
        for copy in (read_audio(TAPES / name), read_audio(RESTORED / row.audio_path))
    ]
    (sdr_in, lsd_in), (sdr_out, lsd_out) = scores
    return f"{sdr_in:>8.1f} -> {sdr_out:5.1f}{lsd_in:>14.1f} -> {lsd_out:5.1f}"


def distance(copy: Waveform, original: Waveform) -> float:
    """Mean log-spectral distance over channels, with the copy at the original's level."""
    gain = np.sqrt(np.square(original.samples).mean() / np.square(copy.samples).mean())
    return float(np.mean(log_spectral_distance_db(gain * copy.samples, original.samples, original.sample_rate)))


def draw_pair(row: Row, path: Path) -> None:
    """The first seconds before (above) and after (below) as spectrograms with one dB scale."""
    assert row.audio_path
    maps = []
    for source in (TAPES / Path(row.source_uri).name, RESTORED / row.audio_path):
        waveform = read_audio(source)
        maps.append(level_map_db(waveform.samples[:, : 8 * waveform.sample_rate], waveform.sample_rate))
    top_db = max(float(level_map.max()) for level_map in maps)
    gap = np.full((6, maps[0].shape[1]), -140.0, np.float32)
    path.write_bytes(to_png(np.concatenate([maps[1], gap, maps[0]]), top_db))
    with Image.open(path) as image:
        image.resize((image.width * 3 // 2, image.height * 3 // 2)).save(path)


if __name__ == "__main__":
    main()
