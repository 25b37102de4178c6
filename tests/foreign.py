"""A restorer in a process of its own, good or bad at it, run as `python foreign.py IN OUT`; and engine files for it."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile


def write_engine(path: Path, *flags: str, **settings: str | float | bool | list[str]) -> Path:
    """An engine file that calls this program with flags; returns its path."""
    shutil.copy(__file__, path.parent / "foreign tool.py")
    values: dict[str, object] = {
        "command": [sys.executable, "{here}/foreign tool.py", "{in}", "{out}", *flags],
        "sample_rate": 48_000,
        "files": ["foreign tool.py"],
        "context_s": 0.1,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values | settings).items()]  # JSON's values are TOML's
    path.write_text("\n".join(lines))
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--gain", type=float, default=1.0)
    parser.add_argument("--gate", type=float, default=0.0, help="magnitude below which a bin is lowered by 20 dB")
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--rate", type=int, default=0, help="rate of the output; the input is resampled to it")
    parser.add_argument("--lengthen", type=int, default=0)
    parser.add_argument("--suffix", default=".wav")
    parser.add_argument("--stereo", action="store_true")
    parser.add_argument("--skip", type=int, default=-1, help="number of a file that is left out")
    parser.add_argument("--poison", type=int, default=-1, help="number of a file that gets a NaN")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--children", type=Path, help="file for the ids of two processes that then sleep")
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--calls", type=Path, help="file that gets a line a call: how many files, of which encoding")
    args = parser.parse_args()
    if args.children:
        start_children(args.children)
    paths = sorted(args.source.iterdir())
    for number, path in enumerate(paths):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        out, rate = process(samples, rate, args)
        if number == args.poison:
            out[100] = np.nan
        if number != args.skip:
            kind = "FLOAT" if args.suffix == ".wav" else None
            soundfile.write(args.target / (path.stem + args.suffix), out, rate, subtype=kind)
    if args.calls:
        with args.calls.open("a") as file:
            file.write(f"{len(paths)} {soundfile.info(paths[0]).subtype}\n")
    time.sleep(args.sleep)
    print("progress on standard output")
    print("model file is broken", file=sys.stderr)
    sys.exit(args.status)


def process(samples: np.ndarray, rate: int, args: argparse.Namespace) -> tuple[np.ndarray, int]:
    """(T, C) restored, and its rate."""
    out = args.gain * samples
    if args.gate:
        out = gated(out.T, args.gate).T
    if args.rate:
        import scipy.signal  # noqa: PLC0415  slow to import, and most calls need it not

        out = scipy.signal.resample_poly(out, args.rate, rate, axis=0)
        rate = args.rate
    out = np.roll(np.pad(out, ((0, max(0, args.delay)), (0, 0))), args.delay, axis=0)[: len(out)]
    if args.lengthen:
        out = np.pad(out, ((0, max(0, args.lengthen)), (0, 0)))[: len(out) + args.lengthen]
    return (np.repeat(out, 2, axis=1) if args.stereo else out), rate


def gated(signal: np.ndarray, gate: float) -> np.ndarray:
    """Spectral gating of (C, T): weak bins are lowered."""
    import scipy.signal  # noqa: PLC0415

    _, _, spectra = scipy.signal.stft(signal, nperseg=1024)  # (C, F, N)
    spectra *= np.where(np.abs(spectra) < gate, 0.1, 1.0)
    out: np.ndarray = scipy.signal.istft(spectra, nperseg=1024)[1][:, : signal.shape[1]]
    return out


def start_children(path: Path) -> None:
    """Two processes: one stops when asked to, one does not hear it."""
    sleep = "print('here', flush=True); time.sleep(99)"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleep
    command = [sys.executable, "-c"]
    children = [
        subprocess.Popen([*command, "import signal, time; " + code], stdout=subprocess.PIPE) for code in (sleep, deaf)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    path.write_text(" ".join(str(child.pid) for child in children))


if __name__ == "__main__":
    main()
