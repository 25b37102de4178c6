"""Turn a training run into a checkpoint: `python -m audiodiff.training.export RUN OUT.safetensors`."""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.engines.checkpoint import save_restorer
from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig
from audiodiff.training.data import LEVEL
from audiodiff.training.pack import PACK_RATE_HZ


def export(run: Path, path: Path, config: BandSplitConfig | None = None) -> None:
    """Write the moving average of a run's weights as a checkpoint that engines load."""
    tensors = load_file(run / "state.safetensors")
    net = BandSplit(config or BandSplitConfig())
    net.load_state_dict({k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")})
    save_restorer(net, Spectrum(), Bridge(), PACK_RATE_HZ, LEVEL, path)


def main() -> None:
    """Parse the arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    args = parser.parse_args()
    export(args.run, args.out)


if __name__ == "__main__":
    main()
