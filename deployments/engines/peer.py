"""Run one of the restorers of `make bench-restore` over a folder: `python peer.py NAME IN OUT`.

The example of a driver for a tool that has a Python or C interface but no command line: read each WAV file of IN,
restore it, write it to OUT under the same name. It shares no code with audiodiff's own process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / ".peers")]

from benchmarks.peers import PEERS, RATE_HZ  # noqa: E402  needs the path above


def main() -> None:
    """One model, all files: loading is what costs."""
    name, source, target = sys.argv[1:]
    restore = PEERS[name]()
    for path in sorted(Path(source).glob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        soundfile.write(Path(target) / path.name, restore(samples), RATE_HZ, subtype="FLOAT")


if __name__ == "__main__":
    main()
