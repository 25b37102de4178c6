"""A generator in a process of its own that makes sines, good or bad at it, run as `python sines.py IN OUT`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def write_generator(path: Path, *flags: str, **settings: Any) -> Path:
    """A generator file that calls this program with flags; returns its path."""
    shutil.copy(__file__, path.parent / "sines.py")
    values: dict[str, Any] = {
        "command": [sys.executable, "{here}/sines.py", "{in}", "{out}", *flags],
        "sample_rate": 16_000,
        "kinds": ["sfx", "music"],
        "files": ["sines.py"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values | settings).items()]  # JSON's values are TOML's
    path.write_text("\n".join(lines))
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--rate", type=int, default=16_000)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--suffix", default=".wav")
    parser.add_argument("--shorten", type=float, default=0.0, help="seconds that lack in each take")
    parser.add_argument("--skip", type=int, default=-1, help="number of a take that is left out")
    parser.add_argument("--spoil", type=int, default=-1, help="number of a take that is written as text")
    parser.add_argument("--poison", type=int, default=-1, help="number of a take that gets a NaN")
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for a copy of the input")
    args = parser.parse_args()
    if args.keep:
        shutil.copytree(args.source, args.keep)
    for number, line in enumerate((args.source / "requests.jsonl").read_text().splitlines()):
        wanted = json.loads(line)
        path = args.target / (wanted["id"] + args.suffix)
        if number == args.spoil:
            path.write_text("no sound")
        elif number != args.skip:
            take = sine(wanted, args)
            if number == args.poison:
                take[10] = np.nan
            soundfile.write(path, take, args.rate, subtype="FLOAT" if args.suffix == ".wav" else None)
    time.sleep(args.sleep)
    print("the weights are missing", file=sys.stderr)
    sys.exit(args.status)


def sine(wanted: dict[str, Any], args: argparse.Namespace) -> np.ndarray:
    """A sine (T, C) of a pitch that the seed decides."""
    frames = round((wanted["duration_s"] - args.shorten) * args.rate)
    hertz = 200 + wanted["seed"] % 1_000
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(frames) / args.rate)
    return np.repeat(wave[:, None], args.channels, axis=1).astype(np.float32)


if __name__ == "__main__":
    main()
